//! What must survive a change of the leader, as bytes: one of version, then plain values in the order below.

use super::evaluate::{ENTRIES_MAX, Entry, Evaluator, Row};
use super::rule::RuleId;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use everypath_protocol::codec::{decode, encode};
use everypath_protocol::id::AgentId;
use everypath_protocol::time::{Span, UnixTime};
use everypath_verdict::incident::{Rules, STATE_BYTES_MAX, Tracker};

const VERSION: u8 = 1;
/// An agent, and an entry with every number at its longest.
const ENTRY_BYTES_MAX: usize = 64;
/// Longest state that is read.
const BYTES_MAX: usize = STATE_BYTES_MAX + ENTRIES_MAX * ENTRY_BYTES_MAX;

/// Target (a place in the list of agents), rule, since, seen, counted, whether it is broken, rests until.
type EntryBytes = (u32, i64, UnixTime, UnixTime, Span, bool, UnixTime);
type RowBytes = (u32, Vec<EntryBytes>);
type StateBytes = (Vec<u8>, Vec<AgentId>, Vec<RowBytes>);

pub(super) fn write(evaluator: &Evaluator, tracker: &Tracker) -> Vec<u8> {
    let mut agents: Vec<AgentId> = evaluator.rows.keys().copied().collect();
    agents.extend(evaluator.rows.values().flat_map(|row| row.keys().map(|(target, _)| *target)));
    agents.sort_unstable();
    agents.dedup();
    let place = |agent: &AgentId| u32::try_from(agents.partition_point(|known| known < agent)).unwrap_or(u32::MAX);
    let write_row = |(source, row): (&AgentId, &Row)| {
        let write_entry = |((target, rule), entry): (&(AgentId, RuleId), &Entry)| {
            let Entry { since, seen, counted, is_broken, rests_until } = *entry;
            (place(target), rule.0, since, seen, counted, is_broken, rests_until)
        };
        (place(source), row.iter().map(write_entry).collect())
    };
    let rows: Vec<RowBytes> = evaluator.rows.iter().map(write_row).collect();
    let state: StateBytes = (tracker.to_bytes(), agents.clone(), rows);
    let mut bytes = Vec::from([VERSION]);
    bytes.extend(encode(&state));
    bytes
}

/// Nothing if it cannot be read: then what is wrong is found anew.
pub(super) fn read(bytes: &[u8], rules: Rules) -> Option<(Evaluator, Tracker)> {
    let (version, rest) = bytes.split_first()?;
    if *version != VERSION {
        return None;
    }
    let (tracker, agents, rows): StateBytes = decode(rest, BYTES_MAX).ok()?;
    let tracker = Tracker::from_bytes(&tracker, rules).ok()?;
    let agent = |place: u32| agents.get(usize::try_from(place).ok()?).copied();
    let mut evaluator = Evaluator::default();
    for (source, entries) in rows {
        let read_entry = |(target, rule, since, seen, counted, is_broken, rests_until): EntryBytes| {
            Some(((agent(target)?, RuleId(rule)), Entry { since, seen, counted, is_broken, rests_until }))
        };
        let row: BTreeMap<_, _> = entries.into_iter().map(read_entry).collect::<Option<_>>()?;
        if !row.is_empty() {
            evaluator.rows.insert(agent(source)?, row);
        }
    }
    (evaluator.len() <= ENTRIES_MAX).then_some((evaluator, tracker))
}
