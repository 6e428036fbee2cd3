//! Uploads and hellos over real TLS to a stand-in for an aggregator, which says what the test wants it to say.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum_server::tls_rustls::RustlsConfig;
use everypath_protocol::batch::{CONTENT_TYPE, Codec, Envelope, IngestAnswer};
use everypath_protocol::block::{Block, Content};
use everypath_protocol::cell::CellState;
use everypath_protocol::codec;
use everypath_protocol::id::{AgentId, BootId, Epoch, Seq};
use everypath_protocol::record::{CellFlip, Record};
use everypath_protocol::sign::{self, Ed25519, SecretKey, Signer};
use everypath_protocol::time::{Now, Span, UnixTime};
use everypath_protocol::token::AggregatorAddress;
use everypath_protocol::trust::{Delegation, Trust, mesh_of, open_delegation};
use everypath_protocol::window::ProbeKind;
use mesh_agent::aggregators::{Aggregators, Urgency};
use mesh_agent::clock::Clock;
use mesh_agent::issuer::certify;
use mesh_agent::metrics::Metrics;
use mesh_agent::store::Store;
use mesh_agent::uplink::{Job, Uplink};
use mesh_agent_core::effect::{PersistOp, UploadResult};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;

const EPOCH: Epoch = Epoch(7);

/// What the stand-in says next, and what it heard.
#[derive(Default)]
struct Desk {
    next: Option<(StatusCode, Option<&'static str>, Vec<u8>)>,
    /// Content type, priority, body.
    heard: Vec<(String, String, Vec<u8>)>,
    /// It takes requests in and never answers.
    hangs: bool,
}

type Shared = Arc<Mutex<Desk>>;

async fn ingest(State(desk): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let hangs = desk.lock().expect("no test panics while it holds this").hangs;
    if hangs {
        std::future::pending::<()>().await;
    }
    let mut desk = desk.lock().expect("no test panics while it holds this");
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    desk.heard.push((text(header::CONTENT_TYPE), text(HeaderName::from_static("priority")), body.to_vec()));
    let (status, retry_after, body) = desk.next.clone().expect("the test said what to answer");
    let wait = retry_after.map(|wait| [(header::RETRY_AFTER, wait)]);
    match wait {
        Some(wait) => (status, wait, body).into_response(),
        None => (status, body).into_response(),
    }
}

struct Aggregator {
    address: AggregatorAddress,
    desk: Shared,
}

async fn aggregator() -> Aggregator {
    mesh_agent::tls::use_one_provider();
    let certified = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a working test machine");
    let der = certified.cert.der().to_vec();
    let pin = Some(sign::sha256(&[&der]));
    let tls =
        RustlsConfig::from_der(vec![der], certified.signing_key.serialize_der()).await.expect("a working test machine");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a working test machine");
    listener.set_nonblocking(true).expect("a working test machine");
    let bound: SocketAddr = listener.local_addr().expect("a working test machine");
    let desk = Shared::default();
    let app = Router::new().route("/api/v1/ingest", post(ingest)).with_state(Arc::clone(&desk));
    let server = axum_server::from_tcp_rustls(listener, tls).expect("a working test machine");
    tokio::spawn(server.serve(app.into_make_service()));
    Aggregator { address: AggregatorAddress { url: format!("https://{bound}"), pin }, desk }
}

struct Bench {
    _dir: tempfile::TempDir,
    jobs: mpsc::Sender<Job>,
    results: mpsc::Receiver<(Epoch, UploadResult)>,
    trust: Trust,
    agent: AgentId,
}

/// An uplink with one block of 3 records on its disk.
async fn bench(addresses: &[AggregatorAddress]) -> Bench {
    let dir = tempfile::tempdir().expect("a working test machine");
    let metrics = Metrics::new();
    let clock = Clock::start();
    let (store, _) = Store::open(dir.path(), BootId(1), clock, &metrics).expect("a working test machine");
    let target = AgentId([3; 32]);
    let flip = CellFlip { target, kind: ProbeKind::Icmp, at: UnixTime(5), from: CellState::Ok, to: CellState::Down };
    let content = Content::Records(vec![Record::Flip(flip); 3]);
    let block =
        Block { epoch: EPOCH, first: Seq(1), boot: BootId(1), written: Now::default(), renumbered: false, content };
    let bytes = block.encode();
    store.persist(PersistOp::Append { epoch: EPOCH, first: Seq(1), last: Seq(3), bytes, is_tombstone: false }).await;
    let (root, issuer, key) =
        (SecretKey::from_seed(&[1; 32]), SecretKey::from_seed(&[2; 32]), SecretKey::from_seed(&[3; 32]));
    let mesh = mesh_of(&root.public());
    let agent = AgentId::from(key.public());
    let delegation = Delegation { version: 1, issuers: vec![issuer.public()], config: Vec::new() };
    let delegation = sign::seal(delegation, mesh, &root).signed().clone();
    let trust =
        Trust::new(mesh, open_delegation(&mesh, &root.public(), delegation, &Ed25519).expect("a working test machine"));
    let certificate = certify(agent, "a1", "alpha", mesh, &issuer).expect("a working test machine");
    let aggregators = Aggregators::new(addresses, 0).expect("a working test machine");
    let uplink = Uplink::new(aggregators, store, Arc::new(key), mesh, certificate, (BootId(1), clock), metrics);
    let (jobs, jobs_seen) = mpsc::channel(4);
    let (tell, results) = mpsc::channel(4);
    tokio::spawn(uplink.serve(jobs_seen, tell));
    Bench { _dir: dir, jobs, results, trust, agent }
}

impl Bench {
    async fn upload(&mut self) -> UploadResult {
        self.send(false).await
    }

