//! Which sums answer for a period.

use crate::rollup::{Level, floor};
use everypath_protocol::time::{Span, UnixTime};

/// Longest period.
pub const PERIOD_MAX: Span = Span::seconds(400 * 86_400);
/// Up to this it is answered by sums of an hour, beyond by sums of a day.
const HOURS_MAX: Span = Span::seconds(3 * 86_400);

/// Whole hours or whole days of UTC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Period {
    /// First moment.
    pub from: UnixTime,
    /// First moment after it.
    pub to: UnixTime,
    /// The sums that it is made of.
    pub level: Level,
}

/// Why there is no report of a period.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unreportable {
    /// It ends before it begins.
    Backwards,
    /// It has not begun.
    Future,
    /// It is longer than [`PERIOD_MAX`].
    TooLong,
}

impl core::fmt::Display for Unreportable {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Backwards => out.write_str("the period ends before it begins; `from` must be before `to`"),
            Self::Future => out.write_str("the period has not begun yet; `from` must be in the past"),
            Self::TooLong => {
                write!(out, "a report covers {} days at most", PERIOD_MAX.as_seconds() / 86_400)
            }
        }
    }
}

impl core::error::Error for Unreportable {}

impl Period {
    /// Widens a range to whole hours, or to whole days if it is longer than three days, and ends it now: what is still to come is
    /// not unknown.
    ///
    /// # Errors
    /// [`Unreportable`].
    pub fn new(from: UnixTime, to: UnixTime, now: UnixTime) -> Result<Self, Unreportable> {
        if from >= to {
            return Err(Unreportable::Backwards);
        }
        let now = floor(now, Span::seconds(1));
        if from >= now {
            return Err(Unreportable::Future);
        }
        if to.since(from) > PERIOD_MAX {
            return Err(Unreportable::TooLong);
        }
        let level = if to.since(from) <= HOURS_MAX { Level::Hour } else { Level::Day };
        let up = floor(to.plus(level.span()).minus(Span::micros(1)), level.span());
        Ok(Self { from: level.floor(from), to: up.min(now), level })
    }

    /// How long it is.
    pub fn span(&self) -> Span {
        self.to.since(self.from)
    }
}
