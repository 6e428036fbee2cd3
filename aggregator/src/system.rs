//! How this aggregator fares, for people: what is costly to find out is found out once a minute, whoever asks how often.

use crate::app::App;
use crate::store::{Description, StoreError};
use everypath_protocol::time::{MonoTime, Span, UnixTime};
use everypath_update::{Outlook, Program, Updater};
use std::sync::{Arc, PoisonError};
use tokio::sync::Mutex;

/// How old a description of the database may be. On SQLite it counts rows.
const DESCRIPTION_AGE_MAX: Span = Span::seconds(60);

/// What a look for a newer release came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Looked {
    /// When.
    pub at: UnixTime,
    /// The newer version, if there is one; or why that is not known.
    pub newer: Result<Option<String>, String>,
}

/// What is remembered from question to question.
#[derive(Debug)]
pub struct System {
    /// Name of this host, as the list of replicas has it.
    pub host: String,
    described: Mutex<Option<(MonoTime, Arc<Description>)>>,
    looked: std::sync::Mutex<Option<Looked>>,
}

impl System {
    /// At the start of the process.
    pub fn new() -> Self {
        Self { host: host(), described: Mutex::new(None), looked: std::sync::Mutex::new(None) }
    }

    /// What the database is. Whoever asks while another one finds out waits for that.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn describe(&self, app: &App) -> Result<Arc<Description>, StoreError> {
        let mut described = self.described.lock().await;
        let now = app.clock.mono();
        let fresh = described.as_ref().filter(|(at, _)| now.since(*at) < DESCRIPTION_AGE_MAX);
        if let Some((_, description)) = fresh {
            return Ok(description.clone());
        }
        let description = Arc::new(app.store.describe().await?);
        *described = Some((now, description.clone()));
        Ok(description)
    }

    /// What the last look for a newer release came to; nothing before the first.
    pub fn looked(&self) -> Option<Looked> {
        self.looked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks for a newer release. Only asked for where the operator has turned that on; nothing is fetched or replaced.
    pub async fn look(&self, app: &App) {
        let program = Program::new("aggregator", env!("CARGO_PKG_VERSION"));
        let look = async { Updater::new(program, app.config.update.clone())?.look(None).await };
        let newer = match look.await {
            Ok(Outlook::UpToDate) => Ok(None),
            Ok(Outlook::Newer(offer)) => Ok(Some(offer.version.to_string())),
            Err(why) => {
                tracing::warn!(%why, "whether there is a newer release could not be found out");
                Err(why.to_string())
            }
        };
        let looked = Looked { at: app.now(), newer };
        *self.looked.lock().unwrap_or_else(PoisonError::into_inner) = Some(looked);
    }
}

impl Default for System {
    fn default() -> Self {
        Self::new()
    }
}

/// The name that the system gives this host; in Kubernetes that of the pod.
fn host() -> String {
    const BYTES_MAX: usize = 64;
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    name.get(..BYTES_MAX).unwrap_or(name).chars().filter(char::is_ascii_graphic).take(BYTES_MAX).collect()
}
