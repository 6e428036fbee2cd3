//! From the live matrix to the cells that break a rule.

use super::rule::{Condition, Rule, RuleId};
use super::scope::{Member, Reach};
use super::sight::Sight;
use crate::matrix::{FOLD, ShownCell};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use everypath_protocol::cell::{CellState, PackedCell};
use everypath_protocol::id::AgentId;
use everypath_protocol::time::{Span, UnixTime};
use everypath_verdict::incident::{MeasuredCell, Seat, Snapshot};

/// Most conditions that hold, or held, and are remembered. Past it a further one is not begun until one ends, and is counted. A
/// mesh of 256 agents has 65,280 cells, and four rules.
pub const ENTRIES_MAX: usize = 262_144;
/// Between two evaluations at most so much counts as time in which a condition held: nobody looked for the rest of it.
pub const GAP_MAX: Span = Span::seconds(5);
/// How much longer than the time between two of its batches an agent may be quiet before that is evidence: a window of 10 s, and some.
pub const QUIET: Span = Span::seconds(15);

/// What the rules say of it.
#[derive(Clone, Debug, Default)]
pub struct Judged<'a> {
    /// For the judge: what breaks a rule is bad.
    pub snapshot: Snapshot<'a>,
    /// Which rules each bad cell breaks, ascending.
    pub broken: BTreeMap<(AgentId, AgentId), Vec<RuleId>>,
    /// Which rules each agent breaks by its silence, ascending.
    pub silent: BTreeMap<AgentId, Vec<RuleId>>,
    /// Of those the agents of which nothing was ever heard, and when they joined. They are no evidence that who judges is blind.
    pub never: BTreeMap<AgentId, UnixTime>,
    /// When each agent last said anything. Nothing of one that never measured.
    pub heard: BTreeMap<AgentId, UnixTime>,
}

/// A condition of a rule at a cell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Entry {
    /// When it began to hold.
    pub(super) since: UnixTime,
    /// When the cell was last looked at.
    pub(super) seen: UnixTime,
    /// How long it has held, or once it is broken: how long it has been over.
    pub(super) counted: Span,
    pub(super) is_broken: bool,
    /// Until then the loss and the time of the cell's last minute are those of an outage.
    pub(super) rests_until: UnixTime,
}

pub(super) type Row = BTreeMap<(AgentId, RuleId), Entry>;

/// What a rule says of a cell now.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Says {
    Holds,
    /// Neither that it holds nor that it is over.
    Between,
    Over,
    /// Nothing.
    Silent,
}

/// Remembers for how long conditions have held.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Evaluator {
    /// By source. Cells without any are in order.
    pub(super) rows: BTreeMap<AgentId, Row>,
    left_out: u64,
    /// [`ENTRIES_MAX`]; less in tests.
    pub(super) entries_max: usize,
}

impl Default for Evaluator {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), left_out: 0, entries_max: ENTRIES_MAX }
    }
}

impl Evaluator {
    /// How many conditions were not begun for want of room, since the start.
    pub const fn left_out(&self) -> u64 {
        self.left_out
    }

    /// How many conditions hold, or held a short time ago.
    pub fn len(&self) -> usize {
        self.rows.values().map(BTreeMap::len).sum()
    }

