//! Rules, channels, incidents and the outbox.

use crate::common::T0;
use crate::lease::{ONE, TWO};
use crate::rungs::Place;
use crate::world::{LONG, event};
use aggregator::store::alerts::{
    ChannelWish, Commit, Definition, Deleted, Done, Due, IncidentQuery, IncidentRow, Kind, LOG_MAX, LogEntry, Put,
    SILENCES_OVER_MAX, Wanted,
};
use aggregator::store::{Store, StoreError};
use aggregator_core::alert::retry::{Fate, Pause};
use aggregator_core::alert::tell::Told;
use everypath_protocol::time::{Span, UnixTime};
use std::collections::BTreeSet;

const HOLD: Span = Span::seconds(40);

fn at(seconds: u64) -> UnixTime {
    T0.plus(Span::seconds(seconds))
}

pub(crate) fn incident(number: u8, opened: u64, ended: Option<u64>) -> IncidentRow {
    IncidentRow {
        id: [number; 16],
        definition: format!("{{\"n\":{number}}}"),
        class: "host_down".into(),
        severity: if number.is_multiple_of(2) { "critical" } else { "warning" }.into(),
        opened_at: at(opened),
        ended_at: ended.map(at),
        is_silenced: number == 3,
        ack: None,
    }
}

fn wanted(incident: u8, channel: i64, text: &str, is_news: bool, seconds: u64) -> Wanted {
    let told = Told { gist: u64::MAX, text: 7, is_over: false, at: at(seconds), news_at: at(1) };
    Wanted { incident: [incident; 16], channel, notice: text.into(), is_news, told }
}

pub(crate) async fn channel(store: &Store, name: &str) -> i64 {
    let wish = ChannelWish {
        replaces: None,
        name: name.into(),
        definition: "{}".into(),
        sealed: Some(vec![1, 2]),
        is_enabled: true,
        takes_reports: true,
        by: "me".into(),
        now: T0,
    };
    let Put::Kept(id) = store.put_alert_channel(wish, 10, event("x")).await.expect("kept") else {
        panic!("there is room")
    };
    id
}

fn entry(due: &Due, result: &str) -> LogEntry {
    LogEntry {
        id: 0,
        channel: due.channel,
        incident: Some(due.incident),
        at: at(5),
        event: "opened".into(),
        result: result.into(),
        detail: result.into(),
        took_ms: 3,
    }
}

fn done(due: Due, fate: Fate, handle: Option<&str>, until: UnixTime) -> Done {
    let entry = entry(&due, "x");
    Done {
        due,
        replica: ONE,
        fate,
        handle: handle.map(str::to_owned),
        pause: Pause { until, failures: 0 },
        version: 1,
        entry,
    }
}

