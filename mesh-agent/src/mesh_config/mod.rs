//! The mesh's configuration on its way into the agent: checked, kept on disk, then used. Also at the start, from the disk.

mod resolve;
mod start;

pub use resolve::resolve;
pub use start::start;

use crate::metrics::Metrics;
use crate::store::{Store, StoredConfig};
use crate::trust::SharedTrust;
use everypath_protocol::mesh_config::{self, MeshConfig, Ratchet};
use everypath_protocol::sign::{Ed25519, Refused, Signed, Verified};
use mesh_agent_core::Input;
use mesh_agent_core::effect::EndpointWish;
use std::collections::BTreeSet;
use tokio::sync::{mpsc, watch};

/// Documents that wait to be looked at; one more is dropped, and comes again with the next answer.
pub const OFFERS_MAX: usize = 2;
/// Inputs that wait for the driver; whoever has more waits.
pub const INPUTS_MAX: usize = 64;
/// Reasons of refusals that are remembered as told; whoever makes up more is counted, and not told of.
const TOLD_MAX: usize = 64;

/// Why a document is not used. None of them changes anything.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, thiserror::Error)]
pub enum NotUsed {
    /// It is too long, or no signed document at all.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// The delegation names no such config key.
    #[error("it is signed by the key {0}, which may not sign configurations of this mesh")]
    WrongKey(String),
    /// See [`Refused`].
    #[error("{0}")]
    Forged(String),
    /// It was signed by the right key, and cannot be used.
    #[error("it is signed and wrong: {0}")]
    Faulty(String),
    /// A newer one was there before.
    #[error("its version {offered} is not above {taken}, which was taken before")]
    Older {
        /// Of the document.
        offered: u64,
        /// Of the ratchet.
        taken: u64,
    },
}

impl NotUsed {
    /// The label of the metric.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "unreadable",
            Self::WrongKey(_) => "wrong_key",
            Self::Forged(_) => "forged",
            Self::Faulty(_) => "faulty",
            Self::Older { .. } => "older",
        }
    }
}

/// The uplink's end: what runs, and where to put what is newer.
#[derive(Clone, Debug)]
pub struct ConfigLink {
    /// Version that is in force.
    pub running: watch::Receiver<u64>,
    /// Texts out of answers.
    pub offers: mpsc::Sender<String>,
}

/// The driver's end.
#[derive(Debug)]
pub struct Settings {
    /// Version that is in force.
    pub running: watch::Sender<u64>,
    /// What is to be looked up.
    pub wishes: watch::Sender<Vec<EndpointWish>>,
    /// To the uplink: a check-in is due.
    pub check_ins: mpsc::Sender<()>,
}

/// Checks documents and keeps the newest.
#[derive(Debug)]
pub struct Keeper {
    trust: SharedTrust,
    store: Store,
    ratchet: Ratchet,
    newest: u64,
    told: BTreeSet<NotUsed>,
    metrics: Metrics,
}

impl Keeper {
    /// Nothing is in force yet; `ratchet` is from the disk.
    pub const fn new(trust: SharedTrust, store: Store, ratchet: Ratchet, metrics: Metrics) -> Self {
        Self { trust, store, ratchet, newest: 0, told: BTreeSet::new(), metrics }
    }

    /// The one that was in force when the agent ended. It is checked again, because the file may have been changed and the mesh
    /// may have other keys by now; only its version counts as taken already.
    pub fn resume(&mut self, kept: Signed) -> Option<Verified<MeshConfig>> {
        match self.open(kept) {
            Ok(config) => {
                self.newest = config.document().version;
                tracing::info!(config.version = self.newest, "the mesh's configuration is the one of before");
                Some(config)
            }
            Err(why) => {
                self.refuse(why);
                None
            }
        }
    }

    /// Serves until the driver or all uplinks are gone.
    pub async fn serve(mut self, mut offers: mpsc::Receiver<String>, inputs: mpsc::Sender<Input>) {
        while let Some(text) = offers.recv().await {
            let config = match self.judge(&text) {
                Ok(Some((config, ratchet))) => {
                    let kept = StoredConfig { document: config.signed().clone(), ratchet: ratchet.clone() };
                    // On disk first: what was used once must never give way to something older, whatever happens to the power.
                    if self.store.save_config(kept).await.is_err() {
                        return;
                    }
                    (self.ratchet, self.newest) = (ratchet, config.document().version);
                    self.told.clear();
                    config
                }
                Ok(None) => continue,
                Err(why) => {
                    self.refuse(why);
                    continue;
                }
            };
            tracing::info!(config.version = self.newest, "another configuration of the mesh is in force");
            if inputs.send(Input::Configured(Box::new(config))).await.is_err() {
                return;
            }
        }
    }

    /// `None` for the one that is in force already: two answers may bring it.
    fn judge(&self, text: &str) -> Result<Option<(Verified<MeshConfig>, Ratchet)>, NotUsed> {
        let signed = mesh_config::from_text(text).map_err(|why| NotUsed::Unreadable(why.to_string()))?;
        let config = self.open(signed)?;
        let (author, version) = (config.author(), config.document().version);
        if version == self.newest {
            return Ok(None);
        }
        let mut ratchet = self.ratchet.clone();
        let trust = self.trust.current();
        match ratchet.take(author, version, trust.delegation().document()) {
            Ok(()) => Ok(Some((config, ratchet))),
            Err(taken) => Err(NotUsed::Older { offered: version, taken: taken.version }),
        }
    }

    fn open(&self, signed: Signed) -> Result<Verified<MeshConfig>, NotUsed> {
        let trust = self.trust.current();
        let (author, body) = (signed.author, signed.body.clone());
        if !trust.delegation().document().config.contains(&author) {
            return Err(NotUsed::WrongKey(author.short()));
        }
        trust.open_config(signed, &Ed25519).map_err(|why| match why {
            // Its author may sign, so it is for what is in it.
            Refused::NotAllowed => NotUsed::Faulty(faults(&body)),
            Refused::Unreadable(why) => NotUsed::Unreadable(why.to_string()),
            Refused::OtherMesh | Refused::BadSignature => NotUsed::Forged(why.to_string()),
        })
    }

    fn refuse(&mut self, why: NotUsed) {
        self.metrics.configs.refused.with_label_values(&[why.name()]).inc();
        if self.told.len() < TOLD_MAX && self.told.insert(why.clone()) {
            tracing::warn!(
                kind = why.name(),
                "a configuration of the mesh is not used: {why}. What was in force stays in force"
            );
        }
    }
}

fn faults(body: &[u8]) -> String {
    use everypath_protocol::sign::Document as _;
    let document = everypath_protocol::codec::decode::<MeshConfig>(body, MeshConfig::BYTES_MAX);
    let faults = document.map(|document| document.faults()).unwrap_or_default();
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests;
