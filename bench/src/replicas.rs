//! Real aggregators as processes of their own, on one database and loopback.

use anyhow::Context as _;
use everypath_protocol::token::JoinToken;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};

/// For a replica to answer.
const START_MAX: Duration = Duration::from_secs(60);
/// For a replica to end.
const STOP_MAX: Duration = Duration::from_secs(20);
/// Version 1 of the kernel's control groups for processor time.
const GROUPS: &str = "/sys/fs/cgroup/cpu";

/// Replicas that end with this value.
#[derive(Debug)]
pub(crate) struct Fleet {
    program: PathBuf,
    database: String,
    key_file: PathBuf,
    replicas: Vec<Replica>,
}

#[derive(Debug)]
struct Replica {
    child: Child,
    https: String,
    group: Option<PathBuf>,
}

impl Fleet {
    /// Starts `count` replicas on the database, each held to `percent` of a core if one is given.
    pub(crate) async fn start(
        program: &Path,
        folder: &Path,
        database: &str,
        count: usize,
        percent: Option<u32>,
    ) -> anyhow::Result<Self> {
        let key_file = folder.join("seal.key");
        if !key_file.exists() {
            aggregator::seal::make(&key_file)?;
        }
        let mut fleet =
            Self { program: program.to_owned(), database: database.to_owned(), key_file, replicas: Vec::new() };
        for number in 0..count {
            let data_dir = folder.join(format!("replica-{number}"));
            fleet.replicas.push(fleet.replica(&data_dir, percent).await?);
        }
        Ok(fleet)
    }

    pub(crate) fn urls(&self) -> Vec<String> {
        self.replicas.iter().map(|replica| replica.https.clone()).collect()
    }

    /// A token for everybody.
    pub(crate) async fn token(&self) -> anyhow::Result<JoinToken> {
        let mut command = self.command(&["token", "create", "--uses", "10000"]);
        command.args(["--advertise", &self.replicas[0].https]);
        let output = command.output().await.context("while making a token")?;
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        anyhow::ensure!(output.status.success(), "no token could be made: {complaint}");
        JoinToken::from_text(String::from_utf8_lossy(&output.stdout).trim()).context("while reading the token")
    }

    /// Ends all, orderly.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        for mut replica in self.replicas {
            if let Some(pid) = replica.child.id() {
                let _ = Command::new("kill").args(["-TERM", &pid.to_string()]).status().await;
            }
            if tokio::time::timeout(STOP_MAX, replica.child.wait()).await.is_err() {
                replica.child.kill().await.context("while ending a replica")?;
            }
            if let Some(group) = replica.group.take() {
                std::fs::remove_dir(&group).with_context(|| format!("while removing {}", group.display()))?;
            }
        }
        Ok(())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .env("EVERYPATH_AGGREGATOR_DATABASE__URL", &self.database)
            .env("EVERYPATH_AGGREGATOR_DATABASE__KEY_FILE", &self.key_file)
            .kill_on_drop(true);
        command
    }

    async fn replica(&self, data_dir: &Path, percent: Option<u32>) -> anyhow::Result<Replica> {
        let mut command = self.command(&["serve", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data-dir"]);
        command.arg(data_dir).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().with_context(|| format!("while starting {}", self.program.display()))?;
        let group = match (percent, child.id()) {
            (Some(percent), Some(pid)) => Some(hold(pid, percent)?),
            _ => None,
        };
        let https = tokio::time::timeout(START_MAX, address(data_dir)).await.context("a replica did not start")?;
        Ok(Replica { child, https, group })
    }
}

/// The address that a replica writes once it listens.
async fn address(data_dir: &Path) -> String {
    loop {
        let text = std::fs::read(data_dir.join("addresses.json")).unwrap_or_default();
        let json: Value = serde_json::from_slice(&text).unwrap_or_default();
        if let Some(https) = json["https"].as_str() {
            return format!("https://{https}");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Puts a process into a control group of its own with a part of one core.
fn hold(pid: u32, percent: u32) -> anyhow::Result<PathBuf> {
    let group = Path::new(GROUPS).join(format!("everypath-bench-{pid}"));
    let write = |name: &str, value: String| {
        let file = group.join(name);
        std::fs::write(&file, value).with_context(|| format!("while writing {}", file.display()))
    };
    std::fs::create_dir(&group)
        .with_context(|| format!("while making {} (root, control groups version 1)", group.display()))?;
    write("cpu.cfs_period_us", "100000".to_owned())?;
    write("cpu.cfs_quota_us", (percent * 1_000).to_string())?;
    write("cgroup.procs", pid.to_string())?;
    Ok(group)
}
