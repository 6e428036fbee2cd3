//! Hosts without an agent, observed by five agents at most.

use super::super::{Ambiguity, Change, ChangeKind, Class, Direction, Finding, Rules, Subject, Tracker, classify};
use super::{Mesh, Random, START, agent, host, pair, site};
use alloc::vec::Vec;
use everypath_protocol::cell::CellState;
use everypath_protocol::time::Span;

impl Mesh {
    /// A host that these agents observe. It stands in the site of another one, which must mean nothing.
    fn endpoint(&mut self, observers: &[usize]) -> usize {
        let index = self.site_of.len();
        self.site_of.push(11);
        self.endpoints.insert(index);
        self.cells.extend(observers.iter().map(|observer| ((*observer, index), CellState::Ok)));
        index
    }
}

/// Nine agents in three sites, and endpoints.
fn watched(observers: &[&[usize]]) -> (Mesh, Vec<usize>) {
    let mut mesh = Mesh::full(&[3, 3, 3]);
    let endpoints = observers.iter().map(|observers| mesh.endpoint(observers)).collect();
    (mesh, endpoints)
}

fn gist(finding: &Finding) -> (Class, Subject, Option<Ambiguity>) {
    (finding.class, finding.subject.clone(), finding.ambiguity)
}

#[test]
fn nobody_reaches_it() {
    for (observers, ambiguity) in [
        (&[0, 1, 3, 6, 7][..], None),
        (&[0, 3, 6], None),
        (&[0, 3], Some(Ambiguity::FewWitnesses)),
        (&[4], Some(Ambiguity::FewWitnesses)),
    ] {
        let (mut mesh, endpoints) = watched(&[observers]);
        mesh.down(|_, target| target == endpoints[0]);
        let finding = mesh.only();
        assert_eq!(gist(&finding), (Class::HostDown, host(endpoints[0]), ambiguity));
        assert_eq!((finding.cells.len(), finding.evidence.witnesses as usize), (observers.len(), observers.len()));
        assert!(finding.silent.is_empty());
        assert_eq!(finding.message(&|_| "gw".into()).title, "Host gw is down");
    }
}

#[test]
fn some_reach_it() {
    let (mut mesh, endpoints) = watched(&[&[0, 1, 3, 6, 7]]);
    let gateway = endpoints[0];
    mesh.put((0, gateway), CellState::Down);
    assert_eq!(gist(&mesh.only()), (Class::PairDown, pair(0, gateway), None));
    mesh.put((1, gateway), CellState::Down);
    assert_eq!(mesh.findings().len(), 2);
    mesh.put((3, gateway), CellState::Down);
    assert_eq!(gist(&mesh.only()), (Class::HostDown, host(gateway), Some(Ambiguity::MixedEvidence)));
    let (mut mesh, endpoints) = watched(&[&[0, 1, 3, 6, 7]]);
    mesh.set(CellState::Lossy, |_, target| target == endpoints[0]);
    let finding = mesh.only();
    assert_eq!(gist(&finding), (Class::HostDegraded, host(endpoints[0]), None));
    assert_eq!(finding.message(&|_| "gw".into()).title, "Paths to gw lose probes");
}

#[test]
fn several_endpoints_are_no_site() {
    let (mut mesh, endpoints) = watched(&[&[0, 1, 3, 6, 7], &[1, 2, 3, 4, 8], &[0, 2, 4, 5, 6]]);
    mesh.down(|_, target| endpoints.contains(&target));
    let subjects: Vec<_> = mesh.findings().iter().map(|finding| (finding.class, finding.subject.clone())).collect();
    let mut expected: Vec<_> = endpoints.iter().map(|endpoint| (Class::HostDown, host(*endpoint))).collect();
    expected.sort();
    assert_eq!(subjects, expected);
    // Nor is it one that has the same name as a real one.
    let mut mesh = Mesh::full(&[1; 12]);
    let (one, other) = (mesh.endpoint(&[0, 1, 2]), mesh.endpoint(&[3, 4, 5]));
    mesh.down(|_, target| target == one || target == other);
    assert!(mesh.findings().iter().all(|finding| finding.class == Class::HostDown));
}

#[test]
fn who_is_cut_off_accuses_no_endpoint() {
    let observers: [&[usize]; 3] = [&[0, 1, 3, 6, 7], &[0], &[0, 1, 2]];
    // An observer.
    let (mut mesh, _) = watched(&observers);
    mesh.isolate(0);
    let finding = mesh.only();
    assert_eq!(gist(&finding), (Class::Isolated, host(0), None));
    assert_eq!(finding.cells.len(), 11, "eight agents and three endpoints");
    // Its host, of which the last that was heard is still fresh.
    let (mut mesh, _) = watched(&observers);
    mesh.down(|source, target| source == 0 || target == 0);
    assert_eq!((mesh.only().class, mesh.only().subject), (Class::HostUnreachable, host(0)));
    // A site: whoever is in it reaches neither the others nor what is outside.
    let (mut mesh, _) = watched(&observers);
    mesh.cut(0);
    let endpoints = mesh.endpoints.clone();
    mesh.down(|source, target| source < 3 && endpoints.contains(&target));
    assert_eq!((mesh.only().class, mesh.only().subject), (Class::SiteCut, site(0)));
    // What is inside with it.
    let (mut mesh, _) = watched(&observers);
    mesh.down(|source, target| (source < 3) != (target < 3 || endpoints.contains(&target)));
    assert_eq!((mesh.only().class, mesh.only().subject), (Class::SiteCut, site(0)));
    // And one that is down while another site is cut is a finding of its own.
    let (mut mesh, _) = watched(&[&[3, 4, 6, 7, 8]]);
    mesh.cut(0);
    mesh.down(|_, target| target == 9);
    let classes: Vec<_> = mesh.findings().iter().map(|finding| finding.class).collect();
    assert_eq!(classes, [Class::SiteCut, Class::HostDown]);
}

