use super::*;
use alloc::vec;
use everypath_protocol::cell::CellState;
use everypath_protocol::id::{AgentId, BootId, Epoch, mix64};
use everypath_protocol::record::CellFlip;
use everypath_protocol::time::{MonoTime, Now};
use everypath_protocol::window::{ProbeKind, Window};

const NOW: UnixTime = UnixTime(1_800_000_000_000_000);

fn window(start: UnixTime) -> Record {
    let mut window = Window::new(AgentId([7; 32]), ProbeKind::Icmp, start);
    window.span = Span::seconds(10);
    Record::Window(window)
}

fn block(first: u64, content: Content) -> Block {
    Block { epoch: Epoch(5), first: Seq(first), boot: BootId(1), written: Now::default(), renumbered: false, content }
}

fn records(first: u64, count: usize) -> Block {
    block(first, Content::Records(vec![window(NOW.minus(Span::seconds(20))); count]))
}

fn dropped(first: u64, count: u32) -> Block {
    block(first, Content::Dropped { count, reason: DropReason::BufferFull })
}

fn header_of(blocks: &[Block]) -> BatchHeader {
    BatchHeader {
        agent: AgentId([1; 32]),
        epoch: Epoch(5),
        first: blocks.first().map_or(Seq(1), |block| block.first),
        count: blocks.iter().map(|block| u64::from(block.count())).sum(),
        body_hash: [0; 32],
        boot: BOOT_UNKNOWN,
        sent: Now { mono: MonoTime(0), wall: NOW },
        config: 0,
    }
}

fn admit_now(cursor: u64, blocks: Vec<Block>) -> Result<Admission, Refusal> {
    admit(Seq(cursor), &header_of(&blocks), blocks, NOW)
}

#[test]
fn a_first_batch_is_new_from_end_to_end() {
    let admission = admit_now(0, vec![records(1, 3), dropped(4, 6), records(10, 1)]).expect("in order");
    assert_eq!(admission.cursor, Seq(10));
    assert_eq!(admission.rows.iter().map(|row| row.seq.0).collect::<Vec<_>>(), [1, 2, 3, 10]);
    let tombstone = Tombstone { first: Seq(4), last: Seq(9), reason: DropReason::BufferFull };
    assert_eq!(admission.tombstones, [tombstone]);
    let pieces: Vec<_> = admission.blocks.iter().map(|piece| (piece.first.0, piece.last.0, piece.rows)).collect();
    assert_eq!(pieces, [(1, 3, 3), (4, 9, 0), (10, 10, 1)]);
}

#[test]
fn what_was_stored_before_is_skipped_in_the_middle_of_a_block_too() {
    let admission = admit_now(2, vec![records(1, 4), dropped(5, 2)]).expect("overlaps");
    assert_eq!(admission.rows.iter().map(|row| row.seq.0).collect::<Vec<_>>(), [3, 4]);
    assert_eq!((admission.blocks[0].first, admission.blocks[0].rows), (Seq(3), 2));
    let admission = admit_now(5, vec![records(1, 4), dropped(5, 2)]).expect("overlaps");
    assert_eq!(admission.rows, []);
    assert_eq!(admission.tombstones[0].first, Seq(6));
}

#[test]
fn a_batch_that_is_all_old_changes_nothing() {
    let admission = admit_now(9, vec![records(1, 4)]).expect("a repetition is no error");
    assert!(admission.is_duplicate());
    assert_eq!(admission, Admission { cursor: Seq(9), ..Admission::default() });
}

#[test]
fn a_gap_names_the_number_that_is_expected() {
    assert_eq!(admit_now(0, vec![records(2, 1)]), Err(Refusal::Gap { expected: Seq(1) }));
    assert_eq!(admit_now(4, vec![records(6, 1)]), Err(Refusal::Gap { expected: Seq(5) }));
    assert!(admit_now(4, vec![records(5, 1)]).is_ok());
}

