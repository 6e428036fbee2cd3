//! How far each stream goes, outside of the buffer file: when that is damaged, what was lost at the end of a stream has no other
//! name.
//!
//! ```text
//!  0  "EPM1"
//!  4  count of streams, at most 20
//!  5  for each: epoch 8, last number 8, acknowledged number 8
//!  …  crc32 of all before it
//! ```
//! Numbers are little-endian. It fits into one sector, is written over after each commit, and is never synced: a damaged file is
//! not a power cut, and after a power cut the buffer itself is whole. So it may lag behind the buffer and is never ahead of it.

use crate::store::disk::How;
use crate::store::file::Place;
use everypath_protocol::id::{Epoch, Seq};
use everypath_protocol::ledger::LedgerEntry;
use redb::StorageBackend;
use std::io;

/// In the data directory.
pub(crate) const MARKS_FILE: &str = "buffer.marks";
const MAGIC: &[u8; 4] = b"EPM1";
const ENTRY_BYTES: usize = 24;
/// More than an agent has streams that wait. Of more the oldest have no mark.
const ENTRIES_MAX: usize = 20;
/// The file always has this length.
const BYTES: usize = 512;

/// One stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Mark {
    pub(crate) epoch: Epoch,
    pub(crate) last: Seq,
    pub(crate) acked: Seq,
}

/// Writes them.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    file: Option<Box<dyn StorageBackend>>,
    written: Vec<u8>,
}

impl Marks {
    /// Notes the accounts that are on disk now, if they moved. A failure costs nothing but the notes.
    pub(crate) fn note(&mut self, place: &Place, accounts: &[LedgerEntry]) {
        let bytes = encode(accounts);
        if bytes != self.written {
            match self.write(place, &bytes) {
                Ok(()) => self.written = bytes,
                Err(why) => {
                    self.file = None;
                    tracing::debug!(%why, "the ends of the streams could not be noted beside the buffer");
                }
            }
        }
    }

    fn write(&mut self, place: &Place, bytes: &[u8]) -> io::Result<()> {
        let path = place.dir.join(MARKS_FILE);
        let file = match &self.file {
            Some(file) => file,
            None => {
                let how = if place.disk.bytes(&path)?.is_some() { How::Existing } else { How::New };
                self.file.insert(place.disk.open(&path, how)?)
            }
        };
        if file.len()? != BYTES as u64 {
            file.set_len(BYTES as u64)?;
        }
        file.write(0, bytes)
    }
}

fn encode(accounts: &[LedgerEntry]) -> Vec<u8> {
    let kept = &accounts[accounts.len().saturating_sub(ENTRIES_MAX)..];
    let mut bytes = MAGIC.to_vec();
    bytes.push(u8::try_from(kept.len()).unwrap_or(0));
    for entry in kept {
        for number in [entry.epoch.0, entry.last.0, entry.acked.0] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
    }
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
    bytes.resize(BYTES, 0);
    bytes
}

/// What was noted last, oldest first; nothing if it cannot be read.
pub(crate) fn read(place: &Place) -> Vec<Mark> {
    let mut bytes = vec![0; BYTES];
    let file = place.disk.open(&place.dir.join(MARKS_FILE), How::Existing);
    match file.and_then(|file| file.read(0, &mut bytes)) {
        Ok(()) => decode(&bytes).unwrap_or_default(),
        Err(_) => Vec::new(),
    }
}

fn decode(bytes: &[u8]) -> Option<Vec<Mark>> {
    let count = usize::from(*bytes.strip_prefix(MAGIC)?.first()?);
    let end = MAGIC.len() + 1 + count * ENTRY_BYTES;
    let (body, crc) = (bytes.get(..end)?, bytes.get(end..end + 4)?);
    if crc32fast::hash(body).to_le_bytes() != crc {
        return None;
    }
    let number = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_le_bytes);
    let entries = body[MAGIC.len() + 1..].chunks_exact(ENTRY_BYTES).map(|entry| Mark {
        epoch: Epoch(number(&entry[..8])),
        last: Seq(number(&entry[8..16])),
        acked: Seq(number(&entry[16..])),
    });
    Some(entries.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(epoch: u64) -> LedgerEntry {
        LedgerEntry { epoch: Epoch(epoch), last: Seq(epoch * 10), acked: Seq(epoch), ..LedgerEntry::default() }
    }

    #[test]
    fn marks_come_back_and_one_wrong_bit_makes_them_nothing() {
        let accounts: Vec<_> = (1..=3).map(account).collect();
        let bytes = encode(&accounts);
        let mark = |epoch| Mark { epoch: Epoch(epoch), last: Seq(epoch * 10), acked: Seq(epoch) };
        assert_eq!(decode(&bytes), Some(vec![mark(1), mark(2), mark(3)]));
        for place in 0..5 + 3 * ENTRY_BYTES + 4 {
            for bit in 0..8 {
                let mut wrong = bytes.clone();
                wrong[place] ^= 1 << bit;
                assert_eq!(decode(&wrong), None, "bit {bit} of byte {place}");
            }
        }
        assert_eq!(decode(&vec![0; BYTES]), None);
        assert_eq!(decode(&[]), None);
    }

    #[test]
    fn the_newest_are_noted_where_there_are_too_many() {
        let accounts: Vec<_> = (1..=30).map(account).collect();
        let bytes = encode(&accounts);
        assert_eq!(bytes.len(), BYTES);
        let epochs: Vec<_> = decode(&bytes).expect("whole").iter().map(|mark| mark.epoch.0).collect();
        assert_eq!(epochs, (11..=30).collect::<Vec<_>>());
    }
}
