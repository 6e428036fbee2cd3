//! What every handler shares.

use crate::auth::{Flood, Passwords};
use crate::clock::Clock;
use crate::config::Config;
use crate::hub::Hub;
use crate::mesh::Mesh;
use crate::replica::Replica;
use crate::retention::Retention;
use crate::store::{Store, StoreError};
use crate::telemetry::Metrics;
use everypath_protocol::time::{Span, UnixTime};
use everypath_protocol::token::AggregatorAddress;
use std::sync::{Arc, OnceLock};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

/// Samples received this long before a start are told to the matrix again: the minute that is folded, and the longest that
/// its rows may not have been kept.
const REPLAY: Span = Span::seconds(120);

/// Reports that are made at the same time; who asks for one more is told that the aggregator is busy.
const REPORTS_MAX: usize = 2;

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
    /// The matrix of now.
    pub hub: Hub,
    /// When old rows are deleted.
    pub retention: Retention,
    /// This process among others on the same database.
    pub replica: Replica,
    /// Counters.
    pub metrics: Metrics,
    /// Checks passwords.
    pub passwords: Passwords,
    /// Places for reports that are being made.
    pub reports: Arc<Semaphore>,
    /// How much of the audit log strangers fill.
    pub flood: Flood,
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
        let state = store.matrix_state(now.minus(REPLAY)).await?;
        let retention = Retention::new(&clock, store.newest_receipt().await?);
        let metrics = Metrics::new();
        metrics.agents.set(i64::try_from(state.agents.len()).unwrap_or(i64::MAX));
        let hub = Hub::start(clock.clone(), state);
        let passwords = Passwords::new(metrics.passwords_refused.clone());
        Ok(Arc::new(Self {
            config,
            clock,
            store,
            mesh,
            hub,
            retention,
            replica,
            metrics,
            passwords,
            reports: Arc::new(Semaphore::new(REPORTS_MAX)),
            flood: Flood::default(),
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

    /// Tells the matrix who is a member, after somebody joined.
    ///
    /// # Errors
    /// [`StoreError`] when the list cannot be read.
    pub async fn refresh_agents(&self) -> Result<(), StoreError> {
        let agents: Vec<_> = self.store.agents().await?.into_iter().map(|agent| agent.id).collect();
        self.metrics.agents.set(i64::try_from(agents.len()).unwrap_or(i64::MAX));
        self.hub.set_agents(agents).await.map_err(|_| StoreError::Closed)
    }
}
