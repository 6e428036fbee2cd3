//! Admitted rows as bytes: what the SQLite store keeps of samples, and what replicas on PostgreSQL tell each other.
//!
//! ```text
//!  0  version       1
//!  1  postcard of `Columns`
//! ```
//! Column by column, each number as the difference to the one before: neighbours in a column are alike, so a general
//! compressor, which is the shell's business, makes 8 to 20 bytes of a row. These bytes are on disk for as long as samples are
//! kept: a version never changes, a new one gets a new number and is read beside the old ones.

use crate::admit::Row;
use crate::rollup::PairKey;
use alloc::vec::Vec;
use everypath_protocol::cell::CellState;
use everypath_protocol::codec::{self, DecodeError};
use everypath_protocol::histogram::Histogram;
use everypath_protocol::id::{AgentId, Seq};
use everypath_protocol::record::{CellFlip, Record};
use everypath_protocol::time::{Span, UnixTime};
use everypath_protocol::window::{NotMeasuredCounts, ProbeKind, RttRange, Window};
use serde::{Deserialize, Serialize};

const VERSION: u8 = 1;
/// Most bytes that are read: 8,192 rows of the most that a window can hold in practice.
pub const BYTES_MAX: usize = 16 * 1024 * 1024;

/// An admitted row whose target is a number of the database. The source is known from beside the bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ArchivedRow {
    /// Number in the stream.
    pub seq: Seq,
    /// Number of the target.
    pub target: u32,
    /// When it began, by the aggregator's clock.
    pub time: UnixTime,
    /// As in [`Row::flags`].
    pub flags: u8,
    /// What was measured, without the target's key.
    pub record: Archived,
}

/// A record without the target's key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Archived {
    /// A window, with a target of zeroes and the agent's own start.
    Window(Window),
    /// A change of state: before, after, and the agent's own time.
    Flip(ProbeKind, CellState, CellState, UnixTime),
}

/// Stands where the key of the target would.
const NOBODY: AgentId = AgentId([0; 32]);

impl ArchivedRow {
    /// From an admitted row and the number of its target.
    pub fn new(row: &Row, target: u32) -> Self {
        let record = match &row.record {
            Record::Window(window) => Archived::Window(Window { target: NOBODY, ..window.clone() }),
            Record::Flip(flip) => Archived::Flip(flip.kind, flip.from, flip.to, flip.at),
        };
        Self { seq: row.seq, target, time: row.time, flags: row.flags, record }
    }

    /// The record in the aggregator's time, and when it ended.
    pub fn record(&self, target: AgentId) -> (Record, UnixTime) {
        match &self.record {
            Archived::Window(window) => {
                let window = Window { target, start: self.time, ..window.clone() };
                let end = window.end();
                (Record::Window(window), end)
            }
            Archived::Flip(kind, from, to, _) => {
                let flip = CellFlip { target, kind: *kind, at: self.time, from: *from, to: *to };
                (Record::Flip(flip), self.time)
            }
        }
    }

    /// The window and its pair, if it is one.
    pub fn window(&self, source: u32) -> Option<(PairKey, &Window)> {
        match &self.record {
            Archived::Window(window) => Some((PairKey { source, target: self.target, kind: window.kind }, window)),
            Archived::Flip(..) => None,
        }
    }
}

#[derive(Default, Serialize, Deserialize)]
struct Columns {
    windows: Windows,
    flips: Vec<Flip>,
}

#[derive(Serialize, Deserialize)]
struct Flip(u64, u32, i64, u8, ProbeKind, CellState, CellState, UnixTime);

/// The numbers are differences to the row before.
#[derive(Default, Serialize, Deserialize)]
struct Windows {
    seq: Vec<i64>,
    target: Vec<i64>,
    time: Vec<i64>,
    /// The agent's own start, minus the corrected one.
    offset: Vec<i64>,
    span_ns: Vec<i64>,
    kind: Vec<ProbeKind>,
    state: Vec<CellState>,
    flags: Vec<u8>,
    sent: Vec<u32>,
    received: Vec<u32>,
    /// Late, duplicated, not measured by reason: place of the row and the six counts, only where one is not zero.
    rare: Vec<(u32, [u32; 6])>,
    /// Smallest minus the one before, largest minus smallest, sum; only of rows with a reply.
    rtt: Vec<(i64, u64, u64)>,
    has_rtt: Vec<bool>,
    histograms: Vec<(u32, Vec<(u16, u32)>)>,
}