pub(crate) async fn rules_and_channels_have_versions_and_limits(place: &Place) {
    let store = place.open().await;
    assert_eq!(store.alert_definitions(Kind::Rule, None).await.expect("read").len(), 3, "from the beginning");
    for kind in [Kind::Rule, Kind::Silence] {
        let wish = |replaces, until| Definition {
            replaces,
            definition: "{}".into(),
            until: at(until),
            by: "me".into(),
            now: T0,
        };
        let Put::Kept(id) = store.put_alert_definition(kind, wish(None, 60), 9, event("x")).await.expect("kept") else {
            panic!("there is room")
        };
        let row = store.alert_definitions(kind, None).await.expect("read").pop().expect("there");
        assert_eq!((row.id, row.version, row.changed_by.as_str(), row.changed_at), (id, 1, "me", T0));
        let put = async |replaces, most| {
            store.put_alert_definition(kind, wish(replaces, 60), most, event("x")).await.expect("asked")
        };
        assert_eq!(put(Some((id, 1)), 9).await, Put::Kept(id));
        assert_eq!(put(Some((id, 1)), 9).await, Put::Changed);
        assert_eq!(put(Some((id + 99, 1)), 9).await, Put::Missing);
        assert_eq!(put(None, 1).await, Put::Full);
        assert!(store.delete_alert_definition(kind, id, event("x")).await.expect("asked"));
        assert!(!store.delete_alert_definition(kind, id, event("x")).await.expect("asked"));
    }
    let id = channel(&store, "a").await;
    let other = channel(&store, "b").await;
    let row = store.alert_channels().await.expect("read").remove(0);
    assert_eq!(
        (row.id, row.name.as_str(), row.sealed.as_slice(), row.is_enabled, row.version),
        (id, "a", &[1, 2][..], true, 1)
    );
    let change = |name: &str, replaces, sealed| ChannelWish {
        replaces,
        name: name.into(),
        definition: "{}".into(),
        sealed,
        is_enabled: false,
        takes_reports: true,
        by: "me".into(),
        now: T0,
    };
    let put = async |wish, most| store.put_alert_channel(wish, most, event("x")).await.expect("asked");
    assert_eq!(put(change("b", Some((id, 1)), None), 9).await, Put::NameTaken);
    assert_eq!(put(change("c", Some((id, 1)), None), 9).await, Put::Kept(id));
    assert_eq!(put(change("c", Some((id, 1)), None), 9).await, Put::Changed);
    assert_eq!(put(change("d", Some((other + 99, 1)), None), 9).await, Put::Missing);
    assert_eq!(put(change("d", None, None), 2).await, Put::Full);
    let row = store.alert_channels().await.expect("read").remove(0);
    assert_eq!((row.name.as_str(), row.sealed.as_slice(), row.is_enabled, row.version), ("c", &[1, 2][..], false, 2));
    assert_eq!(store.delete_alert_channel(other, event("x")).await.expect("asked"), Deleted::Done);
    assert_eq!(store.delete_alert_channel(other, event("x")).await.expect("asked"), Deleted::Missing);
    store.close().await;
}

pub(crate) async fn incidents_come_back_as_they_were_kept(place: &Place) {
    let store = place.open().await;
    let lease = store.lease("jobs", ONE, LONG).await.expect("asked").expect("free");
    let first = channel(&store, "a").await;
    assert_eq!(store.alert_kept(T0).await.expect("read"), aggregator::store::alerts::Kept::default());
    let rows = [incident(1, 10, None), incident(2, 20, Some(30)), incident(3, 20, None), incident(4, 5, Some(6))];
    let commit = Commit {
        incidents: rows.to_vec(),
        wanted: vec![
            wanted(1, first, "x", true, 10),
            wanted(4, first, "y", true, 5),
            wanted(1, first + 99, "z", true, 5),
        ],
        state: Some(vec![9; 3]),
    };
    store.alert_commit(lease, commit, at(10)).await.expect("kept");
    let kept = store.alert_kept(at(7)).await.expect("read");
    assert_eq!((kept.state.as_deref(), kept.incidents.len()), (Some(&[9, 9, 9][..]), 3));
    let told = Told { gist: u64::MAX, text: 7, is_over: false, at: at(10), news_at: at(1) };
    assert_eq!(kept.told, [([1; 16], first, told)], "what is old, and what is nobody's, is left out");
    let list = async |query: IncidentQuery| {
        let found = store.incidents(IncidentQuery { limit: 10, ..query }).await.expect("read");
        found.into_iter().map(|row| row.id[0]).collect::<Vec<_>>()
    };
    assert_eq!(list(IncidentQuery::default()).await, [3, 2, 1, 4], "newest first, then by name");
    assert_eq!(list(IncidentQuery { is_open: Some(true), ..IncidentQuery::default() }).await, [3, 1]);
    assert_eq!(list(IncidentQuery { is_open: Some(false), ..IncidentQuery::default() }).await, [2, 4]);
    assert_eq!(list(IncidentQuery { severity: Some("critical".into()), ..IncidentQuery::default() }).await, [2, 4]);
    assert_eq!(list(IncidentQuery { class: Some("x".into()), ..IncidentQuery::default() }).await, [0; 0]);
    assert_eq!(list(IncidentQuery { from: Some(at(10)), to: Some(at(20)), ..IncidentQuery::default() }).await, [1]);
    assert_eq!(list(IncidentQuery { ended_after: Some(at(6)), ..IncidentQuery::default() }).await, [3, 2, 1]);
    assert_eq!(list(IncidentQuery { ended_after: Some(at(5)), ..IncidentQuery::default() }).await, [3, 2, 1, 4]);
    assert_eq!(list(IncidentQuery { behind: Some((at(20), [3; 16])), ..IncidentQuery::default() }).await, [2, 1, 4]);
    came_back_later(&store, lease, &rows).await;
    let two = store.incidents(IncidentQuery { limit: 2, ..IncidentQuery::default() }).await.expect("read");
    assert_eq!(two.len(), 2);
    assert_eq!(store.incident([3; 16]).await.expect("read"), Some(rows[2].clone()));
    assert_eq!(store.incident([8; 16]).await.expect("read"), None);

    let ack = ("me".to_owned(), at(12), "looking".to_owned());
    assert!(store.acknowledge([1; 16], Some(ack.clone()), event("x")).await.expect("asked"));
    assert!(!store.acknowledge([2; 16], Some(ack.clone()), event("x")).await.expect("asked"), "it is over");
    assert_eq!(store.acknowledgements().await.expect("read"), [([1; 16], ack.clone())]);
    let again = |opened| Commit { incidents: vec![incident(1, opened, None)], ..Commit::default() };
    store.alert_commit(lease, again(10), at(13)).await.expect("kept");
    assert_eq!(
        store.incident([1; 16]).await.expect("read").and_then(|row| row.ack),
        Some(ack),
        "judging leaves it alone"
    );
    store.alert_commit(lease, again(50), at(50)).await.expect("kept");
    assert!(store.acknowledgements().await.expect("read").is_empty(), "what came back is nobody's");
    assert_eq!(store.alert_kept(T0).await.expect("read").state.as_deref(), Some(&[9, 9, 9][..]));

    assert_eq!(store.sweep_incidents(at(31)).await.expect("swept"), 2);
    assert_eq!(list(IncidentQuery::default()).await, [1, 3]);
    store.close().await;
}

