//! The form that people write, in JSON and in YAML. What is left out is as agents do it by themselves.

use everypath_config::{Value as _, duration_text};
use everypath_protocol::mesh_config::{
    AgentConfig, CellConfig, Endpoint, Exclusion, Fault, MeshConfig, ProbeConfig, Selector,
};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;

/// What the mesh measures, how often, and what counts as broken.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(example = json!({
    "probe": {"interval": "5s", "timeout": "1s"}, "window": "10s",
    "cells": {
        "down_after_losses": 3, "up_after_replies": 2, "lossy_after_losses": 3, "slow_margin": "5ms",
        "stale_after_intervals": 4,
    },
    "endpoints": [{"name": "gateway", "address": "192.0.2.1", "observers": ["site:alpha"]}],
    "agents": [{"agent": "alpha-1", "site": "alpha", "tags": ["web"]}],
    "exclude": [{"between": ["site:alpha", "tag:backup"]}],
}))]
pub struct ConfigText {
    /// Probes.
    pub probe: ProbeText,
    /// Length of a window: `10s`, `12s`, `15s`, `20s`, `30s` or `1m`, and at least the interval. Agents send one row for each pair
    /// and window.
    pub window: String,
    /// What counts as broken.
    pub cells: CellText,
    /// Hosts that run no agent and are measured, at most 48.
    pub endpoints: Vec<EndpointText>,
    /// Site and tags of single agents, at most 1,024.
    pub agents: Vec<AgentText>,
    /// Pairs that are not measured, at most 256.
    pub exclude: Vec<ExclusionText>,
}

/// How often, and how long to wait.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(example = json!({"interval": "5s", "timeout": "1s"}))]
pub struct ProbeText {
    /// Between two probes of one target, `1s` to `60s`.
    pub interval: String,
    /// Without a reply for this long a probe is lost: `100ms` up to the interval.
    pub timeout: String,
}

/// Where one state of a cell ends and the next begins.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(example = json!({
    "down_after_losses": 3, "up_after_replies": 2, "lossy_after_losses": 3, "slow_margin": "5ms", "stale_after_intervals": 4,
}))]
pub struct CellText {
    /// Losses in a row until a cell is down, 1 to 12.
    pub down_after_losses: u32,
    /// Replies in a row until it is not down any more, 1 to 12.
    pub up_after_replies: u32,
    /// Losses among the last 24 probes until it is lossy, 1 to 24.
    pub lossy_after_losses: u32,
    /// It is slow when the median is this much above twice the usual round-trip time, at most `10s`.
    pub slow_margin: String,
    /// After this many intervals without an outcome it is unknown, 2 to 20.
    pub stale_after_intervals: u32,
}

/// A host without an agent.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "gateway", "address": "192.0.2.1", "observers": ["site:alpha"]}))]
pub struct EndpointText {
    /// What it is called. Its history goes with the name.
    pub name: String,
    /// An IP address or a DNS name.
    pub address: String,
    /// Who may observe it: `all`, `site:NAME`, `tag:NAME` or `agent:NAME`. Five of them do; of all agents if nobody is named.
    #[serde(default)]
    pub observers: Vec<String>,
}

/// What holds for one agent.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"agent": "alpha-1", "site": "alpha", "tags": ["web"]}))]
pub struct AgentText {
    /// Its name, or its public key.
    pub agent: String,
    /// Where it is, in place of what it said when it joined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// Words to select it by, at most 16.
    #[serde(default)]
    pub tags: Vec<String>,
}

/// Two ends that do not measure each other.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"between": ["site:alpha", "tag:backup"]}))]
pub struct ExclusionText {
    /// Both ends, in any order: `all`, `site:NAME`, `tag:NAME` or `agent:NAME`.
    pub between: Vec<String>,
}

impl Default for ConfigText {
    fn default() -> Self {
        Self::new(&MeshConfig::usual())
    }
}

