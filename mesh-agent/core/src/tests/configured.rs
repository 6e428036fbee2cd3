//! What a configuration of the mesh does to a running agent.

use super::bench::{at, id, key, member, params, trust};
use crate::agent::Agent;
use crate::effect::{Effect, Effects, Input, Statement};
use crate::pace::{Overrides, Pace};
use crate::params::{AgentParams, Resume};
use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
use everypath_protocol::cell::CellState;
use everypath_protocol::id::AgentId;
use everypath_protocol::mesh_config::plan::endpoint_id;
use everypath_protocol::mesh_config::{AgentConfig, Endpoint, Exclusion, MeshConfig, Selector};
use everypath_protocol::sign::seal;
use everypath_protocol::time::Span;
use everypath_protocol::window::ProbeOutcome;

fn configured(config: MeshConfig) -> Input {
    Input::Configured(Box::new(seal(config, trust().mesh(), &key(250))))
}

fn config(interval_ms: u32) -> MeshConfig {
    let mut config = MeshConfig { version: 1, ..MeshConfig::usual() };
    config.probe.interval_ms = interval_ms;
    config
}

fn gateway() -> Endpoint {
    Endpoint { name: "gateway".to_string(), address: "gateway.example".to_string(), observers: Vec::new() }
}

/// An agent among others, all of which answer at once.
struct Bench {
    agent: Agent,
    millis: u64,
    /// When, and whom.
    probes: Vec<(u64, AgentId)>,
    changes: Vec<CellState>,
    other: Effects,
}

impl Bench {
    fn new(others: u8) -> Self {
        Self::with(params(1), others)
    }

    fn with(params: AgentParams, others: u8) -> Self {
        let agent = Agent::new(params, Resume::default(), [1; 32], at(0));
        let mut bench = Self { agent, millis: 0, probes: vec![], changes: vec![], other: vec![] };
        bench.feed(Input::Statements((2..2 + others).map(|n| Statement::Member(member(n, 1, 1))).collect()));
        bench
    }

    fn feed(&mut self, input: Input) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let mut out = Effects::new();
            self.agent.handle(at(self.millis), input, &mut out);
            for effect in out {
                match effect {
                    Effect::StartProbe(request) => {
                        self.probes.push((self.millis, request.target));
                        let outcome = ProbeOutcome::Replied { rtt_us: 900 };
                        inputs.push(Input::ProbeFinished { probe: request.probe, outcome });
                    }
                    Effect::CellChanged { to, .. } => self.changes.push(to),
                    other => self.other.push(other),
                }
            }
        }
    }

    /// Lives for this long. Returns how many probes there were, by target.
    fn run(&mut self, millis: u64) -> Vec<(AgentId, usize)> {
        let from = self.probes.len();
        let end = self.millis + millis;
        while self.millis < end {
            self.millis += 100;
            self.feed(Input::Wakeup);
        }
        let mut targets: Vec<AgentId> = self.probes[from..].iter().map(|(_, target)| *target).collect();
        targets.sort_unstable();
        targets.chunk_by(|one, other| one == other).map(|same| (same[0], same.len())).collect()
    }

    fn asked_for(&mut self) -> Vec<Vec<AgentId>> {
        let asked = core::mem::take(&mut self.other).into_iter().filter_map(|effect| match effect {
            Effect::Resolve(wishes) => Some(wishes.into_iter().map(|wish| wish.endpoint).collect()),
            _ => None,
        });
        asked.collect()
    }
}

