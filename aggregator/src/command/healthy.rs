//! For whoever watches the process from beside it, such as a container's health check: no shell and no other program is needed.

use aggregator::addresses::Bound;
use aggregator::config::Config;
use aggregator::tls;
use anyhow::Context as _;
use clap::Args;
use everypath_config::Sources;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Shorter than what a health check waits.
const ANSWER_MAX: Duration = Duration::from_secs(4);
/// What is shown of an answer.
const SHOWN_CHARS_MAX: usize = 300;

#[derive(Debug, Args)]
pub(crate) struct Healthy {
    /// Configuration file (TOML).
    #[arg(long)]
    config: Option<PathBuf>,
    /// The data directory of the aggregator.
    #[arg(long)]
    data_dir: Option<PathBuf>,
}

/// Asks, and returns what is to be printed.
pub(crate) async fn run(arguments: &Healthy) -> anyhow::Result<(String, ExitCode)> {
    let mut sources = Sources::of_process(arguments.config.as_deref());
    sources.flag_if("data_dir", arguments.data_dir.as_ref().map(|path| path.display()).as_ref());
    let address = listener(&Config::load(&sources)?);
    tls::install_provider();
    let client = reqwest::Client::builder().no_proxy().timeout(ANSWER_MAX).build().context("while making a client")?;
    let answer = match client.get(format!("http://{address}/readyz")).send().await {
        Ok(answer) => answer,
        Err(why) => {
            return Ok((format!("no aggregator answers at {address}: {}\n", why.without_url()), ExitCode::FAILURE));
        }
    };
    if answer.status().is_success() {
        return Ok(("ready\n".to_owned(), ExitCode::SUCCESS));
    }
    let status = answer.status();
    let problem: serde_json::Value = answer.json().await.unwrap_or_default();
    let detail: String = problem["detail"].as_str().unwrap_or_default().chars().take(SHOWN_CHARS_MAX).collect();
    Ok((format!("not ready ({status}): {detail}\n"), ExitCode::FAILURE))
}

/// The one that the running program wrote down at its start, whatever flags it was given; before its first start the configured one.
fn listener(config: &Config) -> SocketAddr {
    Bound::read(&config.data_dir).map_or(config.http, |bound| bound.http)
}
