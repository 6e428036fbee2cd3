//! One agent of `sync`: the core, the buffer and the uplink that ship, under a loop without a prober and a mesh.
//!
//! Its time begins hours before now and runs as fast as this machine allows until it has caught up with the clock; from then
//! on it is the clock's. Nothing jumps, so the agent cannot tell.

use everypath_protocol::block::{Block, Content};
use everypath_protocol::id::{AgentId, Epoch, MeshId, Seq, mix64};
use everypath_protocol::ledger::{Ledger, LedgerEntry};
use everypath_protocol::record::Record;
use everypath_protocol::sign::{self, SecretKey};
use everypath_protocol::time::{MonoTime, Now, Span, UnixTime};
use everypath_protocol::window::ProbeOutcome;
use mesh_agent::aggregators::Aggregators;
use mesh_agent::clock::Clock;
use mesh_agent::metrics::Metrics;
use mesh_agent::store::Store;
use mesh_agent::uplink::{JOBS_MAX, Job, Uplink, Uploaded};
use mesh_agent_core::effect::{PersistOp, ProbeRequest, UploadResult};
use mesh_agent_core::{Agent, Effect, Effects, Input};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// The aggregators that came back, and when, by the clock that all share.
#[derive(Clone, Debug)]
pub(crate) struct Back {
    pub(crate) addresses: Vec<everypath_protocol::token::AggregatorAddress>,
    pub(crate) at: MonoTime,
}

/// What an agent tells while it runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Milestone {
    /// Its time is the clock's.
    CaughtUp,
    /// Something that was measured after the aggregators came back is stored.
    Fresh,
    /// Everything that was measured before is stored.
    Drained,
}

/// What became of one agent.
#[derive(Debug)]
pub(crate) struct Returned {
    pub(crate) ledger: Ledger,
    pub(crate) backlog: u64,
    pub(crate) dropped: u64,
    pub(crate) fresh_s: Option<f64>,
    pub(crate) drained_s: Option<f64>,
    pub(crate) metrics: Metrics,
}

/// See the module.
pub(crate) struct Returning {
    pub(crate) id: AgentId,
    pub(crate) agent: Agent,
    pub(crate) store: Store,
    pub(crate) key: Arc<SecretKey>,
    pub(crate) mesh: MeshId,
    pub(crate) certificate: sign::Signed,
    pub(crate) metrics: Metrics,
    pub(crate) clock: Clock,
    /// How much further the agent's monotonic time is than the clock's.
    pub(crate) lead: Span,
    /// Wall clock when the agent's time began.
    pub(crate) begin: UnixTime,
    pub(crate) seed: u64,
    pub(crate) back: watch::Receiver<Option<Back>>,
    pub(crate) milestones: mpsc::Sender<Milestone>,
    pub(crate) progress: Progress,
}

/// What is noted on the way.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    jobs: Option<mpsc::Sender<Job>>,
    back_at: Option<MonoTime>,
    is_live: bool,
    /// Last number of each epoch in which something waits.
    written: BTreeMap<Epoch, Seq>,
    acked: BTreeMap<Epoch, Seq>,
    /// What waited when the aggregators came back.
    owed: BTreeMap<Epoch, Seq>,
    backlog: u64,
    fresh: Option<(Epoch, Seq)>,
    fresh_s: Option<f64>,
    drained_s: Option<f64>,
}

impl Returning {
    /// Runs until `stop`, then waits for what is under way.
    pub(crate) async fn run(mut self, first: Vec<Input>, stop: CancellationToken) -> anyhow::Result<Returned> {
        let mut now = self.now_at(MonoTime(1));
        for input in first {
            self.turn(now, input).await;
        }
        while let Some(at) = self.agent.next_wakeup().filter(|at| *at <= self.now().mono) {
            anyhow::ensure!(!stop.is_cancelled(), "ended before the backlog was there");
            now = self.now_at(at.max(now.mono));
            self.turn(now, Input::Wakeup).await;
        }
        // What was said to be on disk is there from here on.
        self.store.flush().await?;
        self.progress.is_live = true;
        self.tell(Milestone::CaughtUp);
        self.live(&stop).await?;
        let entries: Vec<LedgerEntry> = self.store.ledger().await?;
        self.store.close().await;
        Ok(Returned {
            ledger: Ledger { agent: self.id, entries },
            backlog: self.progress.backlog,
            dropped: self.agent.view(self.now()).dropped_records,
            fresh_s: self.progress.fresh_s,
            drained_s: self.progress.drained_s,
            metrics: self.metrics,
        })
    }

