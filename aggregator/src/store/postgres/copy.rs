//! Samples as COPY takes them in its binary form.
//!
//! ```text
//!   11  "PGCOPY\n\xff\r\n\0"
//!    4  flags, 0
//!    4  length of an extension, 0
//! then each row:  2 count of columns, and each column: 4 length (−1: null), the bytes
//!    2  −1, the end
//! ```
//! All numbers are big-endian.

use super::codes::{Time, histogram_bytes, int2, int4, signed};
use aggregator_core::admit::{FLAG_CLOCK_UNKNOWN, Row};
use everypath_protocol::time::UnixTime;
use everypath_protocol::window::Window;

pub(super) const STATEMENT: &str = "copy sample (time, source, target, kind, stream, seq, span_ms, sent, received, late, \
    duplicated, not_permitted, send_failed, overload, stalled, rtt_min, rtt_max, rtt_sum, histogram, state, flags, raw_time) \
    from stdin (format binary)";

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const COLUMNS: i16 = 22;
/// Bytes of a row without its histogram, to make room at once.
const ROW_BYTES: usize = 2 + 22 * 4 + 110;

/// A sample with the numbers of the database.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample<'a> {
    pub(super) row: &'a Row,
    pub(super) window: &'a Window,
    pub(super) source: i32,
    pub(super) target: i32,
    pub(super) stream: i32,
}

/// The agent's own time, where the row is filed under another.
pub(super) fn raw_time(row: &Row, own: UnixTime) -> Option<Time> {
    (row.time != own || row.flags & FLAG_CLOCK_UNKNOWN != 0).then_some(Time(own))
}

/// The whole stream for [`STATEMENT`].
pub(super) fn encode(samples: &[Sample<'_>]) -> Vec<u8> {
    let mut out = Vec::with_capacity(SIGNATURE.len() + samples.len() * ROW_BYTES + 2);
    out.extend_from_slice(SIGNATURE);
    for sample in samples {
        row(&mut out, sample);
    }
    out.extend_from_slice(&(-1_i16).to_be_bytes());
    out
}

fn row(out: &mut Vec<u8>, sample: &Sample<'_>) {
    let Sample { row, window, source, target, stream } = *sample;
    out.extend_from_slice(&COLUMNS.to_be_bytes());
    field(out, &Time(row.time).wire().to_be_bytes());
    field(out, &source.to_be_bytes());
    field(out, &target.to_be_bytes());
    field(out, &i16::from(window.kind.code()).to_be_bytes());
    field(out, &stream.to_be_bytes());
    field(out, &signed(row.seq.0).to_be_bytes());
    for count in [int4(window.span.as_millis()), int4(window.sent), int4(window.received), int4(window.late)] {
        field(out, &count.to_be_bytes());
    }
    field(out, &int4(window.duplicated).to_be_bytes());
    for count in window.not_measured.0 {
        field(out, &int2(count).to_be_bytes());
    }
    optional(out, window.rtt.map(|rtt| int4(rtt.min_us).to_be_bytes()));
    optional(out, window.rtt.map(|rtt| int4(rtt.max_us).to_be_bytes()));
    optional(out, window.rtt.map(|rtt| signed(rtt.sum_us).to_be_bytes()));
    optional(out, histogram_bytes(&window.histogram));
    field(out, &i16::from(window.state.code()).to_be_bytes());
    field(out, &i16::from(row.flags).to_be_bytes());
    optional(out, raw_time(row, window.start).map(|time| time.wire().to_be_bytes()));
}

fn field(out: &mut Vec<u8>, bytes: &[u8]) {
    // No field is longer than a histogram, a few thousand bytes.
    out.extend_from_slice(&int4(bytes.len()).to_be_bytes());
    out.extend_from_slice(bytes);
}

fn optional(out: &mut Vec<u8>, bytes: Option<impl AsRef<[u8]>>) {
    match bytes {
        Some(bytes) => field(out, bytes.as_ref()),
        None => out.extend_from_slice(&(-1_i32).to_be_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use everypath_protocol::id::{AgentId, Seq};
    use everypath_protocol::record::Record;
    use everypath_protocol::time::Span;
    use everypath_protocol::window::{NotMeasuredCounts, ProbeKind, ProbeOutcome};

    /// Takes the stream apart as the server would.
    fn columns(bytes: &[u8]) -> Vec<Vec<Option<Vec<u8>>>> {
        let mut rest = bytes.strip_prefix(SIGNATURE).expect("the signature");
        let mut take = |count: usize| {
            let (head, tail) = rest.split_at(count);
            rest = tail;
            head.to_vec()
        };
        let mut rows = Vec::new();
        loop {
            let columns = i16::from_be_bytes(take(2).try_into().expect("two bytes"));
            if columns == -1 {
                break;
            }
            let row = (0..columns).map(|_| {
                let length = i32::from_be_bytes(take(4).try_into().expect("four bytes"));
                usize::try_from(length).ok().map(&mut take)
            });
            rows.push(row.collect());
        }
        assert!(rest.is_empty(), "nothing behind the end");
        rows
    }

    #[test]
    fn a_row_has_the_columns_of_the_statement_with_the_widths_of_their_types() {
        let mut window = Window::new(AgentId([2; 32]), ProbeKind::Icmp, UnixTime(5));
        window.span = Span::seconds(u64::MAX);
        window.not_measured = NotMeasuredCounts([1, u32::MAX, 0, 0]);
        let row = |record: Window| Row {
            seq: Seq(u64::MAX),
            time: UnixTime(946_684_800_000_001),
            ended: None,
            flags: 1,
            record: Record::Window(record),
        };
        let mute = row(window.clone());
        window.add(ProbeOutcome::Replied { rtt_us: u32::MAX });
        let heard = row(window.clone());
        let samples = [&mute, &heard].map(|row| {
            let Record::Window(window) = &row.record else { panic!("a window") };
            Sample { row, window, source: 7, target: 8, stream: 9 }
        });
        let rows = columns(&encode(&samples));
        assert_eq!(rows.len(), 2);
        let widths = [8, 4, 4, 2, 4, 8, 4, 4, 4, 4, 4, 2, 2, 2, 2, 4, 4, 8, 0, 2, 2, 8];
        for (place, width) in widths.into_iter().enumerate().filter(|(_, width)| *width > 0) {
            assert_eq!(rows[1][place].as_ref().map(Vec::len), Some(width), "column {place}");
        }
        assert_eq!(rows[1][0], Some(vec![0, 0, 0, 0, 0, 0, 0, 1]), "one microsecond into the year 2000");
        assert_eq!(rows[1][5], Some(i64::MAX.to_be_bytes().to_vec()), "stops at the largest");
        assert_eq!(rows[1][11..13], [Some(vec![0, 1]), Some(vec![0x7f, 0xff])]);
        assert_eq!(rows[1][15], Some(i32::MAX.to_be_bytes().to_vec()));
        assert_eq!(rows[0][15..19], [None, None, None, None], "no reply, no times");
        assert!(rows[1][18].is_some());
        assert_eq!(
            STATEMENT.split_once('(').expect("columns").1.split(") ").next().expect("columns").split(',').count(),
            22
        );
    }

    #[test]
    fn no_rows_are_a_stream_too() {
        assert_eq!(columns(&encode(&[])), Vec::<Vec<Option<Vec<u8>>>>::new());
    }
}
