//! When reports are sent, and that each is sent.

use crate::alerts::channel;
use crate::common::T0;
use crate::lease::{ONE, TWO};
use crate::rungs::Place;
use crate::world::{LONG, event};
use aggregator::store::alerts::{
    ChannelWish, Deleted, DueReport, LogEntry, Put, ReportDone, ScheduleDecision, ScheduleWish, SentNow,
};
use aggregator::store::{Lease, ReplicaId, Store, StoreError};
use aggregator_core::alert::retry::{Fate, Pause};
use everypath_protocol::time::{Span, UnixTime};

const HOLD: Span = Span::seconds(120);

fn at(seconds: u64) -> UnixTime {
    T0.plus(Span::seconds(seconds))
}

fn wish(name: &str, channel: i64, replaces: Option<(i64, i64)>) -> ScheduleWish {
    ScheduleWish {
        replaces,
        name: name.into(),
        definition: "{}".into(),
        channel,
        is_enabled: true,
        decided: replaces.is_none().then_some(at(0)),
        by: "me".into(),
        now: T0,
    }
}

async fn made(store: &Store, name: &str, channel: i64) -> i64 {
    let Put::Kept(id) = store.put_schedule(wish(name, channel, None), 9, event("x")).await.expect("kept") else {
        panic!("there is room")
    };
    id
}

pub(crate) async fn schedules_have_versions_and_limits(place: &Place) {
    let store = place.open().await;
    let (seven, eight) = (channel(&store, "seven").await, channel(&store, "eight").await);
    let (a, b) = (made(&store, "a", seven).await, made(&store, "b", seven).await);
    let row = store.schedules().await.expect("read").remove(0);
    assert_eq!((row.id, row.name.as_str(), row.channel, row.is_enabled, row.version), (a, "a", seven, true, 1));
    assert_eq!((row.decided, row.last, row.changed_by.as_str()), (at(0), None, "me"));
    let put = async |wish, most| store.put_schedule(wish, most, event("x")).await.expect("asked");
    assert_eq!(put(wish("b", seven, Some((a, 1))), 9).await, Put::NameTaken);
    assert_eq!(put(wish("b", seven, None), 9).await, Put::NameTaken);
    assert_eq!(put(ScheduleWish { is_enabled: false, ..wish("c", eight, Some((a, 1))) }, 9).await, Put::Kept(a));
    assert_eq!(put(wish("c", eight, Some((a, 1))), 9).await, Put::Changed);
    assert_eq!(put(wish("d", eight + 99, None), 9).await, Put::Changed, "that channel went");
    assert_eq!(put(wish("d", eight, Some((b + 99, 1))), 9).await, Put::Missing);
    assert_eq!(put(wish("d", eight, None), 2).await, Put::Full);
    let row = store.schedules().await.expect("read").remove(0);
    assert_eq!((row.name.as_str(), row.channel, row.is_enabled, row.version), ("c", eight, false, 2));
    assert_eq!(row.decided, at(0), "what was decided stays, if nobody says otherwise");
    let reset = ScheduleWish { decided: Some(at(9)), ..wish("c", eight, Some((a, 2))) };
    assert_eq!(put(reset, 9).await, Put::Kept(a));
    assert_eq!(store.schedules().await.expect("read")[0].decided, at(9));
    let delete = async |channel| store.delete_alert_channel(channel, event("x")).await.expect("asked");
    assert_eq!(delete(eight).await, Deleted::InUse(vec!["c".into()]));
    // Nor does it become a channel that takes none.
    let other = |version, takes_reports| ChannelWish {
        replaces: Some((eight, version)),
        name: "eight".into(),
        definition: "{}".into(),
        sealed: None,
        is_enabled: true,
        takes_reports,
        by: "me".into(),
        now: T0,
    };
    let put_channel = async |wish| store.put_alert_channel(wish, 9, event("x")).await.expect("asked");
    assert_eq!(put_channel(other(1, false)).await, Put::InUse(vec!["c".into()]));
    assert_eq!(put_channel(other(1, true)).await, Put::Kept(eight));
    assert!(store.delete_schedule(b, event("x")).await.expect("asked"));
    assert_eq!((delete(seven).await, delete(seven).await), (Deleted::Done, Deleted::Missing));
    assert!(!store.delete_schedule(b, event("x")).await.expect("asked"));
    store.close().await;
}

fn done(due: &DueReport, replica: ReplicaId, fate: Fate, until: UnixTime) -> ReportDone {
    let entry = LogEntry {
        id: 0,
        channel: due.channel,
        incident: None,
        at: at(5),
        event: "report".into(),
        result: "x".into(),
        detail: "y".into(),
        took_ms: 1,
    };
    let pause = Some((Pause { until, failures: 1 }, 1));
    let (schedule, wanted, rests_until) = (due.schedule, due.wanted, UnixTime(0));
    ReportDone { schedule, wanted, replica, fate, pause, rests_until, entry }
}

