//! An aggregator in a temporary folder.

use crate::common::{T0, TestAgent};
use aggregator::app::{App, Shared};
use aggregator::auth::{self, Listener};
use aggregator::clock::Clock;
use aggregator::config::Config;
use aggregator::guard::Role;
use aggregator::mesh::Mesh;
use aggregator::router;
use aggregator::store::{ApiToken, Store};
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
use std::sync::Arc;
use tempfile::TempDir;
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

impl World {
    pub(crate) async fn new() -> Self {
        let folder = Arc::new(tempfile::tempdir().expect("a folder"));
        Self::on(folder, Clock::by_hand(T0)).await
    }

    /// Starts an aggregator on whatever is in `folder`.
    pub(crate) async fn on(folder: Arc<TempDir>, clock: Clock) -> Self {
        let mesh = Mesh::open_or_found(folder.path()).expect("founded");
        let store = Store::open_sqlite(folder.path()).await.expect("opened");
        let config = Config::load(&Sources::default()).expect("defaults are valid");
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

    /// The value of an `Authorization` header.
    pub(crate) async fn bearer(&self, role: Role) -> String {
        let secret = format!("epk_{}", role.name());
        let token = ApiToken { hash: auth::hash(&secret), name: role.name().into(), role };
        self.app.store.create_api_token(token, T0).await.expect("stored");
        format!("Bearer {secret}")
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
