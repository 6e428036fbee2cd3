//! A fault shows cell by cell, in any order, over some seconds. It must be one incident all the same, of the right class.

use super::through_time::Watch;
use super::{Mesh, Random, SITES, host, pair, site};
use crate::incident::{Change, ChangeKind, Class, Direction, Subject};
use alloc::borrow::ToOwned;
use alloc::vec::Vec;
use everypath_protocol::cell::CellState;

const SEEDS: u64 = 40;
/// At an interval of 5 s, three losses in a row take this long with bursts after the first.
const SPREAD_SECONDS: usize = 8;

fn nine() -> Mesh {
    Mesh::full(&[3, 3, 3])
}

/// Lets what differs in `after` come in any order; an agent falls silent at the end of the spread, its row with it.
fn arrive(before: &Mesh, after: &Mesh, seed: u64) -> Watch {
    let mut random = Random(seed);
    let is_changed = |pair: &&(usize, usize)| before.cells.get(pair) != after.cells.get(pair);
    let changed = || after.cells.keys().filter(is_changed).copied();
    let silent: Vec<(usize, usize)> = changed().filter(|(source, _)| after.silent.contains(source)).collect();
    let bad: Vec<(usize, usize)> = changed().filter(|(source, _)| !after.silent.contains(source)).collect();
    let due: Vec<usize> = bad.iter().map(|_| random.below(SPREAD_SECONDS)).collect();
    let silent_at = SPREAD_SECONDS - 2 + random.below(3);
    let (mut mesh, mut watch) = (before.clone(), Watch::new());
    watch.see(&mesh, 5);
    for second in 0..=SPREAD_SECONDS {
        let arrived = bad.iter().zip(&due).filter(|(_, due)| **due == second);
        arrived.for_each(|(pair, _)| mesh.put(*pair, after.cells[pair]));
        if second == silent_at {
            mesh.silent.clone_from(&after.silent);
            silent.iter().for_each(|pair| mesh.put(*pair, CellState::Unknown));
        }
        watch.see(&mesh, 1);
    }
    assert_eq!(mesh.bad(), after.bad());
    watch.see(after, 30);
    watch
}

/// Every way in which the fault arrives opens as many incidents as there are causes, none is ever taken into another, and they
/// end as what they are. Then it heals in any order, and nothing new is told but the ends.
fn check(start: &Mesh, expected: &[(Class, Subject, Direction)], make: impl Fn(&mut Mesh)) {
    let mut after = start.clone();
    make(&mut after);
    for seed in 0..SEEDS {
        let mut watch = arrive(start, &after, seed);
        let told = |kind: fn(&ChangeKind) -> bool, changes: &[Change]| {
            changes.iter().filter(|change| kind(&change.kind)).count()
        };
        let is_opened = |kind: &ChangeKind| matches!(kind, ChangeKind::Opened | ChangeKind::Reopened);
        assert_eq!(told(is_opened, &watch.changes), expected.len(), "seed {seed}: {:?}", watch.changes);
        assert_eq!(told(|kind| matches!(kind, ChangeKind::Merged { .. }), &watch.changes), 0, "seed {seed}");
        let open = watch.tracker.open().iter().map(|incident| &incident.finding);
        let mut found: Vec<_> =
            open.map(|finding| (finding.class, finding.subject.clone(), finding.direction)).collect();
        found.sort();
        assert_eq!(found, expected, "seed {seed}");

        let mut bad: Vec<(usize, usize)> =
            after.cells.keys().copied().filter(|pair| after.cells[pair] != start.cells[pair]).collect();
        Random(seed).shuffle(&mut bad);
        let mut mesh = after.clone();
        mesh.silent.clear();
        let before = watch.changes.len();
        for well_again in bad.chunks(bad.len().div_ceil(SPREAD_SECONDS)) {
            well_again.iter().for_each(|pair| mesh.put(*pair, start.cells[pair]));
            watch.see(&mesh, 1);
        }
        watch.see(&mesh, 61);
        assert_eq!(watch.tracker.open(), []);
        let news = |kind: &ChangeKind| !matches!(kind, ChangeKind::Updated);
        assert_eq!(told(news, &watch.changes[before..]), expected.len(), "seed {seed}: {:?}", &watch.changes[before..]);
    }
}

