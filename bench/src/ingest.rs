//! `ingest`: rows a second from checked batches to the commit, and from HTTPS to the commit, beside COPY of the same rows.

use crate::clock::{Watch, median, wall};
use crate::copy::Reference;
use crate::load::{self, Load};
use crate::people::{self, Member};
use crate::replicas::Fleet;
use crate::report::{figure, finish, note, whole};
use crate::rung::{Databases, Rung};
use crate::synthetic::{WINDOW, fleet};
use aggregator::mesh::Mesh;
use aggregator::store::{Batch, Store};
use anyhow::Context as _;
use everypath_protocol::time::{MonoTime, Now, Span};
use serde_json::{Map, Value};
use std::time::Duration;

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    databases: Databases,
    /// Agents, each with as many targets less one.
    #[arg(long, default_value_t = 101)]
    agents: usize,
    /// Rows of one measurement.
    #[arg(long, default_value_t = 1_000_000)]
    rows: usize,
    /// Measurements; the median counts.
    #[arg(long, default_value_t = 3)]
    repetitions: usize,
    /// Seconds of each measurement over HTTPS.
    #[arg(long, default_value_t = 15)]
    seconds: u64,
    /// The aggregator's program, for what goes over HTTPS.
    #[arg(long, env = "EVERYPATH_AGGREGATOR")]
    aggregator: Option<std::path::PathBuf>,
}

pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let mut figures = Map::new();
    let mut heap = None;
    // The anchor first: SQLite's figure is a ratio to it too.
    let mut rungs = arguments.databases.rungs();
    rungs.rotate_left(1);
    for rung in rungs.iter().filter(|rung| !rung.is_wasm) {
        note(&format!("{} …", rung.name));
        let part =
            measure(&arguments, rung, &mut heap).await.with_context(|| format!("while measuring {}", rung.name))?;
        note(&format!("{}: {}", rung.name, Value::Object(part.clone())));
        figures.insert(rung.name.to_owned(), Value::Object(part));
    }
    finish("ingest", &figures)
}

async fn measure(arguments: &Arguments, rung: &Rung, heap: &mut Option<f64>) -> anyhow::Result<Map<String, Value>> {
    let mut part = Map::new();
    let (mut rates, mut bare) = (Vec::new(), Vec::new());
    // Turn by turn, so that whatever else this machine does befalls both alike.
    for repetition in 0..arguments.repetitions {
        for (is_bare, rates) in [(true, &mut bare), (false, &mut rates)] {
            let name = if is_bare { "bare".to_owned() } else { repetition.to_string() };
            let opened = rung.open_with(&format!("everypath_bench_{}_{name}", rung.name), is_bare).await?;
            let mesh = Mesh::open_or_found(opened.folder.path())?;
            let batches = batches(&mesh, arguments, 7)?;
            rates.push(store_rate(&opened.store, batches).await?);
            opened.store.close().await;
        }
    }
    let rate = median(rates);
    part.insert("rows_per_s".into(), whole(rate));
    if let Some(server) = &rung.url {
        // The rows of the last repetition, as they lie in the table.
        let (server, _) = server.rsplit_once('/').context("the URL has no database")?;
        let url = format!("{server}/everypath_bench_{}_{}", rung.name, arguments.repetitions - 1);
        let mut reference = Reference::new(&url).await?;
        reference.export().await?;
        let (to_heap, to_same) =
            (reference.heap(arguments.repetitions).await?, reference.same_table(arguments.repetitions).await?);
        note(&format!("COPY: heap {to_heap:.0} rows/s, same table {to_same:.0} rows/s"));
        heap.get_or_insert(to_heap);
        part.insert("vs_copy_heap".into(), figure(rate / to_heap));
        part.insert("vs_copy_same_table".into(), figure(rate / to_same));
        let bare = median(bare);
        note(&format!("store {rate:.0} rows/s, without cursors and accounts {bare:.0} rows/s"));
        part.insert("dedupe_overhead".into(), figure(1.0 - rate / bare));
        if let Some(program) = &arguments.aggregator {
            let http = http_rate(arguments, program, rung, 1, None).await?;
            part.insert("http_rows_per_s".into(), whole(http));
            part.insert("http_vs_copy".into(), figure(http / to_same));
            let one = http_rate(arguments, program, rung, 1, Some(20)).await?;
            let two = http_rate(arguments, program, rung, 2, Some(20)).await?;
            note(&format!("replicas held to 20 % of a core: one {one:.0} rows/s, two {two:.0} rows/s"));
            part.insert("replicas2_vs_1".into(), figure(two / one));
        }
    } else if let Some(heap) = heap {
        part.insert("vs_copy_heap".into(), figure(rate / *heap));
    }
    Ok(part)
}

/// By agent, in order: each agent has one batch under way.
fn batches(mesh: &Mesh, arguments: &Arguments, seed: u64) -> anyhow::Result<Vec<Vec<Batch>>> {
    let now = wall();
    let members: Vec<Member> = people::members(mesh, arguments.agents, seed, now);
    let ids: Vec<_> = members.iter().map(Member::id).collect();
    let rounds = arguments.rows.div_ceil(arguments.agents * (arguments.agents - 1)).max(1);
    let mut streams = Vec::with_capacity(members.len());
    for (member, mut source) in members.iter().zip(fleet(&ids, arguments.agents - 1, seed)) {
        let mut stream = Vec::with_capacity(rounds);
        for round in (0..rounds as u64).rev() {
            let end = now.minus(Span(WINDOW.0 * round));
            // Whoever reads times trusts the monotonic clock: both clocks say the same of the past.
            let last = WINDOW.0 * rounds as u64;
            let blocks = source.round(end, MonoTime(last - WINDOW.0 * round));
            stream.push(people::batch(mesh, member, blocks, now, Now { wall: now, mono: MonoTime(last) })?);
        }
        streams.push(stream);
    }
    Ok(streams)
}

async fn store_rate(store: &Store, streams: Vec<Vec<Batch>>) -> anyhow::Result<f64> {
    let watch = Watch::start();
    let sending = streams.into_iter().map(|stream| async {
        let mut rows = 0;
        for batch in stream {
            rows += store.ingest(batch).await?.rows;
        }
        anyhow::Ok(rows)
    });
    let rows: u64 = futures::future::try_join_all(sending).await?.into_iter().sum();
    #[expect(clippy::cast_precision_loss, reason = "millions of rows fit a float")]
    Ok(rows as f64 / watch.seconds())
}

/// Rows a second over HTTPS into replicas on one new database, each held to `percent` of a core.
async fn http_rate(
    arguments: &Arguments,
    program: &std::path::Path,
    rung: &Rung,
    replicas: usize,
    percent: Option<u32>,
) -> anyhow::Result<f64> {
    let opened = rung.open(&format!("everypath_bench_{}_http", rung.name)).await?;
    opened.store.close().await;
    let url = opened.url.clone().context("a server")?;
    let fleet = Fleet::start(program, opened.folder.path(), &url, replicas, percent).await?;
    let load = Load {
        urls: fleet.urls(),
        token: fleet.token().await?,
        agents: arguments.agents,
        targets: arguments.agents - 1,
        duration: Duration::from_secs(arguments.seconds),
        // Held back, a replica is to be busy with batches as agents send them, not the database with rows.
        rows_per_batch: if percent.is_some() { 500 } else { 2_000 },
        pace: load::Pace::Flood,
        seed: 11,
    };
    let sent = load.run().await?;
    fleet.stop().await?;
    anyhow::ensure!(sent.refused == 0, "{} batches were refused", sent.refused);
    Ok(sent.rows_per_s())
}
