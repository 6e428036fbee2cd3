//! Agents, an aggregator and a network on virtual time. One event after the other; each agent's effects become events.

use crate::faults::{Fault, Plan};
use crate::host::{Authority, Host, SCHEME};
use crate::network::{HostIndex, Network};
use crate::pace::{Pace, Size};
use crate::queue::Queue;
use crate::random::Random;
use crate::returning::Returning;
use crate::server::{Bug, Server, Upload};
use crate::truth::{Findings, Truth};
use everypath_protocol::id::{AgentId, Epoch, Seq, mix64};
use everypath_protocol::member::MemberRecord;
use everypath_protocol::row::Row;
use everypath_protocol::sign::{Document, Signed, Verified, seal};
use everypath_protocol::time::Span;
use mesh_agent_core::effect::{Effect, Effects, Input, PersistOp, Statement, UploadResult};
use std::collections::{BTreeMap, VecDeque};

const REQUEST_TIMEOUT: Span = Span::seconds(15);
const EXCHANGE_TIMEOUT: Span = Span::seconds(10);
const DIAL_TIMEOUT: Span = Span::seconds(5);
/// A connection over a path that is gone is noticed after this long (QUIC's idle timeout).
const LINK_TIMEOUT: Span = Span::seconds(30);
/// Checked statements remembered before all are forgotten.
const OPENED_MAX: usize = 4_096;

pub(crate) enum Event {
    Wake { host: HostIndex, boot: u64 },
    Deliver { host: HostIndex, boot: u64, input: Box<Input> },
    Connect { from: HostIndex, to: HostIndex },
    Sync { host: HostIndex, boot: u64 },
    Hello { host: HostIndex, boot: u64 },
    Arrive { host: HostIndex, boot: u64, upload: Box<Upload>, is_repeat: bool },
    Fault(Box<Fault>),
    Start(HostIndex),
    ServerStart,
    CheckLinks,
    Calm,
}

/// What happened in a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Outcome {
    /// What the checkers say.
    pub findings: Findings,
    /// Agents and aggregators killed.
    pub crashes: u64,
    /// Times that the network fell into parts.
    pub partitions: u64,
    /// Disks replaced by an older copy of themselves.
    pub restored_disks: u64,
    /// Messages and probes lost on the way.
    pub messages_lost: u64,
    /// Agents that at the end still had an old epoch to drain, although nothing had been wrong for a while.
    pub undrained: u64,
    /// Ordered pairs of agents that at the end no row told of as measured.
    pub unmeasured: u64,
    /// Rows filed under a time that is wrong by more than it may be.
    pub misfiled: u64,
    /// Wall clocks stepped, hosts suspended, disks full for a while, and times that the aggregator was too busy.
    pub disturbances: u64,
    /// After a return: milliseconds until something new of 99 in 100 agents was stored.
    pub fresh_p99_ms: u64,
    /// After a return: milliseconds until the last backlog was stored.
    pub drained_ms: u64,
    /// After a return: batches that the aggregator had no time for.
    pub busy: u64,
    /// Events handled.
    pub events: u64,
    /// Over every event in order, and the database.
    pub state_hash: u64,
}

/// A run.
pub struct World {
    pub(crate) at: u64,
    pub(crate) hosts: Vec<Host>,
    places: BTreeMap<AgentId, HostIndex>,
    pub(crate) network: Network,
    pub(crate) server: Server,
    pub(crate) truth: Truth,
    pub(crate) pace: Pace,
    pub(crate) queue: Queue<Event>,
    pub(crate) random: Random,
    authority: Authority,
    tickets: BTreeMap<u64, (HostIndex, u64)>,
    next_ticket: u64,
    opened: BTreeMap<[u8; 64], Option<Statement>>,
    /// Room for effects, kept between inputs.
    effects: Effects,
    registry: BTreeMap<HostIndex, Verified<MemberRecord>>,
    pub(crate) is_calm: bool,
    /// In a run that is about a return.
    pub(crate) returning: Option<Returning>,
    pub(crate) outcome: Outcome,
}

impl std::fmt::Debug for World {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "World({} hosts at {} ns)", self.hosts.len(), self.at)
    }
}

