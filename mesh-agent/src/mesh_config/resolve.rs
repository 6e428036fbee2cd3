//! Looking up where endpoints are.

use crate::metrics::Metrics;
use everypath_protocol::id::AgentId;
use everypath_protocol::mesh_config::address_fault;
use mesh_agent_core::Input;
use mesh_agent_core::effect::EndpointWish;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// A name is looked up this often.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// A name server that says nothing for this long says nothing.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Looks up what is wished for until the driver is gone. An answer that does not come leaves the last address in force: a name
/// server that is away must not stop what is measured. A name that is known to lead nowhere does.
pub async fn resolve(mut wishes: watch::Receiver<Vec<EndpointWish>>, inputs: mpsc::Sender<Input>, metrics: Metrics) {
    let mut known: BTreeMap<AgentId, (String, Option<IpAddr>)> = BTreeMap::new();
    loop {
        let wanted = wishes.borrow_and_update().clone();
        known.retain(|id, (address, _)| wanted.iter().any(|wish| wish.endpoint == *id && wish.address == *address));
        for EndpointWish { endpoint, address } in wanted {
            let before = known.get(&endpoint).map(|(_, found)| *found);
            let found = match look_up(&address).await {
                Answer::Found(ip) => Some(ip),
                Answer::Nowhere(why) => {
                    if before.is_none_or(|before| before.is_some()) {
                        tracing::warn!(address, why, "an endpoint cannot be found and is not measured");
                    }
                    None
                }
                Answer::None => before.flatten(),
            };
            known.insert(endpoint, (address, found));
            if before != Some(found) && inputs.send(Input::Resolved { endpoint, address: found }).await.is_err() {
                return;
            }
        }
        let missing = known.values().filter(|(_, found)| found.is_none()).count();
        metrics.configs.not_found.set(i64::try_from(missing).unwrap_or(i64::MAX));
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            changed = wishes.changed() => {
                if changed.is_err() {
                    return;
                }
            }
        }
    }
}

enum Answer {
    Found(IpAddr),
    Nowhere(String),
    /// Nobody answered.
    None,
}

async fn look_up(address: &str) -> Answer {
    if let Ok(ip) = address.parse() {
        return Answer::Found(ip);
    }
    let looked = tokio::net::lookup_host((address, 0));
    match tokio::time::timeout(ANSWER_MAX, looked).await {
        // The system sorts them by what it can reach (RFC 6724). A name must not lead where an address may not.
        Ok(Ok(found)) => {
            let usable = |ip: &IpAddr| address_fault(&ip.to_string()).is_none();
            let first = found.map(|socket| socket.ip()).find(usable);
            first.map_or_else(|| Answer::Nowhere("it leads to no address that is measured".to_owned()), Answer::Found)
        }
        Ok(Err(why)) => Answer::Nowhere(why.to_string()),
        Err(_) => Answer::None,
    }
}
