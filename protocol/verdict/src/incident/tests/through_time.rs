use super::{Mesh, Random, START, agent, host, pair, site};
use crate::incident::{
    CANDIDATES_MAX, Change, ChangeKind, Class, Ending, Incident, IncidentId, OPEN_MAX, Rules, Subject, Tracker,
    classify,
};
use alloc::vec::Vec;
use everypath_protocol::cell::CellState;
use everypath_protocol::time::{Span, UnixTime};

/// A tracker that is asked once a second.
pub(super) struct Watch {
    pub(super) tracker: Tracker,
    second: u64,
    pub(super) changes: Vec<Change>,
}

impl Watch {
    pub(super) fn new() -> Self {
        Self { tracker: Tracker::new(Rules::default()), second: 0, changes: Vec::new() }
    }

    fn now(&self) -> UnixTime {
        START.plus(Span::seconds(self.second))
    }

    /// The changes of these seconds.
    pub(super) fn see(&mut self, mesh: &Mesh, seconds: u64) -> Vec<ChangeKind> {
        let before = self.changes.len();
        let snapshot = mesh.snapshot();
        let findings = classify(&snapshot, &Rules::default());
        for _ in 0..seconds {
            self.second += 1;
            let changes = self.tracker.observe(self.now(), &findings, &snapshot);
            self.changes.extend(changes);
        }
        self.changes[before..].iter().map(|change| change.kind).collect()
    }

    pub(super) fn only(&self) -> &Incident {
        assert_eq!(self.tracker.open().len(), 1);
        &self.tracker.open()[0]
    }

    fn count(&self, kind: ChangeKind) -> usize {
        self.changes.iter().filter(|change| change.kind == kind).count()
    }
}

fn well() -> Mesh {
    Mesh::full(&[3, 3, 3])
}

fn dead(index: usize) -> Mesh {
    let mut mesh = well();
    mesh.kill(index);
    mesh
}

fn bad_pair() -> Mesh {
    let mut mesh = well();
    mesh.down(|source, target| source.min(target) == 1 && source.max(target) == 7);
    mesh
}

#[test]
fn a_fault_opens_one_incident_after_it_held_and_ends_it_after_a_quiet_minute() {
    let mut watch = Watch::new();
    assert_eq!(watch.see(&dead(4), 5), []);
    assert_eq!(watch.see(&dead(4), 1), [ChangeKind::Opened]);
    assert_eq!((watch.only().finding.class, watch.only().finding.subject.clone()), (Class::HostDown, host(4)));
    assert_eq!(watch.see(&dead(4), 300), [], "nothing new is no change");
    assert_eq!(watch.see(&well(), 59), []);
    assert_eq!(watch.see(&well(), 1), [ChangeKind::Resolved(Ending::Recovered)]);
    assert_eq!((watch.tracker.open().len(), watch.tracker.remembered().len()), (0, 1));
    assert_eq!(watch.tracker.remembered()[0].ended, Some(START.plus(Span::seconds(306))));
}

#[test]
fn what_lasts_a_moment_opens_nothing() {
    let mut watch = Watch::new();
    for _ in 0..20 {
        assert_eq!(watch.see(&dead(4), 4), []);
        assert_eq!(watch.see(&well(), 6), []);
    }
}

#[test]
fn a_gap_of_a_few_seconds_does_not_begin_anew() {
    let mut watch = Watch::new();
    watch.see(&bad_pair(), 2);
    watch.see(&well(), 3);
    assert_eq!(watch.see(&bad_pair(), 4), [ChangeKind::Opened], "anew it would take six");
}

#[test]
fn a_larger_explanation_takes_the_smaller_incidents_in_and_keeps_the_oldest_name() {
    let mut first = well();
    first.down(|source, target| target == 4 && source == 0);
    let mut second = first.clone();
    second.down(|source, target| target == 4 && source == 8);
    let mut watch = Watch::new();
    watch.see(&first, 10);
    let oldest = watch.only().id;
    watch.see(&second, 10);
    assert_eq!(watch.tracker.open().len(), 2);
    let other = watch.tracker.open().iter().map(|incident| incident.id).find(|id| *id != oldest).unwrap();
    let changes = watch.see(&dead(4), 4);
    assert_eq!(watch.only().id, oldest);
    assert_eq!((watch.only().finding.class, watch.only().finding.subject.clone()), (Class::HostDown, host(4)));
    let (mut merged, mut reclassified) = (0, 0);
    for change in changes {
        merged += usize::from(change == ChangeKind::Merged { into: oldest });
        reclassified += usize::from(change == ChangeKind::Reclassified { from: Class::PairDown });
    }
    assert_eq!((merged, reclassified), (1, 1));
    assert!(watch.only().aliases.contains(&other));
    assert_eq!(watch.see(&well(), 60), [ChangeKind::Resolved(Ending::Recovered)]);
}

