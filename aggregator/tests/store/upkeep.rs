//! What goes because of its age, and what stays: settings and secrets.

use crate::common::{T0, block};
use crate::rungs::Place;
use crate::sums::rows;
use crate::world::{TARGET, World, any_window, event, numbers, roll_up_all, take_lease};
use aggregator::audit_log::Query;
use aggregator::store::{Keep, Lease, Store};
use aggregator_core::rollup::Level;
use aggregator_core::series::Source;
use everypath_protocol::block::{Block, Content};
use everypath_protocol::cell::CellState;
use everypath_protocol::id::AgentId;
use everypath_protocol::record::{CellFlip, DropReason, Record};
use everypath_protocol::time::{Span, UnixTime};
use everypath_protocol::window::ProbeKind;

const DAY: Span = Span::seconds(86_400);

fn days(count: u64) -> Span {
    Span::seconds(86_400 * count)
}

async fn maintain_all(store: &Store, lease: Lease, keep: Keep) -> u64 {
    let mut dropped = 0;
    for _ in 0..500 {
        let step = store.maintain(lease, keep, T0).await.expect("maintained");
        dropped += step.dropped;
        if !step.has_more {
            return dropped;
        }
    }
    panic!("it never ends");
}

/// `count` windows and a change of state, about `ago`.
fn about(seed: u64, count: u64, ago: Span) -> Vec<Record> {
    let time = T0.minus(ago);
    let flip = CellFlip { target: TARGET, kind: ProbeKind::Icmp, at: time, from: CellState::Ok, to: CellState::Down };
    let windows = (0..count).map(|number| {
        let mut window = any_window(seed << 8 | number, TARGET, Span::seconds(60));
        window.start = window.start.minus(ago);
        Record::Window(window)
    });
    windows.chain([Record::Flip(flip)]).collect()
}

async fn sums(store: &Store, source: AgentId, level: Level) -> Vec<UnixTime> {
    rows(store, source, Source::Rollup(level)).await.into_iter().map(|(time, _)| time).collect()
}

pub(crate) async fn what_is_old_goes_and_is_remembered(place: &Place) {
    let (store, world) = (place.open().await, World::new());
    let agent = world.agent(1);
    let lease = take_lease(&store, 1).await;
    for (first, ago) in [(1, days(300)), (7, days(100)), (13, Span::ZERO)] {
        let batch = world.batch(&agent, vec![block(1, first, about(first, 5, ago))]);
        store.ingest(batch).await.expect("in order");
    }
    roll_up_all(&store, lease).await;
    let everything =
        Keep { samples: days(399), minutes: days(399), hours: days(399), days: days(399), events: days(399) };
    maintain_all(&store, lease, everything).await;
    let streams = store.streams(agent.id()).await.expect("readable");
    assert_eq!((streams[0].rows.len(), streams[0].expired.0), (18, 0), "nothing is too old");
    // Samples for fifty days, minutes for two hundred, changes of state for ever.
    let keep = Keep { samples: days(50), minutes: days(200), ..everything };
    assert!(maintain_all(&store, lease, keep).await > 0);
    let streams = store.streams(agent.id()).await.expect("readable");
    let mut left = numbers(13..=18);
    left.insert(0, everypath_protocol::id::Seq(12));
    left.insert(0, everypath_protocol::id::Seq(6));
    assert_eq!(streams[0].rows, left, "changes of state stay");
    assert_eq!((streams[0].expired.0, streams[0].cursor.0, streams[0].expired_rows), (11, 18, Some(10)));
    let oldest = |times: Vec<UnixTime>| times.first().copied().expect("some are left");
    let minutes = sums(&store, agent.id(), Level::Minute).await;
    let limit = |span: Span| T0.minus(span);
    assert!(oldest(minutes) > limit(days(110)), "the minutes of three hundred days ago are gone");
    assert!(oldest(sums(&store, agent.id(), Level::Day).await) < limit(days(299)), "days stay");
    let keep = Keep { samples: DAY, minutes: DAY, hours: days(2), days: days(3), events: DAY };
    maintain_all(&store, lease, keep).await;
    let streams = store.streams(agent.id()).await.expect("readable");
    assert_eq!((streams[0].rows.clone(), streams[0].expired.0), (numbers(13..=18), 12));
    assert!(
        oldest(sums(&store, agent.id(), Level::Day).await) > limit(days(32)),
        "whole months go, where they are pieces"
    );
    // What comes late and is too old is stored, and goes again.
    store.ingest(world.batch(&agent, vec![block(1, 19, about(9, 2, days(100)))])).await.expect("in order");
    roll_up_all(&store, lease).await;
    maintain_all(&store, lease, keep).await;
    let streams = store.streams(agent.id()).await.expect("readable");
    assert_eq!((streams[0].rows.clone(), streams[0].cursor.0), (numbers(13..=18), 21));
    assert_eq!((streams[0].expired.0, streams[0].expired_rows), (21, Some(15)));
    store.close().await;
}

