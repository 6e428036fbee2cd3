//! What came of a return, in figures.

use super::agent::Returned;
use crate::clock::quantile;
use crate::report::{figure, whole};
use aggregator::addresses::Bound;
use anyhow::Context as _;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What is asked of the replicas at the end.
#[derive(Debug, Default)]
pub(super) struct Replicas {
    /// Batches by what became of them.
    results: BTreeMap<String, u64>,
    rss_max_mib: f64,
}

impl Replicas {
    /// Their counters, and the most memory that one of them ever had. `folder` is that of their data directories.
    pub(super) async fn ask(folder: &Path, count: usize) -> anyhow::Result<Self> {
        let mut found = Self::default();
        for number in 0..count {
            let data_dir = folder.join(format!("replica-{number}"));
            let bound = Bound::read(&data_dir).context("a replica has no address")?;
            let text = reqwest::get(format!("http://{}/metrics", bound.http)).await?.text().await?;
            for line in text.lines() {
                let Some((result, value)) = line
                    .strip_prefix("everypath_aggregator_ingest_batches_total{result=\"")
                    .and_then(|rest| rest.split_once("\"} "))
                else {
                    continue;
                };
                *found.results.entry(result.to_owned()).or_default() += value.parse::<u64>().unwrap_or(0);
            }
            found.rss_max_mib = found.rss_max_mib.max(peak_mib(&data_dir).context("a replica is not in /proc")?);
        }
        Ok(found)
    }
}

/// The most memory that the process of this data directory ever had.
fn peak_mib(data_dir: &Path) -> Option<f64> {
    let name = data_dir.to_str()?;
    let processes = std::fs::read_dir("/proc").ok()?.flatten().map(|entry| entry.path());
    let is_it = |process: &PathBuf| {
        let words = std::fs::read(process.join("cmdline")).unwrap_or_default();
        words.split(|byte| *byte == 0).any(|word| word == name.as_bytes())
    };
    let status = std::fs::read_to_string(processes.into_iter().find(is_it)?.join("status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse::<f64>().ok().map(|kib| kib / 1_024.0)
}

/// Whatever did not come within `limit` seconds counts as that.
pub(super) fn figures(limit: u64, all: &[Returned], replicas: &Replicas) -> Map<String, Value> {
    #[expect(clippy::cast_precision_loss, reason = "at most an hour")]
    let limit = limit as f64;
    let times =
        |of: fn(&Returned) -> Option<f64>| -> Vec<f64> { all.iter().map(|one| of(one).unwrap_or(limit)).collect() };
    let (fresh, drained) = (times(|one| one.fresh_s), times(|one| one.drained_s));
    let drained_s = quantile(drained.clone(), 1_000);
    let backlog: u64 = all.iter().map(|one| one.backlog).sum();
    #[expect(clippy::cast_precision_loss, reason = "millions of records fit a float")]
    let rate = backlog as f64 / drained_s.max(0.001);
    let uploads = |result: &str| all.iter().map(|one| one.metrics.uploads.with_label_values(&[result]).get()).sum();
    let count = |of: fn(&Returned) -> bool| all.iter().filter(|one| of(one)).count();
    let mut figures = Map::new();
    figures.insert("agents".into(), all.len().into());
    figures.insert("backlog_records".into(), backlog.into());
    figures.insert("fresh_p50_s".into(), figure(quantile(fresh.clone(), 500)));
    figures.insert("fresh_p99_s".into(), figure(quantile(fresh, 990)));
    figures.insert("drained_p50_s".into(), figure(quantile(drained, 500)));
    figures.insert("drained_s".into(), figure(drained_s));
    figures.insert("never_fresh".into(), count(|one| one.fresh_s.is_none()).into());
    figures.insert("never_drained".into(), count(|one| one.drained_s.is_none()).into());
    figures.insert("rows_per_s".into(), whole(rate));
    for result in ["acked", "busy", "unreachable", "gap", "refused", "rejected"] {
        let sum: u64 = uploads(result);
        figures.insert(result.to_owned(), sum.into());
    }
    figures.insert("server_errors".into(), replicas.results.get("internal").copied().unwrap_or(0).into());
    figures.insert("server_batches".into(), serde_json::json!(replicas.results));
    figures.insert("server_rss_max_mib".into(), whole(replicas.rss_max_mib));
    figures.insert("dropped".into(), all.iter().map(|one| one.dropped).sum::<u64>().into());
    figures
}
