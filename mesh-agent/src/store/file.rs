//! Making, opening and setting aside the buffer file.

use crate::clock;
use crate::files::{self, FileError};
use crate::metrics::Metrics;
use crate::store::tables::{self, TransactionError};
use everypath_protocol::ledger::{BUFFER_FILE, LedgerEntry};
use redb::{Builder, Database, DatabaseError, StorageError};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// redb's default is 1 GiB; an agent's working set is the last few blocks.
const CACHE_BYTES: usize = 2 * 1024 * 1024;
/// What a damaged file's name begins with; the time follows. One is kept, for whoever wants to look into it.
pub(crate) const DAMAGED_PREFIX: &str = "buffer.redb.damaged-";

/// Why the buffer cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenStoreError {
    /// Two agents with one data directory would be one agent twice.
    #[error("{} is in use: another mesh-agent runs with this data directory. Stop it first, or give this one a --data-dir of its own", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The disk refuses.
    #[error("cannot open the buffer {}: {why}", path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// What the disk said.
        why: String,
    },
    /// See there.
    #[error(transparent)]
    File(#[from] FileError),
    /// The operating system gives no thread.
    #[error("cannot start the thread of the buffer: {0}")]
    NoThread(io::Error),
}

/// What came of opening.
pub(crate) enum Found {
    Usable(Database),
    /// It was set aside or never existed; this one is empty.
    Fresh(Database),
}

/// Opens the buffer; makes it if it is not there; sets it aside and makes a new one if it cannot be read.
pub(crate) fn open(dir: &Path, metrics: &Metrics) -> Result<Found, OpenStoreError> {
    let path = dir.join(BUFFER_FILE);
    // The rest of a start that was cut off before the rename; never the only copy of anything.
    let _ = fs::remove_file(tmp_of(&path));
    if !path.exists() {
        return create(&path).map(Found::Fresh);
    }
    match open_existing(&path) {
        Ok(database) => Ok(Found::Usable(database)),
        Err(Refused::InUse) => Err(OpenStoreError::InUse { path }),
        Err(Refused::Disk(why)) => Err(OpenStoreError::Disk { path, why }),
        Err(Refused::Damaged(why)) => {
            set_aside(dir, &path)?;
            metrics.store_resets.inc();
            tracing::error!(
                file = %path.display(), why,
                "the buffer cannot be read; it was set aside and a new one is begun. Results in it that were not yet sent are lost"
            );
            create(&path).map(Found::Fresh)
        }
    }
}

/// The accounts in a buffer that no agent has open. Nothing is set aside.
pub(crate) fn accounts(dir: &Path) -> Result<Vec<LedgerEntry>, OpenStoreError> {
    let path = dir.join(BUFFER_FILE);
    let disk = |why: String| OpenStoreError::Disk { path: path.clone(), why };
    let database = match open_existing(&path) {
        Ok(database) => database,
        Err(Refused::InUse) => return Err(OpenStoreError::InUse { path }),
        Err(Refused::Damaged(why) | Refused::Disk(why)) => return Err(disk(why)),
    };
    let read = || -> Result<Vec<LedgerEntry>, TransactionError> { tables::accounts(&database.begin_write()?) };
    read().map_err(|why| disk(why.to_string()))
}

enum Refused {
    InUse,
    Damaged(String),
    Disk(String),
}

fn builder() -> Builder {
    let mut builder = Database::builder();
    // A plain open trusts the pages and may panic later; this reads at most 64 MiB once.
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
    builder
}

fn open_existing(path: &Path) -> Result<Database, Refused> {
    let owned = path.to_owned();
    // redb asserts in places where a damaged file leads it. On a thread of its own a panic is only an answer.
    let opened = std::thread::spawn(move || {
        let database = builder().open(&owned).map_err(refused)?;
        let usable = |database: &Database| -> Result<(), TransactionError> {
            let txn = database.begin_write()?;
            tables::make_all(&txn)?;
            txn.commit()?;
            Ok(())
        };
        usable(&database).map_err(|why| Refused::Damaged(why.to_string()))?;
        Ok(database)
    });
    opened.join().unwrap_or_else(|panic| Err(Refused::Damaged(crate::supervise::reason(panic.as_ref()).to_owned())))
}

fn refused(error: DatabaseError) -> Refused {
    let text = error.to_string();
    if matches!(error, DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch) {
        return Refused::InUse;
    }
    // Of errors of the operating system these are what redb says of a file that is not one of its own, or ends early.
    let is_content = |why: &io::Error| matches!(why.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof);
    if let DatabaseError::Storage(StorageError::Io(why)) = &error
        && !is_content(why)
    {
        return Refused::Disk(text);
    }
    Refused::Damaged(text)
}

fn tmp_of(path: &Path) -> PathBuf {
    path.with_file_name(format!("{BUFFER_FILE}.tmp"))
}

/// A file that is complete before it has its name: a crash in between leaves nothing that cannot be opened.
fn create(path: &Path) -> Result<Database, OpenStoreError> {
    let tmp = tmp_of(path);
    let disk = |why: &dyn std::fmt::Display| OpenStoreError::Disk { path: path.to_owned(), why: why.to_string() };
    let database = builder().create(&tmp).map_err(|why| disk(&why))?;
    let fill = || -> Result<(), TransactionError> {
        let mut txn = database.begin_write()?;
        txn.set_quick_repair(true);
        tables::make_all(&txn)?;
        txn.commit()?;
        Ok(())
    };
    fill().map_err(|why| disk(&why))?;
    drop(database);
    File::open(&tmp).and_then(|file| file.sync_all()).map_err(FileError::io("sync", &tmp))?;
    files::rename_durably(&tmp, path)?;
    builder().open(path).map_err(|why| disk(&why))
}

fn set_aside(dir: &Path, path: &Path) -> Result<(), FileError> {
    let older = fs::read_dir(dir).into_iter().flatten().flatten();
    for file in older.filter(|file| file.file_name().to_string_lossy().starts_with(DAMAGED_PREFIX)) {
        let _ = fs::remove_file(file.path());
    }
    let name = format!("{DAMAGED_PREFIX}{}", clock::wall().0 / 1_000_000);
    files::rename_durably(path, &path.with_file_name(name))
}
