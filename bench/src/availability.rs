//! `report`: how long the report of a month takes, from sums.

use crate::clock::{Watch, median, wall};
use crate::report::{figure, finish, note};
use crate::rung::{Databases, Rung};
use crate::shop::fill;
use aggregator::app::{App, Shared};
use aggregator::clock::Clock;
use aggregator::config::Config;
use aggregator::mesh::Mesh;
use aggregator::reports::{self, Ask, Made};
use aggregator::store::ReplicaId;
use aggregator_core::report::Period;
use anyhow::Context as _;
use everypath_config::Sources;
use everypath_protocol::time::Span;
use serde_json::{Map, Value};
use std::sync::Arc;

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    databases: Databases,
    /// Agents, each of which measures all others.
    #[arg(long, default_value_t = 100)]
    agents: usize,
    /// Days of history.
    #[arg(long, default_value_t = 60)]
    days: u64,
    /// Windows a pair and day. A report reads the sums of days, of which there is one however many windows are in it.
    #[arg(long, default_value_t = 2)]
    windows: u64,
    /// Days of the report.
    #[arg(long, default_value_t = 30)]
    range: u64,
}

const DAY_S: u64 = 86_400;
/// Of so many reports the middle one is told.
const REPETITIONS: usize = 5;
/// Lines of the page, and of the table of all pairs.
const LINES: (usize, usize) = (100, 100_000);

pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let mut figures = Map::new();
    for rung in arguments.databases.rungs().into_iter().filter(|rung| !rung.is_wasm) {
        note(&format!("{} …", rung.name));
        let part = measure(&arguments, &rung).await.with_context(|| format!("while measuring {}", rung.name))?;
        note(&format!("{}: {}", rung.name, Value::Object(part.clone())));
        figures.insert(rung.name.to_owned(), Value::Object(part));
    }
    finish("report", &figures)
}

async fn measure(arguments: &Arguments, rung: &Rung) -> anyhow::Result<Map<String, Value>> {
    let opened = rung.open(&format!("everypath_bench_report_{}", rung.name)).await?;
    let step = Span::seconds(DAY_S / arguments.windows.max(1));
    let rounds = arguments.days * arguments.windows.max(1);
    let (ids, rows) = fill(&opened, arguments.agents, rounds, step).await?;
    note(&format!("{}: {rows} windows of {} agents", rung.name, ids.len()));
    let lease = opened.store.lease("jobs", ReplicaId(1), Span::seconds(3_600)).await?.context("a lease")?;
    while opened.store.roll_up(lease).await?.has_more {}
    opened.store.close().await;

    let mesh = Mesh::open_or_found(opened.folder.path())?;
    let mut sources = Sources::default();
    sources.flag("data_dir", &*opened.folder.path().to_string_lossy());
    let config = Config::load(&sources)?;
    let app = App::start(config, Clock::system(), rung.again(&opened).await?, mesh).await?;
    let (page, table) = LINES;
    let (mut json, mut csv) = (Vec::new(), Vec::new());
    for _ in 0..REPETITIONS {
        let watch = Watch::start();
        let made = month(&app, arguments.range, page).await?;
        json.push(watch.millis());
        let expected = ids.len() * (ids.len() - 1);
        anyhow::ensure!(made.pairs_measured == expected, "{} pairs of {expected}", made.pairs_measured);
        let watch = Watch::start();
        let (_, text) = month(&app, arguments.range, table).await?.availability_csv();
        csv.push(watch.millis());
        anyhow::ensure!(text.lines().count() > expected, "{} lines", text.lines().count());
    }
    app.store.close().await;
    let mut part = Map::new();
    part.insert("report_ms".into(), figure(median(json)));
    part.insert("report_csv_ms".into(), figure(median(csv)));
    Ok(part)
}

/// The report that somebody asks for now.
async fn month(app: &Shared, days: u64, pairs: usize) -> anyhow::Result<Made> {
    let now = wall();
    let period = Period::new(now.minus(Span::seconds(days * DAY_S)), now, now)?;
    let place = Arc::clone(&app.reports).try_acquire_owned().context("nobody else makes one")?;
    Ok(reports::make(app, Ask { period, pairs, incidents: 100, agent: None, site: None }, place).await?)
}
