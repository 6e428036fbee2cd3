//! An agent of a run: the core that ships, its key, its disk, and the clocks that it reads.

use crate::disk::{Disk, Platter};
use crate::network::HostIndex;
use crate::pace::Pace;
use crate::random::Random;
use everypath_protocol::id::{AgentId, BootId, Incarnation, MeshId, PublicKey};
use everypath_protocol::sign::{Signed, SimulatedKey, SimulatedScheme, Verified, seal, sha256};
use everypath_protocol::time::{MonoTime, Now, Span, UnixTime};
use everypath_protocol::trust::{CERTIFICATE_LIFE_US, Certificate, Delegation, Trust, mesh_of};
use everypath_verdict::Thresholds;
use mesh_agent_core::{Agent, AgentParams};
use std::collections::BTreeSet;

/// Wall clock when a run begins: 2026-01-01 00:00 UTC.
pub const BEGIN: UnixTime = UnixTime(1_767_225_600_000_000);

/// The mesh of a run and its issuer.
#[derive(Debug)]
pub struct Authority {
    /// What agents believe in.
    pub trust: Trust,
    issuer: SimulatedKey,
}

fn key(name: &str, number: u64) -> SimulatedKey {
    SimulatedKey(PublicKey(sha256(&[name.as_bytes(), &number.to_le_bytes()])))
}

impl Default for Authority {
    fn default() -> Self {
        let (root, issuer) = (key("root", 0), key("issuer", 0));
        let mesh = mesh_of(&root.0);
        let delegation = Delegation { version: 1, issuers: vec![issuer.0], config: Vec::new() };
        let delegation: Verified<Delegation> = seal(delegation, mesh, &root);
        Self { trust: Trust::new(mesh, delegation), issuer }
    }
}

impl Authority {
    /// The mesh.
    pub const fn mesh(&self) -> MeshId {
        self.trust.mesh()
    }

    fn certify(&self, agent: AgentId, number: HostIndex) -> Signed {
        let certificate = Certificate {
            agent,
            name: format!("agent-{number}"),
            site: format!("site-{}", number % 5),
            serial: u64::try_from(number).unwrap_or(0),
            not_before: BEGIN,
            not_after: UnixTime(BEGIN.0 + CERTIFICATE_LIFE_US),
        };
        seal(certificate, self.mesh(), &self.issuer).signed().clone()
    }
}

/// One agent's machine.
#[derive(Debug)]
pub struct Host {
    /// Its key.
    pub key: SimulatedKey,
    /// The running agent, if it runs.
    pub agent: Option<Agent>,
    /// Its disk.
    pub disk: Disk,
    /// A copy of the disk, if one was made.
    pub copy: Option<Platter>,
    /// Which start this is; events for an earlier one are void.
    pub boot: u64,
    /// Connections.
    pub links: BTreeSet<HostIndex>,
    /// When the running agent wants to be woken.
    pub wake_at: Option<MonoTime>,
    /// A sync of the disk is under way.
    pub is_syncing: bool,
    /// The running process.
    pub process: BootId,
    /// Until this true time nothing can be written.
    pub disk_full_until: u64,
    /// Until this true time nothing runs; then it goes on where it was.
    pub suspended_until: u64,
    pace: Pace,
    certificate: Signed,
    buffer_bytes_max: u64,
    booted_at: u64,
    /// How far this wall clock is from the true time, in microseconds.
    skew_us: i64,
    random: Random,
}

impl Host {
    /// A machine that is switched off.
    pub fn new(number: HostIndex, seed: u64, authority: &Authority, pace: Pace, buffer_bytes_max: u64) -> Self {
        let number64 = u64::try_from(number).unwrap_or(0);
        let key = key("agent", number64);
        let mut random = Random::new(seed, 1_000 + number64);
        Self {
            certificate: authority.certify(key.0.into(), number),
            key,
            agent: None,
            disk: Disk::default(),
            copy: None,
            boot: 0,
            links: BTreeSet::new(),
            wake_at: None,
            is_syncing: false,
            process: BootId(0),
            disk_full_until: 0,
            suspended_until: 0,
            pace,
            buffer_bytes_max,
            booted_at: 0,
            skew_us: i64::try_from(random.below(4_000_000)).unwrap_or(0) - 2_000_000,
            random,
        }
    }

    /// Its name in the mesh.
    pub const fn id(&self) -> AgentId {
        AgentId(self.key.0.0)
    }

    /// What it reads from its clocks at the true time `at`. Its monotonic clock began when it was switched on.
    pub fn now(&self, at: u64) -> Now {
        let mono = MonoTime(at - self.booted_at + 1);
        let wall = BEGIN.plus(Span(at));
        Now { mono, wall: UnixTime(wall.0.saturating_add(self.skew_us)) }
    }

    /// The true time of a reading of its monotonic clock.
    pub const fn true_time(&self, mono: MonoTime) -> u64 {
        mono.0.saturating_sub(1).saturating_add(self.booted_at)
    }

    /// Switches it on.
    pub fn start(&mut self, at: u64) {
        self.boot += 1;
        self.booted_at = at;
        self.links.clear();
        self.wake_at = None;
        self.is_syncing = false;
        self.disk.platter.incarnation = Incarnation(self.disk.platter.incarnation.0 + 1);
        self.process = BootId(self.random.bits());
        let params = self.params();
        let now = self.now(at);
        self.agent = Some(Agent::new(params, self.disk.platter.resume(), self.random.bytes(), now));
    }

    fn params(&self) -> AgentParams {
        let certificate = self.certificate.clone();
        let usual = AgentParams::usual(self.id(), certificate, self.process, self.disk.platter.incarnation);
        let params = AgentParams { buffer_bytes_max: self.buffer_bytes_max, ..usual };
        match self.pace {
            Pace::Mesh => params,
            Pace::Keeping => AgentParams {
                probe_interval: Span::seconds(60),
                thresholds: Thresholds::for_interval(Span::seconds(60)),
                burst_interval: Span::seconds(20),
                window: Span::seconds(120),
                window_lonely: Span::seconds(240),
                exchange_interval: Span::seconds(300),
                row_interval: Span::seconds(600),
                ..params
            },
            // Windows as usual, and a probe in each of the short ones.
            Pace::Returning => AgentParams {
                probe_interval: Span::seconds(10),
                thresholds: Thresholds::for_interval(Span::seconds(10)),
                exchange_interval: Span::seconds(1_800),
                row_interval: Span::seconds(1_800),
                ..params
            },
        }
    }

    /// Somebody noticed that the wall clock is wrong.
    pub const fn mend_clock(&mut self) {
        self.skew_us = 0;
    }

    /// Sets the wall clock, as an operator or a daemon does.
    pub const fn step_clock(&mut self, by_us: i64) {
        self.skew_us = self.skew_us.saturating_add(by_us);
    }

    /// Whether it runs.
    pub const fn is_up(&self) -> bool {
        self.agent.is_some()
    }
}

/// The check of signatures in a run.
pub const SCHEME: SimulatedScheme = SimulatedScheme;
