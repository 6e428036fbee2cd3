//! Sessions of people: secrets in a cookie, and when they end. Only their SHA-256 is kept.

use super::Listener;
use super::identify::Use;
use crate::app::App;
use crate::guard::{Actor, Role};
use crate::random;
use crate::store::{SessionRow, StoreError, Sweep};
use everypath_protocol::sign::sha256;
use everypath_protocol::time::{Span, UnixTime};

/// Name of the cookie over TLS. A browser lets only this very host set one so named, no neighbour under the same domain.
pub const COOKIE: &str = "__Host-everypath_session";
/// Name of the cookie on loopback, where browsers do not allow the other.
const LOOPBACK_COOKIE: &str = "everypath_session";
/// A session that was not used for this long has ended.
const IDLE_MAX: Span = Span::seconds(12 * 3_600);
/// A session ends after this in any case.
const LIFE_MAX: Span = Span::seconds(7 * 24 * 3_600);
/// How exactly the last use is noted; a write for every request would be one too many.
const TOUCH_EVERY: Span = Span::seconds(60);
const DAY: Span = Span::seconds(24 * 3_600);
/// For how long an account knows an address from which nobody logged in.
const ADDRESS_DAYS: u64 = 90;

/// What is kept of a secret.
pub fn hash(secret: &str) -> [u8; 32] {
    sha256(&[secret.as_bytes()])
}

/// A session that begins at `now`, and its secret.
pub fn new_session(user: &str, role: Role, now: UnixTime) -> (SessionRow, String) {
    let secret = random::secret_text();
    (SessionRow { hash: hash(&secret), user: user.to_owned(), role, created_at: now, seen_at: now }, secret)
}

/// By which name a listener gives and takes the cookie.
pub(super) const fn cookie_name(listener: Listener) -> &'static str {
    match listener {
        Listener::Tls => COOKIE,
        Listener::Loopback => LOOPBACK_COOKIE,
    }
}

/// The header that gives the browser a secret, or takes it away.
pub fn cookie(secret: Option<&str>, listener: Listener) -> String {
    let secure = match listener {
        Listener::Tls => "; Secure",
        Listener::Loopback => "",
    };
    let name = cookie_name(listener);
    let (secret, end) = secret.map_or(("", "; Max-Age=0"), |secret| (secret, ""));
    format!("{name}={secret}; HttpOnly; SameSite=Lax; Path=/{secure}{end}")
}

/// Who holds the secret of a session, if it has not ended.
pub(super) async fn by_session(app: &App, secret: &str, of: Use) -> Result<Option<Actor>, StoreError> {
    let Some(session) = app.store.session(hash(secret)).await? else { return Ok(None) };
    let now = app.now();
    if now.since(session.seen_at) > IDLE_MAX || now.since(session.created_at) > LIFE_MAX {
        return Ok(None);
    }
    if of == Use::Noted && now.since(session.seen_at) > TOUCH_EVERY {
        app.store.touch_session(session.hash, now).await?;
    }
    Ok(Some(Actor::User { name: session.user, role: session.role }))
}

/// Before which times what is kept of people no longer counts.
pub fn sweep_limits(now: UnixTime) -> Sweep {
    let addresses = now.minus(Span::seconds(ADDRESS_DAYS * DAY.as_seconds()));
    Sweep { sessions: now.minus(IDLE_MAX), attempts: now.minus(DAY), addresses, invitations: now }
}