#[test]
fn a_host_that_goes_down() {
    let expected = [(Class::HostDown, host(4), Direction::EitherOrBoth)];
    check(&nine(), &expected, |mesh| mesh.kill(4));
}

#[test]
fn a_host_behind_a_dead_uplink_that_is_heard_another_way() {
    let expected = [(Class::HostUnreachable, host(4), Direction::EitherOrBoth)];
    check(&nine(), &expected, |mesh| mesh.down(|source, target| source == 4 || target == 4));
}

#[test]
fn a_site_that_is_cut() {
    let expected = [(Class::SiteCut, site(1), Direction::EitherOrBoth)];
    check(&nine(), &expected, |mesh| mesh.cut(1));
    check(&nine(), &expected, |mesh| {
        mesh.cut(1);
        mesh.silence_site(1);
    });
}

#[test]
fn one_way_loss_between_two_hosts_and_between_two_sites() {
    let expected = [(Class::PairDown, pair(1, 7), Direction::Forward)];
    check(&nine(), &expected, |mesh| mesh.down(|source, target| (source, target) == (1, 7)));
    let subject = Subject::SitePair(SITES[0].to_owned(), SITES[2].to_owned());
    let expected = [(Class::SitePairCut, subject, Direction::Backward)];
    check(&nine(), &expected, |mesh| mesh.down(|source, target| source / 3 == 2 && target / 3 == 0));
}

#[test]
fn an_observer_that_is_cut_off() {
    let expected = [(Class::Isolated, host(4), Direction::Outward)];
    check(&nine(), &expected, |mesh| mesh.isolate(4));
}

#[test]
fn degraded_variants_arrive_as_one_too() {
    for state in [CellState::Slow, CellState::Lossy] {
        let expected = [(Class::SiteDegraded, site(2), Direction::EitherOrBoth)];
        check(&nine(), &expected, |mesh| mesh.set(state, |source, target| (source / 3 == 2) != (target / 3 == 2)));
        let expected = [(Class::HostDegraded, host(4), Direction::EitherOrBoth)];
        check(&nine(), &expected, |mesh| mesh.set(state, |source, target| source == 4 || target == 4));
    }
}

#[test]
fn two_faults_at_once_are_two_incidents() {
    let expected =
        [(Class::HostDown, host(1), Direction::EitherOrBoth), (Class::HostDown, host(7), Direction::EitherOrBoth)];
    check(&nine(), &expected, |mesh| {
        mesh.kill(1);
        mesh.kill(7);
    });
    let expected =
        [(Class::SiteCut, site(0), Direction::EitherOrBoth), (Class::HostDown, host(7), Direction::EitherOrBoth)];
    check(&nine(), &expected, |mesh| {
        mesh.cut(0);
        mesh.kill(7);
    });
    let expected =
        [(Class::HostDown, host(1), Direction::EitherOrBoth), (Class::Isolated, host(7), Direction::Outward)];
    check(&nine(), &expected, |mesh| {
        mesh.kill(1);
        mesh.isolate(7);
    });
}

#[test]
fn faults_of_a_mesh_in_which_each_measures_few() {
    for seed in 0..4 {
        let start = Mesh::sparse(seed);
        let dead = 20 + usize::try_from(seed).unwrap();
        check_few(&start, (Class::HostDown, host(dead)), |mesh| mesh.kill(dead));
        check_few(&start, (Class::SiteCut, site(3)), |mesh| mesh.cut(3));
        check_few(&start, (Class::Isolated, host(dead)), |mesh| mesh.isolate(dead));
    }
}

fn check_few(start: &Mesh, expected: (Class, Subject), make: impl Fn(&mut Mesh)) {
    let mut after = start.clone();
    make(&mut after);
    for seed in 0..8 {
        let watch = arrive(start, &after, seed);
        let opened = watch.changes.iter().filter(|change| change.kind == ChangeKind::Opened).count();
        assert_eq!(opened, 1, "seed {seed}: {:?}", watch.changes);
        assert_eq!((watch.only().finding.class, watch.only().finding.subject.clone()), expected, "seed {seed}");
    }
}
