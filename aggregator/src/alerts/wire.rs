//! Rules and silences as JSON: what the API takes and gives, and what lies in the database. A field that is added later must have
//! a default.

use aggregator_core::alert::scope::{Scope, Selector};
use aggregator_core::alert::silence::{Silence, SilenceId};
use aggregator_core::alert::{ChannelId, Condition, Route, Rule, RuleId, Severity};
use everypath_protocol::fault::Fault;
use everypath_protocol::id::AgentId;
use everypath_protocol::time::{Span, UnixTime};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Some agents; without any name it is everybody.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(example = json!({"sites": ["berlin"], "tags": [], "agents": []}))]
pub struct SelectorBody {
    /// Names of sites, as the configuration of the mesh says; `endpoints` is that of all endpoints.
    pub sites: Vec<String>,
    /// Tags that the configuration of the mesh gives to agents. One that no agent has takes nobody until one has it.
    pub tags: Vec<String>,
    /// Names or public keys of agents and endpoints. Answers have the keys.
    pub agents: Vec<String>,
}

/// Paths from some agents to some agents.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(example = json!({"source": {"sites": ["berlin"], "tags": [], "agents": []}, "target": {"sites": ["porto"], "tags": [], "agents": []}, "both_ways": true}))]
pub struct ScopeBody {
    /// Who probes.
    pub source: SelectorBody,
    /// Who is probed.
    pub target: SelectorBody,
    /// Also the paths from `target` to `source`.
    pub both_ways: bool,
}

/// What breaks a rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[schema(example = json!({"kind": "loss", "above_permille": 20, "below_permille": 10}))]
pub enum ConditionBody {
    /// All recent probes are lost.
    Unreachable {},
    /// More of the last minute's probes are lost.
    Loss {
        /// Permille, 0 to 999.
        above_permille: u16,
        /// It is over at this or less; at most `above_permille`.
        below_permille: u16,
    },
    /// The round-trip time of the last minute is longer.
    Rtt {
        /// Microseconds.
        above_us: u32,
        /// It is over at this or less; at most `above_us`.
        below_us: u32,
    },
    /// Nothing is heard of an agent.
    Silent {
        /// For so many seconds, 30 to 86,400.
        after_s: u64,
    },
}

/// A rule.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "name": "Loss between the sites", "enabled": true,
    "condition": {"kind": "loss", "above_permille": 20, "below_permille": 10},
    "scope": {"source": {"sites": ["berlin"]}, "target": {"sites": ["porto"]}, "both_ways": true},
    "for_s": 300, "clear_for_s": 60, "severity": "warning", "channels": [1],
}))]
pub struct RuleBody {
    /// What people call it.
    pub name: String,
    /// Whether it is asked.
    pub enabled: bool,
    /// What breaks it.
    pub condition: ConditionBody,
    /// Where; everywhere if it is left out.
    #[serde(default)]
    pub scope: ScopeBody,
    /// For how many seconds the condition must hold. What is not measured does not count.
    pub for_s: u64,
    /// For how many seconds it must be over.
    pub clear_for_s: u64,
    /// `info`, `warning` or `critical`.
    pub severity: String,
    /// Numbers of the channels that are told; `null` is all that there are, an empty list none.
    #[serde(default)]
    pub channels: Option<Vec<i64>>,
}

/// A silence or a maintenance window.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "scope": {"source": {"agents": ["web-1"]}, "both_ways": true}, "from": "2026-11-23T20:00:00Z", "until": "2026-11-23T22:00:00Z",
    "reason": "New disks", "maintenance": true,
}))]
pub struct SilenceBody {
    /// Where. An agent with everybody, both ways, is all about that agent.
    #[serde(default)]
    pub scope: ScopeBody,
    /// From then on, RFC 3339.
    pub from: String,
    /// Until before then, RFC 3339.
    pub until: String,
    /// Why.
    pub reason: String,
    /// Somebody works there.
    #[serde(default)]
    pub maintenance: bool,
}

/// Agents and endpoints by name.
pub type Names = BTreeMap<String, AgentId>;

fn selector(side: &str, body: &SelectorBody, names: &Names, faults: &mut Vec<Fault>) -> Selector {
    let mut agents = Vec::with_capacity(body.agents.len());
    for (place, text) in body.agents.iter().enumerate() {
        match names.get(text).copied().or_else(|| AgentId::parse(text)) {
            Some(agent) => agents.push(agent),
            None => {
                let message = format!("there is no agent or endpoint `{text}`; use its name or its public key");
                faults.push(Fault::new(format!("scope.{side}.agents[{place}]"), message));
            }
        }
    }
    Selector { sites: body.sites.clone(), tags: body.tags.clone(), agents }
}

fn selector_body(selector: &Selector) -> SelectorBody {
    let agents = selector.agents.iter().map(ToString::to_string).collect();
    SelectorBody { sites: selector.sites.clone(), tags: selector.tags.clone(), agents }
}

impl ScopeBody {
    /// The scope, and everything that is wrong with it.
    pub fn scope(&self, names: &Names, faults: &mut Vec<Fault>) -> Scope {
        let source = selector("source", &self.source, names, faults);
        let target = selector("target", &self.target, names, faults);
        Scope { source, target, both_ways: self.both_ways }
    }

    /// The same with keys in place of names.
    pub fn of(scope: &Scope) -> Self {
        let (source, target) = (selector_body(&scope.source), selector_body(&scope.target));
        Self { source, target, both_ways: scope.both_ways }
    }
}

