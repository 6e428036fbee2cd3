use super::{Mesh, SITES, agent, host, pair, site};
use crate::incident::{Ambiguity, Class, Direction, Finding, Severity, Subject};
use alloc::borrow::ToOwned;
use alloc::vec::Vec;
use everypath_protocol::cell::CellState;

/// Nine agents in three sites: 0–2, 3–5, 6–8.
fn nine() -> Mesh {
    Mesh::full(&[3, 3, 3])
}

fn site_pair(one: usize, other: usize) -> Subject {
    Subject::SitePair(SITES[one].to_owned(), SITES[other].to_owned())
}

fn told(finding: &Finding) -> (Class, Subject, Direction, Option<Ambiguity>) {
    (finding.class, finding.subject.clone(), finding.direction, finding.ambiguity)
}

#[test]
fn nothing_bad_is_nothing_found() {
    assert_eq!(nine().findings(), []);
}

#[test]
fn a_silent_host_that_nobody_reaches_is_down() {
    let mut mesh = nine();
    mesh.kill(4);
    let found = mesh.only();
    assert_eq!(told(&found), (Class::HostDown, host(4), Direction::EitherOrBoth, None));
    assert_eq!((found.severity, found.worst), (Severity::Critical, CellState::Down));
    let evidence = &found.evidence;
    assert_eq!((evidence.bad, evidence.fresh, evidence.witnesses), (8, 8, 8));
    assert_eq!(evidence.named, [0, 1, 2, 3, 5].map(agent));
    assert!(!evidence.is_only_agent_of_site);
}

#[test]
fn a_host_that_nobody_reaches_but_that_is_heard_is_unreachable() {
    let mut mesh = nine();
    mesh.down(|source, target| source == 4 || target == 4);
    assert_eq!(told(&mesh.only()), (Class::HostUnreachable, host(4), Direction::EitherOrBoth, None));
}

#[test]
fn a_host_whose_own_probes_are_answered_is_unreachable_inwards() {
    let mut mesh = nine();
    mesh.down(|_, target| target == 4);
    assert_eq!(told(&mesh.only()), (Class::HostUnreachable, host(4), Direction::Inward, None));
}

#[test]
fn who_contradicts_is_heard() {
    let reached_by = |count: usize| {
        let mut mesh = nine();
        mesh.silence(4);
        mesh.down(|source, target| target == 4 && source >= count);
        mesh
    };
    let found = reached_by(1).only();
    assert_eq!(told(&found), (Class::HostDown, host(4), Direction::EitherOrBoth, None), "7 of 8");
    assert_eq!((found.evidence.bad, found.evidence.fresh), (7, 8));
    for count in [2, 3] {
        let found = reached_by(count).only();
        let doubt = Some(Ambiguity::MixedEvidence);
        assert_eq!(told(&found), (Class::HostDown, host(4), Direction::EitherOrBoth, doubt), "less than 80 %");
    }
    let found = reached_by(4).findings();
    assert!(found.iter().all(|finding| finding.class == Class::PairDown), "not even most of them");
}

#[test]
fn a_silent_agent_whose_host_answers_is_silent_and_its_paths_are_not_accused() {
    let mut mesh = nine();
    mesh.silence(4);
    let found = mesh.only();
    assert_eq!(told(&found), (Class::Silent, host(4), Direction::EitherOrBoth, None));
    assert_eq!((found.severity, found.evidence.witnesses), (Severity::Degraded, 8));
    assert_eq!((found.cells, found.silent), ([].to_vec(), [agent(4)].to_vec()));
    mesh.down(|source, target| target == 4 && source == 0);
    let found: Vec<_> = mesh.findings().iter().map(|finding| (finding.class, finding.ambiguity)).collect();
    assert_eq!(found, [(Class::PairDown, None), (Class::Silent, None)], "one bad path beside it is another matter");
}

#[test]
fn a_silent_agent_that_nobody_measures_may_be_a_dead_host() {
    let mut mesh = nine();
    mesh.silence(4);
    mesh.cells.retain(|(_, target), _| *target != 4);
    assert_eq!(told(&mesh.only()), (Class::Silent, host(4), Direction::EitherOrBoth, Some(Ambiguity::NobodyElse)));
}

#[test]
fn a_silent_site_that_others_reach_is_one_finding_and_beside_a_cut_it_is_none() {
    let mut mesh = nine();
    mesh.silence_site(1);
    let found = mesh.only();
    assert_eq!(told(&found), (Class::Silent, site(1), Direction::EitherOrBoth, None));
    assert_eq!((found.evidence.bad, found.evidence.witnesses), (3, 6));
    mesh.cut(1);
    let found = mesh.only();
    assert_eq!((found.class, found.silent), (Class::SiteCut, [3, 4, 5].map(agent).to_vec()));
}

