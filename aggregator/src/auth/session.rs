//! Secrets that people and programs hold, and when they end. Only their SHA-256 is kept.

use crate::app::App;
use crate::guard::{Actor, Role};
use crate::random;
use crate::store::{ApiToken, SessionRow, Store, StoreError, UserRow};
use everypath_protocol::sign::sha256;
use everypath_protocol::time::{Span, UnixTime};

/// Name of the cookie.
pub const COOKIE: &str = "everypath_session";
/// A session that was not used for this long has ended.
const IDLE_MAX: Span = Span::seconds(12 * 3_600);
/// A session ends after this in any case.
const LIFE_MAX: Span = Span::seconds(7 * 24 * 3_600);
/// How exactly the last use is noted; a write for every request would be one too many.
const TOUCH_EVERY: Span = Span::seconds(60);
/// What API tokens begin with, so that people and scanners recognise one.
const API_TOKEN_PREFIX: &str = "epk_";
/// Name of the first account.
const FIRST_USER: &str = "admin";

/// What is kept of a secret.
pub fn hash(secret: &str) -> [u8; 32] {
    sha256(&[secret.as_bytes()])
}

/// Begins a session and returns its secret.
///
/// # Errors
/// [`StoreError`].
pub async fn create_session(app: &App, user: &UserRow, address: &str) -> Result<String, StoreError> {
    let secret = random::secret_text();
    let now = app.now();
    let session =
        SessionRow { hash: hash(&secret), user: user.name.clone(), role: user.role, created_at: now, seen_at: now };
    app.store.create_session(session, address).await?;
    Ok(secret)
}

/// Who holds the secret of a session, if it has not ended.
pub(super) async fn by_session(app: &App, secret: &str) -> Result<Option<Actor>, StoreError> {
    let Some(session) = app.store.session(hash(secret)).await? else { return Ok(None) };
    let now = app.now();
    if now.since(session.seen_at) > IDLE_MAX || now.since(session.created_at) > LIFE_MAX {
        return Ok(None);
    }
    if now.since(session.seen_at) > TOUCH_EVERY {
        app.store.touch_session(session.hash, now).await?;
    }
    Ok(Some(Actor::User { name: session.user, role: session.role }))
}

/// Who holds an API token.
pub(super) async fn by_api_token(app: &App, secret: &str) -> Result<Option<Actor>, StoreError> {
    if !secret.starts_with(API_TOKEN_PREFIX) {
        return Ok(None);
    }
    let found = app.store.api_token(hash(secret)).await?;
    Ok(found.map(|(name, role)| Actor::User { name, role }))
}

/// Makes an API token that may do everything, and returns its secret.
///
/// # Errors
/// [`StoreError`].
pub async fn create_api_token(store: &Store, name: &str, now: UnixTime) -> Result<String, StoreError> {
    let secret = format!("{API_TOKEN_PREFIX}{}", random::secret_text());
    store.create_api_token(ApiToken { hash: hash(&secret), name: name.to_owned(), role: Role::Admin }, now).await?;
    Ok(secret)
}

/// Makes the first account if there is none. Returns its name and the password, which nobody can read later.
///
/// # Errors
/// [`StoreError`].
pub async fn ensure_admin(app: &App, preset: Option<String>) -> Result<Option<(&'static str, String)>, StoreError> {
    if app.store.has_users().await? {
        return Ok(None);
    }
    let password = preset.unwrap_or_else(random::secret_text);
    let hashed = app.passwords.hash(password.clone()).await;
    let user = UserRow { name: FIRST_USER.to_owned(), password: hashed, role: Role::Admin };
    let made = app.store.create_first_user(user, app.now()).await?;
    Ok(made.then_some((FIRST_USER, password)))
}

/// Before these times, sessions and attempts to log in no longer count.
pub fn sweep_limits(now: UnixTime) -> (UnixTime, UnixTime) {
    (now.minus(IDLE_MAX), now.minus(Span::seconds(24 * 3_600)))
}
