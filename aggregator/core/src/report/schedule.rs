//! When a report that somebody wants again and again is due, and of which period. All in UTC.
//!
//! 1. A period is a whole day, a week from Monday to Monday, or a month. Its report is due at an hour of the day after it, and
//!    [`SETTLE`] later, so that what was measured in its last minutes is in it.
//! 2. What was due while nobody was there is sent once: the newest period alone, however many there were.
//! 3. What was decided is decided: a clock that is set back sends nothing again. One that was far ahead is not waited for.

use everypath_protocol::time::{Span, UnixTime};

/// So long after the hour a report is made: batches, and the sums of half a minute, have come by then.
pub const SETTLE: Span = Span::seconds(300);
/// What was decided for a period that ends later than this from now was decided by a clock that was wrong.
pub const AHEAD_MAX: Span = DAY;
const DAY: Span = Span::seconds(86_400);
const DAY_US: i64 = 86_400_000_000;
/// The first Monday after 1970-01-01, which was a Thursday, as a number of days.
const FIRST_MONDAY: i64 = 4;

/// How often.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Every {
    /// Of each day.
    Day,
    /// Of each week.
    Week,
    /// Of each month.
    Month,
}

impl Every {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Day, Self::Week, Self::Month];

    /// The word in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// The beginning of the period in which this day lies, or of one that is `later` periods later. In days since 1970.
    fn begin(self, day: i64, later: i64) -> i64 {
        match self {
            Self::Day => day + later,
            Self::Week => day - (day - FIRST_MONDAY).rem_euclid(7) + 7 * later,
            Self::Month => {
                let (year, month) = month_of(day);
                let months = year * 12 + (month - 1) + later;
                day_of(months.div_euclid(12), months.rem_euclid(12) + 1)
            }
        }
    }
}

/// One report of a schedule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Turn {
    /// First moment of its period.
    pub from: UnixTime,
    /// First moment after it.
    pub to: UnixTime,
    /// When it is made.
    pub due: UnixTime,
}

/// How often, and at which hour.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Schedule {
    /// How often.
    pub every: Every,
    /// From 0 to 23.
    pub hour: u8,
}

/// What is to be done about a schedule now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decision {
    /// Nothing.
    Rest,
    /// This one is to be sent.
    Send(Turn),
    /// What was decided last is in a future that does not come soon: it is to be taken for this, and nothing is sent.
    SetBack(UnixTime),
}

impl Schedule {
    /// The newest turn that is due by now.
    pub fn newest(self, now: UnixTime) -> Turn {
        let turn = self.turn(now, 0);
        if turn.due <= now { turn } else { self.turn(now, -1) }
    }

    /// The first turn that is not due yet.
    pub fn next(self, now: UnixTime) -> Turn {
        let turn = self.turn(now, 0);
        if turn.due > now { turn } else { self.turn(now, 1) }
    }

    /// The turn whose period ended where that of `now` begins, or one that is `later` turns later.
    fn turn(self, now: UnixTime, later: i64) -> Turn {
        let day = now.0.div_euclid(DAY_US);
        let at = |later: i64| UnixTime(self.every.begin(day, later).saturating_mul(DAY_US));
        let (from, to) = (at(later - 1), at(later));
        Turn { from, to, due: to.plus(Span::seconds(u64::from(self.hour.min(23)) * 3_600)).plus(SETTLE) }
    }
}

/// What follows. `decided` is the end of the newest period that was decided on; of a new schedule that of
/// [`Schedule::newest`] when it was made, so that the first comes when the first period of it is over.
pub fn decide(schedule: Schedule, decided: UnixTime, now: UnixTime) -> Decision {
    let newest = schedule.newest(now);
    if decided > now.plus(AHEAD_MAX) {
        Decision::SetBack(newest.to)
    } else if newest.to > decided {
        Decision::Send(newest)
    } else {
        Decision::Rest
    }
}

/// Year and month of a day. Years begin in March, so that the leap day is the last one
/// (Hinnant, <https://howardhinnant.github.io/date_algorithms.html>).
const fn month_of(day: i64) -> (i64, i64) {
    let day = day + 719_468;
    let era = day.div_euclid(146_097);
    let of_era = day.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year_of_era + era * 400 + if month <= 2 { 1 } else { 0 }, month)
}

/// The first day of a month.
const fn day_of(year: i64, month: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests;