    async fn send(&mut self, is_backlog: bool) -> UploadResult {
        let job = Job { epoch: EPOCH, first: Seq(1), last: Seq(3), is_backlog };
        self.jobs.send(job).await.expect("a working test machine");
        let (epoch, result) = self.results.recv().await.expect("a working test machine");
        assert_eq!(epoch, EPOCH);
        result
    }
}

fn answer(acked: u64) -> Vec<u8> {
    serde_json::to_vec(&IngestAnswer {
        acked: Seq(acked),
        next_sync_ms: 1_500,
        received_at: UnixTime(1),
        agents: 7,
        config: None,
    })
    .expect("a working test machine")
}

#[tokio::test]
async fn what_is_sent_is_what_any_replica_can_check_and_every_answer_is_understood() {
    let aggregator = aggregator().await;
    let mut bench = bench(std::slice::from_ref(&aggregator.address)).await;
    let cases = [
        (200, None, answer(3), UploadResult::Acked { acked: Seq(3), next_sync: Span::millis(1_500), agents: 7 }),
        (409, None, br#"{"code":"gap","expected":9}"#.to_vec(), UploadResult::Gap { expected: Seq(9) }),
        (429, Some("7"), Vec::new(), UploadResult::Busy { retry_after: Span::seconds(7) }),
        (503, None, Vec::new(), UploadResult::Busy { retry_after: Span::seconds(30) }),
        (422, None, br#"{"title":"no","detail":"because"}"#.to_vec(), UploadResult::Rejected),
        (401, None, b"not even JSON".to_vec(), UploadResult::Refused),
        (200, None, b"not what was asked for".to_vec(), UploadResult::Unreachable),
        (500, None, Vec::new(), UploadResult::Unreachable),
    ];
    for (status, wait, body, expected) in cases {
        aggregator.desk.lock().unwrap().next = Some((StatusCode::from_u16(status).unwrap(), wait, body));
        assert_eq!(bench.upload().await, expected, "{status}");
    }
    let (kind, priority, body) = aggregator.desk.lock().unwrap().heard[0].clone();
    assert_eq!((kind.as_str(), priority.as_str()), (CONTENT_TYPE, "u=3"));
    bench.send(true).await;
    assert_eq!(aggregator.desk.lock().unwrap().heard.last().unwrap().1, "u=6", "a backlog says so");
    let envelope: Envelope = codec::decode(&body, 1 << 20).unwrap();
    let opened = envelope.open(&bench.trust, &Ed25519).unwrap();
    assert_eq!((opened.header.agent, opened.header.first, opened.header.count), (bench.agent, Seq(1), 3));
    let blocks = match opened.codec {
        Codec::Zstd => zstd::bulk::decompress(&opened.body, 1 << 20).unwrap(),
        Codec::Plain => opened.body,
    };
    assert_eq!(Block::decode_all(&blocks).unwrap()[0].last(), Seq(3));
}

#[tokio::test]
async fn a_certificate_other_than_the_pinned_one_is_never_spoken_to() {
    let aggregator = aggregator().await;
    aggregator.desk.lock().unwrap().next = Some((StatusCode::OK, None, answer(3)));
    let pinned_otherwise = AggregatorAddress { pin: Some([0; 32]), ..aggregator.address.clone() };
    let unknown_authority = AggregatorAddress { pin: None, ..aggregator.address.clone() };
    for address in [pinned_otherwise, unknown_authority] {
        let aggregators = Aggregators::new(std::slice::from_ref(&address), 0).unwrap();
        let refused = aggregators.post("/api/v1/ingest", CONTENT_TYPE, Urgency::Usual, Vec::new()).await.unwrap_err();
        assert!(address.pin.is_none() || refused.why.contains("not the one that was pinned"), "{refused}");
        assert_eq!(bench(&[address]).await.upload().await, UploadResult::Unreachable);
    }
    assert!(aggregator.desk.lock().unwrap().heard.is_empty());
}

#[tokio::test]
async fn the_next_address_is_tried_and_the_one_that_answered_is_kept() {
    let (gone, alive) = (aggregator().await, aggregator().await);
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody = AggregatorAddress { url: format!("https://{nobody}"), pin: Some([0; 32]) };
    gone.desk.lock().unwrap().next = Some((StatusCode::BAD_GATEWAY, None, Vec::new()));
    alive.desk.lock().unwrap().next = Some((StatusCode::OK, None, answer(3)));
    let mut bench = bench(&[nobody, gone.address.clone(), alive.address.clone()]).await;
    for _ in 0..2 {
        assert!(matches!(bench.upload().await, UploadResult::Acked { .. }));
    }
    assert_eq!((gone.desk.lock().unwrap().heard.len(), alive.desk.lock().unwrap().heard.len()), (1, 2));
}

impl Aggregator {
    fn says(&self, status: StatusCode, wait: Option<&'static str>, body: Vec<u8>) {
        self.desk.lock().expect("no test panics while it holds this").next = Some((status, wait, body));
    }

    fn heard(&self) -> usize {
        self.desk.lock().expect("no test panics while it holds this").heard.len()
    }
}

/// Uploads until `count` are acknowledged; each must be. Returns how long the slowest took.
async fn slowest(bench: &mut Bench, count: u32) -> Duration {
    let mut slowest = Duration::ZERO;
    for _ in 0..count {
        let clock = Clock::start();
        assert!(matches!(bench.upload().await, UploadResult::Acked { .. }));
        slowest = slowest.max(Duration::from_nanos(clock.mono().0));
    }
    slowest
}

#[tokio::test]
async fn a_replica_that_accepts_and_hangs_holds_an_agent_up_once_and_not_for_long() {
    let (hanging, alive) = (aggregator().await, aggregator().await);
    hanging.desk.lock().unwrap().hangs = true;
    alive.says(StatusCode::OK, None, answer(3));
    let mut bench = bench(&[hanging.address.clone(), alive.address.clone()]).await;
    let first = slowest(&mut bench, 1).await;
    assert!(first < Duration::from_secs(10), "{first:?}");
    let others = slowest(&mut bench, 20).await;
    assert!(others < Duration::from_secs(1), "it is not asked again for a while: {others:?}");
    assert_eq!(alive.heard(), 21);
}

#[tokio::test]
async fn a_socket_that_nobody_accepts_from_is_passed_over_too() {
    // The kernel completes the connection; TLS never begins.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = AggregatorAddress { url: format!("https://{}", silent.local_addr().unwrap()), pin: Some([0; 32]) };
    let alive = aggregator().await;
    alive.says(StatusCode::OK, None, answer(3));
    let mut bench = bench(&[address, alive.address.clone()]).await;
    let first = slowest(&mut bench, 1).await;
    assert!(first < Duration::from_secs(10), "{first:?}");
    assert!(slowest(&mut bench, 5).await < Duration::from_secs(1));
}

#[tokio::test]
async fn refused_connections_and_broken_replicas_cost_nothing_that_anyone_sees() {
    let (broken, alive) = (aggregator().await, aggregator().await);
    broken.says(StatusCode::INTERNAL_SERVER_ERROR, None, Vec::new());
    alive.says(StatusCode::OK, None, answer(3));
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody = AggregatorAddress { url: format!("https://{nobody}"), pin: Some([0; 32]) };
    let mut bench = bench(&[nobody, broken.address.clone(), alive.address.clone()]).await;
    let slowest = slowest(&mut bench, 5).await;
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    assert_eq!(broken.heard(), 1, "it is avoided from then on");
}

#[tokio::test]
async fn a_replica_that_is_about_to_end_sends_agents_to_the_next_one_at_once() {
    let (leaving, alive) = (aggregator().await, aggregator().await);
    leaving.says(StatusCode::SERVICE_UNAVAILABLE, Some("30"), br#"{"code":"shutting_down"}"#.to_vec());
    alive.says(StatusCode::OK, None, answer(3));
    let mut bench = bench(&[leaving.address.clone(), alive.address.clone()]).await;
    let slowest = slowest(&mut bench, 3).await;
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    assert_eq!((leaving.heard(), alive.heard()), (1, 3));
}

#[tokio::test]
async fn when_all_replicas_are_about_to_end_their_wish_for_a_pause_is_kept() {
    let leaving = aggregator().await;
    leaving.says(StatusCode::SERVICE_UNAVAILABLE, Some("30"), br#"{"code":"shutting_down"}"#.to_vec());
    let mut bench = bench(std::slice::from_ref(&leaving.address)).await;
    assert_eq!(bench.upload().await, UploadResult::Busy { retry_after: Span::seconds(30) });
}

#[tokio::test]
async fn agents_begin_with_different_replicas() {
    let (one, other) = (aggregator().await, aggregator().await);
    for aggregator in [&one, &other] {
        aggregator.says(StatusCode::OK, None, answer(3));
    }
    for start in 0..10 {
        let aggregators = Aggregators::new(&[one.address.clone(), other.address.clone()], start).unwrap();
        aggregators.post("/api/v1/ingest", CONTENT_TYPE, Urgency::Usual, Vec::new()).await.unwrap();
    }
    assert_eq!((one.heard(), other.heard()), (5, 5));
}
