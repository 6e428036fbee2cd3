//! The log of who did what.

use crate::alerts::{channel, incident};
use crate::common::T0;
use crate::rungs::Place;
use crate::world::{event, take_lease};
use aggregator::audit_log::{Chain, Entry, Event, Query};
use aggregator::guard::Role;
use aggregator::scope::Scopes;
use aggregator::store::alerts::{ChannelWish, Commit, Definition, Deleted, Kind, LogEntry, Put};
use aggregator::store::{ApiToken, Changed, Invitation, Kept, Maker, Owner, ReplicaId, Store, UserChange, UserRow};
use everypath_protocol::time::{Span, UnixTime};

async fn chain(store: &Store) -> Vec<Entry> {
    let mut entries = Vec::new();
    // Small pages, so that there are several.
    loop {
        let last = entries.last().map_or(0, |entry: &Entry| entry.id);
        let page = store.log_behind(last, 7).await.expect("readable");
        if page.is_empty() {
            break;
        }
        entries.extend(page);
    }
    let mut chain = Chain::default();
    entries.iter().try_for_each(|entry| chain.follow(entry)).expect("whole");
    entries
}

fn at(number: u64) -> Event {
    let at = T0.plus(Span::seconds(number));
    let event = Event { at, ..event(if number.is_multiple_of(2) { "user.create" } else { "userland" }) };
    Event { actor: format!("n{}", number % 3), subject: "“é\u{1f980}'\"\n".to_owned(), ..event }
}

pub(crate) async fn the_log_is_one_chain(place: &Place) {
    let store = place.open().await;
    // Where several may write at once, several do. A server of the community edition may be one that has one session.
    let is_shared = ["postgres", "timescale_apache"].contains(&place.rung());
    let other = if is_shared { Some(place.open_as(ReplicaId(2)).await) } else { None };
    let stores = [&store, other.as_ref().unwrap_or(&store)];
    let many = (0..40).map(|number: u64| stores[usize::try_from(number % 2).expect("small")].log(at(number)));
    for logged in futures::future::join_all(many).await {
        logged.expect("logged");
    }
    let entries = chain(&store).await;
    assert_eq!(entries.iter().map(|entry| entry.id).collect::<Vec<_>>(), (1..=40).collect::<Vec<_>>());
    assert_eq!(entries[0].subject, "“é\u{1f980}'\"\n", "text comes back as it went");

    let ids = async |query: Query| -> Vec<i64> {
        store.log_entries(query).await.expect("readable").into_iter().map(|entry| entry.id).collect()
    };
    let all = Query::newest(500);
    assert_eq!(ids(Query { limit: 3, ..all.clone() }).await, [40, 39, 38]);
    assert_eq!(ids(Query { limit: 2, before: 39, ..all.clone() }).await, [38, 37]);
    let count = async |query| ids(query).await.len();
    assert_eq!(count(Query { actor: Some("n0".into()), ..all.clone() }).await, 14);
    assert_eq!(count(Query { action: Some("user".into()), ..all.clone() }).await, 20, "a kind, not what begins alike");
    assert_eq!(count(Query { action: Some("user.create".into()), ..all.clone() }).await, 20);
    let (from, to) = (T0.plus(Span::seconds(10)), T0.plus(Span::seconds(20)));
    assert_eq!(count(Query { from, to, ..all.clone() }).await, 10);
    assert_eq!(count(Query { to: UnixTime(i64::MIN), ..all }).await, 0);
    for store in [Some(&store), other.as_ref()].into_iter().flatten() {
        store.close().await;
    }
}

/// Every change adds one entry, and what was not done adds none.
pub(crate) async fn nothing_is_done_that_is_not_logged(place: &Place) {
    let store = place.open().await;
    let count = async || store.log_entries(Query::newest(500)).await.expect("readable").len();
    let user = |name: &str| UserRow::new(name.to_owned(), Role::Admin, T0);
    let invitation = |number| Invitation { hash: [number; 32], created_at: T0, expires_at: T0.plus(Span::seconds(9)) };
    let token = |number| ApiToken {
        hash: [number; 32],
        name: "t".into(),
        role: Role::Viewer,
        scopes: Scopes::default(),
        created_at: T0,
        created_by: String::new(),
        owner: Owner::Host,
        expires_at: None,
        last_used_at: None,
    };
    let change = UserChange { role: Some(Role::Viewer), disabled: None };
    assert!(store.create_user(user("a"), invitation(1), event("a")).await.expect("stored"));
    assert_eq!(count().await, 1);
    assert!(!store.create_user(user("a"), invitation(2), event("a")).await.expect("answered"));
    assert!(store.first_admin(user("a"), None, event("b")).await.expect("stored"));
    assert_eq!(count().await, 2);
    assert_eq!(store.change_user("b", None, change, event("c")).await.expect("answered"), Changed::Unknown);
    assert_eq!(store.invite("b", None, invitation(3), event("c")).await.expect("answered"), Changed::Unknown);
    assert_eq!(store.invite("a", None, invitation(4), event("c")).await.expect("answered"), Changed::Done);
    assert_eq!(count().await, 3);
    assert_eq!(store.create_api_token(token(1), Maker::Host, false, event("d")).await.expect("stored"), Kept::Done);
    assert_eq!(
        store.create_api_token(token(2), Maker::Host, false, event("d")).await.expect("answered"),
        Kept::NameTaken
    );
    assert!(!store.delete_api_token("u", event("d")).await.expect("answered"));
    assert!(!store.delete_session([9; 32], event("d")).await.expect("answered"));
    assert_eq!(count().await, 4);
    assert!(store.delete_api_token("t", event("e")).await.expect("deleted"));
    let actions: Vec<_> = chain(&store).await.into_iter().map(|entry| entry.action).collect();
    assert_eq!(actions, ["a", "b", "c", "d", "e"]);
    store.close().await;
}