impl World {
    /// A run that has not begun.
    pub fn new(seed: u64, size: Size, bug: Option<Bug>) -> Self {
        let calm_at = Span(size.length.0.saturating_sub(size.pace.calm().0));
        let plan = Plan::draw(seed, size, calm_at);
        let authority = Authority::default();
        let hosts: Vec<Host> = (0..size.agents)
            .map(|number| Host::new(number, seed, &authority, size.pace, plan.buffer_bytes[number]))
            .collect();
        let mut world = Self {
            at: 0,
            places: hosts.iter().enumerate().map(|(place, host)| (host.id(), place)).collect(),
            hosts,
            network: Network::new(size, seed, plan.loss_permille),
            server: Server::new(seed, size, bug),
            truth: Truth::default(),
            pace: size.pace,
            queue: Queue::default(),
            random: Random::new(seed, 0),
            authority,
            tickets: BTreeMap::new(),
            next_ticket: 0,
            opened: BTreeMap::new(),
            effects: Effects::new(),
            registry: BTreeMap::new(),
            is_calm: false,
            returning: None,
            outcome: Outcome::default(),
        };
        for host in 0..size.agents {
            let begin = world.random.span(Span::ZERO, Span::seconds(20));
            world.queue.push(begin.0, Event::Start(host));
        }
        for (at, fault) in plan.faults {
            world.queue.push(at.0, Event::Fault(Box::new(fault)));
        }
        if size.pace == Pace::Returning {
            let returning = Returning::new(size.agents, size.length, &mut world.random);
            world.server.is_up = false;
            world.queue.push(returning.at, Event::ServerStart);
            world.returning = Some(returning);
            world.is_calm = true;
        } else {
            world.queue.push(calm_at.0, Event::Calm);
        }
        world
    }

    /// Runs until `length`, or until all are back, and checks what must hold.
    pub fn run(mut self, length: Span) -> Outcome {
        while let Some((at, event)) = self.queue.pop() {
            if self.returning.as_ref().map_or(at > length.0, |returning| returning.is_over(at)) {
                break;
            }
            self.at = at;
            self.outcome.events += 1;
            self.handle(event);
        }
        self.finish()
    }

    pub(crate) fn server_place(&self) -> HostIndex {
        self.hosts.len()
    }

    pub(crate) fn fold(&mut self, value: u64) {
        self.outcome.state_hash = mix64(self.outcome.state_hash ^ value).wrapping_add(self.at);
    }

    pub(crate) fn after(&mut self, span: Span, event: Event) {
        self.queue.push(self.at.saturating_add(span.0), event);
    }

    pub(crate) fn deliver(&mut self, after: Span, host: HostIndex, input: Input) {
        let boot = self.hosts[host].boot;
        self.after(after, Event::Deliver { host, boot, input: Box::new(input) });
    }

    /// Hands an input to an agent and turns its effects into events.
    pub(crate) fn feed(&mut self, host: HostIndex, input: Input) {
        // Nearly always there is one input, and its effects fit where those of the last one were.
        let (mut next, mut inputs) = (Some(input), VecDeque::new());
        let mut effects = std::mem::take(&mut self.effects);
        while let Some(input) = next.take().or_else(|| inputs.pop_front()) {
            let machine = &mut self.hosts[host];
            let now = machine.now(self.at);
            let Some(agent) = &mut machine.agent else { return };
            agent.handle(now, input, &mut effects);
            for effect in effects.drain(..) {
                self.perform(host, effect, &mut inputs);
            }
        }
        self.effects = effects;
        let machine = &mut self.hosts[host];
        let wake_at = machine.agent.as_ref().and_then(mesh_agent_core::Agent::next_wakeup);
        if wake_at != machine.wake_at {
            machine.wake_at = wake_at;
            let boot = machine.boot;
            if let Some(wake_at) = wake_at {
                let at = machine.true_time(wake_at).max(self.at);
                self.queue.push(at, Event::Wake { host, boot });
            }
        }
    }

