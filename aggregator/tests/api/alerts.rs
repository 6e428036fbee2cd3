//! From what agents send to what people are told.

mod defined;
mod messages;
mod outside;

use crate::common::{T0, TestAgent, block, window};
use crate::sinks::WebSink;
use crate::world::{Answer, World};
use aggregator::alerts::{judge, send};
use aggregator::clock::Clock;
use aggregator::guard::Role;
use axum::http::Method;
use everypath_config::Sources;
use everypath_protocol::id::AgentId;
use everypath_protocol::time::{Span, UnixTime};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

const KEY: &str = "0123456789abcdef0123456789abcdef";

/// Five agents that measure each other, and whoever is down.
pub(crate) struct Mesh {
    pub(crate) world: World,
    pub(crate) agents: Vec<TestAgent>,
    seconds: u64,
    /// The next number of each agent.
    next: [u64; 5],
    pub(crate) down: BTreeSet<usize>,
    /// Hosts without an agent, which all agents measure, and whether they answer.
    pub(crate) endpoints: Vec<(AgentId, bool)>,
    /// Whether nothing passes from one agent to another.
    pub(crate) is_cut: fn(usize, usize) -> bool,
    pub(crate) admin: String,
}

impl Mesh {
    pub(crate) async fn new() -> Self {
        Self::with("127.0.0.0/8").await
    }

    async fn with(networks: &str) -> Self {
        let folder = Arc::new(tempfile::tempdir().expect("a folder"));
        let mut sources = Sources::default();
        sources.flag("alerts.allow_networks", networks).flag("server.advertise", "https://everypath.test");
        let world = World::with(folder, Clock::by_hand(T0), &sources).await;
        let agents: Vec<TestAgent> = (1..=5).map(|number| world.agent(number)).collect();
        let admin = world.bearer(Role::Admin).await;
        let mut mesh = Self {
            world,
            agents,
            seconds: 0,
            next: [1; 5],
            down: BTreeSet::new(),
            endpoints: Vec::new(),
            is_cut: |_, _| false,
            admin,
        };
        // Before anything is judged.
        mesh.run(40).await;
        mesh
    }

    fn now(&self) -> UnixTime {
        self.world.clock.now()
    }

    async fn report(&mut self) {
        let ended = self.now();
        for (place, agent) in self.agents.iter().enumerate() {
            if self.down.contains(&place) {
                continue;
            }
            let others = self.agents.iter().enumerate().filter(|(other, _)| *other != place);
            let mut records: Vec<_> = others
                .map(|(other, target)| {
                    window(
                        target.id(),
                        ended,
                        (!self.down.contains(&other) && !(self.is_cut)(place, other)).then_some(900),
                    )
                })
                .collect();
            records.extend(self.endpoints.iter().map(|(id, answers)| window(*id, ended, answers.then_some(900))));
            let count = records.len() as u64;
            self.world.ingest(agent, &[block(1, self.next[place], records)]).await;
            self.next[place] += count;
        }
    }

    /// Seconds of the mesh's clock, each with an evaluation.
    pub(crate) async fn run(&mut self, seconds: u64) {
        for _ in 0..seconds {
            if self.seconds.is_multiple_of(10) {
                self.report().await;
                self.world.lead().await;
            }
            self.seconds += 1;
            self.world.clock.advance(Span::seconds(1));
            judge::step(&self.world.app).await.expect("judged");
        }
    }

    /// Sends what waits, until nothing does that may be sent now.
    pub(crate) async fn send(&self) {
        let mut before = u64::MAX;
        loop {
            send::step(&self.world.app).await.expect("begun");
            self.world.app.alerts.idle().await;
            let (waiting, _) = self.world.app.store.waiting().await.expect("counted");
            if waiting == 0 || waiting == before {
                return;
            }
            before = waiting;
        }
    }

    pub(crate) async fn call(&self, method: Method, path: &str, body: &Value) -> Answer {
        let headers = [("authorization", self.admin.as_str()), ("content-type", "application/json")];
        self.world.call(method, path, &headers, body.to_string()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let answer = self.world.get(path, &[("authorization", &self.admin)]).await;
        assert_eq!(answer.status, 200, "{path}: {:?}", answer.body);
        answer.json()
    }

    pub(crate) async fn channel(&self, name: &str, target: Value) -> i64 {
        let body = json!({"name": name, "enabled": true, "repeat_s": 0, "target": target});
        let answer = self.call(Method::POST, "/api/v1/channels", &body).await;
        assert_eq!(answer.status, 201, "{:?}", answer.body);
        answer.json()["id"].as_i64().expect("a number")
    }

    async fn discord(&self, sink: &WebSink) -> i64 {
        self.channel("chat", json!({"kind": "discord", "url": sink.url("/api/webhooks/1/token")})).await
    }

    pub(crate) async fn incidents(&self, query: &str) -> Vec<Value> {
        self.get(&format!("/api/v1/incidents{query}")).await["incidents"].as_array().expect("a list").clone()
    }

    async fn results(&self, channel: i64) -> Vec<String> {
        let log = self.get(&format!("/api/v1/channels/{channel}/deliveries")).await;
        let text = |entry: &Value| {
            format!("{} {}", entry["event"].as_str().expect("text"), entry["result"].as_str().expect("text"))
        };
        log["deliveries"].as_array().expect("a list").iter().rev().map(text).collect()
    }
}