/// The same of what people are told of.
pub(crate) async fn no_alert_is_changed_that_is_not_logged(place: &Place) {
    let store = place.open().await;
    let ack = || Some(("me".to_owned(), T0, String::new()));
    let lease = take_lease(&store, 1).await;
    let commit = Commit { incidents: vec![incident(1, 1, None), incident(2, 1, Some(2))], ..Commit::default() };
    store.alert_commit(lease, commit, T0).await.expect("kept");
    assert!(store.acknowledge([1; 16], ack(), event("a")).await.expect("asked"));
    assert!(!store.acknowledge([2; 16], ack(), event("a")).await.expect("asked"), "it is over");
    assert!(store.acknowledge([1; 16], None, event("b")).await.expect("asked"));

    let mut expected = vec![("a".to_owned(), String::new()), ("b".to_owned(), String::new())];
    let mut kept = |action: &str, id: i64| expected.push((action.to_owned(), id.to_string()));
    for kind in [Kind::Rule, Kind::Silence] {
        let until = T0.plus(Span::seconds(60));
        let put = async |replaces, most, action| {
            let wish = Definition { replaces, definition: "{}".into(), until, by: "me".into(), now: T0 };
            store.put_alert_definition(kind, wish, most, event(action)).await.expect("asked")
        };
        let Put::Kept(id) = put(None, 9, "c").await else { panic!("there is room") };
        kept("c", id);
        assert_eq!(put(None, 0, "x").await, Put::Full);
        assert_eq!(put(Some((id, 1)), 9, "d").await, Put::Kept(id));
        kept("d", id);
        assert_eq!(put(Some((id, 1)), 9, "x").await, Put::Changed);
        assert_eq!(put(Some((id + 99, 1)), 9, "x").await, Put::Missing);
        assert!(!store.delete_alert_definition(kind, id + 99, event("x")).await.expect("asked"));
        let deleted = store.delete_alert_definition(kind, id, event("e").numbered(id));
        assert!(deleted.await.expect("asked"));
        kept("e", id);
    }

    let (one, other) = (channel(&store, "one").await, channel(&store, "other").await);
    kept("x", one);
    kept("x", other);
    let put = async |name: &str, replaces, action| {
        let (name, definition, by) = (name.to_owned(), "{}".to_owned(), "me".to_owned());
        let wish = ChannelWish {
            replaces,
            name,
            definition,
            sealed: None,
            is_enabled: true,
            takes_reports: true,
            by,
            now: T0,
        };
        store.put_alert_channel(wish, 2, event(action)).await.expect("asked")
    };
    assert_eq!(put("one", Some((other, 1)), "x").await, Put::NameTaken);
    assert_eq!(put("third", None, "x").await, Put::Full);
    assert_eq!(put("two", Some((one, 1)), "f").await, Put::Kept(one));
    kept("f", one);
    let (event_name, result) = ("test".to_owned(), "sent".to_owned());
    let entry = LogEntry {
        id: 0,
        channel: one,
        incident: None,
        at: T0,
        event: event_name,
        result,
        detail: String::new(),
        took_ms: 1,
    };
    store.log_delivery(entry, event("g").numbered(one)).await.expect("kept");
    kept("g", one);
    assert_eq!(store.delete_alert_channel(other + 99, event("x")).await.expect("asked"), Deleted::Missing);
    assert_eq!(store.delete_alert_channel(one, event("h").numbered(one)).await.expect("asked"), Deleted::Done);
    kept("h", one);
    let logged: Vec<_> = chain(&store).await.into_iter().map(|entry| (entry.action, entry.subject)).collect();
    assert_eq!(logged, expected);
    store.close().await;
}
