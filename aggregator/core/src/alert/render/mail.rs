//! A mail in plain text. All mails of an incident are one thread.

use super::{Clock, headline, length};
use crate::alert::notice::{Event, Notice};
use alloc::format;
use alloc::string::String;
use everypath_protocol::time::UnixTime;

/// What a mail says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mail {
    /// One line.
    pub subject: String,
    /// Plain text, lines end with `\n`.
    pub body: String,
    /// Its name, the same if it is sent once more (RFC 5322, 3.6.4).
    pub message_id: String,
    /// The first of its thread, if this is not that.
    pub in_reply_to: Option<String>,
}

/// The mail with this number of its thread, counted from 1, in `channel`. `domain` is the right half of its name.
pub fn mail(notice: &Notice, channel: i64, number: u64, domain: &str, clock: Clock<'_>) -> Mail {
    let name = |number: u64| format!("<{}.{channel}.{number}@{domain}>", notice.incident);
    let mut body = format!("{}\n\n{}\n", headline(notice), notice.evidence);
    for note in &notice.notes {
        body.push_str(note);
        body.push('\n');
    }
    body.push('\n');
    let mut line = |name: &str, value: &str| body.push_str(&format!("{name:<14}{value}\n"));
    if notice.event != Event::Test {
        line("Began", &clock(UnixTime(notice.since_us)));
    }
    if let (Some(ended), Some((_, sentence))) = (notice.ended_us, &notice.ending) {
        let lasted = length(ended.saturating_sub(notice.since_us));
        line("Over", &format!("{}, after {lasted}. {sentence}", clock(UnixTime(ended))));
    }
    line("Severity", &notice.severity);
    if let Some(by) = &notice.acknowledged_by {
        line("Acknowledged", by);
    }
    if !notice.rules.is_empty() {
        line("Rules", &notice.rules.join(", "));
    }
    if let Some(url) = &notice.url {
        line("Look", url);
    }
    line("Mesh", &notice.mesh);
    Mail {
        // Mail programs put a thread together by its subject too, so a change of the mark alone stays in front.
        subject: headline(notice),
        body,
        message_id: name(number),
        in_reply_to: (number > 1).then(|| name(1)),
    }
}
