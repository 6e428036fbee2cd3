//! What each event does to the world.

use crate::disk::Change;
use crate::faults::Fault;
use crate::host::{BEGIN, Host};
use crate::network::HostIndex;
use crate::returning::RETRY_AFTER;
use crate::server::Upload;
use crate::world::{Event, Outcome, World};
use everypath_protocol::cell::CellState;
use everypath_protocol::id::{Epoch, Seq};
use everypath_protocol::time::Span;
use mesh_agent_core::effect::{Input, Statement, UploadResult};
use std::collections::BTreeMap;

/// The answer to one upload in a hundred is lost.
const ANSWERS_LOST_PERMILLE: u64 = 10;
const ANSWER_TIMEOUT: Span = Span::seconds(15);

impl World {
    pub(crate) fn handle(&mut self, event: Event) {
        if let Event::Wake { host, .. }
        | Event::Deliver { host, .. }
        | Event::Sync { host, .. }
        | Event::Hello { host, .. } = &event
            && self.hosts[*host].suspended_until > self.at
        {
            // It comes to it when it goes on.
            self.queue.push(self.hosts[*host].suspended_until, event);
            return;
        }
        match event {
            Event::Wake { host, boot } => {
                self.fold(1);
                let machine = &self.hosts[host];
                let is_due = machine.wake_at.is_some_and(|wake| machine.now(self.at).mono >= wake);
                if machine.boot == boot && is_due {
                    self.hosts[host].wake_at = None;
                    self.feed(host, Input::Wakeup);
                    let machine = &self.hosts[host];
                    let is_past = machine.wake_at.is_some_and(|wake| wake <= machine.now(self.at).mono);
                    assert!(!is_past, "agent {host} wants to be woken at once after it was woken: it would spin");
                }
            }
            Event::Deliver { host, boot, input } => {
                self.fold(2 + u64::try_from(host).unwrap_or(0));
                if self.hosts[host].boot == boot {
                    self.feed(host, *input);
                }
            }
            Event::Connect { from, to } => self.connect(from, to),
            Event::Sync { host, boot } => self.sync(host, boot),
            Event::Hello { host, boot } => self.hello(host, boot),
            Event::Arrive { host, boot, upload, is_repeat } => self.arrive(host, boot, &upload, is_repeat),
            Event::Fault(fault) => self.fail(*fault),
            Event::Start(host) => self.start(host),
            Event::ServerStart => self.server_start(),
            Event::CheckLinks => self.check_links(),
            Event::Calm => {
                self.is_calm = true;
                self.network.heal();
                self.network.calm();
                self.server.is_up = true;
                self.server.busy_until = self.at;
                for host in &mut self.hosts {
                    host.disk_full_until = self.at;
                    host.suspended_until = self.at;
                    host.mend_clock();
                }
            }
        }
    }

    fn server_start(&mut self) {
        // A longer outage that began meanwhile goes on.
        self.server.is_up = self.at >= self.server.down_until;
        if let Some(returning) = &mut self.returning {
            let last =
                |host: &Host| host.disk.platter.ledger.iter().map(|(epoch, (last, _))| (*epoch, *last)).collect();
            returning.begin(self.hosts.iter().map(last).collect());
        }
    }

    fn connect(&mut self, from: HostIndex, to: HostIndex) {
        let is_possible = self.hosts[from].is_up() && self.hosts[to].is_up() && self.network.is_joined(from, to);
        if is_possible && self.hosts[from].links.insert(to) {
            self.hosts[to].links.insert(from);
            let (one, other) = (self.hosts[from].id(), self.hosts[to].id());
            self.feed(from, Input::PeerConnected(other));
            self.feed(to, Input::PeerConnected(one));
        } else if !is_possible {
            let target = self.hosts[to].id();
            self.deliver(Span::ZERO, from, Input::DialFailed(target));
        }
    }