#[test]
fn a_batch_must_be_what_its_header_says() {
    assert_eq!(admit_now(0, vec![]), Err(Refusal::Empty));
    assert_eq!(admit_now(0, vec![records(1, 2), records(4, 1)]), Err(Refusal::Uneven));
    assert_eq!(admit_now(0, vec![records(1, 2), records(2, 1)]), Err(Refusal::Uneven));
    let blocks = vec![records(1, 2)];
    for (first, count) in [(1, 1), (1, 3), (2, 2), (0, 2), (1, 0)] {
        let header = BatchHeader { first: Seq(first), count, ..header_of(&blocks) };
        assert_eq!(admit(Seq(0), &header, blocks.clone(), NOW), Err(Refusal::Uneven), "{first} {count}");
    }
    let other = Block { epoch: Epoch(6), ..records(3, 1) };
    assert_eq!(admit_now(0, vec![records(1, 2), other]), Err(Refusal::OtherEpoch));
}

#[test]
fn only_a_tombstone_alone_may_cover_more_than_the_limit() {
    let limit = u32::try_from(RECORDS_MAX).expect("small");
    assert_eq!(admit_now(0, vec![dropped(1, limit), records(u64::from(limit) + 1, 1)]), Err(Refusal::TooLong));
    assert_eq!(admit_now(0, vec![dropped(1, limit), dropped(u64::from(limit) + 1, 1)]), Err(Refusal::TooLong));
    assert_eq!(
        admit_now(0, vec![dropped(1, u32::MAX)]).map(|admission| admission.cursor),
        Ok(Seq(u64::from(u32::MAX)))
    );
    assert!(admit_now(0, vec![dropped(1, limit - 1), records(u64::from(limit), 1)]).is_ok());
}

#[test]
fn numbers_at_the_very_end_do_not_overflow() {
    let last = u64::MAX - 1;
    assert_eq!(admit_now(last - 1, vec![records(last, 1)]).map(|admission| admission.cursor), Ok(Seq(last)));
    let header = BatchHeader { count: u64::MAX, ..header_of(&[dropped(1, 1)]) };
    assert_eq!(admit(Seq(0), &header, vec![dropped(1, 1)], NOW), Err(Refusal::Uneven));
}

fn filed(start: UnixTime, sent_at: UnixTime) -> Row {
    let blocks = vec![block(1, Content::Records(vec![window(start)]))];
    let header = BatchHeader { sent: Now { mono: MonoTime(0), wall: sent_at }, ..header_of(&blocks) };
    admit(Seq(0), &header, blocks, NOW).expect("in order").rows.remove(0)
}

#[test]
fn a_time_that_cannot_be_is_filed_at_receipt_and_never_refused() {
    let day = Span::seconds(86_400);
    for start in [
        NOW.plus(day).plus(Span::seconds(1)),
        NOW.minus(AGE_MAX).minus(Span::seconds(1)),
        UnixTime(i64::MAX),
        UnixTime(0),
    ] {
        let row = filed(start, NOW);
        assert_eq!((row.time, row.flags), (NOW, FLAG_CLOCK_UNKNOWN), "{start:?}");
    }
    let row = filed(NOW.minus(Span::seconds(20)), NOW);
    assert_eq!((row.time, row.flags), (NOW.minus(Span::seconds(20)), 0));
    assert_eq!(row.ended, Some(NOW.minus(Span::seconds(10))));
}

#[test]
fn a_clock_that_is_wrong_by_a_constant_is_corrected() {
    let minute = Span::seconds(60);
    for (start, sent_at) in [
        (NOW.minus(minute).minus(Span::seconds(20)), NOW.minus(minute)),
        (NOW.plus(minute).minus(Span::seconds(20)), NOW.plus(minute)),
    ] {
        let row = filed(start, sent_at);
        assert_eq!((row.time, row.ended), (NOW.minus(Span::seconds(20)), Some(NOW.minus(Span::seconds(10)))));
    }
    let nearly = NOW.minus(Span::millis(900));
    assert_eq!(filed(NOW.minus(minute), nearly).time, NOW.minus(minute), "a slow network is not a wrong clock");
}

