//! Targets that nobody introduced: stored up to a limit for each member, so that none fills the database with keys that it made up.

use crate::common::{T0, TestAgent, block, window};
use crate::rungs::Place;
use crate::world::{TARGET, World};
use aggregator::store::{IngestError, Ingested, Store, UNKNOWN_TARGETS_MAX};
use everypath_protocol::id::AgentId;

/// Somebody whom nobody knows.
fn stranger(number: u64) -> AgentId {
    let mut key = [0x5a; 32];
    key[..8].copy_from_slice(&number.to_be_bytes());
    AgentId(key)
}

async fn name(
    (store, world): (&Store, &World),
    agent: &TestAgent,
    first: u64,
    targets: impl Iterator<Item = AgentId>,
) -> Result<Ingested, IngestError> {
    let records: Vec<_> = targets.map(|target| window(target, T0, Some(5))).collect();
    let mut next = first;
    let blocks = records.chunks(256).map(|records| {
        let made = block(1, next, records.to_vec());
        next += records.len() as u64;
        made
    });
    store.ingest(world.batch(agent, blocks.collect())).await
}

pub(crate) async fn nobody_fills_the_database_with_made_up_targets(place: &Place) {
    let (store, world) = (place.open().await, World::new());
    let (liar, honest) = (world.agent(1), world.agent(2));
    let on = (&store, &world);
    let most = UNKNOWN_TARGETS_MAX;
    let refused = name(on, &liar, 1, (0..=most).map(stranger)).await;
    assert!(matches!(refused, Err(IngestError::UnknownTargets)), "{refused:?}");
    assert_eq!(name(on, &liar, 1, (0..most).map(stranger)).await.expect("as many as may be").rows, most);
    let refused = name(on, &liar, most + 1, [TARGET, stranger(most)].into_iter()).await;
    assert!(matches!(refused, Err(IngestError::UnknownTargets)), "{refused:?}");
    assert_eq!(
        name(on, &honest, 1, [stranger(most), stranger(0), liar.id()].into_iter()).await.expect("stored").rows,
        3
    );
    // About whom somebody else introduced everything is stored, and what was stored is acknowledged again.
    let known = [honest.id(), stranger(most), stranger(7)];
    assert_eq!(name(on, &liar, most + 1, known.into_iter()).await.expect("known by now").rows, 3);
    assert!(name(on, &liar, 1, (0..most).map(stranger)).await.expect("again").duplicate);
    // Who was a stranger and joined is none any more.
    let late = world.agent(3);
    name(on, &honest, 4, [late.id()].into_iter()).await.expect("stored");
    name(on, &late, 1, [honest.id()].into_iter()).await.expect("a member by now");
    assert_eq!(store.agents().await.expect("readable").len(), 3);
    store.close().await;
}
