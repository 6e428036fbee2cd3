//! The live matrix: one task owns it, everything else sends it messages. Nobody waits for a lock.

use crate::clock::Clock;
use crate::store::{LatestRow, MatrixState, SampleRow};
use aggregator_core::live::{self, Frame, Moment};
use aggregator_core::matrix::{AHEAD_MAX, Matrix, ShownCell, fresh_max};
use axum::body::Bytes;
use everypath_protocol::id::AgentId;
use everypath_protocol::record::Record;
use everypath_protocol::time::{Span, UnixTime};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::time::MissedTickBehavior;

/// Most messages that wait for the task. Whoever sends one more waits; results are on disk by then.
const MESSAGES_MAX: usize = 1_024;
/// Most frames that wait for one client. At ten a second a client that is further behind than this fetches everything again.
const FRAMES_MAX: usize = 32;
/// Time between two patch frames.
const TICK: Duration = Duration::from_millis(100);
/// Ticks between two looks at what became stale, and between two heartbeats.
const TICKS_PER_HEARTBEAT: u32 = 10;

/// What is live at one moment, for JSON.
#[derive(Clone, Debug)]
pub struct Picture {
    /// Generation, sequence, time.
    pub moment: Moment,
    /// In order of row and column.
    pub agents: Vec<AgentId>,
    /// Only pairs that were ever measured.
    pub cells: Vec<ShownCell>,
}

#[derive(Debug)]
enum Message {
    Apply { source: AgentId, news: Vec<(Record, UnixTime)> },
    Agents(Vec<AgentId>),
    Window(Span),
    Snapshot(oneshot::Sender<Bytes>),
    Picture(oneshot::Sender<Picture>),
    Roster(oneshot::Sender<(u64, Vec<AgentId>)>),
    Knows { agents: Vec<AgentId>, answer: oneshot::Sender<bool> },
    Join(oneshot::Sender<(Bytes, broadcast::Receiver<Bytes>)>),
    FetchAgain(oneshot::Sender<Bytes>),
    Dirty(oneshot::Sender<Vec<LatestRow>>),
}

/// Speaks to the task.
#[derive(Clone, Debug)]
pub struct Hub {
    messages: mpsc::Sender<Message>,
}

/// The task has ended, because the program does.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the program is shutting down")]
pub struct Gone;

impl Hub {
    /// Starts the task with the matrix as it was kept. Agents close windows of this length.
    pub fn start(clock: Clock, state: MatrixState, window: Span) -> Self {
        let (messages, inbox) = mpsc::channel(MESSAGES_MAX);
        let (frames, _) = broadcast::channel(FRAMES_MAX);
        let now = clock.now();
        // Microseconds of the start are a generation that no earlier process used, as long as clocks go forward.
        let mut matrix = Matrix::new(u64::try_from(now.0).unwrap_or(0));
        matrix.set_fresh_max(fresh_max(window));
        matrix.set_agents(state.agents);
        for row in &state.latest {
            matrix.restore(&row.source, &row.cells, now);
        }
        for SampleRow { source, record, ended } in &state.samples {
            if *ended <= now.plus(AHEAD_MAX) {
                matrix.apply(source, record, *ended, now);
            }
        }
        matrix.changed();
        let owner = Owner { clock, matrix, frames, sequence: 0, dirty: BTreeSet::new(), ticks_silent: 0, ticks: 0 };
        tokio::spawn(owner.run(inbox));
        Self { messages }
    }

    /// Takes new results of one agent.
    ///
    /// # Errors
    /// [`Gone`].
    pub async fn apply(&self, source: AgentId, news: Vec<(Record, UnixTime)>) -> Result<(), Gone> {
        self.messages.send(Message::Apply { source, news }).await.map_err(|_| Gone)
    }

    /// Takes the list of members, oldest first.
    ///
    /// # Errors
    /// [`Gone`].
    pub async fn set_agents(&self, agents: Vec<AgentId>) -> Result<(), Gone> {
        self.messages.send(Message::Agents(agents)).await.map_err(|_| Gone)
    }

    /// Agents close windows of another length from now on.
    ///
    /// # Errors
    /// [`Gone`].
    pub async fn set_window(&self, window: Span) -> Result<(), Gone> {
        self.messages.send(Message::Window(window)).await.map_err(|_| Gone)
    }

    /// The whole matrix as bytes.
    ///
    /// # Errors
    /// [`Gone`].
    pub async fn snapshot(&self) -> Result<Bytes, Gone> {
        self.ask(Message::Snapshot).await
    }

    /// The whole matrix as values.
    ///
    /// # Errors
    /// [`Gone`].
    pub async fn picture(&self) -> Result<Picture, Gone> {
        self.ask(Message::Picture).await
    }

    /// The generation and the members in order.
    ///
    /// # Errors
    /// [`Gone`].
    pub async fn roster(&self) -> Result<(u64, Vec<AgentId>), Gone> {
        self.ask(Message::Roster).await
    }

