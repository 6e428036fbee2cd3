//! The worker that ships on a disk whose power is cut: at the first creation, at commits, while it recovers, again and again.
//!
//! After each cut the buffer must open, and hold exactly what it held after some change, not before the last one that was
//! called persisted. `EVERYPATH_POWER_LOSS_POINTS` sets how many cuts; `EVERYPATH_POWER_LOSS_SEED` replays one disk.

use super::shadow::Shadow;
use super::sim::{Dice, SimDisk};
use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::store::Order;
use crate::store::file::Place;
use crate::store::worker::Worker;
use everypath_protocol::block::Block;
use everypath_protocol::id::{BootId, Incarnation};
use everypath_protocol::ledger::LedgerEntry;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::oneshot;

const POINTS: u64 = 50_000;
/// Cuts that one disk survives before a new one is made.
const CUTS_OF_A_DISK: u64 = 12;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Asks the worker something. `None` if the power was cut before it answered.
fn ask<T>(worker: &mut Worker, order: impl FnOnce(oneshot::Sender<T>) -> Order) -> Option<T> {
    let (reply, mut answer) = oneshot::channel();
    worker.take(order(reply));
    worker.round();
    answer.try_recv().ok()
}

struct Bench {
    dice: Dice,
    disk: SimDisk,
    place: Place,
    metrics: Metrics,
    /// What may be on the disk: the last known state and each one after it.
    possible: Vec<Shadow>,
    incarnation: Incarnation,
    next_epoch: u64,
}

impl Bench {
    fn new(seed: u64) -> Self {
        let disk = SimDisk::new();
        let place = Place { disk: Arc::new(disk.clone()), dir: PathBuf::from("/agent") };
        let (dice, metrics) = (Dice(seed), Metrics::new());
        let possible = vec![Shadow::default()];
        Self { dice, disk, place, metrics, possible, incarnation: Incarnation(0), next_epoch: 0 }
    }

    /// Lives until the power is cut. Returns whether anything of it was checked.
    fn live(&mut self) {
        // Recovery takes some dozens of operations, and so does a commit.
        let reach = [30, 90, 200, 600][self.dice.index(4)];
        self.disk.cut_after(1 + self.dice.below(reach));
        let opened = Worker::open(self.place.clone(), BootId(1), Clock::start(), self.metrics.clone());
        let (mut worker, opened) = match opened {
            Ok(opened) => opened,
            Err(why) => {
                assert!(self.disk.is_cut(), "it cannot be opened: {why}");
                return;
            }
        };
        assert_eq!(self.metrics.store_resets.get(), 0, "it was set aside");
        assert!(opened.incarnation > self.incarnation, "{:?} after {:?}", opened.incarnation, self.incarnation);
        self.incarnation = opened.incarnation;
        self.possible.retain(|shadow| shadow.fits(&opened.resume));
        assert!(!self.possible.is_empty(), "what is there never was: {:#?}", opened.resume);
        if let Some(ledger) = ask(&mut worker, |reply| Order::Ledger { reply }) {
            let same = |shadow: &Shadow| shadow.ledger.values().eq(ledger.iter().collect::<Vec<&LedgerEntry>>());
            self.possible.retain(same);
            assert!(!self.possible.is_empty(), "such an account there never was: {ledger:#?}");
        }
        for entry in self.possible[0].undrained() {
            let (epoch, first, last) = (entry.epoch, self.possible[0].waiting(entry.epoch)[0].first, entry.last);
            if let Some(bytes) = ask(&mut worker, |reply| Order::Read { epoch, first, last, reply }) {
                let blocks = Block::decode_all(&bytes).unwrap();
                // Two states can have the same account and differ only here: a tombstone that took another's place.
                self.possible.retain(|shadow| shadow.waiting(epoch) == blocks);
                assert!(!self.possible.is_empty(), "such blocks there never were: {blocks:#?}");
            }
        }
        while !self.disk.is_cut() {
            self.work(&mut worker);
        }
    }

    fn work(&mut self, worker: &mut Worker) {
        let mut newest = self.possible.last().expect("there is always one").clone();
        for _ in 0..=self.dice.below(4) {
            let op = newest.some_change(&mut self.dice, &mut self.next_epoch);
            newest.apply(&op);
            worker.take(Order::Persist(op));
        }
        let is_done = ask(worker, |reply| Order::Flush { reply }).is_some();
        if is_done {
            self.possible.clear();
        }
        self.possible.push(newest);
        if is_done && self.dice.below(50) == 0 {
            worker.compact_now();
        }
    }
}

#[test]
fn whatever_was_called_persisted_survives_a_power_cut_at_any_moment() {
    let points = number("EVERYPATH_POWER_LOSS_POINTS").unwrap_or(POINTS);
    let only = number("EVERYPATH_POWER_LOSS_SEED");
    let disks = only.map_or_else(|| 0..points.div_ceil(CUTS_OF_A_DISK), |seed| seed..seed + 1);
    for seed in disks {
        // Told if it fails, so that it can be looked into.
        let told = Told(seed);
        let mut bench = Bench::new(seed);
        for _ in 0..CUTS_OF_A_DISK {
            bench.live();
            bench.disk.crash(&mut bench.dice);
        }
        // Once more, to see that it ended well.
        bench.disk.cut_after(u64::MAX);
        let opened = Worker::open(bench.place.clone(), BootId(1), Clock::start(), bench.metrics.clone());
        let (_, opened) = opened.expect("nothing is cut any more");
        assert!(bench.possible.iter().any(|shadow| shadow.fits(&opened.resume)));
        std::mem::forget(told);
    }
}

struct Told(u64);

impl Drop for Told {
    fn drop(&mut self) {
        println!("replay it with EVERYPATH_POWER_LOSS_SEED={}", self.0);
    }
}