impl Default for ProbeText {
    fn default() -> Self {
        ConfigText::default().probe
    }
}

impl Default for CellText {
    fn default() -> Self {
        ConfigText::default().cells
    }
}

fn shown(millis: u32) -> String {
    duration_text(Duration::from_millis(millis.into()))
}

impl ConfigText {
    /// A document as people write it.
    pub fn new(config: &MeshConfig) -> Self {
        let selectors = |selectors: &[Selector]| selectors.iter().map(ToString::to_string).collect();
        let endpoint = |endpoint: &Endpoint| EndpointText {
            name: endpoint.name.clone(),
            address: endpoint.address.clone(),
            observers: selectors(&endpoint.observers),
        };
        let agent = |entry: &AgentConfig| AgentText {
            agent: entry.agent.clone(),
            site: entry.site.clone(),
            tags: entry.tags.clone(),
        };
        let exclusion = |exclusion: &Exclusion| ExclusionText {
            between: vec![exclusion.one.to_string(), exclusion.other.to_string()],
        };
        Self {
            probe: ProbeText { interval: shown(config.probe.interval_ms), timeout: shown(config.probe.timeout_ms) },
            window: shown(config.window_ms),
            cells: CellText {
                down_after_losses: config.cells.down_after_losses.into(),
                up_after_replies: config.cells.up_after_replies.into(),
                lossy_after_losses: config.cells.lossy_after_losses.into(),
                slow_margin: shown(config.cells.slow_margin_ms),
                stale_after_intervals: config.cells.stale_after_intervals.into(),
            },
            endpoints: config.endpoints.iter().map(endpoint).collect(),
            agents: config.agents.iter().map(agent).collect(),
            exclude: config.exclude.iter().map(exclusion).collect(),
        }
    }

    /// The document, as version 0.
    ///
    /// # Errors
    /// Everything that is wrong, in the order of the document.
    pub fn read(&self) -> Result<MeshConfig, Vec<Fault>> {
        let mut reader = Reader { faults: Vec::new() };
        let usual = MeshConfig::usual();
        let config = MeshConfig {
            probe: ProbeConfig {
                interval_ms: reader.millis("probe.interval", &self.probe.interval, usual.probe.interval_ms),
                timeout_ms: reader.millis("probe.timeout", &self.probe.timeout, usual.probe.timeout_ms),
            },
            window_ms: reader.millis("window", &self.window, usual.window_ms),
            cells: CellConfig {
                down_after_losses: small(self.cells.down_after_losses),
                up_after_replies: small(self.cells.up_after_replies),
                lossy_after_losses: small(self.cells.lossy_after_losses),
                slow_margin_ms: reader.millis("cells.slow_margin", &self.cells.slow_margin, usual.cells.slow_margin_ms),
                stale_after_intervals: small(self.cells.stale_after_intervals),
            },
            endpoints: (0..).zip(&self.endpoints).map(|(place, text)| reader.endpoint(place, text)).collect(),
            agents: self.agents.iter().map(agent).collect(),
            exclude: (0..).zip(&self.exclude).map(|(place, text)| reader.exclusion(place, text)).collect(),
            ..usual
        };
        let mut faults = reader.faults;
        // What could not be read has a usual value in its place; what is said of that would mislead.
        let further: Vec<Fault> =
            config.faults().into_iter().filter(|fault| faults.iter().all(|read| read.path != fault.path)).collect();
        faults.extend(further);
        if faults.is_empty() { Ok(config) } else { Err(faults) }
    }
}

/// What is too large for a byte is too large for anything here, and is found by the check.
fn small(number: u32) -> u8 {
    u8::try_from(number).unwrap_or(u8::MAX)
}

fn agent(text: &AgentText) -> AgentConfig {
    AgentConfig { agent: text.agent.clone(), site: text.site.clone(), tags: text.tags.clone() }
}

struct Reader {
    faults: Vec<Fault>,
}

