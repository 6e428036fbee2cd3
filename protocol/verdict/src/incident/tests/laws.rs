use super::{Mesh, Random, SITES, START, agent, host, site};
use crate::incident::{Ambiguity, Class, Direction, Finding, MeasuredCell, Rules, Seat, Snapshot, Subject, classify};
use alloc::borrow::ToOwned;
use alloc::vec::Vec;
use everypath_protocol::cell::CellState;
use everypath_protocol::id::AgentId;

/// A mesh with any states in any cells; few faults, or many.
pub(super) fn any_mesh(seed: u64) -> Mesh {
    let mut random = Random(seed);
    let sizes: Vec<usize> = (0..1 + random.below(4)).map(|_| 1 + random.below(4)).collect();
    let mut mesh = Mesh::full(&sizes);
    let one_in = 1 + random.below(12);
    for state in mesh.cells.values_mut() {
        if random.below(one_in) == 0 {
            *state = CellState::ALL[random.below(5)];
        }
    }
    let count = mesh.site_of.len();
    match random.below(4) {
        0 => mesh.kill(random.below(count)),
        1 => mesh.isolate(random.below(count)),
        2 => mesh.cut(0),
        _ => {}
    }
    mesh
}

fn is_blind(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.class == Class::AggregatorBlind)
}

#[test]
fn each_bad_cell_is_explained_exactly_once_and_no_other_is() {
    let mut several = 0;
    for seed in 0..2_000 {
        let mesh = any_mesh(seed);
        let findings = mesh.findings();
        if is_blind(&findings) {
            continue;
        }
        several += usize::from(findings.len() > 1);
        let mut explained: Vec<(AgentId, AgentId)> =
            findings.iter().flat_map(|finding| finding.cells.clone()).collect();
        explained.sort_unstable();
        assert_eq!(explained, mesh.bad(), "seed {seed}");
        for finding in &findings {
            assert!(finding.evidence.bad <= finding.evidence.fresh, "seed {seed} {finding:?}");
            let is_unseen = finding.ambiguity == Some(Ambiguity::NobodyElse);
            let bad = if finding.class == Class::Silent { finding.silent.len() } else { finding.cells.len() };
            assert_eq!(bad, usize::try_from(finding.evidence.bad).unwrap(), "seed {seed}");
            assert!(finding.evidence.witnesses > 0 || is_unseen, "seed {seed} {finding:?}");
        }
        let mut subjects: Vec<_> = findings.iter().map(|finding| &finding.subject).collect();
        subjects.sort_unstable();
        subjects.dedup();
        assert_eq!(subjects.len(), findings.len(), "seed {seed}: one subject, one finding");
    }
    assert!(several > 500, "the meshes are too simple: {several}");
}

#[test]
fn the_order_of_agents_and_cells_changes_nothing() {
    for seed in 0..500 {
        let mesh = any_mesh(seed);
        let snapshot = mesh.snapshot();
        let mut random = Random(seed ^ 0xabcd);
        let mut places: Vec<u32> = (0..).take(snapshot.roster.len()).collect();
        random.shuffle(&mut places);
        let mut shuffled = snapshot.clone();
        for (from, to) in places.iter().enumerate() {
            shuffled.roster[usize::try_from(*to).unwrap()] = snapshot.roster[from];
        }
        let moved = |index: u32| places[usize::try_from(index).unwrap()];
        for cell in &mut shuffled.cells {
            (cell.source, cell.target) = (moved(cell.source), moved(cell.target));
        }
        random.shuffle(&mut shuffled.cells);
        assert_eq!(classify(&shuffled, &Rules::default()), mesh.findings(), "seed {seed}");
    }
}

#[test]
fn what_is_not_fresh_or_not_known_accuses_nobody() {
    for seed in 0..200 {
        let mut mesh = any_mesh(seed);
        mesh.silent.clear();
        let mut snapshot = mesh.snapshot();
        snapshot.cells.iter_mut().for_each(|cell| cell.is_fresh = false);
        assert_eq!(classify(&snapshot, &Rules::default()), [], "seed {seed}");
        mesh.cells.values_mut().for_each(|state| *state = CellState::Unknown);
        assert_eq!(mesh.findings(), [], "seed {seed}");
    }
}

