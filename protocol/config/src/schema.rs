//! What can be configured.

use crate::layers::{self, Sources};
use crate::printable::printable_line;
use crate::values::Values;
use std::fmt::Write;

/// One thing that can be set.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// `section.key`, or `key` alone outside sections; in the file and in errors.
    pub name: &'static str,
    /// The value if nobody sets it, as it would be written in the environment: lists by commas, empty for "none".
    pub default: &'static str,
    /// For operators: what it does, how to choose it, its limits.
    pub doc: &'static str,
}

/// All that can be set in one program.
#[derive(Clone, Copy, Debug)]
pub struct Schema {
    /// The program's name.
    pub program: &'static str,
    /// What its environment variables begin with, `EVERYPATH_AGENT_`. Variables that begin so and name no key are errors.
    pub prefix: &'static str,
    /// In the order of the template; keys of one section one behind the other, keys outside sections first.
    pub keys: &'static [Key],
}

impl Schema {
    /// Puts the layers on top of each other. Errors are kept until [`Values::finish`].
    pub fn load(&self, sources: &Sources) -> Values {
        layers::load(self, sources)
    }

    /// A file with every key, commented out, with its meaning and its default.
    pub fn template(&self) -> String {
        let mut text = format!(
            "# Configuration of {}. Every line below shows a default; remove the \"#\" to change it.\n\
             # Environment variables win over this file: section.key is {}SECTION__KEY.\n",
            self.program, self.prefix
        );
        let mut section = "";
        for key in self.keys {
            let (of_key, name) = key.name.rsplit_once('.').unwrap_or(("", key.name));
            if of_key != section {
                section = of_key;
                // Infallible: a String takes every write.
                let _ = write!(text, "\n[{section}]\n");
            }
            text.push('\n');
            for line in key.doc.lines() {
                let _ = writeln!(text, "# {line}");
            }
            let _ = writeln!(text, "#{name} = {}", toml_literal(key.default));
        }
        text
    }

    /// What a start with these sources would use, as a file that says the same, with where each value comes from. Of the keys in `hidden` it says only whether
    /// they are set.
    pub fn effective(&self, sources: &Sources, hidden: &[&str]) -> String {
        let values = self.load(sources);
        let mut text = format!(
            "# What {} would use if it were started with this file, these variables and these flags, and where each value comes from.\n",
            self.program
        );
        let mut section = "";
        for key in self.keys {
            let (of_key, name) = key.name.rsplit_once('.').unwrap_or(("", key.name));
            if of_key != section {
                section = of_key;
                let _ = write!(text, "\n[{section}]\n");
            }
            let written = match values.items(key.name) {
                [item] if item.is_empty() || !hidden.contains(&key.name) => toml_literal(item),
                items if !hidden.contains(&key.name) => {
                    let items: Vec<String> = items.iter().map(|item| toml_literal(item)).collect();
                    format!("[{}]", items.join(", "))
                }
                _ => toml_literal("(hidden)"),
            };
            let _ = writeln!(text, "{name} = {written}  # {}", printable_line(&values.place(key.name).to_string()));
        }
        text
    }

    /// The environment variable of a key.
    pub fn variable(&self, name: &str) -> String {
        format!("{}{}", self.prefix, name.replace('.', "__").to_ascii_uppercase())
    }

    pub(crate) fn knows(&self, name: &str) -> bool {
        self.keys.iter().any(|key| key.name == name)
    }

    pub(crate) fn has_section(&self, name: &str) -> bool {
        self.keys.iter().any(|key| key.name.rsplit_once('.').is_some_and(|(section, _)| section == name))
    }

    /// The known name that looks most like `name`, if any does.
    pub(crate) fn nearest(&self, name: &str) -> Option<&'static str> {
        const SIMILARITY_MIN: f64 = 0.8;
        // A key written without its section, or in the wrong one, is as near as its last word.
        let likeness = |known: &str| {
            let last = |path: &str| path.rsplit_once('.').map_or(path, |(_, last)| last).to_owned();
            strsim::jaro_winkler(name, known).max(strsim::jaro_winkler(&last(name), &last(known)))
        };
        let by_similarity = self.keys.iter().map(|key| (likeness(key.name), key.name));
        let best = by_similarity.max_by(|one, other| one.0.total_cmp(&other.0))?;
        (best.0 >= SIMILARITY_MIN).then_some(best.1)
    }
}

fn toml_literal(default: &str) -> String {
    let bare = default == "true" || default == "false" || default.parse::<i64>().is_ok();
    if bare { default.to_owned() } else { toml::Value::from(default).to_string() }
}
