//! `aggregator audit streams`: what agents say they counted as stored, against what is stored.

mod compare;
mod ledgers;
mod report;

pub use compare::{StreamReport, compare};
pub use ledgers::{from_data_dir, from_file, from_url};
pub use report::{Totals, table};

use crate::place::{self, Place};
use crate::store::Store;
use anyhow::Context as _;
use everypath_protocol::ledger::Ledger;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// What to compare.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Of the aggregator.
    #[command(flatten)]
    pub place: Place,
    /// Data directory of an agent that is not running; may be given several times.
    #[arg(long)]
    pub agent_dir: Vec<PathBuf>,
    /// Address of the loopback page of an agent that runs, http://127.0.0.1:PORT; may be given several times.
    #[arg(long)]
    pub agent_url: Vec<String>,
    /// File with a list of accounts in JSON, as a loopback page shows one; may be given several times.
    #[arg(long)]
    pub ledger: Vec<PathBuf>,
    /// End with one line of JSON.
    #[arg(long)]
    pub json: bool,
}

/// Compares and prints. 0 is clean, 1 is not.
///
/// # Errors
/// When the comparison cannot be made; whoever calls ends with 2.
pub async fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(
        !(arguments.agent_dir.is_empty() && arguments.agent_url.is_empty() && arguments.ledger.is_empty()),
        "name at least one agent, by --agent-dir, --agent-url or --ledger"
    );
    // The accounts first: what is stored afterwards can only be more.
    let mut ledgers = Vec::new();
    for folder in &arguments.agent_dir {
        ledgers.push(from_data_dir(folder)?);
    }
    for url in &arguments.agent_url {
        ledgers.push(from_url(url).await?);
    }
    for file in &arguments.ledger {
        ledgers.extend(from_file(file)?);
    }
    let store = place::open(&arguments.place.read()?, false).await?;
    let reports = compare_all(&store, &ledgers).await;
    store.close().await;
    let reports = reports?;
    let totals = Totals::of(&reports);
    let mut out = std::io::stdout().lock();
    out.write_all(table(&reports).as_bytes()).context("while writing to standard output")?;
    if arguments.json {
        let line = serde_json::to_string(&totals).context("while writing the totals")?;
        writeln!(out, "{line}").context("while writing to standard output")?;
    }
    Ok(if totals.is_clean() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// One report for each stream that either side knows of.
///
/// # Errors
/// When the database cannot be read.
pub async fn compare_all(store: &Store, ledgers: &[Ledger]) -> anyhow::Result<Vec<StreamReport>> {
    let mut reports = Vec::new();
    for ledger in ledgers {
        let streams = store.streams(ledger.agent).await.context("while reading the database")?;
        reports.extend(compare(ledger, &streams));
    }
    Ok(reports)
}
