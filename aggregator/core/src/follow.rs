//! Reading what other replicas stored, by number, without missing any.
//!
//! Numbers of a sequence are given out before their transactions commit, so a reader may see 7 before 6. Whoever then goes on
//! behind 7 never sees 6. A [`Follower`] remembers such holes and asks for them again until they are filled or so old that
//! their transaction must have failed. For the matrix of now that is exact enough; what must never miss a row, the rollup,
//! reads behind the oldest transaction under way instead.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use everypath_protocol::time::{MonoTime, Span};

/// No transaction that stores a batch takes this long; a hole that is older was rolled back.
pub const HOLE_AGE_MAX: Span = Span::seconds(60);
/// Most holes that are asked for; beyond it the oldest are given up. A replica leaves one for each transaction that fails.
pub const HOLES_MAX: usize = 1_024;

/// Where a reader stands.
#[derive(Clone, Debug)]
pub struct Follower {
    /// Everything up to here was read or is a hole.
    through: i64,
    holes: BTreeMap<i64, MonoTime>,
    given_up: u64,
}

impl Follower {
    /// Goes on behind `through`.
    pub const fn new(through: i64) -> Self {
        Self { through, holes: BTreeMap::new(), given_up: 0 }
    }

    /// Numbers above this are wanted.
    pub const fn through(&self) -> i64 {
        self.through
    }

    /// And these.
    pub fn holes(&self) -> Vec<i64> {
        self.holes.keys().copied().collect()
    }

    /// Holes that were never filled.
    pub const fn given_up(&self) -> u64 {
        self.given_up
    }

    /// Takes the numbers of one answer, in any order. Returns those that are new, ascending.
    pub fn take(&mut self, now: MonoTime, mut ids: Vec<i64>) -> Vec<i64> {
        ids.sort_unstable();
        ids.dedup();
        let mut new = Vec::with_capacity(ids.len());
        for id in ids {
            if id > self.through {
                // A jump of millions is a sequence that was set anew, not as many transactions under way.
                let first =
                    self.through.saturating_add(1).max(id.saturating_sub(i64::try_from(HOLES_MAX).unwrap_or(0)));
                self.holes.extend((first..id).map(|hole| (hole, now)));
                self.through = id;
                new.push(id);
            } else if self.holes.remove(&id).is_some() {
                new.push(id);
            }
        }
        let before = self.holes.len();
        self.holes.retain(|_, since| now.since(*since) < HOLE_AGE_MAX);
        while self.holes.len() > HOLES_MAX {
            self.holes.pop_first();
        }
        self.given_up += u64::try_from(before - self.holes.len()).unwrap_or(0);
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use alloc::vec;
    use everypath_protocol::id::mix64;

    const NOW: MonoTime = MonoTime(1_000_000_000_000);

    #[test]
    fn a_number_that_commits_late_is_read_once() {
        let mut follower = Follower::new(4);
        assert_eq!(follower.take(NOW, vec![5, 7]), [5, 7]);
        assert_eq!((follower.through(), follower.holes()), (7, vec![6]));
        assert_eq!(follower.take(NOW, vec![6, 8]), [6, 8]);
        assert_eq!(follower.take(NOW, vec![6, 8, 3]), []);
    }

    #[test]
    fn a_hole_that_is_never_filled_is_given_up() {
        let mut follower = Follower::new(0);
        follower.take(NOW, vec![3]);
        assert_eq!(follower.holes(), [1, 2]);
        follower.take(NOW + HOLE_AGE_MAX, vec![]);
        assert_eq!((follower.holes(), follower.given_up()), (vec![], 2));
    }

    #[test]
    fn a_sequence_that_jumps_costs_no_memory() {
        let mut follower = Follower::new(0);
        assert_eq!(follower.take(NOW, vec![i64::MAX]), [i64::MAX]);
        assert!(follower.holes().len() <= HOLES_MAX);
        let mut follower = Follower::new(i64::MIN);
        assert_eq!(follower.take(NOW, vec![1]), [1]);
    }

    #[test]
    fn whatever_the_order_of_commits_every_number_is_read_exactly_once() {
        for seed in 0..200_u64 {
            let mut follower = Follower::new(0);
            let (mut under_way, mut visible): (Vec<i64>, BTreeSet<i64>) = (Vec::new(), BTreeSet::new());
            let (mut next, mut read) = (0, Vec::new());
            for turn in 0..400_u64 {
                let draw = mix64(seed << 32 | turn);
                if !draw.is_multiple_of(3) && turn < 350 {
                    next += 1;
                    under_way.push(next);
                } else if !under_way.is_empty() {
                    let place = usize::try_from(draw >> 8).expect("64 bits") % under_way.len();
                    visible.insert(under_way.swap_remove(place));
                }
                if draw.is_multiple_of(5) {
                    let holes = follower.holes();
                    let wanted = |id: &&i64| **id > follower.through() || holes.contains(id);
                    let answer = visible.iter().filter(wanted).copied().collect();
                    read.extend(follower.take(NOW, answer));
                }
            }
            visible.extend(under_way);
            let holes = follower.holes();
            let rest = visible.iter().filter(|id| **id > follower.through() || holes.contains(id)).copied().collect();
            read.extend(follower.take(NOW, rest));
            read.sort_unstable();
            assert_eq!(read, visible.into_iter().collect::<Vec<_>>(), "seed {seed}");
        }
    }
}
