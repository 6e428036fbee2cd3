//! Batches, members, tokens: the contract from before there were several processes.

use crate::common::{T0, TestAgent, block, window};
use crate::rungs::Place;
use crate::world::{TARGET, World, event, numbers};
use aggregator::store::{
    AgentRow, IngestError, JoinTokenRow, LatestRow, Redeemed, Redemption, ReplicaId, ReplicaRow, Store,
};
use aggregator_core::admit::Refusal;
use aggregator_core::matrix::SavedCell;
use everypath_protocol::block::{Block, Content};
use everypath_protocol::cell::{CellState, PackedCell};
use everypath_protocol::id::Seq;
use everypath_protocol::record::{CellFlip, DropReason, Record};
use everypath_protocol::sign::Signer as _;
use everypath_protocol::time::Span;
use everypath_protocol::token::{TokenId, TokenKey};
use everypath_protocol::window::ProbeKind;

fn records(count: usize) -> Vec<Record> {
    vec![window(TARGET, T0, Some(500)); count]
}

async fn stores_every_number_once(store: &Store, world: &World) {
    let agent = world.agent(1);
    let flip = CellFlip { target: TARGET, kind: ProbeKind::Icmp, at: T0, from: CellState::Ok, to: CellState::Down };
    let mut mixed = records(250);
    mixed.push(Record::Flip(flip));
    let first = world.batch(&agent, vec![block(7, 1, mixed), block(7, 252, records(9))]);
    let stored = store.ingest(first.clone()).await.expect("in order");
    assert_eq!((stored.acked, stored.rows, stored.duplicate, stored.is_new_agent), (Seq(260), 260, false, true));
    let again = store.ingest(first).await.expect("a repetition is no error");
    assert_eq!((again.acked, again.rows, again.duplicate, again.is_new_agent), (Seq(260), 0, true, false));
    let overlapping = world.batch(&agent, vec![block(7, 252, records(20))]);
    assert_eq!(store.ingest(overlapping).await.expect("overlaps").rows, 11);
    let gap = store.ingest(world.batch(&agent, vec![block(7, 273, records(1))])).await;
    assert!(matches!(gap, Err(IngestError::Refused(Refusal::Gap { expected: Seq(272) }))), "{gap:?}");
    let dropped =
        Block { content: Content::Dropped { count: 9_000, reason: DropReason::DiskSlow }, ..block(7, 272, vec![]) };
    assert_eq!(store.ingest(world.batch(&agent, vec![dropped])).await.expect("in order").acked, Seq(9_271));
    let streams = store.streams(agent.id()).await.expect("readable");
    assert_eq!(streams.len(), 1);
    assert_eq!(streams[0].rows, numbers(1..=271));
    assert_eq!(streams[0].tombstones, [(Seq(272), Seq(9_271))]);
    let blocks = [(1, 251, 251), (252, 260, 9), (261, 271, 11), (272, 9_271, 0)];
    assert_eq!(streams[0].blocks, blocks.map(|(first, last, rows)| (Seq(first), Seq(last), rows)));
}

async fn streams_do_not_disturb_each_other(store: &Store, world: &World) {
    let agent = world.agent(2);
    // A value that does not fit into a signed number.
    for epoch in [u64::MAX, 1, 2] {
        store.ingest(world.batch(&agent, vec![block(epoch, 1, records(3))])).await.expect("in order");
    }
    let streams = store.streams(agent.id()).await.expect("readable");
    assert_eq!(streams.iter().map(|stream| stream.epoch.0).collect::<Vec<_>>(), [1, 2, u64::MAX]);
    assert!(streams.iter().all(|stream| stream.cursor == Seq(3) && stream.rows == numbers(1..=3)));
}

async fn many_at_once_are_all_stored(store: &Store, world: &World) {
    let agents: Vec<TestAgent> = (10..40).map(|number| world.agent(number)).collect();
    let batches = agents.iter().map(|agent| {
        // One in three is refused; that must not hinder those that are committed with it.
        let first = if agent.id().0[0].is_multiple_of(3) { 2 } else { 1 };
        store.ingest(world.batch(agent, vec![block(1, first, records(40))]))
    });
    let results = futures::future::join_all(batches).await;
    for (agent, result) in agents.iter().zip(results) {
        let rows = store.streams(agent.id()).await.expect("readable").first().map_or(0, |stream| stream.rows.len());
        match result {
            Ok(_) => assert_eq!(rows, 40),
            Err(IngestError::Refused(Refusal::Gap { expected: Seq(1) })) => assert_eq!(rows, 0),
            Err(other) => panic!("{other}"),
        }
    }
}