#[test]
fn an_agent_that_is_alone_and_reaches_nothing_is_cut_off() {
    let mut mesh = Mesh::full(&[1]);
    let endpoints = [mesh.endpoint(&[0]), mesh.endpoint(&[0]), mesh.endpoint(&[0]), mesh.endpoint(&[0])];
    mesh.down(|_, _| true);
    let finding = mesh.only();
    assert_eq!(gist(&finding), (Class::Isolated, host(0), Some(Ambiguity::NobodyElse)));
    assert_eq!((finding.cells.len(), finding.evidence.bad, finding.direction), (4, 4, Direction::Outward));
    mesh.put((0, endpoints[3]), CellState::Ok);
    assert_eq!(mesh.findings().len(), 3, "it reaches something, so it is them");
}

#[test]
fn endpoints_are_counted_nowhere() {
    // Six of ten would be most of them.
    let mut mesh = Mesh::full(&[2, 2]);
    (0..6).for_each(|_| assert!(mesh.endpoint(&[0, 1, 2, 3]) > 3));
    mesh.silence(0);
    mesh.silence(1);
    assert!(mesh.findings().iter().all(|finding| finding.class != Class::AggregatorBlind));
    mesh.silence(2);
    assert_eq!(mesh.only().evidence.fresh, 4);
    // Nothing that an endpoint is said to measure is believed.
    let (mut mesh, endpoints) = watched(&[&[0, 1, 3, 6, 7]]);
    (0..9).for_each(|target| mesh.put((endpoints[0], target), CellState::Down));
    assert!(mesh.findings().is_empty());
    // A site of which only an endpoint is left is gone.
    let snapshot = mesh.snapshot();
    assert_eq!(snapshot.seen(&site(11)), super::super::Seen::Gone);
}

#[test]
fn it_opens_and_ends_as_one_incident() {
    let (mut mesh, endpoints) = watched(&[&[0, 1, 3, 6, 7]]);
    mesh.down(|_, target| target == endpoints[0]);
    let mut tracker = Tracker::new(Rules::default());
    let mut seen: Vec<ChangeKind> = Vec::new();
    for second in 0..120 {
        if second == 30 {
            mesh.cells.values_mut().for_each(|cell| *cell = CellState::Ok);
        }
        let snapshot = mesh.snapshot();
        let changes = tracker.observe(START.plus(Span::seconds(second)), &mesh.findings(), &snapshot);
        seen.extend(changes.into_iter().map(|Change { kind, .. }| kind));
    }
    assert!(matches!(seen[..], [ChangeKind::Opened, ChangeKind::Resolved(_)]), "{seen:?}");
}

/// Whatever is broken, each bad cell is in one finding, and the order in which cells come says nothing.
#[test]
fn each_bad_cell_is_explained_once_in_any_order() {
    for seed in 0..2_000 {
        let mut random = Random(seed);
        let mut mesh = Mesh::full(&[1 + random.below(3), 1 + random.below(3), random.below(3)]);
        let agents = mesh.site_of.len();
        for _ in 0..random.below(5) {
            let observers: Vec<usize> = (0..agents).filter(|_| random.below(2) == 0).collect();
            mesh.endpoint(&observers);
        }
        let states = [CellState::Ok, CellState::Down, CellState::Lossy, CellState::Unknown];
        let worse = 1 + random.below(4);
        for cell in mesh.cells.values_mut() {
            *cell = states[if random.below(4) < worse { random.below(4) } else { 0 }];
        }
        if random.below(3) == 0 {
            mesh.isolate(random.below(agents));
        }
        let mut snapshot = mesh.snapshot();
        let findings = classify(&snapshot, &Rules::default());
        let mut explained: Vec<_> = findings.iter().flat_map(|finding| finding.cells.clone()).collect();
        explained.sort();
        assert_eq!(explained, mesh.bad(), "{seed}");
        for finding in &findings {
            assert!(finding.cells.is_sorted() && finding.evidence.bad as usize >= finding.cells.len());
            let is_endpoint = |index: &usize| finding.subject == host(*index);
            let of_endpoint = mesh.endpoints.iter().any(is_endpoint);
            assert!(!of_endpoint || !matches!(finding.class, Class::Isolated | Class::Silent), "{seed}");
            assert!(
                finding.cells.iter().all(|(source, _)| *source < agent(agents)),
                "{seed}: an endpoint says something"
            );
        }
        random.shuffle(&mut snapshot.cells);
        assert_eq!(classify(&snapshot, &Rules::default()), findings, "{seed}");
    }
}
