//! Hosts without an agent, and agents by their tags.

use super::*;
use crate::alert::scope::{Scope, Selector};
use crate::alert::silence::SilenceId;

impl World {
    /// A host that these agents measure, in the site that all of them have in the pages.
    fn endpoint(&mut self, name: &str, observers: &[u8]) -> u8 {
        let number = u8::try_from(self.names.len()).expect("a few");
        self.names.push((name.into(), "endpoints"));
        self.endpoints.insert(number);
        self.cells.extend(observers.iter().map(|observer| ((*observer, number), (CellState::Ok, 0, 1_000))));
        number
    }
}

#[test]
fn an_endpoint_that_nobody_reaches_is_one_incident_with_its_name() {
    let mut world = World::new();
    let gateway = world.endpoint("gateway", &[0, 1, 3, 6, 7]);
    let printer = world.endpoint("printer", &[0, 4]);
    world.seconds(120);
    assert!(world.told().is_empty(), "it says nothing, and is not silent");
    world.all(|_, target| target == gateway, CellState::Down);
    world.seconds(40);
    assert_eq!(
        world.told(),
        ["chat opened critical: Host gateway is down", "mail opened critical: Host gateway is down"]
    );
    let [record] = &world.open()[..] else { panic!("one incident") };
    assert_eq!(record.evidence, "5 of 5 measured paths are down. 5 agents say so: h0, h1, h3, h6 and h7.");
    assert!(!record.is_ambiguous);
    // A second one is no site that is cut.
    world.all(|_, target| target >= gateway, CellState::Down);
    world.seconds(40);
    assert_eq!(
        world.told(),
        ["chat opened critical: Host printer is down", "mail opened critical: Host printer is down"]
    );
    let of_printer = world.open().into_iter().find(|record| record.title.contains("printer")).cloned();
    let of_printer = of_printer.expect("open");
    assert_eq!(of_printer.notes, ["Only 2 agents can tell, so it may be something else."]);
    assert!(of_printer.is_ambiguous && printer > gateway);
    world.heal();
    world.seconds(90);
    assert!(world.open().is_empty());
}

#[test]
fn an_observer_that_is_down_says_nothing_about_endpoints() {
    let mut world = World::new();
    let own = world.endpoint("behind", &[0]);
    world.endpoint("gateway", &[0, 1, 3, 6, 7]);
    world.host_down(0);
    world.seconds(120);
    let titles: Vec<&str> = world.open().iter().map(|record| record.title.as_str()).collect();
    assert_eq!(titles, ["Host h0 is down"], "and {own} is not measured");
}

#[test]
fn endpoints_do_not_make_silent_agents_fewer() {
    let mut world = World::new();
    for number in 0..20 {
        world.endpoint(&format!("e{number}"), &[0, 1, 3, 6, 7]);
    }
    for host in 0..6 {
        world.quiet.insert(host, world.now);
    }
    world.seconds(30);
    assert!(world.second().is_blind, "six of nine agents, however many endpoints there are");
}

#[test]
fn a_silence_covers_an_endpoint() {
    let mut world = World::new();
    let gateway = world.endpoint("gateway", &[0, 1, 3]);
    world.silences.push(Silence {
        id: SilenceId(1),
        scope: Scope::around(agent(gateway)),
        from: T0,
        until: T0.plus(Span::seconds(3_600)),
        reason: "new router".into(),
        author: "me".into(),
        is_maintenance: true,
    });
    world.all(|_, target| target == gateway, CellState::Down);
    world.seconds(40);
    assert!(world.told().is_empty());
    assert_eq!(world.open()[0].silences, [SilenceId(1)]);
}

#[test]
fn a_rule_by_tag_looks_at_those_who_have_it() {
    let mut world = World::new();
    let tagged = |tag: &str| Selector { tags: Vec::from([tag.into()]), ..Selector::default() };
    world.rules.truncate(1);
    world.rules[0].scope = Scope { source: tagged("edge"), target: Selector::default(), both_ways: true };
    world.all(|_, target| target == 4, CellState::Down);
    world.seconds(40);
    assert!(world.open().is_empty(), "nobody has the tag");
    world.tags.insert(4, Vec::from(["core".into(), "edge".into()]));
    world.seconds(40);
    assert_eq!(world.open().len(), 1);
    assert!(world.open()[0].title.contains("h4"), "{}", world.open()[0].title);
}