async fn two_members_of_one_name_are_both_stored(store: &Store, world: &World) {
    let certify = |number: u8| {
        let key = TestAgent::key(number);
        let certificate = world.mesh.certify(key.public().into(), "twin".into(), "alpha".into(), T0);
        TestAgent { key, certificate }
    };
    for number in [50, 51] {
        let agent = certify(number);
        store.ingest(world.batch(&agent, vec![block(1, 1, records(1))])).await.expect("in order");
    }
    let names: Vec<String> = store.agents().await.expect("readable").into_iter().map(|agent| agent.name).collect();
    assert!(names.contains(&"twin".to_owned()) && names.iter().any(|name| name.starts_with("twin-")), "{names:?}");
}

async fn a_token_is_spent_exactly_as_often_as_it_may(store: &Store, world: &World) {
    let token = |number: u8, uses, expires_at| JoinTokenRow {
        id: TokenId([number; 8]),
        key: TokenKey([number; 32]),
        site: None,
        uses,
        created_at: T0,
        created_by: "root".into(),
        expires_at,
    };
    let later = T0.plus(Span::seconds(60));
    store.create_join_token(token(1, 9, later), event("join_token.create")).await.expect("stored");
    store.create_join_token(token(2, 9, T0), event("join_token.create")).await.expect("stored");
    assert_eq!(store.join_token(TokenId([1; 8])).await.expect("readable"), Some((TokenKey([1; 32]), None)));
    assert_eq!(store.join_token(TokenId([3; 8])).await.expect("readable"), None);
    let redeem = |token: u8, number: u8, name: &str| {
        let agent = world.agent(number);
        let (id, certificate) = (agent.id(), agent.certificate);
        let redemption = Redemption {
            token: TokenId([token; 8]),
            agent: id,
            certificate,
            name: name.into(),
            site: "s".into(),
            now: T0,
        };
        store.redeem(redemption, event("agent.join"))
    };
    assert_eq!(redeem(2, 100, "late").await.expect("answered"), Redeemed::Expired);
    assert_eq!(redeem(3, 100, "lost").await.expect("answered"), Redeemed::UnknownToken);
    let thirty = futures::future::join_all(
        (100..130).map(|number| async move { redeem(1, number, &format!("j{number}")).await }),
    );
    let thirty = thirty.await;
    let joined = thirty.iter().filter(|result| matches!(result, Ok(Redeemed::Joined))).count();
    let refused = thirty.iter().filter(|result| matches!(result, Ok(Redeemed::UsedUp))).count();
    assert_eq!((joined, refused), (9, 21));
    let members = store.agents().await.expect("readable");
    let member = members.iter().find(|agent| agent.name.starts_with('j')).expect("somebody joined");
    let number = (100..130).find(|number| world.agent(*number).id() == member.id).expect("one of ours");
    let again = redeem(1, number, "other-name").await.expect("answered");
    assert_eq!(again, Redeemed::Again(member.certificate.clone()), "the same key spends nothing");
    store.create_join_token(token(4, 2, later), event("join_token.create")).await.expect("stored");
    assert_eq!(redeem(4, 140, &member.name).await.expect("answered"), Redeemed::NameTaken);
    assert_eq!(redeem(4, 140, "free").await.expect("answered"), Redeemed::Joined, "a refusal spends nothing");
    assert_eq!(redeem(4, 141, "free-2").await.expect("answered"), Redeemed::Joined);
    assert_eq!(redeem(4, 142, "free-3").await.expect("answered"), Redeemed::UsedUp);
    let listed = async || store.join_tokens().await.expect("readable");
    let found = listed().await.into_iter().find(|found| found.id == TokenId([1; 8])).expect("it is listed");
    assert_eq!((found.uses, found.uses_left, found.created_by.as_str()), (9, 0, "root"));
    assert_eq!((found.site, found.created_at, found.expires_at), (None, T0, later));
    store.create_join_token(token(5, 1, later), event("join_token.create")).await.expect("stored");
    let entries = async || store.log_behind(0, 1_000).await.expect("readable").len();
    let logged = entries().await;
    let before = listed().await.len();
    assert!(store.delete_join_token(TokenId([5; 8]), event("join_token.delete")).await.expect("answered"));
    assert!(!store.delete_join_token(TokenId([5; 8]), event("join_token.delete")).await.expect("answered"));
    assert_eq!((listed().await.len(), entries().await), (before - 1, logged + 1), "what was done is logged, once");
    assert_eq!(redeem(5, 143, "free-4").await.expect("answered"), Redeemed::UnknownToken);
}

