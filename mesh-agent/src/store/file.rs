//! Making, opening and setting aside the buffer file.
//!
//! | file | for |
//! |---|---|
//! | `buffer.redb` | the buffer; it has this name only when it is complete |
//! | `buffer.redb.tmp` | one that is being made; never the only copy of anything |
//! | `buffer.redb.damaged-TIME` | one that could not be read; what could be saved of it is in the buffer. One is kept |
//! | `buffer.reserve` | see [`super::reserve`] |
//! | `buffer.marks` | see [`super::marks`] |

use crate::clock;
use crate::files::{self, FileError};
use crate::metrics::Metrics;
use crate::store::disk::{Disk, Handle, How, RealDisk};
use crate::store::marks;
use crate::store::mend::Mender;
use crate::store::overlay::Overlay;
use crate::store::salvage::{Known, Salvage};
use crate::store::tables::{self, TransactionError};
use crate::text;
use everypath_protocol::ledger::BUFFER_FILE;
use redb::{Builder, Database, DatabaseError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// redb's default is 1 GiB; an agent's working set is the last few blocks.
const CACHE_BYTES: usize = 2 * 1024 * 1024;
/// What a damaged file's name begins with; the time follows. One is kept, for whoever wants to look into it.
pub(crate) const DAMAGED_PREFIX: &str = "buffer.redb.damaged-";
/// A larger one is not kept: it would take the disk's room from the buffer.
const DAMAGED_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Why the buffer cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenStoreError {
    /// Two agents with one data directory would be one agent twice.
    #[error("{} is in use: another mesh-agent runs with this data directory. Stop it first, or give this one a --data-dir of its own", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// An agent has it open, and somebody else wants to read it.
    #[error("{} is held by the mesh-agent that runs with this data directory, and nobody else can read it meanwhile. `mesh-agent buffer status` asks the running agent; for `mesh-agent buffer verify` stop the agent first", path.display())]
    Held {
        /// The file.
        path: PathBuf,
    },
    /// The disk refuses. The file is as it was.
    #[error("cannot open the buffer {}: {why}. Nothing in it was changed{}", path.display(), disk_advice(why))]
    Disk {
        /// The file.
        path: PathBuf,
        /// What the disk said.
        why: String,
    },
    /// Nothing of it can be read, by somebody who may not set it aside.
    #[error("the buffer {} cannot be read: {why}. The agent sets it aside at its next start and saves what it can", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// There is none.
    #[error("{} has no buffer: no agent has run with this data directory. Name the one of the agent with --data-dir", path.display())]
    Missing {
        /// The data directory.
        path: PathBuf,
    },
    /// See there.
    #[error(transparent)]
    File(#[from] FileError),
    /// The operating system gives no thread.
    #[error("cannot start the thread of the buffer: {0}")]
    NoThread(io::Error),
}

/// What may be mended otherwise than by mending the disk.
fn disk_advice(why: &str) -> &'static str {
    match text::os_error(why).map_or("", |why| files::advice(why.kind())) {
        "" => "; mend the disk, or make room on it, and start again",
        advice => advice,
    }
}

/// Where the buffer lies.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: PathBuf,
}

impl Place {
    pub(crate) fn real(dir: &Path) -> Self {
        Self { disk: Arc::new(RealDisk), dir: dir.to_owned() }
    }

    pub(crate) fn buffer(&self) -> PathBuf {
        self.dir.join(BUFFER_FILE)
    }

    fn tmp(&self) -> PathBuf {
        self.dir.join(format!("{BUFFER_FILE}.tmp"))
    }

    /// Files that were set aside, the newest last.
    pub(crate) fn damaged(&self) -> Vec<PathBuf> {
        let mut names = self.disk.names(&self.dir).unwrap_or_default();
        names.retain(|name| name.starts_with(DAMAGED_PREFIX));
        names.sort();
        names.into_iter().map(|name| self.dir.join(name)).collect()
    }

    fn refuses(&self, why: impl ToString) -> OpenStoreError {
        OpenStoreError::Disk { path: self.buffer(), why: why.to_string() }
    }
}

/// Opens the buffer; makes it if it is not there; sets it aside and makes a new one, with everything that can be saved, if
/// it cannot be read, or if `is_unusable` says so.
pub(crate) fn open(
    place: &Place,
    known: &Known,
    mender: &Mender,
    metrics: &Metrics,
    is_unusable: Option<String>,
) -> Result<Database, OpenStoreError> {
    let path = place.buffer();
    // The rest of a start that was cut off before the rename.
    let _ = place.disk.remove(&place.tmp());
    let Some(_) = place.disk.bytes(&path).map_err(|why| place.refuses(why))? else {
        // Cut off while one was set aside, or there never was one.
        let aside = place.damaged().pop();
        return make(place, known, mender, metrics, aside.as_deref());
    };
    let opened = match is_unusable {
        Some(why) => Err(Refused::Damaged(why)),
        None => open_existing(place, Access::ReadWrite),
    };
    match opened {
        Ok(database) => Ok(database),
        Err(Refused::InUse) => Err(OpenStoreError::InUse { path }),
        Err(Refused::Disk(why)) => Err(place.refuses(why)),
        Err(Refused::Damaged(why)) => {
            tracing::error!(file = %path.display(), why, "the buffer cannot be read; it is set aside and a new one is begun");
            let aside = set_aside(place).map_err(|why| place.refuses(why))?;
            make(place, known, mender, metrics, Some(&aside))
        }
    }
}

