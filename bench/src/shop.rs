//! `store`: bytes a row, a pair's day, the matrix of now.

use crate::clock::{Watch, median, quantile, wall};
use crate::people::{self, Member};
use crate::report::{figure, finish, note};
use crate::rung::{Databases, Opened, Rung};
use crate::synthetic::{WINDOW, fleet};
use aggregator::clock::Clock;
use aggregator::hub::Hub;
use aggregator::mesh::Mesh;
use aggregator::store::{Keep, LatestRow, ReplicaId, SeriesQuery, Store};
use aggregator_core::matrix::SavedCell;
use aggregator_core::series::Question;
use anyhow::Context as _;
use everypath_protocol::cell::{CellState, PackedCell};
use everypath_protocol::id::{AgentId, mix64};
use everypath_protocol::mesh_config::MeshConfig;
use everypath_protocol::time::{MonoTime, Now, Span, UnixTime};
use everypath_protocol::window::ProbeKind;
use serde_json::{Map, Value};

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    databases: Databases,
    /// Agents of the stored history; each probes 19 others.
    #[arg(long, default_value_t = 20)]
    agents: usize,
    /// Hours of history, a window of ten seconds for every pair.
    #[arg(long, default_value_t = 24)]
    hours: u64,
    /// Agents of the matrix.
    #[arg(long, default_value_t = 1_000)]
    matrix: usize,
}

/// Kept for ever, as far as a benchmark goes.
const KEEP: Keep = Keep {
    samples: Span::seconds(400 * 86_400),
    minutes: Span::seconds(400 * 86_400),
    hours: Span::seconds(400 * 86_400),
    days: Span::seconds(400 * 86_400),
    events: Span::seconds(400 * 86_400),
};
/// Windows of ten seconds that come in one batch: a minute of a backlog.
const ROUNDS_PER_BATCH: usize = 6;

pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let mut figures = Map::new();
    for rung in arguments.databases.rungs() {
        note(&format!("{} …", rung.name));
        let part = measure(&arguments, &rung).await.with_context(|| format!("while measuring {}", rung.name))?;
        note(&format!("{}: {}", rung.name, Value::Object(part.clone())));
        figures.insert(rung.name.to_owned(), Value::Object(part));
    }
    finish("store", &figures)
}

async fn measure(arguments: &Arguments, rung: &Rung) -> anyhow::Result<Map<String, Value>> {
    let opened = rung.open(&format!("everypath_bench_store_{}", rung.name)).await?;
    let hours = if rung.is_wasm { arguments.hours.min(6) } else { arguments.hours };
    let rounds = hours * 3_600 / WINDOW.as_seconds();
    let (ids, rows) = fill(&opened, arguments.agents, rounds, WINDOW).await?;
    let mut part = Map::new();
    // What is packed or compressed by age is so now.
    let lease = opened.store.lease("jobs", ReplicaId(1), Span::seconds(3_600)).await?.context("a lease")?;
    while opened.store.roll_up(lease).await?.has_more {}
    while opened.store.maintain(lease, KEEP, wall().plus(Span::seconds(2 * 86_400))).await?.has_more {}
    if rung.name == "timescale_community" {
        crate::copy::compress(opened.url.as_deref().context("a server")?).await?;
    }
    let tables = opened.store.describe().await?.tables;
    let bytes: u64 =
        tables.iter().filter(|(name, ..)| name == "sample" || name == "sample_block").map(|table| table.2).sum();
    #[expect(clippy::cast_precision_loss, reason = "megabytes fit a float")]
    part.insert("bytes_per_row".into(), figure(bytes as f64 / rows as f64));
    if !rung.is_wasm {
        part.insert("pair_24h_p95_ms".into(), figure(pairs(&opened.store, &ids).await?));
        let (first_byte, cold) = matrix(rung, &opened, arguments.matrix).await?;
        part.insert("matrix_first_byte_ms".into(), figure(first_byte));
        part.insert("matrix_cold_ms".into(), figure(cold));
    }
    opened.store.close().await;
    Ok(part)
}