#[test]
fn a_cut_between_two_sites_explains_a_site_that_is_all_silent_and_not_a_lone_agent() {
    let mut mesh = nine();
    mesh.down(|source, target| (source / 3).abs_diff(target / 3) == 2);
    mesh.silence(0);
    let found: Vec<_> = mesh.findings().into_iter().map(|finding| (finding.class, finding.subject)).collect();
    assert_eq!(found, [(Class::SitePairCut, site_pair(0, 2)), (Class::Silent, host(0))]);
    [1, 2].into_iter().for_each(|index| mesh.silence(index));
    let found = mesh.only();
    assert_eq!((found.class, found.silent), (Class::SitePairCut, [0, 1, 2].map(agent).to_vec()));
}

#[test]
fn an_observer_that_others_reach_is_isolated_and_accuses_nobody() {
    let mut mesh = nine();
    mesh.isolate(4);
    let found = mesh.only();
    assert_eq!(told(&found), (Class::Isolated, host(4), Direction::Outward, None));
    assert_eq!((found.evidence.bad, found.evidence.witnesses), (8, 8));
}

#[test]
fn who_does_not_reach_an_isolated_observer_either_is_part_of_the_same() {
    let mut mesh = nine();
    mesh.isolate(4);
    mesh.down(|source, target| target == 4 && source < 3);
    let found = mesh.only();
    assert_eq!(told(&found), (Class::Isolated, host(4), Direction::Outward, Some(Ambiguity::MixedEvidence)));
    assert_eq!((found.evidence.bad, found.evidence.fresh, found.evidence.witnesses), (11, 11, 5));
}

#[test]
fn an_observer_that_nobody_measures_is_isolated_as_far_as_anybody_can_tell() {
    let mut mesh = nine();
    (0..9).filter(|index| *index != 4).for_each(|index| mesh.silence(index));
    mesh.silent.clear();
    mesh.isolate(4);
    assert_eq!(told(&mesh.only()), (Class::Isolated, host(4), Direction::Outward, Some(Ambiguity::NobodyElse)));
}

#[test]
fn two_isolated_observers_do_not_confirm_each_other() {
    let mut mesh = nine();
    mesh.isolate(1);
    mesh.isolate(4);
    let found: Vec<_> = mesh.findings().iter().map(|finding| (finding.class, finding.subject.clone())).collect();
    assert_eq!(found, [(Class::Isolated, host(1)), (Class::Isolated, host(4))]);
}

#[test]
fn who_sees_a_dead_site_is_not_isolated_although_it_sees_little_else() {
    let mut mesh = nine();
    (3..9).for_each(|index| mesh.silence(index));
    mesh.silent.clear();
    mesh.down(|source, target| target > 2 && source != 0);
    mesh.cells.retain(|(source, target), _| *source != 0 || *target == 1);
    assert!(mesh.findings().iter().all(|finding| finding.class != Class::Isolated));
}

#[test]
fn a_site_that_all_others_lost_is_cut_whether_it_is_heard_or_not() {
    let mut mesh = nine();
    mesh.cut(1);
    let found = mesh.only();
    assert_eq!(told(&found), (Class::SiteCut, site(1), Direction::EitherOrBoth, None));
    assert_eq!((found.evidence.bad, found.evidence.fresh, found.evidence.witnesses), (36, 36, 6));
    mesh.silence_site(1);
    let found = mesh.only();
    assert_eq!(told(&found), (Class::SiteCut, site(1), Direction::EitherOrBoth, None));
    assert_eq!(found.evidence.bad, 18);
}

#[test]
fn an_island_knows_that_it_is_the_island() {
    let mut mesh = nine();
    mesh.cut(1);
    [0, 2].into_iter().for_each(|other| mesh.silence_site(other));
    mesh.silent.clear();
    assert_eq!(told(&mesh.only()), (Class::SiteCut, site(1), Direction::EitherOrBoth, None));
}

#[test]
fn a_site_is_not_cut_while_one_of_its_agents_gets_through() {
    let mut mesh = Mesh::full(&[5, 3, 3]);
    (0..4).for_each(|index| mesh.kill(index));
    let found: Vec<_> = mesh.findings().iter().map(|finding| (finding.class, finding.subject.clone())).collect();
    assert_eq!(found, [0, 1, 2, 3].map(|index| (Class::HostDown, host(index))));
}

#[test]
fn a_site_that_reaches_nobody_but_is_reached_is_one_finding_with_a_direction() {
    let mut mesh = nine();
    mesh.down(|source, target| source / 3 == 1 && target / 3 != 1);
    assert_eq!(told(&mesh.only()), (Class::SiteCut, site(1), Direction::Outward, None));
    let mut mesh = nine();
    mesh.down(|source, target| source / 3 != 1 && target / 3 == 1);
    assert_eq!(told(&mesh.only()), (Class::SiteCut, site(1), Direction::Inward, None));
}