/// Opens the buffer to be read, whatever the disk says to writes: what redb writes stays in memory.
pub(crate) fn open_to_read(place: &Place) -> Result<Database, OpenStoreError> {
    let path = place.buffer();
    if place.disk.bytes(&path).map_err(|why| place.refuses(why))?.is_none() {
        return Err(OpenStoreError::Missing { path: place.dir.clone() });
    }
    match open_existing(place, Access::Read) {
        Ok(database) => Ok(database),
        Err(Refused::InUse) => Err(OpenStoreError::Held { path }),
        Err(Refused::Disk(why)) => Err(place.refuses(why)),
        Err(Refused::Damaged(why)) => Err(OpenStoreError::Damaged { path, why }),
    }
}

enum Refused {
    InUse,
    Damaged(String),
    Disk(String),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Read,
    ReadWrite,
}

fn builder() -> Builder {
    let mut builder = Database::builder();
    // A plain open trusts the pages and may panic later; this reads at most 64 MiB once.
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
    builder
}

fn open_existing(place: &Place, access: Access) -> Result<Database, Refused> {
    let disk = |why: io::Error| Refused::Disk(why.to_string());
    let file = place.disk.open(&place.buffer(), How::Existing).map_err(disk)?;
    // redb would take an empty file for one that is to be made.
    if file.len().map_err(disk)? == 0 {
        return Err(Refused::Damaged("the file is empty".to_owned()));
    }
    let file = match access {
        Access::Read => Handle(Box::new(Overlay::new(file).map_err(disk)?)),
        Access::ReadWrite => Handle(file),
    };
    // redb asserts in places where a damaged file leads it. On a thread of its own a panic is only an answer.
    let opened = std::thread::spawn(move || {
        let database = builder().create_with_backend(file).map_err(refused)?;
        let usable = |database: &Database| -> Result<(), TransactionError> {
            let txn = database.begin_write()?;
            if tables::make_all(&txn)? {
                txn.commit()?;
            } else {
                txn.abort()?;
            }
            Ok(())
        };
        usable(&database).map_err(|why| match why.is_disk() {
            true => Refused::Disk(why.to_string()),
            false => Refused::Damaged(why.to_string()),
        })?;
        Ok(database)
    });
    opened.join().unwrap_or_else(|panic| Err(Refused::Damaged(crate::supervise::reason(panic.as_ref()).to_owned())))
}

fn refused(error: DatabaseError) -> Refused {
    let text = error.to_string();
    if matches!(error, DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch) {
        return Refused::InUse;
    }
    let is_disk = matches!(&error, DatabaseError::Storage(why) if tables::is_disk(why));
    if is_disk { Refused::Disk(text) } else { Refused::Damaged(text) }
}

/// A new buffer that is complete before it has its name: a crash in between leaves nothing that cannot be opened. What can
/// be saved of `aside` is in it from the start.
fn make(
    place: &Place,
    known: &Known,
    mender: &Mender,
    metrics: &Metrics,
    aside: Option<&Path>,
) -> Result<Database, OpenStoreError> {
    let (path, tmp) = (place.buffer(), place.tmp());
    let marks = marks::read(place);
    let salvage = aside.and_then(|aside| place.disk.open(aside, How::Existing).ok()).map(Salvage::scan);
    let filled = || -> Result<_, TransactionError> {
        let file = place.disk.open(&tmp, How::New).map_err(redb::StorageError::from)?;
        let database = builder().create_with_backend(Handle(file))?;
        let mut txn = database.begin_write()?;
        txn.set_quick_repair(true);
        tables::make_all(&txn)?;
        let saved = known.restore(&txn, salvage.as_ref(), &marks, mender)?;
        txn.commit()?;
        Ok(saved)
    };
    let saved = filled().map_err(|why| {
        let _ = place.disk.remove(&tmp);
        place.refuses(why)
    })?;
    let named = place.disk.sync(&tmp).and_then(|()| place.disk.rename(&tmp, &path));
    named.and_then(|()| place.disk.sync_dir(&place.dir)).map_err(|why| place.refuses(why))?;
    if let Some(saved) = saved {
        metrics.store_resets.inc();
        metrics.store_salvaged_records.inc_by(saved.records);
        metrics.store_damaged_records.inc_by(saved.lost);
        tracing::error!(
            note = "buffer_reset",
            records_saved = saved.records,
            records_lost = saved.lost,
            epochs = saved.epochs,
            "a new buffer was begun with what could be saved; each number that is known to be lost is noted as dropped"
        );
    }
    tidy_aside(place, aside);
    let file = place.disk.open(&path, How::Existing).map_err(|why| place.refuses(why))?;
    builder().create_with_backend(Handle(file)).map_err(|why| place.refuses(why))
}

/// Gives the buffer a name under which nobody opens it. Older ones go.
fn set_aside(place: &Place) -> io::Result<PathBuf> {
    let older = place.damaged();
    // Names ascend even if the clock was set back, so that the newest is the last.
    let after = older.iter().filter_map(|path| path.to_str()?.rsplit('-').next()?.parse().ok()).max().unwrap_or(0);
    let time = (clock::wall().0 / 1_000_000).max(after + 1);
    let aside = place.dir.join(format!("{DAMAGED_PREFIX}{time:012}"));
    place.disk.rename(&place.buffer(), &aside)?;
    place.disk.sync_dir(&place.dir)?;
    Ok(aside)
}

/// Keeps the newest damaged file, if it is not too large and there is room.
fn tidy_aside(place: &Place, kept: Option<&Path>) {
    let has_room = place.disk.space(&place.dir).is_ok_and(|space| !space.is_low(false));
    for path in place.damaged() {
        let is_small = place.disk.bytes(&path).ok().flatten().is_some_and(|bytes| bytes <= DAMAGED_BYTES_MAX);
        if Some(path.as_path()) != kept || !is_small || !has_room {
            let _ = place.disk.remove(&path);
        }
    }
}