#[test]
fn a_site_that_is_cut_around_a_dead_host_is_another_incident_and_hides_neither() {
    let mut watch = Watch::new();
    watch.see(&dead(4), 30);
    let mut both = dead(4);
    both.cut(1);
    assert_eq!(watch.see(&both, 20).iter().filter(|kind| **kind == ChangeKind::Opened).count(), 1);
    let classes = |watch: &Watch| {
        let mut classes: Vec<Class> = watch.tracker.open().iter().map(|incident| incident.finding.class).collect();
        classes.sort_unstable();
        classes
    };
    assert_eq!(classes(&watch), [Class::SiteCut, Class::HostDown]);
    watch.see(&dead(4), 60);
    assert_eq!(classes(&watch), [Class::HostDown]);
    assert_eq!(watch.count(ChangeKind::Opened), 2);
}

#[test]
fn a_class_gets_worse_when_three_of_ten_evaluations_say_so_and_better_when_all_ten_do() {
    let mut lossy = well();
    lossy.set(CellState::Lossy, |source, target| source.min(target) == 1 && source.max(target) == 7);
    let mut watch = Watch::new();
    watch.see(&lossy, 10);
    let worse = ChangeKind::Reclassified { from: Class::PairDegraded };
    for _ in 0..10 {
        assert_eq!(watch.see(&bad_pair(), 2), []);
        assert_eq!(watch.see(&lossy, 9), [], "two of ten are not enough, and are forgotten");
    }
    assert_eq!(watch.see(&bad_pair(), 1), []);
    assert_eq!(watch.see(&lossy, 4), []);
    assert_eq!(watch.see(&bad_pair(), 1), []);
    assert_eq!(watch.see(&lossy, 3), []);
    assert_eq!(watch.see(&bad_pair(), 1), [worse], "the third of ten");
    for _ in 0..10 {
        assert_eq!(watch.see(&lossy, 9), []);
        assert_eq!(watch.see(&bad_pair(), 1), []);
    }
    assert_eq!(watch.see(&lossy, 10), [ChangeKind::Reclassified { from: Class::PairDown }]);
}

#[test]
fn recovery_cell_by_cell_is_no_other_class_and_no_other_incident() {
    for seed in 0..40 {
        let mut mesh = well();
        mesh.cut(1);
        let mut watch = Watch::new();
        watch.see(&mesh, 20);
        let id = watch.only().id;
        let mut bad: Vec<(usize, usize)> =
            mesh.cells.keys().copied().filter(|pair| mesh.cells[pair] == CellState::Down).collect();
        Random(seed).shuffle(&mut bad);
        for well_again in bad.chunks(bad.len().div_ceil(8)) {
            well_again.iter().for_each(|pair| mesh.put(*pair, CellState::Ok));
            watch.see(&mesh, 1);
        }
        watch.see(&mesh, 70);
        let told: Vec<ChangeKind> =
            watch.changes.iter().map(|change| change.kind).filter(|kind| *kind != ChangeKind::Updated).collect();
        assert_eq!(told, [ChangeKind::Opened, ChangeKind::Resolved(Ending::Recovered)], "seed {seed}");
        assert!(watch.changes.iter().all(|change| change.id == id), "seed {seed}");
    }
}

#[test]
fn a_site_cut_that_shows_cell_by_cell_over_eight_seconds_is_one_incident() {
    let mut meshes = Vec::from([well()]);
    meshes.extend((0..2).map(Mesh::sparse));
    for (number, start) in meshes.iter().enumerate() {
        for seed in 0..20 {
            let cut_site = 1;
            let mut last = start.clone();
            last.cut(cut_site);
            let mut bad: Vec<(usize, usize)> =
                last.cells.keys().copied().filter(|pair| last.cells[pair] == CellState::Down).collect();
            let mut random = Random(seed);
            random.shuffle(&mut bad);
            let due: Vec<usize> = bad.iter().map(|_| random.below(8)).collect();
            let (mut mesh, mut watch) = (start.clone(), Watch::new());
            for second in 0..8 {
                bad.iter()
                    .zip(&due)
                    .filter(|(_, due)| **due == second)
                    .for_each(|(pair, _)| mesh.put(*pair, CellState::Down));
                watch.see(&mesh, 1);
            }
            watch.see(&mesh, 20);
            assert_eq!(
                (watch.only().finding.class, watch.only().finding.subject.clone()),
                (Class::SiteCut, site(cut_site))
            );
            assert_eq!(watch.count(ChangeKind::Opened), 1, "mesh {number}, seed {seed}");
        }
    }
}

