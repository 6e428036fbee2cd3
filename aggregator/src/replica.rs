//! One process among several on the same database: who leads, and what the others stored.
//!
//! Jobs that must run once, rolling up and deleting, are done by whoever holds the lease `jobs`. It is renewed three times in its
//! life, so a holder that dies is followed within [`LEASE_LIFE`]. A holder that was only suspended finds a higher term in the
//! database when it goes on, and its write does nothing.

use crate::app::App;
use crate::store::{JournalEntry, Lease, ReplicaId, ReplicaRow, StoreError};
use aggregator_core::follow::Follower;
use everypath_protocol::id::AgentId;
use everypath_protocol::record::Record;
use everypath_protocol::time::{MonoTime, Span, UnixTime};
use std::collections::BTreeSet;
use std::sync::Mutex;
use tokio::sync::watch;

/// How long the lease lives without being renewed.
pub const LEASE_LIFE: Span = Span::seconds(12);
/// The one lease there is.
pub const ROLE: &str = "jobs";
/// A process that has not said for so long that it lives is not shown; it says so as often as it asks for the lease.
pub const LIVE: Span = Span::seconds(30);

/// What this process knows of itself and of the others.
#[derive(Debug)]
pub struct Replica {
    /// Drawn at the start.
    pub id: ReplicaId,
    lease: watch::Sender<Option<Lease>>,
    /// Between two polls; never locked across one.
    follower: Mutex<Follower>,
    refreshed_at: Mutex<Option<MonoTime>>,
    /// When the database last said that somebody holds the lease; the first look is at the start.
    led_at: Mutex<MonoTime>,
}

impl Replica {
    /// The process `id`, which has read everything up to `head` of the journal.
    pub fn new(id: ReplicaId, head: i64) -> Self {
        Self {
            id,
            lease: watch::Sender::new(None),
            follower: Mutex::new(Follower::new(head)),
            refreshed_at: Mutex::new(None),
            led_at: Mutex::new(MonoTime(0)),
        }
    }

    /// The lease, while this process leads.
    pub fn lease(&self) -> Option<Lease> {
        *self.lease.borrow()
    }

    /// Takes or renews the lease.
    ///
    /// # Errors
    /// [`StoreError`]; this process does not lead then, because it cannot know.
    pub async fn renew(&self, app: &App) -> Result<(), StoreError> {
        let renewed = app.store.lease(ROLE, self.id, LEASE_LIFE).await;
        let lease = renewed.as_ref().ok().copied().flatten();
        if renewed.is_ok() {
            // It is this process or another one.
            *self.led_at() = app.clock.mono();
        }
        let before = self.lease.send_replace(lease);
        app.metrics.is_leader.set(i64::from(lease.is_some()));
        match (before, lease) {
            (None, Some(lease)) => tracing::info!(term = lease.term, "this replica does the jobs now"),
            (Some(_), None) if renewed.is_err() => {
                tracing::warn!("the database cannot be asked, so this replica no longer does the jobs");
            }
            (Some(_), None) => tracing::info!("another replica does the jobs now"),
            (None, None) | (Some(_), Some(_)) => {}
        }
        renewed?;
        app.store.note_replica(self.row(app)).await
    }

    /// What this process says of itself.
    fn row(&self, app: &App) -> ReplicaRow {
        let started_at = app.now().minus(app.clock.mono().since(MonoTime(0)));
        let (host, version) = (app.system.host.clone(), env!("CARGO_PKG_VERSION").to_owned());
        ReplicaRow { id: self.id, host, version, started_at }
    }

    /// How long this process has not seen anybody hold the lease.
    pub fn unled(&self, now: MonoTime) -> Span {
        now.since(*self.led_at())
    }

    fn led_at(&self) -> std::sync::MutexGuard<'_, MonoTime> {
        self.led_at.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Leaves the list of replicas, and gives the lease back at the end of the process.
    ///
    /// # Errors
    /// [`StoreError`]; it ends by itself soon.
    pub async fn step_down(&self, app: &App) -> Result<(), StoreError> {
        let released = match self.lease.send_replace(None) {
            Some(lease) => app.store.release(lease).await,
            None => Ok(()),
        };
        released.and(app.store.forget_replica(self.id).await)
    }

    /// Reads what other replicas stored since the last time and tells the matrix. Returns whether there may be more at once.
    ///
    /// # Errors
    /// [`StoreError`] when the journal cannot be read; nothing is missed, the next poll asks for the same.
    pub async fn follow(&self, app: &App) -> Result<bool, StoreError> {
        let (through, holes) = {
            let follower = self.follower();
            (follower.through(), follower.holes())
        };
        let entries = app.store.journal(through, holes, self.id).await?;
        let is_full = entries.len() >= JOURNAL_FULL;
        let fresh: BTreeSet<i64> = {
            let mut follower = self.follower();
            let fresh = follower.take(app.clock.mono(), entries.iter().map(|entry| entry.id).collect());
            app.metrics.journal_holes.set(i64::try_from(follower.holes().len()).unwrap_or(i64::MAX));
            fresh.into_iter().collect()
        };
        let theirs = entries.into_iter().filter(|entry| entry.origin != self.id && fresh.contains(&entry.id));
        let theirs: Vec<JournalEntry> = theirs.collect();
        for entry in &theirs {
            // What was read is not read again, so it is shown as far as members are known.
            if let Err(error) = self.refresh_if_new(app, entry.source, &entry.news).await {
                tracing::warn!(%error, "the list of members could not be read; somebody new is shown a little later");
            }
        }
        for JournalEntry { source, news, .. } in theirs {
            app.metrics.rows_followed.inc_by(news.len() as u64);
            app.hub.apply(source, news).await.map_err(|_| StoreError::Closed)?;
        }
        Ok(is_full)
    }

    /// An agent that joined at another replica is met here in its first batch, or as the target of somebody's. The matrix leaves
    /// out whom it does not know, so it is told before.
    ///
    /// # Errors
    /// [`StoreError`] when the list cannot be read.
    pub async fn refresh_if_new(
        &self,
        app: &App,
        source: AgentId,
        news: &[(Record, UnixTime)],
    ) -> Result<(), StoreError> {
        let target = |(record, _): &(Record, UnixTime)| match record {
            Record::Window(window) => window.target,
            Record::Flip(flip) => flip.target,
        };
        let named: BTreeSet<AgentId> = news.iter().map(target).chain([source]).collect();
        let is_known = app.hub.knows(named.into_iter().collect()).await.map_err(|_| StoreError::Closed)?;
        if is_known || !self.may_refresh(app.clock.mono()) {
            return Ok(());
        }
        app.refresh_agents().await
    }

    fn may_refresh(&self, now: MonoTime) -> bool {
        let mut refreshed_at = self.refreshed_at.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let may = refreshed_at.is_none_or(|before| now.since(before) >= REFRESH_PAUSE);
        if may {
            *refreshed_at = Some(now);
        }
        may
    }

    fn follower(&self) -> std::sync::MutexGuard<'_, Follower> {
        self.follower.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// An answer of this many entries is taken for one that was cut off.
const JOURNAL_FULL: usize = 200;
/// The list of members is read again for somebody unknown at most this often: anybody's batch can name made-up targets.
const REFRESH_PAUSE: Span = Span::seconds(1);
