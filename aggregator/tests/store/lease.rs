//! Who may do what only one may do.

use crate::common::block;
use crate::rungs::Place;
use crate::world::{LONG, TARGET, World, any_windows, records, roll_up_all};
use aggregator::store::{Keep, ReplicaId, StoreError};
use aggregator_core::rollup::Level;
use aggregator_core::series::Source;
use everypath_protocol::time::{Span, UnixTime};
use std::time::Duration;

pub(crate) const ONE: ReplicaId = ReplicaId(-1);
pub(crate) const TWO: ReplicaId = ReplicaId(i64::MAX);

pub(crate) async fn a_lease_is_held_by_one(place: &Place) {
    let store = place.open().await;
    let ask = |role, holder, life| store.lease(role, holder, life);
    let first = ask("jobs", ONE, LONG).await.expect("answered").expect("free");
    assert_eq!((first.role, first.holder), ("jobs", ONE));
    assert_eq!(ask("jobs", TWO, LONG).await.expect("answered"), None);
    assert!(ask("other", TWO, LONG).await.expect("answered").is_some(), "another role is another matter");
    assert_eq!(ask("jobs", ONE, LONG).await.expect("answered"), Some(first), "renewed, the term stays");
    store.release(first).await.expect("given back");
    let second = ask("jobs", TWO, Span::millis(1)).await.expect("answered").expect("free again");
    assert!(second.term > first.term);
    store.release(first).await.expect("an old lease releases nothing");
    tokio::time::sleep(Duration::from_millis(20)).await;
    let third = ask("jobs", ONE, LONG).await.expect("answered").expect("the other's has ended");
    assert!(third.term > second.term);
    assert_eq!(ask("jobs", TWO, LONG).await.expect("answered"), None);
    let many = futures::future::join_all((10..30).map(|number| ask("race", ReplicaId(number), LONG))).await;
    let won = many.into_iter().filter(|lease| matches!(lease, Ok(Some(_)))).count();
    assert_eq!(won, 1);
    store.close().await;
}

pub(crate) async fn who_lost_the_lease_does_nothing(place: &Place) {
    let (store, world) = (place.open().await, World::new());
    let agent = world.agent(1);
    let windows = any_windows(5, 50, TARGET, Span::seconds(600));
    store.ingest(world.batch(&agent, vec![block(1, 1, records(&windows))])).await.expect("in order");
    let old = store.lease("jobs", ONE, Span::millis(1)).await.expect("answered").expect("free");
    tokio::time::sleep(Duration::from_millis(20)).await;
    let ended = store.roll_up(old).await;
    assert!(matches!(ended, Err(StoreError::LeaseLost)), "ended, though nobody took it: {ended:?}");
    let new = store.lease("jobs", TWO, LONG).await.expect("answered").expect("ended");
    assert!(matches!(store.roll_up(old).await, Err(StoreError::LeaseLost)));
    let day = Span::seconds(86_400);
    let keep = Keep { samples: day, minutes: day, hours: day, days: day, events: day };
    let maintained = store.maintain(old, keep, UnixTime(i64::MAX / 4)).await;
    assert!(matches!(maintained, Err(StoreError::LeaseLost)), "{maintained:?}");
    assert_eq!(store.streams(agent.id()).await.expect("readable")[0].rows.len(), 50);
    assert_eq!(roll_up_all(&store, new).await.samples, 50);
    let days = crate::sums::rows(&store, agent.id(), Source::Rollup(Level::Day)).await;
    assert_eq!(days.iter().map(|(_, sum)| sum.windows).sum::<u64>(), 50, "nothing was added on the way");
    store.close().await;
}