/// What was opened again after a time may have been there before it.
async fn came_back_later(store: &Store, lease: aggregator::store::Lease, rows: &[IncidentRow]) {
    let list = async |query: IncidentQuery| {
        let found = store.incidents(IncidentQuery { limit: 10, ..query }).await.expect("read");
        found.into_iter().map(|row| row.id[0]).collect::<Vec<_>>()
    };
    let before = IncidentQuery { to: Some(at(20)), ended_after: Some(at(7)), ..IncidentQuery::default() };
    let was_open = async || list(IncidentQuery { or_was_open: true, ..before.clone() }).await;
    assert_eq!(was_open().await, [3, 2, 1], "of what does not say how often it came back nobody knows");
    for (number, flaps) in [(2, 0), (3, 2)] {
        let mut row = rows[number - 1].clone();
        row.definition = format!("{{\"title\":\"x\",\"flaps\":{flaps},\"is_flapping\":false}}");
        store.alert_commit(lease, Commit { incidents: vec![row], ..Commit::default() }, at(10)).await.expect("kept");
    }
    assert_eq!(
        (was_open().await, list(before.clone()).await),
        (vec![3, 1], vec![1]),
        "what came back was there before"
    );
    for row in &rows[1..3] {
        let again = Commit { incidents: vec![row.clone()], ..Commit::default() };
        store.alert_commit(lease, again, at(10)).await.expect("kept");
    }
}

pub(crate) async fn who_lost_the_lease_tells_nothing(place: &Place) {
    let store = place.open().await;
    let old = store.lease("jobs", ONE, Span::millis(1)).await.expect("asked").expect("free");
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    let new = store.lease("jobs", TWO, LONG).await.expect("asked").expect("ended");
    let commit = || Commit { incidents: vec![incident(1, 1, None)], state: Some(vec![1]), ..Commit::default() };
    let lost = store.alert_commit(old, commit(), T0).await;
    assert!(matches!(lost, Err(StoreError::LeaseLost)), "{lost:?}");
    assert_eq!(store.incident([1; 16]).await.expect("read"), None);
    assert_eq!(store.alert_kept(T0).await.expect("read").state, None);
    store.alert_commit(new, commit(), T0).await.expect("kept");
    assert!(store.incident([1; 16]).await.expect("read").is_some());
    store.close().await;
}

