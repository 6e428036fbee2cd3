//! Results on their way to an aggregator: read from the disk, sealed, sent, and what was answered.

use crate::aggregators::{Aggregators, Answer, Urgency};
use crate::clock::{self, Clock};
use crate::mesh_config::ConfigLink;
use crate::metrics::Metrics;
use crate::store::Store;
use crate::supervise::guarded;
use crate::text;
use everypath_protocol::batch::{
    BODY_BYTES_MAX, BatchHeader, CONFIG_UNKNOWN, CONTENT_TYPE, Codec, Envelope, IngestAnswer,
};
use everypath_protocol::block::Block;
use everypath_protocol::codec;
use everypath_protocol::id::{AgentId, BootId, Epoch, MeshId, Seq};
use everypath_protocol::sign::{self, SecretKey, Signed, Signer};
use everypath_protocol::time::Span;
use mesh_agent_core::Input;
use mesh_agent_core::effect::UploadResult;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Uploads that may wait; one more is answered as unreachable at once.
pub const JOBS_MAX: usize = 16;
/// Uploads under way. The agent has one for each epoch and sends the newest first.
const UNDER_WAY_MAX: usize = 4;
/// zstd's default; 256 records compress in about a millisecond.
const ZSTD_LEVEL: i32 = 3;
/// A refusal for good is logged this often, in microseconds.
const COMPLAIN_AFTER_US: i64 = 60_000_000;
/// How long to wait where a busy aggregator did not say.
const BUSY_DEFAULT: Span = Span::seconds(30);

/// Which records to send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Job {
    /// Stream.
    pub epoch: Epoch,
    /// First number.
    pub first: Seq,
    /// Last number.
    pub last: Seq,
    /// It may wait for what is fresh.
    pub is_backlog: bool,
}

impl Job {
    const fn urgency(self) -> Urgency {
        if self.is_backlog { Urgency::Backlog } else { Urgency::Usual }
    }
}

/// How a job ended.
pub type Uploaded = (Epoch, UploadResult);

/// Sends batches.
#[derive(Clone, Debug)]
pub struct Uplink {
    aggregators: Aggregators,
    store: Store,
    key: Arc<SecretKey>,
    mesh: MeshId,
    certificate: Signed,
    boot: BootId,
    clock: Clock,
    metrics: Metrics,
    config: Option<ConfigLink>,
    complained: Arc<AtomicI64>,
}

impl Uplink {
    /// Sends as the owner of `key`, with its certificate. `process` is the boot and the clock that blocks are written with.
    pub fn new(
        aggregators: Aggregators,
        store: Store,
        key: Arc<SecretKey>,
        mesh: MeshId,
        certificate: Signed,
        process: (BootId, Clock),
        metrics: Metrics,
    ) -> Self {
        let (boot, clock) = process;
        Self {
            aggregators,
            store,
            key,
            mesh,
            certificate,
            boot,
            clock,
            metrics,
            config: None,
            complained: Arc::new(AtomicI64::new(i64::MIN)),
        }
    }

    /// The same, telling which configuration runs and taking newer ones.
    #[must_use]
    pub fn with_config(self, config: ConfigLink) -> Self {
        Self { config: Some(config), ..self }
    }

    /// Its counters.
    pub const fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Serves until the driver lets go of its end. Exactly one result for each job.
    pub async fn serve(self, mut jobs: mpsc::Receiver<Job>, results: mpsc::Sender<Uploaded>) {
        let mut under_way = JoinSet::new();
        loop {
            tokio::select! {
                job = jobs.recv(), if under_way.len() < UNDER_WAY_MAX => {
                    let Some(job) = job else { break };
                    let uplink = self.clone();
                    let results = results.clone();
                    under_way.spawn(async move {
                        let result = guarded("upload", &uplink.metrics, uplink.upload(job)).await;
                        let result = result.unwrap_or(UploadResult::Unreachable);
                        uplink.metrics.uploads.with_label_values(&[word(&result)]).inc();
                        let _ = results.send((job.epoch, result)).await;
                    });
                }
                Some(_) = under_way.join_next() => {}
            }
        }
        while under_way.join_next().await.is_some() {}
    }

    /// Checks in whenever it is asked to, until the driver lets go of its end. Exactly one result for each.
    pub async fn serve_check_ins(self, mut asked: mpsc::Receiver<()>, inputs: mpsc::Sender<Input>) {
        while asked.recv().await.is_some() {
            let result = guarded("check_in", &self.metrics, self.check_in()).await;
            let result = result.unwrap_or(UploadResult::Unreachable);
            self.metrics.check_ins.with_label_values(&[word(&result)]).inc();
            if inputs.send(Input::CheckedIn(result)).await.is_err() {
                return;
            }
        }
    }

    async fn check_in(&self) -> UploadResult {
        let nothing = (Epoch(0), Seq(0), 0);
        let envelope = self.sealed(nothing, Codec::Plain, Vec::new());
        self.post(&envelope, Urgency::Usual).await
    }