    fn sync(&mut self, host: HostIndex, boot: u64) {
        if self.hosts[host].boot != boot || !self.hosts[host].is_up() {
            return;
        }
        self.hosts[host].is_syncing = false;
        for (epoch, up_to) in self.sync_disk(host, usize::MAX) {
            self.feed(host, Input::Persisted { epoch, up_to });
        }
    }

    /// Syncs and keeps the truth. Returns what to tell the agent.
    pub(crate) fn sync_disk(&mut self, host: HostIndex, count: usize) -> BTreeMap<Epoch, Seq> {
        let agent = self.hosts[host].id();
        let mut persisted = BTreeMap::new();
        for change in self.hosts[host].disk.sync(count) {
            self.truth.note(agent, &change);
            match change {
                Change::Stored { epoch, block } => persisted.insert(epoch, block.last()),
                Change::Moved { into, last, .. } => persisted.insert(into, last),
                Change::Dropped { .. } | Change::Discarded => None,
            };
        }
        persisted
    }

    fn arrive(&mut self, host: HostIndex, boot: u64, upload: &Upload, is_repeat: bool) {
        let place = self.server_place();
        let wall = BEGIN.plus(Span(self.at));
        let is_there = self.server.is_up && self.network.is_joined(host, place);
        let rows = upload.last.0 - upload.first.0 + 1;
        let mut done_at = self.at;
        let returning = self.returning.as_mut().filter(|_| is_there);
        let result = match returning.map(|returning| returning.admit(self.at, rows, upload.is_backlog)) {
            Some(None) => UploadResult::Busy { retry_after: RETRY_AFTER },
            Some(Some(at)) => {
                done_at = at;
                self.ingest_returned(host, upload, at)
            }
            None if is_there => self.server.ingest(upload, wall, self.at),
            None => UploadResult::Unreachable,
        };
        if is_repeat || self.hosts[host].boot != boot {
            return;
        }
        let epoch = upload.epoch;
        let is_lost = self.random.permille(ANSWERS_LOST_PERMILLE) && !self.is_calm;
        let (after, result) = match self.network.message(place, host) {
            Some(delay) if !is_lost => (Span(delay.0 + done_at - self.at), result),
            Some(_) | None => (ANSWER_TIMEOUT, UploadResult::Unreachable),
        };
        self.deliver(after, host, Input::UploadFinished { epoch, result });
    }

    /// The same with a look at whether it brings something new.
    fn ingest_returned(&mut self, host: HostIndex, upload: &Upload, at: u64) -> UploadResult {
        let result = self.server.ingest(upload, BEGIN.plus(Span(self.at)), self.at);
        if let Some(returning) = &mut self.returning
            && self.server.newest.take().is_some_and(|newest| newest > BEGIN.plus(Span(returning.at)))
        {
            returning.fresh(host, at);
        }
        result
    }

    fn fail(&mut self, fault: Fault) {
        if self.is_calm {
            return;
        }
        match fault {
            Fault::Crash { host, down, restored } => self.crash(host, down, restored),
            Fault::Stop { host, down } => self.stop(host, down),
            Fault::Copy(host) => self.hosts[host].copy = Some(self.hosts[host].disk.platter.clone()),
            Fault::ServerCrash(down) => {
                self.outcome.crashes += 1;
                self.server.is_up = false;
                self.server.down_until = self.server.down_until.max(self.at + down.0);
                self.after(down, Event::ServerStart);
            }
            Fault::Part(parts) => {
                self.outcome.partitions += 1;
                self.network.part(parts);
                self.link_timeout();
            }
            Fault::Heal => self.network.heal(),
            Fault::StepClock { host, by_us } => {
                self.outcome.disturbances += 1;
                self.hosts[host].step_clock(by_us);
            }
            Fault::Suspend { host, lasts } => {
                self.outcome.disturbances += 1;
                self.hosts[host].suspended_until = self.at + lasts.0;
            }
            Fault::DiskFull { host, lasts } => {
                self.outcome.disturbances += 1;
                self.hosts[host].disk_full_until = self.at + lasts.0;
            }
            Fault::Busy(lasts) => {
                self.outcome.disturbances += 1;
                self.server.busy_until = self.at + lasts.0;
            }
        }
    }