/// A history of all pairs, a window each `step`; returns the agents and how many windows were stored.
pub(crate) async fn fill(
    opened: &Opened,
    agents: usize,
    rounds: u64,
    step: Span,
) -> anyhow::Result<(Vec<AgentId>, u64)> {
    let mesh = Mesh::open_or_found(opened.folder.path())?;
    let end = wall();
    let members = people::members(&mesh, agents, 3, end);
    let ids: Vec<AgentId> = members.iter().map(Member::id).collect();
    let (mesh, store) = (&mesh, &opened.store);
    let sending = members.iter().zip(fleet(&ids, agents - 1, 3)).map(|(member, mut source)| async move {
        let (mut blocks, mut rows) = (Vec::new(), 0);
        for round in (0..rounds).rev() {
            // Whoever reads times trusts the monotonic clock: both clocks say the same of the past.
            let written = MonoTime(step.0 * (rounds - round));
            blocks.extend(source.round(end.minus(Span(step.0 * round)), written));
            if blocks.len() >= ROUNDS_PER_BATCH || round == 0 {
                let sent = Now { wall: end, mono: MonoTime(step.0 * rounds) };
                let batch = people::batch(mesh, member, std::mem::take(&mut blocks), end, sent)?;
                rows += store.ingest(batch).await?.rows;
            }
        }
        anyhow::Ok(rows)
    });
    let rows = futures::future::try_join_all(sending).await?.into_iter().sum();
    Ok((ids, rows))
}

/// Milliseconds that 95 of 100 questions for a pair's day by the minute take at most, over pairs at random.
async fn pairs(store: &Store, ids: &[AgentId]) -> anyhow::Result<f64> {
    let now = wall();
    let question = Question::new(now.minus(Span::seconds(86_400)), now, Span::seconds(60))?;
    let mut millis = Vec::new();
    for number in 0..300_u64 {
        let pick = |salt: u64| ids[usize::try_from(mix64(number ^ salt)).unwrap_or(0) % ids.len()];
        let (source, target) = (pick(0), pick(1 << 40));
        if source == target {
            continue;
        }
        let watch = Watch::start();
        let query = SeriesQuery { source, target, kind: ProbeKind::Icmp, question };
        let points = store.series(query).await?.points;
        anyhow::ensure!(points.len() > 1_000, "a day has {} minutes", points.len());
        // The first ones fill caches that a running aggregator has filled.
        if number >= 20 {
            millis.push(watch.millis());
        }
    }
    Ok(quantile(millis, 950))
}

/// Milliseconds to the first byte of the whole matrix from memory, and to all of it from a database that was just opened.
async fn matrix(rung: &Rung, opened: &Opened, size: usize) -> anyhow::Result<(f64, f64)> {
    let mesh = Mesh::open_or_found(opened.folder.path())?;
    let now = wall();
    let members = people::members(&mesh, size, 5, now);
    let ids: Vec<AgentId> = members.iter().map(Member::id).collect();
    let mut sources = fleet(&ids, 1, 5);
    let sending = members.iter().zip(&mut sources).map(|(member, source)| {
        let blocks = source.round(now, Now::default().mono);
        let batch = people::batch(&mesh, member, blocks, now, Now { wall: now, ..Now::default() });
        async { anyhow::Ok(opened.store.ingest(batch?).await?) }
    });
    for sending in sending {
        sending.await?;
    }
    let rows: Vec<LatestRow> = ids.iter().map(|source| row(*source, &ids, now)).collect();
    for some in rows.chunks(100) {
        opened.store.keep_latest(some.to_vec(), now).await?;
    }
    let (mut first, mut cold) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        let watch = Watch::start();
        let store = rung.again(opened).await?;
        let state = store.matrix_state(wall().minus(Span::seconds(120))).await?;
        let hub = Hub::start(Clock::system(), state, MeshConfig::usual().window());
        let bytes = hub.snapshot().await?;
        cold.push(watch.millis());
        anyhow::ensure!(bytes.len() > size * size * 4, "the matrix has {} bytes", bytes.len());
        let watch = Watch::start();
        hub.snapshot().await?;
        first.push(watch.millis());
        store.close().await;
    }
    Ok((median(first), median(cold)))
}

fn row(source: AgentId, targets: &[AgentId], now: UnixTime) -> LatestRow {
    let cell = |target: &AgentId| SavedCell {
        target: *target,
        packed: PackedCell::new(CellState::Ok, Some(0), Some(400)),
        ended: now,
    };
    LatestRow { source, cells: targets.iter().filter(|target| **target != source).map(cell).collect() }
}
