//! Logs and metrics. Every metric is named here and nowhere else.

use prometheus::{Encoder as _, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder};
use std::io::IsTerminal as _;
use tracing_subscriber::EnvFilter;

/// The counters of this process.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    /// Batches by what became of them: stored, duplicate, or the code of the refusal.
    pub batches: IntCounterVec,
    /// Rows stored.
    pub rows: IntCounter,
    /// Requests to join, by what became of them.
    pub joins: IntCounterVec,
    /// Logins, by what became of them.
    pub logins: IntCounterVec,
    /// Passwords that were not checked, because too many waited.
    pub passwords_refused: IntCounter,
    /// Refusals that are not in the audit log, because there were too many.
    pub audit_left_out: IntCounter,
    /// Clients of the live matrix.
    pub live_clients: IntGauge,
    /// Times a client of the live matrix was too slow and had to fetch it again.
    pub live_resets: IntCounter,
    /// Members.
    pub agents: IntGauge,
    /// Version of the mesh's configuration that is in force; 0: none.
    pub config_version: IntGauge,
    /// Rows, or whole partitions, dropped because of their age.
    pub rows_dropped: IntCounter,
    /// Samples added to the sums.
    pub samples_rolled_up: IntCounter,
    /// Sums written.
    pub buckets_written: IntCounter,
    /// Records that other replicas stored and that were shown here.
    pub rows_followed: IntCounter,
    /// Numbers of the journal that are not visible yet.
    pub journal_holes: IntGauge,
    /// Age of the first sample that is not in the sums yet.
    pub unsummed_seconds: IntGauge,
    /// See [`crate::store::RolledUp::damaged`].
    pub damaged: IntCounter,
    /// How long this replica has not seen anybody do the jobs.
    pub unled_seconds: IntGauge,
    /// Questions about a pair that would have read too many rows.
    pub series_refused: IntCounter,
    /// Reports that were not made because too many were under way.
    pub reports_refused: IntCounter,
    /// 1 while nothing old is deleted, because the clock may be wrong.
    pub clock_doubted: IntGauge,
    /// Evaluations of the rules, by what became of them: judged, blind, waiting or failed.
    pub evaluations: IntCounterVec,
    /// How long the last evaluation took.
    pub evaluation_micros: IntGauge,
    /// Conditions of rules that hold, or held a short time ago.
    pub conditions: IntGauge,
    /// Conditions that were not begun for want of room.
    pub conditions_left_out: IntGauge,
    /// What became of incidents: opened, reopened, reclassified, updated, merged or resolved.
    pub incidents: IntCounterVec,
    /// Open incidents.
    pub incidents_open: IntGauge,
    /// Messages by what became of them: sent, waits, again or given_up.
    pub messages: IntCounterVec,
    /// Messages that wait to be sent.
    pub messages_waiting: IntGauge,
    /// How long the oldest of them has waited.
    pub messages_waiting_seconds: IntGauge,
    /// 1 while this replica does the jobs.
    pub is_leader: IntGauge,
    /// Background jobs that failed, by name.
    pub job_failures: IntCounterVec,
}

impl Metrics {
    /// All at zero.
    ///
    /// # Panics
    /// Never: the names below are valid and differ.
    pub fn new() -> Self {
        let registry = Registry::new();
        let counter = |name, help| register(&registry, IntCounter::with_opts(options(name, help)));
        let gauge = |name, help| register(&registry, IntGauge::with_opts(options(name, help)));
        let counters = |name, help, label| register(&registry, IntCounterVec::new(options(name, help), &[label]));
        Self {
            batches: counters("ingest_batches_total", "Batches by what became of them.", "result"),
            rows: counter("ingest_rows_total", "Rows stored."),
            joins: counters("joins_total", "Requests to join by what became of them.", "result"),
            logins: counters("logins_total", "Logins by what became of them.", "result"),
            passwords_refused: counter(
                "passwords_refused_total",
                "Logins and passwords that too many were waiting before.",
            ),
            audit_left_out: counter("audit_left_out_total", "Refusals that were too many for the audit log."),
            live_clients: gauge("live_clients", "Clients of the live matrix."),
            live_resets: counter("live_resets_total", "Clients of the live matrix that were too slow."),
            agents: gauge("agents", "Members of the mesh."),
            config_version: gauge("config_version", "Version of the mesh's configuration that is in force; 0: none."),
            rows_dropped: counter("retention_dropped_total", "Rows or partitions dropped because of their age."),
            samples_rolled_up: counter("rollup_samples_total", "Samples added to the sums."),
            buckets_written: counter("rollup_buckets_total", "Sums written."),
            rows_followed: counter("followed_rows_total", "Records of other replicas shown here."),
            journal_holes: gauge("journal_holes", "Numbers of the journal that are not visible yet."),
            damaged: counter(
                "store_damaged_total",
                "Blocks, journal entries and sums that could not be read and were left out.",
            ),
            unsummed_seconds: gauge("unsummed_seconds", "Age of the first sample that is not in the sums yet."),
            unled_seconds: gauge("unled_seconds", "How long this replica has not seen anybody do the jobs."),
            series_refused: counter("series_refused_total", "Questions about a pair that ask for too many rows."),
            reports_refused: counter("reports_refused_total", "Reports that were refused because two were being made."),
            clock_doubted: gauge("clock_doubted", "1 while nothing is deleted because the clock may be wrong."),
            evaluations: counters(
                "alert_evaluations_total",
                "Evaluations of the rules by what became of them.",
                "result",
            ),
            evaluation_micros: gauge("alert_evaluation_microseconds", "How long the last evaluation took."),
            conditions: gauge("alert_conditions", "Conditions of rules that hold, or held a short time ago."),
            conditions_left_out: gauge("alert_conditions_left_out", "Conditions not begun for want of room."),
            incidents: counters("incidents_total", "What became of incidents.", "change"),
            incidents_open: gauge("incidents_open", "Open incidents."),
            messages: counters("alert_messages_total", "Messages by what became of them.", "result"),
            messages_waiting: gauge("alert_messages_waiting", "Messages and reports that wait to be sent."),
            messages_waiting_seconds: gauge(
                "alert_messages_waiting_seconds",
                "How long the oldest of them has waited.",
            ),
            is_leader: gauge("is_leader", "1 while this replica does the jobs."),
            job_failures: counters("job_failures_total", "Background jobs that failed.", "job"),
            registry: registry.clone(),
        }
    }

    /// All of them in the text format of Prometheus.
    pub fn text(&self) -> String {
        let mut bytes = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut bytes) {
            tracing::error!(%error, "metrics cannot be written");
        }
        String::from_utf8(bytes).unwrap_or_default()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

fn options(name: &str, help: &str) -> Opts {
    Opts::new(format!("everypath_aggregator_{name}"), help)
}

fn register<C: prometheus::core::Collector + Clone + 'static>(registry: &Registry, made: prometheus::Result<C>) -> C {
    let collector = made.expect("the name and help of a metric are valid");
    registry.register(Box::new(collector.clone())).expect("no two metrics share a name");
    collector
}

/// Logs to standard error what `filter` lets through, else what the environment variable `RUST_LOG` does, else "info".
pub fn init_logs(filter: Option<&str>) {
    let chosen =
        filter.map_or_else(|| EnvFilter::try_from_default_env().ok(), |filter| EnvFilter::try_new(filter).ok());
    let filter = chosen.unwrap_or_else(|| EnvFilter::new("info"));
    // In tests several may try; the first one wins.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // Files and journals keep what colours are written with.
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()))
        .try_init();
}
