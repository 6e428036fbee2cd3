//! Results, and everything that is not quite a result.

use crate::common::{T0, block, window};
use crate::world::{World, agent_of, envelope};
use aggregator::mesh::Mesh;
use aggregator::store::UNKNOWN_TARGETS_MAX;
use axum::http::Method;
use everypath_protocol::batch::{BODY_BYTES_MAX, BatchHeader, Codec, Envelope, REQUEST_BYTES_MAX};
use everypath_protocol::block::Block;
use everypath_protocol::codec;
use everypath_protocol::id::{AgentId, Seq};
use everypath_protocol::sign::{self, Signer as _};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use sqlx::{Connection as _, SqliteConnection};

fn blocks() -> Vec<Block> {
    vec![
        block(3, 1, vec![window(AgentId([2; 32]), T0, Some(700)); 4]),
        block(3, 5, vec![window(AgentId([2; 32]), T0, None)]),
    ]
}

async fn refused(world: &World, body: Vec<u8>) -> (u16, String) {
    world.post_batch(body).await.problem()
}

#[tokio::test]
async fn a_batch_is_acknowledged_and_a_repetition_too() {
    let world = World::new().await;
    let agent = world.agent(1);
    for _ in 0..3 {
        let answer = world.ingest(&agent, &blocks()).await;
        assert_eq!((answer.acked, answer.next_sync_ms, answer.received_at), (Seq(5), 1_000, T0));
    }
    let streams = world.app.store.streams(agent.id()).await.expect("readable");
    assert_eq!(streams[0].rows.len(), 5);
    assert_eq!(world.app.metrics.rows.get(), 5);
}

#[tokio::test]
async fn compressed_is_as_good_as_plain() {
    let world = World::new().await;
    let agent = world.agent(1);
    let plain: Vec<u8> = blocks().iter().flat_map(Block::encode).collect();
    let body = zstd::bulk::compress(&plain, 3).expect("compressed");
    let header = sign::seal(agent.header(&blocks(), &body, T0), world.app.mesh.id(), &agent.key).signed().clone();
    let envelope = Envelope { header, certificate: agent.certificate.clone(), codec: Codec::Zstd, body };
    assert_eq!(world.post_batch(codec::encode(&envelope)).await.status, 200);
}

#[tokio::test]
async fn a_gap_names_the_number_that_must_come_and_leaves_no_trace() {
    let world = World::new().await;
    let agent = world.agent(1);
    let ahead = [block(3, 7, vec![window(AgentId([2; 32]), T0, None)])];
    let answer = world.post_batch(codec::encode(&world.envelope(&agent, &ahead))).await;
    assert_eq!(answer.problem(), (409, "sequence_gap".into()));
    assert_eq!(answer.json()["expected"], 1);
    assert_eq!(world.app.store.agents().await.expect("readable"), []);
    assert_eq!(world.ingest(&agent, &blocks()).await.acked, Seq(5));
    let (_, roster) = world.app.hub.roster().await.expect("running");
    assert_eq!(roster, [agent.id()], "whoever was refused first is known after it was not");
}

#[tokio::test]
async fn bytes_cut_off_anywhere_are_refused() {
    let world = World::new().await;
    let whole = codec::encode(&world.envelope(&world.agent(1), &blocks()));
    for length in (0..whole.len()).step_by(13) {
        let (status, code) = refused(&world, whole[..length].to_vec()).await;
        assert_eq!((status, code.as_str()), (400, "malformed"), "cut to {length}");
    }
}

#[tokio::test]
async fn a_bit_flipped_anywhere_is_refused() {
    let world = World::new().await;
    let whole = codec::encode(&world.envelope(&world.agent(1), &blocks()));
    for place in (0..whole.len()).step_by(7) {
        let mut bytes = whole.clone();
        bytes[place] ^= 1 << (place % 8);
        let (status, code) = refused(&world, bytes).await;
        assert!(status == 400 || status == 401, "bit at {place}: {status} {code}");
    }
    assert_eq!(world.app.store.agents().await.expect("readable"), []);
}