#[test]
fn a_record_from_before_its_clock_was_set_back_is_never_news() {
    let hour = Span::seconds(3_600);
    assert_eq!(filed(NOW.plus(hour), NOW).ended, None);
    assert_eq!(filed(UnixTime(i64::MAX), NOW).ended, None);
}

#[test]
fn no_row_is_filed_later_than_it_came() {
    let hour = Span::seconds(3_600);
    for (start, sent_at) in
        [(NOW.plus(hour), NOW), (NOW.plus(AHEAD_MAX).plus(Span::micros(1)), NOW), (NOW, NOW.minus(hour))]
    {
        let row = filed(start, sent_at);
        assert_eq!((row.time, row.flags), (NOW, FLAG_CLOCK_UNKNOWN), "{start:?} {sent_at:?}");
    }
    let row = filed(NOW.plus(AHEAD_MAX), NOW);
    assert_eq!((row.time, row.flags), (NOW.plus(AHEAD_MAX), 0), "clocks that nearly agree are believed");
}

/// A process whose wall clock said `walls.0` when a window ended, `walls.1` when its block was written a second later, and
/// `walls.2` when it was sent after `delay`. The aggregator's clock is right.
fn by_monotonic_clock(walls: [UnixTime; 3], delay: Span) -> Row {
    let boot = BootId(77);
    let mono = MonoTime(5_000_000_000_000);
    let written = Now { mono, wall: walls[1] };
    let content = Content::Records(vec![window(walls[0].minus(Span::seconds(10)))]);
    let blocks = vec![Block { boot, written, ..block(1, content) }];
    let header = BatchHeader { boot, sent: Now { mono: mono + delay, wall: walls[2] }, ..header_of(&blocks) };
    admit(Seq(0), &header, blocks, NOW).expect("in order").rows.remove(0)
}

#[test]
fn a_stepped_clock_is_corrected_within_a_second_by_the_monotonic_one() {
    let (hour, year, second) = (Span::seconds(3_600), Span::seconds(365 * 86_400), Span::seconds(1));
    for delay in [second, Span::seconds(30), hour, Span::seconds(30 * 86_400)] {
        let written = NOW.minus(delay);
        let ended = written.minus(second);
        let ahead = |time: UnixTime, by: Span| time.plus(by);
        let back = |time: UnixTime, by: Span| time.minus(by);
        let in_1970 = |time: UnixTime| UnixTime(time.0 - NOW.0 + 86_400_000_000);
        let mut cases = vec![[ended, written, NOW], [in_1970(ended), in_1970(written), NOW]];
        cases.push([in_1970(ended), written, NOW]);
        for step in [hour, year] {
            // Wrong all the time; stepped before sending. Forward and back.
            cases.extend([ahead, back].map(|wrong| [wrong(ended, step), wrong(written, step), wrong(NOW, step)]));
            cases.extend([ahead, back].map(|wrong| [wrong(ended, step), wrong(written, step), NOW]));
        }
        // Between the window and its block agents see to it; a step that lets a record end later than its block is noticed.
        cases.extend([hour, year].map(|step| [ahead(ended, step), written, NOW]));
        cases.push([back(ended, year), written, NOW]);
        for step in [hour, year] {
            cases.push([ended, back(written, step), back(NOW, step)]);
        }
        for walls in cases {
            let row = by_monotonic_clock(walls, delay);
            let error = |time: UnixTime, truth: UnixTime| time.since(truth).max(truth.since(time));
            let start = ended.minus(Span::seconds(10));
            assert!(error(row.time, start) <= second, "{walls:?} {delay:?}: {:?} and not {start:?}", row.time);
            assert!(error(row.ended.expect("known"), ended) <= second, "{walls:?} {delay:?}");
            assert_eq!(row.flags, 0, "{walls:?} {delay:?}");
        }
    }
}

