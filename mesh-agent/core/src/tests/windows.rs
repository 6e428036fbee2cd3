use super::bench::{at, id};
use crate::windows::Windows;
use everypath_protocol::cell::CellState;
use everypath_protocol::time::Span;
use everypath_protocol::window::{NotMeasured, ProbeOutcome};

const REPLY: ProbeOutcome = ProbeOutcome::Replied { rtt_us: 500 };

fn ok(_: &everypath_protocol::id::AgentId) -> CellState {
    CellState::Ok
}

#[test]
fn a_window_closes_at_its_end_with_everything_sent_in_it() {
    let mut windows = Windows::new(Span::seconds(10));
    for millis in [0, 5_000] {
        let index = windows.sent(at(millis), id(2));
        windows.finished(index, id(2), REPLY);
    }
    assert!(windows.close(at(9_999).mono, false, ok).is_empty());
    let closed = windows.close(at(10_000).mono, false, ok);
    assert_eq!((closed.len(), closed[0].sent, closed[0].received), (1, 2, 2));
    assert_eq!((closed[0].start, closed[0].span, closed[0].state), (at(0).wall, Span::seconds(10), CellState::Ok));
}

#[test]
fn a_late_outcome_counts_in_the_window_of_its_sending_which_waits_for_it() {
    let mut windows = Windows::new(Span::seconds(10));
    let early = windows.sent(at(9_900), id(2));
    let late = windows.sent(at(10_100), id(2));
    windows.finished(late, id(2), REPLY);
    assert!(windows.close(at(30_000).mono, false, ok).is_empty(), "the first window is not settled");
    windows.finished(early, id(2), ProbeOutcome::Lost);
    let closed = windows.close(at(30_000).mono, false, ok);
    assert_eq!(
        closed.iter().map(|window| (window.sent, window.lost())).collect::<alloc::vec::Vec<_>>(),
        [(1, 1), (1, 0)]
    );
}

#[test]
fn windows_line_up_with_the_wall_clock() {
    let mut windows = Windows::new(Span::seconds(10));
    // Started four seconds into a slot: the first window is short, the next one is aligned.
    let first = windows.sent(at(4_000), id(2));
    let second = windows.sent(at(10_300), id(2));
    for index in [first, second] {
        windows.finished(index, id(2), REPLY);
    }
    let closed = windows.close(at(20_000).mono, false, ok);
    assert_eq!((closed[0].start, closed[0].span), (at(4_000).wall, Span::seconds(6)));
    assert_eq!((closed[1].start, closed[1].span), (at(10_000).wall, Span::seconds(10)));
}

/// After an outage windows are a minute long; somebody who comes back wants to see something sooner.
#[test]
fn a_window_ends_when_windows_become_shorter_and_says_how_long_it_was() {
    let mut windows = Windows::new(Span::seconds(60));
    let index = windows.sent(at(0), id(2));
    windows.finished(index, id(2), REPLY);
    windows.set_length(at(23_000).mono, Span::seconds(60));
    assert!(windows.close(at(23_000).mono, false, ok).is_empty());
    windows.set_length(at(23_000).mono, Span::seconds(10));
    let closed = windows.close(at(23_000).mono, false, ok);
    assert_eq!((closed[0].start, closed[0].span), (at(0).wall, Span::seconds(23)));
    let index = windows.sent(at(23_500), id(2));
    windows.finished(index, id(2), REPLY);
    let closed = windows.close(at(30_000).mono, false, ok);
    assert_eq!((closed[0].start, closed[0].span), (at(23_500).wall, Span::millis(6_500)));
}

#[test]
fn at_the_end_of_the_program_open_windows_are_closed_as_long_as_they_were() {
    let mut windows = Windows::new(Span::seconds(10));
    let index = windows.sent(at(0), id(2));
    windows.finished(index, id(2), ProbeOutcome::NotMeasured(NotMeasured::Stalled));
    let closed = windows.close(at(3_000).mono, true, ok);
    assert_eq!((closed[0].span, closed[0].sent, closed[0].not_measured.total()), (Span::seconds(3), 0, 1));
}
