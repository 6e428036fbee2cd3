//! Accounts, sessions, API tokens and attempts to log in.

use crate::common::T0;
use crate::rungs::Place;
use crate::world::event;
use aggregator::audit_log::{Event, Query};
use aggregator::guard::Role;
use aggregator::scope::{Scope, Scopes};
use aggregator::store::{
    API_TOKENS_MAX, ApiToken, Changed, Invitation, Kept, LoginLimits, Maker, Owner, SessionRow, Store, Sweep,
    UserChange, UserRow,
};
use everypath_protocol::time::{Span, UnixTime};

const LATER: UnixTime = UnixTime(T0.0 + 60_000_000);

const fn invitation(number: u8, expires_at: UnixTime) -> Invitation {
    Invitation { hash: [number; 32], created_at: T0, expires_at }
}

fn row(name: &str, role: Role) -> UserRow {
    UserRow::new(name.to_owned(), role, T0)
}

fn session(number: u8, name: &str, role: Role) -> SessionRow {
    SessionRow { hash: [number; 32], user: name.to_owned(), role, created_at: T0, seen_at: T0 }
}

/// An account with the password `phc`, and no session.
async fn account(store: &Store, name: &str, role: Role) {
    assert!(store.create_user(row(name, role), invitation(255, LATER), event("user.create")).await.expect("stored"));
    let redeemed =
        store.redeem_invitation([255; 32], "phc".into(), session(255, name, role), "a", event("redeem")).await;
    assert!(redeemed.expect("stored"));
    assert!(store.delete_session([255; 32], event("session.delete")).await.expect("deleted"));
}

async fn names(store: &Store) -> Vec<String> {
    store.users(T0).await.expect("readable").into_iter().map(|user| user.name).collect()
}

pub(crate) async fn an_account_has_a_life(place: &Place) {
    let store = place.open().await;
    account(&store, "root", Role::Admin).await;
    let create = async |name: &str, number| {
        let made = store.create_user(row(name, Role::Viewer), invitation(number, LATER), event("user.create"));
        made.await.expect("stored")
    };
    assert!(create("ada", 1).await && create("Zoë", 2).await);
    assert!(!create("ada", 3).await, "the name is taken");
    assert_eq!(store.invited([3; 32], T0).await.expect("readable"), None, "and the link is nobody's");
    assert_eq!(names(&store).await, ["Zoë", "ada", "root"], "by bytes, on every database");
    let ada = async || store.user("ada").await.expect("readable").expect("there");
    assert_eq!(ada().await, row("ada", Role::Viewer));
    let listed = store.users(T0).await.expect("readable");
    assert_eq!((listed[1].invited_until, listed[2].invited_until), (Some(LATER), None));
    assert_eq!(store.users(LATER).await.expect("readable")[1].invited_until, None, "it has ended");

    let change =
        async |name: &str, change| store.change_user(name, None, change, event("user.change")).await.expect("answered");
    let role = |role| UserChange { role: Some(role), disabled: None };
    let disabled = |disabled| UserChange { role: None, disabled: Some(disabled) };
    assert_eq!(change("ada", role(Role::Operator)).await, Changed::Done);
    assert_eq!(ada().await.role, Role::Operator);
    // Whoever may manage viewers looked at a viewer, and it is none any more.
    let seen = Some(Role::Viewer);
    let late = store.change_user("ada", seen, disabled(true), event("user.change")).await.expect("answered");
    assert_eq!((late, ada().await.disabled_at), (Changed::Meanwhile, None));
    let late = store.invite("ada", seen, invitation(9, LATER), event("user.invite")).await.expect("answered");
    assert_eq!((late, store.invited([9; 32], T0).await.expect("readable")), (Changed::Meanwhile, None));
    assert_eq!(store.delete_user("ada", seen, event("user.delete")).await.expect("answered"), Changed::Meanwhile);
    assert_eq!(change("nobody", role(Role::Admin)).await, Changed::Unknown);
    assert_eq!(change("root", role(Role::Viewer)).await, Changed::LastAdmin);
    assert_eq!(change("root", disabled(true)).await, Changed::LastAdmin);
    assert_eq!(store.delete_user("root", None, event("user.delete")).await.expect("answered"), Changed::LastAdmin);
    assert_eq!(change("ada", role(Role::Admin)).await, Changed::Done);
    assert_eq!(change("root", role(Role::Viewer)).await, Changed::LastAdmin, "nobody has chosen ada's password yet");
    assert_eq!(change("ada", disabled(true)).await, Changed::Done);
    assert_eq!(ada().await.disabled_at, Some(T0));
    assert_eq!(store.invited([1; 32], T0).await.expect("readable"), None, "its link ended with it");
    let invite = store.invite("ada", None, invitation(4, LATER), event("user.invite")).await;
    assert_eq!(invite.expect("answered"), Changed::Disabled);
    assert_eq!(change("ada", disabled(false)).await, Changed::Done);
    assert_eq!(ada().await.disabled_at, None);
    assert_eq!(store.delete_user("ada", None, event("user.delete")).await.expect("answered"), Changed::Done);
    assert_eq!(store.delete_user("ada", None, event("user.delete")).await.expect("answered"), Changed::Unknown);
    assert_eq!(names(&store).await, ["Zoë", "root"]);
    store.close().await;
}

