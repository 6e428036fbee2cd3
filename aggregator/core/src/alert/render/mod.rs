//! What a notice looks like in each channel. The words are the judge's; only the frame differs.

pub mod discord;
pub mod mail;

use super::notice::{Event, Notice};
use alloc::format;
use alloc::string::String;
use everypath_protocol::time::UnixTime;

/// How a time is written; the caller has the calendar.
pub type Clock<'a> = &'a dyn Fn(UnixTime) -> String;

/// One line: severity or end, then the title.
pub fn headline(notice: &Notice) -> String {
    let mark = match notice.event {
        Event::Resolved => String::from("over"),
        Event::Test => String::from("test"),
        Event::Opened | Event::Updated => notice.severity.clone(),
        Event::Reopened => format!("{}, again", notice.severity),
        Event::Repeated => format!("{}, still", notice.severity),
    };
    format!("[{mark}] {}", notice.title)
}

/// A length of time in the two largest units, such as `1 h 5 min`.
pub fn length(micros: i64) -> String {
    let seconds = micros.max(0) / 1_000_000;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 if seconds % 60 == 0 => format!("{} min", seconds / 60),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// At most so many characters, with a sign that something is missing.
pub fn cut(text: &str, characters_max: usize) -> String {
    if text.chars().count() <= characters_max {
        return String::from(text);
    }
    text.chars().take(characters_max.saturating_sub(1)).chain(['…']).collect()
}
