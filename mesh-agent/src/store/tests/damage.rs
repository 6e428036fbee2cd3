//! Damage to the file: the agent always starts, nothing wrong is ever read, and what is lost is said.

use super::shadow::Shadow;
use super::sim::{Dice, SimDisk};
use super::{append, block};
use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::store::file::{DAMAGED_PREFIX, Place};
use crate::store::marks::MARKS_FILE;
use crate::store::worker::Worker;
use crate::store::{Opened, Order, Store};
use everypath_protocol::block::{Block, Content};
use everypath_protocol::id::{BootId, Epoch, Seq};
use everypath_protocol::ledger::BUFFER_FILE;
use everypath_protocol::record::Record;
use everypath_protocol::time::Span;
use mesh_agent_core::effect::PersistOp;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::oneshot;

/// The goal for a start with a damaged file.
const START_MAX: Span = Span::seconds(2);

fn place(disk: &SimDisk) -> Place {
    Place { disk: Arc::new(disk.clone()), dir: PathBuf::from("/agent") }
}

fn start(disk: &SimDisk, metrics: &Metrics) -> (Worker, Opened) {
    Worker::open(place(disk), BootId(1), Clock::start(), metrics.clone()).expect("an agent always starts")
}

fn ask<T>(worker: &mut Worker, order: impl FnOnce(oneshot::Sender<T>) -> Order) -> T {
    let (reply, mut answer) = oneshot::channel();
    worker.take(order(reply));
    worker.round();
    answer.try_recv().expect("the disk is well")
}

/// A buffer with a history: several epochs, tombstones, acknowledged parts. Returns its bytes and what waits in it.
fn written(changes: usize) -> (Vec<u8>, Shadow) {
    let (whole, _, shadow) = written_with_marks(changes);
    (whole, shadow)
}

/// The same, with the marks beside it.
fn written_with_marks(changes: usize) -> (Vec<u8>, Vec<u8>, Shadow) {
    let disk = SimDisk::new();
    let (mut worker, _) = start(&disk, &Metrics::new());
    let (mut shadow, mut dice, mut epochs) = (Shadow::default(), Dice(7), 0);
    for _ in 0..changes {
        let op = shadow.some_change(&mut dice, &mut epochs);
        shadow.apply(&op);
        worker.take(Order::Persist(op));
        worker.round();
    }
    for epoch in 900..903 {
        for first in 0..12 {
            let op = append(Epoch(epoch), first * 10 + 1, 10);
            shadow.apply(&op);
            worker.take(Order::Persist(op));
        }
        worker.round();
    }
    worker.take(Order::Close { reply: oneshot::channel().0 });
    worker.round();
    (disk.content(&place(&disk).buffer()), disk.content(&marks(&disk)), shadow)
}

fn marks(disk: &SimDisk) -> PathBuf {
    place(disk).dir.join(MARKS_FILE)
}

type Numbered = BTreeMap<(Epoch, u64), Record>;

fn records(blocks: &[Block]) -> Numbered {
    let of_block = |block: &Block| match &block.content {
        Content::Records(records) => {
            let epoch = block.epoch;
            (block.first.0..).zip(records.clone()).map(|(number, record)| ((epoch, number), record)).collect()
        }
        Content::Dropped { .. } => Vec::new(),
    };
    blocks.iter().flat_map(of_block).collect()
}

