//! How times, streams and errors are written for people and programs.

use everypath_protocol::id::Epoch;
use everypath_protocol::time::UnixTime;
use std::error::Error;

/// A stream's name as `aggregator audit streams` prints it: 16 hexadecimal digits.
pub fn epoch(epoch: Epoch) -> String {
    format!("{:016x}", epoch.0)
}

/// A name as an error shows it; of none there is nothing to show.
pub fn named(name: &str) -> String {
    if name.is_empty() { "an empty name".to_owned() } else { format!("`{name}`") }
}

/// An error with its causes, once each. Some libraries repeat the cause in the text, some leave the text empty, some print the
/// outermost text only; here the result is the same for all of them.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let own = error.to_string();
        if !text.contains(&own) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&own);
        }
        next = error.source();
    }
    text
}

/// What the operating system said, as the text of a library has it: "… (os error 98)". libp2p hands its errors on in boxes
/// that cannot be looked into, but prints them.
pub fn os_error(text: &str) -> Option<std::io::Error> {
    let (_, rest) = text.rsplit_once("(os error ")?;
    rest.split(')').next()?.parse().ok().map(std::io::Error::from_raw_os_error)
}

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

    #[derive(Debug)]
    struct Layer(&'static str, Option<Box<Self>>);

    impl std::fmt::Display for Layer {
        fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            out.write_str(self.0)
        }
    }

    impl Error for Layer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_ref().map(|inner| &**inner as &(dyn Error + 'static))
        }
    }

    /// "Address already in use (os error 98): Address already in use (os error 98)" was said of a taken port, and of another one
    /// nothing at all: the one library repeats its cause, the other one has an empty text around it.
    #[test]
    fn each_cause_is_said_once_and_an_empty_text_does_not_hide_one() {
        let layers = |texts: &[&'static str]| {
            let wrap = |inner: Option<Box<Layer>>, text: &&'static str| Some(Box::new(Layer(text, inner)));
            chain(&*texts.iter().rev().fold(None, wrap).unwrap())
        };
        assert_eq!(layers(&["cannot bind: in use", "in use"]), "cannot bind: in use");
        assert_eq!(layers(&["", "", "in use"]), "in use");
        assert_eq!(layers(&["cannot bind", "in use"]), "cannot bind: in use");
    }

    #[test]
    fn a_stream_is_named_as_the_audit_names_it() {
        assert_eq!(epoch(Epoch(0x18_3da0_eb4f_22a3)), "00183da0eb4f22a3");
    }

    #[test]
    fn round_trip_times_keep_three_digits() {
        assert_eq!([millis(7), millis(1_234), millis(12_345), millis(123_456)], ["0.00", "1.23", "12.3", "123"]);
    }
}
