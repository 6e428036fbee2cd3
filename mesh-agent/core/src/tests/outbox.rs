use super::bench::{SEED, appended, at, flip, params, window};
use crate::effect::{Effect, Effects, PersistOp};
use crate::outbox::{EPOCHS_MAX, Outbox, UNPERSISTED_BYTES_MAX, UNPERSISTED_MAX};
use crate::params::{AgentParams, Resume, StoredBlock, StoredEpoch};
use alloc::vec;
use alloc::vec::Vec;
use everypath_protocol::block::{Block, Content};
use everypath_protocol::id::{Epoch, Seq};
use everypath_protocol::record::DropReason;
use everypath_protocol::time::Span;

fn outbox(bytes_max: u64) -> Outbox {
    Outbox::new(&AgentParams { buffer_bytes_max: bytes_max, ..params(1) }, Resume::default(), SEED)
}

/// Writes `count` blocks of ten windows, each confirmed at once.
fn fill(outbox: &mut Outbox, count: u64) -> Effects {
    let mut out = Effects::new();
    for block in 0..count {
        for record in 0..10 {
            outbox.push(at(block * 1_000), window(u8::try_from(record).unwrap(), block), &mut out);
        }
        outbox.flush(at(block * 1_000), &mut out);
        let live = outbox.live();
        outbox.persisted(live, Seq(u64::MAX));
    }
    out
}

#[test]
fn records_wait_a_second_for_company_and_are_numbered_without_gaps() {
    let (mut outbox, mut out) = (outbox(u64::MAX), Effects::new());
    outbox.push(at(0), window(2, 0), &mut out);
    outbox.push(at(500), window(3, 0), &mut out);
    assert_eq!(outbox.next_deadline(), Some(at(1_000).mono));
    outbox.turn(at(999), &mut out);
    assert_eq!(appended(&out), []);
    outbox.turn(at(1_000), &mut out);
    outbox.push(at(1_200), window(2, 0), &mut out);
    outbox.flush(at(1_200), &mut out);
    assert_eq!(appended(&out), [(1, 2), (3, 3)]);
}

#[test]
fn a_change_of_state_is_written_at_once_in_a_block_of_its_own() {
    let (mut outbox, mut out) = (outbox(u64::MAX), Effects::new());
    outbox.push(at(0), window(2, 0), &mut out);
    outbox.push(at(10), flip(2, 10), &mut out);
    assert_eq!(appended(&out), [(1, 1), (2, 2)]);
}

#[test]
fn a_full_buffer_gives_up_the_oldest_windows_and_says_so_under_their_numbers() {
    let mut outbox = outbox(4_000);
    let out = fill(&mut outbox, 40);
    assert!(outbox.bytes() <= 4_000, "{} bytes", outbox.bytes());
    let (first, last, bytes) = out
        .iter()
        .rev()
        .find_map(|effect| match effect {
            Effect::Persist(PersistOp::Replace { first, last, bytes, .. }) => Some((*first, *last, bytes)),
            _ => None,
        })
        .expect("something was given up");
    assert_eq!(first, Seq(1), "tombstones that touch are one");
    let tombstone = Block::decode(bytes).unwrap();
    assert_eq!((tombstone.first, tombstone.last()), (first, last));
    assert!(matches!(tombstone.content, Content::Dropped { reason: DropReason::BufferFull, .. }));
    assert_eq!(outbox.dropped(), last.0);
}

#[test]
fn changes_of_state_outlive_windows_when_the_buffer_is_full() {
    let mut outbox = outbox(4_000);
    let mut out = Effects::new();
    outbox.push(at(0), flip(2, 0), &mut out);
    let live = outbox.live();
    outbox.persisted(live, Seq(1));
    fill(&mut outbox, 60);
    let batch = outbox.streams()[0].next_batch(u64::MAX, u64::MAX).unwrap();
    assert_eq!(batch.0, Seq(1));
    let burials = fill(&mut outbox, 60).into_iter().filter_map(|effect| match effect {
        Effect::Persist(PersistOp::Replace { first, .. }) => Some(first),
        _ => None,
    });
    assert!(burials.into_iter().all(|first| first > Seq(1)), "the change of state, number 1, is still there");
}

