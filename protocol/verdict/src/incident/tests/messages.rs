use super::Mesh;
use crate::incident::{Finding, Message, Tracker};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use everypath_protocol::cell::CellState;
use everypath_protocol::id::AgentId;

fn name(id: &AgentId) -> String {
    format!("h{}", u16::from_be_bytes([id.0[0], id.0[1]]))
}

fn told(mesh: &Mesh) -> Vec<String> {
    mesh.findings().iter().map(|finding| finding.message(&name).to_string()).collect()
}

fn nine(change: impl FnOnce(&mut Mesh)) -> Vec<String> {
    let mut mesh = Mesh::full(&[3, 3, 3]);
    change(&mut mesh);
    told(&mesh)
}

#[test]
fn a_message_says_what_who_and_how_many() {
    assert_eq!(
        nine(|mesh| mesh.kill(4)),
        [
            "Host h4 is down. 8 of 8 measured paths are down. 8 agents say so: h0, h1, h2, h3, h5 and 3 more. Nothing is heard \
          of its agent."
        ]
    );
    assert_eq!(
        nine(|mesh| mesh.isolate(4)),
        [
            "h4 reaches nobody; others reach it. 8 of 8 measured paths are down. 8 agents reach it: h0, h1, h2, h3, h5 and 3 more."
        ]
    );
    assert_eq!(
        nine(|mesh| {
            mesh.cut(1);
            mesh.silence_site(1);
        }),
        [
            "Site beta is cut off. 18 of 18 measured paths are down. 6 agents say so: h0, h1, h2, h6, h7 and 1 more. 3 agents are \
          silent too."
        ]
    );
    assert_eq!(
        nine(|mesh| mesh.down(|source, target| (source, target) == (7, 1))),
        ["h7 does not reach h1; h1 reaches h7. 1 of 2 measured paths is down. 1 agent says so: h7."]
    );
    assert_eq!(
        nine(|mesh| mesh.set(CellState::Slow, |source, target| source / 3 == 0 && target / 3 == 2)),
        [
            "Paths from site alpha to site gamma are slow; the other way is fine. 9 of 9 measured paths are bad. 3 agents say so: \
          h0, h1 and h2."
        ]
    );
    assert_eq!(
        nine(|mesh| mesh.silence_site(1)),
        [
            "Site beta: all 3 agents are silent, and their hosts answer. No news of it arrives, but 6 agents reach them: h0, h1, \
          h2, h6, h7 and 1 more."
        ]
    );
}

#[test]
fn a_message_says_what_else_it_may_be() {
    let mut mesh = Mesh::full(&[1, 1, 1]);
    mesh.kill(0);
    assert_eq!(
        told(&mesh),
        [
            "Host h0 is down. 2 of 2 measured paths are down. 2 agents say so: h1 and h2. Nothing is heard of its agent. Only 2 \
          agents can tell, so it may be something else. It is the only agent of its site, so it may be the site."
        ]
    );
    let notes = |mesh: &Mesh| mesh.only().message(&name).notes.join(" ");
    let mut mesh = Mesh::full(&[1, 1]);
    mesh.kill(0);
    assert_eq!(
        notes(&mesh),
        "Nobody else reaches one of the two, so it may be that host. Each is the only agent of its site, so it may be the \
         path between the sites."
    );
    let mut mesh = Mesh::full(&[3, 3, 3]);
    mesh.silence(4);
    mesh.cells.retain(|(_, target), _| *target != 4);
    assert_eq!(notes(&mesh), "Nobody probes it, so its host may be down.");
}

#[test]
fn an_incident_says_that_it_came_back() {
    let mut tracker: Tracker = super::state::at(205);
    let message = |tracker: &Tracker| -> Vec<Message> {
        tracker.open().iter().filter(|incident| incident.flaps > 0).map(|incident| incident.message(&name)).collect()
    };
    assert_eq!(message(&tracker)[0].notes.last().unwrap(), "It came back 2 times.");
    tracker = Tracker::from_bytes(&tracker.to_bytes(), tracker.rules).unwrap();
    assert!(!message(&tracker).is_empty());
}

/// A title is the subject of a mail and the first line on a telephone: it names its subject, and is one short line.
#[test]
fn every_title_is_one_short_line_that_names_its_subject() {
    for seed in 0..500 {
        for finding in super::laws::any_mesh(seed).findings() {
            let Message { title, evidence, notes } = finding.message(&name);
            let Finding { class, subject, .. } = &finding;
            assert!(title.len() < 80 && !title.contains('\n') && !title.ends_with('.'), "{title}");
            assert!(evidence.ends_with('.') && notes.iter().all(|note| note.ends_with('.')), "{evidence} {notes:?}");
            let names: Vec<String> = match subject {
                crate::incident::Subject::Agent(agent) => [name(agent)].to_vec(),
                crate::incident::Subject::Pair(one, other) => [name(one), name(other)].to_vec(),
                crate::incident::Subject::Site(site) => [site.clone()].to_vec(),
                crate::incident::Subject::SitePair(one, other) => [one.clone(), other.clone()].to_vec(),
                crate::incident::Subject::Mesh | crate::incident::Subject::Rest => Vec::new(),
            };
            assert!(names.iter().all(|name| title.contains(name)), "{class:?} {title}");
        }
    }
}
