//! What replicas tell each other, and the matrix that they keep together.

use crate::common::{T0, block};
use crate::rungs::Place;
use crate::world::{TARGET, World, any_windows, numbers, records};
use aggregator::store::{LatestRow, ReplicaId, Store};
use aggregator_core::follow::Follower;
use aggregator_core::matrix::SavedCell;
use everypath_protocol::cell::{CellState, PackedCell};
use everypath_protocol::id::AgentId;
use everypath_protocol::record::Record;
use everypath_protocol::time::{MonoTime, Span, UnixTime};
use std::collections::BTreeMap;
use std::time::Duration;

const READER: ReplicaId = ReplicaId(77);

/// A store that only one process can be on has no journal: nobody else is there.
fn is_alone(store: &Store) -> bool {
    !store.is_shared()
}

/// One poll: adds the ends of the news by source.
async fn poll(store: &Store, follower: &mut Follower, told: &mut BTreeMap<AgentId, Vec<UnixTime>>) -> usize {
    let entries = store.journal(follower.through(), follower.holes(), READER).await.expect("readable");
    let new = follower.take(MonoTime(0), entries.iter().map(|entry| entry.id).collect());
    for entry in entries.iter().filter(|entry| new.contains(&entry.id)) {
        told.entry(entry.source).or_default().extend(entry.news.iter().map(|(_, ended)| *ended));
    }
    new.len()
}

pub(crate) async fn the_journal_tells_everything_once(place: &Place) {
    let (store, world) = (place.open().await, World::new());
    let head = store.journal_head().await.expect("readable");
    if is_alone(&store) {
        assert_eq!(head, 0);
        assert_eq!(store.journal(0, vec![], READER).await.expect("readable"), []);
        return store.close().await;
    }
    let agents: Vec<_> = (1..=8).map(|number| world.agent(number)).collect();
    let windows: Vec<_> = (1..=8).map(|seed| any_windows(seed, 200, TARGET, Span::seconds(3_000))).collect();
    let (mut follower, mut told) = (Follower::new(head), BTreeMap::new());
    let writers = agents.iter().zip(&windows).map(|(agent, windows)| async {
        for (place, part) in windows.chunks(10).enumerate() {
            let batch = world.batch(agent, vec![block(1, place as u64 * 10 + 1, records(part))]);
            store.ingest(batch).await.expect("in order");
        }
    });
    let writing = futures::future::join_all(writers);
    tokio::pin!(writing);
    loop {
        tokio::select! {
            _ = &mut writing => break,
            () = tokio::time::sleep(Duration::from_millis(2)) => drop(poll(&store, &mut follower, &mut told).await),
        }
    }
    while poll(&store, &mut follower, &mut told).await > 0 {}
    for (agent, windows) in agents.iter().zip(&windows) {
        let (mut told, mut sent) = (told.remove(&agent.id()).unwrap_or_default(), ends(windows));
        told.sort_unstable();
        sent.sort_unstable();
        assert_eq!(told, sent);
    }
    let own = store.journal(head, vec![], ReplicaId(1)).await.expect("readable");
    assert!(!own.is_empty() && own.iter().all(|entry| entry.news.is_empty()), "of one's own only the numbers");
    let last = own.last().expect("some").id;
    let hole = store.journal(last, vec![last, last + 1], READER).await.expect("readable");
    assert_eq!(hole.iter().map(|entry| entry.id).collect::<Vec<_>>(), [last]);
    store.close().await;
}

fn ends(windows: &[everypath_protocol::window::Window]) -> Vec<UnixTime> {
    windows.iter().map(everypath_protocol::window::Window::end).collect()
}

pub(crate) async fn the_newer_evidence_stays(place: &Place) {
    let (store, world) = (place.open().await, World::new());
    let agents: Vec<_> = (1..=3).map(|number| world.agent(number)).collect();
    for agent in &agents {
        let windows = any_windows(9, 3, TARGET, Span::seconds(60));
        store.ingest(world.batch(agent, vec![block(1, 1, records(&windows))])).await.expect("in order");
    }
    let cell = |target: usize, state, ended| SavedCell {
        target: agents[target].id(),
        packed: PackedCell::new(state, Some(0), Some(900)),
        ended,
    };
    let row = |cells| LatestRow { source: agents[0].id(), cells };
    let (old, new) = (T0.minus(Span::seconds(60)), T0);
    let keep = |cells| store.keep_latest(vec![row(cells)], T0);
    keep(vec![cell(1, CellState::Ok, new), cell(2, CellState::Down, old)]).await.expect("kept");
    keep(vec![cell(1, CellState::Down, if store.is_shared() { old } else { new }), cell(2, CellState::Ok, new)])
        .await
        .expect("kept");
    let state = store.matrix_state(T0.plus(Span::seconds(1))).await.expect("readable");
    let mut cells = state.latest.into_iter().find(|row| row.source == agents[0].id()).expect("kept").cells;
    cells.sort_by_key(|cell| agents.iter().position(|agent| agent.id() == cell.target));
    // A store with one process has the matrix of that process; one with several takes the newest of each cell.
    let first = if store.is_shared() { CellState::Ok } else { CellState::Down };
    assert_eq!(cells, [cell(1, first, new), cell(2, CellState::Ok, new)]);
    let told = store.matrix_state(T0).await.expect("readable").samples;
    assert_eq!(told.len(), 9);
    assert!(told.iter().all(|sample| matches!(&sample.record, Record::Window(window) if window.target == TARGET)));
    assert_eq!(store.streams(agents[0].id()).await.expect("readable")[0].rows, numbers(1..=3));
    store.close().await;
}
