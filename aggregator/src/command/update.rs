//! Replacing this program. What agents send is acknowledged when it is in the database, so nothing is lost by a restart.

use aggregator::config::Config;
use clap::Args;
use everypath_config::Sources;
use everypath_update::{Program, Request, Version};
use std::path::PathBuf;

/// The unit of deploy/systemd.
const UNIT: &str = "everypath-aggregator";

#[derive(Debug, Args)]
pub(crate) struct Update {
    /// Only say whether there is a newer release.
    #[arg(long)]
    check: bool,
    /// This version, and not the newest; never an older one.
    #[arg(long)]
    version: Option<Version>,
    /// Configuration file (TOML).
    #[arg(long)]
    config: Option<PathBuf>,
}

pub(crate) async fn run(arguments: Update) -> anyhow::Result<String> {
    let config = Config::load(&Sources::of_process(arguments.config.as_deref()))?;
    let program = Program::new("aggregator", env!("CARGO_PKG_VERSION"));
    let request = Request { check: arguments.check, version: arguments.version };
    Ok(everypath_update::run(program, config.update, request, UNIT, async || Ok(())).await?)
}