/// On SQLite the number of a deleted block was given out again when nothing newer was there. The sums had gone past that
/// number, so what came after a week without agents, or after a backlog that was too old, was in no sum for ever.
pub(crate) async fn what_comes_after_everything_was_deleted_is_summed(place: &Place) {
    let (store, world) = (place.open().await, World::new());
    let (agent, lease) = (world.agent(1), take_lease(&store, 1).await);
    let keep = Keep { samples: days(7), minutes: days(90), hours: days(700), days: days(3_000), events: days(300) };
    for first in (1..=60).step_by(6) {
        store.ingest(world.batch(&agent, vec![block(1, first, about(first, 5, days(8)))])).await.expect("in order");
    }
    assert_eq!(roll_up_all(&store, lease).await.samples, 50);
    maintain_all(&store, lease, keep).await;
    for first in (61..=120).step_by(6) {
        store.ingest(world.batch(&agent, vec![block(1, first, about(first, 5, Span::ZERO))])).await.expect("in order");
    }
    assert_eq!(roll_up_all(&store, lease).await.samples, 50);
    let minutes = rows(&store, agent.id(), Source::Rollup(Level::Minute)).await;
    assert_eq!(minutes.iter().map(|(_, bucket)| bucket.windows).sum::<u64>(), 100);
    store.close().await;
}

pub(crate) async fn accounts_of_small_blocks_are_joined(place: &Place) {
    let (store, world) = (place.open().await, World::new());
    let (agent, lease) = (world.agent(1), take_lease(&store, 1).await);
    let mut records = about(1, 99, Span::ZERO);
    let dead = Block { content: Content::Dropped { count: 7, reason: DropReason::DiskSlow }, ..block(1, 51, vec![]) };
    for first in (1..=100).filter(|number| !(51..=57).contains(number)) {
        if first == 58 {
            store.ingest(world.batch(&agent, vec![dead.clone()])).await.expect("in order");
        }
        let record = records.remove(0);
        store.ingest(world.batch(&agent, vec![block(1, first, vec![record])])).await.expect("in order");
    }
    roll_up_all(&store, lease).await;
    let before = store.streams(agent.id()).await.expect("readable");
    assert_eq!(before[0].blocks.len(), 94);
    let keep = Keep { samples: DAY, minutes: DAY, hours: DAY, days: DAY, events: DAY };
    let later = T0.plus(Span::seconds(2 * 3_600));
    store.maintain(lease, keep, T0).await.expect("maintained");
    assert_eq!(store.streams(agent.id()).await.expect("readable"), before, "nothing is old");
    for _ in 0..8 {
        store.maintain(lease, keep, later).await.expect("maintained");
    }
    let after = store.streams(agent.id()).await.expect("readable");
    assert_eq!((&after[0].rows, &after[0].tombstones), (&before[0].rows, &before[0].tombstones));
    let blocks: Vec<_> = after[0].blocks.iter().map(|(first, last, rows)| (first.0, last.0, *rows)).collect();
    assert_eq!(blocks, [(1, 50, 50), (51, 57, 0), (58, 100, 43)]);
    store.close().await;
}

pub(crate) async fn settings_have_versions(place: &Place) {
    let store = place.open().await;
    assert_eq!(store.setting("keep").await.expect("readable"), None);
    let put =
        |value: &str, version| store.put_setting("keep", value.to_owned(), version, T0, Some(event("setting.change")));
    assert!(!put("{}", 3).await.expect("answered"), "there is none to change");
    assert!(put("{\"a\":1}", 0).await.expect("answered"));
    assert!(!put("{\"a\":2}", 0).await.expect("answered"), "somebody was first");
    let (value, version) = store.setting("keep").await.expect("readable").expect("there");
    assert_eq!(value, "{\"a\":1}");
    let both = futures::future::join_all([put("{\"a\":3}", version), put("{\"a\":4}", version)]).await;
    assert_eq!(both.iter().filter(|done| matches!(done, Ok(true))).count(), 1, "{both:?}");
    let (_, newer) = store.setting("keep").await.expect("readable").expect("there");
    assert!(newer > version);
    for other in [version, -1, i64::MIN, i64::MAX] {
        assert!(!put("{}", other).await.expect("answered"));
    }
    let logged = store.log_entries(Query::newest(9)).await.expect("readable");
    assert_eq!(logged.len(), 2, "what was done is logged, and what was refused is not");
    store.close().await;
}

pub(crate) async fn the_first_secret_stays(place: &Place) {
    let store = place.open().await;
    assert_eq!(store.stored_secret("key").await.expect("readable"), None);
    let many = futures::future::join_all((0..8_u8).map(|number| store.secret("key", vec![number; 3]))).await;
    let many: Vec<Vec<u8>> = many.into_iter().map(|kept| kept.expect("kept")).collect();
    assert!(many.iter().all(|kept| *kept == many[0]));
    assert_eq!(store.secret("key", vec![9]).await.expect("kept"), many[0]);
    assert_eq!(store.stored_secret("key").await.expect("readable"), Some(many[0].clone()));
    store.close().await;
}

pub(crate) async fn a_store_says_what_it_is(place: &Place) {
    let (store, world) = (place.open().await, World::new());
    store.ingest(world.batch(&world.agent(1), vec![block(1, 1, about(1, 40, Span::ZERO))])).await.expect("in order");
    let description = store.describe().await.expect("described");
    assert_eq!(description.rung, place.rung());
    assert!(description.schema >= 1 && !description.version.is_empty());
    assert_eq!(description.behind.unwrap_or(40), 40);
    assert!(
        description.tables.iter().any(|(name, _, bytes)| name.starts_with("sample") && *bytes > 0),
        "{description:?}"
    );
    store.close().await;
}