#[test]
fn any_clocks_at_all_file_a_row_that_is_neither_ancient_nor_of_the_future() {
    let mut draw = 0;
    let mut any = || {
        draw += 1;
        let raw = mix64(draw);
        UnixTime(match raw % 4 {
            0 => mix64(raw).cast_signed(),
            1 => [i64::MIN, i64::MAX, 0, -1][usize::try_from(mix64(raw) % 4).expect("small")],
            _ => NOW.0 + i64::try_from(mix64(raw) % 8_000_000_000).expect("small") - 4_000_000_000,
        })
    };
    for _ in 0..20_000 {
        let delay = Span(mix64(any().0.unsigned_abs()) >> 8);
        let row = by_monotonic_clock([any(), any(), any()], delay);
        assert!(row.time <= NOW.plus(AHEAD_MAX) && row.time >= NOW.minus(AGE_MAX), "{row:?}");
        assert!(row.ended.is_none_or(|ended| ended <= NOW), "{row:?}");
    }
}

#[test]
fn renumbered_blocks_mark_their_rows() {
    let mut again = records(1, 1);
    again.renumbered = true;
    let admission = admit_now(0, vec![again]).expect("in order");
    assert_eq!((admission.rows[0].flags, admission.blocks[0].flags), (FLAG_RENUMBERED, FLAG_RENUMBERED));
}

/// A stream of 400 numbers in blocks of uneven length, some of them tombstones; each record says its own number.
fn stream() -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut first = 1;
    let mut draw = 0;
    while first <= 400 {
        draw += 1;
        let count = 1 + mix64(draw) % 9;
        let content = if mix64(draw ^ 0xabcd).is_multiple_of(5) {
            Content::Dropped { count: u32::try_from(count).expect("small"), reason: DropReason::DiskSlow }
        } else {
            let flip = |seq: u64| CellFlip {
                target: AgentId([7; 32]),
                kind: ProbeKind::Icmp,
                at: UnixTime(NOW.0 - 1_000 + i64::try_from(seq).expect("small")),
                from: CellState::Ok,
                to: CellState::Down,
            };
            Content::Records((first..first + count).map(|seq| Record::Flip(flip(seq))).collect())
        };
        blocks.push(block(first, content));
        first += count;
    }
    blocks
}

#[test]
fn any_splitting_repetition_and_reordering_stores_every_number_exactly_once() {
    let stream = stream();
    let end = stream.last().map_or(0, |block| block.last().0);
    for seed in 1..=200_u64 {
        let mut cursor = Seq(0);
        let mut seen = vec![0_u32; usize::try_from(end).expect("small") + 1];
        let mut draw = seed << 32;
        let mut tries = 0;
        while cursor.0 < end {
            tries += 1;
            assert!(tries < 100_000, "seed {seed} makes no progress");
            draw += 1;
            let from = usize::try_from(mix64(draw)).expect("64 bits") % stream.len();
            let to = (from + 1 + usize::try_from(mix64(draw ^ 99)).expect("64 bits") % 12).min(stream.len());
            let batch = stream[from..to].to_vec();
            let first = batch[0].first;
            match admit(cursor, &header_of(&batch), batch, NOW) {
                Ok(admission) => {
                    for row in &admission.rows {
                        let Record::Flip(flip) = row.record else { panic!("only flips were sent") };
                        assert_eq!(
                            flip.at.0 - (NOW.0 - 1_000),
                            i64::try_from(row.seq.0).expect("small"),
                            "a number moved"
                        );
                        seen[usize::try_from(row.seq.0).expect("small")] += 1;
                    }
                    let covered = admission.tombstones.iter().flat_map(|dead| dead.first.0..=dead.last.0);
                    covered.for_each(|seq| seen[usize::try_from(seq).expect("small")] += 1);
                    assert!(admission.cursor >= cursor, "a cursor never goes back");
                    cursor = admission.cursor;
                }
                Err(refusal) => {
                    assert!(
                        matches!(refusal, Refusal::Gap { expected } if expected == cursor.next() && first > expected)
                    );
                }
            }
        }
        assert!(seen[1..].iter().all(|count| *count == 1), "seed {seed}");
    }
}
