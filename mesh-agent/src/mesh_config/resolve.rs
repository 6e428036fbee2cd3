//! Looking up where endpoints are.

use crate::metrics::Metrics;
use everypath_protocol::id::AgentId;
use everypath_protocol::mesh_config::address_fault;
use futures::stream::{self, StreamExt as _};
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
/// Names that are looked up at the same time.
const LOOKUPS_MAX: usize = 8;

/// Looks up what is wished for until the driver is gone. An answer that does not come leaves the last address in force: a name
/// server that is away must not stop what is measured, nor keep what needs none from being measured. A name that is known to lead
/// nowhere does.
pub async fn resolve(wishes: watch::Receiver<Vec<EndpointWish>>, inputs: mpsc::Sender<Input>, metrics: Metrics) {
    resolve_by(look_up, wishes, inputs, metrics).await;
}

async fn resolve_by<F: Future<Output = Answer>>(
    look_up: impl Fn(String) -> F,
    mut wishes: watch::Receiver<Vec<EndpointWish>>,
    inputs: mpsc::Sender<Input>,
    metrics: Metrics,
) {
    let mut known: BTreeMap<AgentId, (String, Option<IpAddr>)> = BTreeMap::new();
    loop {
        let mut wanted = wishes.borrow_and_update().clone();
        // What is an address already is there at once.
        wanted.sort_by_key(|wish| wish.address.parse::<IpAddr>().is_err());
        known.retain(|id, (address, _)| wanted.iter().any(|wish| wish.endpoint == *id && wish.address == *address));
        let looked = wanted.into_iter().map(|EndpointWish { endpoint, address }| {
            let answer = look_up(address.clone());
            async move { (endpoint, address, answer.await) }
        });
        let mut answers = stream::iter(looked).buffer_unordered(LOOKUPS_MAX);
        loop {
            let (endpoint, address, answer) = tokio::select! {
                answer = answers.next() => match answer {
                    Some(answer) => answer,
                    None => break,
                },
                changed = wishes.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    wishes.mark_changed();
                    break;
                }
            };
            let before = known.get(&endpoint).map(|(_, found)| *found);
            let found = match answer {
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
        drop(answers);
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

async fn look_up(address: String) -> Answer {
    if let Ok(ip) = address.parse() {
        return Answer::Found(ip);
    }
    let looked = tokio::net::lookup_host((address.as_str(), 0));
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::future;

    fn wish(number: u8, address: &str) -> EndpointWish {
        EndpointWish { endpoint: AgentId([number; 32]), address: address.to_owned() }
    }

    async fn answered(address: String) -> Answer {
        match address.parse() {
            Ok(ip) => Answer::Found(ip),
            Err(_) => future::pending().await,
        }
    }

    /// Names were looked up one after the other, and what needed none came when they had all been given up.
    #[tokio::test]
    async fn names_that_nobody_answers_hold_up_no_address_and_no_new_wish() {
        let mut wanted: Vec<EndpointWish> = (10..30).map(|number| wish(number, "nobody.example")).collect();
        wanted.push(wish(7, "192.0.2.7"));
        let (sender, wishes) = watch::channel(wanted);
        let (inputs, mut told) = mpsc::channel(8);
        let task = tokio::spawn(resolve_by(answered, wishes, inputs, Metrics::default()));
        let mut next = async || match told.recv().await {
            Some(Input::Resolved { endpoint, address }) => (endpoint.0[0], address),
            other => panic!("{other:?}"),
        };
        assert_eq!(next().await, (7, "192.0.2.7".parse().ok()));
        sender.send(vec![wish(10, "nobody.example"), wish(8, "192.0.2.8")]).expect("it listens");
        assert_eq!(next().await, (8, "192.0.2.8".parse().ok()));
        task.abort();
    }
}