    async fn live(&mut self, stop: &CancellationToken) -> anyhow::Result<()> {
        let (results, mut uploaded) = mpsc::channel::<Uploaded>(JOBS_MAX);
        let mut results = Some(results);
        let mut sending = tokio::task::JoinSet::new();
        let mut back = self.back.clone();
        let mut marks = self.store.persisted();
        loop {
            let wakes_at = self.agent.next_wakeup().unwrap_or(MonoTime(u64::MAX));
            let timer = self.clock.instant(MonoTime(wakes_at.0.saturating_sub(self.lead.0)));
            let inputs = tokio::select! {
                () = stop.cancelled() => break,
                Ok(()) = back.changed(), if results.is_some() => {
                    let told = back.borrow_and_update().clone();
                    if let (Some(told), Some(results)) = (told, results.take()) {
                        let (jobs, jobs_seen) = mpsc::channel(JOBS_MAX);
                        sending.spawn(self.uplink(&told)?.serve(jobs_seen, results));
                        self.progress.begin(jobs, told.at + self.lead);
                    }
                    Vec::new()
                }
                Some((epoch, result)) = uploaded.recv() => vec![Input::UploadFinished { epoch, result }],
                Ok(()) = marks.changed() => {
                    let marks = marks.borrow_and_update();
                    marks.iter().map(|(epoch, up_to)| Input::Persisted { epoch: *epoch, up_to: *up_to }).collect()
                }
                () = tokio::time::sleep_until(timer.into()) => vec![Input::Wakeup],
            };
            for input in inputs {
                self.turn(self.now(), input).await;
            }
        }
        // As an agent ends: what is open goes to the disk, and what is under way comes to its end.
        self.turn(self.now(), Input::Shutdown).await;
        self.progress.jobs = None;
        drop(results);
        while let Some((epoch, result)) = uploaded.recv().await {
            self.turn(self.now(), Input::UploadFinished { epoch, result }).await;
        }
        Ok(())
    }

    fn uplink(&self, back: &Back) -> anyhow::Result<Uplink> {
        let spread = mix64(self.seed);
        let aggregators = Aggregators::new(&back.addresses, spread)?;
        // Another boot than the blocks': the uplink reads the clock without the lead, so the two cannot be compared.
        let process = (everypath_protocol::id::BootId(mix64(spread)), self.clock);
        let (store, key) = (self.store.clone(), Arc::clone(&self.key));
        Ok(Uplink::new(aggregators, store, key, self.mesh, self.certificate.clone(), process, self.metrics.clone()))
    }

    fn now(&self) -> Now {
        self.now_at(self.clock.mono() + self.lead)
    }

    fn now_at(&self, mono: MonoTime) -> Now {
        Now { mono, wall: self.begin.plus(Span(mono.0)) }
    }

    fn tell(&self, milestone: Milestone) {
        // There is room for all that can be told; nobody listens only when the run has failed already.
        let _ = self.milestones.try_send(milestone);
    }

    async fn turn(&mut self, now: Now, first: Input) {
        let mut inputs = VecDeque::from([first]);
        let mut effects = Effects::new();
        while let Some(input) = inputs.pop_front() {
            self.agent.handle(now, input, &mut effects);
            for effect in effects.drain(..) {
                self.perform(now, effect, &mut inputs).await;
            }
        }
    }

