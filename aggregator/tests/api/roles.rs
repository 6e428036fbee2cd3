//! `docs/reference/access.md` is what the program does: its routes are those of the router, and every cell is tried over a real
//! socket, with a request that would succeed.

use crate::common::{T0, block, window};
use crate::join::{hello, request, token};
use crate::world::World;
use aggregator::audit_log::Event;
use aggregator::auth::{self, Listener};
use aggregator::guard::Role;
use aggregator::router;
use aggregator::scope::{Scope, Scopes};
use aggregator::store::UserRow;
use everypath_protocol::batch::CONTENT_TYPE;
use everypath_protocol::codec;
use everypath_protocol::time::Span;
use everypath_protocol::token::TokenSecret;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::SocketAddr;

const TABLE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/access.md"));
/// Only the loopback listener has it.
const LOOPBACK_ONLY: &str = "GET /metrics";
const PASSWORD: &str = "correct horse battery";

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
}

impl Trial {
    async fn begin() -> Self {
        let (world, elsewhere) = (World::new().await, World::new().await);
        let password = world.app.passwords.hash(PASSWORD.to_owned()).await.expect("nobody else is here");
        // Somebody who stays administrator while others come and go, and a pair to ask about.
        world.account("root", Role::Admin, &password).await;
        let (one, two) = (world.agent(1), world.agent(2));
        for agent in [&one, &two] {
            world.ingest(agent, &[block(5, 1, vec![window(two.id(), T0, Some(700))])]).await;
        }
        let (address, _) = world.serve().await;
        let client = Client::builder().no_proxy().build().expect("a client");
        Self { world, elsewhere, address, client, password }
    }

    /// The status of the answer to a request that is well formed and about something that exists. `cell` is a number that no
    /// other request has.
    async fn ask(&self, method: &str, path: &str, caller: Caller, cell: u16) -> u16 {
        let name = format!("cell-{cell}");
        let path = path.replace("{source}", "a1").replace("{target}", "a2");
        let path = if path.contains("{name}") { path.replace("{name}", &self.made(&path, &name).await) } else { path };
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
            ("POST", "/api/v1/join-tokens") => json!({"uses": 1, "expires_in_s": 60, "site": null}),
            ("POST", "/api/v1/session") => json!({"name": "root", "password": PASSWORD}),
            ("PUT", "/api/v1/session/password") => json!({"old": PASSWORD, "new": "nine lives of a cat"}),
            ("POST", "/api/v1/invitations/redeem") => {
                json!({"secret": self.invited(name).await, "password": PASSWORD})
            }
            ("PUT", "/api/v1/settings/retention") => {
                let bearer = self.world.bearer(Role::Viewer).await;
                self.world.get(path, &[("authorization", &bearer)]).await.json()
            }
            ("PATCH", _) => json!({"role": "operator"}),
            _ => return None,
        })
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
