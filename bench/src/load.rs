//! Synthetic agents: they join with a token, keep numbers and cursors as agents do, and send signed batches over HTTPS.

use crate::clock::{Watch, quantile, wall};
use crate::people::{self, Member};
use crate::report::{figure, finish, whole};
use crate::synthetic::{Source, WINDOW, fleet};
use crate::wire::{Sent, Wire};
use anyhow::Context as _;
use everypath_protocol::block::Block;
use everypath_protocol::codec;
use everypath_protocol::id::{MeshId, Seq, mix64};
use everypath_protocol::join::{BYTES_MAX, JoinAnswer, JoinRequest};
use everypath_protocol::ledger::{Ledger, LedgerEntry};
use everypath_protocol::sign::{self, SecretKey, Signer as _};
use everypath_protocol::time::{Now, Span};
use everypath_protocol::token::JoinToken;
use serde_json::Map;
use std::collections::VecDeque;
use std::time::Duration;

/// Joins under way at a time.
const JOINS_AT_ONCE: usize = 8;
/// How long to wait after nobody answered.
const RETRY: Duration = Duration::from_millis(200);

/// What the last line says, for `--help`.
const FIGURES: &str = "The last line is one JSON object:
  rows, rows_per_s     rows that were acknowledged
  batches              batches that were acknowledged
  ack_p50_ms, ack_p99_ms
                       from sending a batch to its acknowledgement
  longest_silence_s    the longest time that one agent had something to send and heard no acknowledgement, up to the end
  busy                 answers 429 and 503
  unreachable, server_errors, refused
                       no answer; other 5xx; other 4xx and gaps";

/// What load to make.
#[derive(Debug, clap::Args)]
#[command(after_help = FIGURES)]
pub(crate) struct Arguments {
    /// A join token with at least as many uses as agents. It names the aggregators.
    #[arg(long, env = "EVERYPATH_TOKEN")]
    token: String,
    /// Replicas to send to, instead of those in the token; https://host:port.
    #[arg(long)]
    url: Vec<String>,
    /// How many agents.
    #[arg(long, default_value_t = 100)]
    agents: usize,
    /// Targets of each.
    #[arg(long, default_value_t = 64)]
    targets: usize,
    /// For how many seconds; at most an hour.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// As fast as it goes, instead of a window of every pair each ten seconds.
    #[arg(long)]
    flood: bool,
    /// Rows of one batch when flooding.
    #[arg(long, default_value_t = 2_000)]
    rows_per_batch: usize,
    /// Where to write what each agent counts as stored, for `aggregator audit streams --ledger`.
    #[arg(long)]
    ledger: Option<std::path::PathBuf>,
    /// Makes keys and results; another seed is another fleet.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// How fast.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Pace {
    /// One round each ten seconds, spread over them.
    Live,
    /// One batch behind the other.
    Flood,
}

/// A checked wish.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) urls: Vec<String>,
    pub(crate) token: JoinToken,
    pub(crate) agents: usize,
    pub(crate) targets: usize,
    pub(crate) duration: Duration,
    pub(crate) rows_per_batch: usize,
    pub(crate) pace: Pace,
    pub(crate) seed: u64,
}

/// What became of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) rows: u64,
    pub(crate) batches: u64,
    pub(crate) busy: u64,
    pub(crate) refused: u64,
    pub(crate) server_errors: u64,
    pub(crate) unreachable: u64,
    /// From sending to the acknowledgement.
    pub(crate) millis: Vec<f64>,
    pub(crate) seconds: f64,
    /// Longest time, in seconds, that one agent had something to send and heard no acknowledgement, up to the end.
    pub(crate) gap_s_max: f64,
    /// What each agent counts as stored.
    pub(crate) ledgers: Vec<Ledger>,
}

impl Outcome {
    pub(crate) fn rows_per_s(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "millions of rows fit a float")]
        let rows = self.rows as f64;
        rows / self.seconds.max(0.001)
    }

    /// After so long somebody who had something to send heard of it, or gave up.
    fn hears(&mut self, silence: Duration) {
        self.gap_s_max = self.gap_s_max.max(silence.as_secs_f64());
    }

    fn add(&mut self, other: Self) {
        self.rows += other.rows;
        self.batches += other.batches;
        self.busy += other.busy;
        self.refused += other.refused;
        self.server_errors += other.server_errors;
        self.unreachable += other.unreachable;
        self.millis.extend(other.millis);
        self.gap_s_max = self.gap_s_max.max(other.gap_s_max);
        self.ledgers.extend(other.ledgers);
    }
}

pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    anyhow::ensure!((2..=10_000).contains(&arguments.agents), "--agents must be from 2 to 10000");
    anyhow::ensure!((1..=1_000).contains(&arguments.targets), "--targets must be from 1 to 1000");
    anyhow::ensure!((1..=3_600).contains(&arguments.seconds), "--seconds must be from 1 to 3600");
    anyhow::ensure!((1..=4_000).contains(&arguments.rows_per_batch), "--rows-per-batch must be from 1 to 4000");
    let token = JoinToken::from_text(&arguments.token).context("the token cannot be read")?;
    let urls = if arguments.url.is_empty() {
        token.aggregators.iter().map(|to| to.url.clone()).collect()
    } else {
        arguments.url
    };
    let load = Load {
        urls,
        token,
        agents: arguments.agents,
        targets: arguments.targets,
        duration: Duration::from_secs(arguments.seconds),
        rows_per_batch: arguments.rows_per_batch,
        pace: if arguments.flood { Pace::Flood } else { Pace::Live },
        seed: arguments.seed,
    };
    let outcome = load.run().await?;
    if let Some(file) = &arguments.ledger {
        let text = serde_json::to_vec(&outcome.ledgers).context("while writing the accounts")?;
        std::fs::write(file, text).with_context(|| format!("while writing {}", file.display()))?;
    }
    let mut figures = Map::new();
    figures.insert("agents".into(), load.agents.into());
    figures.insert("rows".into(), outcome.rows.into());
    figures.insert("rows_per_s".into(), whole(outcome.rows_per_s()));
    figures.insert("batches".into(), outcome.batches.into());
    figures.insert("ack_p50_ms".into(), figure(quantile(outcome.millis.clone(), 500)));
    figures.insert("ack_p99_ms".into(), figure(quantile(outcome.millis.clone(), 990)));
    figures.insert("longest_silence_s".into(), figure(outcome.gap_s_max));
    for (name, count) in [
        ("busy", outcome.busy),
        ("unreachable", outcome.unreachable),
        ("refused", outcome.refused),
        ("server_errors", outcome.server_errors),
    ] {
        figures.insert(name.into(), count.into());
    }
    finish("load", &figures)
}

impl Load {
    /// Joins and sends until the time is over.
    pub(crate) async fn run(&self) -> anyhow::Result<Outcome> {
        anyhow::ensure!(!self.urls.is_empty(), "the token names no aggregator; give --url");
        let pin = self.token.aggregators.first().and_then(|address| address.pin);
        let wires = self.urls.iter().map(|url| Wire::new(url, pin)).collect::<anyhow::Result<Vec<_>>>()?;
        let mut members = Vec::with_capacity(self.agents);
        for first in (0..self.agents).step_by(JOINS_AT_ONCE) {
            let some = (first..self.agents.min(first + JOINS_AT_ONCE))
                .map(|number| self.join(&wires[number % wires.len()], number));
            members.extend(futures::future::try_join_all(some).await?);
        }
        let ids: Vec<_> = members.iter().map(Member::id).collect();
        let watch = Watch::start();
        let mut tasks = tokio::task::JoinSet::new();
        for ((number, member), source) in members.into_iter().enumerate().zip(fleet(&ids, self.targets, self.seed)) {
            // Every agent begins at another replica, and goes on to the next when one does not answer.
            let mut wires = wires.clone();
            wires.rotate_left(number % self.urls.len());
            let waiting = VecDeque::new();
            let agent = Agent { member, source, wires, mesh: self.token.mesh, watch, waiting, acked: Seq(0) };
            tasks.spawn(agent.run(self.clone(), number));
        }
        let mut outcome = Outcome::default();
        while let Some(one) = tasks.join_next().await {
            outcome.add(one.context("a synthetic agent panicked")?);
        }
        outcome.seconds = watch.seconds();
        Ok(outcome)
    }

    async fn join(&self, wire: &Wire, number: usize) -> anyhow::Result<Member> {
        match self.redeem(wire, number).await? {
            (key, JoinAnswer::Granted(grant)) => Ok(Member { key, certificate: grant.credentials.certificate }),
            (_, JoinAnswer::Refused(refusal)) => anyhow::bail!("joining was refused: {}", refusal.advice()),
        }
    }

