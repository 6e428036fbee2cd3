//! What the mesh measures: the newest version as agents get it, and what they say that they run.
//!
//! Reading order: this file (the version in force and who runs it), [`text`] (the form that people write), [`change`] (making a
//! version), [`diff`] (what is different), [`nobody`] (names that fit no agent), [`yaml`] (files).

pub mod change;
pub mod diff;
pub mod nobody;
pub mod text;
pub mod yaml;

use crate::app::App;
use crate::mesh::Mesh;
use crate::store::{ConfigInfo, ConfigRow, Store, StoreError};
use everypath_protocol::batch::CONFIG_UNKNOWN;
use everypath_protocol::id::{AgentId, MeshId};
use everypath_protocol::mesh_config::plan::endpoint_id;
use everypath_protocol::mesh_config::{self, MeshConfig};
use everypath_protocol::sign::Ed25519;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Agents whose version is remembered and waits to be written. Whoever is past it says it again with the next batch.
const TOLD_MAX: usize = 32_768;

/// The version in force.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Current {
    /// What is said of it; `None` before the first.
    pub info: Option<ConfigInfo>,
    /// Its contents.
    pub document: MeshConfig,
    /// As agents get it; `None` if there is nothing to give.
    text: Option<String>,
}

impl Current {
    /// Its number in the database; 0 before the first.
    pub fn version(&self) -> u64 {
        self.info.as_ref().map_or(0, |info| info.version)
    }

    /// The newest version of `store`. One that no agent would take is not given to any; what agents do by themselves is shown in
    /// its place.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn read(store: &Store, mesh: &Mesh) -> Result<Self, StoreError> {
        let Some(ConfigRow { info, signed }) = store.config(None).await? else {
            return Ok(Self { info: None, document: MeshConfig::usual(), text: None });
        };
        let text = mesh_config::to_text(&signed);
        match mesh.trust().open_config(signed, &Ed25519) {
            Ok(config) => Ok(Self { info: Some(info), document: config.document().clone(), text: Some(text) }),
            Err(why) => {
                let version = info.version;
                tracing::error!(version, %why, "the newest configuration of the mesh cannot be used, and agents are not told of it");
                Ok(Self { info: Some(info), document: MeshConfig::usual(), text: None })
            }
        }
    }

    /// Endpoints with their identity, in the order of the document.
    pub fn endpoints(&self, mesh: MeshId) -> impl Iterator<Item = (AgentId, &mesh_config::Endpoint)> {
        self.document.endpoints.iter().map(move |endpoint| (endpoint_id(&mesh, &endpoint.name), endpoint))
    }
}

/// What this process knows of it.
#[derive(Debug)]
pub struct Configs {
    current: Mutex<Arc<Current>>,
    told: Mutex<Told>,
}

#[derive(Debug, Default)]
struct Told {
    /// What each agent said last, so that only news are written.
    last: BTreeMap<AgentId, u64>,
    waiting: BTreeMap<AgentId, u64>,
}

impl Configs {
    /// With this version in force.
    pub fn new(current: Current) -> Self {
        Self { current: Mutex::new(Arc::new(current)), told: Mutex::default() }
    }

    /// The version in force.
    pub fn current(&self) -> Arc<Current> {
        Arc::clone(&self.current.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// An agent says that it runs `version`. Returns what is newer, as it is told.
    pub fn told(&self, agent: AgentId, version: u64) -> Option<String> {
        // It knows nothing of configurations: an older program.
        if version == CONFIG_UNKNOWN {
            return None;
        }
        {
            let mut told = self.told_state();
            if told.last.get(&agent) != Some(&version) && told.last.len() < TOLD_MAX {
                told.last.insert(agent, version);
                told.waiting.insert(agent, version);
            }
        }
        let current = self.current();
        if current.version() > version { current.text.clone() } else { None }
    }

    /// Asks the database whether there is another version, made by this or another process, and does what follows from it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn refresh(&self, app: &App) -> Result<(), StoreError> {
        if app.store.config_head().await? == self.current().version() {
            return Ok(());
        }
        let current = Arc::new(Current::read(&app.store, &app.mesh).await?);
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&current);
        app.metrics.config_version.set(i64::try_from(current.version()).unwrap_or(i64::MAX));
        app.hub.set_window(current.document.window()).await.map_err(|_| StoreError::Closed)?;
        app.refresh_agents().await
    }

    /// Writes what agents said since the last time.
    ///
    /// # Errors
    /// [`StoreError`]; they are asked again then.
    pub async fn keep_told(&self, app: &App) -> Result<(), StoreError> {
        let waiting = std::mem::take(&mut self.told_state().waiting);
        if waiting.is_empty() {
            return Ok(());
        }
        let kept =
            app.store.note_configs(waiting.iter().map(|(agent, version)| (*agent, *version)).collect(), app.now());
        let kept = kept.await;
        if kept.is_err() {
            let mut told = self.told_state();
            told.last.retain(|agent, _| !waiting.contains_key(agent));
        }
        kept
    }

    fn told_state(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