#[tokio::test]
async fn what_is_signed_but_damaged_inside_has_its_own_codes() {
    let world = World::new().await;
    let agent = world.agent(1);
    let sealed = |body: Vec<u8>| {
        let header = sign::seal(agent.header(&blocks(), &body, T0), world.app.mesh.id(), &agent.key).signed().clone();
        codec::encode(&Envelope { header, certificate: agent.certificate.clone(), codec: Codec::Plain, body })
    };
    let good: Vec<u8> = blocks().iter().flat_map(Block::encode).collect();
    let change = |place: usize, to: u8| {
        let mut bytes = good.clone();
        bytes[place] = to;
        bytes
    };
    for (body, code) in [
        (change(3, 9), "unknown_version"),
        (change(40, 0xff), "damaged"),
        (change(0, b'X'), "malformed"),
        (good[..good.len() - 1].to_vec(), "malformed"),
        (Vec::new(), "empty_batch"),
        (blocks()[0].encode(), "uneven_batch"),
    ] {
        assert_eq!(refused(&world, sealed(body)).await, (400, code.to_owned()));
    }
}

#[tokio::test]
async fn too_much_is_refused_before_it_is_read() {
    let world = World::new().await;
    let agent = world.agent(1);
    assert_eq!(refused(&world, vec![0; REQUEST_BYTES_MAX + 1]).await, (413, "body_too_large".into()));
    // A few hundred bytes that claim to be megabytes.
    let body = zstd::bulk::compress(&vec![0; BODY_BYTES_MAX + 1], 3).expect("compressed");
    let header = sign::seal(agent.header(&blocks(), &body, T0), world.app.mesh.id(), &agent.key).signed().clone();
    let bomb = Envelope { header, certificate: agent.certificate.clone(), codec: Codec::Zstd, body };
    assert_eq!(refused(&world, codec::encode(&bomb)).await, (413, "body_too_large".into()));
}

#[tokio::test]
async fn only_members_may_send_and_only_for_themselves() {
    let world = World::new().await;
    let (agent, other) = (world.agent(1), world.agent(2));
    let good = world.envelope(&agent, &blocks());
    let foreign_folder = tempfile::tempdir().expect("a folder");
    let foreign = Mesh::open_or_found(foreign_folder.path()).expect("founded");
    let stranger = agent_of(&foreign, 1);
    let mut forged = good.clone();
    forged.header.signature.0[5] ^= 1;
    let mut swapped_body = good.clone();
    swapped_body.body = block(3, 1, vec![window(AgentId([9; 32]), T0, None); 5]).encode();
    let borrowed = Envelope { certificate: other.certificate.clone(), ..good.clone() };
    let self_made = Envelope {
        certificate: sign::seal(certificate_of(&agent.id()), world.app.mesh.id(), &agent.key).signed().clone(),
        ..good.clone()
    };
    let header = BatchHeader { agent: other.id(), ..agent.header(&blocks(), &good.body, T0) };
    let for_another =
        Envelope { header: sign::seal(header, world.app.mesh.id(), &agent.key).signed().clone(), ..good.clone() };
    for (envelope, code) in [
        (forged, "bad_signature"),
        (swapped_body, "bad_signature"),
        (borrowed, "not_a_member"),
        (self_made, "not_a_member"),
        (for_another, "not_a_member"),
        (envelope(&foreign, &stranger, &blocks(), T0), "not_a_member"),
        (
            Envelope { certificate: agent.certificate.clone(), ..envelope(&foreign, &stranger, &blocks(), T0) },
            "other_mesh",
        ),
    ] {
        assert_eq!(refused(&world, codec::encode(&envelope)).await, (401, code.to_owned()));
    }
    assert_eq!(world.app.store.agents().await.expect("readable"), []);
    assert_eq!(world.post_batch(codec::encode(&good)).await.status, 200);
}

fn certificate_of(agent: &AgentId) -> everypath_protocol::trust::Certificate {
    everypath_protocol::trust::Certificate {
        agent: *agent,
        name: "me".into(),
        site: "here".into(),
        serial: 1,
        not_before: T0,
        not_after: T0,
    }
}

#[tokio::test]
async fn the_content_type_must_be_ours() {
    let world = World::new().await;
    let body = codec::encode(&world.envelope(&world.agent(1), &blocks()));
    let answer = world.call(Method::POST, "/api/v1/ingest", &[("content-type", "text/plain")], body).await;
    assert_eq!(answer.problem(), (415, "unsupported_media_type".into()));
}

#[tokio::test]
async fn an_old_batch_replayed_later_stores_nothing() {
    let world = World::new().await;
    let agent = world.agent(1);
    let first = codec::encode(&world.envelope(&agent, &blocks()));
    assert_eq!(world.post_batch(first.clone()).await.status, 200);
    world.ingest(&agent, &[block(3, 6, vec![window(AgentId([2; 32]), T0, None); 3])]).await;
    let answer = world.post_batch(first).await;
    assert_eq!((answer.status.as_u16(), answer.json()["acked"].clone()), (200, 8.into()));
    assert_eq!(world.app.store.streams(agent.id()).await.expect("readable")[0].rows.len(), 8);
    assert_eq!(agent.key.public(), agent.id().into());
}

