//! What the buffer asks of the disk: the one seam below it. The real disk is here; tests put one in its place that loses
//! what was not synced.

use redb::StorageBackend;
use redb::backends::FileBackend;
use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::ops::Bound;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// With less free than this share of the file system (but see the limits below) it has little room.
const ROOM_SHARE: u64 = 20;
/// Below this it is little room on any file system.
const ROOM_MIN: u64 = 16 * 1024 * 1024;
/// From this on it is room enough on any: a buffer of 64 MiB need not shrink on a disk of terabytes.
const ROOM_MAX: u64 = 1024 * 1024 * 1024;

/// Room on a file system, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Space {
    /// For users without privileges.
    pub(crate) free: u64,
    pub(crate) total: u64,
}

impl Space {
    /// Whether the buffer should not grow. Once it is low, a quarter more must be free before it counts as enough, so that
    /// the answer does not swing.
    pub(crate) const fn is_low(self, was_low: bool) -> bool {
        let share = self.total / ROOM_SHARE;
        let wanted = if share < ROOM_MIN {
            ROOM_MIN
        } else if share > ROOM_MAX {
            ROOM_MAX
        } else {
            share
        };
        self.free < if was_low { wanted + wanted / 4 } else { wanted }
    }
}

/// Whether a file must be there or must not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum How {
    Existing,
    New,
}

/// The operations on files that the buffer is made of. Names are durable only after [`Disk::sync_dir`].
pub(crate) trait Disk: Debug + Send + Sync + 'static {
    fn open(&self, path: &Path, how: How) -> io::Result<Box<dyn StorageBackend>>;
    /// Bytes of a file; `None` if there is none.
    fn bytes(&self, path: &Path) -> io::Result<Option<u64>>;
    fn sync(&self, path: &Path) -> io::Result<()>;
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn remove(&self, path: &Path) -> io::Result<()>;
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Names in a directory.
    fn names(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Makes a file that really takes up `bytes`, durably.
    fn take_up(&self, path: &Path, bytes: usize) -> io::Result<()>;
    fn space(&self, dir: &Path) -> io::Result<Space>;
}

/// The disk of this host.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RealDisk;

impl Disk for RealDisk {
    fn open(&self, path: &Path, how: How) -> io::Result<Box<dyn StorageBackend>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(how == How::New).mode(0o600);
        Ok(Box::new(FileBackend::new(options.open(path)?).map_err(io::Error::other)?))
    }

    fn bytes(&self, path: &Path) -> io::Result<Option<u64>> {
        match fs::metadata(path) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(why) => Err(why),
        }
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn names(&self, dir: &Path) -> io::Result<Vec<String>> {
        fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    fn take_up(&self, path: &Path, bytes: usize) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        let written = file.write_all(&vec![0; bytes]).and_then(|()| file.sync_all());
        if written.is_err() {
            // Half of it is in nobody's favour.
            let _ = fs::remove_file(path);
        }
        written
    }

    fn space(&self, dir: &Path) -> io::Result<Space> {
        let found = rustix::fs::statvfs(dir)?;
        Ok(Space {
            free: found.f_bavail.saturating_mul(found.f_frsize),
            total: found.f_blocks.saturating_mul(found.f_frsize),
        })
    }
}

/// A file of any disk, as redb takes it.
#[derive(Debug)]
pub(crate) struct Handle(pub(crate) Box<dyn StorageBackend>);

/// Passes the locks of a file on to the one below.
macro_rules! locks_of {
    ($below:tt) => {
        fn close(&self) -> io::Result<()> {
            self.$below.close()
        }
        fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, redb::BackendError> {
            self.$below.try_lock_range(start, end)
        }
        fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, redb::BackendError> {
            self.$below.try_lock_shared_range(start, end)
        }
        fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), redb::BackendError> {
            self.$below.lock_range(start, end)
        }
        fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), redb::BackendError> {
            self.$below.lock_shared_range(start, end)
        }
        fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), redb::BackendError> {
            self.$below.unlock_range(start, end)
        }
        fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, redb::BackendError> {
            self.$below.query_lock_range(start, end)
        }
    };
}
pub(crate) use locks_of;

impl StorageBackend for Handle {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }

    locks_of!(0);
}