/// Two administrators who demote each other at the same moment: one of them stays.
async fn one_administrator_stays(store: &Store) {
    account(store, "ada", Role::Admin).await;
    let demote = |name: &'static str| {
        let change = UserChange { role: Some(Role::Viewer), disabled: None };
        store.change_user(name, None, change, event("user.change"))
    };
    let (one, other) = futures::future::join(demote("admin"), demote("ada")).await;
    let both = [one.expect("answered"), other.expect("answered")];
    assert!(both.contains(&Changed::Done) && both.contains(&Changed::LastAdmin), "{both:?}");
}

pub(crate) async fn the_first_administrator_is_made_until_somebody_is_in(place: &Place) {
    let store = place.open().await;
    let first = async |invitation| {
        store.first_admin(row("admin", Role::Admin), invitation, event("user.first")).await.expect("answered")
    };
    assert!(!store.has_admin().await.expect("readable"));
    for number in 1..=20 {
        let newer = T0.plus(Span::seconds(u64::from(number)));
        assert!(first(Some(Invitation { created_at: newer, ..invitation(number, LATER) })).await);
    }
    assert!(!store.has_admin().await.expect("readable"), "nobody can get in yet");
    assert_eq!(store.invited([4; 32], T0).await.expect("readable"), None, "only so many links are good at a time");
    for number in [5, 20] {
        assert_eq!(store.invited([number; 32], T0).await.expect("readable").as_deref(), Some("admin"));
    }
    let redeem = async |number: u8| {
        let begun = session(number, "admin", Role::Admin);
        store.redeem_invitation([number; 32], "phc".into(), begun, "a", event("redeem")).await.expect("answered")
    };
    assert!(redeem(7).await);
    assert!(!redeem(20).await, "the first that is used ends all of them");
    assert!(store.has_admin().await.expect("readable"));
    assert!(!first(Some(invitation(30, LATER))).await && !first(None).await);
    one_administrator_stays(&store).await;
    store.close().await;
}

pub(crate) async fn an_invitation_is_good_once(place: &Place) {
    let store = place.open().await;
    // A preset password ends the links that were shown before it.
    let preset =
        |password: Option<&str>| UserRow { password: password.map(str::to_owned), ..row("admin", Role::Admin) };
    let first = store.first_admin(preset(None), Some(invitation(1, LATER)), event("user.first")).await;
    assert!(first.expect("stored"));
    assert!(store.first_admin(preset(Some("chosen")), None, event("user.first")).await.expect("stored"));
    assert_eq!(store.invited([1; 32], T0).await.expect("readable"), None);
    let password = async || store.user("admin").await.expect("readable").expect("there").password;
    assert_eq!(password().await.as_deref(), Some("chosen"));

    let invite = async |number| {
        let invited = store.invite("admin", None, invitation(number, LATER), event("user.invite")).await;
        assert_eq!(invited.expect("answered"), Changed::Done);
    };
    invite(2).await;
    invite(3).await;
    let redeem = async |number: u8, at: UnixTime, session_number| {
        let begun = session(session_number, "admin", Role::Admin);
        let event = Event { at, ..event("redeem") };
        store.redeem_invitation([number; 32], format!("by {number}"), begun, "a", event).await.expect("answered")
    };
    assert!(!redeem(2, T0, 1).await, "a newer link ends the older one");
    assert!(!redeem(3, LATER, 1).await, "too late");
    assert_eq!(password().await.as_deref(), Some("chosen"), "nothing was done");
    let both = futures::future::join(redeem(3, T0, 8), redeem(3, T0, 9)).await;
    assert_ne!(both.0, both.1, "of two at the same moment one gets in");
    assert_eq!(password().await.as_deref(), Some("by 3"));
    let sessions = [store.session([8; 32]).await, store.session([9; 32]).await];
    assert_eq!(sessions.into_iter().filter(|session| matches!(session, Ok(Some(_)))).count(), 1);
    // Whoever holds the link of a viewer must not come in as what the viewer became.
    account(&store, "root", Role::Admin).await;
    invite(5).await;
    let promoted = UserChange { role: Some(Role::Operator), disabled: None };
    assert_eq!(
        store.change_user("admin", None, promoted, event("user.change")).await.expect("answered"),
        Changed::Done
    );
    assert!(!redeem(5, T0, 10).await, "a change of the role ends the links");
    assert_eq!(
        store.invite("nobody", None, invitation(4, LATER), event("x")).await.expect("answered"),
        Changed::Unknown
    );
    store.close().await;
}

