//! What `/state` says, as types that the terminal commands read again.

use crate::aggregators::Failure;
use crate::clock;
use crate::net::supervisor::Listening;
use crate::probe::privilege::Privileges;
use crate::store::DiskState;
use crate::store::inspect::{BufferReport, FileReport};
use crate::text::{self, rfc3339};
use everypath_protocol::cell::{CellState, PackedCell};
use everypath_protocol::id::{AgentId, MeshId};
use everypath_protocol::record::DropReason;
use everypath_protocol::time::UnixTime;
use everypath_protocol::window::NotMeasured;
use mesh_agent_core::matrix::{EndpointView, MemberView, View};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write;

/// What does not change while the process runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct About {
    /// This agent.
    pub agent: AgentId,
    /// Its mesh.
    pub mesh: MeshId,
    /// Its name.
    pub name: String,
    /// Its site.
    pub site: String,
    /// Version of this program.
    pub program: String,
    /// When its certificate should have been renewed.
    pub not_after: UnixTime,
    /// Where results go.
    pub aggregators: Vec<String>,
    /// Most bytes of results that may wait.
    pub buffer_bytes_max: u64,
    /// Keys that are set on this host although the configuration of the mesh has them, and where.
    pub overrides: BTreeMap<&'static str, String>,
}

/// The whole answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StateJson {
    /// Which agent says this, in hexadecimal.
    pub agent: String,
    /// Its name.
    pub name: String,
    /// Its site.
    pub site: String,
    /// Its mesh, in hexadecimal.
    pub mesh: String,
    /// Version of the program.
    pub program: String,
    /// When this was said.
    pub at: String,
    /// Its certificate is past its time. Peers still accept it.
    pub certificate_stale: bool,
    /// See there.
    pub certificate_not_after: String,
    /// Where the mesh can reach it.
    pub listen: Vec<String>,
    /// Where it is probed.
    pub probe_addresses: Vec<String>,
    /// Where results go.
    pub aggregators: Vec<String>,
    /// What this host allows.
    pub privileges: PrivilegesJson,
    /// All members, by site and name.
    pub members: Vec<MemberJson>,
    /// Hosts without an agent, in the order of the configuration.
    #[serde(default)]
    pub endpoints: Vec<EndpointJson>,
    /// What is in force.
    #[serde(default)]
    pub config: ConfigJson,
    /// Streams that are not drained, the live one last.
    pub epochs: Vec<EpochJson>,
    /// Bytes that wait for an aggregator.
    pub buffered_bytes: u64,
    /// Records given up since the start.
    pub dropped_records: u64,
    /// Probes finished since the start.
    pub probes: u64,
    /// Probes that said nothing, by reason.
    pub not_measured: BTreeMap<String, u32>,
    /// When an aggregator last acknowledged something.
    pub acked_at: Option<String>,
    /// What went wrong last with an aggregator, unless one has done what it was asked since then.
    #[serde(default)]
    pub failure: Option<FailureJson>,
}

/// An aggregator was not reached, or refused.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FailureJson {
    /// When.
    pub at: String,
    /// Which one.
    pub url: String,
    /// What was wrong, and what to do.
    pub why: String,
}

impl From<Failure> for FailureJson {
    fn from(Failure { at, url, why }: Failure) -> Self {
        Self { at: rfc3339(at), url, why }
    }
}

/// What `/buffer` says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BufferJson {
    /// What the file says.
    pub report: BufferReport,
    /// The file and the disk around it.
    pub file: FileReport,
    /// What only a running agent knows.
    pub running: Option<RunningBufferJson>,
}

/// What only a running agent knows of its buffer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RunningBufferJson {
    /// Most bytes that may wait.
    pub bytes_max: u64,
    /// Records given up since the start, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// Bytes of results that are only in memory, because the disk has not confirmed them.
    pub unpersisted_bytes: u64,
    /// Writing fails, for this reason, and is tried again.
    pub failing: Option<String>,
}

