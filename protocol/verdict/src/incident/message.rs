//! What people are told: a title, who says so, and what it may be instead.
//!
//! The words are for somebody who is woken by them: first what is wrong with what, then how many say so and who, then why it may
//! be something else. Times are left to whoever knows the reader's clock.

use super::explain::number;
use super::finding::{Ambiguity, Class, Direction, Evidence, Finding, Subject};
use super::tracker::Incident;
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use everypath_protocol::cell::CellState;
use everypath_protocol::id::AgentId;

/// A finding in plain English.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// What is wrong with what. No full stop, at most as long as the names in it and 80 letters.
    pub title: String,
    /// What was measured, how many say so, and who: sentences.
    pub evidence: String,
    /// Why it may be something else, and what became of it before: one sentence each, often none.
    pub notes: Vec<String>,
}

impl fmt::Display for Message {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}. {}", self.title, self.evidence)?;
        self.notes.iter().try_for_each(|note| write!(out, " {note}"))
    }
}

impl Finding {
    /// What to tell people. `name` is what they call an agent.
    pub fn message(&self, name: &dyn Fn(&AgentId) -> String) -> Message {
        Message { title: title(self, name), evidence: evidence(self, name), notes: notes(self) }
    }
}

impl Incident {
    /// What to tell people: what it is now, and what became of it. `name` is what they call an agent.
    pub fn message(&self, name: &dyn Fn(&AgentId) -> String) -> Message {
        let mut message = self.finding.message(name);
        if !self.is_measured && self.ended.is_none() {
            message.notes.push("Nobody measures it now, so nobody knows whether it is over.".to_owned());
        }
        match self.flaps {
            0 => {}
            1 => message.notes.push("It came back once.".to_owned()),
            flaps => message.notes.push(format!("It came back {flaps} times.")),
        }
        message
    }
}

fn title(finding: &Finding, name: &dyn Fn(&AgentId) -> String) -> String {
    let bad = how_bad(finding.worst);
    let is_contradicted = finding.ambiguity != Some(Ambiguity::NobodyElse);
    let (what, other) = match &finding.subject {
        Subject::Mesh | Subject::Rest => (String::new(), String::new()),
        Subject::Site(site) => (format!("site {site}"), String::new()),
        Subject::SitePair(one, other) => (format!("site {one}"), format!("site {other}")),
        Subject::Agent(agent) => (name(agent), String::new()),
        Subject::Pair(one, other) => (name(one), name(other)),
    };
    let (from, to) = if finding.direction == Direction::Backward { (&other, &what) } else { (&what, &other) };
    let is_one_way = matches!(finding.direction, Direction::Forward | Direction::Backward);
    let Evidence { bad: count, fresh, .. } = finding.evidence;
    let text = match (finding.class, finding.direction) {
        (Class::AggregatorBlind, _) => format!("nothing is heard of {count} of {fresh} agents"),
        (Class::MeshDown, _) => "probes fail throughout the mesh".to_owned(),
        (Class::MeshDegraded, _) => format!("paths throughout the mesh {bad}"),
        (Class::SiteCut, Direction::Inward) => format!("{what} is not reached; its own probes are answered"),
        (Class::SiteCut, Direction::Outward) => format!("{what} reaches no other site; others reach it"),
        (Class::SiteCut, _) => format!("{what} is cut off"),
        (Class::SiteDegraded | Class::HostDegraded, Direction::Inward) => format!("paths to {what} {bad}"),
        (Class::SiteDegraded, Direction::Outward) => format!("paths from {what} {bad}"),
        (Class::SiteDegraded | Class::HostDegraded, _) => format!("paths to and from {what} {bad}"),
        (Class::SitePairCut | Class::PairDown, _) if is_one_way => {
            format!("{from} does not reach {to}; {to} reaches {from}")
        }
        (Class::SitePairCut | Class::PairDown, _) => format!("probes between {what} and {other} fail"),
        (Class::SitePairDegraded | Class::PairDegraded, _) if is_one_way => {
            format!("paths from {from} to {to} {bad}; the other way is fine")
        }
        (Class::SitePairDegraded | Class::PairDegraded, _) => format!("paths between {what} and {other} {bad}"),
        (Class::HostDown, _) => format!("host {what} is down"),
        (Class::HostUnreachable, Direction::Inward) => {
            format!("host {what} answers nobody; its own probes are answered")
        }
        (Class::HostUnreachable, _) => format!("nobody reaches host {what}, but its agent is heard"),
        (Class::Isolated, Direction::Outward) if is_contradicted => format!("{what} reaches nobody; others reach it"),
        (Class::Isolated, _) => format!("{what} reaches hardly anybody"),
        (Class::ObserverDegraded, _) => format!("paths from {what} {bad}; others see nothing of it"),
        (Class::Silent, _) => match (&finding.subject, is_contradicted) {
            (Subject::Site(_), true) => format!("{what}: all {count} agents are silent, and their hosts answer"),
            (Subject::Site(_), false) => format!("{what}: all {count} agents are silent"),
            (_, true) => format!("agent {what} is silent, and its host answers"),
            (_, false) => format!("agent {what} is silent"),
        },
        (Class::Overflow, _) => format!("{count} more findings are not followed one by one"),
    };
    // A name is written as its owner writes it, also at the beginning.
    let begins_with_name =
        matches!(finding.subject, Subject::Agent(_) | Subject::Pair(..)) && text.starts_with(from.as_str());
    if begins_with_name { text } else { capital(&text) }
}