pub(crate) async fn sessions_end_with_what_they_were_made_of(place: &Place) {
    let store = place.open().await;
    account(&store, "root", Role::Admin).await;
    account(&store, "ada", Role::Viewer).await;
    let begin = async |number: u8, password: &str| {
        let begun = session(number, "ada", Role::Viewer);
        store.create_session(begun, password.to_owned(), "a", event("session.create")).await.expect("answered")
    };
    let is_there = async |number: u8| store.session([number; 32]).await.expect("readable").is_some();
    assert!(begin(1, "phc").await && begin(2, "phc").await);
    assert!(!begin(3, "older").await, "the password was changed while it was checked");
    let mut one = store.session([1; 32]).await.expect("readable").expect("there");
    assert_eq!(one, session(1, "ada", Role::Viewer));
    assert_eq!(store.user("ada").await.expect("readable").expect("there").last_login_at, Some(T0));
    one.seen_at = T0.plus(Span::seconds(5));
    store.touch_session([1; 32], one.seen_at).await.expect("stored");
    assert_eq!(store.session([1; 32]).await.expect("readable"), Some(one.clone()));
    let sweep = Sweep { sessions: one.seen_at, attempts: T0, addresses: T0, invitations: T0 };
    store.sweep_people(sweep).await.expect("swept");
    assert!(is_there(1).await && !is_there(2).await, "only what was not used goes");

    let set = async |old: &str, new: &str, keep: u8| {
        store.set_password("ada", old.into(), new.into(), [keep; 32], event("password.change")).await.expect("answered")
    };
    assert!(begin(4, "phc").await);
    assert!(!set("other", "new", 1).await && is_there(4).await);
    assert!(set("phc", "new", 1).await);
    assert!(is_there(1).await && !is_there(4).await, "all but one's own");
    let change = async |change| {
        let changed = store.change_user("ada", None, change, event("user.change")).await;
        assert_eq!(changed.expect("answered"), Changed::Done);
    };
    change(UserChange { role: Some(Role::Viewer), disabled: Some(false) }).await;
    assert!(is_there(1).await, "what changes nothing throws nobody out");
    change(UserChange { role: Some(Role::Operator), disabled: None }).await;
    assert!(!is_there(1).await, "a role that changed");
    assert!(begin(5, "new").await);
    change(UserChange { role: None, disabled: Some(true) }).await;
    assert!(!is_there(5).await && !begin(6, "new").await, "an account that is disabled");
    change(UserChange { role: None, disabled: Some(false) }).await;
    assert!(!is_there(5).await && begin(7, "new").await, "enabled again it begins anew");
    assert!(store.delete_session([7; 32], event("session.delete")).await.expect("deleted"));
    assert!(!store.delete_session([7; 32], event("session.delete")).await.expect("answered"));
    for number in 0..=100 {
        let begun =
            SessionRow { seen_at: T0.plus(Span::seconds(number.into())), ..session(number + 10, "ada", Role::Viewer) };
        assert!(store.create_session(begun, "new".into(), "a", event("session.create")).await.expect("answered"));
    }
    assert!(!is_there(10).await && is_there(11).await && is_there(110).await, "a hundred at a time");
    store.delete_user("ada", None, event("user.delete")).await.expect("deleted");
    assert!(!is_there(110).await, "an account that is gone");
    store.close().await;
}

