//! The thread that owns the file: takes orders, commits what waits together, and does not give up on a bad disk.

use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::store::file::{self, Found, OpenStoreError};
use crate::store::mend::{Mender, Whole};
use crate::store::ops;
use crate::store::tables::{self, INCARNATION, LEDGER, MEMBERS, META, NAMES, ORDER, TOKENS, TransactionError, account};
use crate::store::{MEMBERS_MAX, Opened, Order, PersistedMarks, TokenRow};
use everypath_protocol::block::Content;
use everypath_protocol::codec;
use everypath_protocol::id::{BootId, Epoch, Incarnation, Seq};
use everypath_protocol::ledger::LedgerEntry;
use everypath_protocol::member::{self, MemberRecord};
use everypath_protocol::record::Record;
use everypath_protocol::sign::{Document, Signed};
use mesh_agent_core::Resume;
use mesh_agent_core::params::{StoredBlock, StoredEpoch};
use redb::{Database, ReadableTable, ReadableTableMetadata, WriteTransaction};
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Pause before a failed commit is tried again with the file opened anew.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// Most orders in one transaction: what fits in the channel, so that a burst costs one commit.
const GROUP_MAX: usize = super::ORDERS_MAX;
/// Epochs of which the highest number on disk is told.
const MARKS_MAX: usize = 64;
/// A member record with its signature.
const MEMBER_BYTES_MAX: usize = MemberRecord::BYTES_MAX + 256;
/// A token with everyone it admitted, each with a certificate of about 300 bytes.
const TOKEN_BYTES_MAX: usize = super::REDEEMED_MAX * 1024;

/// See the module.
pub(crate) struct Worker {
    dir: PathBuf,
    /// `None` after a failure, until it is opened again.
    database: Option<Database>,
    mender: Mender,
    metrics: Metrics,
}

impl Worker {
    pub(crate) fn open(
        dir: &Path,
        boot: BootId,
        clock: Clock,
        metrics: Metrics,
    ) -> Result<(Self, Opened), OpenStoreError> {
        let (Found::Usable(database) | Found::Fresh(database)) = file::open(dir, &metrics)?;
        let mender = Mender { boot, clock };
        let mut worker = Self { dir: dir.to_owned(), database: Some(database), mender, metrics };
        let opened = worker.transact(|worker, txn| worker.load(txn)).map_err(|why| OpenStoreError::Disk {
            path: dir.join(everypath_protocol::ledger::BUFFER_FILE),
            why: why.to_string(),
        })?;
        Ok((worker, opened))
    }

    pub(crate) fn run(mut self, mut orders: mpsc::Receiver<Order>, marks: &watch::Sender<PersistedMarks>) {
        while let Some(first) = orders.blocking_recv() {
            let mut group = vec![first];
            while group.len() < GROUP_MAX {
                let Ok(next) = orders.try_recv() else { break };
                group.push(next);
            }
            let (answers, learned) = self.until_committed(&group);
            if !learned.is_empty() {
                marks.send_modify(|known| merge(known, learned));
            }
            let is_last = group.iter().any(|order| matches!(order, Order::Close { .. }));
            if is_last {
                // Let go of the file before anyone is told so.
                self.database = None;
                orders.close();
            }
            for (order, answer) in group.into_iter().zip(answers) {
                answer_to(order, answer);
            }
            if is_last {
                return;
            }
        }
    }

    /// One transaction for all of `group`, tried until the disk takes it. There is nothing better to do: the driver waits
    /// behind the full channel, the agent counts what it cannot hand over, and the metric says why.
    fn until_committed(&mut self, group: &[Order]) -> (Vec<Answer>, PersistedMarks) {
        loop {
            let tried = self.transact(|worker, txn| {
                let mut marks = PersistedMarks::new();
                let answers = group.iter().map(|order| worker.perform(txn, order, &mut marks));
                let answers = answers.collect::<Result<Vec<_>, _>>()?;
                Ok((answers, marks))
            });
            match tried {
                Ok(done) => return done,
                Err(why) => {
                    self.metrics.store_retries.inc();
                    tracing::warn!(%why, "the buffer could not be written; trying again with the file opened anew");
                    self.database = None;
                    std::thread::park_timeout(RETRY_PAUSE);
                }
            }
        }
    }

    fn transact<T>(
        &mut self,
        body: impl FnOnce(&Self, &WriteTransaction) -> Result<T, TransactionError>,
    ) -> Result<T, TransactionError> {
        if self.database.is_none() {
            let reopened =
                file::open(&self.dir, &self.metrics).map_err(|why| TransactionError::Reopen(why.to_string()))?;
            let (Found::Usable(database) | Found::Fresh(database)) = reopened;
            self.database = Some(database);
        }
        let database = self.database.as_ref().expect("it was opened above");
        let attempt = AssertUnwindSafe(|| {
            let mut txn = database.begin_write()?;
            txn.set_quick_repair(true);
            let outcome = body(self, &txn)?;
            txn.commit()?;
            Ok(outcome)
        });
        std::panic::catch_unwind(attempt).unwrap_or_else(|panic| {
            Err(TransactionError::Panicked(crate::supervise::reason(panic.as_ref()).to_owned()))
        })
    }