/// Starts with a damaged file and checks everything that is promised. Returns how many records were lost.
///
/// Once it was enough that something was said: nine tenths of what was lost had no number, because it was the end of a stream.
fn check(damaged: Vec<u8>, noted: Option<&[u8]>, before: &Numbered, metrics: &Metrics, what: &str) -> usize {
    let (disk, clock) = (SimDisk::new(), Clock::start());
    let told = || (metrics.store_damaged_records.get(), metrics.store_resets.get());
    let (damaged_before, resets_before) = told();
    disk.put(&place(&disk).buffer(), damaged);
    if let Some(noted) = noted {
        disk.put(&marks(&disk), noted.to_vec());
    }
    let (mut worker, opened) = start(&disk, metrics);
    let took = clock.mono();
    assert!(took.0 < START_MAX.0, "{what}: it took {took:?} to start");
    let mut after = Numbered::new();
    for epoch in &opened.resume.epochs {
        let (first, last) = (epoch.acked.next(), epoch.last);
        let mut next = epoch.blocks.first().map_or(first, |block| block.first);
        assert!(next <= first, "{what}: numbers are missing in front");
        for block in &epoch.blocks {
            assert_eq!(block.first, next, "{what}: a gap");
            next = block.last.next();
        }
        assert_eq!(next, last.next(), "{what}: numbers are missing at the end");
        let (epoch, first) = (epoch.epoch, epoch.blocks[0].first);
        let bytes = ask(&mut worker, |reply| Order::Read { epoch, first, last, reply });
        after.extend(records(&Block::decode_all(&bytes).unwrap()));
    }
    for (key, record) in &after {
        let same = before.get(key).is_none_or(|known| known == record);
        assert!(same, "{what}: {key:?} was read wrongly");
    }
    let lost = before.keys().filter(|key| !after.contains_key(*key)).count();
    let (damaged_after, resets_after) = told();
    let is_said = damaged_after > damaged_before || resets_after > resets_before;
    assert!(lost == 0 || is_said, "{what}: {lost} records were lost in silence");
    let named = damaged_after - damaged_before;
    assert!(noted.is_none() || lost as u64 <= named, "{what}: {lost} records were lost, {named} of them have a name");
    let report = ask(&mut worker, |reply| Order::Report { reply });
    assert_eq!(report.reset.is_some(), resets_after > resets_before, "{what}: a reset is in the file's own report");
    // It goes on.
    worker.take(Order::Persist(append(Epoch(5_000), 1, 2)));
    assert_eq!(worker.round().marks.get(&Epoch(5_000)), Some(&Seq(2)), "{what}");
    lost
}

fn damage(whole: &[u8], dice: &mut Dice) -> (Vec<u8>, String) {
    let mut damaged = whole.to_vec();
    // The structure is at the beginning; half of the damage goes there.
    let end = if dice.below(2) == 0 { damaged.len() } else { 24 * 1024 };
    match dice.below(10) {
        0 => {
            damaged.truncate(dice.index(whole.len()));
            let what = format!("cut off at {}", damaged.len());
            (damaged, what)
        }
        1 => {
            let (at, count) = (dice.index(end), 1 + dice.index(8_192));
            let until = (at + count).min(damaged.len());
            damaged[at..until].fill(0);
            (damaged, format!("zeros from {at} to {until}"))
        }
        _ => {
            let flips: Vec<(usize, u8)> = (0..=dice.below(3)).map(|_| (dice.index(end), 1 << dice.below(8))).collect();
            for (at, bit) in &flips {
                damaged[*at] ^= bit;
            }
            (damaged, format!("flipped bits: {flips:?}"))
        }
    }
}

#[test]
fn ten_thousand_damaged_files_all_start_and_say_what_is_lost() {
    let (whole, noted, shadow) = written_with_marks(300);
    let waiting: Vec<Block> = shadow.undrained().iter().flat_map(|entry| shadow.waiting(entry.epoch)).collect();
    let before = records(&waiting);
    assert!(before.len() > 300, "{}", before.len());
    let metrics = Metrics::new();
    assert_eq!(check(whole.clone(), Some(&noted), &before, &metrics, "nothing"), 0);
    let (mut dice, mut lost, mut worst) = (Dice(1), 0, 0);
    for number in 0..10_000 {
        let (damaged, what) = damage(&whole, &mut dice);
        // Now and then the marks are gone too.
        let noted = (number % 10 > 0).then_some(noted.as_slice());
        let gone = check(damaged, noted, &before, &metrics, &what);
        lost += gone;
        worst = worst.max(gone);
    }
    let share = lost * 1_000 / (10_000 * before.len());
    println!(
        "{} bytes, {} records; lost on average {share} permille, at worst {worst} records",
        whole.len(),
        before.len()
    );
}

#[tokio::test]
async fn damaged_files_on_a_real_disk_all_start() {
    let (whole, _) = written(100);
    let mut dice = Dice(2);
    for _ in 0..100 {
        let dir = tempfile::tempdir().unwrap();
        let (damaged, what) = damage(&whole, &mut dice);
        std::fs::write(dir.path().join(BUFFER_FILE), damaged).unwrap();
        let clock = Clock::start();
        let (store, _) = Store::open(dir.path(), BootId(1), clock, &Metrics::new()).expect(&what);
        assert!(clock.mono().0 < START_MAX.0, "{what}");
        store.flush().await.unwrap();
        store.close().await;
        let aside = std::fs::read_dir(dir.path()).unwrap().flatten();
        assert!(aside.filter(|file| file.file_name().to_string_lossy().starts_with(DAMAGED_PREFIX)).count() <= 1);
    }
}