/// The bytes of `rows`.
pub fn encode(rows: &[ArchivedRow]) -> Vec<u8> {
    let mut columns = Columns::default();
    let mut last = Last::default();
    for row in rows {
        match &row.record {
            Archived::Flip(kind, from, to, at) => {
                columns.flips.push(Flip(row.seq.0, row.target, row.time.0, row.flags, *kind, *from, *to, *at));
            }
            Archived::Window(window) => columns.windows.push(row, window, &mut last),
        }
    }
    let mut bytes = alloc::vec![VERSION];
    bytes.extend_from_slice(&codec::encode(&columns));
    bytes
}

/// The rows, windows first, each kind in the order in which it was given.
///
/// # Errors
/// See [`DecodeError`].
pub fn decode(bytes: &[u8]) -> Result<Vec<ArchivedRow>, DecodeError> {
    let (version, body) = bytes.split_first().ok_or(DecodeError::Malformed)?;
    if *version != VERSION {
        return Err(DecodeError::UnknownVersion(*version));
    }
    let columns: Columns = codec::decode(body, BYTES_MAX)?;
    let mut rows = columns.windows.unpack().ok_or(DecodeError::Malformed)?;
    rows.extend(columns.flips.into_iter().map(|Flip(seq, target, time, flags, kind, from, to, at)| {
        let record = Archived::Flip(kind, from, to, at);
        ArchivedRow { seq: Seq(seq), target, time: UnixTime(time), flags, record }
    }));
    Ok(rows)
}

#[derive(Default)]
struct Last {
    seq: i64,
    target: i64,
    time: i64,
    span_ns: i64,
    rtt_min: i64,
}

/// Moves `last` to `now` and returns the distance. Wrapping, so that any two numbers have one.
const fn step(last: &mut i64, now: i64) -> i64 {
    let distance = now.wrapping_sub(*last);
    *last = now;
    distance
}

const fn forth(last: &mut i64, distance: i64) -> i64 {
    *last = last.wrapping_add(distance);
    *last
}

impl Windows {
    fn push(&mut self, row: &ArchivedRow, window: &Window, last: &mut Last) {
        let place = u32::try_from(self.seq.len()).unwrap_or(u32::MAX);
        self.seq.push(step(&mut last.seq, row.seq.0.cast_signed()));
        self.target.push(step(&mut last.target, row.target.into()));
        self.time.push(step(&mut last.time, row.time.0));
        self.offset.push(window.start.0.wrapping_sub(row.time.0));
        self.span_ns.push(step(&mut last.span_ns, window.span.0.cast_signed()));
        self.kind.push(window.kind);
        self.state.push(window.state);
        self.flags.push(row.flags);
        self.sent.push(window.sent);
        self.received.push(window.received);
        let [permitted, failed, overload, stalled] = window.not_measured.0;
        let rare = [window.late, window.duplicated, permitted, failed, overload, stalled];
        if rare != [0; 6] {
            self.rare.push((place, rare));
        }
        self.has_rtt.push(window.rtt.is_some());
        if let Some(rtt) = window.rtt {
            let min = step(&mut last.rtt_min, rtt.min_us.into());
            self.rtt.push((min, u64::from(rtt.max_us.saturating_sub(rtt.min_us)), rtt.sum_us));
        }
        if !window.histogram.counts().is_empty() {
            self.histograms.push((place, window.histogram.counts().to_vec()));
        }
    }

