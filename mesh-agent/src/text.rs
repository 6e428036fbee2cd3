//! How times are written for people and programs.

use everypath_protocol::time::UnixTime;

/// RFC 3339, in UTC, to the second: `2026-11-23T00:00:00Z`.
pub fn rfc3339(at: UnixTime) -> String {
    const DAY: i64 = 86_400;
    let seconds = at.0.div_euclid(1_000_000);
    let (days, of_day) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The Gregorian date of a number of days since 1970-01-01. Years are counted from March, so that the leap day is the
/// last one and months have a regular pattern of lengths.
const fn civil(days: i64) -> (i64, i64, i64) {
    const DAYS_OF_400_YEARS: i64 = 146_097;
    const DAYS_FROM_YEAR_0_TO_1970: i64 = 719_468;
    let days = days + DAYS_FROM_YEAR_0_TO_1970;
    let era = days.div_euclid(DAYS_OF_400_YEARS);
    let of_era = days.rem_euclid(DAYS_OF_400_YEARS);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

/// "3 s ago", "5 min ago", "2 h ago".
pub fn ago(at: UnixTime, now: UnixTime) -> String {
    let seconds = now.since(at).as_seconds();
    match seconds {
        0..120 => format!("{seconds} s ago"),
        120..7_200 => format!("{} min ago", seconds / 60),
        7_200..172_800 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

/// Milliseconds with as many digits as say something.
pub fn millis(micros: u32) -> String {
    match micros {
        0..10_000 => format!("{}.{:02}", micros / 1_000, micros % 1_000 / 10),
        10_000..100_000 => format!("{}.{}", micros / 1_000, micros % 1_000 / 100),
        _ => format!("{}", micros / 1_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let cases = [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_795_392_000, "2026-11-23T00:00:00Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
        ];
        for (seconds, text) in cases {
            assert_eq!(rfc3339(UnixTime(seconds * 1_000_000)), text);
        }
    }

    #[test]
    fn round_trip_times_keep_three_digits() {
        assert_eq!([millis(7), millis(1_234), millis(12_345), millis(123_456)], ["0.00", "1.23", "12.3", "123"]);
    }
}
