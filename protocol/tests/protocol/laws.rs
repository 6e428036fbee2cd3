//! Laws that hold for all values: merging, rounding, reading back what was written.

use crate::random::Random;
use everypath_protocol::block::Block;
use everypath_protocol::cell::{CellState, PackedCell, decode_rtt, encode_loss, encode_rtt};
use everypath_protocol::histogram::{BUCKET_MAX, Histogram, bucket_floor_us, bucket_of};
use everypath_protocol::id::{AgentId, Seq, hex, pair_hash, parse_hex32};
use everypath_protocol::ledger::LedgerEntry;
use everypath_protocol::time::{MonoTime, Span, UnixTime};
use everypath_protocol::window::{HISTOGRAM_REPLIES_MIN, NotMeasured, ProbeKind, ProbeOutcome, Window};

#[test]
fn histograms_merge_in_any_order_to_the_same() {
    let mut random = Random::new(1);
    for _ in 0..500 {
        let (a, b, c) = (random.histogram(), random.histogram(), random.histogram());
        let merged = |parts: [&Histogram; 3]| {
            let mut sum = Histogram::new();
            parts.into_iter().for_each(|part| sum.merge(part));
            sum
        };
        assert_eq!(merged([&a, &b, &c]), merged([&c, &a, &b]));
        let (mut left, mut right) = (a.clone(), b.clone());
        left.merge(&b);
        left.merge(&c);
        right.merge(&c);
        let mut all = a.clone();
        all.merge(&right);
        assert_eq!(left, all);
        assert_eq!(left.total(), a.total() + b.total() + c.total());
    }
}

#[test]
fn every_microsecond_falls_into_a_bucket_that_is_at_most_a_sixteenth_wide() {
    let mut random = Random::new(2);
    let around = (0..32).flat_map(|bit| [(1_u32 << bit) - 1, 1 << bit, (1 << bit) + 1]);
    let chance: Vec<u32> = (0..10_000).map(|_| random.bits() as u32).collect();
    for value in around.chain(chance).chain([u32::MAX]) {
        let bucket = bucket_of(value);
        let floor = bucket_floor_us(bucket);
        assert!(bucket <= BUCKET_MAX && floor <= value, "{value} is not in bucket {bucket}, which begins at {floor}");
        assert!(u64::from(value - floor) * 16 <= u64::from(floor.max(16)), "{value} is too far above {floor}");
        assert_eq!(bucket_of(floor), bucket, "a bucket begins inside itself");
    }
}

#[test]
fn buckets_ascend_without_holes() {
    let floors: Vec<u32> = (0..=BUCKET_MAX).map(bucket_floor_us).collect();
    assert!(floors.windows(2).all(|pair| pair[0] < pair[1]));
    for bucket in 1..=BUCKET_MAX {
        assert_eq!(bucket_of(bucket_floor_us(bucket) - 1), bucket - 1);
    }
}

#[test]
fn quantiles_are_nearest_ranks_within_a_bucket() {
    let mut histogram = Histogram::new();
    assert_eq!(histogram.quantile_us(500), None);
    (1..=31).for_each(|value| histogram.add(value));
    assert_eq!([0, 500, 1000].map(|permille| histogram.quantile_us(permille)), [Some(1), Some(16), Some(31)]);
}

#[test]
fn histograms_from_outside_are_refused_unless_they_could_have_been_made_here() {
    assert!(Histogram::from_counts(vec![(1, 1), (5, 2)]).is_some());
    for wrong in [vec![(5, 1), (1, 1)], vec![(1, 1), (1, 1)], vec![(1, 0)], vec![(BUCKET_MAX + 1, 1)]] {
        assert_eq!(Histogram::from_counts(wrong.clone()), None, "{wrong:?}");
    }
}

#[test]
fn every_outcome_is_counted_once_and_merging_adds_them_up() {
    let mut random = Random::new(3);
    for _ in 0..300 {
        let outcomes: Vec<ProbeOutcome> = (0..random.below(40)).map(|_| random.outcome()).collect();
        let collect = |outcomes: &[ProbeOutcome]| {
            let mut window = Window::new(AgentId([1; 32]), ProbeKind::Icmp, UnixTime(0));
            outcomes.iter().for_each(|outcome| window.add(*outcome));
            window
        };
        let cut = random.place(outcomes.len() + 1);
        let mut parts = collect(&outcomes[..cut]);
        parts.merge(&collect(&outcomes[cut..]));
        let whole = collect(&outcomes);
        assert_eq!(parts, whole);
        assert_eq!(u64::from(whole.sent + whole.not_measured.total()), outcomes.len() as u64);
        assert_eq!(whole.sent, whole.received + whole.late + whole.lost());
    }
}

