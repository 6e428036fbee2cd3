//! What people are told: rules are asked and messages sent around [`aggregator_core::alert`], which decides.
//!
//! [`judge`] is done by whoever holds the lease, [`send`] by every replica. [`channel`] is what messages go through, [`outside`] the
//! way there, [`wire`] and [`keep`] are how all of it lies in the database and in the API.

pub mod channel;
pub mod judge;
pub mod keep;
pub mod outside;
pub mod send;
pub mod wire;

use crate::app::App;
use crate::clock::Clock;
use crate::config::Config;
use crate::seal::{self, SealKey};
use crate::store::{Store, StoreError};
use crate::who::Who;
use aggregator_core::alert::Watch;
use anyhow::Context as _;
use channel::Secrets;
use everypath_protocol::time::MonoTime;
use outside::Outside;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;
use wire::Names;

/// Most messages that are being sent at once by this process.
const SENDING_MAX: usize = 8;
/// Where SQLite's aggregator has the key that seals the secrets of channels.
const KEY_FILE: &str = "alerts.key";

/// What judging and sending keep between two steps.
#[derive(Debug)]
pub struct Alerts {
    /// Of the process.
    started: MonoTime,
    /// What is remembered while this replica leads; nothing else is done with it locked but judging.
    watch: Mutex<Option<Judging>>,
    outside: Outside,
    key_place: KeyPlace,
    key: OnceLock<SealKey>,
    sending: Arc<Semaphore>,
    tasks: TaskTracker,
    draw: AtomicU64,
}

#[derive(Debug)]
struct Judging {
    /// Of the lease under which it was read.
    term: i64,
    watch: Watch,
    roster: Roster,
}

/// Who is who, read now and then: the certificates of a large mesh are megabytes.
#[derive(Clone, Debug, Default)]
struct Roster {
    /// Of the matrix.
    generation: u64,
    /// Version of the configuration of the mesh.
    config: u64,
    read_at: MonoTime,
    who: Arc<Who>,
    names: Arc<Names>,
}

#[derive(Debug)]
enum KeyPlace {
    /// Made when it is needed first.
    Own(PathBuf),
    /// Given to every replica.
    Shared(Option<PathBuf>),
}

impl Alerts {
    /// Nothing judged yet.
    pub fn new(config: &Config, clock: &Clock) -> Self {
        let key_place = match &config.database {
            None => KeyPlace::Own(config.data_dir.join(KEY_FILE)),
            Some(database) => KeyPlace::Shared(database.key_file.clone()),
        };
        Self {
            started: clock.mono(),
            watch: Mutex::new(None),
            outside: Outside::new(&config.alert_networks),
            key_place,
            key: OnceLock::new(),
            sending: Arc::new(Semaphore::new(SENDING_MAX)),
            tasks: TaskTracker::new(),
            draw: AtomicU64::new(u64::from_le_bytes(crate::random::bytes())),
        }
    }

    /// The way out for webhooks.
    pub const fn outside(&self) -> &Outside {
        &self.outside
    }

    /// Waits for what is being sent, but not longer than `most`: what is not noted is sent again by somebody else.
    pub async fn finish(&self, most: Duration) {
        self.tasks.close();
        if tokio::time::timeout(most, self.tasks.wait()).await.is_err() {
            tracing::warn!("a message was being sent at the end of the program; it may be sent twice");
        }
    }

    /// Waits until nothing is being sent.
    pub async fn idle(&self) {
        let most = u32::try_from(SENDING_MAX).unwrap_or(u32::MAX);
        // It is closed never, and whatever ends gives its place back.
        let _ = self.sending.acquire_many(most).await;
    }

    /// Forgets what is remembered between two evaluations, as a restart does. What was kept is read again.
    pub async fn forget(&self) {
        *self.watch.lock().await = None;
    }

    /// Seals the secrets of a channel.
    ///
    /// # Errors
    /// When the key cannot be read or made.
    pub fn seal(&self, name: &str, secrets: &Secrets) -> anyhow::Result<Vec<u8>> {
        let plain = serde_json::to_vec(secrets).context("while writing the secrets of a channel")?;
        Ok(self.key(true)?.seal(&sealed_as(name), &plain))
    }

    /// Opens the secrets of a channel.
    ///
    /// # Errors
    /// When the key is not there or is another one.
    pub fn open(&self, name: &str, sealed: &[u8]) -> anyhow::Result<Secrets> {
        let plain = self.key(false)?.open(&sealed_as(name), sealed);
        let plain = plain.context("the secrets of this channel were sealed with another key; give them again")?;
        serde_json::from_slice(&plain).context("the secrets of this channel cannot be read; give them again")
    }

    fn key(&self, may_make: bool) -> anyhow::Result<&SealKey> {
        if let Some(key) = self.key.get() {
            return Ok(key);
        }
        let key = match &self.key_place {
            KeyPlace::Own(path) if may_make && !path.exists() => seal::find_or_make(path)?,
            KeyPlace::Own(path) if !path.exists() => anyhow::bail!(
                "{} is gone, and what channels keep secret was sealed with it; put it back from a backup, or give the addresses and \
                 passwords again",
                path.display()
            ),
            KeyPlace::Own(path) => SealKey::read(path)?,
            KeyPlace::Shared(path) => SealKey::read(path.as_ref().context("`database.key_file` is not set")?)?,
        };
        Ok(self.key.get_or_init(|| key))
    }

    /// Says at the start what would else be found out when somebody should have been told: that secrets of channels cannot be opened.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn look_at_secrets(&self, store: &Store) -> Result<(), StoreError> {
        for row in store.alert_channels().await?.iter().filter(|row| !row.sealed.is_empty()) {
            if let Err(error) = self.open(&row.name, &row.sealed) {
                tracing::error!(channel = row.name, "nothing can be sent to this channel: {error:#}");
            }
        }
        Ok(())
    }

    /// A place to send something, if there is one.
    pub fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.sending).try_acquire_owned().ok()
    }

    /// Begins to send something in a place. The end of the program waits a little for it.
    pub fn begin(&self, place: OwnedSemaphorePermit, sending: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(async move {
            let _place = place;
            sending.await;
        });
    }

    /// Anything, to spread what would come together.
    pub fn draw(&self) -> u64 {
        everypath_protocol::id::mix64(self.draw.fetch_add(1, Ordering::Relaxed))
    }
}

/// The secrets of one channel cannot be put in the place of another's.
fn sealed_as(name: &str) -> String {
    format!("alert channel {name}")
}

/// Agents and endpoints by name.
///
/// # Errors
/// [`StoreError`].
pub async fn names(app: &App) -> Result<Names, StoreError> {
    Ok(Who::read(app).await?.by_name())
}
