//! The comparison itself, without a file or a database.

use crate::store::StreamRows;
use everypath_protocol::id::{AgentId, Epoch, Seq};
use everypath_protocol::ledger::{Ledger, LedgerEntry};
use std::collections::BTreeMap;

/// What was found of one stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StreamReport {
    /// Whose.
    pub agent: AgentId,
    /// Which.
    pub epoch: Epoch,
    /// First number that either side knows.
    pub first: u64,
    /// Last number that either side knows.
    pub last: u64,
    /// Numbers stored as rows.
    pub records: u64,
    /// Numbers that must be there and are not.
    pub missing: u64,
    /// Rows too many, and numbers that are both a row and a tombstone.
    pub duplicated: u64,
    /// Numbers that the agent gave up, and said so.
    pub tombstoned: u64,
    /// Numbers that no aggregator has acknowledged yet.
    pub pending: u64,
    /// Numbers that came and whose rows were deleted because of their age.
    pub expired: u64,
    /// Numbers that rows and tombstones have and accepted blocks have not, or the other way round.
    pub uncovered: u64,
    /// Numbers are acknowledged, and this database has never heard of the stream: another one acknowledged them.
    pub is_foreign: bool,
}

impl StreamReport {
    /// Whether everything is there once.
    pub const fn is_clean(&self) -> bool {
        self.missing == 0 && self.duplicated == 0 && self.uncovered == 0
    }
}

/// Compares one agent's account with what is stored of its streams. A stream that only one side knows is compared with
/// nothing.
pub fn compare(ledger: &Ledger, stored: &[StreamRows]) -> Vec<StreamReport> {
    let mut streams: BTreeMap<Epoch, (Option<&LedgerEntry>, Option<&StreamRows>)> = BTreeMap::new();
    for entry in &ledger.entries {
        streams.entry(entry.epoch).or_default().0 = Some(entry);
    }
    for rows in stored {
        streams.entry(rows.epoch).or_default().1 = Some(rows);
    }
    streams.into_iter().map(|(epoch, (entry, rows))| compare_one(ledger.agent, epoch, entry, rows)).collect()
}

fn compare_one(agent: AgentId, epoch: Epoch, entry: Option<&LedgerEntry>, stored: Option<&StreamRows>) -> StreamReport {
    let last_owed = entry.map_or(0, |entry| entry.moved_from.map_or(entry.last.0, |moved| moved.0.saturating_sub(1)));
    // What either side says is acknowledged must be there: an agent that lost its answer does not know of it yet.
    let acked = entry.map_or(0, |entry| entry.acked.0).max(stored.map_or(0, |stored| stored.cursor.0));
    let last = last_owed.max(acked);
    let mut report = StreamReport {
        agent,
        epoch,
        first: u64::from(last > 0),
        last,
        records: 0,
        missing: 0,
        duplicated: 0,
        tombstoned: 0,
        pending: 0,
        expired: 0,
        uncovered: 0,
        is_foreign: false,
    };
    let nothing = StreamRows {
        epoch,
        cursor: Seq(0),
        expired: Seq(0),
        expired_rows: None,
        rows: Vec::new(),
        tombstones: Vec::new(),
        blocks: Vec::new(),
    };
    report.is_foreign = stored.is_none() && acked > 0;
    let stored = stored.unwrap_or(&nothing);
    report.last = report.last.max(stored.rows.last().map_or(0, |seq| seq.0));
    let mut expected = 1;
    for piece in pieces(stored) {
        let (first, last) = (piece.first, piece.last);
        if first > expected {
            absent(&mut report, stored, expected, first - 1, acked);
        }
        // Whatever lies below the next expected number is there for the second time.
        report.duplicated += last.min(expected - 1).saturating_sub(first.saturating_sub(1)).min(last - first + 1);
        let new = last.saturating_sub(first.max(expected) - 1);
        if piece.is_tombstone {
            report.tombstoned += new;
        } else {
            report.records += new;
        }
        expected = expected.max(last.saturating_add(1));
    }
    if expected <= last_owed.max(acked) {
        absent(&mut report, stored, expected, last_owed.max(acked), acked);
    }
    // More are gone than were deleted because of their age.
    let lost = stored.expired_rows.map_or(0, |deleted| report.expired.saturating_sub(deleted));
    report.expired -= lost;
    report.missing += lost;
    report.uncovered = uncovered(stored, report.expired);
    report
}

struct Piece {
    first: u64,
    last: u64,
    is_tombstone: bool,
}

/// Rows and tombstones in the order of their numbers.
fn pieces(stored: &StreamRows) -> Vec<Piece> {
    let rows = stored.rows.iter().map(|seq| Piece { first: seq.0, last: seq.0, is_tombstone: false });
    let dead = stored.tombstones.iter().map(|(first, last)| Piece { first: first.0, last: last.0, is_tombstone: true });
    let mut pieces: Vec<Piece> = rows.chain(dead).collect();
    pieces.sort_by_key(|piece| (piece.first, piece.last));
    pieces
}

/// Why the numbers `first ..= last` are not there: too old, not sent yet, or lost. Only what an accepted block says that it came can
/// have become too old.
fn absent(report: &mut StreamReport, stored: &StreamRows, first: u64, last: u64, acked: u64) {
    let within = |from: u64, to: u64| last.min(to).saturating_sub(first.max(from) - 1);
    let expired = stored.expired.0;
    let came = |(from, to, rows): &(Seq, Seq, u64)| if *rows > 0 { within(from.0, to.0.min(expired)) } else { 0 };
    let begin = stored.blocks.partition_point(|(_, to, _)| to.0 < first);
    let gone: u64 = stored.blocks[begin..].iter().take_while(|(from, ..)| from.0 <= last).map(came).sum();
    // Blocks that overlap are found elsewhere, and excuse nothing twice.
    let gone = gone.min(within(1, expired));
    report.expired += gone;
    report.missing += within(1, expired) - gone + within(expired + 1, acked);
    report.pending += within(acked.max(expired) + 1, u64::MAX);
}

/// Compares the accepted blocks with the rows and tombstones they became. Blocks that overlap or leave gaps below the cursor
/// count too.
fn uncovered(stored: &StreamRows, expired: u64) -> u64 {
    let mut expected = 1;
    let mut wrong = 0;
    let mut rows_of_blocks = 0;
    for (first, last, rows) in &stored.blocks {
        wrong += first.0.abs_diff(expected);
        expected = last.0.saturating_add(1);
        rows_of_blocks += rows;
    }
    wrong += stored.cursor.0.abs_diff(expected - 1);
    wrong + rows_of_blocks.abs_diff(stored.rows.len() as u64 + expired)
}

#[cfg(test)]
mod tests;