pub(crate) async fn a_report_is_sent_by_one_and_by_another_if_that_one_is_gone(place: &Place) {
    let store = place.open().await;
    let old = store.lease("jobs", TWO, Span::millis(1)).await.expect("asked").expect("free");
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    let lease = store.lease("jobs", ONE, LONG).await.expect("asked").expect("ended");
    let mail = channel(&store, "mail").await;
    let id = made(&store, "a", mail).await;
    let decision = |decided, send_from: Option<u64>| ScheduleDecision {
        id,
        version: 1,
        decided: at(decided),
        send_from: send_from.map(at),
    };
    let lost = store.decide_schedules(old, vec![decision(100, Some(50))], at(101)).await;
    assert!(matches!(lost, Err(StoreError::LeaseLost)), "{lost:?}");
    let take = async |replica, seconds| store.take_report(replica, at(seconds), HOLD).await.expect("asked");
    assert_eq!(take(ONE, 102).await, None);
    store.decide_schedules(lease, vec![decision(100, Some(50))], at(101)).await.expect("kept");
    let row = store.schedules().await.expect("read").remove(0);
    let last = row.last.expect("one is wanted");
    assert_eq!((row.decided, last.from, last.to, last.decided_at), (at(100), at(50), at(100), at(101)));
    assert!(!last.is_sent && last.failed.is_none());

    let takers = (1..7).map(|number| store.take_report(ReplicaId(number), at(102), HOLD));
    let mut taken: Vec<_> = (1..).zip(futures::future::join_all(takers).await).collect();
    taken.retain(|(_, due)| due.as_ref().expect("asked").is_some());
    assert_eq!(taken.len(), 1, "it is one replica's");
    let holder = ReplicaId(taken[0].0);
    let first = taken.remove(0).1.expect("asked").expect("taken");
    assert_eq!((first.wanted, first.from, first.to, first.wanted_at), (1, at(50), at(100), at(101)));
    // The holder is gone; after its time somebody else gets it, and what the holder notes then counts for nothing.
    assert_eq!(take(ReplicaId(99), 221).await, None);
    let again = take(ReplicaId(99), 223).await.expect("free");
    assert_eq!(again, first);
    assert!(!store.note_report(done(&first, holder, Fate::Told, at(223))).await.expect("noted"));
    // The channel rests.
    assert!(store.note_report(done(&again, ReplicaId(99), Fate::Waits, at(300))).await.expect("noted"));
    assert_eq!(take(ONE, 299).await, None);
    let third = take(ONE, 300).await.expect("it was there again");
    // While it is being sent, the next is due: it takes the place of what was not sent, and is sent itself.
    store.decide_schedules(lease, vec![decision(200, Some(100))], at(301)).await.expect("kept");
    assert!(store.note_report(done(&third, ONE, Fate::GivenUp("no".into()), at(301))).await.expect("noted"));
    let next = take(ONE, 302).await.expect("the next");
    assert_eq!((next.wanted, next.from, next.to), (2, at(100), at(200)));
    assert!(store.note_report(done(&next, ONE, Fate::Told, at(302))).await.expect("noted"));
    assert_eq!(take(ONE, 303).await, None);
    let last = store.schedules().await.expect("read").remove(0).last.expect("there");
    assert!(last.is_sent && last.to == at(200));
    assert_eq!(store.delivery_log(mail, None, 9).await.expect("read").len(), 4);

    // Only a mark that is set back, and one that was given up for good.
    store.decide_schedules(lease, vec![decision(150, None)], at(303)).await.expect("kept");
    assert_eq!((store.schedules().await.expect("read")[0].decided, take(ONE, 304).await), (at(150), None));
    store.decide_schedules(lease, vec![decision(300, Some(200))], at(305)).await.expect("kept");
    let bad = take(ONE, 306).await.expect("due");
    assert!(store.note_report(done(&bad, ONE, Fate::GivenUp("no".into()), at(306))).await.expect("noted"));
    let last = store.schedules().await.expect("read").remove(0).last.expect("there");
    assert_eq!((last.failed.as_deref(), last.is_sent, take(ONE, 999).await), (Some("no"), false, None));

    sent_by_hand(&store, lease, id, done(&bad, ONE, Fate::Told, at(0)).entry).await;
    // Nothing is decided on what somebody changed meanwhile, and nothing is sent of what is off.
    let off = ScheduleWish { is_enabled: false, ..wish("a", mail, Some((id, 1))) };
    store.decide_schedules(lease, vec![decision(400, Some(300))], at(400)).await.expect("kept");
    assert_eq!(store.put_schedule(off, 9, event("x")).await.expect("asked"), Put::Kept(id));
    assert_eq!(take(ONE, 1_000).await, None);
    store.decide_schedules(lease, vec![decision(500, Some(400))], at(500)).await.expect("nothing to keep");
    assert_eq!(store.schedules().await.expect("read")[0].decided, at(400));
    store.close().await;
}

