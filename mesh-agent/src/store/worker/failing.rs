//! While the disk does not take what waits: when it is tried again, what goes first on a full disk, and who is answered meanwhile.

use super::{FULL_BELOW, Worker};
use crate::store::file;
use crate::store::perform::{Progress, perform};
use crate::store::reserve;
use crate::store::tables::TransactionError;
use everypath_protocol::time::{MonoTime, Span};
use std::panic::AssertUnwindSafe;

/// Pause before a failed commit is tried again with the file opened anew.
const RETRY_PAUSE: Span = Span::seconds(1);
/// A file that can be opened and still not be used this often in a row is set aside.
const UNUSABLE_MAX: u32 = 3;

/// The disk does not take what waits.
#[derive(Debug)]
pub(super) struct Failing {
    since: MonoTime,
    pub(super) next_try: MonoTime,
    pub(super) why: String,
    /// Failures in a row that are not the disk's.
    unusable: u32,
}

impl Failing {
    /// Why the file must be set aside, if it must.
    pub(super) fn is_unusable(&self) -> Option<String> {
        (self.unusable >= UNUSABLE_MAX).then(|| self.why.clone())
    }
}

impl Worker {
    pub(super) fn failed(&mut self, now: MonoTime, why: &TransactionError) {
        self.metrics.store_retries.inc();
        self.database = None;
        self.to_read = None;
        let failing = self.failing.get_or_insert_with(|| {
            tracing::warn!(%why, "the buffer could not be written; it is tried again every second with the file opened anew");
            Failing { since: now, next_try: now, why: String::new(), unusable: 0 }
        });
        failing.why = why.to_string();
        failing.next_try = now + RETRY_PAUSE;
        failing.unusable = if why.is_disk() { 0 } else { failing.unusable + 1 };
        let space = self.place.disk.space(&self.place.dir).ok();
        if why.is_full() || space.is_some_and(|space| space.free < FULL_BELOW) {
            self.metrics.store_disk_full.inc();
            self.commit_acknowledgements();
        }
    }

    /// On a full disk what makes room goes first. What is acknowledged is altered by nothing that waits.
    fn commit_acknowledgements(&mut self) {
        let discards = self.queue.take_discards();
        if discards.is_empty() {
            return;
        }
        reserve::give_up(&self.place);
        let tried =
            self.reopen(None).and_then(|()| self.transact(|worker, txn| worker.perform_all(txn, discards.iter())));
        match tried {
            Ok((_, _, accounts)) => self.learn(accounts),
            Err(_) => self.queue.put_back(discards),
        }
        self.database = None;
        // New blocks must not take the room of the next acknowledgement.
        reserve::take_back(&self.place);
    }

    pub(super) fn recover(&mut self) {
        if let Some(failing) = self.failing.take() {
            let seconds = self.clock.mono().since(failing.since).as_seconds();
            tracing::info!(seconds, "the buffer can be written again");
            self.metrics.store_failing.set(0);
        }
    }

    /// What needs no writing, while writing fails.
    pub(super) fn answer_readers(&mut self) {
        if !self.queue.has_readers() {
            return;
        }
        if self.to_read.is_none() {
            // If it cannot even be read, everyone waits.
            self.to_read = file::open_to_read(&self.place).ok();
        }
        let Some(database) = &self.to_read else { return };
        let mut answered = Vec::new();
        for (place, reader) in self.queue.readers().into_iter().rev() {
            let answer = std::panic::catch_unwind(AssertUnwindSafe(|| {
                let txn = database.begin_write()?;
                let mut progress = Progress::default();
                let answer = perform(&txn, reader, &self.mender, &self.metrics, &mut progress)?;
                txn.abort()?;
                // Mending must be on disk before it is shown to anyone.
                Ok::<_, TransactionError>((progress.damaged == 0).then_some(answer))
            }));
            if let Ok(Ok(Some(answer))) = answer {
                answered.push((place, answer));
            }
        }
        self.queue.answer(answered);
    }
}