#[test]
fn a_destroyed_beginning_costs_no_block_and_saved_epochs_are_not_continued() {
    let (mut whole, shadow) = written(0);
    let waiting: Vec<Block> = shadow.undrained().iter().flat_map(|entry| shadow.waiting(entry.epoch)).collect();
    whole[..4_096].fill(0);
    assert_eq!(check(whole.clone(), None, &records(&waiting), &Metrics::new(), "no first page"), 0);
    let disk = SimDisk::new();
    disk.put(&place(&disk).buffer(), whole);
    let (_, opened) = start(&disk, &Metrics::new());
    assert!(opened.resume.epochs.len() < mesh_agent_core::outbox::EPOCHS_MAX, "so the agent begins one of its own");
}

#[test]
fn many_epochs_are_saved_but_fewer_than_would_be_continued() {
    let disk = SimDisk::new();
    let (mut worker, _) = start(&disk, &Metrics::new());
    for epoch in 1..=40 {
        let mut block = block(Epoch(epoch), 1, 2);
        block.written.wall.0 = i64::try_from(epoch).unwrap();
        let (first, last, bytes) = (block.first, block.last(), block.encode());
        worker.take(Order::Persist(PersistOp::Append { epoch: Epoch(epoch), first, last, bytes, is_tombstone: false }));
        worker.round();
    }
    drop(worker);
    let mut damaged = disk.content(&place(&disk).buffer());
    damaged[..512].fill(0xff);
    disk.put(&place(&disk).buffer(), damaged);
    let (_, opened) = start(&disk, &Metrics::new());
    let epochs: Vec<u64> = opened.resume.epochs.iter().map(|epoch| epoch.epoch.0).collect();
    assert_eq!(epochs, (26..=40).collect::<Vec<_>>(), "the newest, oldest first");
}

#[test]
fn a_start_that_was_cut_off_while_a_file_was_set_aside_saves_it_at_the_next() {
    let (mut whole, _) = written(0);
    whole[..4_096].fill(0);
    let disk = SimDisk::new();
    disk.put(&place(&disk).dir.join(format!("{DAMAGED_PREFIX}000000000007")), whole);
    let metrics = Metrics::new();
    let (_, opened) = start(&disk, &metrics);
    assert_eq!(opened.resume.epochs.len(), 3);
    assert_eq!(metrics.store_salvaged_records.get(), 3 * 12 * 10);
}

/// A file that is lost while the agent runs: what is acknowledged stays acknowledged, and only what is really gone is dropped.
#[tokio::test]
async fn a_file_lost_while_running_is_replaced_by_what_is_known_and_what_can_be_saved() {
    let (disk, metrics) = (SimDisk::new(), Metrics::new());
    let (store, _) = Store::open_at(place(&disk), BootId(1), Clock::start(), &metrics).unwrap();
    let epoch = Epoch(7);
    for first in 0..10 {
        store.persist(append(epoch, first * 10 + 1, 10)).await;
    }
    store.persist(PersistOp::Discard { epoch, up_to: Seq(40) }).await;
    store.flush().await.unwrap();
    // One block of those that wait is destroyed, and the structure with it.
    let mut damaged = disk.content(&place(&disk).buffer());
    let target = block(epoch, 71, 10).encode();
    let at = damaged.windows(target.len()).position(|bytes| bytes == target).expect("it is there");
    damaged[at + 20] ^= 1;
    damaged[..4_096].fill(0);
    disk.refuse(Some(std::io::ErrorKind::Other));
    store.persist(append(epoch, 101, 10)).await;
    // The first attempt has failed when the account can be read elsewhere.
    store.ledger().await.unwrap();
    disk.put(&place(&disk).buffer(), damaged);
    disk.refuse(None);
    store.flush().await.unwrap();
    let ledger = store.ledger().await.unwrap();
    let [entry] = &ledger[..] else { panic!("{ledger:?}") };
    assert_eq!((entry.acked, entry.last), (Seq(40), Seq(110)));
    assert_eq!(entry.dropped, [(Seq(71), Seq(80))], "acknowledged numbers are not given up");
    let bytes = store.read(epoch, Seq(41), Seq(110)).await.unwrap();
    assert_eq!(records(&Block::decode_all(&bytes).unwrap()).len(), 60);
    assert_eq!((metrics.store_resets.get(), metrics.store_salvaged_records.get()), (1, 50));
}