    /// Whether all of these are members as far as the matrix knows.
    ///
    /// # Errors
    /// [`Gone`].
    pub async fn knows(&self, agents: Vec<AgentId>) -> Result<bool, Gone> {
        self.ask(|answer| Message::Knows { agents, answer }).await
    }

    /// A first frame that says where the live frames are, and all frames from there on.
    ///
    /// # Errors
    /// [`Gone`].
    pub async fn join(&self) -> Result<(Bytes, broadcast::Receiver<Bytes>), Gone> {
        self.ask(Message::Join).await
    }

    /// A frame for a client that missed some.
    ///
    /// # Errors
    /// [`Gone`].
    pub async fn fetch_again(&self) -> Result<Bytes, Gone> {
        self.ask(Message::FetchAgain).await
    }

    /// The rows that changed since this was asked last, to be kept.
    ///
    /// # Errors
    /// [`Gone`].
    pub async fn dirty(&self) -> Result<Vec<LatestRow>, Gone> {
        self.ask(Message::Dirty).await
    }

    /// Returns when the task has ended, which happens while the program runs only by a mistake in it.
    pub async fn ended(&self) {
        self.messages.closed().await;
    }

    async fn ask<T>(&self, question: impl FnOnce(oneshot::Sender<T>) -> Message) -> Result<T, Gone> {
        let (answer, answered) = oneshot::channel();
        self.messages.send(question(answer)).await.map_err(|_| Gone)?;
        answered.await.map_err(|_| Gone)
    }
}

struct Owner {
    clock: Clock,
    matrix: Matrix,
    frames: broadcast::Sender<Bytes>,
    sequence: u64,
    dirty: BTreeSet<AgentId>,
    ticks_silent: u32,
    ticks: u32,
}

impl Owner {
    async fn run(mut self, mut inbox: mpsc::Receiver<Message>) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                message = inbox.recv() => match message {
                    Some(message) => self.handle(message),
                    None => return,
                },
                _ = ticks.tick() => self.tick(),
            }
        }
    }

    /// Whoever asked may have gone away: an answer that nobody takes is no error.
    fn handle(&mut self, message: Message) {
        let now = self.clock.now();
        match message {
            Message::Apply { source, news } => {
                for (record, ended) in &news {
                    self.matrix.apply(&source, record, *ended, now);
                }
                self.dirty.insert(source);
            }
            Message::Agents(agents) => {
                let before = self.matrix.generation();
                self.matrix.set_agents(agents);
                if self.matrix.generation() != before {
                    self.send(&Frame::FetchAgain);
                }
            }
            Message::Window(window) => self.matrix.set_fresh_max(fresh_max(window)),
            Message::Snapshot(answer) => {
                let _ = answer.send(live::snapshot(&self.matrix, self.sequence, now).into());
            }
            Message::Picture(answer) => {
                let agents = self.matrix.agents().to_vec();
                let _ = answer.send(Picture { moment: self.moment(), agents, cells: self.matrix.cells().collect() });
            }
            Message::Roster(answer) => {
                let _ = answer.send((self.matrix.generation(), self.matrix.agents().to_vec()));
            }
            Message::Knows { agents, answer } => {
                let _ = answer.send(agents.iter().all(|agent| self.matrix.is_member(agent)));
            }
            Message::Join(answer) => {
                let hello = Frame::Heartbeat.encode(self.moment()).into();
                let _ = answer.send((hello, self.frames.subscribe()));
            }
            Message::FetchAgain(answer) => {
                let _ = answer.send(Frame::FetchAgain.encode(self.moment()).into());
            }
            Message::Dirty(answer) => {
                let dirty = std::mem::take(&mut self.dirty);
                let row = |source: AgentId| LatestRow { cells: self.matrix.saved_row(&source), source };
                let _ = answer.send(dirty.into_iter().map(row).collect());
            }
        }
    }

    fn tick(&mut self) {
        self.ticks += 1;
        if self.ticks.is_multiple_of(TICKS_PER_HEARTBEAT) {
            self.matrix.expire(self.clock.now());
        }
        if self.matrix.has_changed() {
            let patches = self.matrix.changed();
            self.sequence += 1;
            self.send(&Frame::Patch(&patches));
        } else {
            self.ticks_silent += 1;
            if self.ticks_silent >= TICKS_PER_HEARTBEAT {
                self.send(&Frame::Heartbeat);
            }
        }
    }

    fn send(&mut self, frame: &Frame<'_>) {
        self.ticks_silent = 0;
        // Without a client there is nobody to tell.
        let _ = self.frames.send(frame.encode(self.moment()).into());
    }

    fn moment(&self) -> Moment {
        Moment { generation: self.matrix.generation(), sequence: self.sequence, at: self.clock.now() }
    }
}