    async fn perform(&mut self, now: Now, effect: Effect, inputs: &mut VecDeque<Input>) {
        match effect {
            Effect::SignMember(record) => {
                inputs.push_back(Input::MemberSigned(sign::seal(record, self.mesh, self.key.as_ref())));
            }
            Effect::SignRow(row) => inputs.push_back(Input::RowSigned(sign::seal(row, self.mesh, self.key.as_ref()))),
            Effect::RememberMember(member) => self.store.remember(member),
            Effect::StartProbe(request) => {
                let outcome = self.outcome(now, &request);
                inputs.push_back(Input::ProbeFinished { probe: request.probe, outcome });
            }
            Effect::Persist(op) => self.persist(op, inputs).await,
            Effect::Upload { epoch, first, last, is_backlog } => {
                let job = Job { epoch, first, last, is_backlog };
                let is_taken = self.progress.jobs.as_ref().is_some_and(|jobs| jobs.try_send(job).is_ok());
                if !is_taken {
                    inputs.push_back(Input::UploadFinished { epoch, result: UploadResult::Unreachable });
                }
            }
            // What is measured are batches; somebody who does not know check-ins is asked seldom.
            Effect::CheckIn => inputs.push_back(Input::CheckedIn(UploadResult::Rejected)),
            Effect::Dial { .. }
            | Effect::Configured { .. }
            | Effect::Resolve(_)
            | Effect::Disconnect(_)
            | Effect::Compare { .. }
            | Effect::Give { .. }
            | Effect::Respond { .. }
            | Effect::CellChanged { .. }
            | Effect::Anomaly(_) => {}
        }
    }

    /// A base for each pair, noise of some per cent, and one in a thousand lost.
    fn outcome(&self, now: Now, request: &ProbeRequest) -> ProbeOutcome {
        let pair = mix64(self.seed ^ u64::from(request.target.0[0]) << 8 ^ u64::from(request.target.0[1]));
        let base_us = 200 + pair % 40_000;
        let draw = mix64(pair ^ now.mono.0);
        match draw % 1_000 {
            0 => ProbeOutcome::Lost,
            _ => ProbeOutcome::Replied {
                rtt_us: u32::try_from(base_us + (draw >> 16) % (base_us / 16 + 20)).unwrap_or(u32::MAX),
            },
        }
    }

    async fn persist(&mut self, op: PersistOp, inputs: &mut VecDeque<Input>) {
        let now = self.now().mono;
        match &op {
            PersistOp::Append { epoch, last, bytes, .. } => {
                self.progress.written.insert(*epoch, *last);
                let since = self.progress.back_at.map(|at| self.now_at(at).wall);
                if self.progress.fresh.is_none()
                    && since.is_some_and(|since| newest(bytes).is_some_and(|end| end > since))
                {
                    self.progress.fresh = Some((*epoch, *last));
                }
                if !self.progress.is_live {
                    // The disk is slower than this time. Blocks would be given up for it that no disk of that day would
                    // have lost; so it is told early, and waited for before anything is sent.
                    inputs.push_back(Input::Persisted { epoch: *epoch, up_to: *last });
                }
            }
            PersistOp::Discard { epoch, up_to } => {
                self.progress.acked.insert(*epoch, *up_to);
                let seconds = self.progress.back_at.map_or(0.0, |at| seconds(now.since(at)));
                if self.progress.fresh_s.is_none()
                    && self.progress.fresh.is_some_and(|(fresh, last)| fresh == *epoch && last <= *up_to)
                {
                    self.progress.fresh_s = Some(seconds);
                    self.tell(Milestone::Fresh);
                }
                if self.progress.owed.get(epoch).is_some_and(|last| last <= up_to) {
                    self.progress.owed.remove(epoch);
                    if self.progress.owed.is_empty() {
                        self.progress.drained_s = Some(seconds);
                        self.tell(Milestone::Drained);
                    }
                }
            }
            PersistOp::Replace { .. }
            | PersistOp::Split { .. }
            | PersistOp::Quarantine { .. }
            | PersistOp::Renumber { .. } => {}
        }
        self.store.persist(op).await;
    }
}

impl Progress {
    fn begin(&mut self, jobs: mpsc::Sender<Job>, at: MonoTime) {
        self.jobs = Some(jobs);
        self.back_at = Some(at);
        self.owed = self.written.clone();
        self.backlog = self.owed.values().map(|last| last.0).sum();
    }
}

/// When the youngest record of a block ended.
fn newest(bytes: &[u8]) -> Option<UnixTime> {
    let Content::Records(records) = Block::decode(bytes).ok()?.content else { return None };
    let end = |record: &Record| match record {
        Record::Window(window) => window.start.plus(window.span),
        Record::Flip(flip) => flip.at,
    };
    records.iter().map(end).max()
}

#[expect(clippy::cast_precision_loss, reason = "seconds, for people")]
fn seconds(span: Span) -> f64 {
    span.0 as f64 / 1e9
}
