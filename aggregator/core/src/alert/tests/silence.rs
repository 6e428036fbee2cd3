//! Silences by themselves.

use super::*;
use crate::alert::scope::{Scope, Selector};
use crate::alert::silence::{LENGTH_MAX, Quiet, SilenceId};

fn silence(id: i64, scope: Scope) -> Silence {
    let until = T0.plus(Span::seconds(60));
    let (reason, author) = (String::from("works"), String::from("me"));
    Silence { id: SilenceId(id), scope, from: T0, until, reason, author, is_maintenance: false }
}

#[test]
fn a_silence_holds_from_its_beginning_until_before_its_end() {
    let silence = silence(1, Scope::default());
    for (at, is) in [(0, true), (59, true), (60, false)] {
        assert_eq!(silence.is_active(T0.plus(Span::seconds(at))), is);
    }
    assert!(!silence.is_active(T0.minus(Span::seconds(1))));
}

#[test]
fn several_silences_may_cover_one_incident_together() {
    let members: Vec<Member<'_>> = (0..4)
        .map(|number| Member { id: agent(number), name: "", site: "s", tags: &[], is_endpoint: false, joined: None })
        .collect();
    let silences = [silence(1, Scope::around(agent(0))), silence(2, Scope::around(agent(1)))];
    let quiet = Quiet::now(T0, &silences, &members);
    assert_eq!(quiet.covering(&[(0, 2), (3, 1)], &[]), [SilenceId(1), SilenceId(2)]);
    assert_eq!(quiet.covering(&[(0, 2), (3, 2)], &[]), []);
    assert_eq!(quiet.covering(&[], &[1]), [SilenceId(2)]);
    assert_eq!(quiet.covering(&[], &[1, 2]), []);
    assert_eq!(quiet.covering(&[], &[]), [], "nothing is not covered by anything");
    assert_eq!(quiet.covering(&[(usize::MAX, 0)], &[]), [], "who left the mesh is nobody's");
}

#[test]
fn everything_wrong_with_a_silence_is_said_at_once() {
    assert!(silence(1, Scope::default()).faults().is_empty());
    let names = (0..300).map(|number| format!("s{number}")).collect();
    let many = Selector { sites: names, ..Selector::default() };
    let bad = Silence {
        until: T0.minus(Span::seconds(1)),
        reason: String::from("  "),
        author: String::new(),
        ..silence(1, Scope { source: many, ..Scope::default() })
    };
    assert_eq!(bad.faults().len(), 4, "{:?}", bad.faults());
    let long = Silence { until: T0.plus(Span(LENGTH_MAX.0 + 1_000_000)), ..silence(1, Scope::default()) };
    assert_eq!(long.faults().len(), 1);
}
