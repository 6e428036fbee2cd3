//! The tasks that store batches: each takes what waits, stores it in one transaction, and answers.
//!
//! A transaction costs as much as inserting some thousand rows, so batches that wait together are stored together. If the
//! database can never store one of them, the group is halved until that one is alone: its agent is told, and nobody else waits
//! for it.

use super::Shared;
use super::failure::{Failure, failure};
use super::ingest::{self, Stop};
use super::partitions::Wanted;
use super::prepare;
use crate::store::error::{IngestError, StoreError};
use crate::store::has_room_for_backlog;
use crate::store::types::{Batch, Ingested};
use everypath_protocol::id::AgentId;
use futures::future::select_all;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Most batches that wait, over all committers. A full queue is answered with "busy", so that agents wait and nobody's memory
/// grows.
const QUEUE_MAX: usize = 256;
/// Most batches in one transaction.
const GROUP_MAX: usize = 64;
/// Rows above which no further batch joins a group: more saves nothing, and makes all of them wait longer.
const GROUP_ROWS: u64 = 8_000;
/// Tries of a group that another transaction stood in the way of.
const ATTEMPTS_MAX: u32 = 6;
/// Longest time for one try. Other replicas take a number that is missing from the journal for a minute for one that never
/// comes.
const ATTEMPT_MAX: Duration = Duration::from_secs(45);

type Answer = oneshot::Sender<Result<Ingested, IngestError>>;

enum Job {
    Ingest(Box<Batch>, Answer),
    Close(oneshot::Sender<()>),
}

/// The sending ends of the queues.
#[derive(Clone, Debug)]
pub(super) struct Committers {
    queues: Vec<mpsc::Sender<Job>>,
    is_failing: Arc<AtomicBool>,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Ingest(..) => "Ingest",
            Self::Close(_) => "Close",
        })
    }
}

impl Committers {
    pub(super) fn start(shared: &Arc<Shared>, count: u32) -> Self {
        let count = usize::try_from(count).unwrap_or(1).clamp(1, GROUP_MAX);
        let is_failing = Arc::new(AtomicBool::new(false));
        let queues = (0..count).map(|_| {
            let (jobs, queue) = mpsc::channel(QUEUE_MAX.div_ceil(count));
            let desk =
                Desk { shared: Arc::clone(shared), unannounced: BTreeSet::new(), is_failing: Arc::clone(&is_failing) };
            tokio::spawn(desk.run(queue));
            jobs
        });
        Self { queues: queues.collect(), is_failing }
    }

    /// Whether the last group could not be stored.
    pub(super) fn is_failing(&self) -> bool {
        self.is_failing.load(Ordering::Relaxed)
    }

    pub(super) async fn ingest(&self, batch: Batch) -> Result<Ingested, IngestError> {
        let queue = &self.queues[place(batch.header.agent, self.queues.len())];
        if batch.is_backlog && !has_room_for_backlog(queue) {
            return Err(StoreError::BacklogWaits.into());
        }
        let (answer, answered) = oneshot::channel();
        queue.try_send(Job::Ingest(Box::new(batch), answer)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => StoreError::Busy,
            mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
        })?;
        answered.await.unwrap_or_else(|_| Err(IngestError::Store(StoreError::Closed)))
    }

    /// Returns when one of the tasks has ended: after [`Self::close`], or because it panicked.
    pub(super) async fn ended(&self) {
        select_all(self.queues.iter().map(|queue| Box::pin(queue.closed()))).await;
    }

    /// Finishes what is queued.
    pub(super) async fn close(&self) {
        for queue in &self.queues {
            let (done, is_done) = oneshot::channel();
            if queue.send(Job::Close(done)).await.is_ok() {
                // An error means that the task has ended, which is what was asked for.
                let _ = is_done.await;
            }
        }
    }
}

/// The same agent goes to the same committer, so that no two of this process want the same cursor.
fn place(agent: AgentId, count: usize) -> usize {
    let [first, second, ..] = agent.0;
    usize::from(u16::from_be_bytes([first, second])) % count
}

/// One batch and who waits for it.
struct Item {
    batch: Batch,
    answer: Answer,
}

struct Desk {
    shared: Arc<Shared>,
    /// Members that were made here and whose first batch is not stored yet.
    unannounced: BTreeSet<AgentId>,
    is_failing: Arc<AtomicBool>,
}

/// What became of a group.
enum Tried {
    Stored(Vec<ingest::Outcome>),
    /// The database can never store one of them; what it said.
    Unstorable(String),
    /// Later, perhaps.
    Busy,
}

