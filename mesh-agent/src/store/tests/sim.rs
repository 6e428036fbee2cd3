//! A disk whose power can be cut at any operation.
//!
//! What was not synced survives as a random subset of its 512-byte sectors. Names that were made or changed since the last
//! sync of the directory survive up to a random one of them. It also fails on demand, and has as much room as it is told.

use crate::store::disk::{Disk, How, Space};
use redb::StorageBackend;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

const SECTOR: usize = 512;

/// Reproducible numbers (SplitMix64).
#[derive(Clone, Debug)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    pub(crate) fn index(&mut self, end: usize) -> usize {
        usize::try_from(self.below(u64::try_from(end).unwrap())).unwrap()
    }
}

#[derive(Clone, Debug)]
enum Change {
    Write(usize, Vec<u8>),
    Length(usize),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write(offset, data) => {
                if bytes.len() < offset + data.len() {
                    bytes.resize(offset + data.len(), 0);
                }
                bytes[*offset..offset + data.len()].copy_from_slice(data);
            }
            Self::Length(length) => bytes.resize(*length, 0),
        }
    }
}

#[derive(Debug, Default)]
struct File {
    durable: Vec<u8>,
    current: Vec<u8>,
    unsynced: Vec<Change>,
}

impl File {
    fn change(&mut self, change: Change) {
        change.apply(&mut self.current);
        self.unsynced.push(change);
    }

    fn sync(&mut self) {
        for change in self.unsynced.drain(..) {
            change.apply(&mut self.durable);
        }
    }

    fn crash(&mut self, dice: &mut Dice, permille: u64) {
        if self.unsynced.is_empty() {
            return;
        }
        for change in std::mem::take(&mut self.unsynced) {
            match change {
                Change::Length(_) if dice.below(1_000) < permille => change.apply(&mut self.durable),
                Change::Length(_) => {}
                Change::Write(offset, data) => {
                    // Sectors lie at multiples of their size, whatever was written at once.
                    let mut at = 0;
                    while at < data.len() {
                        let count = (SECTOR - (offset + at) % SECTOR).min(data.len() - at);
                        if dice.below(1_000) < permille {
                            Change::Write(offset + at, data[at..at + count].to_vec()).apply(&mut self.durable);
                        }
                        at += count;
                    }
                }
            }
        }
        self.current.clone_from(&self.durable);
    }
}

type Names = BTreeMap<PathBuf, u64>;

#[derive(Debug)]
struct State {
    files: BTreeMap<u64, File>,
    next_file: u64,
    names: Names,
    /// The names after each change since the last sync of the directory, the durable ones first.
    histories: Vec<Names>,
    operations_left: u64,
    /// What every write says, if anything.
    refusal: Option<io::ErrorKind>,
    boot: u64,
    space: Space,
}

/// See the module. Copies are the same disk.
#[derive(Clone, Debug)]
pub(crate) struct SimDisk(Arc<Mutex<State>>);

#[derive(Debug)]
struct SimHandle {
    disk: SimDisk,
    file: u64,
    boot: u64,
}

fn cut() -> io::Error {
    io::Error::other("the power is cut")
}

impl State {
    /// One operation takes place, unless the power is cut.
    fn step(&mut self) -> io::Result<()> {
        if self.operations_left == 0 {
            return Err(cut());
        }
        self.operations_left -= 1;
        if self.operations_left == 0 { Err(cut()) } else { Ok(()) }
    }

    fn write(&mut self) -> io::Result<()> {
        self.step()?;
        self.refusal.map_or(Ok(()), |kind| Err(kind.into()))
    }

    fn id(&self, path: &Path) -> io::Result<u64> {
        self.names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn renamed(&mut self) {
        self.histories.push(self.names.clone());
    }

    fn file(&mut self, id: u64) -> &mut File {
        self.files.get_mut(&id).expect("files are never forgotten while a name or handle leads to them")
    }
}

impl SimDisk {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            files: BTreeMap::new(),
            next_file: 0,
            names: Names::new(),
            histories: vec![Names::new()],
            operations_left: u64::MAX,
            refusal: None,
            boot: 0,
            space: Space { free: 1 << 40, total: 1 << 40 },
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no test panics while it holds this")
    }

    /// The power will be cut at this operation.
    pub(crate) fn cut_after(&self, operations: u64) {
        self.state().operations_left = operations.max(1);
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.state().operations_left == 0
    }

    /// Every write fails like this from now on.
    pub(crate) fn refuse(&self, kind: Option<io::ErrorKind>) {
        self.state().refusal = kind;
    }

