//! From faults to messages.

use super::*;
use crate::alert::record::End;
use crate::alert::rule::{Condition, Route, RuleId, Severity};
use crate::alert::scope::{Scope, Selector};
use crate::alert::silence::{Silence, SilenceId};
use everypath_protocol::id::mix64;
use everypath_verdict::incident::Class;

fn silence(scope: Scope, from: UnixTime, until: UnixTime) -> Silence {
    let (reason, author) = (String::from("works"), String::from("me"));
    Silence { id: SilenceId(1), scope, from, until, reason, author, is_maintenance: true }
}

#[test]
fn a_dead_host_is_one_incident_and_one_message_a_channel() {
    let mut world = World::new();
    world.seconds(30);
    world.host_down(4);
    world.seconds(240);
    assert_eq!(world.told(), ["chat opened critical: Host h4 is down", "mail opened critical: Host h4 is down"]);
    let [record] = world.open()[..] else { panic!("one incident") };
    assert_eq!((record.class, record.severity, record.rules.len()), (Class::HostDown, Severity::Critical, 2));
    world.heal();
    world.seconds(90);
    assert_eq!(world.told(), ["chat resolved critical: Host h4 is down", "mail resolved critical: Host h4 is down"]);
    assert!(world.open().is_empty());
    let Some(record) = world.kept.1.values().next() else { panic!("kept") };
    assert_eq!(record.ended.map(|(_, end)| end), Some(End::Recovered));
    assert_eq!(record.history.len(), 2, "{:?}", record.history);
}

#[test]
fn faults_of_the_lab_are_one_incident_each_of_the_right_class() {
    type Fault = fn(&mut World);
    let faults: [(Fault, Class, &str); 4] = [
        (|world| world.host_down(4), Class::HostDown, "Host h4 is down"),
        (
            |world| world.all(|source, target| (source < 3) != (target < 3), CellState::Down),
            Class::SiteCut,
            "Site alpha is cut off",
        ),
        (|world| world.set(1, 5, CellState::Down, 1_000, 0), Class::PairDown, "h1 does not reach h5; h5 reaches h1"),
        (
            |world| world.all(|source, _| source == 7, CellState::Down),
            Class::Isolated,
            "h7 reaches nobody; others reach it",
        ),
    ];
    for (fault, class, title) in faults {
        let mut world = World::new();
        world.seconds(20);
        fault(&mut world);
        world.seconds(120);
        let [record] = world.open()[..] else { panic!("{title}: {:?}", world.told) };
        assert_eq!((record.class, record.title.as_str()), (class, title));
        assert_eq!(world.told().len(), 2);
        world.heal();
        world.seconds(120);
        assert_eq!(world.told().len(), 2);
    }
}

#[test]
fn a_silent_agent_is_told_after_its_rule_says_so() {
    let mut world = World::new();
    world.quiet.insert(2, T0);
    world.seconds(79);
    assert!(world.told().is_empty());
    world.seconds(10);
    let title = "warning: Agent h2 is silent, and its host answers";
    let title = title.replace("Agent h2", "agent h2");
    let told = world.told();
    assert_eq!(told.len(), 2);
    assert!(told[0].to_lowercase().ends_with(&title), "{told:?}");
    world.rules.truncate(2);
    let mut without = World::new();
    without.rules.truncate(2);
    without.quiet.insert(2, T0);
    without.seconds(300);
    assert!(without.told().is_empty(), "nobody wants to know");
}

#[test]
fn while_nobody_is_heard_nothing_is_judged_until_a_rule_says_that_it_is_worth_telling() {
    let mut world = World::new();
    world.host_down(4);
    world.seconds(30);
    assert_eq!(world.told().len(), 2);
    let since = world.now;
    for host in 0..9 {
        world.quiet.entry(host).or_insert(since);
    }
    let mut blind = 0;
    for _ in 0..60 {
        blind += u32::from(world.second().is_blind);
    }
    assert!(blind >= 40, "{blind}");
    assert_eq!(world.open().len(), 1, "what was open stays open");
    world.seconds(20);
    let told = world.told();
    assert!(told.iter().any(|text| text.contains("Nothing is heard of 9 of 9 agents")), "{told:?}");
}