pub(crate) async fn a_message_is_sent_by_one_and_by_another_if_that_one_is_gone(place: &Place) {
    let store = place.open().await;
    let lease = store.lease("jobs", ONE, LONG).await.expect("asked").expect("free");
    let (a, b) = (channel(&store, "a").await, channel(&store, "b").await);
    let commit = |incidents: Vec<IncidentRow>, wanted| Commit { incidents, wanted, state: None };
    let both = vec![wanted(1, a, "a1", true, 10), wanted(1, b, "b1", true, 11), wanted(2, a, "a2", true, 12)];
    store
        .alert_commit(lease, commit(vec![incident(1, 1, None), incident(2, 2, None)], both), at(10))
        .await
        .expect("kept");
    assert_eq!(store.waiting().await.expect("counted"), (3, Some(at(10))));

    let take = async |replica, seconds| store.take_due(replica, at(seconds), HOLD, 8).await.expect("asked");
    let mut first = take(ONE, 20).await;
    first.sort_by_key(|due| due.channel);
    let texts: Vec<_> = first.iter().map(|due| due.notice.as_str()).collect();
    assert_eq!(texts, ["a1", "b1"], "one a channel, the oldest first");
    assert!(first.iter().all(|due| due.is_news && (due.wanted, due.sent) == (1, 0) && due.handle.is_none()));
    assert!(take(TWO, 21).await.is_empty(), "they are somebody's, and a channel gets one at a time");

    let [at_a, at_b] = <[Due; 2]>::try_from(first).expect("two");
    assert!(store.note_done(done(at_b, Fate::Told, Some("77"), at(21))).await.expect("noted"));
    // The holder is gone; after its time somebody else gets it.
    assert!(take(TWO, 59).await.is_empty());
    let again = take(TWO, 61).await;
    assert_eq!(again.iter().map(|due| due.notice.as_str()).collect::<Vec<_>>(), ["a1"]);
    assert!(!store.note_done(done(at_a, Fate::Told, Some("1"), at(61))).await.expect("noted"), "too late");
    let by_two = Done { replica: TWO, ..done(again[0].clone(), Fate::Told, Some("2"), at(61)) };
    assert!(store.note_done(by_two).await.expect("noted"));
    let next = take(ONE, 62).await;
    assert_eq!(next.iter().map(|due| due.notice.as_str()).collect::<Vec<_>>(), ["a2"]);

    // While it is being sent, something newer comes.
    let newer = vec![wanted(2, a, "a2b", false, 63)];
    store.alert_commit(lease, commit(vec![], newer), at(63)).await.expect("kept");
    assert!(store.note_done(done(next[0].clone(), Fate::Told, Some("9"), at(63))).await.expect("noted"));
    let edit = take(ONE, 64).await;
    assert_eq!((edit[0].notice.as_str(), edit[0].wanted, edit[0].sent, edit[0].is_news), ("a2b", 2, 1, false));
    assert_eq!(edit[0].handle.as_deref(), Some("9"));
    // What was to be changed is gone: the same again as a new one.
    assert!(store.note_done(done(edit[0].clone(), Fate::Anew, None, at(64))).await.expect("noted"));
    let anew = take(ONE, 65).await;
    assert_eq!((anew[0].notice.as_str(), anew[0].is_news, anew[0].handle.as_deref()), ("a2b", true, None));
    // The channel rests.
    let waits =
        Done { pause: Pause { until: at(100), failures: 3 }, ..done(anew[0].clone(), Fate::Waits, None, at(100)) };
    assert!(store.note_done(waits).await.expect("noted"));
    assert!(take(ONE, 99).await.is_empty());
    assert_eq!(store.alert_channels().await.expect("read")[0].failures, 3);
    let last = take(ONE, 100).await;
    let given_up = done(last[0].clone(), Fate::GivenUp("HTTP 400".into()), None, at(100));
    assert!(store.note_done(given_up).await.expect("noted"));
    assert_eq!(store.waiting().await.expect("counted"), (0, None));
    assert_eq!(store.alert_channels().await.expect("read")[0].trouble.as_deref(), Some("x"));
    // What was given up is tried again when there is something new, with the age of that.
    store.alert_commit(lease, commit(vec![], vec![wanted(2, a, "over", false, 200)]), at(200)).await.expect("kept");
    let over = take(ONE, 201).await;
    assert_eq!((over[0].notice.as_str(), over[0].wanted_at, over[0].is_news), ("over", at(200), true));
    // A clock that was set back by hours keeps nothing waiting.
    assert!(store.take_due(TWO, T0.minus(Span::seconds(14_400)), HOLD, 8).await.expect("asked").len() == 1);
    store.close().await;
}