fn evidence(finding: &Finding, name: &dyn Fn(&AgentId) -> String) -> String {
    let Evidence { bad, fresh, witnesses, .. } = finding.evidence;
    let who = who(finding, name);
    let paths = if fresh == 1 { "path" } else { "paths" };
    let state = match finding.class {
        Class::MeshDown | Class::SiteCut | Class::SitePairCut | Class::PairDown => "down",
        Class::HostDown | Class::HostUnreachable | Class::Isolated => "down",
        Class::MeshDegraded | Class::SiteDegraded | Class::SitePairDegraded | Class::PairDegraded => "bad",
        Class::HostDegraded | Class::ObserverDegraded => "bad",
        Class::AggregatorBlind => {
            return "That is most of them at once, so it is more likely that their news does not arrive. Nothing is said about \
                    paths until they are heard again."
                .to_owned();
        }
        Class::Silent if witnesses == 0 => return "No news of it arrives.".to_owned(),
        Class::Silent => return format!("No news of it arrives, but {who}."),
        Class::Overflow => return "There are more than can be told one by one.".to_owned(),
    };
    let mut text = format!("{bad} of {fresh} measured {paths} {} {state}.", if bad == 1 { "is" } else { "are" });
    if witnesses > 0 {
        text.push_str(&format!(" {}.", capital(&who)));
    }
    let own = if let Subject::Agent(agent) = &finding.subject { Some(agent) } else { None };
    match finding.silent.as_slice() {
        [] => {}
        [only] if Some(only) == own => text.push_str(" Nothing is heard of its agent."),
        [_] => text.push_str(" 1 agent is silent too."),
        silent => text.push_str(&format!(" {} agents are silent too.", silent.len())),
    }
    text
}

/// How many say so, or contradict an observer, and the first of them.
fn who(finding: &Finding, name: &dyn Fn(&AgentId) -> String) -> String {
    let count = finding.evidence.witnesses;
    let mut names: Vec<String> = finding.evidence.named.iter().map(name).collect();
    let unnamed = count.saturating_sub(number(names.len()));
    if unnamed > 0 {
        names.push(format!("{unnamed} more"));
    }
    let list = match names.as_slice() {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    };
    let is_reached = finding.witnesses_contradict();
    match (is_reached, count, &finding.subject) {
        (true, 1, Subject::Site(_)) => format!("1 agent reaches them: {list}"),
        (true, count, Subject::Site(_)) => format!("{count} agents reach them: {list}"),
        (true, 1, _) => format!("1 agent reaches it: {list}"),
        (true, count, _) => format!("{count} agents reach it: {list}"),
        (false, 1, _) => format!("1 agent says so: {list}"),
        (false, count, _) => format!("{count} agents say so: {list}"),
    }
}

fn notes(finding: &Finding) -> Vec<String> {
    let is_pair = matches!(finding.subject, Subject::Pair(..));
    let doubt = match (finding.ambiguity, finding.class) {
        (None, _) => None,
        (Some(Ambiguity::FewWitnesses), _) if is_pair => {
            Some("Nobody else reaches one of the two, so it may be that host.".to_owned())
        }
        (Some(Ambiguity::FewWitnesses), _) => Some(match finding.evidence.witnesses {
            1 => "Only 1 agent can tell, so it may be something else.".to_owned(),
            count => format!("Only {count} agents can tell, so it may be something else."),
        }),
        (Some(Ambiguity::NobodyElse), Class::Silent) => Some("Nobody probes it, so its host may be down.".to_owned()),
        (Some(Ambiguity::NobodyElse), _) => {
            Some("Nobody probes it, so it may be the others who are out of reach.".to_owned())
        }
        (Some(Ambiguity::MixedEvidence), _) => {
            Some("Not all who can tell agree, so it may be something else.".to_owned())
        }
    };
    let alone = match (finding.evidence.is_only_agent_of_site, is_pair) {
        (false, _) => None,
        (true, false) => Some("It is the only agent of its site, so it may be the site.".to_owned()),
        (true, true) => Some("Each is the only agent of its site, so it may be the path between the sites.".to_owned()),
    };
    doubt.into_iter().chain(alone).collect()
}

const fn how_bad(worst: CellState) -> &'static str {
    match worst {
        CellState::Slow => "are slow",
        CellState::Unknown | CellState::Ok | CellState::Lossy | CellState::Down => "lose probes",
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