    fn perform(&mut self, host: HostIndex, effect: Effect, inputs: &mut VecDeque<Input>) {
        let mesh = self.authority.mesh();
        match effect {
            Effect::SignMember(record) => {
                let signed: Verified<MemberRecord> = seal(record, mesh, &self.hosts[host].key);
                self.registry.insert(host, signed.clone());
                inputs.push_back(Input::MemberSigned(signed));
            }
            Effect::SignRow(row) => inputs.push_back(Input::RowSigned(seal(row, mesh, &self.hosts[host].key))),
            Effect::RememberMember(record) => self.hosts[host].disk.platter.remember(record),
            Effect::Dial { agent, .. } => {
                let to = self.places[&agent];
                match self.network.message(host, to) {
                    Some(delay) if self.hosts[to].is_up() => {
                        self.after(Span(delay.0 * 2), Event::Connect { from: host, to });
                    }
                    Some(_) | None => self.deliver(DIAL_TIMEOUT, host, Input::DialFailed(agent)),
                }
            }
            Effect::Disconnect(agent) => self.unlink(host, self.places[&agent]),
            Effect::Compare { to, first, last, holdings } => {
                let ticket = self.next_ticket;
                self.next_ticket += 1;
                let input = Input::Compare { ticket, first, last, holdings };
                if self.pass(host, to, input) {
                    self.tickets.insert(ticket, (host, self.hosts[host].boot));
                } else {
                    self.deliver(EXCHANGE_TIMEOUT, host, Input::ExchangeFailed(to));
                }
            }
            Effect::Respond { ticket, newer, wanted } => {
                let Some((asker, boot)) = self.tickets.remove(&ticket) else { return };
                if self.hosts[asker].boot == boot {
                    let (from, to) = (self.hosts[host].id(), self.hosts[asker].id());
                    let newer = self.open(newer);
                    self.pass(host, to, Input::Difference { from, newer, wanted });
                }
            }
            Effect::Give { to, documents } => {
                let statements = self.open(documents);
                self.pass(host, to, Input::Statements(statements));
            }
            Effect::StartProbe(request) => {
                let to = self.places[&request.target];
                let is_up = self.hosts[to].is_up();
                let (after, outcome) = self.network.ping(host, to, is_up, request.timeout);
                self.deliver(after, host, Input::ProbeFinished { probe: request.probe, outcome });
            }
            Effect::Persist(op) => {
                if let (PersistOp::Discard { epoch, up_to }, Some(returning)) = (&op, &mut self.returning) {
                    returning.acked(host, *epoch, *up_to, self.at);
                }
                self.hosts[host].disk.write(op);
                self.schedule_sync(host);
            }
            Effect::Upload { epoch, first, last, is_backlog } => {
                // What was ordered before is done before a read, as in the agent's store.
                if self.hosts[host].disk.is_rewriting() && self.at >= self.hosts[host].disk_full_until {
                    let persisted = self.sync_disk(host, usize::MAX);
                    inputs.extend(persisted.into_iter().map(|(epoch, up_to)| Input::Persisted { epoch, up_to }));
                }
                self.send(host, epoch, (first, last), is_backlog);
            }
            Effect::CheckIn => self.check_in(host),
            // The runs have no configuration yet.
            Effect::Configured { .. } | Effect::Resolve(_) => {}
            Effect::CellChanged { to, .. } => self.fold(u64::from(to.code())),
            Effect::Anomaly(anomaly) => self.fold(anomaly as u64),
        }
    }

    /// Nothing is stored by it, so there and back is one event.
    fn check_in(&mut self, host: HostIndex) {
        let way = self.network.message(host, self.server_place()).filter(|_| self.server.is_up);
        let (after, result) = match way {
            Some(delay) => (Span(delay.0 * 2), self.server.check_in(self.at)),
            None => (REQUEST_TIMEOUT, UploadResult::Unreachable),
        };
        self.deliver(after, host, Input::CheckedIn(result));
    }

    /// Carries an input to a neighbour. Whether it will arrive.
    fn pass(&mut self, from: HostIndex, to: AgentId, input: Input) -> bool {
        let to = self.places[&to];
        if !self.hosts[from].links.contains(&to) || !self.hosts[to].is_up() {
            return false;
        }
        match self.network.message(from, to) {
            Some(delay) => {
                self.deliver(delay, to, input);
                true
            }
            None => false,
        }
    }