impl RunningBufferJson {
    /// Puts together what is known.
    pub fn new(view: &View, about: &About, state: &DiskState) -> Self {
        let reasons = DropReason::ALL.into_iter().zip(view.dropped_by_reason);
        Self {
            bytes_max: about.buffer_bytes_max,
            dropped: reasons.map(|(reason, count)| (reason.name().to_owned(), count)).collect(),
            unpersisted_bytes: view.unpersisted_bytes,
            failing: state.failing.clone(),
        }
    }
}

/// What this host allows.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PrivilegesJson {
    /// ICMP over IPv4.
    pub icmp_v4: String,
    /// ICMP over IPv6.
    pub icmp_v6: String,
    /// What to do, if something is forbidden.
    pub advice: Option<String>,
}

/// One member.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MemberJson {
    /// In hexadecimal.
    pub agent: String,
    /// Its name.
    pub name: String,
    /// Its site.
    pub site: String,
    /// Version of its program.
    pub program: String,
    /// A connection leads to it.
    pub is_connected: bool,
    /// When it wrote its newest row.
    pub row_at: Option<String>,
    /// What it measures.
    pub cells: Vec<CellJson>,
}

/// One cell of a row.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CellJson {
    /// Who is measured, in hexadecimal.
    pub target: String,
    /// `unknown`, `ok`, `slow`, `lossy` or `down`.
    pub state: String,
    /// If known.
    pub loss_permille: Option<u16>,
    /// If known.
    pub rtt_us: Option<u32>,
}

/// A host without an agent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EndpointJson {
    /// Its identity, in hexadecimal.
    pub id: String,
    /// Its name.
    pub name: String,
    /// As the configuration has it.
    pub address: String,
    /// Where it was found, if this agent observes it.
    pub found: Option<String>,
}

/// What is in force.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ConfigJson {
    /// Version of the mesh's configuration; 0: none.
    pub version: u64,
    /// When it was made.
    pub made_at: Option<String>,
    /// Between two probes of one target.
    pub probe_interval_ms: u64,
    /// Without a reply for this long a probe is lost.
    pub probe_timeout_ms: u64,
    /// Length of a window.
    pub window_ms: u64,
    /// Keys that are set on this host and win over the mesh's configuration, and where they are set.
    pub overrides: BTreeMap<String, String>,
}

impl ConfigJson {
    fn new(view: &View, about: &About) -> Self {
        let overrides = about.overrides.iter().map(|(key, place)| ((*key).to_owned(), place.clone()));
        Self {
            version: view.config_version,
            made_at: view.config_made.map(rfc3339),
            probe_interval_ms: view.pace.interval.as_millis(),
            probe_timeout_ms: view.pace.timeout.as_millis(),
            window_ms: view.pace.window.as_millis(),
            overrides: overrides.collect(),
        }
    }
}

/// One stream.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EpochJson {
    /// Which, in hexadecimal as the aggregator's audit prints it: it is larger than JavaScript can hold.
    pub epoch: String,
    /// Last number handed out.
    pub last: u64,
    /// Last number on disk.
    pub persisted: u64,
    /// Last number acknowledged.
    pub acked: u64,
}