impl Reader {
    fn millis(&mut self, path: &str, text: &str, usual: u32) -> u32 {
        match Duration::parse(text) {
            // Too long for a number is too long for the check, too.
            Some(duration) => u32::try_from(duration.as_millis()).unwrap_or(u32::MAX),
            None => {
                self.faults.push(Fault::new(path, format!("`{text}` is not {}", Duration::EXPECTED)));
                usual
            }
        }
    }

    fn selector(&mut self, path: String, text: &str) -> Selector {
        Selector::parse(text).unwrap_or_else(|| {
            let message = format!("`{text}` is not `all`, `site:NAME`, `tag:NAME` or `agent:NAME`");
            self.faults.push(Fault::new(path, message));
            Selector::All
        })
    }

    fn endpoint(&mut self, place: usize, text: &EndpointText) -> Endpoint {
        let path = |which: usize| format!("endpoints[{place}].observers[{which}]");
        let observers = text.observers.iter().enumerate();
        let observers = observers.map(|(which, text)| self.selector(path(which), text)).collect();
        Endpoint { name: text.name.clone(), address: text.address.clone(), observers }
    }

    fn exclusion(&mut self, place: usize, text: &ExclusionText) -> Exclusion {
        let path = format!("exclude[{place}].between");
        let [one, other] = text.between.as_slice() else {
            self.faults.push(Fault::new(path, "must have two entries, one for each end"));
            return Exclusion { one: Selector::All, other: Selector::All };
        };
        Exclusion { one: self.selector(format!("{path}[0]"), one), other: self.selector(format!("{path}[1]"), other) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        let text: ConfigText = serde_json::from_str(text).expect("of the right form");
        text.read().expect_err("wrong").iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_left_out_is_usual_and_what_is_written_is_read_back() {
        let nothing: ConfigText = serde_json::from_str("{}").expect("nothing is needed");
        assert_eq!(nothing.read(), Ok(MeshConfig::usual()));
        let some: ConfigText = serde_json::from_str(r#"{"probe": {"interval": "2s"}}"#).expect("parts are enough");
        let config = some.read().expect("right");
        assert_eq!((config.probe.interval_ms, config.probe.timeout_ms), (2_000, 1_000));
        assert_eq!(ConfigText::new(&config).read(), Ok(config));
        assert!(serde_json::from_str::<ConfigText>(r#"{"prob": {}}"#).is_err(), "a mistyped key");
    }

    #[test]
    fn what_is_wrong_beside_a_wrong_interval_is_said_at_once() {
        let said = faults(r#"{"probe": {"interval": "2m", "timeout": "90s"}, "window": "13s"}"#);
        let paths: Vec<&str> = said.iter().filter_map(|fault| fault.split(':').next()).collect();
        assert_eq!(paths, ["probe.interval", "probe.timeout", "window"]);
        assert!(said[2].ends_with("and at least probe.interval"), "{said:?}");
    }

    #[test]
    fn faults_of_the_form_and_of_the_contents_are_told_together_and_once_for_each_place() {
        let said = faults(
            r#"{"probe": {"interval": "soon", "timeout": "10m"}, "window": "13s", "cells": {"down_after_losses": 300},
                "endpoints": [{"name": "a b", "address": "1.2.3.4", "observers": ["all", "alpha"]}],
                "exclude": [{"between": ["all"]}, {"between": ["all", "host:x"]}]}"#,
        );
        let starts = [
            "probe.interval: `soon` is not a length of time",
            "endpoints[0].observers[1]: `alpha` is not `all`",
            "exclude[0].between: must have two",
            "exclude[1].between[1]: `host:x`",
            "probe.timeout: must be from 100ms",
            "window: must be 10s",
            "cells.down_after_losses: must be from 1 to 12",
            "endpoints[0].name: must be",
        ];
        assert_eq!(said.len(), starts.len(), "{said:#?}");
        assert!(said.iter().zip(starts).all(|(said, start)| said.starts_with(start)), "{said:#?}");
    }
}
