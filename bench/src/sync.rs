//! `sync`: real agents come back with a backlog of a day, all at once, to real replicas.
//!
//! Of an agent everything is real from the core to HTTPS, buffers on disk included; probes are answered by a formula and the
//! mesh is left out. The backlog is not made up: agents live through the hours on a time that runs as fast as it can, until
//! it has caught up with the clock. Then the replicas start.

mod agent;
mod outcome;

use crate::clock::Watch;
use crate::load::{Load, Pace};
use crate::replicas::Fleet;
use crate::report::{finish, note};
use crate::rung::{Databases, Opened};
use crate::wire::Wire;
use agent::{Back, Milestone, Progress, Returned, Returning};
use aggregator::audit::{Totals, compare_all};
use anyhow::Context as _;
use everypath_protocol::id::{AgentId, BootId, mix64};
use everypath_protocol::join::JoinAnswer;
use everypath_protocol::ledger::Ledger;
use everypath_protocol::member::{MemberRecord, Version};
use everypath_protocol::sign::{self, SecretKey, Signed, Signer as _, Verified};
use everypath_protocol::time::{MonoTime, Now, Span};
use everypath_protocol::token::{AggregatorAddress, JoinToken};
use futures::StreamExt as _;
use mesh_agent::clock::{self, Clock};
use mesh_agent::metrics::Metrics;
use mesh_agent::store::Store;
use mesh_agent_core::effect::Statement;
use mesh_agent_core::{Agent, AgentParams, Input};
use outcome::{Replicas, figures};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Joins under way at a time.
const JOINS_AT_ONCE: usize = 8;
/// For all agents to live through their hours.
const BACKLOG_MAX: Duration = Duration::from_secs(1_800);

/// What to try.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    databases: Databases,
    /// Agents that come back.
    #[arg(long, default_value_t = 200)]
    agents: usize,
    /// Hours that no aggregator could be reached.
    #[arg(long, default_value_t = 24)]
    hours: u64,
    /// Targets of each agent.
    #[arg(long, default_value_t = 8)]
    targets: usize,
    /// Aggregators that come back.
    #[arg(long, default_value_t = 2)]
    replicas: usize,
    /// Seconds after which whatever is not there counts as never.
    #[arg(long, default_value_t = 900)]
    limit: u64,
    /// The aggregator's program.
    #[arg(long, env = "EVERYPATH_AGGREGATOR")]
    aggregator: PathBuf,
}

pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    anyhow::ensure!((2..=2_000).contains(&arguments.agents), "--agents must be from 2 to 2000");
    anyhow::ensure!((1..=168).contains(&arguments.hours), "--hours must be from 1 to 168");
    anyhow::ensure!((1..=64).contains(&arguments.targets), "--targets must be from 1 to 64");
    anyhow::ensure!((1..=8).contains(&arguments.replicas), "--replicas must be from 1 to 8");
    anyhow::ensure!((1..=3_600).contains(&arguments.limit), "--limit must be from 1 to 3600");
    let rungs = arguments.databases.rungs();
    let rung = rungs.iter().find(|rung| rung.name == "postgres");
    let rung = rung.context("replicas share a PostgreSQL; give --postgres, or run deploy/bench.sh sync")?;
    let opened = rung.open("everypath_bench_sync").await?;
    opened.store.close().await;
    // Whoever interrupts it leaves nothing behind either: what is dropped here removes its files and processes.
    tokio::select! {
        figures = Box::pin(measure(&arguments, &opened)) => {
            let (mut figures, ledgers) = figures?;
            let store = rung.again(&opened).await?;
            let totals = Totals::of(&compare_all(&store, &ledgers).await?);
            store.close().await;
            for (name, count) in [
                ("lost", totals.missing),
                ("duplicated", totals.duplicated + totals.uncovered),
                ("stored_records", totals.records),
                ("tombstoned", totals.tombstoned),
                ("pending", totals.pending),
            ] {
                figures.insert(name.to_owned(), count.into());
            }
            finish("sync", &figures)
        }
        _ = tokio::signal::ctrl_c() => anyhow::bail!("interrupted"),
    }
}

/// Everybody's credentials.
struct Joined {
    key: SecretKey,
    certificate: Signed,
}

async fn measure(arguments: &Arguments, opened: &Opened) -> anyhow::Result<(Map<String, Value>, Vec<Ledger>)> {
    let url = opened.url.clone().context("a server")?;
    let (before, after) = (opened.folder.path().join("before"), opened.folder.path().join("after"));
    for folder in [&before, &after] {
        std::fs::create_dir(folder).context("while making a folder for replicas")?;
    }
    let fleet = Fleet::start(&arguments.aggregator, &before, &url, 1, None).await?;
    let token = fleet.token().await?;
    let joined = join(arguments.agents, &fleet, &token).await?;
    fleet.stop().await?;
    // Replicas that come back find their key, and elsewhere than the addresses of those that are gone.
    std::fs::copy(before.join("seal.key"), after.join("seal.key")).context("while keeping the key")?;
    note(&format!("{} agents joined; now they live through {} hours alone …", joined.len(), arguments.hours));

    let watch = Watch::start();
    let clock = Clock::start();
    let (milestones, mut heard) = mpsc::channel(arguments.agents * 3);
    let (back, back_seen) = watch::channel(None);
    let stop = CancellationToken::new();
    let mut tasks = returning(arguments, opened.folder.path(), &token, joined, clock, (&back_seen, milestones), &stop)?;
    let caught_up = hear(&mut heard, &mut tasks, Milestone::CaughtUp, arguments.agents);
    tokio::time::timeout(BACKLOG_MAX, caught_up).await.context("the hours took too long")??;
    note(&format!("the hours took {:.0} s; now the aggregators start", watch.seconds()));

    let fleet = Fleet::start(&arguments.aggregator, &after, &url, arguments.replicas, None).await?;
    let pin = token.aggregators.first().and_then(|address| address.pin);
    let addresses = fleet.urls().into_iter().map(|url| AggregatorAddress { url, pin }).collect();
    back.send_replace(Some(Back { addresses, at: clock.mono() }));
    let done = hear(&mut heard, &mut tasks, Milestone::Drained, 2 * arguments.agents);
    match tokio::time::timeout(Duration::from_secs(arguments.limit), done).await {
        Ok(done) => done?,
        Err(_) => note("not everything arrived in time"),
    }
    stop.cancel();
    let mut all = Vec::with_capacity(arguments.agents);
    while let Some(one) = tasks.join_next().await {
        all.push(one.context("an agent panicked")??);
    }
    let replicas = Replicas::ask(&after, arguments.replicas).await?;
    fleet.stop().await?;
    let figures = figures(arguments.limit, &all, &replicas);
    Ok((figures, all.into_iter().map(|one| one.ledger).collect()))
}