pub(crate) async fn api_tokens_are_kept_by_name(place: &Place) {
    let store = place.open().await;
    let token = ApiToken {
        hash: [2; 32],
        name: "e2e".into(),
        role: Role::Viewer,
        scopes: Scopes::new([Scope::Read, Scope::Join]),
        created_at: T0,
        created_by: String::new(),
        owner: Owner::Host,
        expires_at: Some(LATER),
        last_used_at: None,
    };
    let create = async |token: &ApiToken, replace| {
        let kept = store.create_api_token(token.clone(), Maker::Host, replace, event("api_token.create")).await;
        kept.expect("answered") == Kept::Done
    };
    let read = async |number| store.api_token([number; 32]).await.expect("readable");
    assert!(create(&token, false).await);
    assert_eq!(read(2).await, Some(token.clone()));
    let other = ApiToken { hash: [3; 32], scopes: Scopes::default(), expires_at: None, ..token.clone() };
    assert!(!create(&other, false).await && read(2).await.is_some(), "the name is taken");
    store.touch_api_token([2; 32], LATER).await.expect("stored");
    assert_eq!(read(2).await.expect("there").last_used_at, Some(LATER));
    assert!(create(&other, true).await);
    assert_eq!((read(2).await, read(3).await), (None, Some(other.clone())), "what was before opens nothing");
    assert!(create(&ApiToken { hash: [4; 32], name: "Z".into(), ..token }, false).await);
    let names: Vec<_> = store.api_tokens().await.expect("readable").into_iter().map(|token| token.name).collect();
    assert_eq!(names, ["Z", "e2e"]);
    assert!(store.delete_api_token("e2e", event("api_token.delete")).await.expect("deleted"));
    assert!(!store.delete_api_token("e2e", event("api_token.delete")).await.expect("answered"));
    assert_eq!(read(3).await, None);
    store.close().await;
}

/// A name is nobody: whoever gets it later must not get the tokens of whoever had it.
pub(crate) async fn api_tokens_belong_to_an_account(place: &Place) {
    let store = place.open().await;
    account(&store, "root", Role::Admin).await;
    account(&store, "ada", Role::Admin).await;
    assert!(
        store
            .create_session(session(1, "ada", Role::Admin), "phc".into(), "a", event("session.create"))
            .await
            .expect("stored")
    );
    let token = |number, name: &str| ApiToken {
        hash: [number; 32],
        name: name.into(),
        role: Role::Admin,
        scopes: Scopes::default(),
        created_at: T0,
        created_by: String::new(),
        owner: Owner::Host,
        expires_at: None,
        last_used_at: None,
    };
    let create = async |number, name: &str, by| {
        store.create_api_token(token(number, name), by, true, event("api_token.create")).await.expect("answered")
    };
    let owner = async |number| store.api_token([number; 32]).await.expect("readable").map(|token| token.owner);
    assert_eq!(create(2, "of-ada", Maker::Session([1; 32])).await, Kept::Done);
    assert_eq!(create(3, "ada", Maker::Host).await, Kept::Done, "a token may be called as an account is");
    assert_eq!(create(4, "of-nobody", Maker::Session([9; 32])).await, Kept::SessionOver);
    assert_eq!((owner(2).await, owner(3).await), (Some(Owner::Person(Role::Admin)), Some(Owner::Host)));
    let kept = store.api_token([2; 32]).await.expect("readable").expect("there");
    assert_eq!((kept.created_by.as_str(), kept.role_at(T0)), ("ada", Some(Role::Admin)));
    let change = async |change| {
        let changed = store.change_user("ada", None, change, event("user.change")).await;
        assert_eq!(changed.expect("answered"), Changed::Done);
    };
    change(UserChange { role: Some(Role::Viewer), disabled: None }).await;
    assert_eq!(owner(2).await, Some(Owner::Person(Role::Viewer)));
    assert_eq!(create(4, "late", Maker::Session([1; 32])).await, Kept::SessionOver, "its session ended with its role");
    change(UserChange { role: None, disabled: Some(true) }).await;
    assert_eq!(owner(2).await, Some(Owner::Gone));
    assert_eq!(store.api_tokens().await.expect("readable").len(), 2);
    store.delete_user("ada", None, event("user.delete")).await.expect("deleted");
    let log: Vec<_> = store.log_entries(Query::newest(2)).await.expect("readable");
    let said: Vec<_> = log.iter().map(|entry| (entry.action.as_str(), entry.subject.as_str())).collect();
    assert_eq!(said[1], ("api_token.delete", "of-ada"));
    assert_eq!(said[0].0, "user.delete");
    account(&store, "ada", Role::Admin).await;
    assert_eq!((owner(2).await, owner(3).await), (None, Some(Owner::Host)), "somebody else has the name now");
    store.close().await;
}

