//! An aggregator in a temporary folder.

use crate::common::{T0, TestAgent};
use aggregator::app::{App, Shared};
use aggregator::audit_log::Event;
use aggregator::auth::{self, Listener, TokenWish};
use aggregator::clock::Clock;
use aggregator::config::Config;
use aggregator::guard::Role;
use aggregator::mesh::Mesh;
use aggregator::router;
use aggregator::scope::Scopes;
use aggregator::store::{Maker, Store, UserRow};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use axum::response::Response;
use everypath_config::Sources;
use everypath_protocol::batch::{CONTENT_TYPE, Codec, Envelope, IngestAnswer};
use everypath_protocol::block::Block;
use everypath_protocol::codec;
use everypath_protocol::sign::{self, Signer as _};
use everypath_protocol::time::UnixTime;
use everypath_protocol::token::AggregatorAddress;
use sqlx::{Connection as _, SqliteConnection};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tower::ServiceExt as _;

pub(crate) struct World {
    pub(crate) app: Shared,
    pub(crate) clock: Clock,
    pub(crate) folder: Arc<TempDir>,
}

/// An answer with its body read.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) async fn of(response: Response) -> Self {
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.expect("the body can be read");
        Self { status: parts.status, headers: parts.headers, body }
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {:?}", self.body))
    }

    /// Status and code of a problem; checks that it is one.
    pub(crate) fn problem(&self) -> (u16, String) {
        let json = self.json();
        assert_eq!(self.headers["content-type"], "application/problem+json");
        assert_eq!(json["status"], self.status.as_u16());
        assert!(json["detail"].as_str().is_some_and(|detail| detail.len() > 10), "{json}");
        (self.status.as_u16(), json["code"].as_str().expect("a code").to_owned())
    }
}

impl Answer {
    /// Where the faults of a problem are, in their order.
    pub(crate) fn fault_paths(&self) -> Vec<String> {
        let json = self.json();
        let faults = json["faults"].as_array().into_iter().flatten();
        let path = |fault: &serde_json::Value| {
            assert!(fault["message"].as_str().is_some_and(|message| !message.ends_with('.')), "{fault}");
            fault["path"].as_str().expect("a path").to_owned()
        };
        faults.map(path).collect()
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        let folder = Arc::new(tempfile::tempdir().expect("a folder"));
        Self::on(folder, Clock::by_hand(T0)).await
    }

    /// Starts an aggregator on whatever is in `folder`.
    pub(crate) async fn on(folder: Arc<TempDir>, clock: Clock) -> Self {
        Self::with(folder, clock, &Sources::default()).await
    }

    /// The same with a configuration.
    pub(crate) async fn with(folder: Arc<TempDir>, clock: Clock, sources: &Sources) -> Self {
        let mesh = Mesh::open_or_found(folder.path()).expect("founded");
        let store = Store::open_sqlite(folder.path()).await.expect("opened");
        let mut sources = sources.clone();
        sources.flag("data_dir", folder.path().to_str().expect("text"));
        let config = Config::load(&sources).expect("valid");
        let app = App::start(config, clock.clone(), store, mesh).await.expect("started");
        let address = AggregatorAddress { url: "https://192.0.2.1:8443".into(), pin: Some([5; 32]) };
        app.addresses.get_or_init(|| vec![address]);
        Self { app, clock, folder }
    }

    /// Makes this the process that does the jobs.
    pub(crate) async fn lead(&self) {
        self.app.replica.renew(&self.app).await.expect("asked");
        assert!(self.app.replica.lease().is_some(), "somebody else holds the lease");
    }

