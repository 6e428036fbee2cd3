//! Load and benchmarks. Everything runs on loopback, is bounded in count and time, and ends by itself. The last line on
//! standard output is one JSON object, also written to `target/bench/NAME.json`.
//!
//! `load` is a tool for operators: synthetic agents that speak the real protocol to real replicas. `ingest`, `store` and
//! `report` measure beside their anchors; `deploy/bench.sh` starts the databases for them.
#![forbid(unsafe_code)]

mod availability;
mod clock;
mod copy;
mod ingest;
mod load;
mod people;
mod race;
mod replicas;
mod report;
mod rung;
mod shop;
mod sync;
mod synthetic;
mod wire;

use clap::{Parser, Subcommand};

/// Load and benchmarks of Everypath.
#[derive(Debug, Parser)]
#[command(name = "everypath-bench", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Synthetic agents that join with a token and send windows to aggregators.
    Load(load::Arguments),
    /// Many keys try one join token at the same time.
    JoinRace(race::Arguments),
    /// Rows a second into each database, beside COPY.
    Ingest(ingest::Arguments),
    /// Bytes a row, a pair's day, the matrix of now.
    Store(shop::Arguments),
    /// The availability of a month, from sums.
    Report(availability::Arguments),
    /// Agents come back with a backlog of a day.
    Sync(sync::Arguments),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    aggregator::tls::install_provider();
    aggregator::telemetry::init_logs(Some("warn"));
    match Arguments::parse().command {
        Command::Load(arguments) => Box::pin(load::run(arguments)).await,
        Command::JoinRace(arguments) => Box::pin(race::run(arguments)).await,
        Command::Ingest(arguments) => Box::pin(ingest::run(arguments)).await,
        Command::Store(arguments) => Box::pin(shop::run(arguments)).await,
        Command::Report(arguments) => Box::pin(availability::run(arguments)).await,
        Command::Sync(arguments) => Box::pin(sync::run(arguments)).await,
    }
}