#[test]
fn unknown_cells_are_as_if_they_were_not_there() {
    for seed in 0..500 {
        let mesh = any_mesh(seed);
        let mut without = mesh.clone();
        without.cells.retain(|_, state| *state != CellState::Unknown);
        assert_eq!(without.findings(), mesh.findings(), "seed {seed}");
    }
}

#[test]
fn isolated_observers_never_make_another_host_down() {
    for seed in 0..1_000 {
        let mut random = Random(seed);
        let mut mesh = if seed % 2 == 0 { Mesh::full(&[3, 3, 3]) } else { Mesh::sparse(seed) };
        let count = mesh.site_of.len();
        let isolated: Vec<usize> = (0..1 + random.below(2)).map(|_| random.below(count)).collect();
        for index in &isolated {
            let spared = random.below(count);
            mesh.down(|source, target| source == *index && target != spared);
        }
        for finding in mesh.findings() {
            let is_its = isolated.iter().any(|index| finding.subject == Subject::Agent(agent(*index)));
            assert!(
                finding.class == Class::Isolated && is_its,
                "seed {seed}: {:?} {:?}",
                finding.class,
                finding.subject
            );
        }
    }
}

#[test]
fn nonsense_in_is_no_panic_and_nothing_out() {
    let seat = |index: usize| Seat { agent: agent(index), site: "alpha", is_endpoint: false, silent_since: None };
    let cell = |source: u32, target: u32| MeasuredCell {
        source,
        target,
        state: CellState::Down,
        since: START,
        is_fresh: true,
    };
    let cells = [cell(0, 0), cell(0, 9), cell(u32::MAX, 1), cell(2, 0)];
    let snapshot = Snapshot { roster: [seat(0), seat(1), seat(0)].to_vec(), cells: cells.to_vec() };
    assert_eq!(classify(&snapshot, &Rules::default()), [], "seat 2 is seat 0");
    assert_eq!(classify(&Snapshot::default(), &Rules::default()), []);
}

#[test]
fn of_two_cells_for_one_pair_the_worse_counts() {
    let mut mesh = Mesh::full(&[2, 2]);
    mesh.down(|source, target| source == 0 && target == 1);
    let mut snapshot = mesh.snapshot();
    let twice: Vec<MeasuredCell> =
        snapshot.cells.iter().map(|cell| MeasuredCell { state: CellState::Slow, ..*cell }).collect();
    snapshot.cells.extend(twice.into_iter().filter(|cell| cell.source == 0 && cell.target == 1));
    let found = classify(&snapshot, &Rules::default());
    assert_eq!(
        found.iter().map(|finding| (finding.class, finding.worst)).collect::<Vec<_>>(),
        [(Class::PairDown, CellState::Down)]
    );
}