#[test]
fn what_the_host_says_wins_and_the_rest_follows_it() {
    let mut config = config(20_000);
    (config.probe.timeout_ms, config.window_ms) = (3_000, 30_000);
    let usual = params(1);
    let of = |overrides, config| Pace::new(&AgentParams { overrides, ..params(1) }, config);
    assert_eq!(of(Overrides::default(), None).interval, usual.probe_interval);
    let pace = of(Overrides::default(), Some(&config));
    assert_eq!((pace.interval, pace.timeout, pace.window), (Span::seconds(20), Span::seconds(3), Span::seconds(30)));
    assert_eq!(pace.thresholds.stale_after, Span::seconds(80));
    let own = Overrides { probe_interval: Some(Span::seconds(2)), probe_timeout: None };
    let pace = of(own, Some(&config));
    assert_eq!((pace.interval, pace.timeout, pace.window), (Span::seconds(2), Span::seconds(2), Span::seconds(30)));
    assert_eq!(pace.thresholds.stale_after, Span::seconds(8));
    let slow = Overrides { probe_interval: Some(Span::seconds(60)), probe_timeout: Some(Span::seconds(1)) };
    let pace = of(slow, Some(&config));
    assert_eq!(
        (pace.timeout, pace.window, pace.window_lonely),
        (Span::seconds(1), Span::seconds(60), Span::seconds(60))
    );
}

#[test]
fn an_interval_holds_from_the_moment_it_is_known_and_no_cell_changes_for_it() {
    let mut bench = Bench::new(8);
    bench.run(20_000);
    bench.changes.clear();
    for (interval_ms, times) in [(1_000, 58..=61), (60_000, 1..=2), (2_000, 29..=31)] {
        bench.feed(configured(config(interval_ms)));
        let counts = bench.run(60_000);
        assert_eq!(counts.len(), 8);
        assert!(counts.iter().all(|(_, count)| times.contains(count)), "{interval_ms}: {counts:?}");
        assert_eq!(bench.agent.view(at(bench.millis)).pace.interval, Span::millis(interval_ms.into()));
    }
    assert_eq!(bench.changes, [], "nothing is stale only because somebody wants to know more");
    assert!(bench.other.contains(&Effect::Configured { version: 1 }));
}

#[test]
fn after_a_change_probes_are_spread_over_the_new_interval() {
    let mut bench = Bench::new(60);
    bench.run(10_000);
    bench.feed(configured(config(10_000)));
    let from = bench.probes.len();
    bench.run(20_000);
    let mut busiest = [0_u32; 40];
    for (millis, _) in &bench.probes[from..] {
        busiest[usize::try_from((millis - 10_000) / 1_000).unwrap_or(0)] += 1;
    }
    // What was due anyway in the first five seconds is still sent.
    assert!(busiest[6..20].iter().all(|count| (1..=16).contains(count)), "{busiest:?}");
}

#[test]
fn thresholds_hold_for_what_is_known_already() {
    let mut bench = Bench::new(1);
    bench.run(20_000);
    let mut config = config(5_000);
    config.cells.stale_after_intervals = 2;
    bench.feed(configured(config));
    let own = bench.agent.view(at(bench.millis)).pace.thresholds;
    assert_eq!((own.stale_after, own.down_after_losses), (Span::seconds(10), 3));
}