    /// Checks statements as a shell does. What was checked once is remembered by its signature, which covers every byte:
    /// in a run all shells are one process, and most statements reach every agent.
    fn open(&mut self, documents: Vec<Signed>) -> Vec<Statement> {
        if self.opened.len() > OPENED_MAX {
            self.opened.clear();
        }
        let trust = &self.authority.trust;
        let open = |signed: Signed| match signed.kind {
            MemberRecord::KIND => MemberRecord::open(signed, trust, &SCHEME).map(Statement::Member).ok(),
            _ => Row::open(signed, &trust.mesh(), &SCHEME).map(Statement::Row).ok(),
        };
        let opened = &mut self.opened;
        let look_up = |signed: Signed| opened.entry(signed.signature.0).or_insert_with(|| open(signed)).clone();
        documents.into_iter().filter_map(look_up).collect()
    }

    fn schedule_sync(&mut self, host: HostIndex) {
        if !std::mem::replace(&mut self.hosts[host].is_syncing, true) {
            // Disks are quick, and sometimes they are not.
            let is_slow = self.random.permille(2);
            let after = if is_slow { Span::seconds(3) } else { self.random.span(Span::millis(1), Span::millis(8)) };
            // A full disk takes nothing before there is room again.
            let after = after.max(Span(self.hosts[host].disk_full_until.saturating_sub(self.at)));
            let boot = self.hosts[host].boot;
            self.after(after, Event::Sync { host, boot });
        }
    }

    fn send(&mut self, host: HostIndex, epoch: Epoch, (first, last): (Seq, Seq), is_backlog: bool) {
        if self.returning.is_some() && !self.server.is_up {
            // Nobody is there; reading the same backlog ten thousand times for it would be all that this run does.
            let result = UploadResult::Unreachable;
            self.deliver(REQUEST_TIMEOUT, host, Input::UploadFinished { epoch, result });
            return;
        }
        let machine = &self.hosts[host];
        let Some(body) = machine.disk.platter.read(epoch, first, last) else {
            // The disk is full, so the block that was to be cut in two is still one.
            self.deliver(Span::millis(1), host, Input::UploadFinished { epoch, result: UploadResult::Unreachable });
            return;
        };
        let (process, sent) = (machine.process, machine.now(self.at));
        let upload =
            Box::new(Upload { agent: machine.id(), epoch, first, last, body, boot: process, sent, is_backlog });
        let boot = machine.boot;
        let Some(delay) = self.network.message(host, self.server_place()) else {
            let result = UploadResult::Unreachable;
            self.deliver(REQUEST_TIMEOUT, host, Input::UploadFinished { epoch, result });
            return;
        };
        if self.random.permille(5) {
            let repeat = Span(delay.0 + self.random.span(Span::millis(10), Span::seconds(120)).0);
            self.after(repeat, Event::Arrive { host, boot, upload: upload.clone(), is_repeat: true });
        }
        self.after(delay, Event::Arrive { host, boot, upload, is_repeat: false });
    }

    pub(crate) fn unlink(&mut self, one: HostIndex, other: HostIndex) {
        if self.hosts[one].links.remove(&other) {
            self.hosts[other].links.remove(&one);
            self.deliver(Span::ZERO, one, Input::PeerDisconnected(self.hosts[other].id()));
            self.deliver(Span::ZERO, other, Input::PeerDisconnected(self.hosts[one].id()));
        }
    }

    /// Starts of members that the aggregator knows, as the answer to a hello.
    pub(crate) fn hello(&mut self, host: HostIndex, boot: u64) {
        if self.hosts[host].boot != boot || !self.hosts[host].is_up() {
            return;
        }
        self.after(self.pace.hello(), Event::Hello { host, boot });
        let is_lonely = self.hosts[host].links.is_empty();
        if is_lonely
            // Those who come back had met before the aggregator went away.
            && (self.server.is_up || self.returning.is_some())
            && let Some(delay) = self.network.message(host, self.server_place())
        {
            let island = |other| self.pace.island(other) == self.pace.island(host);
            let known = self.known(host).filter(|(other, _)| **other != host && island(**other)).take(32);
            let statements = known.map(|(_, record)| Statement::Member(record.clone())).collect();
            self.deliver(Span(delay.0 * 2), host, Input::Statements(statements));
        }
    }

    /// Members of the registry that can be of the island: looking through ten thousand for one takes too long.
    fn known(&self, host: HostIndex) -> impl Iterator<Item = (&HostIndex, &Verified<MemberRecord>)> {
        self.registry.range(self.pace.near(host))
    }

    pub(crate) fn link_timeout(&mut self) {
        self.after(LINK_TIMEOUT, Event::CheckLinks);
    }
}
