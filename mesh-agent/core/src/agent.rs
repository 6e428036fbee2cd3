//! The agent: routing only. The one place with the big `match`; every decision is in one of the machines.

mod view;

use crate::effect::{Anomaly, Effect, Effects, Input, Statement};
use crate::endpoints::Endpoints;
use crate::exchange::{Exchange, Holdings};
use crate::matrix::Rows;
use crate::membership::Membership;
use crate::outbox::Outbox;
use crate::pace::Pace;
use crate::params::{AgentParams, Resume};
use crate::schedule::{Change, Schedule};
use crate::uploader::Uploader;
use crate::windows::Windows;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use everypath_protocol::cell::CellState;
use everypath_protocol::codec;
use everypath_protocol::id::AgentId;
use everypath_protocol::member::Version;
use everypath_protocol::mesh::{Holding, Topic};
use everypath_protocol::mesh_config::{MeshConfig, Subject};
use everypath_protocol::record::{CellFlip, Record};
use everypath_protocol::sign::{Document, Verified};
use everypath_protocol::time::{MonoTime, Now, Span, UnixTime};
use everypath_protocol::trust::Certificate;
use everypath_protocol::window::ProbeKind;

/// A wall clock that moved this much more or less than the monotonic one was set; less is a daemon that slews it.
const STEP_MIN: Span = Span::millis(500);

/// One agent, complete. Owns no socket, no clock, no disk.
#[derive(Debug)]
pub struct Agent {
    params: AgentParams,
    started: MonoTime,
    /// Both clocks at the last input.
    last: Now,
    /// What the own certificate says.
    own: Certificate,
    config: Option<Box<Verified<MeshConfig>>>,
    pace: Pace,
    membership: Membership,
    endpoints: Endpoints,
    rows: Rows,
    exchange: Exchange,
    schedule: Schedule,
    windows: Windows,
    outbox: Outbox,
    uploader: Uploader,
}

impl Agent {
    /// An agent that has just been started. `seed` is 32 random bytes.
    pub fn new(params: AgentParams, resume: Resume, seed: [u8; 32], now: Now) -> Self {
        let pace = Pace::new(&params, None);
        Self {
            started: now.mono,
            last: now,
            own: own_certificate(&params),
            config: None,
            pace,
            endpoints: Endpoints::new(params.agent, params.certificate.mesh),
            membership: Membership::new(&params, seed),
            rows: Rows::new(params.row_interval, now.mono),
            exchange: Exchange::new(seed, params.exchange_interval, now.mono),
            schedule: Schedule::new(&params, &pace),
            windows: Windows::new(pace.window),
            outbox: Outbox::new(&params, resume, seed),
            uploader: Uploader::new(params.has_aggregator, seed, now.mono),
            params,
        }
    }

    /// Takes one input in and says what is to be done. Total: cannot fail, block or panic.
    pub fn handle(&mut self, now: Now, input: Input, out: &mut Effects) {
        self.notice_step(now, out);
        let is_end = matches!(input, Input::Shutdown);
        self.route(now, input, out);
        if !is_end {
            self.turn(now, out);
        }
    }

    /// A block says when it was written by both clocks, and its records are put in time by that. So all of a block must be
    /// labelled by one setting of the wall clock: when it was stepped, what waits is written as of before, and what is being
    /// measured gets the label that it would have had.
    fn notice_step(&mut self, now: Now, out: &mut Effects) {
        let before = core::mem::replace(&mut self.last, now);
        let passed_us = i64::try_from(now.mono.since(before.mono).as_micros()).unwrap_or(i64::MAX);
        let step_us = now.wall.0.saturating_sub(before.wall.0).saturating_sub(passed_us);
        if step_us.unsigned_abs() >= STEP_MIN.as_micros() {
            self.outbox.flush(before, out);
            self.windows.relabel(step_us);
            out.push(Effect::Anomaly(Anomaly::ClockStepped));
        }
    }

