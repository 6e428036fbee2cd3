//! Subcommands that are longer than one call into the library.

pub(crate) mod api_token;
pub(crate) mod audit_log;
pub(crate) mod config;
pub(crate) mod database;
pub(crate) mod healthy;
mod remote;
mod unanswered;
pub(crate) mod update;
pub(crate) mod user;

use aggregator::clock::rfc3339;
use aggregator::guard::Role;
use everypath_protocol::time::UnixTime;

fn role(word: &str) -> Result<Role, String> {
    Role::from_name(word).ok_or_else(|| "not viewer, operator or admin".to_owned())
}

/// Microseconds are of no use to a person.
fn shown_time(time: Option<UnixTime>) -> String {
    time.map_or_else(|| "never".to_owned(), |time| rfc3339(UnixTime(time.0 - time.0.rem_euclid(1_000_000))))
}

/// Columns as wide as their longest cell, two spaces between them.
fn table<const N: usize>(head: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let rows: Vec<[String; N]> = std::iter::once(head.map(str::to_owned)).chain(rows).collect();
    let widths: [usize; N] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}  "));
        text.push_str(cells.collect::<String>().trim_end());
        text.push('\n');
    }
    text
}