    pub(crate) fn set_space(&self, space: Space) {
        self.state().space = space;
    }

    /// What is left when the power is back.
    pub(crate) fn crash(&self, dice: &mut Dice) {
        let mut state = self.state();
        let kept = dice.index(state.histories.len());
        state.names = state.histories[kept].clone();
        state.histories = vec![state.names.clone()];
        let named: Vec<u64> = state.names.values().copied().collect();
        state.files.retain(|id, _| named.contains(id));
        let permille = [0, 100, 500, 900, 1_000][dice.index(5)];
        state.files.values_mut().for_each(|file| file.crash(dice, permille));
        state.operations_left = u64::MAX;
        state.boot += 1;
    }

    /// The content of a file.
    pub(crate) fn content(&self, path: &Path) -> Vec<u8> {
        let mut state = self.state();
        let id = state.id(path).expect("the test knows its files");
        state.file(id).current.clone()
    }

    /// Puts a file there, durably.
    pub(crate) fn put(&self, path: &Path, content: Vec<u8>) {
        let mut state = self.state();
        let id = state.next_file;
        state.next_file += 1;
        state.files.insert(id, File { durable: content.clone(), current: content, unsynced: Vec::new() });
        state.names.insert(path.to_owned(), id);
        state.histories = vec![state.names.clone()];
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path, how: How) -> io::Result<Box<dyn StorageBackend>> {
        let mut state = self.state();
        if how == How::New {
            state.write()?;
            if state.names.contains_key(path) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            let id = state.next_file;
            state.next_file += 1;
            state.files.insert(id, File::default());
            state.names.insert(path.to_owned(), id);
            state.renamed();
        }
        state.step()?;
        let (file, boot) = (state.id(path)?, state.boot);
        Ok(Box::new(SimHandle { disk: self.clone(), file, boot }))
    }

    fn bytes(&self, path: &Path) -> io::Result<Option<u64>> {
        let mut state = self.state();
        state.step()?;
        let id = state.names.get(path).copied();
        Ok(id.map(|id| u64::try_from(state.file(id).current.len()).unwrap()))
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.write()?;
        let id = state.id(path)?;
        state.file(id).sync();
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.write()?;
        let id = state.id(from)?;
        state.names.remove(from);
        state.names.insert(to.to_owned(), id);
        state.renamed();
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.step()?;
        state.id(path)?;
        state.names.remove(path);
        state.renamed();
        Ok(())
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.write()?;
        state.histories = vec![state.names.clone()];
        Ok(())
    }

    fn names(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut state = self.state();
        state.step()?;
        let here = state.names.keys().filter(|path| path.parent() == Some(dir));
        Ok(here.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect())
    }

    fn take_up(&self, path: &Path, bytes: usize) -> io::Result<()> {
        let mut state = self.state();
        state.write()?;
        let id = state.next_file;
        state.next_file += 1;
        state.files.insert(id, File { durable: vec![0; bytes], current: vec![0; bytes], unsynced: Vec::new() });
        state.names.insert(path.to_owned(), id);
        state.renamed();
        Ok(())
    }

    fn space(&self, _: &Path) -> io::Result<Space> {
        Ok(self.state().space)
    }
}

impl SimHandle {
    fn with<T>(&self, is_write: bool, body: impl FnOnce(&mut File) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.disk.state();
        if state.boot != self.boot {
            return Err(cut());
        }
        if is_write {
            state.write()?;
        } else {
            state.step()?;
        }
        body(state.files.get_mut(&self.file).ok_or_else(cut)?)
    }
}

impl StorageBackend for SimHandle {
    fn len(&self) -> io::Result<u64> {
        self.with(false, |file| Ok(u64::try_from(file.current.len()).unwrap()))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.with(false, |file| {
            let offset = usize::try_from(offset).unwrap();
            let there = file.current.get(offset..offset + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
            out.copy_from_slice(there);
            Ok(())
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.with(true, |file| {
            file.change(Change::Length(usize::try_from(len).unwrap()));
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.with(true, |file| {
            file.sync();
            Ok(())
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let change = Change::Write(usize::try_from(offset).unwrap(), data.to_vec());
        let mut state = self.disk.state();
        if state.boot != self.boot || state.operations_left == 0 {
            return Err(cut());
        }
        let allowed = state.write();
        let is_cut = state.operations_left == 0;
        // The write at which the power is cut may be on its way already.
        if (allowed.is_ok() || is_cut)
            && let Some(file) = state.files.get_mut(&self.file)
        {
            file.change(change);
        }
        allowed
    }
}