impl Desk {
    async fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        let mut waiting = Vec::with_capacity(GROUP_MAX);
        while queue.recv_many(&mut waiting, GROUP_MAX).await > 0 {
            let (mut group, mut rows) = (Vec::new(), 0);
            for job in waiting.drain(..) {
                match job {
                    Job::Ingest(batch, answer) => {
                        // Whoever sent it chose the number; it is checked later.
                        rows = batch.header.count.saturating_add(rows);
                        group.push(Item { batch: *batch, answer });
                        if rows >= GROUP_ROWS {
                            self.store(std::mem::take(&mut group)).await;
                            rows = 0;
                        }
                    }
                    Job::Close(done) => {
                        self.store(std::mem::take(&mut group)).await;
                        // Nobody is told that it is done before the queue takes nothing more.
                        drop(queue);
                        let _ = done.send(());
                        return;
                    }
                }
            }
            self.store(group).await;
        }
    }

    async fn store(&mut self, group: Vec<Item>) {
        let mut groups = vec![group];
        while let Some(mut group) = groups.pop() {
            if group.is_empty() {
                continue;
            }
            match self.try_group(&group).await {
                Tried::Stored(outcomes) => {
                    self.is_failing.store(false, Ordering::Relaxed);
                    for (item, outcome) in group.into_iter().zip(outcomes) {
                        self.answer(item, outcome);
                    }
                }
                Tried::Unstorable(why) if group.len() == 1 => {
                    tracing::warn!(why, "a record can never be stored; its agent is told to find it");
                    for item in group {
                        // Whoever asked may have gone away; the agent asks again.
                        let _ = item.answer.send(Err(IngestError::Unstorable(why.clone())));
                    }
                }
                Tried::Unstorable(_) => {
                    // The first half is taken from the stack first: order within a stream is kept.
                    groups.push(group.split_off(group.len() / 2));
                    groups.push(group);
                }
                Tried::Busy => {
                    self.is_failing.store(true, Ordering::Relaxed);
                    for item in group.into_iter().chain(groups.drain(..).flatten()) {
                        let _ = item.answer.send(Err(IngestError::Store(StoreError::Busy)));
                    }
                }
            }
        }
    }

    fn answer(&mut self, item: Item, outcome: ingest::Outcome) {
        let outcome = outcome
            .map(|stored| Ingested { is_new_agent: self.unannounced.remove(&item.batch.header.agent), ..stored });
        let _ = item.answer.send(outcome);
    }

    async fn try_group(&mut self, group: &[Item]) -> Tried {
        let batches: Vec<&Batch> = group.iter().map(|item| &item.batch).collect();
        for attempt in 1..=ATTEMPTS_MAX {
            let error = match tokio::time::timeout(ATTEMPT_MAX, self.attempt(&batches)).await {
                Err(_) => {
                    tracing::error!(batches = batches.len(), "storing took too long; the agents will send again");
                    return Tried::Busy;
                }
                Ok(Ok(outcomes)) => return Tried::Stored(outcomes),
                Ok(Err(Stop::Again)) => continue,
                Ok(Err(Stop::Unstorable(why))) => return Tried::Unstorable(why),
                Ok(Err(Stop::NoPartition(wanted))) => match self.make_room(&wanted).await {
                    Ok(()) => continue,
                    Err(error) => error,
                },
                Ok(Err(Stop::Database(error))) => error,
            };
            match failure(&error) {
                Failure::Data => return Tried::Unstorable(said(&error)),
                Failure::NoPartition => self.shared.partitions.forget(),
                Failure::Collision => {
                    self.shared.keys.forget();
                    tracing::info!(%error, attempt, "two transactions collided; this one runs again");
                }
                Failure::Away | Failure::Other => {
                    self.shared.keys.forget();
                    self.shared.partitions.forget();
                    tracing::error!(%error, batches = batches.len(), "batches were not stored; their agents will send them again");
                    return Tried::Busy;
                }
            }
        }
        tracing::error!(
            batches = batches.len(),
            "batches collided with others again and again; their agents will send them again"
        );
        Tried::Busy
    }

    async fn make_room(&self, wanted: &Wanted) -> Result<(), sqlx::Error> {
        let mut connection = self.shared.pool.acquire().await?;
        self.shared.partitions.make(&mut connection, wanted).await
    }

    /// If its commit fails, nobody knows whether it was done: the agents send again, and the cursor decides.
    async fn attempt(&mut self, batches: &[&Batch]) -> Result<Vec<ingest::Outcome>, Stop> {
        let mut connection = self.shared.pool.acquire().await?;
        let numbers = prepare::prepare(&self.shared.keys, &mut connection, batches, &mut self.unannounced).await?;
        let stored = ingest::store(&self.shared, &mut connection, &numbers, batches).await;
        if matches!(&stored, Err(Stop::Database(error)) if failure(error) == Failure::Away) {
            // A server that became a standby still answers, and would refuse the next one too.
            connection.close_on_drop();
        }
        stored
    }
}

/// The server's own words. Its details may quote the row, so they are left out.
fn said(error: &sqlx::Error) -> String {
    error.as_database_error().map_or_else(|| "the database refused it".to_owned(), |error| error.message().to_owned())
}
