//! `docs/reference/access.md` is what the program does: its routes are those of the router, and every cell is tried over a real
//! socket, with a request that would succeed.

use crate::common::{T0, block, window};
use crate::join::{hello, request, token};
use crate::sinks::WebSink;
use crate::world::World;
use aggregator::audit_log::Event;
use aggregator::auth::{self, Listener};
use aggregator::clock::Clock;
use aggregator::guard::Role;
use aggregator::router;
use aggregator::scope::{Scope, Scopes};
use aggregator::store::UserRow;
use aggregator::store::alerts::{Commit, IncidentRow};
use everypath_config::Sources;
use everypath_protocol::batch::CONTENT_TYPE;
use everypath_protocol::codec;
use everypath_protocol::id::hex;
use everypath_protocol::time::Span;
use everypath_protocol::token::TokenSecret;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

const TABLE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/access.md"));
/// Only the loopback listener has it.
const LOOPBACK_ONLY: &str = "GET /metrics";
const PASSWORD: &str = "correct horse battery";
/// An incident that stays open.
const INCIDENT: [u8; 16] = [7; 16];

/// Whoever asks, in the order of the columns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Caller {
    Anonymous,
    Person(Role),
    Token(Scope),
    Joiner,
    Agent,
}

const CALLERS: [(&str, Caller); 11] = [
    ("anonymous", Caller::Anonymous),
    ("viewer", Caller::Person(Role::Viewer)),
    ("operator", Caller::Person(Role::Operator)),
    ("admin", Caller::Person(Role::Admin)),
    ("token `read`", Caller::Token(Scope::Read)),
    ("token `operate`", Caller::Token(Scope::Operate)),
    ("token `config`", Caller::Token(Scope::Config)),
    ("token `people`", Caller::Token(Scope::People)),
    ("token `join`", Caller::Token(Scope::Join)),
    ("joiner", Caller::Joiner),
    ("agent", Caller::Agent),
];

/// Heads and rows of the table, cell by cell.
pub(crate) fn table() -> (Vec<&'static str>, Vec<Vec<&'static str>>) {
    let lines = TABLE.lines().filter(|line| line.starts_with('|'));
    let mut rows = lines.map(|line| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>());
    let heads = rows.next().expect("a head");
    (heads, rows.skip(1).collect())
}

#[tokio::test]
async fn the_table_has_every_route_and_every_caller() {
    let world = World::new().await;
    let (heads, rows) = table();
    let callers: Vec<_> = CALLERS.iter().map(|(name, _)| *name).collect();
    assert_eq!((heads[0], &heads[1..]), ("route", callers.as_slice()));
    assert!(rows.iter().all(|row| row.len() == heads.len()), "each row has a cell for each caller");
    let written: BTreeSet<_> = rows.iter().map(|row| row[0].trim_matches('`').to_owned()).collect();
    assert_eq!(written.len(), rows.len(), "no route stands there twice");
    let list = |listener| -> BTreeSet<String> {
        router::list(&world.app, listener).iter().map(|route| format!("{} {}", route.method, route.path)).collect()
    };
    assert_eq!(list(Listener::Loopback), written);
    let over_tls: BTreeSet<_> = written.into_iter().filter(|route| route != LOOPBACK_ONLY).collect();
    assert_eq!(list(Listener::Tls), over_tls);
}