/// The same mesh under other names: ids in another order, sites too. `named` gives each agent its new number.
fn renamed(snapshot: &Snapshot<'static>, named: &[usize], sites: &[usize]) -> Snapshot<'static> {
    let mut snapshot = snapshot.clone();
    for (index, seat) in snapshot.roster.iter_mut().enumerate() {
        let site = SITES.iter().position(|name| *name == seat.site).unwrap();
        (seat.agent, seat.site) = (agent(named[index]), SITES[sites[site]]);
    }
    snapshot
}

#[test]
fn names_change_nothing() {
    let faults: [fn(&mut Mesh, usize); 8] = [
        |mesh, at| mesh.kill(at),
        |mesh, at| mesh.isolate(at),
        |mesh, at| mesh.silence(at),
        |mesh, at| mesh.cut(mesh.site_of[at]),
        |mesh, at| mesh.silence_site(mesh.site_of[at]),
        |mesh, at| mesh.down(|source, target| (source, target) == (at, 0)),
        |mesh, _| mesh.down(|source, target| source / 3 == 1 && target / 3 == 2),
        |mesh, at| mesh.set(CellState::Slow, |source, target| source == at || target == at),
    ];
    for seed in 0..400 {
        let mut random = Random(seed);
        let mut mesh = Mesh::full(&[3, 3, 3, 2]);
        for _ in 0..1 + random.below(2) {
            faults[random.below(faults.len())](&mut mesh, random.below(11));
        }
        let (mut named, mut sites) = ((0..11).collect::<Vec<usize>>(), (0..4).collect::<Vec<usize>>());
        random.shuffle(&mut named);
        random.shuffle(&mut sites);
        let new_agent = |id: &AgentId| agent(named[usize::from(u16::from_be_bytes([id.0[0], id.0[1]]))]);
        let new_site = |name: &str| SITES[sites[SITES.iter().position(|site| *site == name).unwrap()]].to_owned();
        let new = |subject: &Subject| match subject {
            Subject::Agent(agent) => (Subject::Agent(new_agent(agent)), false),
            Subject::Site(site) => (Subject::Site(new_site(site)), false),
            Subject::Pair(one, other) => {
                let (one, other) = (new_agent(one), new_agent(other));
                (Subject::Pair(one.min(other), one.max(other)), one > other)
            }
            Subject::SitePair(one, other) => {
                let (one, other) = (new_site(one), new_site(other));
                let is_turned = one > other;
                let (one, other) = if is_turned { (other, one) } else { (one, other) };
                (Subject::SitePair(one, other), is_turned)
            }
            Subject::Mesh | Subject::Rest => (subject.clone(), false),
        };
        let turned = |direction: Direction| match direction {
            Direction::Forward => Direction::Backward,
            Direction::Backward => Direction::Forward,
            Direction::EitherOrBoth | Direction::Inward | Direction::Outward => direction,
        };
        // A cell that two explanations share belongs to one of them, and of equals to the first by name. So not the cells.
        let told = |finding: &Finding| (finding.class, finding.severity, finding.ambiguity);
        let mut before: Vec<_> = mesh
            .findings()
            .iter()
            .map(|finding| {
                let (subject, is_turned) = new(&finding.subject);
                let direction = if is_turned { turned(finding.direction) } else { finding.direction };
                (told(finding), subject, direction)
            })
            .collect();
        let after = classify(&renamed(&mesh.snapshot(), &named, &sites), &Rules::default());
        let mut after: Vec<_> =
            after.iter().map(|finding| (told(finding), finding.subject.clone(), finding.direction)).collect();
        before.sort();
        after.sort();
        assert_eq!(after, before, "seed {seed}");
    }
}

#[test]
fn what_is_found_stays_found_as_more_of_its_cells_go_bad() {
    for seed in 0..400 {
        let mut random = Random(seed);
        let start = Mesh::full(&[3, 3, 3]);
        let (subject, mut after) = (if seed % 2 == 0 { host(4) } else { site(1) }, start.clone());
        if seed % 2 == 0 {
            after.down(|source, target| source == 4 || target == 4);
        } else {
            after.cut(1);
        }
        // A probe goes both ways, so a cut shows in both cells of a pair.
        let mut bad: Vec<(usize, usize)> = after
            .cells
            .keys()
            .copied()
            .filter(|(source, target)| source < target && after.cells[&(*source, *target)] == CellState::Down)
            .collect();
        random.shuffle(&mut bad);
        let (mut mesh, mut is_found) = (start, false);
        for (one, other) in bad {
            mesh.put((one, other), CellState::Down);
            mesh.put((other, one), CellState::Down);
            let findings = mesh.findings();
            let found = findings.iter().find(|finding| finding.subject == subject);
            let told: Vec<_> = findings.iter().map(|finding| (finding.class, &finding.subject)).collect();
            assert!(found.is_some() || !is_found, "seed {seed}: {told:?}");
            // In doubt it may still turn out to be part of something else.
            is_found |= found.is_some_and(|finding| finding.ambiguity.is_none());
        }
        assert_eq!(mesh.only().cells, mesh.bad(), "seed {seed}");
    }
}

#[test]
fn one_good_cell_more_accuses_nobody_new() {
    for seed in 0..1_000 {
        let mut mesh = any_mesh(seed);
        let before: Vec<(AgentId, AgentId)> = mesh.bad();
        let Some(pair) = mesh.cells.iter().find(|(_, state)| **state == CellState::Unknown).map(|(pair, _)| *pair)
        else {
            continue;
        };
        mesh.put(pair, CellState::Ok);
        let findings = mesh.findings();
        let mut explained: Vec<(AgentId, AgentId)> =
            findings.iter().flat_map(|finding| finding.cells.clone()).collect();
        explained.sort_unstable();
        assert!(is_blind(&findings) || explained == before, "seed {seed}");
        assert!(findings.iter().all(|finding| !finding.cells.is_empty() || !finding.silent.is_empty()), "seed {seed}");
    }
}
