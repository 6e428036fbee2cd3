//! A mesh of a few agents whose cells the tests set, second by second.

mod endpoint;
mod evaluate;
mod follow;
mod sight;
mod silence;
mod tell;
mod texts;
mod watch;

use super::record::Ack;
use super::rule::{self, Rule};
use super::scope::Member;
use super::silence::Silence;
use super::tell::Policy;
use super::watch::{Channel, Step, Watch, Wishes};
use super::{ChannelId, Condition, Sight};
use crate::matrix::ShownCell;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use everypath_protocol::cell::{CellState, PackedCell};
use everypath_protocol::id::AgentId;
use everypath_protocol::mesh_config::MeshConfig;
use everypath_protocol::time::{Span, UnixTime};
use everypath_verdict::incident::{ChangeKind, IncidentId, Rules};

const T0: UnixTime = UnixTime(1_800_000_000_000_000);
const CHAT: ChannelId = ChannelId(1);
const POST: ChannelId = ChannelId(2);
/// Discord and mail as the shell has them.
const CHANNELS: [Channel; 2] = [
    Channel { id: CHAT, policy: Policy { edits: true, every: Span::seconds(30), repeat: None } },
    Channel {
        id: POST,
        policy: Policy { edits: false, every: Span::seconds(300), repeat: Some(Span::seconds(14_400)) },
    },
];

const fn agent(number: u8) -> AgentId {
    AgentId([number; 32])
}

/// Nine agents in three sites, all cells fine.
struct World {
    now: UnixTime,
    names: Vec<(String, &'static str)>,
    /// Those without an agent.
    endpoints: BTreeSet<u8>,
    /// What an agent is called by.
    tags: BTreeMap<u8, Vec<String>>,
    /// By source and target: state, permille, microseconds.
    cells: BTreeMap<(u8, u8), (CellState, u16, u32)>,
    /// Since when nothing is heard of an agent.
    quiet: BTreeMap<u8, UnixTime>,
    /// When one joined that never reported.
    never: BTreeMap<u8, UnixTime>,
    rules: Vec<Rule>,
    silences: Vec<Silence>,
    acks: BTreeMap<IncidentId, Ack>,
    channels: Vec<Channel>,
    config: MeshConfig,
    watch: Watch,
    /// What both channels were told, in words.
    told: Vec<String>,
    edits: u32,
    changes: Vec<ChangeKind>,
    /// As a database would have it.
    kept: (Option<Vec<u8>>, BTreeMap<IncidentId, super::Record>),
}

impl World {
    fn new() -> Self {
        let names = (0..9).map(|number| (format!("h{number}"), ["alpha", "beta", "gamma"][number / 3])).collect();
        let pairs = (0..9).flat_map(|source| (0..9).map(move |target| (source, target)));
        Self {
            now: T0,
            names,
            endpoints: BTreeSet::new(),
            tags: BTreeMap::new(),
            cells: pairs.filter(|(one, other)| one != other).map(|pair| (pair, (CellState::Ok, 0, 1_000))).collect(),
            quiet: BTreeMap::new(),
            never: BTreeMap::new(),
            // What holds at once says sooner what the tests ask.
            rules: rule::usual()
                .map(|rule| Rule {
                    hold: if rule.condition == Condition::Unreachable { Span::ZERO } else { rule.hold },
                    ..rule
                })
                .to_vec(),
            silences: Vec::new(),
            acks: BTreeMap::new(),
            channels: CHANNELS.to_vec(),
            config: MeshConfig::usual(),
            watch: Watch::restore(None, Vec::new(), BTreeMap::new(), Rules::default()),
            told: Vec::new(),
            edits: 0,
            changes: Vec::new(),
            kept: (None, BTreeMap::new()),
        }
    }

    fn set(&mut self, source: u8, target: u8, state: CellState, loss: u16, rtt_us: u32) {
        self.cells.insert((source, target), (state, loss, rtt_us));
    }

    /// Sets every cell of which `is_it` is true.
    fn all(&mut self, is_it: impl Fn(u8, u8) -> bool, state: CellState) {
        let loss = if state == CellState::Down { 1_000 } else { 0 };
        for ((source, target), cell) in &mut self.cells {
            if is_it(*source, *target) {
                *cell = (state, loss, 1_000);
            }
        }
    }

    fn host_down(&mut self, host: u8) {
        self.all(|source, target| source == host || target == host, CellState::Down);
        self.quiet.insert(host, self.now);
    }

    fn heal(&mut self) {
        self.all(|_, _| true, CellState::Ok);
        self.quiet.clear();
    }

    fn shown(&self) -> Vec<ShownCell> {
        let shown = |((source, target), (state, loss, rtt)): (&(u8, u8), &(CellState, u16, u32))| {
            let heard = self.quiet.get(source).copied();
            let is_old = heard.is_some_and(|heard| self.now.since(heard) > Span::seconds(45));
            let packed = if is_old { PackedCell::UNKNOWN } else { PackedCell::new(*state, Some(*loss), Some(*rtt)) };
            let ended = Some(heard.unwrap_or(self.now));
            ShownCell { source: u32::from(*source), target: u32::from(*target), packed, ended }
        };
        self.cells.iter().filter(|((source, _), _)| !self.never.contains_key(source)).map(shown).collect()
    }

    /// One evaluation, a second after the last.
    fn second(&mut self) -> Step {
        self.now = self.now.plus(Span::seconds(1));
        let cells = self.shown();
        let member = |(number, (name, site)): (u8, &(String, &'static str))| -> (AgentId, String, &'static str) {
            (agent(number), name.clone(), *site)
        };
        let owned: Vec<_> = (0..).zip(&self.names).map(member).collect();
        let members: Vec<Member<'_>> = (0..)
            .zip(&owned)
            .map(|(number, (id, name, site))| Member {
                id: *id,
                name,
                site,
                tags: self.tags.get(&number).map_or(&[], Vec::as_slice),
                is_endpoint: self.endpoints.contains(&number),
                joined: self.never.get(&number).copied(),
            })
            .collect();
        let sight = Sight { members: &members, cells: &cells, sync: Span::seconds(1), config: &self.config };
        let wishes = Wishes {
            rules: &self.rules,
            silences: &self.silences,
            channels: &self.channels,
            acks: &self.acks,
            mesh: "abcd",
            url: Some("https://e.test"),
        };
        let step = self.watch.step(self.now, &sight, &wishes);
        for telling in &step.tellings {
            let place = if telling.channel == CHAT { "chat" } else { "mail" };
            let notice = &telling.notice;
            // An edit makes no sound, and evidence grows: what Discord is told of that is tested by itself.
            if telling.channel == CHAT && notice.event.name() == "updated" {
                self.edits += 1;
                continue;
            }
            self.told.push(format!("{place} {} {}: {}", notice.event.name(), notice.severity, notice.title));
        }
        self.changes.extend(step.changes.iter().map(|change| change.kind));
        self.kept.1.extend(step.records.iter().map(|record| (record.id, record.clone())));
        if step.state.is_some() {
            self.kept.0.clone_from(&step.state);
        }
        step
    }

    fn seconds(&mut self, count: u32) {
        for _ in 0..count {
            self.second();
        }
    }

    fn told(&mut self) -> Vec<String> {
        core::mem::take(&mut self.told)
    }

    fn open(&self) -> Vec<&super::Record> {
        self.watch.records().filter(|record| record.is_open()).collect()
    }
}
