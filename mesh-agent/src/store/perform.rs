//! One order within a transaction, and its answer.

use crate::metrics::Metrics;
use crate::store::inspect::{self, BufferReport};
use crate::store::mend::Mender;
use crate::store::tables::{self, CONFIG, CONFIG_NEWEST, MEMBERS, NAMES, TOKENS, TransactionError};
use crate::store::{MEMBERS_MAX, Order, PersistedMarks, REDEEMED_MAX, TokenRow, ops};
use everypath_protocol::codec;
use everypath_protocol::id::AgentId;
use everypath_protocol::ledger::LedgerEntry;
use everypath_protocol::member;
use mesh_agent_core::effect::PersistOp;
use redb::{ReadableTable, ReadableTableMetadata, WriteTransaction};

/// A token with everyone it admitted, each with a certificate of about 300 bytes.
const TOKEN_BYTES_MAX: usize = REDEEMED_MAX * 1024;

pub(crate) enum Answer {
    Done,
    Bytes(Vec<u8>),
    Ledger(Vec<LedgerEntry>),
    Token(Option<TokenRow>),
    Owner(Option<AgentId>),
    Report(Box<BufferReport>),
}

/// What a group of orders does to the file.
#[derive(Default)]
pub(crate) struct Progress {
    /// There is something to commit.
    pub(crate) is_dirty: bool,
    /// What will be on disk.
    pub(crate) marks: PersistedMarks,
    /// Numbers given up for damage.
    pub(crate) damaged: u64,
    /// Records put into quarantine.
    pub(crate) quarantined: u64,
}

pub(crate) fn perform(
    txn: &WriteTransaction,
    order: &Order,
    mender: &Mender,
    metrics: &Metrics,
    progress: &mut Progress,
) -> Result<Answer, TransactionError> {
    Ok(match order {
        Order::Persist(op) => {
            progress.is_dirty = true;
            progress.damaged += ops::apply(txn, op, mender, &mut progress.marks)?;
            progress.quarantined += u64::from(matches!(op, PersistOp::Quarantine { .. }));
            Answer::Done
        }
        Order::Remember(member) => {
            let mut members = txn.open_table(MEMBERS)?;
            let owner = member::owner(member);
            if members.len()? < MEMBERS_MAX || members.get(&owner.0)?.is_some() {
                progress.is_dirty = true;
                members.insert(&owner.0, codec::encode(member.signed()).as_slice())?;
            } else {
                metrics.queue_full.with_label_values(&["members"]).inc();
            }
            Answer::Done
        }
        Order::Read { epoch, first, last, .. } => {
            let whole = mender.whole(txn, *epoch, *first, *last)?;
            progress.is_dirty |= whole.damaged > 0;
            progress.damaged += whole.damaged;
            Answer::Bytes(whole.blocks.into_iter().flat_map(|(_, bytes)| bytes).collect())
        }
        Order::Ledger { .. } => Answer::Ledger(tables::accounts(txn)?),
        Order::Report { .. } => Answer::Report(Box::new(inspect::report(txn)?)),
        Order::Token { id, .. } => {
            let tokens = txn.open_table(TOKENS)?;
            let row = tokens.get(&id.0)?;
            Answer::Token(row.and_then(|bytes| codec::decode(bytes.value(), TOKEN_BYTES_MAX).ok()))
        }
        Order::SaveConfig { bytes, .. } => {
            progress.is_dirty = true;
            txn.open_table(CONFIG)?.insert(CONFIG_NEWEST, bytes.as_slice())?;
            Answer::Done
        }
        Order::SaveToken { id, row, name, .. } => {
            progress.is_dirty = true;
            txn.open_table(TOKENS)?.insert(&id.0, codec::encode::<TokenRow>(row).as_slice())?;
            if let Some((name, agent)) = name {
                txn.open_table(NAMES)?.insert(name.as_str(), &agent.0)?;
            }
            Answer::Done
        }
        Order::NameOwner { name, .. } => {
            let names = txn.open_table(NAMES)?;
            let owner = names.get(name.as_str())?;
            Answer::Owner(owner.map(|agent| AgentId(*agent.value())))
        }
        Order::Flush { .. } | Order::Close { .. } => Answer::Done,
    })
}

/// Whoever asked may have stopped waiting; then nobody needs the answer.
pub(crate) fn answer_to(order: Order, answer: Answer) {
    match (order, answer) {
        (Order::Read { reply, .. }, Answer::Bytes(bytes)) => drop(reply.send(bytes)),
        (Order::Ledger { reply }, Answer::Ledger(entries)) => drop(reply.send(entries)),
        (Order::Report { reply }, Answer::Report(report)) => drop(reply.send(*report)),
        (Order::Token { reply, .. }, Answer::Token(row)) => drop(reply.send(row)),
        (Order::NameOwner { reply, .. }, Answer::Owner(owner)) => drop(reply.send(owner)),
        (
            Order::Flush { reply }
            | Order::Close { reply }
            | Order::SaveToken { reply, .. }
            | Order::SaveConfig { reply, .. },
            _,
        ) => drop(reply.send(())),
        _ => {}
    }
}
