//! Days, weeks and months, and clocks that are wrong.

use super::*;
use alloc::vec::Vec;
use everypath_protocol::id::mix64;

/// A day and an hour of UTC.
fn at(year: i64, month: i64, day: i64, hour: u64) -> UnixTime {
    UnixTime((day_of(year, month) + day - 1) * DAY_US).plus(Span::seconds(hour * 3_600))
}

const fn of(every: Every, hour: u8) -> Schedule {
    Schedule { every, hour }
}

/// What is sent when somebody looks at these times, beginning as one that was made at the first.
fn sent(schedule: Schedule, times: &[UnixTime]) -> Vec<(UnixTime, UnixTime)> {
    let mut decided = schedule.newest(times[0]).to;
    let mut sent = Vec::new();
    for now in times {
        match decide(schedule, decided, *now) {
            Decision::Rest => {}
            Decision::Send(turn) => {
                assert!(turn.due <= *now && turn.from < turn.to && turn.to <= *now);
                decided = turn.to;
                sent.push((turn.from, turn.to));
            }
            Decision::SetBack(to) => decided = to,
        }
    }
    sent
}

#[test]
fn days_of_the_calendar_come_back() {
    for (year, month, day) in [(1970, 1, 0), (2000, 3, 11_017), (2026, 11, 20_758), (2028, 2, 21_215)] {
        assert_eq!((day_of(year, month), month_of(day)), (day, (year, month)));
    }
    let mut months = 0;
    for day in -200_000..200_000 {
        let (year, month) = month_of(day);
        let first = day_of(year, month);
        assert!(first <= day && day - first < 31 && month_of(first) == (year, month));
        months += i64::from(first == day);
    }
    assert_eq!(months, 13_141, "as many as 400,000 days have");
}

#[test]
fn a_turn_is_the_period_just_past() {
    for (every, now, from, to) in [
        (Every::Day, at(2026, 11, 23, 8), at(2026, 11, 22, 0), at(2026, 11, 23, 0)),
        (Every::Week, at(2026, 11, 23, 8), at(2026, 11, 16, 0), at(2026, 11, 23, 0)),
        (Every::Week, at(2026, 11, 29, 23), at(2026, 11, 16, 0), at(2026, 11, 23, 0)),
        (Every::Month, at(2026, 11, 23, 8), at(2026, 10, 1, 0), at(2026, 11, 1, 0)),
        (Every::Month, at(2026, 3, 1, 8), at(2026, 2, 1, 0), at(2026, 3, 1, 0)),
        (Every::Month, at(2028, 3, 1, 8), at(2028, 2, 1, 0), at(2028, 3, 1, 0)),
        (Every::Month, at(2027, 1, 31, 8), at(2026, 12, 1, 0), at(2027, 1, 1, 0)),
    ] {
        let turn = of(every, 6).newest(now);
        assert_eq!(
            (turn.from, turn.to, turn.due),
            (from, to, to.plus(Span::seconds(6 * 3_600)).plus(SETTLE)),
            "{every:?}"
        );
    }
    // Of November the report comes on the first of December and not before its hour.
    let monthly = of(Every::Month, 6);
    let due = at(2026, 12, 1, 6).plus(SETTLE);
    assert_eq!(monthly.newest(due.minus(Span::micros(1))).to, at(2026, 11, 1, 0));
    assert_eq!(monthly.newest(due).to, at(2026, 12, 1, 0));
    assert_eq!(
        (monthly.next(due.minus(Span::micros(1))).due, monthly.next(due).due),
        (due, at(2027, 1, 1, 6).plus(SETTLE))
    );
}

#[test]
fn each_period_is_sent_once_without_a_gap() {
    let first = at(2026, 1, 15, 13);
    for (every, count) in [(Every::Day, 731), (Every::Week, 104), (Every::Month, 24)] {
        for hour in [0, 6, 23] {
            let times: Vec<_> = (0..2 * 365 * 24 + 24).map(|hours| first.plus(Span::seconds(hours * 3_600))).collect();
            let sent = sent(of(every, hour), &times);
            assert_eq!(sent.len(), count, "{every:?} at {hour}");
            assert!(sent.windows(2).all(|two| two[0].1 == two[1].0), "{every:?} at {hour}");
        }
    }
}

#[test]
fn what_was_missed_is_sent_once() {
    let times = [at(2026, 11, 20, 8), at(2026, 11, 26, 8), at(2026, 11, 26, 9), at(2026, 11, 27, 8)];
    let days: Vec<_> = sent(of(Every::Day, 6), &times).into_iter().map(|(_, to)| to).collect();
    assert_eq!(days, [at(2026, 11, 26, 0), at(2026, 11, 27, 0)]);
}

#[test]
fn a_clock_that_is_set_back_sends_nothing_again() {
    let due = at(2026, 11, 23, 0).plus(SETTLE);
    let times = [
        due.minus(Span::seconds(60)),
        due,
        due.minus(Span::seconds(600)),
        due,
        due.minus(Span::seconds(20 * 3_600)),
        due.plus(Span::seconds(60)),
    ];
    for every in [Every::Day, Every::Week] {
        assert_eq!(sent(of(every, 0), &times).len(), 1, "{every:?}");
    }
}

#[test]
fn a_clock_that_was_far_ahead_is_not_waited_for() {
    let now = at(2026, 11, 23, 8);
    let wrong = at(2036, 11, 23, 8);
    let times = [now, wrong, now, now.plus(Span::seconds(3_600)), now.plus(DAY), now.plus(DAY).plus(DAY)];
    let ends: Vec<_> = sent(of(Every::Day, 6), &times).into_iter().map(|(_, to)| to).collect();
    assert_eq!(ends, [at(2036, 11, 23, 0), at(2026, 11, 24, 0), at(2026, 11, 25, 0)]);
}

#[test]
fn any_time_has_a_turn_before_and_one_after() {
    for draw in (0..20_000_u64).map(mix64) {
        let now = UnixTime((draw >> 12).cast_signed() - (1 << 51));
        let schedule = of(Every::ALL[usize::try_from(draw % 3).unwrap_or(0)], u8::try_from(draw % 24).unwrap_or(0));
        let (newest, next) = (schedule.newest(now), schedule.next(now));
        assert!(newest.due <= now && now < next.due && newest.to == next.from, "{schedule:?} {now:?}");
        assert_eq!(decide(schedule, newest.to, now), Decision::Rest);
    }
    assert_eq!(Every::ALL.map(Every::name), ["day", "week", "month"]);
}
