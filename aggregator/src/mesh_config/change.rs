//! Making a version: what it would change and cost, its number, its signature.

use super::Current;
use super::diff::{Change, changes};
use super::nobody;
use crate::audit_log::Event;
use crate::mesh::Mesh;
use crate::store::{AgentRow, ConfigInfo, ConfigRow, Store, StoreError};
use everypath_protocol::mesh_config::plan::Cost;
use everypath_protocol::mesh_config::{Fault, MeshConfig, Subject};
use serde_json::json;

/// Longest text of why, in bytes; the column takes no more.
pub const WHY_BYTES_MAX: usize = 256;
/// What an agent says that it runs counts for the number of the next version only up to this far above the database: it may lie.
/// A database that came back from a backup lacks fewer versions than this.
pub const CLAIM_AHEAD_MAX: u64 = 1_000;

/// A version that could be made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proposal {
    /// The newest version when this was looked at; 0 if there was none.
    pub base: u64,
    /// Its contents, with the number that it would get.
    pub document: MeshConfig,
    /// What it changes.
    pub changes: Vec<Change>,
    /// What the mesh costs as it is.
    pub cost_before: Cost,
    /// What it would cost.
    pub cost_after: Cost,
    /// Names in it that fit no agent there is.
    pub nobody: Vec<Fault>,
}

/// Why a version was not made.
#[derive(Debug, thiserror::Error)]
pub enum NotMade {
    /// Somebody else made one meanwhile.
    #[error("somebody else changed the configuration meanwhile")]
    Conflict,
    /// The key is not here.
    #[error(
        "the key that signs configurations is not here: it was taken away to be kept elsewhere, or this mesh was founded without it; \
         put `keys/config.key` back into the data directory, or apply the file where the key is"
    )]
    NoKey,
    /// See there.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The agents as `config` sees them.
fn subjects<'a>(agents: &'a [AgentRow], config: &'a MeshConfig) -> Vec<Subject<'a>> {
    agents.iter().map(|agent| config.subject(agent.id, &agent.name, &agent.site)).collect()
}

/// Looks at what `document` would change, in a mesh of the members that `store` knows.
///
/// # Errors
/// [`StoreError`].
pub async fn propose(store: &Store, mesh: &Mesh, document: MeshConfig) -> Result<Proposal, StoreError> {
    let current = Current::read(store, mesh).await?;
    let (base, agents) = (current.version(), store.agents().await?);
    let claimed = store.configs_told().await?.into_iter().map(|told| told.version);
    let highest = claimed.filter(|version| *version <= base.saturating_add(CLAIM_AHEAD_MAX)).max();
    let version = base.max(highest.unwrap_or(0)).saturating_add(1);
    Ok(Proposal {
        base,
        changes: changes(&current.document, &document),
        cost_before: current.document.cost(&mesh.id(), &subjects(&agents, &current.document)),
        cost_after: document.cost(&mesh.id(), &subjects(&agents, &document)),
        nobody: nobody::named(&document, &subjects(&agents, &document)),
        document: MeshConfig { version, ..document },
    })
}

/// What is said of a version that is made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reason {
    /// In words, at most [`WHY_BYTES_MAX`].
    pub why: String,
    /// The version whose contents it has again.
    pub copy_of: Option<u64>,
}

/// Makes it, if nobody made another one since it was proposed. Returns what is said of it.
///
/// # Errors
/// [`NotMade`].
pub async fn make(
    store: &Store,
    mesh: &Mesh,
    proposal: Proposal,
    reason: Reason,
    event: Event,
) -> Result<ConfigInfo, NotMade> {
    let Proposal { base, mut document, changes, .. } = proposal;
    document.made = event.at;
    let version = document.version;
    let signed = mesh.sign_config(document).ok_or(NotMade::NoKey)?.signed().clone();
    let Reason { why, copy_of } = reason;
    let info = ConfigInfo {
        version,
        made_at: event.at,
        actor: event.actor.clone(),
        actor_kind: event.kind.name().to_owned(),
        why,
        copy_of,
    };
    let paths: Vec<&str> = changes.iter().take(PATHS_LOGGED_MAX).map(|change| change.path.as_str()).collect();
    let detail = json!({"changes": changes.len(), "first": paths, "why": info.why, "copy_of": copy_of});
    let event = event.detail(&detail);
    if store.put_config(ConfigRow { info: info.clone(), signed }, base, event).await? {
        Ok(info)
    } else {
        Err(NotMade::Conflict)
    }
}

/// Places of changes that the audit log names; the version itself says all.
const PATHS_LOGGED_MAX: usize = 8;
