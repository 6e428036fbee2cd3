//! The task that owns the writing connection.
//!
//! A transaction that fails may leave the connection in a state that it cannot leave: SQLite itself undoes everything when the
//! disk is full, and sqlx goes on believing in a transaction. Such a connection is thrown away and a new one is opened.

use super::While;
use super::failure::is_unstorable;
use super::ingest;
use super::keys::Keys;
use crate::store::error::{IngestError, StoreError};
use crate::store::has_room_for_backlog;
use crate::store::types::{Batch, Ingested};
use futures::future::BoxFuture;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Most jobs that wait. A full queue is answered with "busy", so that agents wait and nobody's memory grows.
const QUEUE_MAX: usize = 256;
/// Most batches in one transaction: one commit costs as much as inserting a thousand rows.
const GROUP_MAX: usize = 64;
/// Pause after the database could not be opened again.
const REOPEN_EVERY: Duration = Duration::from_secs(1);

type Answer = oneshot::Sender<Result<Ingested, IngestError>>;
/// Says whether it was committed. Dropped undone, it answers "busy".
type Work = Box<dyn for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, bool> + Send>;

enum Job {
    Ingest(Box<Batch>, Answer),
    Other(Work),
    Close(oneshot::Sender<()>),
}

/// The sending end of the queue.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    jobs: mpsc::Sender<Job>,
    is_failing: Arc<AtomicBool>,
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
    /// `connection` was made with `options`, which make a new one when it has to be given up.
    pub(super) fn start(connection: SqliteConnection, options: SqliteConnectOptions) -> Self {
        let (jobs, queue) = mpsc::channel(QUEUE_MAX);
        let is_failing = Arc::new(AtomicBool::new(false));
        let desk = Desk {
            options,
            connection: Some(connection),
            keys: Keys::default(),
            is_resting: false,
            is_failing: Arc::clone(&is_failing),
        };
        tokio::spawn(desk.run(queue));
        Self { jobs, is_failing }
    }

    /// Whether the last write failed.
    pub(super) fn is_failing(&self) -> bool {
        self.is_failing.load(Ordering::Relaxed)
    }

    /// Returns when the task has ended: after [`Self::close`], or because it panicked.
    pub(super) async fn ended(&self) {
        self.jobs.closed().await;
    }

    pub(super) async fn ingest(&self, batch: Batch) -> Result<Ingested, IngestError> {
        if batch.is_backlog && !has_room_for_backlog(&self.jobs) {
            return Err(StoreError::BacklogWaits.into());
        }
        let (answer, answered) = oneshot::channel();
        self.send(Job::Ingest(Box::new(batch), answer))?;
        answered.await.unwrap_or_else(|_| Err(IngestError::Store(self.unanswered())))
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
                let is_committed = result.is_ok();
                // Whoever asked may have gone away; the work is done all the same.
                let _ = answer.send(result);
                is_committed
            })
        });
        self.send(Job::Other(work))?;
        answered.await.unwrap_or_else(|_| Err(self.unanswered()))
    }

    /// Why a job was dropped: there is no connection now, or there will be none any more.
    fn unanswered(&self) -> StoreError {
        if self.jobs.is_closed() { StoreError::Closed } else { StoreError::Busy }
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

/// What the task owns.
struct Desk {
    options: SqliteConnectOptions,
    /// `None` after a transaction failed, until it is opened again.
    connection: Option<SqliteConnection>,
    keys: Keys,
    /// Opening failed just now; what waits is answered "busy" without trying again.
    is_resting: bool,
    is_failing: Arc<AtomicBool>,
}

impl Desk {
    async fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        let mut waiting = Vec::with_capacity(GROUP_MAX);
        while queue.recv_many(&mut waiting, GROUP_MAX).await > 0 {
            let mut group = Vec::new();
            for job in waiting.drain(..) {
                match job {
                    Job::Ingest(batch, answer) => group.push((*batch, answer)),
                    Job::Other(work) => {
                        // Order is kept: what was asked before is done before.
                        self.ingest(std::mem::take(&mut group)).await;
                        self.work(work).await;
                    }
                    Job::Close(done) => {
                        self.ingest(std::mem::take(&mut group)).await;
                        if let Some(connection) = self.connection.take() {
                            // The last step anyway; a failure to close loses nothing, every commit is on disk.
                            let _ = connection.close().await;
                        }
                        // Nobody is told that it is done before the queue takes nothing more.
                        drop(queue);
                        let _ = done.send(());
                        return;
                    }
                }
            }
            self.ingest(group).await;
            if self.is_resting {
                tokio::time::sleep(REOPEN_EVERY).await;
                self.is_resting = false;
            }
        }
    }

    async fn work(&mut self, work: Work) {
        let Some(connection) = self.connection().await else { return };
        let is_committed = work(connection).await;
        self.note(is_committed);
    }

    /// Stores several batches in one transaction. One that is refused leaves no trace and does not hinder the others. If the
    /// database can never store one of them, the group is halved until that one is alone: its agent is told, and nobody else
    /// waits for it. If the database fails, all are undone and none is acknowledged.
    async fn ingest(&mut self, group: Vec<(Batch, Answer)>) {
        let mut groups = vec![group];
        while let Some(mut group) = groups.pop() {
            if group.is_empty() {
                continue;
            }
            match self.try_group(&group).await {
                Ok(outcomes) => {
                    self.is_failing.store(false, Ordering::Relaxed);
                    for ((_, answer), outcome) in group.into_iter().zip(outcomes) {
                        // Whoever asked may have gone away; the agent asks again.
                        let _ = answer.send(outcome);
                    }
                }
                Err(Some(error)) if is_unstorable(&error) => {
                    if group.len() > 1 {
                        // The first half is taken from the stack first: order within a stream is kept.
                        groups.push(group.split_off(group.len() / 2));
                        groups.push(group);
                    } else if let Some((_, answer)) = group.pop() {
                        tracing::warn!(%error, "a record can never be stored; its agent is told to find it");
                        let _ = answer.send(Err(IngestError::Unstorable(error.to_string())));
                    }
                }
                Err(error) => {
                    self.is_failing.store(true, Ordering::Relaxed);
                    let rest: Vec<_> = group.into_iter().chain(groups.drain(..).flatten()).collect();
                    if let Some(error) = error {
                        tracing::error!(%error, batches = rest.len(), "batches were not stored; their agents will send them again");
                    }
                    for (_, answer) in rest {
                        let _ = answer.send(Err(IngestError::Store(StoreError::Busy)));
                    }
                }
            }
        }
    }

    /// No error at all: there is no connection now.
    async fn try_group(&mut self, group: &[(Batch, Answer)]) -> Result<Vec<ingest::Outcome>, Option<sqlx::Error>> {
        let mut keys = std::mem::take(&mut self.keys);
        let connection = self.connection().await.ok_or(None)?;
        let stored = store_group(connection, &mut keys, group).await;
        self.keys = keys;
        if stored.is_err() {
            self.give_up();
        }
        stored.map_err(Some)
    }

    /// The connection, opened again if it had to be given up. `None` if that is not possible now.
    async fn connection(&mut self) -> Option<&mut SqliteConnection> {
        if self.connection.is_none() && !self.is_resting {
            match self.options.connect().await {
                Ok(connection) => self.connection = Some(connection),
                Err(error) => {
                    tracing::error!(%error, "the database cannot be opened for writing; it is tried again");
                    self.is_resting = true;
                }
            }
        }
        self.connection.as_mut()
    }

    fn note(&mut self, is_committed: bool) {
        self.is_failing.store(!is_committed, Ordering::Relaxed);
        if !is_committed {
            self.give_up();
        }
    }

    /// A connection whose transaction failed is not used again. Closing it undoes what it had begun.
    fn give_up(&mut self) {
        self.connection = None;
        self.keys.forget();
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

async fn store_group(
    connection: &mut SqliteConnection,
    keys: &mut Keys,
    group: &[(Batch, Answer)],
) -> Result<Vec<ingest::Outcome>, sqlx::Error> {
    let mut transaction = connection.begin_with("begin immediate").await?;
    let mut outcomes = Vec::with_capacity(group.len());
    for (batch, _) in group {
        outcomes.push(ingest::store(&mut transaction, keys, batch).await?);
    }
    transaction.commit().await?;
    Ok(outcomes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mesh::Mesh;
    use everypath_protocol::batch::BatchHeader;
    use everypath_protocol::id::{AgentId, BootId, Epoch, Seq};
    use everypath_protocol::sign::{Ed25519, SecretKey, Signer as _};
    use everypath_protocol::time::{Now, UnixTime};
    use sqlx::Executor as _;
    use std::path::Path;

    async fn writer(file: &Path) -> Writer {
        let options = SqliteConnectOptions::new().filename(file);
        let mut connection = options.clone().create_if_missing(true).connect().await.expect("made");
        connection.execute("create table t (x integer)").await.expect("made");
        Writer::start(connection, options)
    }

    async fn run(writer: &Writer, statement: &'static str) -> Result<(), StoreError> {
        writer
            .write("testing", move |connection| Box::pin(async move { connection.execute(statement).await.map(drop) }))
            .await
    }

    #[tokio::test]
    async fn a_transaction_that_sqlite_undoes_itself_costs_that_write_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let writer = writer(&folder.path().join("a.sqlite")).await;
        let trigger = "create trigger full before insert on t begin select raise(rollback, 'disk full'); end";
        run(&writer, trigger).await.expect("stored");
        for _ in 0..3 {
            let error = run(&writer, "insert into t values (1)").await.expect_err("the trigger raises");
            assert!(error.to_string().contains("disk full"), "{error}");
            assert!(writer.is_failing());
        }
        run(&writer, "drop trigger full").await.expect("stored");
        run(&writer, "insert into t values (1)").await.expect("stored");
        assert!(!writer.is_failing());
    }

    #[tokio::test]
    async fn while_it_cannot_be_opened_it_is_busy_and_then_goes_on() {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, away) = (folder.path().join("a.sqlite"), folder.path().join("away.sqlite"));
        let writer = writer(&file).await;
        std::fs::rename(&file, &away).expect("renamed");
        run(&writer, "insert into nothing values (1)").await.expect_err("no such table");
        for _ in 0..2 {
            let busy = run(&writer, "insert into t values (1)").await;
            assert!(matches!(busy, Err(StoreError::Busy)), "{busy:?}");
        }
        assert!(writer.is_failing());
        std::fs::rename(&away, &file).expect("renamed");
        run(&writer, "insert into t values (1)").await.expect("stored");
        assert!(!writer.is_failing());
    }

    #[tokio::test]
    async fn a_backlog_is_let_in_only_while_a_queue_has_much_room_so_that_what_is_fresh_finds_some() {
        let folder = tempfile::tempdir().expect("a folder");
        let writer = writer(&folder.path().join("a.sqlite")).await;
        let mesh = Mesh::open_or_found(folder.path()).expect("founded");
        let key = SecretKey::from_seed(&[1; 32]);
        let agent = AgentId::from(key.public());
        let signed = mesh.certify(agent, "a1".into(), "alpha".into(), UnixTime(0));
        let certificate = mesh.trust().open_certificate(signed.clone(), &Ed25519).expect("our own").document().clone();
        let batch = |is_backlog| Batch {
            header: BatchHeader {
                agent,
                epoch: Epoch(1),
                first: Seq(1),
                count: 1,
                body_hash: [0; 32],
                boot: BootId(1),
                sent: Now::default(),
                config: 0,
            },
            certificate: certificate.clone(),
            certificate_signed: signed.clone(),
            blocks: Vec::new(),
            received_at: UnixTime(0),
            is_backlog,
        };
        let quarter = QUEUE_MAX / 4;
        let mut waiting: Vec<_> = (0..quarter).map(|_| Box::pin(run(&writer, "insert into t values (1)"))).collect();
        for one in &mut waiting {
            // The queue has it, and its task has not run yet.
            assert!(futures::poll!(one).is_pending());
        }
        let mut last = Box::pin(writer.ingest(batch(true)));
        assert!(futures::poll!(&mut last).is_pending(), "a quarter may be taken");
        let busy = writer.ingest(batch(true)).await;
        assert!(matches!(busy, Err(IngestError::Store(StoreError::BacklogWaits))), "{busy:?}");
        let mut fresh = Box::pin(writer.ingest(batch(false)));
        assert!(futures::poll!(&mut fresh).is_pending(), "it is let in");
    }

    #[tokio::test]
    async fn its_end_is_noticed() {
        let folder = tempfile::tempdir().expect("a folder");
        let writer = writer(&folder.path().join("a.sqlite")).await;
        let result: Result<(), _> = writer.write("testing", |_| panic!("on purpose")).await;
        assert!(result.is_err());
        writer.ended().await;
        assert!(matches!(run(&writer, "insert into t values (1)").await, Err(StoreError::Closed)));
    }
}