/// Nothing that an administrator's program does over and over may fill the table.
pub(crate) async fn api_tokens_are_limited_in_number(place: &Place) {
    let store = place.open().await;
    let create = async |number: u32, replace| {
        let mut hash = [0; 32];
        hash[..4].copy_from_slice(&number.to_be_bytes());
        let token = ApiToken {
            hash,
            name: format!("t{}", number.min(API_TOKENS_MAX)),
            role: Role::Viewer,
            scopes: Scopes::default(),
            created_at: T0,
            created_by: String::new(),
            owner: Owner::Host,
            expires_at: None,
            last_used_at: None,
        };
        store.create_api_token(token, Maker::Host, replace, event("api_token.create")).await.expect("answered")
    };
    for number in 0..API_TOKENS_MAX - 1 {
        assert_eq!(create(number, false).await, Kept::Done);
    }
    assert_eq!(create(API_TOKENS_MAX, false).await, Kept::Done);
    assert_eq!(create(API_TOKENS_MAX - 1, false).await, Kept::TooMany);
    assert_eq!(create(API_TOKENS_MAX + 1, false).await, Kept::NameTaken);
    assert_eq!(create(API_TOKENS_MAX + 1, true).await, Kept::Done, "in the place of another");
    store.close().await;
}

const LIMITS: LoginLimits = LoginLimits {
    period: Span::seconds(900),
    per_account: 3,
    per_address: 5,
    everywhere: 100,
    pause: Span::seconds(20),
};

pub(crate) async fn attempts_to_log_in_are_counted(place: &Place) {
    let store = place.open().await;
    account(&store, "admin", Role::Admin).await;
    let attempt_as = async |name: &str, address: &str, now: UnixTime| {
        store.begin_login(name, address, now, LIMITS).await.expect("counted")
    };
    let attempt = async |address: &str, seconds| attempt_as("admin", address, T0.plus(Span::seconds(seconds))).await;
    for second in 0..3 {
        assert_eq!(attempt("b", second).await, None);
    }
    assert_eq!(attempt("b", 10).await, Some(Span::seconds(890)));
    assert_eq!(attempt("c", 0).await, None, "another address is another matter");
    assert_eq!(attempt("b", 900).await, None, "the oldest no longer counts");
    let begun = session(4, "admin", Role::Admin);
    assert!(store.create_session(begun, "phc".into(), "b", event("session.create")).await.expect("stored"));
    assert_eq!(attempt("b", 901).await, None, "a login forgets the attempts");
    for name in ["n0", "n1", "n2", "n3", "n4"] {
        assert_eq!(attempt_as(name, "d", T0).await, None);
    }
    assert_eq!(attempt_as("n5", "d", T0).await, Some(LIMITS.period), "whatever the name");
    assert_eq!(attempt_as("n5", "e", T0).await, None);
    // All at once, as a program does it.
    let many = (0..9).map(|_| attempt_as("x", "f", T0));
    let allowed = futures::future::join_all(many).await.into_iter().filter(Option::is_none).count();
    assert_eq!(allowed, 3);
    store.close().await;
}

/// Whoever knows a name and has many addresses could keep its owner out for ever, if only names were limited.
pub(crate) async fn guesses_from_everywhere_do_not_keep_the_owner_out(place: &Place) {
    let store = place.open().await;
    account(&store, "admin", Role::Admin).await;
    let limits = LoginLimits { everywhere: 10, ..LIMITS };
    let attempt = async |address: &str, seconds| {
        store.begin_login("admin", address, T0.plus(Span::seconds(seconds)), limits).await.expect("counted")
    };
    for number in 0..10_u64 {
        assert_eq!(attempt(&format!("bot-{number}"), number).await, None);
    }
    assert_eq!(attempt("bot-10", 10).await, Some(Span::seconds(19)), "one at a time from here on");
    assert_eq!(attempt("a", 10).await, None, "the owner logged in from there before");
    assert_eq!(attempt("bot-11", 31).await, None);
    assert_eq!(attempt("bot-12", 32).await, Some(Span::seconds(19)));
    assert_eq!(attempt("bot-13", 3_600).await, None, "when it is over, it is over");
    store.close().await;
}