/// A channel was mended, and what it had not taken was never told: it counted as told.
pub(crate) async fn what_was_given_up_is_told_by_a_channel_that_was_mended(place: &Place) {
    let store = place.open().await;
    let lease = store.lease("jobs", ONE, LONG).await.expect("asked").expect("free");
    let a = channel(&store, "a").await;
    let rows = vec![incident(1, 1, None), incident(2, 2, Some(9)), incident(3, 3, None)];
    let all = (1..=3).map(|number| wanted(number, a, &format!("m{number}"), true, 10)).collect();
    store.alert_commit(lease, Commit { incidents: rows, wanted: all, state: None }, at(10)).await.expect("kept");
    let take = async |seconds| store.take_due(ONE, at(seconds), HOLD, 8).await.expect("asked");
    let give_up = async |seconds| {
        let mut texts = Vec::new();
        while let Some(due) = take(seconds).await.pop() {
            texts.push(due.notice.clone());
            let refused = done(due, Fate::GivenUp("HTTP 401".into()), None, at(seconds));
            assert!(store.note_done(refused).await.expect("noted"));
        }
        texts
    };
    assert_eq!(give_up(20).await, ["m1", "m2", "m3"]);
    assert!(take(30).await.is_empty(), "nobody mended it");
    let mend = ChannelWish {
        replaces: Some((a, 1)),
        name: "a".into(),
        definition: "{}".into(),
        sealed: None,
        is_enabled: true,
        takes_reports: true,
        by: "me".into(),
        now: at(100),
    };
    assert_eq!(store.put_alert_channel(mend, 9, event("x")).await.expect("asked"), Put::Kept(a));
    let due = take(101).await.pop().expect("it is told again");
    assert_eq!((due.notice.as_str(), due.wanted_at), ("m1", at(100)), "with a day of its own");
    // What was under way when the channel was mended says nothing of what it is now.
    let late = Done { pause: Pause { until: at(700), failures: 9 }, ..done(due, Fate::Waits, None, at(101)) };
    assert!(store.note_done(late).await.expect("noted"));
    let row = store.alert_channels().await.expect("read").remove(0);
    assert_eq!((row.version, row.failures, row.blocked_until, row.trouble), (2, 0, UnixTime(0), None));

    // A channel that failed for a day and works again by itself: nobody changes anything.
    let due = take(102).await.pop().expect("the first");
    let of_two = |done: Done| Done { version: 2, ..done };
    let failed =
        Done { pause: Pause { until: at(102), failures: 4 }, ..done(due, Fate::GivenUp("x".into()), None, at(102)) };
    assert!(store.note_done(of_two(failed)).await.expect("noted"));
    let due = take(103).await.pop().expect("the third; the second is over");
    assert_eq!(due.notice, "m3");
    assert!(store.note_done(of_two(done(due, Fate::Told, None, at(103)))).await.expect("noted"));
    let again = take(104).await;
    assert_eq!(again.iter().map(|due| due.notice.as_str()).collect::<Vec<_>>(), ["m1"]);
    store.close().await;
}

