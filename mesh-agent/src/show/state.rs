//! The agent's state for people.

use crate::status::json::{ConfigJson, FailureJson, MemberJson, StateJson};
use everypath_config::printable_line;
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
    line("configuration", &configuration(&state.config));
    if !state.endpoints.is_empty() {
        let observed = state.endpoints.iter().filter(|endpoint| endpoint.found.is_some()).count();
        line("endpoints", &format!("{} in the mesh, {observed} observed from here", state.endpoints.len()));
    }
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
    if let Some(FailureJson { at, url, why }) = &state.failure {
        line("SENDING FAILS", &format!("{at} at {url}: {}; it is tried again by itself", printable_line(why)));
    }
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

fn configuration(config: &ConfigJson) -> String {
    let seconds = |millis: u64| {
        if millis.is_multiple_of(1_000) { format!("{} s", millis / 1_000) } else { format!("{millis} ms") }
    };
    let pace =
        format!("a probe every {}, lost after {}", seconds(config.probe_interval_ms), seconds(config.probe_timeout_ms));
    let mut text = match (config.version, &config.made_at) {
        (0, _) => format!("none of the mesh; {pace}"),
        (version, Some(made)) => format!("version {version} of {made}; {pace}"),
        (version, None) => format!("version {version}; {pace}"),
    };
    if !config.overrides.is_empty() {
        let set: Vec<String> = config.overrides.iter().map(|(key, place)| format!("{key} ({place})")).collect();
        let _ = write!(text, "; set on this host: {}", set.join(", "));
    }
    text
}

fn or_nothing(list: &[String]) -> String {
    if list.is_empty() { "nothing yet".to_owned() } else { list.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// "last acknowledged: nothing since the start" was all that was said of an aggregator whose address was wrong.
    #[test]
    fn why_no_aggregator_takes_results_is_said_on_one_line() {
        let privileges = json!({"icmp_v4": "allowed", "icmp_v6": "allowed", "advice": null});
        let mut state = json!({
            "agent": "aa", "name": "a1", "site": "alpha", "mesh": "bb", "program": "1.0.0", "at": "", "certificate_stale": false,
            "certificate_not_after": "", "listen": [], "probe_addresses": [], "aggregators": ["https://192.0.2.1:8443"],
            "privileges": privileges, "members": [], "epochs": [], "buffered_bytes": 0, "dropped_records": 0, "probes": 0,
            "not_measured": {}, "acked_at": null,
        });
        let drawn = |state: &serde_json::Value| draw(&serde_json::from_value(state.clone()).unwrap());
        assert!(!drawn(&state).contains("SENDING FAILS"));
        let why = "Connection refused\n\u{1b}[2J";
        state["failure"] = json!({"at": "2026-11-23T00:00:00Z", "url": "https://192.0.2.1:8443", "why": why});
        let text = drawn(&state);
        let said = "SENDING FAILS 2026-11-23T00:00:00Z at https://192.0.2.1:8443: Connection refused\\n\\u{1b}[2J; it is tried";
        assert!(text.contains(said), "{text}");
    }
}
