use super::*;

const AGENT: AgentId = AgentId([1; 32]);
const EPOCH: Epoch = Epoch(7);

fn entry(last: u64, acked: u64) -> LedgerEntry {
    LedgerEntry { epoch: EPOCH, last: Seq(last), acked: Seq(acked), dropped: Vec::new(), moved_from: None }
}

fn stored(rows: &[u64], tombstones: &[(u64, u64)], cursor: u64) -> StreamRows {
    let pairs = |pairs: &[(u64, u64)]| pairs.iter().map(|(first, last)| (Seq(*first), Seq(*last))).collect::<Vec<_>>();
    let mut blocks: Vec<(Seq, Seq, u64)> =
        pairs(tombstones).into_iter().map(|(first, last)| (first, last, 0)).collect();
    blocks.extend(rows.iter().map(|seq| (Seq(*seq), Seq(*seq), 1)));
    blocks.sort_unstable();
    StreamRows {
        epoch: EPOCH,
        cursor: Seq(cursor),
        expired: Seq(0),
        expired_rows: Some(0),
        rows: rows.iter().copied().map(Seq).collect(),
        tombstones: pairs(tombstones),
        blocks,
    }
}

fn report(entry: LedgerEntry, stored: StreamRows) -> StreamReport {
    let ledger = Ledger { agent: AGENT, entries: vec![entry] };
    compare(&ledger, &[stored]).remove(0)
}

#[test]
fn all_there_once_is_clean() {
    let report = report(entry(6, 6), stored(&[1, 2, 5, 6], &[(3, 4)], 6));
    assert!(report.is_clean(), "{report:?}");
    assert_eq!((report.first, report.last, report.records, report.tombstoned, report.pending), (1, 6, 4, 2, 0));
}

#[test]
fn what_is_not_acknowledged_is_pending_and_not_missing() {
    let report = report(entry(9, 2), stored(&[1, 2], &[], 2));
    assert!(report.is_clean(), "{report:?}");
    assert_eq!((report.pending, report.last), (7, 9));
}

#[test]
fn a_row_that_is_gone_is_missing() {
    let mut broken = stored(&[1, 2, 3], &[], 3);
    broken.rows.remove(1);
    let report = report(entry(3, 3), broken);
    assert_eq!((report.missing, report.duplicated, report.uncovered), (1, 0, 1));
}

#[test]
fn a_row_that_is_there_twice_is_duplicated() {
    let mut broken = stored(&[1, 2, 3], &[], 3);
    broken.rows.insert(1, Seq(2));
    let report = report(entry(3, 3), broken);
    assert_eq!((report.missing, report.duplicated, report.uncovered, report.records), (0, 1, 1, 3));
}

#[test]
fn a_row_that_is_also_a_tombstone_is_duplicated() {
    assert_eq!(report(entry(4, 4), stored(&[1, 3, 4], &[(2, 3)], 4)).duplicated, 1);
}

#[test]
fn an_answer_that_was_lost_leaves_the_database_ahead_of_the_agent() {
    let report = report(entry(5, 0), stored(&[1, 2, 3], &[], 3));
    assert!(report.is_clean(), "{report:?}");
    assert_eq!((report.records, report.pending), (3, 2));
}

#[test]
fn numbers_that_were_moved_to_another_stream_are_owed_there() {
    let mut moved = entry(9, 3);
    moved.moved_from = Some(Seq(4));
    let report = report(moved, stored(&[1, 2, 3], &[], 3));
    assert!(report.is_clean(), "{report:?}");
    assert_eq!((report.last, report.pending), (3, 0));
}

#[test]
fn what_was_deleted_because_of_its_age_is_expired_and_not_missing() {
    let mut old = stored(&[1, 2, 3, 4], &[], 4);
    old.rows.drain(..2);
    (old.expired, old.expired_rows) = (Seq(2), Some(2));
    let report = report(entry(4, 4), old);
    assert!(report.is_clean(), "{report:?}");
    assert_eq!((report.expired, report.records), (2, 2));
}

#[test]
fn a_stream_of_which_nothing_came_is_missing_only_if_it_was_acknowledged() {
    let ledger = |acked| Ledger { agent: AGENT, entries: vec![entry(5, acked)] };
    let lost = compare(&ledger(5), &[]).remove(0);
    assert_eq!((lost.missing, lost.pending), (5, 0));
    let unsent = compare(&ledger(0), &[]).remove(0);
    assert_eq!((unsent.missing, unsent.pending), (0, 5));
    let forgotten = compare(&Ledger { agent: AGENT, entries: Vec::new() }, &[stored(&[1, 2], &[], 2)]).remove(0);
    assert!(forgotten.is_clean() && forgotten.records == 2, "{forgotten:?}");
}

#[test]
fn blocks_must_cover_what_the_rows_do() {
    let mut gap = stored(&[1, 2, 3], &[], 3);
    gap.blocks.remove(1);
    assert!(report(entry(3, 3), gap).uncovered > 0);
    let mut twice = stored(&[1, 2, 3], &[], 3);
    twice.blocks.insert(0, (Seq(1), Seq(1), 1));
    assert!(report(entry(3, 3), twice).uncovered > 0);
}

/// Everything below the newest number that was deleted because of its age was excused, whether it had ever come or not.
#[test]
fn only_what_came_and_was_deleted_is_excused() {
    let deleted = |rows: &[u64], deleted: &[u64]| {
        let mut stored = stored(rows, &[], 9);
        stored.rows.retain(|seq| !deleted.contains(&seq.0));
        (stored.expired, stored.expired_rows) = (Seq(6), Some(deleted.len() as u64));
        stored
    };
    let all: Vec<u64> = (1..=9).collect();
    let clean = report(entry(9, 9), deleted(&all, &[1, 2, 4, 6]));
    assert!(clean.is_clean() && clean.expired == 4 && clean.records == 5, "{clean:?}");
    let never_came = report(entry(9, 9), deleted(&[1, 2, 4, 5, 6, 7, 8, 9], &[1, 2, 6]));
    assert_eq!((never_came.missing, never_came.expired), (1, 3), "number 3");
    let mut lost = deleted(&all, &[1, 2, 6]);
    lost.rows.retain(|seq| seq.0 != 5);
    let lost = report(entry(9, 9), lost);
    assert_eq!((lost.missing, lost.expired, lost.is_clean()), (1, 3, false), "number 5 came, and nobody deleted it");
    let mut uncounted = deleted(&all, &[1, 2, 6]);
    uncounted.expired_rows = None;
    assert!(report(entry(9, 9), uncounted).is_clean());
}

#[test]
fn a_stream_of_another_database_is_called_so() {
    let ledger = Ledger { agent: AGENT, entries: vec![entry(6, 6)] };
    let reports = compare(&ledger, &[]);
    assert_eq!((reports[0].missing, reports[0].is_foreign), (6, true));
    let text = super::super::table(&reports);
    assert!(
        text.contains("<- not clean: not of this database") && text.contains("from SQLite to PostgreSQL"),
        "{text}"
    );
    let ledger = Ledger { agent: AGENT, entries: vec![entry(6, 0)] };
    let pending = compare(&ledger, &[]);
    assert!(pending[0].is_clean() && !pending[0].is_foreign);
    assert!(!super::super::table(&pending).contains("another one"));
}
