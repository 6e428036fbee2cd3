//! The matrix in a terminal: one letter a pair, rows send, columns receive. Letters say what the colours say, so that
//! neither is needed to understand the other.

use crate::status::json::{EndpointJson, MemberJson, StateJson};
use everypath_protocol::cell::CellState;
use std::collections::BTreeMap;
use std::fmt::Write;

/// How a state is written.
const fn letter(state: CellState) -> char {
    match state {
        CellState::Unknown => '?',
        CellState::Ok => '·',
        CellState::Slow => 'S',
        CellState::Lossy => 'L',
        CellState::Down => 'X',
    }
}

/// Colours that people with any kind of colour vision can tell apart: blue, yellow, magenta on white, red inverted.
const fn colour(state: CellState) -> &'static str {
    match state {
        CellState::Unknown => "\x1b[90m",
        CellState::Ok => "\x1b[34m",
        CellState::Slow => "\x1b[33m",
        CellState::Lossy => "\x1b[1;35m",
        CellState::Down => "\x1b[1;97;41m",
    }
}

const RESET: &str = "\x1b[0m";
/// Longest name that is shown whole.
const NAME_MAX: usize = 18;

fn state_of(name: &str) -> CellState {
    CellState::ALL.into_iter().find(|state| state.name() == name).unwrap_or_default()
}

fn short(name: &str) -> String {
    if name.chars().count() <= NAME_MAX {
        return name.to_owned();
    }
    let mut cut: String = name.chars().take(NAME_MAX - 1).collect();
    cut.push('…');
    cut
}

/// The whole picture as text.
pub fn draw(state: &StateJson, is_coloured: bool) -> String {
    let mut text = String::new();
    let paint = |state: CellState| {
        let letter = letter(state);
        if is_coloured { format!("{}{letter}{RESET}", colour(state)) } else { letter.to_string() }
    };
    let _ = writeln!(text, "{} agents as seen by {} ({}) at {}", state.members.len(), state.name, state.site, state.at);
    // Endpoints have columns and no rows: they measure nothing.
    let columns: Vec<MemberJson> = state.members.iter().cloned().chain(state.endpoints.iter().map(column)).collect();
    if columns.len() < 2 {
        let _ = writeln!(text, "No other agent is known yet.");
        return text;
    }
    let names: Vec<String> = columns.iter().map(|member| short(&member.name)).collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    // Columns are numbered, because names do not fit above single letters.
    let digits = columns.len().to_string().len();
    let pad = " ".repeat(width.saturating_sub(4));
    let mut header = format!("{:digits$} from{pad} \u{2192} to ", "");
    for place in 0..columns.len() {
        if is_new_site(&columns, place) {
            header.push_str("│ ");
        }
        let _ = write!(header, "{:>digits$} ", place + 1);
    }
    let _ = writeln!(text, "{}", header.trim_end());
    for (place, member) in state.members.iter().enumerate() {
        if is_new_site(&state.members, place) || place == 0 {
            let _ = writeln!(text, "site {}", member.site);
        }
        let row = row(&columns, member, place, digits, &paint);
        let _ = writeln!(text, "{:>digits$} {:width$}      {}", place + 1, names[place], row.trim_end());
    }
    if !state.endpoints.is_empty() {
        let _ = writeln!(text, "{ENDPOINTS}");
    }
    for (place, endpoint) in (state.members.len()..).zip(&state.endpoints) {
        let _ = writeln!(text, "{:>digits$} {:width$}      {}", place + 1, names[place], endpoint.address);
    }
    legend(&mut text, &paint);
    text
}

/// Stands where the site of an agent stands.
const ENDPOINTS: &str = "endpoints";

fn column(endpoint: &EndpointJson) -> MemberJson {
    MemberJson {
        agent: endpoint.id.clone(),
        name: endpoint.name.clone(),
        site: ENDPOINTS.to_owned(),
        program: String::new(),
        is_connected: false,
        row_at: None,
        cells: Vec::new(),
    }
}

fn is_new_site(members: &[MemberJson], place: usize) -> bool {
    place > 0 && members[place - 1].site != members[place].site
}

fn row(
    members: &[MemberJson],
    source: &MemberJson,
    source_place: usize,
    digits: usize,
    paint: &impl Fn(CellState) -> String,
) -> String {
    let cells: BTreeMap<&str, CellState> =
        source.cells.iter().map(|cell| (cell.target.as_str(), state_of(&cell.state))).collect();
    let mut row = String::new();
    for (place, target) in members.iter().enumerate() {
        if is_new_site(members, place) {
            row.push_str("│ ");
        }
        row.push_str(&" ".repeat(digits.saturating_sub(1)));
        if place == source_place {
            row.push('\\');
        } else {
            // Nobody knows of a pair that no row speaks of; that is not the same as healthy.
            row.push_str(&paint(cells.get(target.agent.as_str()).copied().unwrap_or_default()));
        }
        row.push(' ');
    }
    row
}

fn legend(text: &mut String, paint: &impl Fn(CellState) -> String) {
    let meaning = |state: CellState| match state {
        CellState::Unknown => "not measured",
        CellState::Ok => "ok",
        CellState::Slow => "slow",
        CellState::Lossy => "losing packets",
        CellState::Down => "no reply",
    };
    let parts: Vec<String> =
        CellState::ALL.into_iter().map(|state| format!("{} {}", paint(state), meaning(state))).collect();
    let _ = writeln!(text, "\n{}   \\ itself", parts.join("   "));
}

#[cfg(test)]
mod tests;