    /// When the agent wants to be woken if nothing happens before.
    pub fn next_wakeup(&self) -> Option<MonoTime> {
        [
            self.membership.next_deadline(),
            self.endpoints.next_deadline(),
            Some(self.rows.next_deadline()),
            Some(self.exchange.next_deadline()),
            self.schedule.next_deadline(),
            self.windows.next_deadline(),
            self.outbox.next_deadline(),
            self.uploader.next_deadline(&self.outbox),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn route(&mut self, now: Now, input: Input, out: &mut Effects) {
        match input {
            // Every input ends in a turn anyway.
            Input::Wakeup => {}
            Input::PeerConnected(peer) => {
                self.membership.connected(peer, out);
                let all = Holdings { agent: self.params.agent, membership: &self.membership, rows: &self.rows };
                self.exchange.compare(peer, all, out);
            }
            Input::PeerDisconnected(peer) => self.membership.disconnected(now.mono, peer),
            Input::DialFailed(peer) => self.membership.dial_failed(now.mono, peer),
            Input::Compare { ticket, first, last, holdings } => {
                Exchange::answer(ticket, (first, last), &holdings, self.holdings(), out);
            }
            Input::Difference { from, newer, wanted } => {
                self.take_statements(now, newer, out);
                Exchange::give(from, &wanted, self.holdings(), out);
            }
            Input::Statements(statements) => self.take_statements(now, statements, out),
            // The next round picks a neighbour anew; a lost connection is told by PeerDisconnected.
            Input::ExchangeFailed(_) => {}
            Input::MemberSigned(record) => {
                self.membership.signed(record.clone());
                self.tell_links(&Statement::Member(record), out);
            }
            Input::RowSigned(row) => {
                self.rows.take(now.mono, row.clone(), true, out);
                self.tell_links(&Statement::Row(row), out);
            }
            Input::ProbeFinished { probe, outcome } => {
                let change = self.schedule.finished(now.mono, probe, outcome, &mut self.windows, out);
                self.note_changes(now, change, out);
            }
            Input::Persisted { epoch, up_to } => self.outbox.persisted(epoch, up_to),
            Input::UploadFinished { epoch, result } => {
                self.uploader.finished(now, epoch, result, &mut self.outbox, out);
            }
            Input::CheckedIn(result) => self.uploader.checked_in(now.mono, result),
            Input::Configured(config) => self.configure(now, config, out),
            Input::Resolved { endpoint, address } => {
                if self.endpoints.resolved(endpoint, address) {
                    self.retarget(now);
                }
            }
            Input::DiskRoom { is_low } => self.outbox.set_disk_room(is_low),
            Input::AddressesChanged { mesh, probe } => self.membership.set_addresses(mesh, probe, out),
            Input::Shutdown => self.shut_down(now, out),
        }
    }

    /// Does from now on what the mesh's configuration says.
    fn configure(&mut self, now: Now, config: Box<Verified<MeshConfig>>, out: &mut Effects) {
        let version = config.document().version;
        self.pace = Pace::new(&self.params, Some(config.document()));
        self.schedule.set_pace(now.mono, &self.pace);
        self.config = Some(config);
        let (config, all) = everybody(self.config.as_deref(), &self.own, &self.membership);
        self.endpoints.reckon(config, all, out);
        self.retarget(now);
        self.uploader.hurry_check_in(now.mono);
        out.push(Effect::Configured { version });
    }

    /// Whom to probe from now on: members that are not excluded, and endpoints.
    fn retarget(&mut self, now: Now) {
        let mut targets = self.membership.targets(self.params.targets_max);
        if let Some(config) = self.config.as_deref().map(Verified::document).filter(|config| !config.exclude.is_empty())
        {
            let own = config.subject(self.params.agent, &self.own.name, &self.own.site);
            targets.retain(|agent, _| {
                let certificate = self.membership.members().get(agent).map(|member| &member.certificate);
                let other = certificate.map(|other| config.subject(*agent, &other.name, &other.site));
                other.is_none_or(|other| !config.is_excluded(&own, &other))
            });
        }
        targets.extend(self.endpoints.targets());
        self.schedule.set_targets(now.mono, &targets);
    }

    /// What time asks for, after every input: a machine that has nothing due does nothing.
    fn turn(&mut self, now: Now, out: &mut Effects) {
        let (config, all) = everybody(self.config.as_deref(), &self.own, &self.membership);
        if self.endpoints.turn(now.mono, config, all, out) {
            self.retarget(now);
        }
        let changes = self.schedule.turn(now, &mut self.windows, out);
        self.note_changes(now, changes, out);
        self.close_windows(now, false, out);
        self.outbox.turn(now, out);
        self.uploader.turn(now, &mut self.outbox, out);
        self.rows.turn(now, self.membership.incarnation(), || self.schedule.cells(), out);
        self.membership.turn(now.mono, out);
        let all = Holdings { agent: self.params.agent, membership: &self.membership, rows: &self.rows };
        self.exchange.turn(now.mono, all, out);
    }

    fn take_statements(&mut self, now: Now, statements: Vec<Statement>, out: &mut Effects) {
        // Members first: a row counts only if its author is one.
        let (members, rows): (Vec<_>, Vec<_>) =
            statements.into_iter().partition(|statement| matches!(statement, Statement::Member(_)));
        let mut has_new_member = false;
        for statement in members.into_iter().chain(rows) {
            match statement {
                Statement::Member(record) => has_new_member |= self.membership.take(now.mono, record, out),
                Statement::Row(row) => {
                    let owner: AgentId = row.author().into();
                    let held = Holding { owner, topic: Topic::Row, version: row.document().version };
                    if owner == self.params.agent {
                        if self.is_from_elsewhere(&held) {
                            self.outrank(now, held.version, out);
                        }
                    } else {
                        let is_member = self.membership.members().contains_key(&owner);
                        self.rows.take(now.mono, row, is_member, out);
                    }
                }
            }
        }
        if has_new_member {
            self.retarget(now);
            if self.config.is_some() {
                self.endpoints.members_changed(now.mono);
            }
            let others = u64::try_from(self.membership.members().len()).unwrap_or(u64::MAX);
            self.uploader.set_mesh_size(others.saturating_add(1));
        }
    }

    /// Whether a statement of ours that somebody holds is newer than the newest that this process made. Without a row of
    /// this incarnation yet, any row of it is newer.
    fn is_from_elsewhere(&self, held: &Holding) -> bool {
        let incarnation = self.membership.incarnation();
        let newest_row = || self.rows.get(&self.params.agent).map(|row| row.document().version);
        let newest = match held.topic {
            Topic::Member => self.membership.version(),
            Topic::Row => newest_row().unwrap_or_default().max(Version { incarnation, number: 0 }),
        };
        held.version > newest
    }

    /// Only a statement with our own signature raises us: a version that somebody merely claims could be any number.
    fn outrank(&mut self, now: Now, version: Version, out: &mut Effects) {
        self.membership.outrank(version, out);
        self.rows.hurry(now.mono, CellState::Down, CellState::Unknown);
    }

    /// What this agent says of itself goes to its neighbours at once; the rest of the mesh learns it by comparison.
    fn tell_links(&self, statement: &Statement, out: &mut Effects) {
        let signed = match statement {
            Statement::Member(record) => record.signed(),
            Statement::Row(row) => row.signed(),
        };
        out.extend(self.membership.links().into_iter().map(|to| Effect::Give { to, documents: vec![signed.clone()] }));
    }

    fn note_changes(&mut self, now: Now, changes: impl IntoIterator<Item = Change>, out: &mut Effects) {
        for Change { target, from, to } in changes {
            out.push(Effect::CellChanged { target, from, to });
            let flip = CellFlip { target, kind: ProbeKind::Icmp, at: now.wall, from, to };
            self.outbox.push(now, Record::Flip(flip), out);
            self.uploader.hurry();
            self.rows.hurry(now.mono, from, to);
        }
    }

    fn close_windows(&mut self, now: Now, all: bool, out: &mut Effects) {
        let heard_at = self.uploader.acked_at().map_or(self.started, |(mono, _)| mono);
        let is_lonely = now.mono >= heard_at + self.params.lonely_after;
        self.windows.set_length(now.mono, if is_lonely { self.pace.window_lonely } else { self.pace.window });
        for window in self.windows.close(now.mono, all, |target| self.schedule.state_of(target)) {
            self.outbox.push(now, Record::Window(window), out);
        }
    }

    fn shut_down(&mut self, now: Now, out: &mut Effects) {
        self.schedule.abandon(&mut self.windows);
        self.close_windows(now, true, out);
        self.outbox.flush(now, out);
    }

    const fn holdings(&self) -> Holdings<'_> {
        Holdings { agent: self.params.agent, membership: &self.membership, rows: &self.rows }
    }
}

/// The own certificate was checked at the start; a simulation may leave it out.
fn own_certificate(params: &AgentParams) -> Certificate {
    codec::decode(&params.certificate.body, Certificate::BYTES_MAX).unwrap_or_else(|_| Certificate {
        agent: params.agent,
        name: String::new(),
        site: String::new(),
        serial: 0,
        not_before: UnixTime(0),
        not_after: UnixTime(0),
    })
}

/// The configuration, and all members as it sees them, this agent among them.
fn everybody<'a>(
    config: Option<&'a Verified<MeshConfig>>,
    own: &'a Certificate,
    membership: &'a Membership,
) -> (Option<&'a MeshConfig>, impl Iterator<Item = Subject<'a>> + Clone) {
    let config = config.map(Verified::document);
    let others = membership.members().iter().map(|(agent, member)| (*agent, &member.certificate));
    let all = others.chain([(own.agent, own)]).map(move |(agent, of)| match config {
        Some(config) => config.subject(agent, &of.name, &of.site),
        None => Subject { id: agent, name: &of.name, site: &of.site, tags: &[] },
    });
    (config, all)
}