    async fn upload(&self, job: Job) -> UploadResult {
        let Ok(blocks) = self.store.read(job.epoch, job.first, job.last).await else {
            return UploadResult::Unreachable;
        };
        let Some(envelope) = self.envelope(job, &blocks) else { return UploadResult::Refused };
        self.post(&envelope, job.urgency()).await
    }

    async fn post(&self, envelope: &Envelope, urgency: Urgency) -> UploadResult {
        match self.aggregators.post("/api/v1/ingest", CONTENT_TYPE, urgency, codec::encode(envelope)).await {
            Ok(answer) => self.read_answer(&answer),
            Err(why) => {
                tracing::debug!(%why, "no aggregator could be reached; the results stay in the buffer");
                UploadResult::Unreachable
            }
        }
    }

    fn envelope(&self, job: Job, blocks: &[u8]) -> Option<Envelope> {
        // The agent asks for whole blocks within the limits; anything else is a fault of this program.
        let covered = Block::decode_all(blocks).ok().filter(|_| blocks.len() <= BODY_BYTES_MAX)?;
        let (first, last) = (covered.first()?.first, covered.last()?.last());
        if (first, last) != (job.first, job.last) {
            let (epoch, wanted) = (text::epoch(job.epoch), (job.first.0, job.last.0));
            tracing::error!(epoch, ?wanted, %first, %last, "the buffer gave other records than were asked for; nothing is sent");
            return None;
        }
        let (codec, body) = match zstd::bulk::compress(blocks, ZSTD_LEVEL) {
            Ok(body) if body.len() < blocks.len() => (Codec::Zstd, body),
            _ => (Codec::Plain, blocks.to_vec()),
        };
        Some(self.sealed((job.epoch, first, last.0 - first.0 + 1), codec, body))
    }

    fn sealed(&self, (epoch, first, count): (Epoch, Seq, u64), codec: Codec, body: Vec<u8>) -> Envelope {
        let header = BatchHeader {
            agent: AgentId::from(self.key.public()),
            epoch,
            first,
            count,
            body_hash: sign::sha256(&[&body]),
            boot: self.boot,
            sent: self.clock.now(),
            config: self.config.as_ref().map_or(CONFIG_UNKNOWN, |config| *config.running.borrow()),
        };
        let header = sign::seal(header, self.mesh, self.key.as_ref()).signed().clone();
        Envelope { header, certificate: self.certificate.clone(), codec, body }
    }

    fn read_answer(&self, answer: &Answer) -> UploadResult {
        let problem = || serde_json::from_slice::<Problem>(&answer.body).unwrap_or_default();
        let result = match answer.status.as_u16() {
            200 => match serde_json::from_slice::<IngestAnswer>(&answer.body) {
                Ok(read) => {
                    if let (Some(offer), Some(config)) = (read.config, &self.config) {
                        // It comes again with the next answer.
                        let _ = config.offers.try_send(offer);
                    }
                    UploadResult::Acked {
                        acked: read.acked,
                        next_sync: Span::millis(u64::from(read.next_sync_ms)),
                        agents: u64::from(read.agents),
                    }
                }
                Err(_) => UploadResult::Unreachable,
            },
            409 => match problem().expected {
                Some(expected) => UploadResult::Gap { expected: Seq(expected) },
                None => UploadResult::Refused,
            },
            429 | 503 => {
                let wished = answer.retry_after.map(|wait| Span::seconds(wait.as_secs()));
                UploadResult::Busy { retry_after: wished.unwrap_or(BUSY_DEFAULT) }
            }
            // For what is in the batch; another batch may be welcome.
            400 | 413 | 422 => UploadResult::Rejected,
            401 | 403 | 415 => UploadResult::Refused,
            _ => UploadResult::Unreachable,
        };
        if matches!(result, UploadResult::Refused | UploadResult::Rejected) {
            self.complain(answer, &problem());
        }
        result
    }

    fn complain(&self, answer: &Answer, problem: &Problem) {
        let now = clock::wall().0;
        let before = self.complained.load(Ordering::Relaxed);
        if now.saturating_sub(before) >= COMPLAIN_AFTER_US {
            self.complained.store(now, Ordering::Relaxed);
            tracing::warn!(
                url = answer.url, status = %answer.status, code = problem.code, title = problem.title,
                "an aggregator refuses this agent's results: {}", problem.detail
            );
        }
    }
}

const fn word(result: &UploadResult) -> &'static str {
    match result {
        UploadResult::Acked { .. } => "acked",
        UploadResult::Gap { .. } => "gap",
        UploadResult::Busy { .. } => "busy",
        UploadResult::Unreachable => "unreachable",
        UploadResult::Refused => "refused",
        UploadResult::Rejected => "rejected",
    }
}

/// What is read of an RFC 9457 problem.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
struct Problem {
    title: String,
    detail: String,
    code: String,
    /// With 409: the number that the aggregator expects.
    expected: Option<u64>,
}
