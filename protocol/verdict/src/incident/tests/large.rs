//! 256 agents who all measure each other: 65,280 cells. No time is asserted: that is a bench's.

use super::{Mesh, Random, START, host, site};
use crate::incident::{CANDIDATES_MAX, Class, OPEN_MAX, Rules, Subject, Tracker};
use alloc::vec::Vec;
use everypath_protocol::cell::CellState;
use everypath_protocol::time::Span;

fn large() -> Mesh {
    Mesh::full(&[22, 22, 22, 22, 21, 21, 21, 21, 21, 21, 21, 21])
}

#[test]
fn the_shapes_of_a_large_mesh() {
    let start = large();
    assert_eq!((start.site_of.len(), start.cells.len()), (256, 65_280));
    let only = |make: &dyn Fn(&mut Mesh)| {
        let mut mesh = start.clone();
        make(&mut mesh);
        let found = mesh.only();
        (found.class, found.subject)
    };
    assert_eq!(start.findings(), []);
    assert_eq!(only(&|mesh| mesh.kill(77)), (Class::HostDown, host(77)));
    assert_eq!(only(&|mesh| mesh.isolate(77)), (Class::Isolated, host(77)));
    assert_eq!(only(&|mesh| mesh.cut(3)), (Class::SiteCut, site(3)));
    assert_eq!(only(&|mesh| mesh.set(CellState::Slow, |_, _| true)), (Class::MeshDegraded, Subject::Mesh));
}

#[test]
fn twenty_dead_hosts_and_two_hundred_bad_pairs_are_as_many_incidents() {
    let mut mesh = large();
    let mut random = Random(5);
    let mut pairs: Vec<(usize, usize)> =
        mesh.cells.keys().copied().filter(|(source, target)| source < target).collect();
    random.shuffle(&mut pairs);
    pairs.iter().filter(|(source, _)| *source >= 20).take(200).for_each(|pair| mesh.put(*pair, CellState::Lossy));
    (0..20).for_each(|index| mesh.kill(index));
    let findings = mesh.findings();
    let count = |class: Class| findings.iter().filter(|finding| finding.class == class).count();
    assert_eq!((count(Class::HostDown), count(Class::PairDegraded)), (20, 200));
}

#[test]
fn a_mesh_full_of_noise_stays_within_every_limit() {
    let mut mesh = large();
    let mut random = Random(7);
    let cells: Vec<(usize, usize)> = mesh.cells.keys().copied().collect();
    let bad = cells.iter().filter(|_| random.below(4) == 0).copied().collect::<Vec<_>>();
    bad.iter().for_each(|pair| mesh.put(*pair, CellState::Lossy));
    let findings = mesh.findings();
    assert!(findings.len() > CANDIDATES_MAX, "{}", findings.len());
    let snapshot = mesh.snapshot();
    let mut tracker = Tracker::new(Rules::default());
    for second in 0..10 {
        tracker.observe(START.plus(Span::seconds(second)), &findings, &snapshot);
    }
    assert_eq!(tracker.open().len(), OPEN_MAX + 1);
    let restored = Tracker::from_bytes(&tracker.to_bytes(), Rules::default()).unwrap();
    assert_eq!(restored.open(), tracker.open());
}