    fn crash(&mut self, host: HostIndex, down: Span, restored: bool) {
        if !self.hosts[host].is_up() {
            return;
        }
        self.outcome.crashes += 1;
        // Some of what was not synced made it to the disk, in order.
        let cached = u64::try_from(self.hosts[host].disk.cached()).unwrap_or(0);
        let kept = usize::try_from(self.random.below(cached + 1)).unwrap_or(0);
        self.sync_disk(host, kept);
        self.hosts[host].disk.crash(0);
        if restored && let Some(copy) = self.hosts[host].copy.clone() {
            self.outcome.restored_disks += 1;
            self.truth.restore(self.hosts[host].id(), &copy, &self.server);
            self.hosts[host].disk.platter = copy;
        }
        self.switch_off(host, down);
    }

    fn stop(&mut self, host: HostIndex, down: Span) {
        if self.hosts[host].is_up() {
            self.feed(host, Input::Shutdown);
            self.sync_disk(host, usize::MAX);
            self.switch_off(host, down);
        }
    }

    fn switch_off(&mut self, host: HostIndex, down: Span) {
        self.hosts[host].agent = None;
        let links: Vec<HostIndex> = self.hosts[host].links.iter().copied().collect();
        for other in links {
            self.unlink(host, other);
        }
        self.after(down, Event::Start(host));
    }

    fn start(&mut self, host: HostIndex) {
        self.hosts[host].start(self.at);
        let boot = self.hosts[host].boot;
        let mesh = vec![format!("/memory/{host}")];
        let number = u32::try_from(host).unwrap_or(0);
        let probe = vec![core::net::IpAddr::from((0x0a00_0000_u32 + number).to_be_bytes())];
        self.feed(host, Input::AddressesChanged { mesh, probe });
        let remembered: Vec<Statement> =
            self.hosts[host].disk.platter.members.iter().cloned().map(Statement::Member).collect();
        self.feed(host, Input::Statements(remembered));
        self.after(Span::millis(500), Event::Hello { host, boot });
    }

    fn check_links(&mut self) {
        for one in 0..self.hosts.len() {
            let gone: Vec<HostIndex> =
                self.hosts[one].links.iter().copied().filter(|other| !self.network.is_joined(one, *other)).collect();
            for other in gone {
                self.unlink(one, other);
            }
        }
    }

    pub(crate) fn finish(mut self) -> Outcome {
        let disks = self.hosts.iter().map(|host| (host.id(), &host.disk.platter)).collect();
        self.outcome.findings = self.truth.check(&self.server, &disks);
        self.outcome.messages_lost = self.network.lost;
        self.outcome.misfiled = self.server.misfiled;
        if let Some(returning) = &self.returning {
            let (fresh, drained) = returning.figures();
            (self.outcome.fresh_p99_ms, self.outcome.drained_ms) = (fresh.as_millis(), drained.as_millis());
            self.outcome.busy = returning.busy;
        }
        for (place, host) in self.hosts.iter().enumerate() {
            let others = self.pace.others(place, self.hosts.len());
            // An island is so small that everybody measures everybody.
            let expected = others * (others + 1);
            let Some(agent) = &host.agent else { continue };
            let view = agent.view(host.now(self.at));
            self.outcome.undrained += u64::from(view.epochs.len() > 1);
            let measured = |code| CellState::from_code(code).is_some_and(|state| state != CellState::Unknown);
            let told = view.members.iter().flat_map(|member| &member.cells).filter(|(_, cell)| measured(cell.state));
            self.outcome.unmeasured += u64::try_from(expected.saturating_sub(told.count())).unwrap_or(0);
        }
        let prints: Vec<u64> =
            self.server.streams.values().flat_map(|stream| stream.rows.iter().map(|row| row.1)).collect();
        for print in prints {
            self.fold(print);
        }
        self.outcome
    }
}