#[test]
fn severity_and_channels_are_those_of_all_rules_that_are_broken() {
    let mut world = World::new();
    world.rules[0].severity = Severity::Info;
    world.rules[0].route = Route::Only(Vec::from([CHAT]));
    let narrow = Scope { source: Selector::agent(agent(0)), ..Scope::default() };
    let (severity, route) = (Severity::Critical, Route::Only(Vec::from([POST])));
    let extra = Rule { id: RuleId(9), severity, route, scope: narrow, ..world.rules[0].clone() };
    world.rules.push(Rule { condition: Condition::Unreachable, ..extra });
    world.set(1, 5, CellState::Down, 1_000, 0);
    world.seconds(30);
    assert_eq!(world.told(), ["chat opened info: h1 does not reach h5; h5 reaches h1"]);
    world.set(0, 8, CellState::Down, 1_000, 0);
    world.seconds(30);
    let told = world.told();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told.iter().all(|text| text.contains("opened critical: h0 does not reach h8")), "{told:?}");
    world.heal();
    world.seconds(90);
    assert_eq!(world.told().len(), 3, "each end where its beginning was told");
}

#[test]
fn a_silence_keeps_the_record_and_sends_nothing() {
    let mut world = World::new();
    world.silences.push(silence(Scope::around(agent(4)), T0, T0.plus(Span::seconds(600))));
    world.host_down(4);
    world.seconds(100);
    assert!(world.told().is_empty());
    assert_eq!(world.open()[0].silences, [SilenceId(1)]);
    world.set(0, 8, CellState::Down, 1_000, 0);
    world.seconds(30);
    assert_eq!(world.told().len(), 2, "another fault is told all the same");
    world.seconds(500);
    let told = world.told();
    assert!(told.contains(&"chat opened critical: Host h4 is down".into()), "the silence is over: {told:?}");
}

#[test]
fn what_began_and_ended_in_a_silence_is_never_told() {
    let mut world = World::new();
    world.silences.push(silence(Scope::default(), T0, T0.plus(Span::seconds(600))));
    world.host_down(4);
    world.seconds(100);
    world.heal();
    world.seconds(600);
    assert!(world.told().is_empty());
    assert_eq!(world.kept.1.len(), 1, "and kept");
}

#[test]
fn an_end_is_told_although_a_silence_began_meanwhile() {
    let mut world = World::new();
    world.host_down(4);
    world.seconds(60);
    world.told();
    world.silences.push(silence(Scope::default(), world.now, world.now.plus(Span::seconds(6_000))));
    world.seconds(20_000 / 100);
    assert!(world.told().is_empty());
    world.heal();
    world.seconds(100);
    assert_eq!(world.told().len(), 2);
}

#[test]
fn a_site_is_not_covered_by_the_silence_of_one_of_its_hosts() {
    let mut world = World::new();
    world.silences.push(silence(Scope::around(agent(1)), T0, T0.plus(Span::seconds(600))));
    world.all(|source, target| (source < 3) != (target < 3), CellState::Down);
    world.seconds(60);
    assert_eq!(world.told().len(), 2);
}

#[test]
fn what_nobody_acknowledges_is_told_again() {
    let mut world = World::new();
    world.channels[1].policy.repeat = Some(Span::seconds(1_100));
    world.host_down(4);
    world.seconds(1_200);
    assert_eq!(world.told()[2..], ["mail repeated critical: Host h4 is down"]);
    let id = world.open()[0].id;
    let ack = Ack { by: "me".into(), at: world.now, note: String::new() };
    world.acks.insert(id, ack);
    world.seconds(1_200);
    assert_eq!(
        world.told(),
        ["mail updated critical: Host h4 is down"],
        "that somebody does is told once, and nothing is repeated"
    );
}

#[test]
fn what_comes_back_is_told_again_until_it_flaps() {
    let mut world = World::new();
    let mut told = Vec::new();
    for _ in 0..8 {
        world.set(1, 5, CellState::Down, 1_000, 0);
        world.seconds(30);
        world.heal();
        world.seconds(75);
        told.push(world.told().len());
    }
    assert_eq!(world.kept.1.len(), 1, "it is one incident");
    assert_eq!(told[..3], [4, 4, 4], "a beginning and an end in each channel");
    assert!(told[5..].iter().all(|count| *count == 0), "{told:?}");
}

