//! Putting it together when the agent starts.

use super::{ConfigLink, Keeper, OFFERS_MAX, Settings, resolve};
use crate::metrics::Metrics;
use crate::store::{Opened, Store};
use crate::trust::SharedTrust;
use mesh_agent_core::Input;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// Brings the configuration of before to the driver, and starts what takes newer ones in and looks names up. Returns the ends of
/// the driver and of the uplink, and the check-ins that are asked of the latter.
pub fn start(
    trust: &SharedTrust,
    store: &Store,
    opened: &Opened,
    inputs: &mpsc::Sender<Input>,
    metrics: &Metrics,
    tasks: &mut JoinSet<()>,
) -> (Settings, ConfigLink, mpsc::Receiver<()>) {
    let (ratchet, document) =
        opened.config.clone().map_or_else(Default::default, |kept| (kept.ratchet, Some(kept.document)));
    let mut keeper = Keeper::new(trust.clone(), store.clone(), ratchet, metrics.clone());
    if let Some(config) = document.and_then(|document| keeper.resume(document)) {
        // The queue is empty, so there is room.
        let _ = inputs.try_send(Input::Configured(Box::new(config)));
    }
    let (offers, offered) = mpsc::channel(OFFERS_MAX);
    let (running, running_seen) = watch::channel(0);
    let (wishes, wishes_seen) = watch::channel(Vec::new());
    let (check_ins, asked) = mpsc::channel(1);
    tasks.spawn(keeper.serve(offered, inputs.clone()));
    tasks.spawn(resolve(wishes_seen, inputs.clone(), metrics.clone()));
    (Settings { running, wishes, check_ins }, ConfigLink { running: running_seen, offers }, asked)
}
