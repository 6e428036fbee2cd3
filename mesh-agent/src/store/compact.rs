//! A file that held a long backlog keeps its size when it is drained; this gives the room back.

use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::store::file::Place;
use crate::store::tables::TransactionError;
use everypath_protocol::time::{MonoTime, Span};
use redb::Database;
use std::panic::AssertUnwindSafe;

/// A smaller file is not worth the writes.
const FILE_BYTES_MIN: u64 = 8 * 1024 * 1024;
/// The file must be this many times what lives in it.
const TIMES_LIVE: u64 = 4;
/// Moving what lives is what takes time; with this limit it is a second or two on a slow disk, during which blocks wait in
/// memory.
const LIVE_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// It is looked at this often at most.
const PAUSE: Span = Span::seconds(60);

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Compactor {
    looked_at: Option<MonoTime>,
}

impl Compactor {
    /// Compacts if nothing waits and it is worth it. `compact` of redb may leave a handle of no use; then it is the next
    /// commit that fails, and opens the file anew.
    pub(crate) fn turn(&mut self, now: MonoTime, place: &Place, database: &mut Database, metrics: &Metrics) {
        let bytes = place.disk.bytes(&place.buffer()).ok().flatten().unwrap_or(0);
        let is_too_soon = self.looked_at.is_some_and(|at| now < at + PAUSE);
        if bytes <= FILE_BYTES_MIN || is_too_soon {
            return;
        }
        self.looked_at = Some(now);
        let clock = Clock::start();
        let done = std::panic::catch_unwind(AssertUnwindSafe(|| -> Result<bool, TransactionError> {
            let live = live_bytes(database)?;
            let is_worth_it = live <= LIVE_BYTES_MAX && bytes / TIMES_LIVE > live;
            Ok(is_worth_it && database.compact()?)
        }));
        match done {
            Ok(Ok(true)) => {
                metrics.store_compactions.inc();
                let after = place.disk.bytes(&place.buffer()).ok().flatten().unwrap_or(0);
                let took_ms = clock.mono().since(MonoTime(0)).as_millis();
                tracing::info!(bytes_before = bytes, bytes_after = after, took_ms, "the buffer was compacted");
            }
            Ok(Ok(false)) => {}
            Ok(Err(why)) => tracing::warn!(%why, "the buffer could not be compacted; it is tried again in a minute"),
            Err(_) => tracing::warn!("compacting the buffer panicked; it is tried again in a minute"),
        }
    }
}

fn live_bytes(database: &Database) -> Result<u64, TransactionError> {
    let txn = database.begin_write()?;
    let stats = txn.stats()?;
    let live = stats.stored_bytes().saturating_add(stats.metadata_bytes());
    txn.abort()?;
    Ok(live)
}