#[test]
fn what_is_on_its_way_is_not_given_up() {
    let mut outbox = outbox(4_000);
    fill(&mut outbox, 2);
    let live = outbox.live();
    outbox.stream_mut(live).unwrap().in_flight = Some((Seq(1), Seq(20)));
    let out = fill(&mut outbox, 40);
    let touched =
        out.iter().any(|effect| matches!(effect, Effect::Persist(PersistOp::Replace { first, .. }) if first.0 <= 20));
    assert!(!touched);
}

#[test]
fn a_disk_that_does_not_keep_up_costs_records_but_no_number() {
    let (mut outbox, mut out) = (outbox(u64::MAX), Effects::new());
    for block in 0..UNPERSISTED_MAX as u64 + 5 {
        outbox.push(at(block), window(2, block), &mut out);
        outbox.flush(at(block), &mut out);
    }
    assert_eq!(appended(&out).len(), UNPERSISTED_MAX);
    assert_eq!(outbox.dropped(), 5);
    out.clear();
    let live = outbox.live();
    outbox.persisted(live, Seq(UNPERSISTED_MAX as u64));
    outbox.push(at(900), window(2, 900), &mut out);
    outbox.flush(at(900), &mut out);
    let numbers = appended(&out);
    let last = UNPERSISTED_MAX as u64;
    assert_eq!(numbers, [(last + 1, last + 5), (last + 6, last + 6)], "a tombstone, then the record");
}

#[test]
fn every_start_begins_an_epoch_until_sixteen_wait() {
    let stored = |epoch| {
        let block = StoredBlock { first: Seq(4), last: Seq(9), bytes: 100, holds_flips: false, is_tombstone: false };
        StoredEpoch { epoch: Epoch(epoch), acked: Seq(3), last: Seq(9), blocks: vec![block] }
    };
    let start = |count| Outbox::new(&params(1), Resume { epochs: (1..=count).map(stored).collect() }, SEED);
    let usual = start(3);
    assert_eq!(usual.streams().len(), 4);
    assert!(usual.live().0 > 3);
    let full = start(EPOCHS_MAX as u64);
    assert_eq!((full.streams().len(), full.live()), (EPOCHS_MAX, Epoch(EPOCHS_MAX as u64)));
    let mut out = Effects::new();
    let mut full = full;
    full.push(at(0), flip(2, 0), &mut out);
    assert_eq!(appended(&out), [(10, 10)], "the newest epoch goes on without a gap");
    assert_eq!(
        full.streams()[EPOCHS_MAX - 1].next_batch(u64::MAX, u64::MAX),
        Some((Seq(4), Seq(9))),
        "apart from the old"
    );
}

#[test]
fn only_a_backlog_older_than_asked_is_sealed() {
    let mut outbox = outbox(u64::MAX);
    fill(&mut outbox, 3);
    let (before, mut out) = (outbox.live(), Effects::new());
    outbox.seal_backlog(at(50_000), Span::seconds(60), &mut out);
    assert_eq!(outbox.live(), before);
    outbox.seal_backlog(at(60_000), Span::seconds(60), &mut out);
    assert_ne!(outbox.live(), before);
    let epochs: Vec<Epoch> = outbox.streams().iter().map(|stream| stream.epoch).collect();
    assert_eq!(epochs, [before, outbox.live()]);
}

#[test]
fn an_acknowledged_epoch_is_forgotten_unless_it_is_live() {
    let mut outbox = outbox(u64::MAX);
    fill(&mut outbox, 3);
    let (old, mut out) = (outbox.live(), Effects::new());
    outbox.seal_backlog(at(90_000), Span::seconds(60), &mut out);
    out.clear();
    outbox.acked(old, Seq(30), &mut out);
    assert_eq!(out, [Effect::Persist(PersistOp::Discard { epoch: old, up_to: Seq(30) })]);
    assert_eq!((outbox.streams().len(), outbox.bytes()), (1, 0));
    outbox.acked(old, Seq(30), &mut out);
    assert_eq!(out.len(), 1, "a second acknowledgement is no news");
}