async fn replicas_are_listed_while_they_live(store: &Store, _: &World) {
    const LIFE: Span = Span::seconds(30);
    let row = |id, host: &str| ReplicaRow { id, host: host.into(), version: "1.2.3".into(), started_at: T0 };
    let (one, two) = (ReplicaId(41), ReplicaId(-42));
    store.note_replica(row(one, "a")).await.expect("kept");
    store.note_replica(row(two, "b")).await.expect("kept");
    store.note_replica(row(two, "b")).await.expect("kept again");
    let lease = store.lease("contract", two, LIFE).await.expect("answered").expect("free");
    let listed = async |life| {
        let all = store.replicas("contract", life).await.expect("readable");
        let ours = all.into_iter().filter(|replica| [one, two].contains(&replica.row.id));
        ours.map(|replica| (replica.row.id, replica.row.host, replica.is_leader)).collect::<Vec<_>>()
    };
    assert_eq!(listed(LIFE).await, [(two, "b".to_owned(), true), (one, "a".to_owned(), false)]);
    assert_eq!(listed(Span::ZERO).await, [], "nobody was heard of at this moment");
    store.release(lease).await.expect("given back");
    store.forget_replica(one).await.expect("forgotten");
    assert_eq!(listed(LIFE).await, [(two, "b".to_owned(), false)]);
    store.forget_replica(two).await.expect("forgotten");
}

async fn the_matrix_is_kept(store: &Store, world: &World) {
    let (source, target) = (world.agent(60), world.agent(61));
    for agent in [&source, &target] {
        store
            .ingest(world.batch(agent, vec![block(1, 1, vec![window(target.id(), T0, None)])]))
            .await
            .expect("in order");
    }
    let cell =
        SavedCell { target: target.id(), packed: PackedCell::new(CellState::Down, Some(1_000), None), ended: T0 };
    let row = LatestRow { source: source.id(), cells: vec![cell] };
    store.keep_latest(vec![row.clone()], T0).await.expect("stored");
    store.keep_latest(vec![row.clone()], T0).await.expect("stored again");
    let state = store.matrix_state(T0).await.expect("readable");
    assert!(state.latest.contains(&row));
    assert!(state.agents.contains(&source.id()) && !state.agents.contains(&TARGET), "a target alone is no member");
    let told = state.samples.iter().find(|sample| sample.source == source.id()).expect("received since");
    assert_eq!((&told.record, told.ended), (&window(target.id(), T0, None), T0));
    let state = store.matrix_state(T0.plus(Span::seconds(1))).await.expect("readable");
    assert_eq!(state.samples, []);
}

async fn a_member_record_is_kept(store: &Store, world: &World) {
    let agent = world.agent(70);
    let row = AgentRow {
        id: agent.id(),
        name: "a70".into(),
        site: "alpha".into(),
        certificate: agent.certificate.clone(),
        member: Some(agent.certificate.clone()),
        program: Some("0.1.0".into()),
        first_seen: T0,
        last_seen: Some(T0),
    };
    store.note_member(row.clone(), T0).await.expect("stored");
    assert!(store.agents().await.expect("readable").contains(&row));
}

async fn old_samples_go_and_their_numbers_are_remembered(store: &Store, world: &World) {
    let agent = world.agent(80);
    let old = vec![window(TARGET, T0.minus(Span::seconds(3_600)), Some(1)); 5];
    store.ingest(world.batch(&agent, vec![block(1, 1, old), block(1, 6, records(5))])).await.expect("in order");
    let streams = store.streams(agent.id()).await.expect("readable");
    assert_eq!((streams[0].rows.clone(), streams[0].expired, streams[0].cursor), (numbers(1..=10), Seq(0), Seq(10)));
}

pub(crate) async fn contract(place: &Place) {
    let world = World::new();
    let store = place.open().await;
    stores_every_number_once(&store, &world).await;
    streams_do_not_disturb_each_other(&store, &world).await;
    many_at_once_are_all_stored(&store, &world).await;
    two_members_of_one_name_are_both_stored(&store, &world).await;
    a_token_is_spent_exactly_as_often_as_it_may(&store, &world).await;
    replicas_are_listed_while_they_live(&store, &world).await;
    the_matrix_is_kept(&store, &world).await;
    a_member_record_is_kept(&store, &world).await;
    old_samples_go_and_their_numbers_are_remembered(&store, &world).await;
    let agent = world.agent(90);
    store.ingest(world.batch(&agent, vec![block(1, 1, records(4))])).await.expect("in order");
    store.close().await;
    assert!(store.ping().await.is_err(), "a closed store says so");
    let store = place.open().await;
    assert_eq!(store.streams(agent.id()).await.expect("readable")[0].rows, numbers(1..=4));
    store.close().await;
}
