//! What is different between two configurations, place by place. Entries of lists are told apart by what they are of, so one that
//! moved has not changed.

use super::text::ConfigText;
use everypath_config::printable_line;
use everypath_protocol::mesh_config::MeshConfig;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// One thing that is different.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[schema(example = json!({"path": "probe.interval", "from": "5s", "to": "2s"}))]
pub struct Change {
    /// Where, as in `endpoints[gateway].address`.
    pub path: String,
    /// What was there; nothing if it is new.
    #[schema(required)]
    pub from: Option<String>,
    /// What is there now; nothing if it is gone.
    #[schema(required)]
    pub to: Option<String>,
}

impl std::fmt::Display for Change {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A file or a server says this, and a terminal would obey it, or take it for a line of the program.
        let (path, from, to) = (printable_line(&self.path), self.from.as_deref(), self.to.as_deref());
        match (from.map(printable_line), to.map(printable_line)) {
            (Some(from), Some(to)) => write!(out, "~ {path}: {from} -> {to}"),
            (None, Some(to)) => write!(out, "+ {path}: {to}"),
            (from, None) => write!(out, "- {path}: {}", from.unwrap_or_default()),
        }
    }
}

/// Everything that is different, by place.
pub fn changes(before: &MeshConfig, after: &MeshConfig) -> Vec<Change> {
    let (before, after) = (places(before), places(after));
    let mut paths: Vec<&String> = before.keys().chain(after.keys()).collect();
    paths.sort_unstable();
    paths.dedup();
    let change = |path: &String| {
        let (from, to) = (before.get(path).cloned(), after.get(path).cloned());
        (from != to).then(|| Change { path: path.clone(), from, to })
    };
    paths.into_iter().filter_map(change).collect()
}

fn places(config: &MeshConfig) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let text = serde_json::to_value(ConfigText::new(config)).unwrap_or_default();
    walk("", &text, &mut found);
    found
}

fn walk(path: &str, value: &Value, found: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                walk(&path, value, found);
            }
        }
        Value::Array(items) if items.iter().all(Value::is_object) => {
            for item in items {
                walk(&format!("{path}[{}]", key(item)), item, found);
            }
        }
        Value::Array(items) => {
            let words: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
            found.insert(path.to_owned(), words.join(", "));
        }
        Value::String(text) => drop(found.insert(path.to_owned(), text.clone())),
        Value::Null => {}
        Value::Bool(_) | Value::Number(_) => drop(found.insert(path.to_owned(), value.to_string())),
    }
}

/// What an entry of a list is of.
fn key(item: &Value) -> String {
    let named = item.get("name").or_else(|| item.get("agent")).and_then(Value::as_str);
    named.map_or_else(|| item["between"].to_string().replace(['"', '[', ']'], ""), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use everypath_protocol::mesh_config::{Endpoint, Exclusion, Selector};

    #[test]
    fn what_is_new_gone_or_different_is_told_and_what_only_moved_is_not() {
        let endpoint = |name: &str, address: &str| Endpoint {
            name: name.to_owned(),
            address: address.to_owned(),
            observers: vec![Selector::All],
        };
        let mut before = MeshConfig::usual();
        before.endpoints = vec![endpoint("a", "192.0.2.1"), endpoint("b", "192.0.2.2")];
        let mut after = before.clone();
        after.endpoints.reverse();
        assert_eq!(changes(&before, &after), []);
        after.version = 9;
        assert_eq!(changes(&before, &after), [], "a number is no contents");
        after.probe.interval_ms = 2_000;
        after.endpoints = vec![endpoint("b", "192.0.2.3"), endpoint("c", "192.0.2.4")];
        after.exclude = vec![Exclusion { one: Selector::All, other: Selector::Site("x".to_owned()) }];
        let said: Vec<_> = changes(&before, &after).iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "- endpoints[a].address: 192.0.2.1",
                "- endpoints[a].name: a",
                "- endpoints[a].observers: all",
                "~ endpoints[b].address: 192.0.2.2 -> 192.0.2.3",
                "+ endpoints[c].address: 192.0.2.4",
                "+ endpoints[c].name: c",
                "+ endpoints[c].observers: all",
                "+ exclude[all,site:x].between: all, site:x",
                "~ probe.interval: 5s -> 2s",
            ]
        );
    }
}