#[test]
fn what_comes_back_is_the_same_incident_and_flaps_after_the_fourth_time() {
    let mut watch = Watch::new();
    watch.see(&dead(4), 10);
    let id = watch.only().id;
    for round in 1..=6 {
        watch.see(&well(), 60);
        let changes = watch.see(&dead(4), 10);
        assert_eq!(changes, [ChangeKind::Reopened], "detection is not damped in round {round}");
        let incident = watch.only();
        assert_eq!((incident.id, incident.flaps, incident.is_flapping), (id, round, round >= 4), "round {round}");
    }
    assert_eq!(watch.see(&dead(4), 3_600), [ChangeKind::Updated], "the penalty wears off");
    assert!(!watch.only().is_flapping);
}

#[test]
fn what_comes_back_after_ten_minutes_is_another_incident() {
    let mut watch = Watch::new();
    watch.see(&dead(4), 10);
    let id = watch.only().id;
    watch.see(&well(), 601);
    assert_eq!(watch.tracker.remembered(), []);
    // The snapshot says since when, and these cells are bad since the start: the name is that of the fault's beginning.
    assert_eq!(watch.see(&dead(4), 10), [ChangeKind::Opened]);
    assert_eq!((watch.only().id, watch.only().flaps), (id, 0));
}

#[test]
fn nobody_measuring_is_no_recovery() {
    let mut watch = Watch::new();
    watch.see(&dead(4), 10);
    let mut unmeasured = well();
    unmeasured.cells.retain(|(source, target), _| *source != 4 && *target != 4);
    assert_eq!(watch.see(&unmeasured, 300), [ChangeKind::Updated]);
    assert!(!watch.only().is_measured);
    assert_eq!(watch.see(&well(), 60), [ChangeKind::Resolved(Ending::Recovered)]);
}

#[test]
fn what_left_the_mesh_is_over() {
    let mut watch = Watch::new();
    watch.see(&dead(8), 10);
    assert_eq!(watch.see(&Mesh::full(&[3, 3, 2]), 60), [ChangeKind::Resolved(Ending::Gone)]);
}

#[test]
fn nothing_ends_while_nothing_can_be_seen() {
    let mut watch = Watch::new();
    watch.see(&dead(4), 10);
    let mut blind = well();
    (0..7).for_each(|index| blind.silence(index));
    watch.see(&blind, 300);
    let mut classes: Vec<Class> = watch.tracker.open().iter().map(|incident| incident.finding.class).collect();
    classes.sort_unstable();
    assert_eq!(classes, [Class::AggregatorBlind, Class::HostDown]);
    watch.see(&well(), 60);
    assert_eq!(watch.tracker.open(), []);
    assert_eq!(watch.count(ChangeKind::Opened), 2);
}

#[test]
fn a_clock_set_back_delays_an_end_by_no_more_than_a_quiet_minute() {
    let mut watch = Watch::new();
    watch.second = 100_000;
    watch.see(&dead(4), 10);
    watch.second = 0;
    assert_eq!(watch.see(&well(), 61), [ChangeKind::Resolved(Ending::Recovered)]);
}

#[test]
fn past_the_limit_there_is_one_incident_that_says_how_many() {
    let mut mesh = Mesh::full(&[40, 40]);
    // Eight of the 39 others in the same site: too few for any shape.
    mesh.down(|source, target| source / 40 == target / 40 && (source + target) % 5 == 0);
    let pairs = mesh.findings().len();
    assert!(pairs > OPEN_MAX && pairs < CANDIDATES_MAX, "{pairs}");
    let mut watch = Watch::new();
    watch.see(&mesh, 20);
    assert_eq!(watch.tracker.open().len(), OPEN_MAX + 1);
    let rest = watch.tracker.open().iter().find(|incident| incident.finding.subject == Subject::Rest).unwrap();
    assert_eq!(
        (rest.finding.class, rest.finding.evidence.bad),
        (Class::Overflow, u32::try_from(pairs - OPEN_MAX).unwrap())
    );
    watch.see(&Mesh::full(&[40, 40]), 60);
    assert_eq!(watch.tracker.open(), []);
}

