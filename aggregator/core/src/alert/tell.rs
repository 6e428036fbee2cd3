//! Whether a channel should be told something of an incident now.

use super::notice::Event;
use everypath_protocol::id::mix64;
use everypath_protocol::time::{Span, UnixTime};

/// How a channel wants to be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Policy {
    /// A message that was sent can be changed without a sound, so that any change is worth telling. Else only another title,
    /// severity, ending or acknowledgement is.
    pub edits: bool,
    /// Between two changes at least so much. News and ends do not wait.
    pub every: Span,
    /// So long after it was last told an incident that nobody acknowledged is told again.
    pub repeat: Option<Span>,
}

/// What an incident is like now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wish {
    /// Of what matters: see [`digest`].
    pub gist: u64,
    /// Of every word.
    pub text: u64,
    /// It is over.
    pub is_over: bool,
    /// A silence covers it.
    pub is_quiet: bool,
    /// It comes and goes.
    pub is_flapping: bool,
    /// Somebody takes care of it.
    pub is_acked: bool,
}

/// What a channel was told last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Told {
    /// As in [`Wish`].
    pub gist: u64,
    /// As in [`Wish`].
    pub text: u64,
    /// As in [`Wish`].
    pub is_over: bool,
    /// When it was last told anything.
    pub at: UnixTime,
    /// When it was last told something that people should look at.
    pub news_at: UnixTime,
}

/// What is to be told now, if anything.
///
/// 1. Silences and flapping keep news back; they keep back no end of what was told.
/// 2. What began and ended in silence is never told.
/// 3. News and ends are told at once, changes not more often than the policy says.
pub fn next(now: UnixTime, policy: &Policy, told: Option<&Told>, wish: &Wish) -> Option<(Event, Told)> {
    let tell = |event: Event, news_at: UnixTime| {
        let news_at = if event.is_news() { now } else { news_at };
        Some((event, Told { gist: wish.gist, text: wish.text, is_over: wish.is_over, at: now, news_at }))
    };
    let Some(told) = told else {
        return if wish.is_over || wish.is_quiet { None } else { tell(Event::Opened, now) };
    };
    match (told.is_over, wish.is_over) {
        (true, true) => None,
        (false, true) => tell(Event::Resolved, told.news_at),
        (true, false) if wish.is_quiet || wish.is_flapping => None,
        (true, false) => tell(Event::Reopened, now),
        (false, false) if wish.is_quiet => None,
        (false, false) => {
            let has_changed = told.gist != wish.gist || (policy.edits && told.text != wish.text);
            let may_repeat = !wish.is_acked && !wish.is_flapping;
            if policy.repeat.is_some_and(|repeat| may_repeat && now.since(told.news_at) >= repeat) {
                tell(Event::Repeated, now)
            } else if has_changed && now.since(told.at) >= policy.every {
                tell(Event::Updated, told.news_at)
            } else {
                None
            }
        }
    }
}

/// A number for some words; others have another one but once in 2^64.
pub fn digest<'a>(words: impl IntoIterator<Item = &'a str>) -> u64 {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for word in words {
        for byte in word.bytes() {
            state = mix64(state ^ u64::from(byte)).wrapping_add(0x9e37_79b9_7f4a_7c15);
        }
        // So that ("ab", "c") is not ("a", "bc").
        state = mix64(state ^ 0x100);
    }
    state
}
