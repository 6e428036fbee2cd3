//! Outcomes in, closed windows out. A probe belongs to the window in which it was sent, and is counted there exactly once,
//! however late its outcome is known.
//!
//! Windows begin and end where the wall clock's multiples of their length are, so that those of all agents line up; their
//! length is measured on the monotonic clock, so a stepped wall clock shifts a label and never a measurement.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use everypath_protocol::cell::CellState;
use everypath_protocol::id::AgentId;
use everypath_protocol::time::{MonoTime, Now, Span, UnixTime};
use everypath_protocol::window::{ProbeKind, ProbeOutcome, Window};

/// A window opened this soon after a multiple of its length is labelled with the multiple itself.
const ALIGNED_WITHIN: Span = Span::seconds(1);

/// Names the window that a probe was sent in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WindowIndex(u64);

#[derive(Debug)]
struct Open {
    index: WindowIndex,
    start: UnixTime,
    span: Span,
    ends: MonoTime,
    pairs: BTreeMap<AgentId, Window>,
    /// Probes sent in it of which nothing is known yet.
    outstanding: u32,
}

/// The windows that are open or wait for their last outcomes. At most two, unless probes outlive a whole window.
#[derive(Debug)]
pub struct Windows {
    length: Span,
    open: VecDeque<Open>,
    next_index: u64,
}

impl Windows {
    /// Windows of this length.
    pub const fn new(length: Span) -> Self {
        Self { length, open: VecDeque::new(), next_index: 0 }
    }

    /// The length of windows opened from now on. If it is shorter than before, the open one ends now: whoever waits for
    /// short windows wants to see something soon.
    pub fn set_length(&mut self, now: MonoTime, length: Span) {
        if length < self.length
            && let Some(window) = self.open.back_mut().filter(|window| now < window.ends)
        {
            window.span = Span(window.span.0.saturating_sub(window.ends.since(now).0));
            window.ends = now;
        }
        self.length = length;
    }

    /// Counts a probe to `target` as sent in the window of now.
    pub fn sent(&mut self, now: Now, target: AgentId) -> WindowIndex {
        if self.open.back().is_none_or(|window| now.mono >= window.ends) {
            self.begin(now);
        }
        let window = self.open.back_mut().expect("a window was just begun");
        window.outstanding += 1;
        window.pairs.entry(target).or_insert_with(|| Window::new(target, ProbeKind::Icmp, window.start));
        window.index
    }

    /// Counts what became of a probe.
    pub fn finished(&mut self, index: WindowIndex, target: AgentId, outcome: ProbeOutcome) {
        let window = self.open.iter_mut().find(|window| window.index == index);
        let window = window.expect("a window stays until its last outcome");
        window.outstanding -= 1;
        window.pairs.get_mut(&target).expect("sent() made the pair").add(outcome);
    }

    /// Takes out every window that is over and settled; with `all`, also those that are not over.
    pub fn close(&mut self, now: MonoTime, all: bool, state_of: impl Fn(&AgentId) -> CellState) -> Vec<Window> {
        let mut closed = Vec::new();
        while let Some(window) = self.open.front() {
            if window.outstanding > 0 || (now < window.ends && !all) {
                break;
            }
            let window = self.open.pop_front().expect("just seen");
            let left = window.ends.since(now);
            let span = Span(window.span.0.saturating_sub(left.0));
            closed.extend(window.pairs.into_values().map(|mut pair| {
                pair.span = span;
                pair.state = state_of(&pair.target);
                pair.slimmed()
            }));
        }
        closed
    }

    /// The wall clock was set by so many microseconds: windows that are open get the labels that the clock of now would have
    /// given them.
    pub fn relabel(&mut self, step_us: i64) {
        for window in &mut self.open {
            window.start.0 = window.start.0.saturating_add(step_us);
            window.pairs.values_mut().for_each(|pair| pair.start = window.start);
        }
    }

    /// When [`Self::close`] will have something, if all outcomes are there by then.
    pub fn next_deadline(&self) -> Option<MonoTime> {
        self.open.front().filter(|window| window.outstanding == 0).map(|window| window.ends)
    }

    fn begin(&mut self, now: Now) {
        let length_us = i64::try_from(self.length.as_micros()).unwrap_or(i64::MAX).max(1);
        let past = Span::micros(now.wall.0.rem_euclid(length_us).unsigned_abs());
        let start = if past <= ALIGNED_WITHIN { now.wall.minus(past) } else { now.wall };
        let rest = Span(self.length.0.saturating_sub(past.0));
        self.open.push_back(Open {
            index: WindowIndex(self.next_index),
            start,
            span: if past <= ALIGNED_WITHIN { self.length } else { rest },
            ends: now.mono + rest,
            pairs: BTreeMap::new(),
            outstanding: 0,
        });
        self.next_index += 1;
    }
}
