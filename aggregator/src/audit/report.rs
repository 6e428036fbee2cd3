//! The findings, for people and for programs.

use super::StreamReport;
use serde::Serialize;
use std::fmt::Write as _;

/// Over all streams.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Totals {
    /// Streams compared.
    pub streams: u64,
    /// Numbers stored as rows.
    pub records: u64,
    /// Numbers that must be there and are not.
    pub missing: u64,
    /// Rows too many.
    pub duplicated: u64,
    /// Numbers given up by their agent.
    pub tombstoned: u64,
    /// Numbers not acknowledged yet.
    pub pending: u64,
    /// Numbers whose samples were deleted because of their age.
    pub expired: u64,
    /// Numbers in which rows and accepted blocks differ.
    pub uncovered: u64,
}

impl Totals {
    /// Sums up.
    pub fn of(reports: &[StreamReport]) -> Self {
        let mut totals = Self::default();
        for report in reports {
            totals.streams += 1;
            totals.records += report.records;
            totals.missing += report.missing;
            totals.duplicated += report.duplicated;
            totals.tombstoned += report.tombstoned;
            totals.pending += report.pending;
            totals.expired += report.expired;
            totals.uncovered += report.uncovered;
        }
        totals
    }

    /// Whether everything is there once.
    pub const fn is_clean(&self) -> bool {
        self.missing == 0 && self.duplicated == 0 && self.uncovered == 0
    }
}

/// Below the table, where a stream is of another database.
const FOREIGN: &str = "\nNot of this database: the agent has answers that these numbers were stored, but this database has never had the stream. They \
    were stored in another one: before a move (from SQLite to PostgreSQL nothing is taken along), or before a restore. Audit that \
    one, by --data-dir or --database; if it is gone, they are lost.\n";

/// One line a stream.
pub fn table(reports: &[StreamReport]) -> String {
    let mut text = String::from(
        "agent     epoch                first       last  missing  duplicated  tombstoned  pending  expired  uncovered\n",
    );
    for report in reports {
        // A String takes every write.
        let _ = writeln!(
            text,
            "{:<8}  {:016x}  {:>8}  {:>9}  {:>7}  {:>10}  {:>10}  {:>7}  {:>7}  {:>9}{}",
            report.agent.short(),
            report.epoch.0,
            report.first,
            report.last,
            report.missing,
            report.duplicated,
            report.tombstoned,
            report.pending,
            report.expired,
            report.uncovered,
            match (report.is_clean(), report.is_foreign) {
                (true, _) => "",
                (false, true) => "  <- not clean: not of this database",
                (false, false) => "  <- not clean",
            },
        );
    }
    if reports.iter().any(|report| report.is_foreign && !report.is_clean()) {
        text.push_str(FOREIGN);
    }
    text
}