    /// `None` if the columns are not of one length or a value is out of its range.
    fn unpack(self) -> Option<Vec<ArchivedRow>> {
        let mut rows = Vec::with_capacity(self.seq.len().min(8_192));
        let (mut rtts, mut last) = (self.rtt.into_iter(), Last::default());
        let (mut rare, mut histograms) = (self.rare.into_iter().peekable(), self.histograms.into_iter().peekable());
        for (place, seq) in self.seq.into_iter().enumerate() {
            let number = u32::try_from(place).ok()?;
            let time = UnixTime(forth(&mut last.time, *self.time.get(place)?));
            let start = UnixTime(time.0.wrapping_add(*self.offset.get(place)?));
            let mut window = Window::new(NOBODY, *self.kind.get(place)?, start);
            window.span = Span(forth(&mut last.span_ns, *self.span_ns.get(place)?).cast_unsigned());
            window.state = *self.state.get(place)?;
            window.sent = *self.sent.get(place)?;
            window.received = *self.received.get(place)?;
            if let Some((_, counts)) = rare.next_if(|(at, _)| *at == number) {
                let [late, duplicated, permitted, failed, overload, stalled] = counts;
                (window.late, window.duplicated) = (late, duplicated);
                window.not_measured = NotMeasuredCounts([permitted, failed, overload, stalled]);
            }
            if *self.has_rtt.get(place)? {
                let (min, range, sum_us) = rtts.next()?;
                let min_us = u32::try_from(forth(&mut last.rtt_min, min)).ok()?;
                let max_us = min_us.checked_add(u32::try_from(range).ok()?)?;
                window.rtt = Some(RttRange { min_us, max_us, sum_us });
            }
            if let Some((_, counts)) = histograms.next_if(|(at, _)| *at == number) {
                window.histogram = Histogram::from_counts(counts)?;
            }
            let seq = Seq(forth(&mut last.seq, seq).cast_unsigned());
            let target = u32::try_from(forth(&mut last.target, *self.target.get(place)?)).ok()?;
            rows.push(ArchivedRow {
                seq,
                target,
                time,
                flags: *self.flags.get(place)?,
                record: Archived::Window(window),
            });
        }
        Some(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use everypath_protocol::id::mix64;
    use everypath_protocol::window::ProbeOutcome;

    fn row(seed: u64) -> ArchivedRow {
        let draw = |salt: u64| mix64(seed << 8 | salt);
        let time = UnixTime(match draw(0) % 9 {
            0 => i64::MIN,
            1 => i64::MAX,
            _ => 1_800_000_000_000_000 + i64::try_from(draw(1) % 1_000_000_000).expect("small"),
        });
        let record = if draw(2) % 7 == 0 {
            Archived::Flip(ProbeKind::Icmp, CellState::Ok, CellState::Down, UnixTime(draw(3).cast_signed()))
        } else {
            let mut window = Window::new(NOBODY, ProbeKind::Icmp, UnixTime(time.0.wrapping_sub(5)));
            window.span = Span(draw(4) >> (draw(5) % 64));
            window.state = CellState::ALL[usize::try_from(draw(6) % 5).expect("small")];
            for probe in 0..draw(7) % 8 {
                window.add(match mix64(draw(8) ^ probe) % 3 {
                    0 => ProbeOutcome::Lost,
                    _ => {
                        ProbeOutcome::Replied { rtt_us: u32::try_from(mix64(draw(9) ^ probe) >> 32).expect("32 bits") }
                    }
                });
            }
            if draw(10) % 5 == 0 {
                (window.late, window.not_measured) = (1, NotMeasuredCounts([0, 7, 0, u32::MAX]));
            }
            Archived::Window(window.slimmed())
        };
        let target = u32::try_from(draw(11) >> 32).expect("32 bits");
        ArchivedRow { seq: Seq(draw(12)), target, time, flags: u8::from(draw(13) % 2 == 0), record }
    }

    #[test]
    fn any_rows_come_back() {
        for seed in 0..300_u64 {
            let rows: Vec<_> = (0..seed % 40).map(|number| row(seed << 16 | number)).collect();
            let is_window = |row: &&ArchivedRow| matches!(row.record, Archived::Window(_));
            let mut expected: Vec<_> = rows.iter().filter(is_window).cloned().collect();
            expected.extend(rows.iter().filter(|row| !is_window(row)).cloned());
            assert_eq!(decode(&encode(&rows)).expect("readable"), expected, "seed {seed}");
        }
    }

    #[test]
    fn damaged_bytes_are_an_error_or_rows_and_never_a_panic() {
        let good = encode(&(0..40).map(row).collect::<Vec<_>>());
        for seed in 0..20_000_u64 {
            let mut bytes = good.clone();
            let place = usize::try_from(mix64(seed)).expect("64 bits") % bytes.len();
            bytes[place] ^= 1 << (mix64(seed ^ 7) % 8);
            if seed % 3 == 0 {
                bytes.truncate(place);
            }
            let _ = decode(&bytes);
        }
        assert_eq!(decode(&[]), Err(DecodeError::Malformed));
        assert_eq!(decode(&[9]), Err(DecodeError::UnknownVersion(9)));
    }

    #[test]
    fn the_bytes_of_version_1_stay_as_they_are() {
        let mut window = Window::new(NOBODY, ProbeKind::Icmp, UnixTime(1_800_000_000_000_000));
        window.span = Span::seconds(10);
        window.state = CellState::Ok;
        [700, 900].into_iter().for_each(|rtt_us| window.add(ProbeOutcome::Replied { rtt_us }));
        let time = window.start;
        let sample = |seq, time, window| ArchivedRow {
            seq: Seq(seq),
            target: 3,
            time,
            flags: 0,
            record: Archived::Window(window),
        };
        let flip = Archived::Flip(ProbeKind::Icmp, CellState::Ok, CellState::Down, time);
        let rows = vec![
            sample(7, time, window.clone().slimmed()),
            sample(8, time.plus(Span::seconds(10)), window.slimmed()),
            ArchivedRow { seq: Seq(9), target: 4, time, flags: 1, record: flip },
        ];
        let golden = include_str!("../tests/archive-1.hex").trim();
        let hex = everypath_protocol::id::hex(&encode(&rows));
        assert_eq!(hex, golden);
    }
}