    fn perform(
        &self,
        txn: &WriteTransaction,
        order: &Order,
        marks: &mut PersistedMarks,
    ) -> Result<Answer, TransactionError> {
        Ok(match order {
            Order::Persist(op) => {
                ops::apply(txn, op, marks)?;
                Answer::Done
            }
            Order::Remember(member) => {
                let mut members = txn.open_table(MEMBERS)?;
                let owner = member::owner(member);
                if members.len()? < MEMBERS_MAX || members.get(&owner.0)?.is_some() {
                    members.insert(&owner.0, codec::encode(member.signed()).as_slice())?;
                } else {
                    self.metrics.queue_full.with_label_values(&["members"]).inc();
                }
                Answer::Done
            }
            Order::Read { epoch, first, last, .. } => {
                let whole = self.mender.whole(txn, *epoch, *first, *last)?;
                self.note_damage(*epoch, &whole);
                Answer::Bytes(whole.blocks.into_iter().flat_map(|(_, bytes)| bytes).collect())
            }
            Order::Ledger { .. } => Answer::Ledger(tables::accounts(txn)?),
            Order::Token { id, .. } => {
                let tokens = txn.open_table(TOKENS)?;
                let row = tokens.get(&id.0)?;
                Answer::Token(row.and_then(|bytes| codec::decode(bytes.value(), TOKEN_BYTES_MAX).ok()))
            }
            Order::SaveToken { id, row, name, .. } => {
                txn.open_table(TOKENS)?.insert(&id.0, codec::encode::<TokenRow>(row).as_slice())?;
                if let Some((name, agent)) = name {
                    txn.open_table(NAMES)?.insert(name.as_str(), &agent.0)?;
                }
                Answer::Done
            }
            Order::NameOwner { name, .. } => {
                let names = txn.open_table(NAMES)?;
                let owner = names.get(name.as_str())?;
                Answer::Owner(owner.map(|agent| everypath_protocol::id::AgentId(*agent.value())))
            }
            Order::Flush { .. } | Order::Close { .. } => Answer::Done,
        })
    }

    fn note_damage(&self, epoch: Epoch, whole: &Whole) {
        if whole.damaged > 0 {
            self.metrics.store_damaged_records.inc_by(whole.damaged);
            tracing::error!(%epoch, records = whole.damaged, "records in the buffer were damaged or gone; each is noted as dropped");
        }
    }

    fn load(&self, txn: &WriteTransaction) -> Result<Opened, TransactionError> {
        let incarnation = {
            let mut meta = txn.open_table(META)?;
            let before = meta.get(INCARNATION)?.map_or(0, |number| number.value());
            // A new file must still win over what the mesh remembers of this agent, so it begins at the wall clock.
            let now = u64::try_from(self.mender.clock.now().wall.0 / 1_000_000).unwrap_or(0);
            let next = before.saturating_add(1).max(if before == 0 { now } else { 0 });
            meta.insert(INCARNATION, next)?;
            Incarnation(next)
        };
        let epochs: Vec<Epoch> = {
            let order = txn.open_table(ORDER)?;
            order.iter()?.map(|row| row.map(|(_, epoch)| Epoch(epoch.value()))).collect::<Result<_, _>>()?
        };
        let mut resume = Resume::default();
        for epoch in epochs {
            resume.epochs.extend(self.load_epoch(txn, epoch)?);
        }
        let members = txn.open_table(MEMBERS)?;
        let mut remembered: Vec<Signed> = Vec::new();
        for row in members.iter()? {
            remembered.extend(codec::decode(row?.1.value(), MEMBER_BYTES_MAX));
        }
        Ok(Opened { resume, incarnation, members: remembered })
    }

    fn load_epoch(&self, txn: &WriteTransaction, epoch: Epoch) -> Result<Option<StoredEpoch>, TransactionError> {
        let entry = {
            let ledger = txn.open_table(LEDGER)?;
            account(&ledger, epoch)?
        };
        let Some(entry) = entry.filter(|entry| entry.moved_from.is_none() && !ops::is_drained(entry)) else {
            return Ok(None);
        };
        let whole = self.mender.whole(txn, epoch, entry.acked.next(), entry.last)?;
        self.note_damage(epoch, &whole);
        let stored = |(block, bytes): &(everypath_protocol::block::Block, Vec<u8>)| StoredBlock {
            first: block.first,
            last: block.last(),
            bytes: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
            holds_flips: matches!(&block.content, Content::Records(records)
                if records.iter().any(|record| matches!(record, Record::Flip(_)))),
            is_tombstone: matches!(block.content, Content::Dropped { .. }),
        };
        let blocks = whole.blocks.iter().map(stored).collect();
        Ok(Some(StoredEpoch { epoch, acked: entry.acked, last: entry.last, blocks }))
    }
}

enum Answer {
    Done,
    Bytes(Vec<u8>),
    Ledger(Vec<LedgerEntry>),
    Token(Option<TokenRow>),
    Owner(Option<everypath_protocol::id::AgentId>),
}

/// Whoever asked may have stopped waiting; then nobody needs the answer.
fn answer_to(order: Order, answer: Answer) {
    match (order, answer) {
        (Order::Read { reply, .. }, Answer::Bytes(bytes)) => drop(reply.send(bytes)),
        (Order::Ledger { reply }, Answer::Ledger(entries)) => drop(reply.send(entries)),
        (Order::Token { reply, .. }, Answer::Token(row)) => drop(reply.send(row)),
        (Order::NameOwner { reply, .. }, Answer::Owner(owner)) => drop(reply.send(owner)),
        (Order::Flush { reply } | Order::Close { reply } | Order::SaveToken { reply, .. }, _) => drop(reply.send(())),
        _ => {}
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
