//! Paths between hosts: how long they take, what they lose, and which do not exist now. Packets go in with a time, decisions
//! come out.

use crate::pace::Size;
use crate::random::Random;
use everypath_protocol::id::mix64;
use everypath_protocol::time::Span;
use everypath_protocol::window::ProbeOutcome;

/// A host: agents count from 0, the aggregator's host is the last.
pub type HostIndex = usize;

/// The network of a run.
#[derive(Debug)]
pub struct Network {
    /// Which part of a parted network each host is in. All equal means whole.
    parts: Vec<u8>,
    /// Of each host. Between islands there never is a path, but all reach the aggregator's host, which is the last.
    islands: Vec<usize>,
    seed: u64,
    loss_permille: u64,
    random: Random,
    /// Messages that did not arrive.
    pub lost: u64,
}

impl Network {
    /// A whole network of the agents and the aggregator, with this loss each way.
    pub fn new(size: Size, seed: u64, loss_permille: u64) -> Self {
        let islands = (0..size.agents).map(|host| size.pace.island(host)).chain([usize::MAX]).collect();
        Self { parts: vec![0; size.agents + 1], islands, seed, loss_permille, random: Random::new(seed, 1), lost: 0 }
    }

    /// Parts the network.
    pub fn part(&mut self, parts: Vec<u8>) {
        assert_eq!(parts.len(), self.parts.len(), "every host is in some part");
        self.parts = parts;
    }

    /// Makes it whole.
    pub fn heal(&mut self) {
        self.parts.fill(0);
    }

    /// From now on nothing is lost by chance.
    pub const fn calm(&mut self) {
        self.loss_permille = 0;
    }

    /// Whether packets between two hosts can arrive at all.
    pub fn is_joined(&self, one: HostIndex, other: HostIndex) -> bool {
        let has_path =
            self.islands[one] == self.islands[other] || self.islands[one].max(self.islands[other]) == usize::MAX;
        has_path && self.parts[one] == self.parts[other]
    }

    /// How long a packet takes one way on this path: 0.1 to 40 ms by the pair, up to a tenth more by chance.
    pub fn delay(&mut self, from: HostIndex, to: HostIndex) -> Span {
        let pair = u64::try_from(from * self.parts.len() + to).unwrap_or(0);
        let usual = 100_000 + mix64(self.seed ^ mix64(pair)) % 40_000_000;
        Span(usual + self.random.below(usual / 10))
    }

    /// A message over a reliable connection: arrives after one delay, or one more for each loss, or never.
    pub fn message(&mut self, from: HostIndex, to: HostIndex) -> Option<Span> {
        if !self.is_joined(from, to) {
            self.lost += 1;
            return None;
        }
        let mut delay = self.delay(from, to);
        while self.random.permille(self.loss_permille) {
            self.lost += 1;
            delay = Span(delay.0 + Span::millis(200).0);
        }
        Some(delay)
    }

    /// What becomes of a ping, and after how long that is known.
    pub fn ping(&mut self, from: HostIndex, to: HostIndex, is_up: bool, timeout: Span) -> (Span, ProbeOutcome) {
        let is_lost = self.random.permille(self.loss_permille) | self.random.permille(self.loss_permille);
        if !is_up || !self.is_joined(from, to) || is_lost {
            self.lost += 1;
            return (timeout, ProbeOutcome::Lost);
        }
        let rtt = Span(self.delay(from, to).0 + self.delay(to, from).0);
        (rtt, ProbeOutcome::Replied { rtt_us: u32::try_from(rtt.as_micros()).unwrap_or(u32::MAX) })
    }
}
