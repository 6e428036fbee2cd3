//! The one loop. It owns the agent, feeds it what happens, does what it asks, and decides nothing.
//!
//! A turn: wait for one event, take what else is ready, read the clocks once, hand everything to the agent, perform its
//! effects in order, set one timer to its next deadline. Rules for queues that are full:
//!
//! | queue | rule |
//! |---|---|
//! | probes | the probe ends at once, not measured for overload |
//! | mesh | the exchange or the call counts as failed; answers to peers are dropped, they ask again |
//! | disk | the driver waits: the agent bounds what is not on disk, and nothing may be lost on the way |
//! | uploads, check-ins | counts as unreachable; the agent tries again later |

mod effects;
mod inbox;

pub use inbox::{Event, Inbox, Question};

use crate::clock::Clock;
use crate::mesh_config::Settings;
use crate::metrics::Metrics;
use crate::net::supervisor::Command;
use crate::store::Store;
use crate::uplink::Job;
use everypath_protocol::id::MeshId;
use everypath_protocol::sign::{SecretKey, Signed};
use everypath_protocol::time::{Now, Span};
use everypath_protocol::window::ProbeOutcome;
use mesh_agent_core::effect::{ProbeRequest, UploadResult};
use mesh_agent_core::{Agent, Effects, Input};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// A turn longer than this delays probes; it is counted and logged.
pub const TURN_LONG: Span = Span::millis(50);
/// Events taken into one turn. More wait for the next, so that effects are never far behind.
const TURN_EVENTS_MAX: usize = 256;
/// Effects answered at once (signatures, overload) lead to new effects; after this many rounds the rest waits a turn.
const ROUNDS_MAX: usize = 16;
/// Time for the last flush and one last upload.
const FAREWELL_MAX: Duration = Duration::from_secs(3);

/// Where the driver's orders go.
#[derive(Debug)]
pub struct Outlets {
    /// To the mesh.
    pub mesh: mpsc::Sender<Command>,
    /// To the prober.
    pub probes: mpsc::Sender<ProbeRequest>,
    /// To the disk.
    pub store: Store,
    /// To the aggregator.
    pub uploads: mpsc::Sender<Job>,
    /// The own record, for whoever shows it to others.
    pub own: watch::Sender<Option<Signed>>,
    /// What follows from the configuration of the mesh.
    pub settings: Settings,
}

/// See the module.
#[derive(Debug)]
pub struct Driver {
    agent: Agent,
    clock: Clock,
    key: Arc<SecretKey>,
    mesh: MeshId,
    metrics: Metrics,
    inbox: Inbox,
    outlets: Outlets,
    effects: Effects,
    /// What was answered within the turn.
    answered: VecDeque<Input>,
    uploads_under_way: usize,
    is_ending: bool,
}

impl Driver {
    /// A driver of `agent`, which signs with `key`.
    pub fn new(
        agent: Agent,
        clock: Clock,
        key: Arc<SecretKey>,
        mesh: MeshId,
        metrics: Metrics,
        inbox: Inbox,
        outlets: Outlets,
    ) -> Self {
        Self {
            agent,
            clock,
            key,
            mesh,
            metrics,
            inbox,
            outlets,
            effects: Effects::new(),
            answered: VecDeque::new(),
            uploads_under_way: 0,
            is_ending: false,
        }
    }

    /// Runs until it is told to end, then says farewell.
    pub async fn run(mut self) {
        let mut first = Event::Wakeup;
        loop {
            self.turn(first).await;
            if self.is_ending {
                break;
            }
            let deadline = self.agent.next_wakeup().map(|at| self.clock.instant(at));
            // Work that was left over from this turn must not wait for an event.
            first = if self.answered.is_empty() { self.inbox.next(deadline).await } else { Event::Wakeup };
        }
        if tokio::time::timeout(FAREWELL_MAX, self.farewell()).await.is_err() {
            tracing::warn!("not everything was sent before the end; it waits in the buffer for the next start");
        }
    }

    /// What the agent handed to the disk must be there; one more batch may still reach an aggregator.
    async fn farewell(&mut self) {
        let _ = self.outlets.store.flush().await;
        self.turn(Event::Wakeup).await;
        while self.uploads_under_way > 0 {
            let event = self.inbox.next(None).await;
            self.turn(event).await;
        }
        let _ = self.outlets.store.flush().await;
    }

    async fn turn(&mut self, first: Event) {
        let now = self.clock.now();
        let mut questions = Vec::new();
        self.take(now, first, &mut questions);
        for _ in 1..TURN_EVENTS_MAX {
            let Some(event) = self.inbox.ready() else { break };
            self.take(now, event, &mut questions);
        }
        for _ in 0..ROUNDS_MAX {
            while let Some(input) = self.answered.pop_front() {
                self.agent.handle(now, input, &mut self.effects);
            }
            if self.effects.is_empty() {
                break;
            }
            self.perform_all().await;
        }
        for question in questions {
            let _ = question.send(self.agent.view(now));
        }
        self.measure(now);
    }

    fn take(&mut self, now: Now, event: Event, questions: &mut Vec<Question>) {
        let input = match event {
            Event::Wakeup => Input::Wakeup,
            Event::Mesh(input) | Event::Settings(input) => *input,
            Event::ProbeFinished((probe, outcome)) => {
                self.metrics.probes.with_label_values(&[word(outcome)]).inc();
                Input::ProbeFinished { probe, outcome }
            }
            Event::Persisted(epoch, up_to) => Input::Persisted { epoch, up_to },
            Event::DiskRoom { is_low } => {
                tracing::info!(is_low, "room on the file system of the buffer");
                Input::DiskRoom { is_low }
            }
            Event::Uploaded((epoch, result)) => self.uploaded(epoch, result),
            Event::Statements(statements) => Input::Statements(statements),
            Event::Question(question) => return questions.push(question),
            Event::Shutdown => {
                self.is_ending = true;
                Input::Shutdown
            }
        };
        self.agent.handle(now, input, &mut self.effects);
    }

    const fn uploaded(&mut self, epoch: everypath_protocol::id::Epoch, result: UploadResult) -> Input {
        self.uploads_under_way = self.uploads_under_way.saturating_sub(1);
        Input::UploadFinished { epoch, result }
    }

    fn measure(&self, began: Now) {
        let took = self.clock.mono().since(began.mono);
        self.metrics.turn_seconds.observe(Duration::from_nanos(took.0).as_secs_f64());
        if took > TURN_LONG {
            self.metrics.turns_long.inc();
            tracing::warn!(took_ms = took.as_millis(), "a turn of the driver took long; the disk or this host is slow");
        }
    }
}

const fn word(outcome: ProbeOutcome) -> &'static str {
    match outcome {
        ProbeOutcome::Replied { .. } => "replied",
        ProbeOutcome::Lost => "lost",
        ProbeOutcome::NotMeasured(why) => why.name(),
    }
}

#[cfg(test)]
mod tests;
