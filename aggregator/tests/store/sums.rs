//! The sums of a minute, an hour and a day.

use crate::common::{T0, block};
use crate::rungs::Place;
use crate::world::{TARGET, World, always, any_windows, records, roll_up_all, take_lease};
use aggregator::store::{SeriesQuery, Store};
use aggregator_core::rollup::{Additions, Bucket, Level, PairKey};
use aggregator_core::series::{Question, Source};
use everypath_protocol::id::AgentId;
use everypath_protocol::time::{Span, UnixTime};
use everypath_protocol::window::{ProbeKind, Window};
use std::collections::BTreeMap;

/// Minutes in the last hours, and some a year ago.
const NEAR: Span = Span::seconds(3 * 3_600);
const FAR: Span = Span::seconds(390 * 86_400);

/// Steps as long as the buckets of `table`, or no longer than a moment.
pub(crate) fn every_row(source: AgentId, table: Source) -> SeriesQuery {
    let (from, to) = always();
    let step = match table {
        Source::Samples => Span::micros(1),
        Source::Rollup(level) => level.span(),
    };
    SeriesQuery { source, target: TARGET, kind: ProbeKind::Icmp, question: Question { from, to, step } }
}

/// All that a table says of a pair, when everything is summed.
pub(crate) async fn rows(store: &Store, source: AgentId, table: Source) -> Vec<(UnixTime, Bucket)> {
    let answer = store.series(every_row(source, table)).await.expect("readable");
    assert_eq!(answer.sources, [table], "everything is summed");
    answer.points
}

/// What the core says of the same windows.
fn expected(windows: &[Window]) -> Additions {
    let mut additions = Additions::default();
    let pair = PairKey { source: 1, target: 2, kind: ProbeKind::Icmp };
    windows.iter().for_each(|window| additions.add(pair, window.start, window));
    additions
}

async fn assert_sums(store: &Store, source: AgentId, windows: &[Window]) {
    let expected = expected(windows);
    for level in Level::ALL {
        let of_level = expected.buckets.iter().filter(|((of, ..), _)| *of == level);
        let wanted: Vec<_> = of_level.map(|((.., time), bucket)| (*time, bucket.clone())).collect();
        assert_eq!(rows(store, source, Source::Rollup(level)).await, wanted, "{level:?}");
    }
}

pub(crate) async fn sums_are_those_of_the_samples(place: &Place) {
    let (store, world) = (place.open().await, World::new());
    let agent = world.agent(1);
    let mut windows = any_windows(1, 700, TARGET, NEAR);
    windows.extend(any_windows(2, 60, TARGET, FAR));
    let (small, large) = (windows.len(), 1_500);
    // So many at once that a server takes them another way.
    windows.extend(any_windows(3, large, TARGET, NEAR));
    let lease = take_lease(&store, 1).await;
    // Far and near, early and late, in several batches with a step of the job after each.
    let mut first = 1;
    for part in windows[..small].chunks(300).chain([&windows[small..]]) {
        store.ingest(world.batch(&agent, vec![block(1, first, records(part))])).await.expect("in order");
        first += part.len() as u64;
        roll_up_all(&store, lease).await;
        assert_sums(&store, agent.id(), &windows[..usize::try_from(first - 1).expect("small")]).await;
    }
    let samples = rows(&store, agent.id(), Source::Samples).await;
    let mut wanted: BTreeMap<UnixTime, Bucket> = BTreeMap::new();
    for window in &windows {
        wanted.entry(window.start).or_default().merge(&Bucket::of(window));
    }
    assert_eq!(samples, wanted.into_iter().collect::<Vec<_>>());
    // A part of it: the first moment is in, the last is not.
    let mut query = every_row(agent.id(), Source::Samples);
    (query.question.from, query.question.to) = (samples[700].0, samples[720].0);
    let part = store.series(query).await.expect("readable");
    assert_eq!(part.points, samples[700..720]);
    let nobody = SeriesQuery { source: AgentId([1; 32]), ..query };
    assert_eq!(store.series(nobody).await.expect("readable").points, []);
    store.close().await;
}

pub(crate) async fn nothing_is_added_twice(place: &Place) {
    let (store, world) = (place.open().await, World::new());
    let lease = take_lease(&store, 1).await;
    let agents: Vec<_> = (1..=4).map(|number| world.agent(number)).collect();
    let windows: Vec<_> = (1..=4).map(|seed| any_windows(seed, 240, TARGET, NEAR)).collect();
    // Batches come twice, and steps run at the same time as batches and as each other.
    let ingest = async {
        for round in 0..6 {
            let batches = agents.iter().zip(&windows).flat_map(|(agent, windows)| {
                let part = &windows[round * 40..(round + 1) * 40];
                let batch = world.batch(agent, vec![block(1, round as u64 * 40 + 1, records(part))]);
                [store.ingest(batch.clone()), store.ingest(batch)]
            });
            for result in futures::future::join_all(batches).await {
                result.expect("in order");
            }
        }
    };
    let steps = async || {
        for _ in 0..20 {
            store.roll_up(lease).await.expect("rolled up");
            tokio::task::yield_now().await;
        }
    };
    tokio::join!(ingest, steps(), steps());
    roll_up_all(&store, lease).await;
    for (agent, windows) in agents.iter().zip(&windows) {
        assert_sums(&store, agent.id(), windows).await;
    }
    let again = store.roll_up(lease).await.expect("nothing to do");
    assert_eq!((again.samples, again.buckets, again.has_more), (0, 0, false));
    store.close().await;
}

/// The border was assumed to be ten minutes ago: when the sums stood still, everything since was missing in between.
pub(crate) async fn what_is_not_summed_yet_is_added(place: &Place) {
    let (store, world) = (place.open().await, World::new());
    let (agent, lease) = (world.agent(1), take_lease(&store, 1).await);
    let windows = any_windows(4, 400, TARGET, Span::seconds(20 * 3_600));
    let sent = |windows: &[Window]| windows.iter().map(|window| u64::from(window.sent)).sum::<u64>();
    for (first, part) in (1_u64..).step_by(100).zip(windows.chunks(100)) {
        store.ingest(world.batch(&agent, vec![block(1, first, records(part))])).await.expect("in order");
        let so_far = &windows[..usize::try_from(first + 99).expect("small")];
        for step in [1, 60, 3_600, 86_400] {
            let question = Question::new(T0.minus(Span::seconds(86_000)), T0, Span::seconds(step * 10));
            let Ok(question) = question else { continue };
            let query = SeriesQuery { source: agent.id(), target: TARGET, kind: ProbeKind::Icmp, question };
            let answer = store.series(query).await.expect("answered");
            let answered: u64 = answer.points.iter().map(|(_, bucket)| bucket.sent).sum();
            assert_eq!(answered, sent(so_far), "{step}, {:?}", answer.sources);
            assert!(answer.sources.contains(&Source::Samples), "{step} {first}");
            let nobody = SeriesQuery { target: AgentId([1; 32]), ..query };
            assert_eq!(store.series(nobody).await.expect("answered").points, []);
        }
        // The first hundred waits for the second.
        if first != 1 {
            roll_up_all(&store, lease).await;
        }
    }
    store.close().await;
}
