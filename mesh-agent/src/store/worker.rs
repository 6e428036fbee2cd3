//! The thread that owns the file: takes orders, commits what waits together, and does not give up on a bad disk.
//!
//! 1. Everything that waits is one transaction. If the disk refuses it, it is tried again every second with the file opened
//!    anew, because redb's handle is of no use after an error.
//! 2. Meanwhile what needs no writing goes on: stretches that are whole on disk and that no waiting change alters can be
//!    read, accounts can be asked for, and the process can end. So results that are on disk are still sent.
//! 3. On a full disk acknowledgements are let through first, because they make room. The reserve is given up for them, and
//!    what is left of it taken back at once.

mod failing;

use self::failing::Failing;
use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::store::disk::Space;
use crate::store::file::{self, OpenStoreError, Place};
use crate::store::load::{self, Loaded};
use crate::store::marks::Marks;
use crate::store::mend::Mender;
use crate::store::perform::{Answer, Progress, answer_to, perform};
use crate::store::queue::Queue;
use crate::store::salvage::Known;
use crate::store::tables::{LEDGER, TransactionError, account};
use crate::store::{DiskState, Opened, Order, PersistedMarks, compact, ops, reserve};
use everypath_protocol::codec;
use everypath_protocol::id::{BootId, Epoch, Seq};
use everypath_protocol::ledger::LedgerEntry;
use everypath_protocol::time::{MonoTime, Span};
use mesh_agent_core::effect::PersistOp;
use redb::{Database, WriteTransaction};
use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// With less free than this the disk is full for redb, whatever its errors say.
const FULL_BELOW: u64 = 256 * 1024;
/// Looked after this often: room on the disk, the reserve, the size of the file.
const CARE_INTERVAL: Span = Span::seconds(5);
/// Epochs of which the highest number on disk is told.
const MARKS_MAX: usize = 64;
/// See the module.
pub(crate) struct Worker {
    place: Place,
    mender: Mender,
    clock: Clock,
    metrics: Metrics,
    /// `None` after a failure, until it is opened again.
    database: Option<Database>,
    /// While writing fails: the file as it was when it failed, to be read.
    to_read: Option<Database>,
    /// What must be in a new file if this one is lost.
    known: Known,
    queue: Queue,
    failing: Option<Failing>,
    marks: Marks,
    space: Option<Space>,
    is_low: bool,
    cared_at: MonoTime,
    compactor: compact::Compactor,
}

/// What a round has brought.
#[derive(Debug, Default)]
pub(crate) struct Round {
    /// Newly on disk.
    pub(crate) marks: PersistedMarks,
    /// The last order of all was taken.
    pub(crate) is_closed: bool,
}

impl Worker {
    pub(crate) fn open(
        place: Place,
        boot: BootId,
        clock: Clock,
        metrics: Metrics,
    ) -> Result<(Self, Opened), OpenStoreError> {
        let mender = Mender { boot, clock };
        let mut worker = Self {
            place,
            mender,
            clock,
            metrics,
            database: None,
            to_read: None,
            known: Known::default(),
            queue: Queue::default(),
            failing: None,
            marks: Marks::default(),
            space: None,
            is_low: false,
            cared_at: MonoTime(0),
            compactor: compact::Compactor::default(),
        };
        let loaded = worker.load_or_mend()?;
        worker.known = Known {
            incarnation: loaded.opened.incarnation,
            accounts: loaded.accounts,
            config: loaded.opened.config.as_ref().map(codec::encode),
        };
        worker.marks.note(&worker.place, &worker.known.accounts);
        worker.note_damage(loaded.damaged);
        worker.care(clock.mono());
        Ok((worker, loaded.opened))
    }

    /// Opens and reads everything. A full disk gets the reserve; a file that can be opened and not be read is set aside.
    fn load_or_mend(&mut self) -> Result<Loaded, OpenStoreError> {
        let mut is_unusable = None;
        let mut attempts = 0;
        loop {
            attempts += 1;
            let opened = self.reopen(is_unusable.take());
            let tried = opened.and_then(|()| self.transact(|worker, txn| Ok((load::load(txn, &worker.mender)?, true))));
            let why = match tried {
                Ok(loaded) => return Ok(loaded),
                Err(why) => why,
            };
            self.database = None;
            let is_disk = why.is_disk();
            let may_try_again = attempts < 3 && (!is_disk || self.make_room(why.is_full()));
            if !may_try_again {
                let text = why.to_string();
                let TransactionError::Open(why) = why else {
                    return Err(OpenStoreError::Disk { path: self.place.buffer(), why: text });
                };
                return Err(*why);
            }
            if !is_disk {
                is_unusable = Some(why.to_string());
            }
        }
    }

