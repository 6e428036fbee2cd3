//! Silence through time: restarts, sites, and what is left of larger faults.

use super::through_time::Watch;
use super::{Mesh, host, site};
use crate::incident::{ChangeKind, Class, Ending, Subject};
use alloc::vec::Vec;

fn nine() -> Mesh {
    Mesh::full(&[3, 3, 3])
}

fn silent(agents: &[usize]) -> Mesh {
    let mut mesh = nine();
    agents.iter().for_each(|agent| mesh.silence(*agent));
    mesh
}

fn open(watch: &Watch) -> Vec<(Class, Subject)> {
    let mut open: Vec<_> = watch
        .tracker
        .open()
        .iter()
        .map(|incident| (incident.finding.class, incident.finding.subject.clone()))
        .collect();
    open.sort();
    open
}

#[test]
fn a_restart_is_no_incident_and_lasting_silence_is_one() {
    let mut watch = Watch::new();
    for _ in 0..5 {
        assert_eq!(watch.see(&silent(&[4]), 14), []);
        assert_eq!(watch.see(&nine(), 30), []);
    }
    assert_eq!(watch.see(&silent(&[4]), 20), []);
    assert_eq!(watch.see(&silent(&[4]), 1), [ChangeKind::Opened]);
    assert_eq!(open(&watch), [(Class::Silent, host(4))]);
    assert_eq!(watch.see(&nine(), 60), [ChangeKind::Resolved(Ending::Recovered)]);
}

#[test]
fn who_is_heard_again_is_not_silent_although_nobody_measures_it() {
    let unmeasured = |mut mesh: Mesh| {
        mesh.cells.retain(|(source, target), _| *source != 4 && *target != 4);
        mesh
    };
    let mut watch = Watch::new();
    assert_eq!(watch.see(&unmeasured(silent(&[4])), 30), [ChangeKind::Opened]);
    assert_eq!(watch.see(&unmeasured(nine()), 60), [ChangeKind::Resolved(Ending::Recovered)]);
}

#[test]
fn agents_of_a_site_that_fall_silent_one_by_one_are_one_incident() {
    let mut watch = Watch::new();
    watch.see(&silent(&[3]), 4);
    watch.see(&silent(&[3, 5]), 4);
    assert_eq!(watch.see(&silent(&[3, 4, 5]), 30), [ChangeKind::Opened]);
    assert_eq!(open(&watch), [(Class::Silent, site(1))]);
}

#[test]
fn a_silent_agent_whose_host_dies_later_is_the_same_incident() {
    let mut watch = Watch::new();
    watch.see(&silent(&[4]), 30);
    let mut dead = nine();
    dead.kill(4);
    let changed = ChangeKind::Reclassified { from: Class::Silent };
    assert_eq!(watch.see(&dead, 10), [changed]);
    // The host answers again, and nobody starts its agent.
    assert_eq!(watch.see(&silent(&[4]), 9), []);
    assert_eq!(watch.see(&silent(&[4]), 1), [ChangeKind::Reclassified { from: Class::HostDown }]);
}

#[test]
fn silence_does_not_shorten_the_wait_of_the_shape_that_follows() {
    let mut watch = Watch::new();
    watch.see(&silent(&[3, 4, 5]), 15);
    let mut cut = silent(&[3, 4, 5]);
    cut.cut(1);
    assert_eq!(watch.see(&cut, 5), []);
    assert_eq!(watch.see(&cut, 1), [ChangeKind::Opened]);
    assert_eq!(open(&watch), [(Class::SiteCut, site(1))]);
}

#[test]
fn an_agent_that_stays_silent_after_a_cut_is_an_incident_of_its_own_and_does_not_keep_the_cut_open() {
    let mut cut = silent(&[3, 4, 5]);
    cut.cut(1);
    let mut watch = Watch::new();
    watch.see(&cut, 20);
    assert_eq!(open(&watch), [(Class::SiteCut, site(1))]);
    watch.see(&silent(&[4]), 59);
    assert_eq!(open(&watch), [(Class::SiteCut, site(1)), (Class::Silent, host(4))]);
    watch.see(&silent(&[4]), 1);
    assert_eq!(open(&watch), [(Class::Silent, host(4))]);
}

#[test]
fn going_blind_takes_no_silent_agent_in() {
    let mut watch = Watch::new();
    watch.see(&silent(&[4]), 30);
    watch.see(&silent(&[0, 1, 2, 3, 4, 5]), 60);
    assert_eq!(open(&watch), [(Class::AggregatorBlind, Subject::Mesh), (Class::Silent, host(4))]);
    watch.see(&silent(&[4]), 60);
    assert_eq!(open(&watch), [(Class::Silent, host(4))]);
    let told: Vec<ChangeKind> = watch.changes.iter().map(|change| change.kind).collect();
    assert_eq!(told, [ChangeKind::Opened, ChangeKind::Opened, ChangeKind::Resolved(Ending::Recovered)]);
}

#[test]
fn two_hosts_that_die_while_two_agents_restart_are_two_incidents() {
    let mut mesh = Mesh::full(&[4, 4, 4]);
    [1, 9].into_iter().for_each(|index| mesh.kill(index));
    let mut restarting = mesh.clone();
    [3, 6].into_iter().for_each(|index| restarting.silence(index));
    let mut watch = Watch::new();
    watch.see(&restarting, 14);
    watch.see(&mesh, 60);
    assert_eq!(open(&watch), [(Class::HostDown, host(1)), (Class::HostDown, host(9))]);
    assert_eq!(watch.changes.iter().filter(|change| change.kind == ChangeKind::Opened).count(), 2);
}