    /// Whether nothing holds.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Looks at every cell once. Meant to be called at a steady pace, about once a second.
    pub fn evaluate<'a>(&mut self, now: UnixTime, sight: &Sight<'a>, rules: &[Rule]) -> Judged<'a> {
        let asked: Vec<(&Rule, Reach)> =
            rules.iter().filter(|rule| rule.is_enabled).map(|rule| (rule, rule.scope.over(sight.members))).collect();
        let heard = heard(sight);
        let mut judged = Judged { snapshot: seats(now, sight, &heard), ..Judged::default() };
        let known = sight.members.iter().zip(heard);
        judged.heard = known.filter_map(|(member, heard)| Some((member.id, heard?))).collect();
        let mut room = self.entries_max.saturating_sub(self.len());
        let mut before = core::mem::take(&mut self.rows);
        for row in sight.cells.chunk_by(|one, other| one.source == other.source) {
            let Some(source) = row.first().and_then(|cell| member(sight, cell.source)) else { continue };
            let old = before.remove(&source.id).unwrap_or_default();
            let mut new = Row::new();
            for cell in row {
                let Some(target) = member(sight, cell.target) else { continue };
                self.look(now, cell, (source.id, target.id), &asked, &old, &mut new, &mut room, &mut judged);
            }
            if !new.is_empty() {
                self.rows.insert(source.id, new);
            }
        }
        find_silence(now, sight, &asked, &mut judged);
        judged
    }

    #[expect(clippy::too_many_arguments, reason = "one step of one loop, apart so that both fit on a screen")]
    fn look(
        &mut self,
        now: UnixTime,
        cell: &ShownCell,
        pair: (AgentId, AgentId),
        asked: &[(&Rule, Reach)],
        old: &Row,
        new: &mut Row,
        room: &mut usize,
        judged: &mut Judged<'_>,
    ) {
        let (source, target) = (index(cell.source), index(cell.target));
        let mut worst: Option<(CellState, UnixTime)> = None;
        let mut rules: Vec<RuleId> = Vec::new();
        let is_down = cell.packed.state == CellState::Down.code();
        let mut is_left_out = false;
        // Only where a rule tells of it: without one, everything lost is loss.
        let tells =
            |(rule, reach): &(&Rule, Reach)| rule.condition == Condition::Unreachable && reach.has_cell(source, target);
        let is_outage = is_down && asked.iter().any(tells);
        for (rule, _) in asked.iter().filter(|(_, reach)| reach.has_cell(source, target)) {
            let key = (pair.1, rule.id);
            let known = if old.is_empty() { None } else { old.get(&key).copied() };
            let says = says(rule.condition, cell.packed);
            if known.is_none() {
                if says != Says::Holds {
                    continue;
                }
                if *room == 0 {
                    self.left_out += 1;
                    is_left_out = true;
                    continue;
                }
                *room -= 1;
            }
            let Some(entry) = advance(known, rule, says, is_outage, now) else {
                *room += 1;
                continue;
            };
            new.insert(key, entry);
            if entry.is_broken {
                rules.push(rule.id);
                let bad = if is_down { CellState::Down } else { shown_as(rule.condition) };
                let since = worst.map_or(entry.since, |(_, since)| since.min(entry.since));
                worst = Some((worst.map_or(bad, |(known, _)| known.max(bad)), since));
            }
        }
        let state = CellState::from_code(cell.packed.state).unwrap_or_default();
        let (state, since) = match (worst, state) {
            (Some(worst), _) => worst,
            // Something holds there, and there is no room to say for how long.
            (None, _) if is_left_out => (CellState::Unknown, now),
            // Down, and nobody asked to be told: no witness of health either.
            (None, CellState::Down | CellState::Unknown) => (CellState::Unknown, now),
            (None, CellState::Ok | CellState::Slow | CellState::Lossy) => (CellState::Ok, now),
        };
        // What was bad and is not measured any more says nothing.
        let is_fresh = cell.packed.state != CellState::Unknown.code() && state != CellState::Unknown;
        judged.snapshot.cells.push(MeasuredCell { source: cell.source, target: cell.target, state, since, is_fresh });
        if !rules.is_empty() && is_fresh {
            rules.sort_unstable();
            judged.broken.insert(pair, rules);
        }
    }
}

fn index(place: u32) -> usize {
    usize::try_from(place).unwrap_or(usize::MAX)
}

fn member<'a>(sight: &Sight<'a>, place: u32) -> Option<&'a Member<'a>> {
    sight.members.get(index(place))
}

fn says(condition: Condition, cell: PackedCell) -> Says {
    let compare = |value: Option<u32>, above: u32, below: u32| match value {
        None => Says::Silent,
        Some(value) if value > above => Says::Holds,
        Some(value) if value <= below => Says::Over,
        Some(_) => Says::Between,
    };
    if cell.state == CellState::Unknown.code() {
        return Says::Silent;
    }
    match condition {
        Condition::Unreachable if cell.state == CellState::Down.code() => Says::Holds,
        Condition::Unreachable => Says::Over,
        Condition::Loss { above, below } => {
            compare(cell.loss_permille().map(u32::from), u32::from(above), u32::from(below))
        }
        Condition::Rtt { above_us, below_us } => compare(cell.rtt_us(), above_us, below_us),
        Condition::Silent { .. } => Says::Silent,
    }
}

/// How the judge knows a cell that is not down.
const fn shown_as(condition: Condition) -> CellState {
    match condition {
        Condition::Unreachable => CellState::Down,
        Condition::Loss { .. } => CellState::Lossy,
        Condition::Rtt { .. } | Condition::Silent { .. } => CellState::Slow,
    }
}

