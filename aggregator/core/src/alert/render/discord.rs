//! A message of a Discord webhook: one embed. Limits are those of Discord's documentation of embeds.

use super::{cut, headline, length};
use crate::alert::notice::{Event, Notice};
use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use serde::Serialize;

/// Most characters of a title.
pub const TITLE_MAX: usize = 256;
/// Most characters of a description; Discord takes 4,096.
pub const TEXT_MAX: usize = 2_048;
/// Most characters of a field's value.
pub const VALUE_MAX: usize = 1_024;

/// The body of the request.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Message {
    /// One.
    pub embeds: [Embed; 1],
    /// Nobody is called by anything in the text.
    pub allowed_mentions: Mentions,
}

/// Who is called.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Mentions {
    /// Kinds of names that are looked for in the text: none.
    pub parse: [String; 0],
}

/// The box.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Embed {
    /// Headline.
    pub title: String,
    /// Evidence and notes.
    pub description: String,
    /// Of the bar at its left, 0xRRGGBB.
    pub color: u32,
    /// Where the title leads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The rest.
    pub fields: Vec<Field>,
    /// Small print.
    pub footer: Footer,
}

/// A name and a value.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Field {
    /// In bold.
    pub name: String,
    /// Below.
    pub value: String,
    /// Beside others.
    pub inline: bool,
}

/// Small print.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Footer {
    /// Of which mesh.
    pub text: String,
}

/// The message. Discord writes times in each reader's own zone.
pub fn message(notice: &Notice) -> Message {
    let seconds = |micros: i64| micros.div_euclid(1_000_000);
    let mut description = escape(&notice.evidence);
    for note in &notice.notes {
        description.push('\n');
        description.push_str(&escape(note));
    }
    let mut fields = Vec::new();
    let mut field = |name: &str, value: String| {
        fields.push(Field { name: name.to_owned(), value: cut(&value, VALUE_MAX), inline: true });
    };
    if notice.event != Event::Test {
        field("Began", format!("<t:{0}:f> (<t:{0}:R>)", seconds(notice.since_us)));
    }
    if let (Some(ended), Some((_, sentence))) = (notice.ended_us, &notice.ending) {
        let lasted = length(ended.saturating_sub(notice.since_us));
        field("Over", format!("<t:{}:f>, after {lasted}. {sentence}", seconds(ended)));
    }
    if let Some(by) = &notice.acknowledged_by {
        field("Acknowledged", escape(by));
    }
    if !notice.rules.is_empty() {
        field("Rules", escape(&notice.rules.join(", ")));
    }
    let embed = Embed {
        title: cut(&escape(&headline(notice)), TITLE_MAX),
        description: cut(&description, TEXT_MAX),
        color: color(notice),
        url: notice.url.clone(),
        fields,
        footer: Footer { text: format!("Everypath {}", notice.mesh) },
    };
    Message { embeds: [embed], allowed_mentions: Mentions { parse: [] } }
}

fn color(notice: &Notice) -> u32 {
    match (notice.event, notice.severity.as_str()) {
        (Event::Resolved, _) => 0x2e_8b_57,
        (_, "critical") => 0xc6_28_28,
        (_, "warning") => 0xe6_9f_00,
        _ => 0x45_72_a7,
    }
}

/// Names are shown as they are: what would be markup is not.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        if matches!(letter, '\\' | '*' | '_' | '~' | '`' | '|' | '>' | '<' | '[' | ']' | '@') {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}
