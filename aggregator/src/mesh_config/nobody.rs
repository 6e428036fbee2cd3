//! Names in a configuration that fit no agent there is: slips of the pen, or agents that are still to come. Nobody but the person
//! who wrote them can tell, so they are said and not refused.

use everypath_protocol::id::AgentId;
use everypath_protocol::mesh_config::{Fault, MeshConfig, Selector, Subject};

/// Every place of `document` that names nobody of `all`, in the order of the document; `all` as this document sees them.
/// Limited by the document: a place has at most one.
pub fn named(document: &MeshConfig, all: &[Subject<'_>]) -> Vec<Fault> {
    let selector = |path: String, selector: &Selector| {
        let fits = *selector == Selector::All || all.iter().any(|subject| selector.matches(subject));
        (!fits).then(|| fault(path, &format!("`{selector}`"), all.len()))
    };
    let observers = (0..).zip(&document.endpoints).flat_map(|(place, endpoint): (usize, _)| {
        let path = move |index: usize| format!("endpoints[{place}].observers[{index}]");
        endpoint.observers.iter().enumerate().filter_map(move |(index, one)| selector(path(index), one))
    });
    let is_there = |name: &str| all.iter().any(|one| name == one.name || AgentId::parse(name) == Some(one.id));
    let agents = document.agents.iter().enumerate().filter(|(_, entry)| !is_there(&entry.agent));
    let agents =
        agents.map(|(place, entry)| fault(format!("agents[{place}].agent"), &format!("`{}`", entry.agent), all.len()));
    let exclusions = document.exclude.iter().enumerate().flat_map(|(place, exclusion)| {
        let ends = [&exclusion.one, &exclusion.other].into_iter().enumerate();
        ends.filter_map(move |(end, one)| selector(format!("exclude[{place}].between[{end}]"), one))
    });
    observers.chain(agents).chain(exclusions).collect()
}

fn fault(path: String, name: &str, count: usize) -> Fault {
    let agents = match count {
        0 => "no agent, for there is none yet".to_owned(),
        1 => "not the one agent that there is".to_owned(),
        _ => format!("none of the {count} agents"),
    };
    Fault { path, message: format!("{name} fits {agents}; is it spelled right, or still to come?") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use everypath_protocol::mesh_config::{AgentConfig, Endpoint, Exclusion};

    fn document() -> MeshConfig {
        let agent = |name: &str| AgentConfig { agent: name.to_owned(), site: None, tags: vec!["web".to_owned()] };
        let site = |name: &str| Selector::Site(name.to_owned());
        MeshConfig {
            endpoints: vec![Endpoint {
                name: "gateway".to_owned(),
                address: "192.0.2.1".to_owned(),
                observers: vec![site("alpha"), Selector::Tag("db".to_owned())],
            }],
            agents: vec![agent("a-1"), agent(&AgentId([2; 32]).to_string()), agent("a-9")],
            exclude: vec![Exclusion { one: Selector::All, other: Selector::Agent("a1".to_owned()) }],
            ..MeshConfig::usual()
        }
    }

    #[test]
    fn what_fits_nobody_is_said_with_its_place_and_what_fits_somebody_is_not() {
        let document = document();
        let all =
            [document.subject(AgentId([1; 32]), "a-1", "alpha"), document.subject(AgentId([2; 32]), "a-2", "beta")];
        let said: Vec<String> = named(&document, &all).iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "endpoints[0].observers[1]: `tag:db` fits none of the 2 agents; is it spelled right, or still to come?",
                "agents[2].agent: `a-9` fits none of the 2 agents; is it spelled right, or still to come?",
                "exclude[0].between[1]: `agent:a1` fits none of the 2 agents; is it spelled right, or still to come?",
            ]
        );
        assert_eq!(named(&MeshConfig::usual(), &all), []);
    }

    #[test]
    fn before_the_first_agent_it_says_that_there_is_none() {
        let said = named(&document(), &[]);
        assert_eq!(said.len(), 6, "not `all`: {said:?}");
        assert!(said.iter().all(|fault| fault.message.contains("there is none yet")), "{said:?}");
    }
}