/// Waits for so many milestones: of `Drained`, those of fresh results count as well.
async fn hear(
    heard: &mut mpsc::Receiver<Milestone>,
    tasks: &mut JoinSet<anyhow::Result<Returned>>,
    which: Milestone,
    count: usize,
) -> anyhow::Result<()> {
    let mut seen = 0;
    while seen < count {
        tokio::select! {
            milestone = heard.recv() => {
                let milestone = milestone.context("all agents have ended")?;
                let counts = milestone == which || which == Milestone::Drained && milestone == Milestone::Fresh;
                seen += usize::from(counts);
            }
            Some(ended) = tasks.join_next() => {
                ended.context("an agent panicked")??;
                anyhow::bail!("an agent ended by itself");
            }
        }
    }
    Ok(())
}

async fn join(agents: usize, fleet: &Fleet, token: &JoinToken) -> anyhow::Result<Vec<Joined>> {
    let urls = fleet.urls();
    let pin = token.aggregators.first().and_then(|address| address.pin);
    let wire = Wire::new(urls.first().context("a replica")?, pin)?;
    let load = Load {
        urls,
        token: token.clone(),
        agents,
        targets: 1,
        duration: Duration::ZERO,
        rows_per_batch: 1,
        pace: Pace::Live,
        seed: 23,
    };
    let asked = futures::stream::iter((0..agents).map(|number| load.redeem(&wire, number)));
    let mut answers = asked.buffered(JOINS_AT_ONCE);
    let mut joined = Vec::with_capacity(agents);
    while let Some(answer) = answers.next().await {
        match answer? {
            (key, JoinAnswer::Granted(grant)) => {
                joined.push(Joined { key, certificate: grant.credentials.certificate });
            }
            (_, JoinAnswer::Refused(refusal)) => anyhow::bail!("joining was refused: {}", refusal.advice()),
        }
    }
    Ok(joined)
}

/// Starts all agents; each measures the next ones behind it.
fn returning(
    arguments: &Arguments,
    folder: &Path,
    token: &JoinToken,
    joined: Vec<Joined>,
    clock: Clock,
    (back, milestones): (&watch::Receiver<Option<Back>>, mpsc::Sender<Milestone>),
    stop: &CancellationToken,
) -> anyhow::Result<JoinSet<anyhow::Result<Returned>>> {
    let lead = Span::seconds(arguments.hours * 3_600);
    let begin = clock::wall().minus(lead);
    let record = |(number, one): (usize, &Joined)| -> Verified<MemberRecord> {
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        let record = MemberRecord {
            version: Version::default(),
            certificate: one.certificate.clone(),
            mesh_addresses: Vec::new(),
            probe_addresses: vec![std::net::Ipv4Addr::from(0x0a00_0001 + number).into()],
            program: String::new(),
        };
        sign::seal(record, token.mesh, &one.key)
    };
    let records: Vec<Verified<MemberRecord>> = joined.iter().enumerate().map(record).collect();
    let mut tasks = JoinSet::new();
    for (number, one) in joined.into_iter().enumerate() {
        let seed = mix64(number as u64 ^ 0x5eed);
        let id = AgentId::from(one.key.public());
        let dir = folder.join(format!("agent-{number}"));
        std::fs::create_dir(&dir).context("while making the folder of an agent")?;
        let (boot, metrics) = (BootId(seed), Metrics::new());
        let (store, found) = Store::open(&dir, boot, clock, &metrics)?;
        let params = AgentParams::usual(id, one.certificate.clone(), boot, found.incarnation);
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let born = Now { mono: MonoTime(1), wall: begin };
        let agent = Agent::new(params, found.resume, bytes, born);
        let others = (1..=arguments.targets.min(records.len() - 1)).map(|step| (number + step) % records.len());
        let others = others.map(|other| Statement::Member(records[other].clone())).collect();
        let address = std::net::Ipv4Addr::new(10, 0, 0, 1).into();
        let first = vec![Input::AddressesChanged { mesh: Vec::new(), probe: vec![address] }, Input::Statements(others)];
        let returning = Returning {
            id,
            agent,
            store,
            key: Arc::new(one.key),
            mesh: token.mesh,
            certificate: one.certificate,
            metrics,
            clock,
            lead,
            begin,
            seed,
            back: back.clone(),
            milestones: milestones.clone(),
            progress: Progress::default(),
        };
        tasks.spawn(returning.run(first, stop.clone()));
    }
    Ok(tasks)
}