/// What somebody has sent by hand is the last, and nothing waits because of it; what waits stays the last.
async fn sent_by_hand(store: &Store, lease: Lease, id: i64, entry: LogEntry) {
    let due = ScheduleDecision { id, version: 1, decided: at(400), send_from: Some(at(300)) };
    let by_hand = async |seconds, failed: Option<&str>| {
        let entry = LogEntry { at: at(seconds), event: "sent_now".into(), ..entry.clone() };
        let sent = SentNow { schedule: id, from: at(1), to: at(2), failed: failed.map(str::to_owned), entry };
        store.note_sent_now(sent, event("x")).await.expect("noted");
        let last = store.schedules().await.expect("read").remove(0).last.expect("there");
        (last.decided_at, last.is_sent, last.failed)
    };
    assert_eq!(by_hand(400, None).await, (at(400), true, None));
    assert_eq!(by_hand(401, Some("no")).await, (at(401), false, Some("no".into())));
    assert_eq!(store.take_report(ONE, at(999), HOLD).await.expect("asked"), None);
    store.decide_schedules(lease, vec![due], at(402)).await.expect("kept");
    assert_eq!(by_hand(403, None).await, (at(402), false, None));
    assert!(store.take_report(ONE, at(404), HOLD).await.expect("asked").is_some());
}

/// A report that could not be made was tried every five seconds for a day, and what a schedule had missed while it was off was sent
/// when it was turned on again.
pub(crate) async fn a_report_that_cannot_be_made_rests_and_what_was_missed_is_past(place: &Place) {
    let store = place.open().await;
    let lease = store.lease("jobs", ONE, LONG).await.expect("asked").expect("free");
    let mail = channel(&store, "mail").await;
    let id = made(&store, "a", mail).await;
    let take = async |seconds| store.take_report(ONE, at(seconds), HOLD).await.expect("asked");
    let due = |version| ScheduleDecision { id, version, decided: at(100), send_from: Some(at(50)) };
    store.decide_schedules(lease, vec![due(1)], at(101)).await.expect("kept");
    let unmade = take(102).await.expect("due");
    let rests = ReportDone { pause: None, rests_until: at(200), ..done(&unmade, ONE, Fate::Waits, at(0)) };
    assert!(store.note_report(rests).await.expect("noted"));
    assert_eq!(take(199).await, None);
    assert_eq!(store.alert_channels().await.expect("read")[0].failures, 0, "the channel has nothing to do with it");
    let unmade = take(200).await.expect("it rested");
    let given_up = ReportDone { pause: None, ..done(&unmade, ONE, Fate::GivenUp("no".into()), at(0)) };
    assert!(store.note_report(given_up).await.expect("noted"));

    store.decide_schedules(lease, vec![due(1)], at(300)).await.expect("kept");
    let on_again = ScheduleWish { decided: Some(at(400)), ..wish("a", mail, Some((id, 1))) };
    assert_eq!(store.put_schedule(on_again, 9, event("x")).await.expect("asked"), Put::Kept(id));
    assert_eq!(take(401).await, None, "what is past is past");
    store.decide_schedules(lease, vec![due(2)], at(500)).await.expect("kept");
    assert!(take(501).await.is_some());
    store.close().await;
}

/// The same mistake as with messages: read before another replica took it, taken after that one had given it up.
pub(crate) async fn what_was_given_up_meanwhile_is_not_sent(place: &Place) {
    let store = place.open().await;
    let lease = store.lease("jobs", ONE, LONG).await.expect("asked").expect("free");
    let mail = channel(&store, "mail").await;
    let id = made(&store, "a", mail).await;
    for round in 1..=20 {
        let now = at(1_000 * round);
        let decision = ScheduleDecision { id, version: 1, decided: now, send_from: Some(at(1_000 * (round - 1))) };
        store.decide_schedules(lease, vec![decision], now).await.expect("kept");
        let send = async |number: i64| {
            let (replica, mut sent) = (ReplicaId(number), 0);
            for _ in 0..4 {
                if let Some(due) = store.take_report(replica, now, HOLD).await.expect("asked") {
                    sent += 1;
                    let given_up = done(&due, replica, Fate::GivenUp("no".into()), now);
                    assert!(store.note_report(given_up).await.expect("noted"));
                }
            }
            sent
        };
        let sent: u32 = futures::future::join_all((1..=6).map(send)).await.into_iter().sum();
        assert_eq!(sent, 1, "round {round}");
    }
    store.close().await;
}