impl RuleBody {
    /// The rule.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn rule(&self, id: i64, names: &Names) -> Result<Rule, Vec<Fault>> {
        let mut faults = Vec::new();
        let condition = match self.condition {
            ConditionBody::Unreachable {} => Condition::Unreachable,
            ConditionBody::Loss { above_permille, below_permille } => {
                Condition::Loss { above: above_permille, below: below_permille }
            }
            ConditionBody::Rtt { above_us, below_us } => Condition::Rtt { above_us, below_us },
            ConditionBody::Silent { after_s } => Condition::Silent { after: Span::seconds(after_s) },
        };
        let severity = Severity::from_name(&self.severity);
        if severity.is_none() {
            faults.push(Fault::new("severity", "must be `info`, `warning` or `critical`"));
        }
        let channels = self.channels.as_ref();
        let rule = Rule {
            id: RuleId(id),
            name: self.name.clone(),
            is_enabled: self.enabled,
            condition,
            scope: self.scope.scope(names, &mut faults),
            hold: Span::seconds(self.for_s),
            clear: Span::seconds(self.clear_for_s),
            severity: severity.unwrap_or(Severity::Info),
            route: channels
                .map_or(Route::All, |channels| Route::Only(channels.iter().copied().map(ChannelId).collect())),
        };
        faults.extend(rule.faults());
        if faults.is_empty() { Ok(rule) } else { Err(faults) }
    }
}

impl SilenceBody {
    /// The silence.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn silence(&self, id: i64, author: &str, names: &Names) -> Result<Silence, Vec<Fault>> {
        let mut faults = Vec::new();
        let mut time = |path: &str, text: &str| {
            crate::clock::time_of(text).unwrap_or_else(|| {
                faults.push(Fault::new(path, "must be a time such as 2026-11-23T20:00:00Z"));
                UnixTime(0)
            })
        };
        let (from, until) = (time("from", &self.from), time("until", &self.until));
        let has_times = faults.is_empty();
        let scope = self.scope.scope(names, &mut faults);
        let (reason, author) = (self.reason.clone(), author.to_owned());
        let silence =
            Silence { id: SilenceId(id), scope, from, until, reason, author, is_maintenance: self.maintenance };
        // What is wrong with times that cannot be read is said already.
        let about_times = |fault: &Fault| !has_times && fault.path == "until";
        faults.extend(silence.faults().into_iter().filter(|fault| !about_times(fault)));
        if faults.is_empty() { Ok(silence) } else { Err(faults) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aggregator_core::alert::rule::usual;

    /// What the migrations put there is what the core calls usual.
    #[test]
    fn the_rules_of_the_migrations_are_the_usual_ones() {
        for (first, later) in [
            (
                include_str!("../../../migrations/sqlite/0005_alerts.sql"),
                include_str!("../../../migrations/sqlite/0009_hold.sql"),
            ),
            (
                include_str!("../../../migrations/postgres/0005_alerts.sql"),
                include_str!("../../../migrations/postgres/0009_hold.sql"),
            ),
        ] {
            let inserted = first.lines().filter_map(|line| line.trim().strip_prefix("('")?.split_once("', 1"));
            let mut definitions: Vec<&str> = inserted.map(|(definition, _)| definition).collect();
            let updated = later.lines().find_map(|line| line.trim().strip_prefix('\'')?.strip_suffix('\''));
            definitions[0] = updated.expect("the first rule anew");
            let read = |(id, definition): (i64, &str)| {
                let body: RuleBody = serde_json::from_str(definition).expect("readable");
                body.rule(id, &Names::new()).expect("without fault")
            };
            let rules: Vec<Rule> = (1..).zip(definitions).map(read).collect();
            assert_eq!(rules, usual());
        }
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let body = RuleBody {
            name: String::new(),
            enabled: true,
            condition: ConditionBody::Loss { above_permille: 10, below_permille: 20 },
            scope: ScopeBody {
                source: SelectorBody { agents: vec!["nobody".into()], ..SelectorBody::default() },
                ..ScopeBody::default()
            },
            for_s: 100_000,
            clear_for_s: 0,
            severity: "bad".into(),
            channels: None,
        };
        let faults = body.rule(1, &Names::new()).expect_err("five things are wrong");
        let mut paths: Vec<&str> = faults.iter().map(|fault| fault.path.as_str()).collect();
        paths.sort_unstable();
        assert_eq!(paths, ["condition.below_permille", "for_s", "name", "scope.source.agents[0]", "severity"]);
        let silence = SilenceBody {
            scope: ScopeBody::default(),
            from: "now".into(),
            until: "2026-11-23T20:00:00Z".into(),
            reason: String::new(),
            maintenance: false,
        };
        let faults = silence.silence(1, "me", &Names::new()).expect_err("two things are wrong");
        let paths: Vec<&str> = faults.iter().map(|fault| fault.path.as_str()).collect();
        assert_eq!(paths, ["from", "reason"]);
    }

    #[test]
    fn names_become_keys() {
        let agent = AgentId([7; 32]);
        let names = Names::from([("web-1".to_owned(), agent)]);
        let body = ScopeBody {
            source: SelectorBody {
                agents: vec!["web-1".into(), AgentId([8; 32]).to_string()],
                ..SelectorBody::default()
            },
            ..ScopeBody::default()
        };
        let mut faults = Vec::new();
        let scope = body.scope(&names, &mut faults);
        assert!(faults.is_empty());
        assert_eq!(scope.source.agents, [agent, AgentId([8; 32])]);
        assert_eq!(ScopeBody::of(&scope).source.agents[0], agent.to_string());
    }
}