/// Another process holds the database while more agents send than can wait. Whoever cannot wait is told so at once, and
/// nothing is lost of those who were told "stored".
#[tokio::test]
async fn a_full_queue_is_an_answer_and_not_a_pile() {
    let world = World::new().await;
    let path = world.folder.path().join("everypath.sqlite");
    let mut other = SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.expect("opened");
    let lock = other.begin_with("begin immediate").await.expect("locked");
    let agents: Vec<_> = (0..=255).map(|number| world.agent(number)).collect();
    let mut sending: FuturesUnordered<_> = (0..500_u64)
        .map(|number| {
            let agent = &agents[usize::try_from(number % 256).expect("small")];
            let records = vec![window(AgentId([2; 32]), T0, None)];
            let body = codec::encode(&world.envelope(agent, &[block(number, 1, records)]));
            world.post_batch(body)
        })
        .collect();
    let first = sending.next().await.expect("an answer while the database is held");
    assert_eq!(first.problem(), (503, "busy".into()));
    assert_eq!(first.headers["retry-after"], "2");
    lock.rollback().await.expect("released");
    let rest: Vec<u16> = sending.map(|answer| answer.status.as_u16()).collect().await;
    let stored = rest.iter().filter(|status| **status == 200).count();
    assert!(stored > 0 && rest.iter().all(|status| [200, 503].contains(status)), "{rest:?}");
    let mut rows = 0;
    for agent in &agents {
        rows += world.app.store.streams(agent.id()).await.expect("readable").len();
    }
    assert_eq!(rows, stored);
}

#[tokio::test]
async fn a_batch_in_json_is_the_same_batch() {
    let world = World::new().await;
    let agent = world.agent(1);
    let envelope = world.envelope(&agent, &blocks());
    let json = serde_json::to_vec(&envelope).expect("written");
    let post = async |body: Vec<u8>| {
        world.call(Method::POST, "/api/v1/ingest", &[("content-type", "application/json")], body).await
    };
    let first = post(json.clone()).await;
    assert_eq!(
        (first.status.as_u16(), first.json()["acked"].as_u64()),
        (200, blocks().last().map(|block| block.last().0))
    );
    assert_eq!(post(json.clone()).await.json()["acked"], first.json()["acked"], "a repetition is no error");
    assert_eq!(post(b"{}".to_vec()).await.problem(), (400, "malformed".into()));
    let mut forged = envelope;
    forged.body[0] ^= 1;
    assert_eq!(post(serde_json::to_vec(&forged).expect("written")).await.problem(), (401, "bad_signature".into()));
}

#[tokio::test]
async fn a_process_that_ends_sends_agents_elsewhere() {
    let world = World::new().await;
    let agent = world.agent(1);
    assert_eq!(world.get("/readyz", &[]).await.status.as_u16(), 200);
    world.app.draining.cancel();
    assert_eq!(world.get("/readyz", &[]).await.problem(), (503, "shutting_down".into()));
    assert_eq!(world.get("/healthz", &[]).await.status.as_u16(), 200, "it is not broken");
    let answer = world.post_batch(codec::encode(&world.envelope(&agent, &blocks()))).await;
    assert_eq!(answer.problem(), (503, "shutting_down".into()));
    assert!(world.app.store.streams(agent.id()).await.expect("readable").is_empty());
}

#[tokio::test]
async fn made_up_targets_are_refused_with_a_reason_and_counted() {
    let world = World::new().await;
    let agent = world.agent(1);
    let made_up = |number: u64| {
        let mut key = [3; 32];
        key[..8].copy_from_slice(&number.to_be_bytes());
        window(AgentId(key), T0, None)
    };
    let blocks: Vec<Block> = (0..=UNKNOWN_TARGETS_MAX / 256)
        .map(|part| block(1, part * 256 + 1, (0..256).map(|number| made_up(part * 256 + number)).collect()))
        .collect();
    let answer = world.post_batch(codec::encode(&world.envelope(&agent, &blocks))).await;
    assert_eq!(answer.problem(), (422, "unknown_targets".into()));
    assert_eq!(world.app.metrics.batches.with_label_values(&["unknown_targets"]).get(), 1);
    assert_eq!(world.ingest(&agent, &blocks[..1]).await.acked, Seq(256), "smaller parts are stored up to the limit");
}
