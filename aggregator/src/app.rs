//! What every handler shares.

use crate::alerts::Alerts;
use crate::auth::{Flood, Passwords, Queue};
use crate::clock::Clock;
use crate::config::Config;
use crate::hub::Hub;
use crate::mesh::Mesh;
use crate::mesh_config::{Configs, Current};
use crate::replica::Replica;
use crate::retention::Retention;
use crate::seats::Seats;
use crate::store::{Store, StoreError};
use crate::system::System;
use crate::telemetry::Metrics;
use everypath_protocol::time::{Span, UnixTime};
use everypath_protocol::token::AggregatorAddress;
use std::sync::{Arc, OnceLock};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Samples received this long before a start are told to the matrix again: the minute that is folded, and the longest that
/// its rows may not have been kept.
const REPLAY: Span = Span::seconds(120);

/// Reports that are made at the same time; who asks for one more is told that the aggregator is busy.
const REPORTS_MAX: usize = 2;
/// Attempts to log in that are counted in the database at the same time: few of its connections.
const LOGINS_MAX: usize = 2;
/// As many may wait for that; whoever comes then is told to come again.
const LOGINS_WAITING_MAX: usize = 256;

/// The running aggregator. There are no globals beside it.
#[derive(Debug)]
pub struct App {
    /// As it was read.
    pub config: Config,
    /// What time it is.
    pub clock: Clock,
    /// What is kept.
    pub store: Store,
    /// Who may join and report.
    pub mesh: Mesh,
    /// What the mesh measures.
    pub configs: Configs,
    /// The matrix of now.
    pub hub: Hub,
    /// When old rows are deleted.
    pub retention: Retention,
    /// What people are told.
    pub alerts: Alerts,
    /// This process among others on the same database.
    pub replica: Replica,
    /// What the page of the system remembers.
    pub system: System,
    /// Counters.
    pub metrics: Metrics,
    /// Checks passwords.
    pub passwords: Passwords,
    /// Attempts to log in that are being counted in the database.
    pub logins: Queue,
    /// What was begun for a client, who may have hung up since.
    pub begun: TaskTracker,
    /// Places for those who watch the matrix live.
    pub seats: Arc<Seats>,
    /// Places for reports that are being made.
    pub reports: Arc<Semaphore>,
    /// How much of the audit log strangers fill.
    pub strangers: Flood,
    /// The same of those who are known.
    pub known: Flood,
    /// Changes when somebody may do less than before, so that open connections look again at once.
    pub rights: watch::Sender<()>,
    /// Where agents reach this aggregator; known once the listeners are bound.
    pub addresses: OnceLock<Vec<AggregatorAddress>>,
    /// Cancelled when the process is asked to end; what is under way is finished, nothing new is begun.
    pub draining: CancellationToken,
}

/// How handlers get it.
pub type Shared = Arc<App>;

impl App {
    /// Puts the parts together and brings the matrix back to where it was.
    ///
    /// # Errors
    /// [`StoreError`] when what was kept cannot be read.
    pub async fn start(config: Config, clock: Clock, store: Store, mesh: Mesh) -> Result<Shared, StoreError> {
        let now = clock.now();
        // First: what is stored while the matrix is read is read again, which does no harm.
        let replica = Replica::new(store.replica(), store.journal_head().await?);
        let mut state = store.matrix_state(now.minus(REPLAY)).await?;
        let current = Current::read(&store, &mesh).await?;
        let members = state.agents.len();
        state.agents.extend(current.endpoints(mesh.id()).map(|(id, _)| id));
        let retention = Retention::new(&clock, store.newest_receipt().await?);
        let alerts = Alerts::new(&config, &clock);
        let metrics = Metrics::new();
        metrics.agents.set(i64::try_from(members).unwrap_or(i64::MAX));
        metrics.config_version.set(i64::try_from(current.version()).unwrap_or(i64::MAX));
        let hub = Hub::start(clock.clone(), state, current.document.window());
        let passwords = Passwords::new(metrics.passwords_refused.clone());
        let logins = Queue::new(LOGINS_MAX, LOGINS_WAITING_MAX, metrics.passwords_refused.clone());
        let live_clients = metrics.live_clients.clone();
        Ok(Arc::new(Self {
            config,
            clock,
            store,
            mesh,
            configs: Configs::new(current),
            hub,
            retention,
            alerts,
            replica,
            system: System::new(),
            metrics,
            passwords,
            logins,
            begun: TaskTracker::new(),
            seats: Seats::new(live_clients),
            reports: Arc::new(Semaphore::new(REPORTS_MAX)),
            strangers: Flood::default(),
            known: Flood::default(),
            rights: watch::Sender::new(()),
            addresses: OnceLock::new(),
            draining: CancellationToken::new(),
        }))
    }

    /// Now.
    pub fn now(&self) -> UnixTime {
        self.clock.now()
    }

    /// Whether the process was asked to end.
    pub fn is_draining(&self) -> bool {
        self.draining.is_cancelled()
    }

    /// Where agents reach this aggregator.
    pub fn addresses(&self) -> Vec<AggregatorAddress> {
        self.addresses.get().cloned().unwrap_or_default()
    }

    /// Tells the matrix who is a member, after somebody joined, and which endpoints there are: they stand behind the members.
    ///
    /// # Errors
    /// [`StoreError`] when the list cannot be read.
    pub async fn refresh_agents(&self) -> Result<(), StoreError> {
        let mut agents: Vec<_> = self.store.agents().await?.into_iter().map(|agent| agent.id).collect();
        self.metrics.agents.set(i64::try_from(agents.len()).unwrap_or(i64::MAX));
        agents.extend(self.configs.current().endpoints(self.mesh.id()).map(|(id, _)| id));
        self.hub.set_agents(agents).await.map_err(|_| StoreError::Closed)
    }
}