#[test]
fn the_order_of_findings_changes_nothing() {
    let mut random = Random(1);
    let mut trackers = [Tracker::new(Rules::default()), Tracker::new(Rules::default())];
    for second in 0..200 {
        let mut mesh = well();
        mesh.down(|source, target| (source * 7 + target * 3 + second / 20) % 5 == 0);
        let snapshot = mesh.snapshot();
        let mut findings = classify(&snapshot, &Rules::default());
        let now = START.plus(Span::seconds(second as u64));
        let changes = trackers[0].observe(now, &findings, &snapshot);
        random.shuffle(&mut findings);
        assert_eq!(trackers[1].observe(now, &findings, &snapshot), changes);
        assert_eq!(trackers[0].open(), trackers[1].open());
    }
    assert!(!trackers[0].open().is_empty());
}

#[test]
fn both_sides_of_a_cut_give_it_a_name_in_common() {
    let subject = pair(1, 7);
    for second in 0..1_200 {
        let here = START.plus(Span::seconds(second));
        for apart in [0, 1, 60, 299] {
            let there = here.plus(Span::seconds(apart));
            let (one, other) = (IncidentId::names(&subject, here), IncidentId::names(&subject, there));
            assert!(one.iter().any(|name| other.contains(name)), "{second} s, {apart} s apart");
        }
        let later = IncidentId::names(&subject, here.plus(Span::seconds(1_200)));
        assert!(IncidentId::names(&subject, here).iter().all(|name| !later.contains(name)));
    }
    assert_ne!(IncidentId::names(&host(1), START), IncidentId::names(&host(2), START));
    let names = |one: &str, other: &str| IncidentId::names(&Subject::SitePair(one.into(), other.into()), START);
    assert_ne!(names("ab", "c"), names("a", "bc"));
}

#[test]
fn an_incident_that_was_a_pair_on_one_side_is_the_others_host() {
    let mut first = well();
    first.down(|source, target| target == 4 && source == 0);
    let (mut one, mut other) = (Watch::new(), Watch::new());
    one.see(&first, 10);
    one.see(&dead(4), 10);
    other.see(&well(), 10);
    other.see(&dead(4), 10);
    assert_ne!(one.only().id, other.only().id);
    assert!(one.only().is_same_as(other.only()) && other.only().is_same_as(one.only()));
    let mut elsewhere = Watch::new();
    elsewhere.see(&dead(5), 10);
    assert!(!one.only().is_same_as(elsewhere.only()));
    assert_eq!(one.only().finding.subject, Subject::Agent(agent(4)));
}

/// Whatever was before: what lasts is told in the end exactly as it is, and nothing else is, but what nobody measures any more.
#[test]
fn what_lasts_is_told_as_it_is() {
    for seed in 0..150 {
        let mut random = Random(seed);
        let mut watch = Watch::new();
        for _ in 0..1 + random.below(3) {
            watch.see(&faulty(&mut random), 5 + random.below(40) as u64);
        }
        let mesh = faulty(&mut random);
        watch.see(&mesh, 130);
        let mut expected: Vec<_> =
            mesh.findings().iter().map(|finding| (finding.class, finding.subject.clone())).collect();
        let incidents = watch.tracker.open().iter().filter(|incident| incident.is_measured);
        let mut told: Vec<_> =
            incidents.map(|incident| (incident.finding.class, incident.finding.subject.clone())).collect();
        expected.sort();
        told.sort();
        assert_eq!(told, expected, "seed {seed}");
    }
}

/// Up to three faults anywhere, and a little noise; never most agents silent.
fn faulty(random: &mut Random) -> Mesh {
    let mut mesh = Mesh::full(&[4, 4, 4, 3]);
    for _ in 0..random.below(4) {
        let at = random.below(15);
        match random.below(7) {
            0 => mesh.kill(at),
            1 => mesh.isolate(at),
            2 => mesh.silence(at),
            3 => mesh.cut(mesh.site_of[at]),
            4 => mesh.down(|source, target| source / 4 == 1 && target / 4 == 2),
            5 => mesh.set(CellState::Slow, |source, target| source == at || target == at),
            _ => (0..4).for_each(|_| mesh.put((at, (at + 1 + random.below(14)) % 15), CellState::Lossy)),
        }
    }
    mesh
}
