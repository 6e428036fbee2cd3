//! A file that is read but never written: what is written stays in memory, on top of it. redb can only be read after it
//! has put the file in order, and on a disk that takes no writes, or for a question about a stopped agent, that must happen
//! somewhere else.

use crate::store::disk::locks_of;
use redb::StorageBackend;
use std::collections::BTreeMap;
use std::io;
use std::ops::Bound;
use std::sync::{Mutex, PoisonError};

const PAGE: usize = 4096;
const PAGE_BYTES: u64 = 4096;
/// Most pages kept in memory, 16 MiB: putting a file in order writes a few. Then it cannot be read either.
const PAGES_MAX: usize = 4_096;

#[derive(Debug)]
pub(crate) struct Overlay {
    below: Box<dyn StorageBackend>,
    above: Mutex<Above>,
}

#[derive(Debug)]
struct Above {
    bytes: u64,
    /// Up to here what is not in memory is below.
    bytes_below: u64,
    pages: BTreeMap<u64, Box<[u8; PAGE]>>,
}

impl Overlay {
    pub(crate) fn new(below: Box<dyn StorageBackend>) -> io::Result<Self> {
        let bytes = below.len()?;
        Ok(Self { below, above: Mutex::new(Above { bytes, bytes_below: bytes, pages: BTreeMap::new() }) })
    }

    fn with<T>(&self, body: impl FnOnce(&mut Above) -> T) -> T {
        body(&mut self.above.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What is below of one page, zeros where the file has ended.
    fn page_below(&self, above: &Above, page: u64) -> io::Result<Box<[u8; PAGE]>> {
        let mut bytes = Box::new([0; PAGE]);
        let start = page * PAGE_BYTES;
        let there = usize::try_from(above.bytes_below.saturating_sub(start).min(PAGE_BYTES)).unwrap_or(PAGE);
        if there > 0 {
            self.below.read(start, &mut bytes[..there])?;
        }
        Ok(bytes)
    }
}

/// The pieces of `offset ..= offset + length` by page: page, where in it, where in the whole, how long.
fn pieces(offset: u64, length: usize) -> impl Iterator<Item = (u64, usize, usize, usize)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        if done == length {
            return None;
        }
        let at = offset + u64::try_from(done).unwrap_or(0);
        let within = usize::try_from(at % PAGE_BYTES).unwrap_or(0);
        let count = (PAGE - within).min(length - done);
        let piece = (at / PAGE_BYTES, within, done, count);
        done += count;
        Some(piece)
    })
}

impl StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.with(|above| above.bytes))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.with(|above| {
            let end = offset.saturating_add(u64::try_from(out.len()).unwrap_or(u64::MAX));
            if end > above.bytes {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if above.pages.is_empty() && end <= above.bytes_below {
                return self.below.read(offset, out);
            }
            for (page, within, at, count) in pieces(offset, out.len()) {
                let to = &mut out[at..at + count];
                match above.pages.get(&page) {
                    Some(bytes) => to.copy_from_slice(&bytes[within..within + count]),
                    None => to.copy_from_slice(&self.page_below(above, page)?[within..within + count]),
                }
            }
            Ok(())
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.with(|above| {
            above.bytes = len;
            above.bytes_below = above.bytes_below.min(len);
            above.pages.retain(|page, _| page * PAGE_BYTES < len);
            let within = usize::try_from(len % PAGE_BYTES).unwrap_or(0);
            if within > 0
                && let Some(bytes) = above.pages.get_mut(&(len / PAGE_BYTES))
            {
                bytes[within..].fill(0);
            }
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.with(|above| {
            for (page, within, at, count) in pieces(offset, data.len()) {
                if !above.pages.contains_key(&page) {
                    if above.pages.len() >= PAGES_MAX {
                        return Err(io::Error::other("reading it would take too much memory"));
                    }
                    let bytes = self.page_below(above, page)?;
                    above.pages.insert(page, bytes);
                }
                let bytes = above.pages.get_mut(&page).expect("it was just put there");
                bytes[within..within + count].copy_from_slice(&data[at..at + count]);
            }
            Ok(())
        })
    }

    locks_of!(below);
}