#[test]
fn not_measured_is_not_loss() {
    let mut window = Window::new(AgentId([1; 32]), ProbeKind::Icmp, UnixTime(0));
    NotMeasured::ALL.into_iter().for_each(|reason| window.add(ProbeOutcome::NotMeasured(reason)));
    assert_eq!((window.sent, window.lost(), window.loss_permille()), (0, 0, None));
    window.add(ProbeOutcome::Lost);
    assert_eq!(window.loss_permille(), Some(1000));
}

#[test]
fn a_histogram_that_says_nothing_new_is_left_out() {
    let window = |replies| {
        let mut window = Window::new(AgentId([1; 32]), ProbeKind::Icmp, UnixTime(0));
        (0..replies).for_each(|_| window.add(ProbeOutcome::Replied { rtt_us: 7 }));
        window.slimmed()
    };
    assert_eq!(window(HISTOGRAM_REPLIES_MIN - 1).histogram.total(), 0);
    assert_eq!(window(HISTOGRAM_REPLIES_MIN).histogram.total(), u64::from(HISTOGRAM_REPLIES_MIN));
}

#[test]
fn packed_times_are_less_than_a_thousandth_short_and_keep_their_order() {
    let mut random = Random::new(4);
    let mut values: Vec<u32> = (0..20_000).map(|_| (random.bits() as u32) >> random.below(32)).collect();
    values.extend([0, 1, 2047, 2048, u32::MAX]);
    values.sort_unstable();
    let decoded: Vec<u32> = values.iter().map(|value| decode_rtt(encode_rtt(*value))).collect();
    for (value, back) in values.iter().zip(&decoded) {
        assert!(back <= value && u64::from(value - back) * 1000 <= u64::from(*value), "{value} became {back}");
    }
    assert!(decoded.windows(2).all(|pair| pair[0] <= pair[1]));
}

#[test]
fn any_loss_is_seen_and_no_loss_is_none() {
    assert_eq!([0, 1, 4, 5, 1000, 60_000].map(encode_loss), [0, 1, 1, 2, 250, 250]);
    let unknown = PackedCell::new(CellState::Unknown, None, None);
    assert_eq!((unknown.loss_permille(), unknown.rtt_us(), unknown), (None, None, PackedCell::UNKNOWN));
}

#[test]
fn state_numbers_go_there_and_back() {
    for state in CellState::ALL {
        assert_eq!(CellState::from_code(state.code()), Some(state));
    }
    assert_eq!(CellState::from_code(5), None);
}

#[test]
fn blocks_come_back_as_they_were_written() {
    let mut random = Random::new(5);
    for _ in 0..500 {
        let (one, other) = (random.block(), random.block());
        assert_eq!(Block::decode(&one.encode()), Ok(one.clone()));
        let both = [one.encode(), other.encode()].concat();
        assert_eq!(Block::decode_all(&both), Ok(vec![one, other]));
    }
}

#[test]
fn hexadecimal_goes_there_and_back() {
    let mut random = Random::new(6);
    for _ in 0..100 {
        let bytes: [u8; 32] = random.bytes(32).try_into().unwrap();
        assert_eq!(parse_hex32(&hex(&bytes)), Some(bytes));
        assert_eq!(AgentId::parse(&AgentId(bytes).to_string().to_uppercase()), Some(AgentId(bytes)));
    }
    for wrong in ["", "12", &"g".repeat(64), &"é".repeat(32)] {
        assert_eq!(parse_hex32(wrong), None);
    }
}

#[test]
fn phases_of_pairs_are_spread_evenly() {
    let agents: Vec<AgentId> = (0..200).map(|n| AgentId([n; 32])).collect();
    let mut eighths = [0_u32; 8];
    for source in &agents {
        for target in &agents {
            eighths[usize::try_from(pair_hash(source, target) >> 61).unwrap()] += 1;
        }
    }
    assert!(eighths.iter().all(|count| (4_600..5_400).contains(count)), "{eighths:?}");
}

#[test]
fn a_ledger_joins_ranges_that_touch() {
    let mut entry = LedgerEntry::default();
    for (first, last) in [(10, 12), (1, 3), (4, 4), (20, 20), (13, 19), (2, 11)] {
        entry.drop_range(Seq(first), Seq(last));
    }
    assert_eq!(entry.dropped, [(Seq(1), Seq(20))]);
}

#[test]
fn clocks_never_run_backwards_into_a_panic() {
    assert_eq!(MonoTime(5).since(MonoTime(9)), Span::ZERO);
    assert_eq!(UnixTime(i64::MIN).since(UnixTime(i64::MAX)), Span::ZERO);
    assert_eq!(UnixTime(i64::MAX).plus(Span(u64::MAX)), UnixTime(i64::MAX));
    assert_eq!(MonoTime(u64::MAX) + Span(u64::MAX), MonoTime(u64::MAX));
    assert_eq!(Span::seconds(u64::MAX), Span(u64::MAX));
}