#[tokio::test]
async fn every_cell_of_the_table_is_what_happens() {
    aggregator::tls::install_provider();
    let trial = Trial::begin().await;
    let (_, rows) = table();
    let (mut cell, mut wrong) = (0, Vec::new());
    for row in rows {
        let (method, path) = row[0].trim_matches('`').split_once(' ').expect("a method and a path");
        for ((_, caller), expected) in CALLERS.iter().zip(&row[1..]) {
            cell += 1;
            let status = trial.ask(method, path, *caller, cell).await;
            let shown =
                if status == 101 || (200..300).contains(&status) { "yes".to_owned() } else { status.to_string() };
            if shown != *expected {
                wrong.push(format!("{method} {path} by {caller:?}: {status}, and the table says {expected}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(cell > 250, "{cell} cells: the table was read wrongly");
}

struct Trial {
    world: World,
    /// Another mesh: what its members sign is nothing here.
    elsewhere: World,
    address: SocketAddr,
    client: Client,
    /// The PHC string of [`PASSWORD`].
    password: String,
    /// Where channels lead.
    sink: WebSink,
    /// A channel for mail, to a server that is not there.
    mail: i64,
}

impl Trial {
    async fn begin() -> Self {
        let mut sources = Sources::default();
        sources.flag("alerts.allow_networks", "127.0.0.0/8");
        let folder = Arc::new(tempfile::tempdir().expect("a folder"));
        let world = World::with(folder, Clock::by_hand(T0), &sources).await;
        let elsewhere = World::new().await;
        let password = world.app.passwords.hash(PASSWORD.to_owned(), None).await.expect("nobody else is here");
        // Somebody who stays administrator while others come and go, and a pair to ask about.
        world.account("root", Role::Admin, &password).await;
        let (one, two) = (world.agent(1), world.agent(2));
        for agent in [&one, &two] {
            world.ingest(agent, &[block(5, 1, vec![window(two.id(), T0, Some(700))])]).await;
        }
        open_incident(&world).await;
        let wish = json!({"config": {"window": "30s"}}).to_string();
        let bearer = world.bearer(Role::Operator).await;
        let headers = [("authorization", bearer.as_str()), ("if-match", "\"0\""), ("content-type", "application/json")];
        assert_eq!(world.call(Method::PUT, "/api/v1/config", &headers, wish).await.status, 200);
        let (address, _) = world.serve().await;
        let client = Client::builder().no_proxy().build().expect("a client");
        let settings =
            json!({"host": "127.0.0.1", "port": 1, "security": "none", "from": "e@mesh.test", "to": ["o@mesh.test"]});
        let target = json!({"kind": "mail", "settings": settings});
        let wish = json!({"name": "mail", "enabled": true, "repeat_s": 0, "target": target}).to_string();
        let bearer = world.bearer(Role::Admin).await;
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let made = world.call(Method::POST, "/api/v1/channels", &headers, wish).await;
        let mail = made.json()["id"].as_i64().expect("a number");
        Self { world, elsewhere, address, client, password, sink: WebSink::start().await, mail }
    }

    /// The status of the answer to a request that is well formed and about something that exists. `cell` is a number that no
    /// other request has.
    async fn ask(&self, method: &str, path: &str, caller: Caller, cell: u16) -> u16 {
        let name = format!("cell-{cell}");
        let path = path.replace("{source}", "a1").replace("{target}", "a2");
        let path = if path.contains("{name}") { path.replace("{name}", &self.made(&path, &name).await) } else { path };
        let path = if path.contains("{id}") { path.replace("{id}", &self.defined(&path, &name).await) } else { path };
        let path = if path.contains("{version}") { path.replace("{version}", "1") } else { path };
        let url = format!("http://{}{path}", self.address);
        let request = self.client.request(Method::from_bytes(method.as_bytes()).expect("a method"), url);
        let request = self.shown(request, caller, &name).await;
        let request = self.with_body(request, method, &path, caller, cell).await;
        request.send().await.expect("answered").status().as_u16()
    }

    /// What the path names.
    async fn made(&self, path: &str, name: &str) -> String {
        let subject = format!("{name}-subject");
        if path.starts_with("/api/v1/users") {
            self.world.account(&subject, Role::Viewer, &self.password).await;
        } else {
            self.world.bearer_of(&subject, Role::Viewer, Scopes::default()).await;
        }
        subject
    }

    /// The number or the name that the path asks for, of something new but for incidents: those come from what is measured.
    async fn defined(&self, path: &str, name: &str) -> String {
        if path.starts_with("/api/v1/incidents") {
            return hex(&INCIDENT);
        }
        let (collection, _) = path.split_once("/{id}").expect("it is asked for");
        let body =
            self.definition(collection, &format!("{name}-subject")).expect("rules, silences, channels and join tokens");
        let bearer = self.world.bearer(Role::Admin).await;
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let answer = self.world.call(Method::POST, collection, &headers, body.to_string()).await;
        assert_eq!(answer.status, 201, "{collection}: {:?}", answer.body);
        answer.json()["id"].to_string().trim_matches('"').to_owned()
    }

    /// What is sent to make one.
    fn definition(&self, collection: &str, name: &str) -> Option<Value> {
        Some(match collection {
            "/api/v1/alert-rules" => json!({
                "name": name, "enabled": true, "condition": {"kind": "unreachable"}, "for_s": 0, "clear_for_s": 0,
                "severity": "info",
            }),
            "/api/v1/silences" => {
                json!({"from": "2026-11-23T20:00:00Z", "until": "2026-11-23T22:00:00Z", "reason": name})
            }
            "/api/v1/join-tokens" => json!({"uses": 1, "expires_in_s": 60, "site": null}),
            "/api/v1/channels" => json!({
                "name": name, "enabled": true, "repeat_s": 0,
                "target": {"kind": "discord", "url": self.sink.url("/api/webhooks/1/token")},
            }),
            "/api/v1/report-schedules" => json!({
                "name": name, "enabled": true, "every": "month", "hour_utc": 6, "channel": self.mail,
            }),
            _ => return None,
        })
    }

    /// What is sent to change one that nobody has changed yet.
    fn change(&self, path: &str, name: &str) -> Option<Value> {
        let (collection, _) = path.rsplit_once('/')?;
        let field = match collection {
            "/api/v1/alert-rules" => "rule",
            "/api/v1/silences" => "silence",
            "/api/v1/channels" => "channel",
            "/api/v1/report-schedules" => "schedule",
            _ => return None,
        };
        Some(json!({"version": 1, field: self.definition(collection, name)?}))
    }

    /// The headers by which a caller is known.
    async fn shown(&self, request: RequestBuilder, caller: Caller, name: &str) -> RequestBuilder {
        match caller {
            Caller::Anonymous | Caller::Joiner | Caller::Agent => request,
            Caller::Person(role) => {
                self.world.account(name, role, &self.password).await;
                let cookie = self.world.cookie(name, role, &self.password).await;
                request.header("cookie", cookie).header("x-everypath-request", "1")
            }
            Caller::Token(scope) => {
                request.header("authorization", self.world.bearer_of(name, Role::Admin, Scopes::new([scope])).await)
            }
        }
    }

    async fn with_body(
        &self,
        request: RequestBuilder,
        method: &str,
        path: &str,
        caller: Caller,
        cell: u16,
    ) -> RequestBuilder {
        let name = format!("cell-{cell}-new");
        let number = u8::try_from(cell % 200 + 20).expect("below 220");
        let world = if caller == Caller::Agent { &self.world } else { &self.elsewhere };
        let last = path.rsplit('/').next().expect("a path");
        let request = if path.starts_with("/api/v1/config") { self.matching(request).await } else { request };
        match (method, last) {
            ("POST", "hello") => request.body(hello(world, number, 1)),
            ("POST", "ingest") => {
                let agent = world.agent(number);
                let blocks = [block(u64::from(cell), 1, vec![window(agent.id(), T0, Some(5))])];
                request.header("content-type", CONTENT_TYPE).body(codec::encode(&world.envelope(&agent, &blocks)))
            }
            ("POST", "join") => {
                let mut token = token(&self.world, 1).await;
                if caller != Caller::Joiner {
                    token.secret = TokenSecret([0; 16]);
                }
                request.body(codec::encode(&self::request(&token, number, &name)))
            }
            ("GET", "live") => request
                .header("connection", "upgrade")
                .header("upgrade", "websocket")
                .header("sec-websocket-version", "13")
                .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("POST" | "PUT" | "PATCH", _) => match self.json(method, path, &name).await {
                Some(json) => request.json(&json),
                None => request,
            },
            _ => request,
        }
    }

    async fn json(&self, method: &str, path: &str, name: &str) -> Option<Value> {
        Some(match (method, path) {
            ("POST", "/api/v1/api-tokens") => json!({"name": name, "role": "viewer", "scopes": ["people"]}),
            ("POST", "/api/v1/users") => json!({"name": name, "role": "viewer"}),
            ("POST", "/api/v1/session") => json!({"name": "root", "password": PASSWORD}),
            ("PUT", "/api/v1/session/password") => json!({"old": PASSWORD, "new": "nine lives of a cat"}),
            ("POST", "/api/v1/invitations/redeem") => {
                json!({"secret": self.invited(name).await, "password": PASSWORD})
            }
            ("PUT", "/api/v1/settings/retention") => {
                let bearer = self.world.bearer(Role::Viewer).await;
                self.world.get(path, &[("authorization", &bearer)]).await.json()
            }
            ("PUT", "/api/v1/config") => json!({"config": {"window": "20s"}, "why": name}),
            ("POST", path) if path.ends_with("/rollback") => json!({"why": name}),
            ("PATCH", _) => json!({"role": "operator"}),
            ("PUT", _) if path.ends_with("/acknowledgement") => json!({"note": name}),
            ("PUT", _) => return self.change(path, name),
            _ => return self.definition(path, name),
        })
    }

    /// A change names the version that is in force.
    async fn matching(&self, request: RequestBuilder) -> RequestBuilder {
        let version = self.world.app.store.config_head().await.expect("readable");
        request.header("if-match", format!("\"{version}\""))
    }

    /// The secret of an invitation to a new account.
    async fn invited(&self, name: &str) -> String {
        // A link is tried ten times in a quarter of an hour from one address.
        self.world.clock.advance(Span::seconds(120));
        let (kept, given) = auth::invitation(self.world.app.now());
        let event = Event::by_host("user.create", name, self.world.app.now());
        let row = UserRow::new(name.to_owned(), Role::Viewer, self.world.app.now());
        assert!(self.world.app.store.create_user(row, kept, event).await.expect("stored"));
        given.secret
    }
}

/// As judging would have kept it.
async fn open_incident(world: &World) {
    world.lead().await;
    let definition = json!({
        "subject": "mesh", "agents": [], "sites": [], "title": "t", "evidence": "e", "notes": [], "since_us": 0,
        "last_seen_us": 0, "ending": null, "merged_into": null, "flaps": 0, "is_flapping": false, "is_ambiguous": false,
        "rules": [], "silences": [], "history": [],
    });
    let incident = IncidentRow {
        id: INCIDENT,
        definition: definition.to_string(),
        class: "host_down".into(),
        severity: "critical".into(),
        opened_at: T0,
        ended_at: None,
        is_silenced: false,
        ack: None,
    };
    let commit = Commit { incidents: vec![incident], ..Commit::default() };
    let lease = world.app.replica.lease().expect("it leads");
    world.app.store.alert_commit(lease, commit, T0).await.expect("kept");
}