/// The entry as it is now; nothing if there is no need for it any more.
fn advance(known: Option<Entry>, rule: &Rule, says: Says, is_outage: bool, now: UnixTime) -> Option<Entry> {
    let new = Entry { since: now, seen: now, counted: Span::ZERO, is_broken: false, rests_until: now };
    let mut entry = known.unwrap_or(new);
    let passed = Span(now.since(entry.seen).0.min(GAP_MAX.0));
    entry.seen = now;
    // A clock that was set back must not make it rest until it is there again.
    entry.rests_until = entry.rests_until.min(now.plus(FOLD));
    let is_about_path = rule.condition == Condition::Unreachable;
    if is_outage && !is_about_path {
        entry.rests_until = now.plus(FOLD);
    }
    let rests = !is_about_path && now < entry.rests_until;
    match (says, entry.is_broken) {
        // It goes on where it was; and so that the rest is remembered, it is kept.
        (Says::Silent, _) => return Some(entry),
        _ if rests => return Some(entry),
        (Says::Holds, true) => entry.counted = Span::ZERO,
        (Says::Holds, false) => entry.counted = Span(entry.counted.0.saturating_add(passed.0)),
        (Says::Between, true) => entry.counted = Span::ZERO,
        (Says::Over, true) => {
            entry.counted = Span(entry.counted.0.saturating_add(passed.0));
            if entry.counted >= rule.clear {
                return None;
            }
        }
        // A minute has a dozen probes: with a tenth of them lost, many a minute loses none. What is over takes away from the time
        // for which it held, so that what is bad more often than not is told.
        (Says::Between | Says::Over, false) => {
            entry.counted = Span(entry.counted.0.saturating_sub(passed.0));
            if is_about_path || entry.counted == Span::ZERO {
                return None;
            }
        }
    }
    if !entry.is_broken && entry.counted >= rule.hold {
        entry.is_broken = true;
        entry.counted = Span::ZERO;
    }
    Some(entry)
}

/// The newest that each agent said: of its cells the one that was measured last. Nothing of an agent that never measured.
fn heard(sight: &Sight<'_>) -> Vec<Option<UnixTime>> {
    let mut heard = alloc::vec![None; sight.members.len()];
    for cell in sight.cells {
        if let Some(newest) = heard.get_mut(index(cell.source)) {
            *newest = (*newest).max(cell.ended);
        }
    }
    heard
}

fn seats<'a>(now: UnixTime, sight: &Sight<'a>, heard: &[Option<UnixTime>]) -> Snapshot<'a> {
    let quiet = QUIET.0.saturating_add(sight.sync.0);
    let seat = |(member, heard): (&Member<'a>, &Option<UnixTime>)| Seat {
        agent: member.id,
        site: member.site,
        is_endpoint: member.is_endpoint,
        silent_since: heard
            .filter(|heard| !member.is_endpoint && now.since(*heard).0 > quiet)
            // A host that was taken away is left out, and says nothing for ever.
            .filter(|_| sight.may_be_heard(member)),
    };
    let roster = sight.members.iter().zip(heard).map(seat).collect();
    Snapshot { roster, cells: Vec::with_capacity(sight.cells.len()) }
}

fn find_silence(now: UnixTime, sight: &Sight<'_>, asked: &[(&Rule, Reach)], judged: &mut Judged<'_>) {
    let mut silent: BTreeMap<AgentId, BTreeSet<RuleId>> = BTreeMap::new();
    for (place, seat) in judged.snapshot.roster.iter().enumerate() {
        let Some(member) = sight.members.get(place) else { continue };
        let is_new = |_: &UnixTime| !seat.is_endpoint && !judged.heard.contains_key(&seat.agent);
        let never = member.joined.filter(is_new).filter(|_| sight.may_be_heard(member));
        let Some(since) = seat.silent_since.or(never) else { continue };
        for (rule, reach) in asked {
            let Condition::Silent { after } = rule.condition else { continue };
            // Agents that are asked to wait long between two batches are silent later.
            let after = after.0.max(QUIET.0.saturating_add(sight.sync.0));
            if now.since(since).0 >= after && reach.has_agent(place) {
                silent.entry(seat.agent).or_default().insert(rule.id);
                judged.never.extend(never.map(|joined| (seat.agent, joined)));
            }
        }
    }
    judged.silent = silent.into_iter().map(|(agent, rules)| (agent, rules.into_iter().collect())).collect();
}