#[test]
fn renumbering_moves_what_waits_to_a_new_epoch_from_one() {
    let mut outbox = outbox(u64::MAX);
    fill(&mut outbox, 3);
    let (old, mut out) = (outbox.live(), Effects::new());
    outbox.acked(old, Seq(10), &mut out);
    out.clear();
    outbox.renumber(old, &mut out);
    let into = outbox.live();
    assert_ne!(into, old);
    assert_eq!(out, [Effect::Persist(PersistOp::Renumber { epoch: old, from: Seq(11), into })]);
    assert_eq!(outbox.streams()[0].next_batch(u64::MAX, u64::MAX), None, "not before the disk has it");
    outbox.persisted(into, Seq(20));
    assert_eq!(outbox.streams()[0].next_batch(u64::MAX, u64::MAX), Some((Seq(1), Seq(20))));
    out.clear();
    outbox.push(at(99_000), flip(2, 0), &mut out);
    assert_eq!(appended(&out), [(21, 21)]);
}

/// Ten windows a second for this long, on a disk that confirms nothing.
fn on_a_dead_disk(outbox: &mut Outbox, seconds: u64, out: &mut Effects) {
    for second in 0..seconds {
        for target in 0..10 {
            outbox.push(at(second * 1_000), window(target, second), out);
        }
        outbox.turn(at(second * 1_000 + 999), out);
        assert!(outbox.unpersisted() <= UNPERSISTED_MAX);
        assert!(outbox.unpersisted_bytes() <= UNPERSISTED_BYTES_MAX as u64);
        assert!(outbox.next_deadline().is_none_or(|at| at.0 > 0));
    }
}

#[test]
fn a_dead_disk_is_waited_for_in_full_blocks_and_costs_one_exact_tombstone() {
    let (mut outbox, mut out) = (outbox(u64::MAX), Effects::new());
    // 64 full blocks hold 27 minutes of this.
    on_a_dead_disk(&mut outbox, 1_500, &mut out);
    assert_eq!(outbox.dropped(), 0);
    assert!(appended(&out).len() < UNPERSISTED_MAX, "{} blocks", appended(&out).len());
    on_a_dead_disk(&mut outbox, 1_500, &mut out);
    let dropped = outbox.dropped();
    assert!(dropped > 10_000, "{dropped}");
    assert_eq!(outbox.next_deadline(), None, "it waits for the disk, not for time");
    let (live, last) = (outbox.live(), appended(&out).last().unwrap().1);
    out.clear();
    outbox.persisted(live, Seq(last));
    outbox.turn(at(3_100_000), &mut out);
    let numbers = appended(&out);
    assert_eq!(numbers[0], (last + 1, last + dropped), "first what was given up, under its own numbers");
    assert_eq!(numbers[1].0, last + dropped + 1, "then what has waited");
    assert_eq!(numbers[1].1, 30_000, "and nothing is missing");
}

#[test]
fn changes_of_state_share_a_block_once_half_of_the_room_is_taken() {
    let (mut outbox, mut out) = (outbox(u64::MAX), Effects::new());
    for second in 0..1_000 {
        outbox.push(at(second * 1_000), flip(2, second), &mut out);
        outbox.turn(at(second * 1_000 + 999), &mut out);
    }
    assert_eq!(outbox.dropped(), 0);
    assert!(outbox.unpersisted() <= UNPERSISTED_MAX / 2 + 4, "{}", outbox.unpersisted());
}

#[test]
fn a_file_system_with_little_room_is_a_full_buffer_until_it_has_room_again() {
    let mut outbox = outbox(u64::MAX);
    fill(&mut outbox, 4_000);
    let before = outbox.bytes();
    assert!(before > crate::outbox::LOW_DISK_BYTES_MIN, "{before}");
    outbox.set_disk_room(true);
    fill(&mut outbox, 500);
    assert!(outbox.bytes() <= before, "it does not grow");
    assert!(outbox.dropped() >= 4_900, "the oldest made room: {}", outbox.dropped());
    outbox.set_disk_room(false);
    let dropped = outbox.dropped();
    fill(&mut outbox, 500);
    assert_eq!(outbox.dropped(), dropped);
}
