//! Small meshes with faults in them.

mod arrival;
mod endpoint;
mod large;
mod laws;
mod messages;
mod shapes;
mod silence;
mod sparse;
mod state;
mod through_time;

use super::{Finding, MeasuredCell, Rules, Seat, Snapshot, Subject, classify};
use alloc::borrow::ToOwned;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use everypath_protocol::cell::CellState;
use everypath_protocol::id::{AgentId, mix64};
use everypath_protocol::time::UnixTime;

const SITES: [&str; 12] =
    ["alpha", "beta", "gamma", "delta", "echo", "fox", "golf", "hotel", "india", "juliet", "kilo", "lima"];
/// Not a border of a window.
const START: UnixTime = UnixTime(1_767_225_700_000_000);

fn agent(index: usize) -> AgentId {
    let mut id = [7; 32];
    id[..2].copy_from_slice(&u16::try_from(index).unwrap().to_be_bytes());
    AgentId(id)
}

/// The subject of a host.
fn host(index: usize) -> Subject {
    Subject::Agent(agent(index))
}

fn pair(one: usize, other: usize) -> Subject {
    Subject::Pair(agent(one), agent(other))
}

fn site(index: usize) -> Subject {
    Subject::Site(SITES[index].to_owned())
}

#[derive(Clone)]
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        usize::try_from(mix64(self.0) % end as u64).unwrap()
    }

    fn shuffle<T>(&mut self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            list.swap(last, self.below(last + 1));
        }
    }
}

#[derive(Clone)]
struct Mesh {
    site_of: Vec<usize>,
    cells: BTreeMap<(usize, usize), CellState>,
    silent: BTreeSet<usize>,
    endpoints: BTreeSet<usize>,
}

impl Mesh {
    /// Everybody measures everybody, and all is well.
    fn full(sizes: &[usize]) -> Self {
        let site_of: Vec<usize> =
            sizes.iter().enumerate().flat_map(|(site, size)| core::iter::repeat_n(site, *size)).collect();
        let all = 0..site_of.len();
        let pairs = all.clone().flat_map(|source| all.clone().map(move |target| (source, target)));
        let cells = pairs.filter(|(source, target)| source != target).map(|pair| (pair, CellState::Ok)).collect();
        Self { site_of, cells, silent: BTreeSet::new(), endpoints: BTreeSet::new() }
    }

    /// 200 agents in 12 sites: four neighbours on a ring in the own site, four edges for each pair of sites.
    fn sparse(seed: u64) -> Self {
        let mut random = Random(seed);
        let site_of: Vec<usize> = (0..200).map(|index| index * 12 / 200).collect();
        let members = |site: usize| (0..200).filter(|index| site_of[*index] == site).collect::<Vec<_>>();
        let mut mesh = Self {
            cells: BTreeMap::new(),
            silent: BTreeSet::new(),
            endpoints: BTreeSet::new(),
            site_of: site_of.clone(),
        };
        let mut join = |one: usize, other: usize| {
            mesh.cells.extend([((one, other), CellState::Ok), ((other, one), CellState::Ok)]);
        };
        for site in 0..12 {
            let own = members(site);
            for (at, one) in own.iter().enumerate() {
                [1, 2].iter().for_each(|step| join(*one, own[(at + step) % own.len()]));
            }
            for other in site + 1..12 {
                let (mut here, mut there) = (members(site), members(other));
                random.shuffle(&mut here);
                random.shuffle(&mut there);
                (0..4).for_each(|edge| join(here[edge], there[edge]));
            }
        }
        mesh
    }

    fn set(&mut self, state: CellState, is_bad: impl Fn(usize, usize) -> bool) {
        let hit = self.cells.iter_mut().filter(|((source, target), _)| is_bad(*source, *target));
        hit.for_each(|(_, cell)| *cell = (*cell).max(state));
    }

    fn put(&mut self, pair: (usize, usize), state: CellState) {
        self.cells.insert(pair, state);
    }

    /// What an agent told grows old, and nothing new comes.
    fn silence(&mut self, index: usize) {
        self.silent.insert(index);
        self.cells
            .iter_mut()
            .filter(|((source, _), _)| *source == index)
            .for_each(|(_, cell)| *cell = CellState::Unknown);
    }

    fn kill(&mut self, index: usize) {
        self.silence(index);
        self.down(|_, target| target == index);
    }

    fn down(&mut self, is_down: impl Fn(usize, usize) -> bool) {
        let silent = self.silent.clone();
        self.set(CellState::Down, |source, target| !silent.contains(&source) && is_down(source, target));
    }

    /// Between a site and all others; its agents are heard another way.
    fn cut(&mut self, cut: usize) {
        let site_of = self.site_of.clone();
        self.down(|source, target| (site_of[source] == cut) != (site_of[target] == cut));
    }

    fn silence_site(&mut self, silent: usize) {
        (0..self.site_of.len())
            .filter(|index| self.site_of[*index] == silent)
            .collect::<Vec<_>>()
            .into_iter()
            .for_each(|index| self.silence(index));
    }

    fn isolate(&mut self, index: usize) {
        self.down(|source, _| source == index);
    }

    fn bad(&self) -> Vec<(AgentId, AgentId)> {
        let bad = self.cells.iter().filter(|(_, state)| **state > CellState::Ok);
        bad.map(|((source, target), _)| (agent(*source), agent(*target))).collect()
    }

    fn snapshot(&self) -> Snapshot<'static> {
        let seat = |(index, site): (usize, &usize)| {
            let silent_since = self.silent.contains(&index).then_some(START);
            Seat { agent: agent(index), site: SITES[*site], is_endpoint: self.endpoints.contains(&index), silent_since }
        };
        let number = |index: usize| u32::try_from(index).unwrap();
        let cell = |((source, target), state): (&(usize, usize), &CellState)| MeasuredCell {
            source: number(*source),
            target: number(*target),
            state: *state,
            since: START,
            is_fresh: true,
        };
        Snapshot {
            roster: self.site_of.iter().enumerate().map(seat).collect(),
            cells: self.cells.iter().map(cell).collect(),
        }
    }

    fn findings(&self) -> Vec<Finding> {
        classify(&self.snapshot(), &Rules::default())
    }

    /// The only finding; with several, the test is told which.
    fn only(&self) -> Finding {
        let mut findings = self.findings();
        let subjects: Vec<_> = findings.iter().map(|finding| (finding.class, finding.subject.clone())).collect();
        assert_eq!(findings.len(), 1, "{subjects:?}");
        findings.remove(0)
    }
}