/// Hundreds of messages that waited for one channel were looked at before the first of another, for minutes.
pub(crate) async fn many_that_wait_for_one_channel_hide_none_of_another(place: &Place) {
    let store = place.open().await;
    let lease = store.lease("jobs", ONE, LONG).await.expect("asked").expect("free");
    let (a, b) = (channel(&store, "a").await, channel(&store, "b").await);
    let many = (0..300_u16).map(|number| {
        let mut id = [0; 16];
        id[..2].copy_from_slice(&number.to_be_bytes());
        id
    });
    let rows = many.clone().map(|id| IncidentRow { id, ..incident(1, 1, None) });
    let mut all: Vec<_> = many.map(|incident| Wanted { incident, ..wanted(1, a, "a", true, 10) }).collect();
    all.push(wanted(1, b, "b", true, 11));
    let incidents = rows.chain([incident(1, 1, None)]).collect();
    store.alert_commit(lease, Commit { incidents, wanted: all, state: None }, at(10)).await.expect("kept");
    let taken = store.take_due(ONE, at(20), HOLD, 8).await.expect("asked");
    assert_eq!(taken.iter().map(|due| due.notice.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    store.close().await;
}

/// Ended silences were read by whoever judges, each second, for a year, and could be ended and begun again past the limit.
pub(crate) async fn silences_that_are_over_are_few_and_in_nobodys_way(place: &Place) {
    let store = place.open().await;
    let put = async |replaces, now: u64, until: u64| {
        let wish = Definition { replaces, definition: "{}".into(), until: at(until), by: "me".into(), now: at(now) };
        store.put_alert_definition(Kind::Silence, wish, 2, event("x")).await.expect("asked")
    };
    let Put::Kept(first) = put(None, 0, 10).await else { panic!("there is room") };
    let Put::Kept(second) = put(None, 0, 20).await else { panic!("there is room") };
    assert_eq!(put(None, 9, 30).await, Put::Full);
    assert_eq!(put(Some((second, 1)), 9, 25).await, Put::Kept(second), "it has its place");
    let ahead = store.alert_definitions(Kind::Silence, Some(at(10))).await.expect("read");
    assert_eq!(ahead.iter().map(|row| row.id).collect::<Vec<_>>(), [second]);
    assert!(matches!(put(None, 11, 40).await, Put::Kept(_)), "the first is over");
    assert_eq!(put(Some((first, 1)), 12, 50).await, Put::Full, "so it cannot hold again");
    assert_eq!(put(Some((first, 1)), 12, 11).await, Put::Kept(first), "what stays over takes no place");
    for number in 0..u64::from(SILENCES_OVER_MAX) + 5 {
        assert!(matches!(put(None, 100 + number, 101 + number).await, Put::Kept(_)));
    }
    let rows = store.alert_definitions(Kind::Silence, None).await.expect("read");
    assert_eq!(rows.len(), 1 + usize::try_from(SILENCES_OVER_MAX).expect("small"));
    assert!(rows.iter().all(|row| row.id != first), "the oldest went");
    store.close().await;
}

pub(crate) async fn many_who_send_take_each_message_once(place: &Place) {
    let store = place.open().await;
    let lease = store.lease("jobs", ONE, LONG).await.expect("asked").expect("free");
    let mut all = Vec::new();
    for number in 0..8 {
        let id = channel(&store, &format!("c{number}")).await;
        all.extend((1..=4).map(|incident| wanted(incident, id, "x", true, 10)));
    }
    let incidents = (1..=4).map(|number| incident(number, 1, None)).collect();
    store.alert_commit(lease, Commit { incidents, wanted: all, state: None }, at(10)).await.expect("kept");
    let mut seen = BTreeSet::new();
    for round in 0..4 {
        let takers =
            (0..6).map(|number| store.take_due(aggregator::store::ReplicaId(number + 1), at(20 + round), HOLD, 3));
        let taken = futures::future::join_all(takers).await;
        for (number, due) in
            (1..).zip(taken).flat_map(|(number, due)| due.expect("asked").into_iter().map(move |due| (number, due)))
        {
            assert!(seen.insert((due.incident, due.channel)), "taken twice");
            let done = Done { replica: aggregator::store::ReplicaId(number), ..done(due, Fate::Told, None, T0) };
            assert!(store.note_done(done).await.expect("noted"));
        }
    }
    while let Some(due) = store.take_due(ONE, at(30), HOLD, 1).await.expect("asked").pop() {
        assert!(seen.insert((due.incident, due.channel)), "taken twice");
        store.note_done(done(due, Fate::Told, None, T0)).await.expect("noted");
    }
    assert_eq!(seen.len(), 32);
    store.close().await;
}

/// Replicas once sent what another one had just sent: they had read it before that one took it, and took it after it was noted.
pub(crate) async fn what_was_sent_meanwhile_is_not_sent_again(place: &Place) {
    let store = place.open().await;
    let lease = store.lease("jobs", ONE, LONG).await.expect("asked").expect("free");
    for round in 0..12 {
        let now = at(10 + 100 * round);
        let mut all = Vec::new();
        for number in 0..8 {
            let name = format!("r{round}c{number}");
            all.extend([wanted(u8::try_from(round).expect("small") + 1, channel(&store, &name).await, "x", true, 10)]);
        }
        let incidents = vec![incident(u8::try_from(round).expect("small") + 1, 1, None)];
        store.alert_commit(lease, Commit { incidents, wanted: all, state: None }, now).await.expect("kept");
        // Each takes and notes at its own pace, so that one takes while another one notes.
        let send = async |number: i64| {
            let mut sent = Vec::new();
            for _ in 0..6 {
                let replica = aggregator::store::ReplicaId(number);
                for due in store.take_due(replica, now, HOLD, 3).await.expect("asked") {
                    sent.push((due.incident, due.channel));
                    let done = Done { replica, ..done(due, Fate::Told, None, T0) };
                    assert!(store.note_done(done).await.expect("noted"));
                }
            }
            sent
        };
        let sent: Vec<_> = futures::future::join_all((1..=6).map(send)).await.into_iter().flatten().collect();
        let once: BTreeSet<_> = sent.iter().copied().collect();
        assert_eq!((sent.len(), once.len()), (8, 8), "round {round}");
        for row in store.alert_channels().await.expect("read") {
            let event = event("channel.delete");
            assert_eq!(store.delete_alert_channel(row.id, event).await.expect("deleted"), Deleted::Done);
        }
    }
    store.close().await;
}

pub(crate) async fn the_delivery_log_keeps_the_newest(place: &Place) {
    let store = place.open().await;
    let (a, b) = (channel(&store, "a").await, channel(&store, "b").await);
    let entry = |channel, number: u32| LogEntry {
        id: 0,
        channel,
        incident: None,
        at: at(u64::from(number)),
        event: "test".into(),
        result: "sent".into(),
        detail: String::new(),
        took_ms: number,
    };
    for number in 0..LOG_MAX + 5 {
        store.log_delivery(entry(a, number), event("x")).await.expect("kept");
    }
    store.log_delivery(entry(b, 1), event("x")).await.expect("kept");
    store.log_delivery(entry(b + 99, 1), event("x")).await.expect("of nobody, and left out");
    let all = store.delivery_log(a, None, 5_000).await.expect("read");
    assert_eq!((all.len(), all[0].0.took_ms, all.last().map(|(entry, _)| entry.took_ms)), (1_000, 1_004, Some(5)));
    let page = store.delivery_log(a, Some(all[9].0.id), 3).await.expect("read");
    assert_eq!(page, all[10..13]);
    assert_eq!(store.delivery_log(b, None, 5).await.expect("read").len(), 1);
    store.delete_alert_channel(a, event("x")).await.expect("gone");
    assert!(store.delivery_log(a, None, 5).await.expect("read").is_empty());
    store.close().await;
}