#[tokio::test]
async fn a_damaged_block_moves_to_a_new_epoch_as_a_tombstone_so_that_numbers_stay_in_step() {
    let (disk, metrics) = (SimDisk::new(), Metrics::new());
    let (store, _) = Store::open_at(place(&disk), BootId(1), Clock::start(), &metrics).unwrap();
    let epoch = Epoch(7);
    store.persist(append(epoch, 1, 10)).await;
    let mut bytes = block(epoch, 11, 10).encode();
    *bytes.last_mut().unwrap() ^= 1;
    store.persist(PersistOp::Append { epoch, first: Seq(11), last: Seq(20), bytes, is_tombstone: false }).await;
    store.persist(append(epoch, 21, 10)).await;
    store.persist(PersistOp::Renumber { epoch, from: Seq(1), into: Epoch(8) }).await;
    let bytes = store.read(Epoch(8), Seq(1), Seq(30)).await.unwrap();
    let blocks = Block::decode_all(&bytes).unwrap();
    let ranges: Vec<_> = blocks.iter().map(|block| (block.first.0, block.last().0)).collect();
    assert_eq!(ranges, [(1, 10), (11, 20), (21, 30)]);
    assert!(matches!(blocks[1].content, Content::Dropped { .. }));
    let ledger = store.ledger().await.unwrap();
    assert_eq!((ledger[1].last, &ledger[1].dropped[..]), (Seq(30), &[(Seq(11), Seq(20))][..]));
    assert_eq!(metrics.store_damaged_records.get(), 10);
}

#[tokio::test]
async fn an_inspection_names_what_is_wrong_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(dir.path(), BootId(1), Clock::start(), &Metrics::new()).unwrap();
    let epoch = Epoch(7);
    store.persist(append(epoch, 1, 10)).await;
    store.persist(PersistOp::Discard { epoch, up_to: Seq(4) }).await;
    store.flush().await.unwrap();
    store.close().await;
    let sound = Store::verify(dir.path()).unwrap();
    assert_eq!((sound.epochs, sound.blocks, sound.records, sound.problems.len()), (1, 1, 10, 0));
    let (report, file) = Store::report_of(dir.path()).unwrap();
    assert_eq!((report.waiting_records, report.epochs[0].acked, file.has_reserve), (10, 4, true));

    let (store, _) = Store::open(dir.path(), BootId(1), Clock::start(), &Metrics::new()).unwrap();
    let mut bytes = block(epoch, 11, 10).encode();
    *bytes.last_mut().unwrap() ^= 1;
    store.persist(PersistOp::Append { epoch, first: Seq(11), last: Seq(20), bytes, is_tombstone: false }).await;
    // A hole, and a tombstone that the account is not told of.
    let bytes = super::tombstone(epoch, 31, 5);
    store.persist(PersistOp::Append { epoch, first: Seq(31), last: Seq(35), bytes, is_tombstone: false }).await;
    store.flush().await.unwrap();
    store.close().await;
    let before = std::fs::read(dir.path().join(BUFFER_FILE)).unwrap();
    let found = Store::verify(dir.path()).unwrap();
    let said = found.problems.join("\n");
    // Streams were named in decimal here and in hexadecimal by the aggregator's audit: nobody could compare them.
    let name = crate::text::epoch(epoch);
    let (report, _) = Store::report_of(dir.path()).unwrap();
    assert_eq!(report.epochs[0].epoch, name);
    assert!(found.problems.iter().all(|problem| problem.starts_with(&format!("epoch {name}: "))), "{said}");
    for part in [
        "at number 11 cannot be read: the checksum",
        "numbers 11 to 30 are on no readable block",
        "covers the numbers 31 to 35",
    ] {
        assert!(said.contains(part), "{part:?} is not in:\n{said}");
    }
    assert_eq!(found.problems.len(), 3, "{said}");
    assert_eq!(std::fs::read(dir.path().join(BUFFER_FILE)).unwrap(), before, "nothing was changed");
    // The next start mends it, and says so.
    let metrics = Metrics::new();
    let (store, _) = Store::open(dir.path(), BootId(1), Clock::start(), &metrics).unwrap();
    store.close().await;
    assert_eq!(metrics.store_damaged_records.get(), 20);
}
