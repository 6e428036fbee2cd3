use crate::{CellJudge, Thresholds, is_fresh};
use alloc::vec::Vec;
use everypath_protocol::cell::CellState::{self, Down, Lossy, Ok, Slow, Unknown};
use everypath_protocol::time::{MonoTime, Span, UnixTime};
use everypath_protocol::window::{NotMeasured, ProbeOutcome};

const THRESHOLDS: Thresholds = Thresholds::for_interval(Span::seconds(5));

/// Feeds one outcome every 5 s — '.' a reply of 1 ms, 's' one of 20 ms, 'x' a loss, '?' not measured — and returns the states.
fn states(story: &str) -> Vec<CellState> {
    let mut judge = CellJudge::new();
    let mut at = MonoTime(0);
    let outcome = |letter| match letter {
        '.' => ProbeOutcome::Replied { rtt_us: 1_000 },
        's' => ProbeOutcome::Replied { rtt_us: 20_000 },
        'x' => ProbeOutcome::Lost,
        _ => ProbeOutcome::NotMeasured(NotMeasured::Overload),
    };
    story
        .chars()
        .map(|letter| {
            at = at + Span::seconds(5);
            judge.observe(outcome(letter), at, &THRESHOLDS);
            judge.state()
        })
        .collect()
}

#[test]
fn one_reply_is_enough_to_be_ok() {
    assert_eq!(states("."), [Ok]);
}

#[test]
fn one_loss_of_a_fresh_cell_says_nothing_yet() {
    assert_eq!(states("x"), [Unknown]);
}

#[test]
fn three_losses_in_a_row_are_down_and_two_replies_bring_it_back_clean() {
    assert_eq!(states("..xxx..."), [Ok, Ok, Ok, Ok, Down, Down, Ok, Ok]);
}

#[test]
fn a_single_reply_does_not_end_an_outage() {
    assert_eq!(states(".xxx.xx.x")[3..], [Down, Down, Down, Down, Down, Down]);
}

#[test]
fn on_a_path_that_loses_three_in_a_row_are_lossy_and_six_are_down() {
    let seen = states("......x.x.xxx.xxxxxx");
    assert_eq!(seen[12], Lossy, "three in a row");
    assert_eq!(seen[18], Lossy, "five in a row");
    assert_eq!(seen[19], Down);
}

#[test]
fn three_losses_in_two_minutes_are_lossy_until_two_are_forgotten() {
    let story = alloc::format!(".x.x.x{}", ".".repeat(24));
    let seen = states(&story);
    assert_eq!(seen[3], Ok, "two losses happen");
    assert_eq!(seen[5], Lossy);
    assert_eq!(seen[26], Lossy, "two losses are still among the last 24");
    assert_eq!(seen[27], Ok);
}

#[test]
fn not_measured_changes_nothing() {
    assert_eq!(states("..????"), [Ok; 6]);
    assert_eq!(states("????"), [Unknown; 4]);
}

#[test]
fn slow_needs_three_of_five_and_does_not_become_the_usual() {
    let seen = states(&alloc::format!("{}{}", ".".repeat(20), "s".repeat(200)));
    assert_eq!(seen[21], Ok);
    assert_eq!(seen[22], Slow);
    assert_eq!(seen[219], Slow);
}

#[test]
fn a_cell_without_news_becomes_unknown_once_and_forgets() {
    let mut judge = CellJudge::new();
    judge.observe(ProbeOutcome::Replied { rtt_us: 10 }, MonoTime(0), &THRESHOLDS);
    assert_eq!(judge.expire(MonoTime(0) + Span::seconds(19), &THRESHOLDS), None);
    assert_eq!(judge.expire(MonoTime(0) + Span::seconds(20), &THRESHOLDS), Some(Ok));
    assert_eq!(judge.expire(MonoTime(0) + Span::seconds(99), &THRESHOLDS), None);
    assert_eq!((judge.state(), judge.rtt_us(), judge.loss_permille()), (Unknown, None, None));
}

#[test]
fn suspicion_asks_again_only_while_unsettled() {
    let mut judge = CellJudge::new();
    let mut step = |outcome| {
        judge.observe(outcome, MonoTime(1), &THRESHOLDS);
        judge.is_suspect()
    };
    let reply = ProbeOutcome::Replied { rtt_us: 10 };
    assert!(!step(reply));
    assert!(step(ProbeOutcome::Lost));
    assert!(step(ProbeOutcome::Lost));
    assert!(!step(ProbeOutcome::Lost), "down is settled");
    assert!(step(reply));
    assert!(!step(reply), "up is settled");
}

#[test]
fn loss_and_rtt_are_those_of_the_recent_probes() {
    let mut judge = CellJudge::new();
    for rtt_us in [5, 1, 4, 2, 3] {
        judge.observe(ProbeOutcome::Replied { rtt_us }, MonoTime(1), &THRESHOLDS);
    }
    judge.observe(ProbeOutcome::Lost, MonoTime(1), &THRESHOLDS);
    assert_eq!((judge.rtt_us(), judge.loss_permille()), (Some(3), Some(166)));
}

#[test]
fn old_evidence_is_not_fresh_and_evidence_from_a_clock_ahead_is() {
    let seen = UnixTime(1_000_000);
    let after = |seconds| is_fresh(seen, seen.plus(Span::seconds(seconds)), Span::seconds(45));
    assert_eq!((after(45), after(46)), (true, false));
    assert!(is_fresh(UnixTime(9), UnixTime(0), Span::ZERO));
}
