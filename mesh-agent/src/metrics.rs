//! Every number that this process shows about itself. One value, made at start and handed around: no globals.

use prometheus::{Encoder, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder};

/// All metrics of an agent; cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    /// Connections that the certificate gate turned away, by reason.
    pub gate_refusals: IntCounterVec,
    /// Connections that passed the gate, by the end that opened them.
    pub gate_admissions: IntCounterVec,
    /// Join requests answered by this agent, by answer.
    pub joins: IntCounterVec,
    /// Statements of members that did not pass their check, by kind.
    pub statements_refused: IntCounterVec,
    /// A bounded queue was full and its rule was applied, by queue.
    pub queue_full: IntCounterVec,
    /// Length of the driver's turns.
    pub turn_seconds: Histogram,
    /// Turns longer than [`crate::driver::TURN_LONG`].
    pub turns_long: IntCounter,
    /// Things that should not happen, by kind.
    pub anomalies: IntCounterVec,
    /// Probes, by how they ended.
    pub probes: IntCounterVec,
    /// Changes of cells, by the new state.
    pub cell_changes: IntCounterVec,
    /// Uploads, by how they ended.
    pub uploads: IntCounterVec,
    /// Hellos to an aggregator, by how they ended.
    pub hellos: IntCounterVec,
    /// Check-ins at an aggregator, by how they ended.
    pub check_ins: IntCounterVec,
    /// Of the configuration of the mesh.
    pub configs: ConfigMetrics,
    /// Commits to the buffer that failed and were tried again.
    pub store_retries: IntCounter,
    /// The buffer could not be read, was set aside, and a new one was begun.
    pub store_resets: IntCounter,
    /// Numbers of records whose bytes were damaged or missing on disk, replaced by a record that says so.
    pub store_damaged_records: IntCounter,
    /// Records saved from a buffer that could not be read.
    pub store_salvaged_records: IntCounter,
    /// Records that an aggregator refused for what is in them, put aside.
    pub store_quarantined_records: IntCounter,
    /// Commits that failed because the disk was full.
    pub store_disk_full: IntCounter,
    /// Times the buffer's file was made smaller.
    pub store_compactions: IntCounter,
    /// 1 while the disk takes no writes.
    pub store_failing: IntGauge,
    /// 1 while so little room is left that the buffer may not grow.
    pub store_room_low: IntGauge,
    /// Size of the buffer's file.
    pub store_file_bytes: IntGauge,
    /// Tasks that panicked and were started again, by task.
    pub task_panics: IntCounterVec,
    /// Members with a connection.
    pub peers: IntGauge,
}

/// Numbers about the configuration of the mesh.
#[derive(Clone, Debug)]
pub struct ConfigMetrics {
    /// Documents that were not used, by reason.
    pub refused: IntCounterVec,
    /// Version that is in force; 0: none.
    pub version: IntGauge,
    /// Endpoints that this agent should observe and cannot find.
    pub not_found: IntGauge,
}

impl Metrics {
    /// Fresh counters, all 0.
    pub fn new() -> Self {
        let registry = Registry::new();
        let counters = |name: &str, help: &str, label: &str| {
            let opts = Opts::new(format!("everypath_agent_{name}"), help);
            let metric = IntCounterVec::new(opts, &[label]).expect("name and label are constants of the right form");
            registry.register(Box::new(metric.clone())).expect("every name is used once");
            metric
        };
        let counter = |name: &str, help: &str| {
            let opts = Opts::new(format!("everypath_agent_{name}"), help);
            let metric = IntCounter::with_opts(opts).expect("the name is a constant of the right form");
            registry.register(Box::new(metric.clone())).expect("every name is used once");
            metric
        };
        let gauge = |name: &str, help: &str| {
            let metric = IntGauge::new(format!("everypath_agent_{name}"), help).expect("a constant name");
            registry.register(Box::new(metric.clone())).expect("every name is used once");
            metric
        };
        let turn = HistogramOpts::new("everypath_agent_turn_duration_seconds", "Length of the driver's turns")
            .buckets(vec![0.000_1, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0]);
        let turn_seconds = Histogram::with_opts(turn).expect("buckets ascend");
        registry.register(Box::new(turn_seconds.clone())).expect("every name is used once");
        Self {
            gate_refusals: counters(
                "gate_refusals_total",
                "Connections that the certificate gate turned away",
                "reason",
            ),
            gate_admissions: counters("gate_admissions_total", "Connections that passed the gate", "opened_by"),
            joins: counters("joins_total", "Join requests answered by this agent", "answer"),
            statements_refused: counters("statements_refused_total", "Statements that failed their check", "kind"),
            queue_full: counters("queue_full_total", "A bounded queue was full and its rule was applied", "queue"),
            turn_seconds,
            turns_long: counter("turns_long_total", "Turns of the driver of more than 50 ms"),
            anomalies: counters("anomalies_total", "Things that should not happen", "kind"),
            probes: counters("probes_total", "Probes by how they ended", "outcome"),
            cell_changes: counters("cell_changes_total", "Changes of cells by the new state", "to"),
            uploads: counters("uploads_total", "Uploads by how they ended", "result"),
            hellos: counters("hellos_total", "Hellos to an aggregator by how they ended", "result"),
            check_ins: counters("check_ins_total", "Check-ins at an aggregator by how they ended", "result"),
            configs: ConfigMetrics {
                refused: counters("configs_refused_total", "Configurations of the mesh that were not used", "reason"),
                version: gauge("config_version", "Version of the mesh's configuration that is in force; 0: none"),
                not_found: gauge("endpoints_not_found", "Endpoints that should be observed and cannot be found"),
            },
            store_retries: counter("store_retries_total", "Commits to the buffer that failed and were tried again"),
            store_resets: counter("store_resets_total", "Times the buffer was unreadable and was set aside"),
            store_damaged_records: counter("store_damaged_records_total", "Records lost to damage on disk, each noted"),
            task_panics: counters("task_panics_total", "Tasks that panicked and were started again", "task"),
            store_salvaged_records: counter("store_salvaged_records_total", "Records saved from an unreadable buffer"),
            store_quarantined_records: counter(
                "store_quarantined_records_total",
                "Records that an aggregator refused for what is in them, put aside",
            ),
            store_disk_full: counter("store_disk_full_total", "Commits to the buffer that failed for want of room"),
            store_compactions: counter("store_compactions_total", "Times the buffer's file was made smaller"),
            store_failing: gauge("store_failing", "1 while the disk takes no writes of the buffer"),
            store_room_low: gauge("store_room_low", "1 while the buffer may not grow because the disk is nearly full"),
            store_file_bytes: gauge("store_file_bytes", "Size of the buffer's file"),
            peers: gauge("peers", "Members with a connection"),
            registry,
        }
    }

    /// The text that Prometheus reads.
    pub fn text(&self) -> String {
        let mut text = Vec::new();
        // Writing to memory cannot fail, and all names were checked when the metrics were made.
        let _ = TextEncoder::new().encode(&self.registry.gather(), &mut text);
        String::from_utf8(text).unwrap_or_default()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