    /// Asks for a certificate.
    pub(crate) async fn redeem(&self, wire: &Wire, number: usize) -> anyhow::Result<(SecretKey, JoinAnswer)> {
        let key = people::key(self.seed, number);
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&mix64(self.seed ^ number as u64).to_le_bytes());
        let name = format!("load-{}-{number}", self.seed);
        let agent = key.public().into();
        let request = JoinRequest::new(&self.token, agent, nonce, name, format!("site-{}", number % 8));
        let request = sign::seal(request, self.token.mesh, &key).signed().clone();
        let (status, body, _) = wire.post("/api/v1/join", "application/octet-stream", codec::encode(&request)).await?;
        let answer = codec::decode(&body, BYTES_MAX * 512);
        let answer = answer.map_err(|why| anyhow::anyhow!("joining brought {status} and no answer: {why}"))?;
        Ok((key, answer))
    }
}

struct Agent {
    member: Member,
    source: Source,
    /// The first one is in use.
    wires: Vec<Wire>,
    mesh: MeshId,
    watch: Watch,
    /// Written and not acknowledged; bounded by the pace: a synthetic agent makes nothing while it waits.
    waiting: VecDeque<Block>,
    acked: Seq,
}

impl Agent {
    async fn run(mut self, load: Load, number: usize) -> Outcome {
        let mut outcome = Outcome::default();
        let window = Duration::from_nanos(WINDOW.0);
        let phase = window.mul_f64(fraction(load.seed ^ number as u64));
        let (mut round, mut began) = (0_u64, self.watch.elapsed());
        while self.watch.elapsed() < load.duration {
            if self.waiting.is_empty() {
                if load.pace == Pace::Live {
                    let due = phase + window.mul_f64(u32::try_from(round).map_or(f64::MAX, f64::from));
                    tokio::time::sleep(due.saturating_sub(self.watch.elapsed())).await;
                }
                self.measure(&load, &mut round);
                began = self.watch.elapsed();
            }
            let blocks: Vec<Block> = self.waiting.iter().cloned().collect();
            let envelope = self.member.envelope(self.mesh, &blocks, self.watch.now());
            let sent_at = Watch::start();
            match self.wires[0].ingest(codec::encode(&envelope)).await {
                Sent::Acked(answer) => {
                    outcome.millis.push(sent_at.millis());
                    outcome.batches += 1;
                    outcome.rows += self.acknowledge(answer.acked);
                    let now = self.watch.elapsed();
                    outcome.hears(now.saturating_sub(began));
                    began = now;
                }
                Sent::Gap(expected) => {
                    outcome.refused += 1;
                    outcome.rows += self.acknowledge(Seq(expected.saturating_sub(1)));
                }
                Sent::Busy(wait) => {
                    outcome.busy += 1;
                    self.wires.rotate_left(1);
                    tokio::time::sleep(wait.min(Duration::from_secs(5)).mul_f64(0.5 + fraction(outcome.busy))).await;
                }
                Sent::Unreachable => {
                    outcome.unreachable += 1;
                    self.wires.rotate_left(1);
                    tokio::time::sleep(RETRY).await;
                }
                Sent::ServerError(_) => {
                    outcome.server_errors += 1;
                    self.wires.rotate_left(1);
                    tokio::time::sleep(RETRY).await;
                }
                Sent::Refused(_) => {
                    outcome.refused += 1;
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
        if !self.waiting.is_empty() {
            outcome.hears(self.watch.elapsed().saturating_sub(began));
        }
        let entry = LedgerEntry {
            epoch: self.source.epoch,
            last: Seq(self.source.next().0 - 1),
            acked: self.acked,
            ..LedgerEntry::default()
        };
        outcome.ledgers.push(Ledger { agent: self.member.id(), entries: vec![entry] });
        outcome
    }

    /// One round when live; as many rounds of the past as fill a batch when flooding.
    fn measure(&mut self, load: &Load, round: &mut u64) {
        let Now { mono, wall: now } = Now { wall: wall(), ..self.watch.now() };
        let rounds = match load.pace {
            Pace::Live => 1,
            Pace::Flood => (load.rows_per_batch / self.source.targets.len().max(1)).max(1) as u64,
        };
        for back in (0..rounds).rev() {
            let end = now.minus(Span(WINDOW.0 * back));
            self.waiting.extend(self.source.round(end, mono));
            *round += 1;
        }
    }

    fn acknowledge(&mut self, acked: Seq) -> u64 {
        self.acked = self.acked.max(acked);
        let mut rows = 0;
        while self.waiting.front().is_some_and(|block| block.last() <= acked) {
            rows += self.waiting.pop_front().map_or(0, |block| u64::from(block.count()));
        }
        rows
    }
}

/// From 0 to 1.
fn fraction(seed: u64) -> f64 {
    f64::from(u32::try_from(mix64(seed) >> 32).unwrap_or(0)) / f64::from(u32::MAX)
}