#[test]
fn between_two_sites_it_is_the_pair_with_a_direction_if_there_is_one() {
    let mut mesh = nine();
    mesh.down(|source, target| (source / 3).abs_diff(target / 3) == 2);
    assert_eq!(told(&mesh.only()), (Class::SitePairCut, site_pair(0, 2), Direction::EitherOrBoth, None));
    for (from, to, direction) in [(0, 2, Direction::Forward), (2, 0, Direction::Backward)] {
        let mut mesh = nine();
        mesh.down(|source, target| source / 3 == from && target / 3 == to);
        assert_eq!(told(&mesh.only()), (Class::SitePairCut, site_pair(0, 2), direction, None));
    }
}

#[test]
fn with_two_sites_the_path_is_blamed_and_never_a_site() {
    let mut mesh = Mesh::full(&[3, 3]);
    mesh.cut(1);
    assert_eq!(told(&mesh.only()), (Class::SitePairCut, site_pair(0, 1), Direction::EitherOrBoth, None));
}

#[test]
fn a_site_of_one_agent_is_judged_as_its_host_and_says_so() {
    let mut mesh = Mesh::full(&[1, 3, 3]);
    mesh.cut(0);
    mesh.silence(0);
    let found = mesh.only();
    assert_eq!(told(&found), (Class::HostDown, host(0), Direction::EitherOrBoth, None));
    assert!(found.evidence.is_only_agent_of_site);
}

#[test]
fn what_is_left_are_pairs_with_a_direction_if_the_other_way_is_good() {
    type IsDown = fn(usize, usize) -> bool;
    let cases: [(IsDown, Direction); 3] = [
        (|source, target| source.min(target) == 1 && source.max(target) == 7, Direction::EitherOrBoth),
        (|source, target| source == 1 && target == 7, Direction::Forward),
        (|source, target| source == 7 && target == 1, Direction::Backward),
    ];
    for (is_down, direction) in cases {
        let mut mesh = nine();
        mesh.down(is_down);
        assert_eq!(told(&mesh.only()), (Class::PairDown, pair(1, 7), direction, None));
    }
}

#[test]
fn one_way_that_is_measured_proves_no_direction() {
    let mut mesh = nine();
    mesh.down(|source, target| source == 1 && target == 7);
    mesh.cells.remove(&(7, 1));
    assert_eq!(mesh.only().direction, Direction::EitherOrBoth);
}

#[test]
fn everything_bad_is_the_mesh_and_so_are_all_paths_between_three_sites() {
    let mut mesh = nine();
    mesh.down(|_, _| true);
    assert_eq!(told(&mesh.only()), (Class::MeshDown, Subject::Mesh, Direction::EitherOrBoth, None));
    let mut mesh = nine();
    mesh.down(|source, target| source / 3 != target / 3);
    assert_eq!(told(&mesh.only()), (Class::MeshDown, Subject::Mesh, Direction::EitherOrBoth, None));
    let mut mesh = nine();
    mesh.set(CellState::Slow, |_, _| true);
    assert_eq!((mesh.only().class, mesh.only().severity), (Class::MeshDegraded, Severity::Degraded));
}

#[test]
fn most_agents_silent_is_blindness_and_nothing_else_is_said() {
    let mut mesh = nine();
    (0..5).for_each(|index| mesh.kill(index));
    assert!(mesh.findings().iter().all(|finding| finding.class != Class::AggregatorBlind), "5 of 9 are 56 %");
    mesh.kill(5);
    let found = mesh.only();
    assert_eq!(told(&found), (Class::AggregatorBlind, Subject::Mesh, Direction::EitherOrBoth, None));
    assert_eq!((found.evidence.bad, found.evidence.fresh), (6, 9));
}

#[test]
fn four_agents_have_three_witnesses_three_have_two_and_two_have_one() {
    let mut mesh = Mesh::full(&[2, 2]);
    mesh.kill(0);
    assert_eq!(told(&mesh.only()), (Class::HostDown, host(0), Direction::EitherOrBoth, None));
    let mut mesh = Mesh::full(&[1, 1, 1]);
    mesh.kill(0);
    let few = Some(Ambiguity::FewWitnesses);
    assert_eq!(told(&mesh.only()), (Class::HostDown, host(0), Direction::EitherOrBoth, few));
    let mut mesh = Mesh::full(&[1, 1]);
    mesh.kill(0);
    assert_eq!(told(&mesh.only()), (Class::PairDown, pair(0, 1), Direction::EitherOrBoth, few));
    let mut mesh = Mesh::full(&[1, 1]);
    mesh.isolate(0);
    assert_eq!(told(&mesh.only()), (Class::PairDown, pair(0, 1), Direction::Forward, few));
}

