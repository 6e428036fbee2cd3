//! Replacing the agent's program. Never while results wait that no aggregator has: a new program that cannot read the buffer of the
//! old one must find nothing in it to lose.

use crate::config::Config;
use crate::show::{self, ShowError};
use crate::status::json::BufferJson;
use crate::store::OpenStoreError;
use everypath_update::{Program, Request, UpdateError};
use std::path::Path;
use std::time::Duration;

/// The unit of deploy/systemd.
const UNIT: &str = "everypath-agent";
/// An agent that works always has something under way; within this there is a moment when everything was acknowledged.
const PATIENCE: Duration = Duration::from_secs(30);
const ASK_EVERY: Duration = Duration::from_millis(200);

/// The command `update`.
///
/// # Errors
/// [`UpdateError`]; the program is as it was then.
pub async fn run(config: &Config, request: Request) -> Result<String, UpdateError> {
    let program = Program::new("mesh-agent", env!("CARGO_PKG_VERSION"));
    everypath_update::run(program, config.update.clone(), request, UNIT, || flushed(&config.data_dir)).await
}

/// Returns once no result waits: at once if there is none, or never will be, else when the running agent has sent everything.
async fn flushed(data_dir: &Path) -> Result<(), String> {
    let mut last = String::new();
    let asking = async {
        let mut pause = tokio::time::interval(ASK_EVERY);
        loop {
            pause.tick().await;
            let buffer = match show::fetch_buffer(data_dir).await {
                Ok(buffer) => buffer,
                // An agent that has joined and never run.
                Err(ShowError::Buffer(OpenStoreError::Missing { .. })) => return Ok(()),
                Err(why) => return Err(unknown(&why)),
            };
            let Some(waiting) = unflushed(&buffer) else { return Ok(()) };
            // Nobody sends what a stopped agent has.
            if buffer.running.is_none() {
                return Err(refusal(&waiting, "Start the agent, and ask again once everything was sent"));
            }
            last = waiting;
        }
    };
    let asked = tokio::time::timeout(PATIENCE, asking).await;
    asked.unwrap_or_else(|_| Err(refusal(&last, "Ask again when the aggregator can be reached and has caught up")))
}

/// What waits, if anything does.
fn unflushed(buffer: &BufferJson) -> Option<String> {
    let report = &buffer.report;
    let in_memory = buffer.running.as_ref().map_or(0, |running| running.unpersisted_bytes);
    let on_disk = report.epochs.iter().any(|epoch| epoch.blocks > 0 || epoch.last > epoch.acked);
    if !on_disk && report.waiting_bytes == 0 && in_memory == 0 {
        return None;
    }
    let since = report.oldest.as_ref().map_or_else(String::new, |oldest| format!(", the oldest of {oldest}"));
    Some(format!("{} records in {} bytes{since}", report.waiting_records, report.waiting_bytes + in_memory))
}

fn refusal(waiting: &str, advice: &str) -> String {
    format!(
        "results wait that no aggregator has acknowledged ({waiting}), so nothing was replaced. {advice}; `mesh-agent buffer status` shows what waits"
    )
}

fn unknown(why: &ShowError) -> String {
    format!("it cannot be found out whether results wait, so nothing was replaced: {why}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::json::RunningBufferJson;
    use crate::store::inspect::{BufferReport, EpochReport, FileReport};

    fn buffer(report: BufferReport, unpersisted_bytes: Option<u64>) -> BufferJson {
        let running = unpersisted_bytes.map(|unpersisted_bytes| RunningBufferJson {
            bytes_max: 1,
            dropped: [].into(),
            unpersisted_bytes,
            failing: None,
        });
        BufferJson { report, file: FileReport::default(), running }
    }

    #[test]
    fn whatever_waits_holds_an_update_up() {
        let epoch = |blocks, last| EpochReport { epoch: "1".into(), last, acked: 5, blocks, bytes: 0, oldest: None };
        let report = |epochs, waiting_bytes| BufferReport { epochs, waiting_bytes, ..BufferReport::default() };
        assert_eq!(unflushed(&buffer(report(vec![], 0), None)), None);
        assert_eq!(unflushed(&buffer(report(vec![epoch(0, 5)], 0), Some(0))), None);
        for (report, running) in [
            (report(vec![epoch(1, 5)], 0), Some(0)),
            (report(vec![epoch(0, 6)], 0), None),
            (report(vec![], 1), None),
            (report(vec![], 0), Some(1)),
        ] {
            assert!(unflushed(&buffer(report.clone(), running)).is_some(), "{report:?} {running:?}");
        }
    }

    #[tokio::test]
    async fn where_no_agent_is_nothing_is_guessed() {
        let folder = tempfile::tempdir().unwrap();
        assert!(flushed(&folder.path().join("mistyped")).await.unwrap_err().contains("no data directory"));
        assert_eq!(flushed(folder.path()).await, Ok(()));
    }
}
