//! Tokens for programs. Each belongs to the account of whoever made it, and goes with that, or to the host, if it was made on the
//! command line. No token makes another, so there is nobody else to ask.

use super::identify::Use;
use super::session::hash;
use crate::app::App;
use crate::audit_log::Event;
use crate::guard::{Actor, Role};
use crate::random;
use crate::scope::Scopes;
use crate::store::{ApiToken, Kept, Maker, Owner, Store, StoreError};
use everypath_protocol::time::{Span, UnixTime};
use serde_json::json;

/// What API tokens begin with, so that people and scanners recognise one.
const PREFIX: &str = "epk_";
/// How exactly the last use is noted; a write for every request would be one too many.
const TOUCH_EVERY: Span = Span::seconds(60);

/// A token that is wanted.
#[derive(Clone, Debug)]
pub struct Wish {
    /// What it is for.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// And of that only this.
    pub scopes: Scopes,
    /// When it ends, if it does.
    pub expires_at: Option<UnixTime>,
    /// Who makes it.
    pub by: Maker,
}

/// Makes an API token and returns its secret, or why there is none; one of that name stays, unless it is to be replaced. What the
/// token may do is added to `event`.
///
/// # Errors
/// [`StoreError`].
pub async fn create_api_token(
    store: &Store,
    wish: Wish,
    replace: bool,
    event: Event,
) -> Result<Result<String, Kept>, StoreError> {
    let secret = format!("{PREFIX}{}", random::secret_text());
    let detail = json!({
        "role": wish.role.name(), "scopes": wish.scopes.names(), "expires_at": wish.expires_at.map(crate::clock::rfc3339),
    });
    let token = ApiToken {
        hash: hash(&secret),
        name: wish.name,
        role: wish.role,
        scopes: wish.scopes,
        created_at: event.at,
        created_by: String::new(),
        owner: Owner::Host,
        expires_at: wish.expires_at,
        last_used_at: None,
    };
    let kept = store.create_api_token(token, wish.by, replace, event.detail(&detail)).await?;
    Ok(if kept == Kept::Done { Ok(secret) } else { Err(kept) })
}

/// Who holds an API token, if it has not ended.
pub(super) async fn by_api_token(app: &App, secret: &str, of: Use) -> Result<Option<Actor>, StoreError> {
    if !secret.starts_with(PREFIX) {
        return Ok(None);
    }
    let Some(token) = app.store.api_token(hash(secret)).await? else { return Ok(None) };
    let now = app.now();
    // First, for a token that opens nothing is not in use.
    let Some(role) = token.role_at(now) else { return Ok(None) };
    if of == Use::Noted && token.last_used_at.is_none_or(|used| now.since(used) > TOUCH_EVERY) {
        app.store.touch_api_token(token.hash, now).await?;
    }
    Ok(Some(Actor::Token { name: token.name, role, scopes: token.scopes }))
}