#[test]
fn isolation_is_seen_in_a_mesh_of_three_and_is_ambiguous_there() {
    let mut mesh = Mesh::full(&[1, 1, 1]);
    mesh.isolate(2);
    assert_eq!(told(&mesh.only()), (Class::Isolated, host(2), Direction::Outward, Some(Ambiguity::FewWitnesses)));
    let mut mesh = Mesh::full(&[2, 2]);
    mesh.isolate(2);
    assert_eq!(told(&mesh.only()), (Class::Isolated, host(2), Direction::Outward, None));
}

#[test]
fn a_pair_in_a_mesh_of_three_is_clear_because_the_third_reaches_both() {
    let mut mesh = Mesh::full(&[1, 1, 1]);
    mesh.down(|source, target| source != 1 && target != 1);
    assert_eq!(told(&mesh.only()), (Class::PairDown, pair(0, 2), Direction::EitherOrBoth, None));
}

#[test]
fn the_same_shapes_are_found_where_replies_come_late_or_not_all() {
    for state in [CellState::Slow, CellState::Lossy] {
        let mut mesh = nine();
        mesh.set(state, |source, target| source == 4 || target == 4);
        let found = mesh.only();
        assert_eq!((found.class, found.severity, found.worst), (Class::HostDegraded, Severity::Degraded, state));
        let mut mesh = nine();
        mesh.set(state, |source, _| source == 4);
        assert_eq!(mesh.only().class, Class::ObserverDegraded);
        let mut mesh = nine();
        mesh.set(state, |source, target| (source / 3 == 1) != (target / 3 == 1));
        assert_eq!((mesh.only().class, mesh.only().subject), (Class::SiteDegraded, site(1)));
        let mut mesh = nine();
        mesh.set(state, |source, target| (source / 3).abs_diff(target / 3) == 2);
        assert_eq!(mesh.only().class, Class::SitePairDegraded);
        let mut mesh = nine();
        mesh.set(state, |source, target| source == 1 && target == 7);
        assert_eq!((mesh.only().class, mesh.only().direction), (Class::PairDegraded, Direction::Forward));
    }
}

#[test]
fn a_host_with_cells_that_are_down_and_cells_that_are_lossy_is_one_host() {
    let mut mesh = nine();
    mesh.set(CellState::Lossy, |source, target| source == 4 || target == 4);
    mesh.down(|source, target| target == 4 && source < 3);
    let found = mesh.only();
    assert_eq!((found.class, found.severity, found.worst), (Class::HostDegraded, Severity::Degraded, CellState::Down));
}

#[test]
fn what_is_lossy_on_the_way_to_a_dead_host_is_the_dead_hosts() {
    let mut mesh = nine();
    mesh.silence(4);
    mesh.set(CellState::Lossy, |source, target| target == 4 && source == 0);
    mesh.down(|source, target| target == 4 && source != 0);
    let found = mesh.only();
    assert_eq!((found.class, found.evidence.bad), (Class::HostDown, 8));
}

#[test]
fn two_faults_at_once_are_two_findings() {
    let classes = |mesh: &Mesh| -> Vec<(Class, Subject)> {
        mesh.findings().into_iter().map(|finding| (finding.class, finding.subject)).collect()
    };
    let mut mesh = nine();
    mesh.kill(4);
    mesh.isolate(7);
    assert_eq!(classes(&mesh), [(Class::Isolated, host(7)), (Class::HostDown, host(4))]);
    let mut mesh = nine();
    mesh.kill(4);
    mesh.cut(0);
    assert_eq!(classes(&mesh), [(Class::SiteCut, site(0)), (Class::HostDown, host(4))]);
    let mut mesh = nine();
    mesh.kill(4);
    mesh.down(|source, target| source.min(target) == 0 && source.max(target) == 8);
    assert_eq!(classes(&mesh), [(Class::HostDown, host(4)), (Class::PairDown, pair(0, 8))]);
    let mut mesh = nine();
    mesh.cut(0);
    mesh.set(CellState::Slow, |source, target| source == 7 || target == 7);
    assert_eq!(classes(&mesh), [(Class::SiteCut, site(0)), (Class::HostDegraded, host(7))]);
}

#[test]
fn an_observer_that_neither_shape_fits_is_blamed_once_and_in_doubt() {
    let mut mesh = nine();
    mesh.isolate(4);
    mesh.down(|source, target| target == 4 && source > 3);
    let found = mesh.findings();
    let own: Vec<_> =
        found.iter().filter(|finding| finding.cells.iter().any(|(source, _)| *source == agent(4))).collect();
    assert_eq!(own.len(), 1);
    assert_eq!((own[0].class, own[0].evidence.bad), (Class::Isolated, 8));
}