    pub(crate) fn router(&self, listener: Listener) -> Router {
        router::build(self.app.clone(), listener)
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        Answer::of(self.router(Listener::Tls).oneshot(request).await.expect("a router always answers")).await
    }

    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path).header("host", "aggregator.test");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(body.into()).expect("a valid request")).await
    }

    pub(crate) async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.call(Method::GET, path, headers, Body::empty()).await
    }

    /// The value of an `Authorization` header, of a new token.
    pub(crate) async fn bearer(&self, role: Role) -> String {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("{}-{}", role.name(), NUMBER.fetch_add(1, Ordering::Relaxed));
        self.bearer_of(&name, role, Scopes::default()).await
    }

    /// The same, for a token of this name that is limited to `scopes`.
    pub(crate) async fn bearer_of(&self, name: &str, role: Role, scopes: Scopes) -> String {
        let event = Event::by_host("api_token.create", name, self.app.now());
        let wish = TokenWish { name: name.to_owned(), role, scopes, expires_at: None, by: Maker::Host };
        let secret =
            auth::create_api_token(&self.app.store, wish, true, event).await.expect("stored").expect("replaced");
        format!("Bearer {secret}")
    }

    /// Makes an account whose password has this PHC string.
    pub(crate) async fn account(&self, name: &str, role: Role, password: &str) {
        let (kept, _) = auth::invitation(self.app.now());
        let event = || Event::by_host("user.create", name, self.app.now());
        let row = UserRow::new(name.to_owned(), role, self.app.now());
        assert!(self.app.store.create_user(row, kept, event()).await.expect("stored"), "there is a {name}");
        let (session, _) = auth::new_session(name, role, self.app.now());
        let redeemed =
            self.app.store.redeem_invitation(kept.hash, password.to_owned(), session, "192.0.2.1", event()).await;
        assert!(redeemed.expect("stored"), "the invitation is good");
    }

    /// The value of a `Cookie` header, as the loopback listener takes it, for somebody who has an account.
    pub(crate) async fn cookie(&self, name: &str, role: Role, password: &str) -> String {
        let (session, secret) = auth::new_session(name, role, self.app.now());
        let event = Event::by_host("session.create", name, self.app.now());
        let kept = self.app.store.create_session(session, password.to_owned(), "192.0.2.1", event).await;
        assert!(kept.expect("stored"), "the password is another one");
        let cookie = auth::cookie(Some(&secret), Listener::Loopback);
        cookie.split(';').next().expect("the pair").to_owned()
    }

    /// A member that nobody has heard of yet.
    pub(crate) fn agent(&self, number: u8) -> TestAgent {
        agent_of(&self.app.mesh, number)
    }

    pub(crate) fn envelope(&self, agent: &TestAgent, blocks: &[Block]) -> Envelope {
        envelope(&self.app.mesh, agent, blocks, self.clock.now())
    }

    pub(crate) async fn post_batch(&self, body: Vec<u8>) -> Answer {
        self.call(Method::POST, "/api/v1/ingest", &[("content-type", CONTENT_TYPE)], body).await
    }

    /// Serves the loopback listener on a real socket, for as long as the task is not aborted.
    pub(crate) async fn serve(&self) -> (SocketAddr, JoinHandle<std::io::Result<()>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let service = self.router(Listener::Loopback).into_make_service_with_connect_info::<SocketAddr>();
        (address, tokio::spawn(axum::serve(listener, service).into_future()))
    }

    /// Changes the database behind the aggregator's back.
    pub(crate) async fn change(&self, statement: &'static str) {
        let path = self.folder.path().join("everypath.sqlite");
        let mut connection = SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.expect("opened");
        sqlx::query(statement).execute(&mut connection).await.expect("changed");
        connection.close().await.expect("closed");
    }

    /// Sends blocks and returns what was acknowledged.
    pub(crate) async fn ingest(&self, agent: &TestAgent, blocks: &[Block]) -> IngestAnswer {
        let answer = self.post_batch(codec::encode(&self.envelope(agent, blocks))).await;
        assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
        serde_json::from_slice(&answer.body).expect("the answer of the protocol")
    }
}

pub(crate) fn agent_of(mesh: &Mesh, number: u8) -> TestAgent {
    let key = TestAgent::key(number);
    let certificate = mesh.certify(key.public().into(), format!("a{number}"), "alpha".into(), T0);
    TestAgent { key, certificate }
}

pub(crate) fn envelope(mesh: &Mesh, agent: &TestAgent, blocks: &[Block], sent_at: UnixTime) -> Envelope {
    let body: Vec<u8> = blocks.iter().flat_map(Block::encode).collect();
    let header = sign::seal(agent.header(blocks, &body, sent_at), mesh.id(), &agent.key).signed().clone();
    Envelope { header, certificate: agent.certificate.clone(), codec: Codec::Plain, body }
}
