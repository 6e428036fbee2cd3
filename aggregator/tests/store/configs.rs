//! Versions of the mesh's configuration, and who runs which.

use crate::common::{T0, block, window};
use crate::rungs::Place;
use crate::world::{TARGET, World, event};
use aggregator::store::{CONFIGS_MAX, ConfigInfo, ConfigRow};
use everypath_protocol::id::AgentId;
use everypath_protocol::mesh_config::MeshConfig;
use everypath_protocol::time::Span;

fn row(world: &World, version: u64, why: &str) -> ConfigRow {
    let config = MeshConfig { version, ..MeshConfig::usual() };
    let info = ConfigInfo {
        version,
        made_at: T0.plus(Span::seconds(version)),
        actor: "ada".to_owned(),
        actor_kind: "user".to_owned(),
        why: why.to_owned(),
        copy_of: version.checked_sub(5).filter(|copied| *copied > 0),
    };
    ConfigRow { info, signed: world.mesh.sign_config(config).expect("the key is here").signed().clone() }
}

pub(crate) async fn versions_are_made_one_behind_the_other(place: &Place) {
    let (store, world) = (place.open().await, World::new());
    assert_eq!((store.config(None).await.expect("readable"), store.config_head().await.expect("readable")), (None, 0));
    let put = async |version, expected| {
        store.put_config(row(&world, version, "why ü"), expected, event("config.change")).await.expect("answered")
    };
    assert!(!put(1, 7).await, "there is no version 7");
    assert!(put(1, 0).await);
    assert!(!put(2, 0).await, "somebody else was first");
    assert!(!put(1, 1).await, "a number is used once");
    assert!(put(6, 1).await, "numbers may be left out");
    assert_eq!(store.config_head().await.expect("readable"), 6);
    assert_eq!(store.config(None).await.expect("readable"), Some(row(&world, 6, "why ü")));
    assert_eq!(store.config(Some(1)).await.expect("readable"), Some(row(&world, 1, "why ü")));
    assert_eq!(store.config(Some(2)).await.expect("readable"), None);
    assert_eq!(store.config(Some(u64::MAX)).await.expect("readable"), None);
    let before = async |version, limit| -> Vec<u64> {
        let infos = store.configs_before(version, limit).await.expect("readable");
        infos.iter().map(|info| info.version).collect()
    };
    assert_eq!(
        (before(u64::MAX, 9).await, before(6, 9).await, before(u64::MAX, 1).await),
        (vec![6, 1], vec![1], vec![6])
    );
    let logged = store.log_behind(0, 100).await.expect("readable");
    assert_eq!(logged.iter().filter(|entry| entry.action == "config.change").count(), 2, "only what was done");
    store.close().await;
}

/// Two replicas that change the configuration at the same moment: one is told that it came too late.
pub(crate) async fn of_two_that_change_it_at_once_one_does(place: &Place) {
    let (one, world) = (place.open().await, World::new());
    // TimescaleDB's community edition in WebAssembly has one session: there the two share one replica's connections.
    let other = if place.rung() == "timescale_community" { one.clone() } else { place.open().await };
    for round in 0..10 {
        let put = |store: aggregator::store::Store, version| {
            let row = row(&world, version, "");
            async move { store.put_config(row, round, event("config.change")).await.expect("answered") }
        };
        // Different numbers, as agents may have told each of them something else.
        let (first, second) = tokio::join!(put(one.clone(), round + 1), put(other.clone(), round + 2));
        assert!(first != second, "round {round}: {first} {second}");
        if second {
            // The next round goes on from the lower number.
            let head = one.config_head().await.expect("readable");
            assert_eq!(head, round + 2);
            break;
        }
    }
    one.close().await;
    other.close().await;
}

pub(crate) async fn only_so_many_versions_are_kept(place: &Place) {
    let (store, world) = (place.open().await, World::new());
    for version in 1..=CONFIGS_MAX + 3 {
        let put = store.put_config(row(&world, version, ""), version - 1, event("config.change"));
        assert!(put.await.expect("answered"));
    }
    assert_eq!(store.config(Some(3)).await.expect("readable"), None);
    assert!(store.config(Some(4)).await.expect("readable").is_some());
    store.close().await;
}

pub(crate) async fn what_agents_run_is_known(place: &Place) {
    let (store, world) = (place.open().await, World::new());
    let (one, two) = (world.agent(1), world.agent(2));
    for agent in [&one, &two] {
        let batch = world.batch(agent, vec![block(1, 1, vec![window(TARGET, T0, None)])]);
        store.ingest(batch).await.expect("in order");
    }
    assert_eq!(store.configs_told().await.expect("readable"), []);
    let stranger = AgentId([77; 32]);
    let later = T0.plus(Span::seconds(9));
    store.note_configs(vec![(one.id(), 0), (stranger, 3)], T0).await.expect("kept");
    store.note_configs(vec![(two.id(), 3), (one.id(), 0)], later).await.expect("kept");
    let told: Vec<_> =
        store.configs_told().await.expect("readable").iter().map(|t| (t.agent, t.version, t.at)).collect();
    assert_eq!(told, [(one.id(), 0, T0), (two.id(), 3, later)], "since when it runs, and no stranger");
    store.note_configs(vec![(one.id(), u64::MAX)], later).await.expect("kept");
    assert_eq!(store.configs_told().await.expect("readable")[0].version, u64::try_from(i64::MAX).expect("positive"));
    store.note_configs(Vec::new(), later).await.expect("nothing to do");
    store.close().await;
}
