//! The task that owns the writing connection.

use super::While;
use super::ingest;
use crate::store::types::{Batch, IngestError, Ingested, StoreError};
use futures::future::BoxFuture;
use sqlx::{Connection as _, SqliteConnection};
use tokio::sync::{mpsc, oneshot};

/// Most jobs that wait. A full queue is answered with "busy", so that agents wait and nobody's memory grows.
const QUEUE_MAX: usize = 256;
/// Most batches in one transaction: one commit costs as much as inserting a thousand rows.
const GROUP_MAX: usize = 64;

type Answer<T, E> = oneshot::Sender<Result<T, E>>;
type Work = Box<dyn for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, ()> + Send>;

enum Job {
    Ingest(Box<Batch>, Answer<Ingested, IngestError>),
    Other(Work),
    Close(oneshot::Sender<()>),
}

/// The sending end of the queue.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    jobs: mpsc::Sender<Job>,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Ingest(..) => "Ingest",
            Self::Other(_) => "Other",
            Self::Close(_) => "Close",
        })
    }
}

impl Writer {
    pub(super) fn start(connection: SqliteConnection) -> Self {
        let (jobs, queue) = mpsc::channel(QUEUE_MAX);
        tokio::spawn(run(connection, queue));
        Self { jobs }
    }

    pub(super) async fn ingest(&self, batch: Batch) -> Result<Ingested, IngestError> {
        let (answer, answered) = oneshot::channel();
        self.send(Job::Ingest(Box::new(batch), answer))?;
        answered.await.unwrap_or(Err(IngestError::Store(StoreError::Closed)))
    }

    pub(super) async fn write<T, F>(&self, doing: &'static str, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, sqlx::Error>> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let work: Work = Box::new(move |connection| {
            Box::pin(async move {
                let result = in_transaction(connection, work).await.doing(doing);
                // Whoever asked may have gone away; the work is done all the same.
                let _ = answer.send(result);
            })
        });
        self.send(Job::Other(work))?;
        answered.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Finishes what is queued.
    pub(super) async fn close(&self) {
        let (done, is_done) = oneshot::channel();
        if self.jobs.send(Job::Close(done)).await.is_ok() {
            // An error means that the task has ended, which is what was asked for.
            let _ = is_done.await;
        }
    }

    fn send(&self, job: Job) -> Result<(), StoreError> {
        self.jobs.try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => StoreError::Busy,
            mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
        })
    }
}

async fn run(mut connection: SqliteConnection, mut queue: mpsc::Receiver<Job>) {
    let mut waiting = Vec::with_capacity(GROUP_MAX);
    while queue.recv_many(&mut waiting, GROUP_MAX).await > 0 {
        let mut group = Vec::new();
        for job in waiting.drain(..) {
            match job {
                Job::Ingest(batch, answer) => group.push((*batch, answer)),
                Job::Other(work) => {
                    // Order is kept: what was asked before is done before.
                    ingest_group(&mut connection, std::mem::take(&mut group)).await;
                    work(&mut connection).await;
                }
                Job::Close(done) => {
                    ingest_group(&mut connection, std::mem::take(&mut group)).await;
                    // The last step anyway; a failure to close loses nothing, every commit is on disk.
                    let _ = connection.close().await;
                    let _ = done.send(());
                    return;
                }
            }
        }
        ingest_group(&mut connection, group).await;
    }
}

async fn in_transaction<T, F>(connection: &mut SqliteConnection, work: F) -> Result<T, sqlx::Error>
where
    F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, sqlx::Error>>,
{
    let mut transaction = connection.begin_with("begin immediate").await?;
    let value = work(&mut transaction).await?;
    transaction.commit().await?;
    Ok(value)
}

/// Stores several batches in one transaction. One that is refused leaves no trace and does not hinder the others; if the
/// database fails, all are undone and none is acknowledged.
async fn ingest_group(connection: &mut SqliteConnection, group: Vec<(Batch, Answer<Ingested, IngestError>)>) {
    if group.is_empty() {
        return;
    }
    let (batches, answers): (Vec<_>, Vec<_>) = group.into_iter().unzip();
    match store_group(connection, batches).await {
        Ok(results) => {
            for (answer, result) in answers.into_iter().zip(results) {
                let _ = answer.send(result.map_err(IngestError::Refused));
            }
        }
        Err(error) => {
            tracing::error!(%error, batches = answers.len(), "batches were not stored; their agents will send them again");
            for answer in answers {
                let _ = answer.send(Err(IngestError::Store(StoreError::Busy)));
            }
        }
    }
}

async fn store_group(
    connection: &mut SqliteConnection,
    batches: Vec<Batch>,
) -> Result<Vec<ingest::Outcome>, StoreError> {
    let mut transaction = connection.begin_with("begin immediate").await.doing("beginning a transaction")?;
    let mut results = Vec::with_capacity(batches.len());
    for batch in batches {
        results.push(ingest::store(&mut transaction, batch).await.doing("storing a batch")?);
    }
    transaction.commit().await.doing("committing batches")?;
    Ok(results)
}