impl StateJson {
    /// Puts together what is known.
    pub fn new(
        view: &View,
        about: &About,
        listening: &Listening,
        privileges: &Privileges,
        failure: Option<Failure>,
    ) -> Self {
        let now = clock::wall();
        let reasons = NotMeasured::ALL.into_iter().zip(view.not_measured.0);
        Self {
            agent: about.agent.to_string(),
            name: about.name.clone(),
            site: about.site.clone(),
            mesh: about.mesh.to_string(),
            program: about.program.clone(),
            at: rfc3339(now),
            certificate_stale: about.not_after < now,
            certificate_not_after: rfc3339(about.not_after),
            listen: listening.mesh.clone(),
            probe_addresses: listening.probe.iter().map(ToString::to_string).collect(),
            aggregators: about.aggregators.clone(),
            privileges: PrivilegesJson {
                icmp_v4: privileges.icmp_v4.word().to_owned(),
                icmp_v6: privileges.icmp_v6.word().to_owned(),
                advice: privileges.advice(),
            },
            members: view.members.iter().map(MemberJson::new).collect(),
            endpoints: view.endpoints.iter().map(EndpointJson::new).collect(),
            config: ConfigJson::new(view, about),
            epochs: view
                .epochs
                .iter()
                .map(|epoch| EpochJson {
                    epoch: text::epoch(epoch.epoch),
                    last: epoch.last.0,
                    persisted: epoch.persisted.0,
                    acked: epoch.acked.0,
                })
                .collect(),
            buffered_bytes: view.buffered_bytes,
            dropped_records: view.dropped_records,
            probes: view.probes,
            not_measured: reasons.map(|(reason, count)| (reason.name().to_owned(), count)).collect(),
            acked_at: view.acked_at.map(rfc3339),
            failure: failure.map(FailureJson::from),
        }
    }
}

impl MemberJson {
    fn new(member: &MemberView) -> Self {
        Self {
            agent: member.agent.to_string(),
            name: member.name.clone(),
            site: member.site.clone(),
            program: member.program.clone(),
            is_connected: member.is_connected,
            row_at: member.row_at.map(rfc3339),
            cells: member.cells.iter().map(|(target, cell)| CellJson::new(*target, *cell)).collect(),
        }
    }
}

impl EndpointJson {
    fn new(endpoint: &EndpointView) -> Self {
        Self {
            id: endpoint.endpoint.to_string(),
            name: endpoint.name.clone(),
            address: endpoint.address.clone(),
            found: endpoint.found.map(|found| found.to_string()),
        }
    }
}

impl CellJson {
    fn new(target: AgentId, cell: PackedCell) -> Self {
        let state = CellState::from_code(cell.state).unwrap_or_default();
        Self {
            target: target.to_string(),
            state: state.name().to_owned(),
            loss_permille: cell.loss_permille(),
            rtt_us: cell.rtt_us(),
        }
    }
}

/// Gauges of the agent, which only a view knows.
pub fn view_metrics(view: &View) -> String {
    let mut text = String::new();
    let mut gauge = |name: &str, help: &str, value: u64| {
        let _ = writeln!(text, "# HELP everypath_agent_{name} {help}\n# TYPE everypath_agent_{name} gauge");
        let _ = writeln!(text, "everypath_agent_{name} {value}");
    };
    let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
    gauge("members", "Members known, this agent included", count(view.members.len()));
    gauge("epochs", "Streams that are not drained", count(view.epochs.len()));
    gauge("buffered_bytes", "Bytes of results that wait for an aggregator", view.buffered_bytes);
    gauge("dropped_records", "Records given up since the start, each noted", view.dropped_records);
    gauge(
        "unpersisted_blocks",
        "Blocks handed to the disk and not confirmed, at most 64",
        count(view.unpersisted_blocks),
    );
    gauge("unpersisted_bytes", "Bytes of those, which are only in memory, at most 4194304", view.unpersisted_bytes);
    let waiting = view.epochs.iter().map(|epoch| epoch.last.0.saturating_sub(epoch.acked.0)).sum();
    gauge("unacknowledged_records", "Records that no aggregator has acknowledged", waiting);
    let name = "everypath_agent_dropped_records_by_reason";
    let _ = writeln!(text, "# HELP {name} Records given up since the start, by reason\n# TYPE {name} gauge");
    for (reason, count) in DropReason::ALL.into_iter().zip(view.dropped_by_reason) {
        let _ = writeln!(text, "{name}{{reason=\"{}\"}} {count}", reason.name());
    }
    text
}