    /// Gives the reserve up if the disk is full. Returns whether that made room.
    fn make_room(&self, is_full: bool) -> bool {
        let is_full = is_full || self.place.disk.space(&self.place.dir).is_ok_and(|space| space.free < FULL_BELOW);
        is_full && reserve::give_up(&self.place)
    }

    pub(crate) fn run(
        mut self,
        mut orders: mpsc::Receiver<Order>,
        marks: &watch::Sender<PersistedMarks>,
        state: &watch::Sender<DiskState>,
    ) {
        // For waiting on a channel and a time at once.
        let timer = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let timer = timer.expect("a runtime with nothing but a timer asks nothing of the system");
        loop {
            let wait = Duration::from_nanos(self.wakes_at().since(self.clock.mono()).0);
            if self.queue.is_full() {
                // Whoever has more waits: see the constant.
                timer.block_on(tokio::time::sleep(wait));
            } else {
                match timer.block_on(async { tokio::time::timeout(wait, orders.recv()).await }) {
                    Ok(Some(order)) => self.take(order),
                    // Everyone who could ask is gone.
                    Ok(None) => self.queue.close(),
                    Err(_) => {}
                }
            }
            while !self.queue.is_full()
                && let Ok(order) = orders.try_recv()
            {
                self.take(order);
            }
            let round = self.round();
            if !round.marks.is_empty() {
                marks.send_modify(|known| merge(known, round.marks));
            }
            state.send_if_modified(|told| replace(told, self.state()));
            if round.is_closed {
                return;
            }
        }
    }

    /// Takes one order in.
    pub(crate) fn take(&mut self, order: Order) {
        if self.failing.is_some() && matches!(order, Order::Remember(_)) {
            // It will be heard of again.
            self.metrics.queue_full.with_label_values(&["remember"]).inc();
            return;
        }
        self.queue.push(order);
    }

    /// Does what can be done now.
    pub(crate) fn round(&mut self) -> Round {
        let now = self.clock.mono();
        let mut round = Round::default();
        let is_last = self.queue.has_close();
        let may_try = self.failing.as_ref().is_none_or(|failing| now >= failing.next_try);
        if (may_try || is_last) && !self.queue.is_empty() {
            match self.commit() {
                Ok(marks) => round.marks = marks,
                Err(why) => self.failed(now, &why),
            }
        }
        if self.failing.is_some() {
            self.answer_readers();
            self.metrics.store_failing.set(1);
        }
        if now >= self.cared_at + CARE_INTERVAL {
            self.care(now);
        }
        if is_last {
            self.let_go();
            round.is_closed = true;
        }
        round
    }

    fn wakes_at(&self) -> MonoTime {
        let care = self.cared_at + CARE_INTERVAL;
        self.failing.as_ref().map_or(care, |failing| care.min(failing.next_try))
    }

    /// Everything that waits in one transaction; answered only after it.
    fn commit(&mut self) -> Result<PersistedMarks, TransactionError> {
        if self.database.is_none() {
            self.reopen(self.failing.as_ref().and_then(Failing::is_unusable))?;
        }
        let orders = self.queue.take_all();
        let tried = self.transact(|worker, txn| worker.perform_all(txn, orders.iter()));
        let (answers, progress, accounts) = match tried {
            Ok(done) => done,
            Err(why) => {
                self.queue.put_back(orders);
                return Err(why);
            }
        };
        self.recover();
        self.learn(accounts);
        for order in &orders {
            if let Order::SaveConfig { bytes, .. } = order {
                self.known.config = Some(bytes.clone());
            }
        }
        self.marks.note(&self.place, &self.known.accounts);
        self.note_damage(progress.damaged);
        self.metrics.store_quarantined_records.inc_by(progress.quarantined);
        // Let go of the file before anyone is told that it is closed.
        if orders.iter().any(|order| matches!(order, Order::Close { .. })) {
            self.database = None;
            self.queue.close();
        }
        for (order, answer) in orders.into_iter().zip(answers) {
            answer_to(order, answer);
        }
        Ok(progress.marks)
    }