#[test]
fn an_endpoint_is_probed_once_it_is_found_and_only_as_long_as_it_is_wanted() {
    let mut bench = Bench::new(1);
    let id = endpoint_id(&trust().mesh(), "gateway");
    let mut with = config(1_000);
    with.endpoints = vec![gateway()];
    bench.feed(configured(with.clone()));
    assert_eq!(bench.asked_for(), [[id]]);
    assert!(bench.run(5_000).iter().all(|(target, _)| *target != id), "nobody knows where it is");
    bench.feed(Input::Resolved { endpoint: id, address: Some([192, 0, 2, 1].into()) });
    let count = |counts: Vec<(AgentId, usize)>| counts.iter().find(|(target, _)| *target == id).map_or(0, |(_, n)| *n);
    assert!((9..=11).contains(&count(bench.run(10_000))));
    let view = bench.agent.view(at(bench.millis));
    let own = view.members.iter().find(|member| member.agent == super::bench::id(1)).unwrap();
    assert!(own.cells.iter().any(|(target, cell)| *target == id && cell.state == CellState::Ok.code()));
    assert_eq!(view.endpoints[0].name, "gateway");
    assert!(!view.members.iter().any(|member| member.agent == id), "it is no member");
    bench.feed(Input::Resolved { endpoint: id, address: None });
    assert_eq!(count(bench.run(5_000)), 0, "its name leads nowhere");
    bench.feed(Input::Resolved { endpoint: id, address: Some([192, 0, 2, 2].into()) });
    assert!(count(bench.run(5_000)) > 3);
    let mut moved = with;
    (moved.version, moved.endpoints[0].address) = (2, "elsewhere.example".to_string());
    bench.feed(configured(moved));
    assert_eq!(count(bench.run(5_000)), 0, "an address under another name is not known to be the same");
    bench.feed(configured(MeshConfig { version: 3, ..config(1_000) }));
    assert_eq!(bench.asked_for().last(), Some(&Vec::new()));
    bench.feed(Input::Resolved { endpoint: id, address: Some([192, 0, 2, 1].into()) });
    assert_eq!(count(bench.run(5_000)), 0, "an answer that came late");
}

#[test]
fn one_address_is_probed_for_one_endpoint_however_many_names_lead_to_it() {
    let mut bench = Bench::new(0);
    let mut config = config(1_000);
    let named = |n: u8| Endpoint { name: alloc::format!("e{n}"), address: alloc::format!("n{n}.example"), ..gateway() };
    config.endpoints = (0..48).map(named).collect();
    assert_eq!(config.faults(), []);
    bench.feed(configured(config));
    for wish in bench.asked_for().remove(0) {
        bench.feed(Input::Resolved { endpoint: wish, address: Some([198, 51, 100, 1].into()) });
    }
    let sent: usize = bench.run(10_000).iter().map(|(_, count)| count).sum();
    assert!(sent <= 12, "{sent} probes in 10 s");
}

#[test]
fn observers_are_worked_out_again_a_second_after_a_member_joined() {
    // Five observers of fifty: most agents are not one of them, and some stop being one when others join.
    let mut asked = 0;
    for number in 1..=50 {
        let mut bench = Bench::with(params(number), 0);
        let mut config = config(5_000);
        config.endpoints = vec![gateway()];
        bench.feed(configured(config));
        assert_eq!(bench.asked_for().len(), 1, "alone it observes everything");
        bench.feed(Input::Statements((1..=50).map(|n| Statement::Member(member(n, 1, 1))).collect()));
        assert_eq!(bench.asked_for().len(), 0, "not at once: more may come");
        bench.run(1_200);
        // Told to look nothing up any more, or nothing new.
        asked += usize::from(bench.asked_for().is_empty());
    }
    assert_eq!(asked, 5);
}

#[test]
fn excluded_pairs_are_not_probed_and_sites_are_those_of_the_configuration() {
    let mut bench = Bench::new(3);
    let mut config = config(1_000);
    let there = |agent: &str| AgentConfig { agent: agent.to_string(), site: Some("there".to_string()), tags: vec![] };
    config.agents = vec![there("agent-2"), there(&id(3).to_string())];
    let site = |name: &str| Selector::Site(name.to_string());
    config.exclude = vec![Exclusion { one: site("there"), other: site("here") }];
    bench.feed(configured(config.clone()));
    let counts = bench.run(10_000);
    assert_eq!(counts.iter().map(|(target, _)| *target).collect::<Vec<_>>(), [id(4)]);
    let sites = |bench: &Bench| -> Vec<_> {
        let members = bench.agent.view(at(bench.millis)).members;
        members.into_iter().map(|member| (member.agent, member.site)).collect()
    };
    assert!(sites(&bench).contains(&(id(2), "there".to_string())));
    (config.version, config.exclude) = (2, vec![]);
    bench.feed(configured(config));
    assert_eq!(bench.run(10_000).len(), 3);
}
