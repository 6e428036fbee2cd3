use super::*;
use crate::status::json::{CellJson, PrivilegesJson};

fn member(name: &str, site: &str, cells: &[(&str, &str)]) -> MemberJson {
    let cell = |(target, state): &(&str, &str)| CellJson {
        target: (*target).to_owned(),
        state: (*state).to_owned(),
        loss_permille: None,
        rtt_us: None,
    };
    MemberJson {
        agent: name.to_owned(),
        name: name.to_owned(),
        site: site.to_owned(),
        program: String::new(),
        is_connected: true,
        row_at: None,
        cells: cells.iter().map(cell).collect(),
    }
}

pub(crate) fn state(members: Vec<MemberJson>) -> StateJson {
    StateJson {
        agent: "a1".to_owned(),
        name: "a1".to_owned(),
        site: "alpha".to_owned(),
        mesh: "00".to_owned(),
        program: "0".to_owned(),
        at: "2026-11-23T00:00:00Z".to_owned(),
        certificate_stale: false,
        certificate_not_after: "2026-12-23T00:00:00Z".to_owned(),
        listen: Vec::new(),
        probe_addresses: Vec::new(),
        aggregators: Vec::new(),
        privileges: PrivilegesJson { icmp_v4: "allowed".to_owned(), icmp_v6: "allowed".to_owned(), advice: None },
        members,
        endpoints: Vec::new(),
        config: crate::status::json::ConfigJson::default(),
        epochs: Vec::new(),
        buffered_bytes: 0,
        dropped_records: 0,
        probes: 0,
        not_measured: BTreeMap::new(),
        acked_at: None,
        failure: None,
    }
}

#[test]
fn rows_send_columns_receive_and_what_nobody_says_is_unknown() {
    let drawn = draw(
        &state(vec![
            member("a1", "alpha", &[("a2", "ok"), ("b1", "down")]),
            member("a2", "alpha", &[("a1", "lossy")]),
            member("b1", "beta", &[("a1", "slow"), ("a2", "a word of a later version")]),
        ]),
        false,
    );
    let lines: Vec<&str> = drawn.lines().collect();
    assert_eq!(lines[2], "site alpha");
    assert!(lines[3].ends_with(r"\ · │ X"), "{drawn}");
    assert!(lines[4].ends_with(r"L \ │ ?"), "{drawn}");
    assert_eq!(lines[5], "site beta");
    assert!(lines[6].ends_with(r"S ? │ \"), "{drawn}");
    assert!(!drawn.contains('\x1b'));
    assert!(drawn.contains("? not measured"));
}

#[test]
fn colours_say_the_same_as_the_letters() {
    let drawn = draw(&state(vec![member("a1", "alpha", &[("a2", "down")]), member("a2", "alpha", &[])]), true);
    assert!(drawn.contains("\x1b[1;97;41mX\x1b[0m"), "{drawn}");
    assert!(drawn.contains("\x1b[90m?\x1b[0m"), "{drawn}");
}

#[test]
fn endpoints_are_columns_with_a_name_and_an_address() {
    let mut state = state(vec![member("a1", "alpha", &[("a2", "ok"), ("e0", "down")]), member("a2", "alpha", &[])]);
    let endpoint = |id: &str, name: &str| EndpointJson {
        id: id.to_owned(),
        name: name.to_owned(),
        address: format!("{name}.example"),
        found: None,
    };
    state.endpoints = vec![endpoint("e0", "gateway"), endpoint("e1", "name-server")];
    let drawn = draw(&state, false);
    let lines: Vec<&str> = drawn.lines().collect();
    assert!(lines[1].ends_with("1 2 │ 3 4"), "{drawn}");
    assert!(lines[3].ends_with(r"\ · │ X ?"), "{drawn}");
    assert_eq!(lines[5], "endpoints");
    assert!(lines[6].starts_with("3 gateway") && lines[6].ends_with("gateway.example"), "{drawn}");
    assert!(lines[0].starts_with("2 agents"), "they are not counted as agents: {drawn}");
}
