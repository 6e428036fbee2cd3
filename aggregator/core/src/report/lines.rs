//! The report: a line for each pair, agent and site, the worst first.

use super::{Availability, PairSums, Period};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Reverse;
use everypath_protocol::id::AgentId;
use everypath_protocol::window::ProbeKind;

/// Who an agent of the database is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// Its number in the database.
    pub number: u32,
    /// Its key.
    pub id: AgentId,
    /// What people call it.
    pub name: String,
    /// Where it is.
    pub site: String,
}

/// One ordered pair.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PairLine {
    /// Name of who measured.
    pub source: String,
    /// Name of who was measured.
    pub target: String,
    /// How.
    pub kind: ProbeKind,
    /// Of the period.
    pub availability: Availability,
    /// Lost of sent, in millionths.
    pub loss_ppm: Option<u32>,
    /// Mean round-trip time in microseconds.
    pub rtt_mean_us: Option<u64>,
}

/// One agent, as all others saw it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AgentLine {
    /// Its name.
    pub name: String,
    /// Its site.
    pub site: String,
    /// Of all pairs towards it.
    pub availability: Availability,
    /// How many those are.
    pub pairs: u32,
}

/// One site, as seen across its border, in both directions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SiteLine {
    /// Its name.
    pub name: String,
    /// Its agents.
    pub agents: u32,
    /// Of all pairs with one end in it.
    pub availability: Availability,
    /// How many those are.
    pub pairs: u32,
}

/// All of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// Of which time.
    pub period: Period,
    /// Of all pairs together.
    pub whole: Availability,
    /// The worst first.
    pub pairs: Vec<PairLine>,
    /// The worst first.
    pub agents: Vec<AgentLine>,
    /// The worst first.
    pub sites: Vec<SiteLine>,
}

impl Report {
    /// From what all pairs add up to. Of pairs whose ends are not both in `members` there is nothing to say.
    pub fn new(period: Period, members: &[Member], sums: &[PairSums]) -> Self {
        let by_number: BTreeMap<u32, &Member> = members.iter().map(|member| (member.number, member)).collect();
        let mut agents: BTreeMap<u32, AgentLine> =
            members.iter().map(|member| (member.number, agent(member))).collect();
        let mut sites: BTreeMap<&str, SiteLine> = BTreeMap::new();
        for member in members {
            sites.entry(&member.site).or_insert_with(|| site(&member.site)).agents += 1;
        }
        let mut whole = Availability::default();
        let mut pairs = Vec::with_capacity(sums.len());
        for sum in sums {
            let (Some(source), Some(target)) = (by_number.get(&sum.source), by_number.get(&sum.target)) else {
                continue;
            };
            let availability = Availability::of(sum, period.span());
            whole.merge(&availability);
            if let Some(line) = agents.get_mut(&sum.target) {
                line.availability.merge(&availability);
                line.pairs += 1;
            }
            if source.site != target.site {
                for end in [&source.site, &target.site] {
                    if let Some(line) = sites.get_mut(end.as_str()) {
                        line.availability.merge(&availability);
                        line.pairs += 1;
                    }
                }
            }
            pairs.push(PairLine {
                source: source.name.clone(),
                target: target.name.clone(),
                kind: sum.kind,
                availability,
                loss_ppm: sum.loss_ppm(),
                rtt_mean_us: sum.rtt_mean_us(),
            });
        }
        let mut report =
            Self { period, whole, pairs, agents: agents.into_values().collect(), sites: sites.into_values().collect() };
        report.sort();
        report
    }

    fn sort(&mut self) {
        // Names last, so that the same sums are the same report.
        self.pairs.sort_by(|one, other| {
            let bad =
                |line: &PairLine| (badness(&line.availability), Reverse(line.loss_ppm), Reverse(line.rtt_mean_us));
            let by_name = || (&one.source, &one.target).cmp(&(&other.source, &other.target));
            bad(one).cmp(&bad(other)).then_with(by_name)
        });
        self.agents.sort_by(|one, other| {
            (badness(&one.availability), &one.name).cmp(&(badness(&other.availability), &other.name))
        });
        self.sites.sort_by(|one, other| {
            (badness(&one.availability), &one.name).cmp(&(badness(&other.availability), &other.name))
        });
    }
}

fn agent(member: &Member) -> AgentLine {
    AgentLine { name: member.name.clone(), site: member.site.clone(), availability: Availability::default(), pairs: 0 }
}

fn site(name: &str) -> SiteLine {
    SiteLine { name: name.into(), agents: 0, availability: Availability::default(), pairs: 0 }
}

/// The smaller, the earlier in a list. What nobody saw comes last: it is no news of the network.
fn badness(availability: &Availability) -> (bool, u32) {
    let share = availability.share_ppm();
    (share.is_none(), share.unwrap_or_default())
}
