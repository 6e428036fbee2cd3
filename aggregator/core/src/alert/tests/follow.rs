//! What an incident is called while it grows, recovers and comes back, and what is kept of that.

use super::*;
use crate::alert::watch::SEEN_EVERY;
use everypath_verdict::incident::Class;

const BOTH: &str = "Probes between h1 and h5 fail";

/// Both directions between two hosts, told and forgotten.
fn a_pair() -> World {
    let mut world = World::new();
    world.seconds(20);
    world.set(1, 5, CellState::Down, 1_000, 0);
    world.set(5, 1, CellState::Down, 1_000, 0);
    world.seconds(30);
    assert_eq!(world.open()[0].title, BOTH);
    world.told();
    world
}

#[test]
fn what_recovers_one_direction_first_keeps_its_name_and_makes_no_sound() {
    let mut world = a_pair();
    world.set(1, 5, CellState::Ok, 0, 1_000);
    world.seconds(40);
    assert!(world.open()[0].evidence.starts_with("1 of 2 measured paths is down."), "{}", world.open()[0].evidence);
    world.set(5, 1, CellState::Ok, 0, 1_000);
    world.seconds(100);
    assert_eq!(world.told(), [format!("chat resolved critical: {BOTH}"), format!("mail resolved critical: {BOTH}")]);
    let Some(record) = world.kept.1.values().next() else { panic!("kept") };
    assert_eq!(record.history.len(), 2, "{:?}", record.history);
}

#[test]
fn what_stays_milder_is_called_so_after_the_clearing_time() {
    let mut world = a_pair();
    world.set(1, 5, CellState::Ok, 0, 1_000);
    world.seconds(58);
    assert_eq!(world.open()[0].title, BOTH);
    world.seconds(5);
    assert_eq!(world.open()[0].title, "h5 does not reach h1; h1 reaches h5");
    // The other way now: nothing heals, so it is called so at once.
    world.set(1, 5, CellState::Down, 1_000, 0);
    world.set(5, 1, CellState::Ok, 0, 1_000);
    world.seconds(2);
    assert_eq!(world.open()[0].title, "h1 does not reach h5; h5 reaches h1");
}

#[test]
fn a_host_that_comes_back_path_by_path_stays_that_host_and_what_grows_is_renamed() {
    let mut world = World::new();
    world.seconds(20);
    world.host_down(4);
    world.seconds(60);
    world.told();
    world.quiet.clear();
    for other in 0..7 {
        let is_other = |source, target| (source == 4 && target == other) || (source == other && target == 4);
        world.all(is_other, CellState::Ok);
        world.seconds(2);
        assert_eq!((world.open().len(), world.open()[0].title.as_str()), (1, "Host h4 is down"), "{other}");
    }
    world.heal();
    world.seconds(100);
    assert_eq!(world.told(), ["chat resolved critical: Host h4 is down", "mail resolved critical: Host h4 is down"]);

    let mut world = World::new();
    world.seconds(20);
    world.host_down(4);
    world.seconds(60);
    world.all(|source, target| (source / 3 == 1) != (target / 3 == 1), CellState::Down);
    world.seconds(10);
    let larger = world.open().into_iter().find(|record| record.class == Class::SiteCut);
    assert!(larger.is_some_and(|record| record.title == "Site beta is cut off"), "{:?}", world.open());
}

#[test]
fn an_agent_that_never_reported_is_silent_from_its_joining_on() {
    let mut world = World::new();
    world.never.insert(8, T0.minus(Span::seconds(40)));
    world.seconds(19);
    assert!(world.open().is_empty());
    world.seconds(40);
    let [record] = world.open()[..] else { panic!("one: {:?}", world.open()) };
    assert_eq!(
        (record.class, record.title.as_str(), record.since),
        (Class::Silent, "Agent h8 is silent", T0.minus(Span::seconds(40)))
    );
    assert_eq!(record.notes, ["It never reported since it joined; is `mesh-agent run` started there?"]);
    assert_eq!(world.told().len(), 2);
    // It was started.
    world.never.clear();
    world.seconds(90);
    assert_eq!(world.told().len(), 2);
    assert!(world.open().is_empty());
}

#[test]
fn many_agents_that_were_never_started_blind_nobody() {
    let mut world = World::new();
    for host in 3..9 {
        world.never.insert(host, T0);
    }
    world.set(0, 1, CellState::Down, 1_000, 0);
    world.set(1, 0, CellState::Down, 1_000, 0);
    let mut blind = 0;
    for _ in 0..120 {
        blind += u32::from(world.second().is_blind);
    }
    assert_eq!((blind, world.open().len()), (0, 7));
}

#[test]
fn when_an_incident_was_last_found_is_kept_once_a_minute() {
    let mut world = a_pair();
    let (mut given, mut behind) = (0, 0);
    for _ in 0..300 {
        let step = world.second();
        given += step.records.len();
        let kept = world.kept.1.values().next().map(|record| world.now.since(record.last_seen));
        behind = behind.max(kept.map_or(u64::MAX, Span::as_seconds));
    }
    assert!(behind <= SEEN_EVERY.as_seconds(), "{behind} s");
    assert_eq!(given, 5);
}

#[test]
fn what_came_back_remembers_how_long_it_lasted_each_time() {
    let mut world = a_pair();
    let first = world.open()[0].opened;
    for _ in 0..2 {
        world.heal();
        world.seconds(100);
        world.set(1, 5, CellState::Down, 1_000, 0);
        world.set(5, 1, CellState::Down, 1_000, 0);
        world.seconds(30);
    }
    let now = world.now;
    let [record] = world.open()[..] else { panic!("one: {:?}", world.open()) };
    assert_eq!((record.flaps, record.first_opened), (2, first));
    assert!(record.opened > first);
    let lasted = record.lasted(now).as_seconds();
    assert!((85..=95).contains(&lasted), "three times 30 s: {lasted}");
}

#[test]
fn what_is_over_says_what_it_was_at_its_worst_and_not_what_it_was_half_way_to_its_end() {
    let mut world = a_pair();
    world.set(1, 5, CellState::Ok, 0, 1_000);
    world.seconds(20);
    world.set(5, 1, CellState::Ok, 0, 1_000);
    world.seconds(100);
    let Some(record) = world.kept.1.values().next() else { panic!("kept") };
    assert!(record.evidence.starts_with("At its worst: 2 of 2 measured paths are down."), "{}", record.evidence);
}

/// The time that it was there is never longer than there was time: what is known of one that never reported begins anew with its
/// joining each time.
#[test]
fn what_comes_back_is_not_counted_twice() {
    let mut world = World::new();
    let began = world.now;
    world.cells.retain(|(source, target), _| *source != 8 && *target != 8);
    world.never.insert(8, began);
    world.seconds(120);
    for _ in 0..3 {
        let rules = core::mem::take(&mut world.rules);
        world.seconds(90);
        world.rules = rules;
        world.seconds(90);
    }
    let [record] = world.open()[..] else { panic!("{:?}", world.told) };
    assert_eq!(record.flaps, 3);
    let (lasted, passed) = (record.lasted(world.now), world.now.since(began));
    assert!(lasted <= passed, "{lasted:?} of {passed:?}");
}
