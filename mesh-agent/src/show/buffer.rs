//! The buffer for people.

use crate::status::json::BufferJson;
use crate::store::inspect::{SetAsideReport, Verification};
use std::collections::BTreeMap;
use std::fmt::Write;

/// A few lines, the most important first.
pub fn draw(buffer: &BufferJson) -> String {
    let (report, file) = (&buffer.report, &buffer.file);
    let mut text = String::new();
    let mut line = |label: &str, value: &str| {
        let _ = writeln!(text, "{label:<14}{value}");
    };
    let oldest = report.oldest.as_ref().map_or_else(String::new, |oldest| format!(", the oldest of {oldest}"));
    line("waiting", &format!("{} records in {} bytes{oldest}", report.waiting_records, report.waiting_bytes));
    for epoch in &report.epochs {
        let waiting = epoch.last.saturating_sub(epoch.acked);
        let (name, blocks, last) = (&epoch.epoch, epoch.blocks, epoch.last);
        line("  epoch", &format!("{name}: {waiting} of {last} numbers wait, in {blocks} blocks"));
    }
    line(
        "given up",
        &format!("{} numbers{}", report.dropped_records, reasons("; told next: ", &report.waiting_dropped)),
    );
    if report.quarantined_records > 0 {
        let (records, bytes) = (report.quarantined_records, report.quarantined_bytes);
        line("quarantine", &format!("{records} records that an aggregator refused are kept aside, {bytes} bytes"));
    }
    let limit =
        buffer.running.as_ref().map_or_else(String::new, |running| format!(", limit {} bytes", running.bytes_max));
    line("file", &format!("{} bytes{limit}", file.file_bytes));
    let free = file.disk_free_bytes.map_or_else(|| "unknown".to_owned(), |free| format!("{free} bytes"));
    line("disk free", &free);
    match &buffer.running {
        None => line("agent", "does not run"),
        Some(running) => {
            let given_up = reasons("", &running.dropped);
            line("since start", &if given_up.is_empty() { "nothing given up".to_owned() } else { given_up });
            if running.unpersisted_bytes > 0 {
                line("in memory", &format!("{} bytes that the disk has not confirmed", running.unpersisted_bytes));
            }
            if let Some(why) = &running.failing {
                line("DISK FAILS", &format!("{why}; it is tried again every second"));
            }
        }
    }
    if file.disk_low {
        line("LOW DISK", "the buffer does not grow; the oldest windows make room for new ones");
    }
    if let Some(reset) = &report.reset {
        let (at, saved, lost) = (&reset.at, reset.saved, reset.lost);
        line(
            "buffer_reset",
            &format!("{at}: the file could not be read; {saved} records saved, {lost} known to be lost"),
        );
    }
    for aside in &file.set_aside {
        let SetAsideReport { path, bytes } = aside;
        let use_of_it = "What could be saved of it is in the buffer; delete it when nobody wants to look into it";
        line("set aside", &format!("{path}, {bytes} bytes. {use_of_it}"));
    }
    text
}

/// What is not zero.
fn reasons(prefix: &str, counts: &BTreeMap<String, u64>) -> String {
    let some: Vec<String> = counts
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(reason, count)| format!("{count} {}", reason.replace('_', " ")))
        .collect();
    if some.is_empty() { String::new() } else { format!("{prefix}{}", some.join(", ")) }
}

/// What an inspection found, and what to do.
pub fn draw_verification(found: &Verification) -> String {
    let mut text = String::new();
    for problem in &found.problems {
        let _ = writeln!(text, "problem: {problem}");
    }
    if found.more_problems > 0 {
        let _ = writeln!(text, "and {} more", found.more_problems);
    }
    let Verification { epochs, blocks, records, .. } = found;
    let _ = writeln!(text, "{epochs} epochs, {blocks} whole blocks with {records} records wait");
    let _ = writeln!(
        text,
        "{}",
        if found.problems.is_empty() {
            "the buffer is sound"
        } else {
            "Start the agent: it mends its buffer by itself and tells the aggregator what is lost. If this comes back, the disk is failing; replace it."
        }
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::json::RunningBufferJson;
    use crate::store::inspect::{BufferReport, FileReport, ResetReport};

    #[test]
    fn everything_out_of_the_ordinary_has_a_line() {
        let dropped = [("rejected".to_owned(), 3), ("buffer_full".to_owned(), 0)].into();
        let reset = Some(ResetReport { at: "2026-11-23T04:00:00Z".to_owned(), saved: 5, lost: 6 });
        let report = BufferReport { waiting_records: 7, quarantined_records: 3, reset, ..BufferReport::default() };
        let aside = SetAsideReport { path: "/data/buffer.redb.damaged-1".to_owned(), bytes: 4_096 };
        let file = FileReport { disk_low: true, set_aside: vec![aside], ..FileReport::default() };
        let failing = Some("No space left on device".to_owned());
        let running = Some(RunningBufferJson { bytes_max: 9, dropped, unpersisted_bytes: 11, failing });
        let text = draw(&BufferJson { report, file, running });
        for part in [
            "7 records",
            "3 rejected",
            "kept aside",
            "LOW DISK",
            "DISK FAILS",
            "No space left",
            "5 records saved",
            "/data/buffer.redb.damaged-1, 4096 bytes",
            "delete it",
            "limit 9",
        ] {
            assert!(text.contains(part), "{part:?} is not in:\n{text}");
        }
        assert!(!text.contains("buffer full"), "what did not happen is not told");
    }
}