#[test]
fn whoever_takes_over_tells_nothing_twice_and_misses_nothing() {
    for moment in (1..200).step_by(13) {
        let mut world = World::new();
        let mut told = Vec::new();
        for second in 0..300 {
            match second {
                20 => world.host_down(4),
                120 => world.heal(),
                _ => {}
            }
            if second == moment {
                let kept_told = world.watch.told_in_tests();
                let records = world.kept.1.values().filter(|record| {
                    record.is_open() || record.ended.is_some_and(|(at, _)| world.now.since(at) < Span::seconds(700))
                });
                let records = records.cloned().collect();
                world.watch = Watch::restore(world.kept.0.as_deref(), records, kept_told, Rules::default());
            }
            world.second();
            told.append(&mut world.told());
        }
        assert_eq!(told.len(), 4, "taken over in second {moment}: {told:?}");
        assert_eq!(world.kept.1.len(), 1);
        assert!(world.open().is_empty());
    }
}

#[test]
fn without_its_state_what_was_open_is_over_and_what_is_wrong_is_found_anew() {
    let mut world = World::new();
    world.host_down(4);
    world.seconds(60);
    let (records, told) = (world.kept.1.values().cloned().collect(), world.watch.told_in_tests());
    world.told();
    world.watch = Watch::restore(Some(&[9, 9, 9]), records, told, Rules::default());
    world.second();
    assert_eq!(world.told().len(), 2, "the ends");
    let end = world.kept.1.values().next().and_then(|record| record.ended).map(|(_, end)| end);
    assert_eq!(end, Some(End::Forgotten));
    world.seconds(30);
    assert_eq!(world.told().len(), 2, "and the beginnings");
}

#[test]
fn loss_that_lasts_is_a_warning() {
    let mut world = World::new();
    world.all(|source, target| source == 4 || target == 4, CellState::Ok);
    for other in (0..9).filter(|other| *other != 4) {
        world.set(4, other, CellState::Lossy, 150, 1_000);
        world.set(other, 4, CellState::Lossy, 150, 1_000);
    }
    world.seconds(299);
    assert!(world.told().is_empty());
    world.seconds(30);
    let told = world.told();
    assert_eq!(
        told,
        [
            "chat opened warning: Paths to and from h4 lose probes",
            "mail opened warning: Paths to and from h4 lose probes"
        ]
    );
}

#[test]
fn a_channel_without_messages_is_told_what_is_open_when_it_comes() {
    let mut world = World::new();
    world.channels.clear();
    world.host_down(4);
    world.seconds(60);
    assert!(world.told().is_empty() && world.open().len() == 1);
    world.channels = CHANNELS.to_vec();
    world.seconds(2);
    assert_eq!(world.told().len(), 2);
}

/// Whatever happens, each channel hears beginnings and ends in turn, and at most as often as its policy allows.
#[test]
fn beginnings_and_ends_take_turns_whatever_happens() {
    for seed in 0..8_u64 {
        let mut world = World::new();
        let mut open: BTreeMap<(String, ChannelId), bool> = BTreeMap::new();
        let mut at: BTreeMap<(String, ChannelId), UnixTime> = BTreeMap::new();
        for second in 0..600_u64 {
            let draw = mix64(seed << 32 | second);
            let host = u8::try_from(draw >> 8 & 7).expect("small");
            match draw % 40 {
                0 => world.host_down(host),
                1 => world.heal(),
                2 => world.all(|source, target| (source < 3) != (target < 3), CellState::Down),
                3 => world.set(host, 8, CellState::Down, 1_000, 0),
                4 => {
                    let until = T0.plus(Span::seconds(second + 60));
                    world.silences = Vec::from([silence(Scope::around(agent(host)), T0, until)]);
                }
                _ => {}
            }
            let step = world.second();
            for telling in step.tellings {
                let key = (telling.notice.incident.clone(), telling.channel);
                let was_open = open.get(&key).copied().unwrap_or(false);
                let event = telling.notice.event.name();
                match event {
                    "opened" | "reopened" => assert!(!was_open, "seed {seed}: {event} while it was open"),
                    _ => assert!(was_open, "seed {seed}: {event} while it was over"),
                }
                if event == "updated" {
                    let every = if telling.channel == CHAT { 30 } else { 300 };
                    let passed = at.get(&key).map(|at| world.now.since(*at));
                    assert!(passed >= Some(Span::seconds(every)), "seed {seed}: {passed:?}");
                }
                at.insert(key.clone(), world.now);
                open.insert(key, event != "resolved");
            }
        }
        world.heal();
        world.silences.clear();
        for _ in 0..200 {
            for telling in world.second().tellings {
                let key = (telling.notice.incident.clone(), telling.channel);
                open.insert(key, telling.notice.event.name() != "resolved");
            }
        }
        assert!(open.values().all(|is_open| !is_open), "seed {seed}: every end was told");
    }
}
