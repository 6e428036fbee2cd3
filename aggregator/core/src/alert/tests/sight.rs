//! What nobody is asked to measure any more.

use super::*;
use crate::alert::record::End;
use everypath_protocol::mesh_config::{Exclusion, Selector};

fn exclude(world: &mut World, one: Selector, other: Selector) {
    world.config.exclude.push(Exclusion { one, other });
}

fn named(name: &str) -> Selector {
    Selector::Agent(String::from(name))
}

/// Hosts are taken away, and pairs turn out to be blocked on purpose. An incident of them stayed open for ever, because nobody
/// measured whether it was over.
#[test]
fn an_incident_is_over_when_nobody_is_asked_about_it_any_more() {
    type Deed = fn(&mut World);
    type IsCell = fn(u8, u8) -> bool;
    let cases: [(Deed, Deed, IsCell); 3] = [
        (
            |world| world.host_down(4),
            |world| exclude(world, named("h4"), Selector::All),
            |source, target| source == 4 || target == 4,
        ),
        (
            |world| world.all(|source, target| (source, target) == (1, 5), CellState::Down),
            |world| exclude(world, named("h5"), named("h1")),
            |source, target| (source, target) == (1, 5) || (source, target) == (5, 1),
        ),
        (
            |world| world.all(|source, target| (source < 3) != (target < 3), CellState::Down),
            |world| exclude(world, Selector::All, Selector::Site(String::from("alpha"))),
            |source, target| source < 3 || target < 3,
        ),
    ];
    for (fault, wish, is_left_out) in cases {
        let mut world = World::new();
        world.seconds(20);
        fault(&mut world);
        world.seconds(60);
        assert_eq!(world.open().len(), 1);
        // Whoever does not measure it for another reason says nothing about it.
        world.all(is_left_out, CellState::Unknown);
        world.seconds(300);
        assert_eq!(world.open().len(), 1);
        world.told();
        wish(&mut world);
        world.seconds(2);
        assert!(world.open().is_empty());
        assert_eq!(world.told().len(), 2, "its end, in both channels");
        let ends: Vec<_> = world.kept.1.values().filter_map(|record| Some(record.ended?.1)).collect();
        assert_eq!(ends, [End::Gone]);
        world.seconds(900);
        assert_eq!(world.told(), Vec::<String>::new());
    }
}

/// Every second of `count`; what became of incidents, and what people were told.
fn all_that_happens(world: &mut World, count: u32) -> (Vec<ChangeKind>, Vec<String>) {
    world.changes.clear();
    world.told();
    world.seconds(count);
    (core::mem::take(&mut world.changes), world.told())
}

#[test]
fn one_that_is_left_out_may_be_silent_and_another_may_not() {
    let mut world = World::new();
    exclude(&mut world, named("h4"), Selector::All);
    exclude(&mut world, named("h2"), named("h3"));
    world.seconds(20);
    for host in [4, 2] {
        world.quiet.insert(host, world.now);
        world.all(|source, _| source == host, CellState::Unknown);
    }
    world.seconds(300);
    let [record] = world.open()[..] else { panic!("{:?}", world.told) };
    assert_eq!(record.title, "Agent h2 is silent, and its host answers");
}

/// It was found and ended in the same second, again and again, and nobody was told: what was found and what could end were two rules.
#[test]
fn a_site_that_others_do_not_measure_is_told_when_all_of_it_is_silent() {
    let mut world = World::new();
    for other in ["beta", "gamma"] {
        exclude(&mut world, Selector::Site(String::from("alpha")), Selector::Site(String::from(other)));
    }
    world.cells.retain(|(source, target), _| (*source < 3) == (*target < 3));
    world.seconds(20);
    for host in 0..3 {
        world.quiet.insert(host, world.now);
    }
    world.all(|source, _| source < 3, CellState::Unknown);
    let (changes, told) = all_that_happens(&mut world, 900);
    assert_eq!(changes, [ChangeKind::Opened]);
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(world.open()[0].title, "Site alpha: all 3 agents are silent");
}

#[test]
fn agents_that_have_nobody_left_to_measure_are_not_silent_and_blind_nobody() {
    let mut world = World::new();
    // One by one instead of by `all`.
    for other in (0..9).filter(|other| *other != 4) {
        exclude(&mut world, named("h4"), named(&format!("h{other}")));
    }
    world.seconds(20);
    world.quiet.insert(4, world.now);
    world.cells.retain(|(source, target), _| *source != 4 && *target != 4);
    assert_eq!(all_that_happens(&mut world, 900), (Vec::new(), Vec::new()));
}

#[test]
fn one_that_never_reported_is_told_if_it_is_alone_and_not_if_it_is_left_out() {
    let mut world = World::new();
    world.names.truncate(1);
    world.cells.clear();
    world.never.insert(0, world.now);
    let (changes, told) = all_that_happens(&mut world, 900);
    assert_eq!(changes, [ChangeKind::Opened]);
    assert_eq!(told.len(), 2, "{told:?}");

    let mut world = World::new();
    exclude(&mut world, named("h8"), Selector::All);
    world.cells.retain(|(source, target), _| *source != 8 && *target != 8);
    world.never.insert(8, world.now);
    assert_eq!(all_that_happens(&mut world, 900), (Vec::new(), Vec::new()));
}