    #[expect(clippy::type_complexity, reason = "the three things that a transaction leaves, for one caller")]
    fn perform_all<'orders>(
        &self,
        txn: &WriteTransaction,
        orders: impl Iterator<Item = &'orders Order>,
    ) -> Result<((Vec<Answer>, Progress, Vec<LedgerEntry>), bool), TransactionError> {
        let mut progress = Progress::default();
        let mut answers = Vec::new();
        let mut touched: BTreeSet<Epoch> = BTreeSet::new();
        for order in orders {
            answers.push(perform(txn, order, &self.mender, &self.metrics, &mut progress)?);
            if let Order::Persist(op) = order {
                touched.insert(ops::altered(op).0);
            }
            if let Order::Persist(PersistOp::Renumber { into: epoch, .. }) | Order::Read { epoch, .. } = order {
                touched.insert(*epoch);
            }
        }
        let ledger = txn.open_table(LEDGER)?;
        let accounts = touched.into_iter().map(|epoch| account(&ledger, epoch)).collect::<Result<Vec<_>, _>>()?;
        let is_dirty = progress.is_dirty;
        Ok(((answers, progress, accounts.into_iter().flatten().collect()), is_dirty))
    }

    fn reopen(&mut self, is_unusable: Option<String>) -> Result<(), TransactionError> {
        self.to_read = None;
        self.database = None;
        let opened = file::open(&self.place, &self.known, &self.mender, &self.metrics, is_unusable);
        self.database = Some(opened.map_err(|why| TransactionError::Open(Box::new(why)))?);
        Ok(())
    }

    /// One transaction. `body` says whether there is anything to commit.
    fn transact<T>(
        &self,
        body: impl FnOnce(&Self, &WriteTransaction) -> Result<(T, bool), TransactionError>,
    ) -> Result<T, TransactionError> {
        let database = self.database.as_ref().expect("whoever calls has opened it");
        let attempt = AssertUnwindSafe(|| {
            let mut txn = database.begin_write()?;
            txn.set_quick_repair(true);
            let (outcome, is_dirty) = body(self, &txn)?;
            if is_dirty {
                txn.commit()?;
            } else {
                txn.abort()?;
            }
            Ok(outcome)
        });
        std::panic::catch_unwind(attempt).unwrap_or_else(|panic| {
            Err(TransactionError::Panicked(crate::supervise::reason(panic.as_ref()).to_owned()))
        })
    }

    /// Room, reserve, size.
    pub(crate) fn care(&mut self, now: MonoTime) {
        self.cared_at = now;
        self.space = self.place.disk.space(&self.place.dir).ok();
        self.is_low = self.space.is_some_and(|space| space.is_low(self.is_low));
        if self.failing.is_none() {
            reserve::keep(&self.place, self.space);
            if self.queue.is_empty()
                && let Some(database) = &mut self.database
            {
                self.compactor.turn(now, &self.place, database, &self.metrics);
            }
        }
        self.metrics.store_room_low.set(i64::from(self.is_low));
        let bytes = self.place.disk.bytes(&self.place.buffer()).ok().flatten().unwrap_or(0);
        self.metrics.store_file_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    pub(crate) fn state(&self) -> DiskState {
        DiskState { is_low: self.is_low, failing: self.failing.as_ref().map(|failing| failing.why.clone()) }
    }

    /// Compacts now, for tests of what can go wrong meanwhile.
    #[cfg(test)]
    pub(crate) fn compact_now(&mut self) {
        if self.database.as_mut().is_some_and(|database| database.compact().is_err()) {
            self.database = None;
        }
    }

    fn let_go(&mut self) {
        self.database = None;
        self.to_read = None;
        let unwritten = self.queue.unwritten();
        if unwritten > 0 {
            tracing::error!(blocks = unwritten, "the process ends while the disk takes nothing; these blocks are lost");
        }
        self.queue.answer_close();
    }

    fn learn(&mut self, accounts: Vec<LedgerEntry>) {
        for entry in accounts {
            let is_over = entry.moved_from.is_some();
            match self.known.accounts.iter_mut().find(|known| known.epoch == entry.epoch) {
                Some(known) => *known = entry,
                None if !is_over => self.known.accounts.push(entry),
                None => {}
            }
        }
        // A drained epoch may still grow if it is the newest.
        let newest = self.known.accounts.len().saturating_sub(1);
        let mut place = 0;
        self.known.accounts.retain(|entry| {
            let is_newest = place == newest;
            place += 1;
            entry.moved_from.is_none() && (is_newest || !ops::is_drained(entry))
        });
    }

    fn note_damage(&self, damaged: u64) {
        if damaged > 0 {
            self.metrics.store_damaged_records.inc_by(damaged);
            tracing::error!(records = damaged, "records in the buffer were damaged or gone; each is noted as dropped");
        }
    }
}

fn merge(known: &mut PersistedMarks, learned: PersistedMarks) {
    // An agent has at most 16 undrained epochs; the marks of older ones have long been seen.
    if known.len() > MARKS_MAX {
        known.retain(|epoch, _| learned.contains_key(epoch));
    }
    for (epoch, last) in learned {
        let mark: &mut Seq = known.entry(epoch).or_default();
        *mark = (*mark).max(last);
    }
}

fn replace(told: &mut DiskState, state: DiskState) -> bool {
    let is_news = *told != state;
    *told = state;
    is_news
}
