//! The agent's state for people.

use crate::status::json::{MemberJson, StateJson};
use std::fmt::Write;

/// A few lines, the most important first.
pub fn draw(state: &StateJson) -> String {
    let mut text = String::new();
    let is_connected_other = |member: &&MemberJson| member.is_connected && member.agent != state.agent;
    let connected = state.members.iter().filter(is_connected_other).count();
    let others = state.members.len().saturating_sub(1);
    let mut line = |label: &str, value: &str| {
        let _ = writeln!(text, "{label:<14}{value}");
    };
    line("agent", &format!("{} in site {}, running {}", state.name, state.site, state.program));
    line("id", &state.agent);
    line("mesh", &state.mesh);
    line("members", &format!("{others} others known, {connected} connected"));
    line("listens at", &or_nothing(&state.listen));
    line("probed at", &or_nothing(&state.probe_addresses));
    line("ICMP", &format!("IPv4 {}, IPv6 {}", state.privileges.icmp_v4, state.privileges.icmp_v6));
    let not_measured: Vec<String> = state
        .not_measured
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(reason, count)| format!("{count} {}", reason.replace('_', " ")))
        .collect();
    let not_measured = if not_measured.is_empty() {
        "all measured".to_owned()
    } else {
        format!("not measured: {}", not_measured.join(", "))
    };
    line("probes", &format!("{} since the start, {not_measured}", state.probes));
    let waiting: u64 = state.epochs.iter().map(|epoch| epoch.last.saturating_sub(epoch.acked)).sum();
    line(
        "buffer",
        &format!("{waiting} records in {} bytes wait, {} given up", state.buffered_bytes, state.dropped_records),
    );
    let aggregator = if state.aggregators.is_empty() {
        "none; results stay in the buffer".to_owned()
    } else {
        let acked = state.acked_at.as_deref().unwrap_or("nothing since the start");
        format!("{}; last acknowledged: {acked}", state.aggregators.join(", "))
    };
    line("aggregator", &aggregator);
    if state.certificate_stale {
        line(
            "certificate",
            &format!("STALE since {}; peers still accept it, but no issuer renewed it", state.certificate_not_after),
        );
    }
    if let Some(advice) = &state.privileges.advice {
        let _ = writeln!(text, "\nAttention: {advice}");
    }
    text
}

fn or_nothing(list: &[String]) -> String {
    if list.is_empty() { "nothing yet".to_owned() } else { list.join(", ") }
}
