//! Tokens for programs.

use super::session::hash;
use crate::app::App;
use crate::audit_log::Event;
use crate::guard::{Actor, Role};
use crate::random;
use crate::scope::Scopes;
use crate::store::{ApiToken, Store, StoreError};
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
    /// Who makes it; empty on the command line.
    pub made_by: String,
}

/// Makes an API token and returns its secret; nothing if there is one of that name that is not to be replaced. What the token
/// may do is added to `event`.
///
/// # Errors
/// [`StoreError`].
pub async fn create_api_token(
    store: &Store,
    wish: Wish,
    replace: bool,
    event: Event,
) -> Result<Option<String>, StoreError> {
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
        created_by: wish.made_by,
        expires_at: wish.expires_at,
        last_used_at: None,
    };
    let made = store.create_api_token(token, replace, event.detail(&detail)).await?;
    Ok(made.then_some(secret))
}

/// Who holds an API token, if it has not ended.
pub(super) async fn by_api_token(app: &App, secret: &str) -> Result<Option<Actor>, StoreError> {
    if !secret.starts_with(PREFIX) {
        return Ok(None);
    }
    let Some(token) = app.store.api_token(hash(secret)).await? else { return Ok(None) };
    let now = app.now();
    if token.expires_at.is_some_and(|end| end <= now) {
        return Ok(None);
    }
    if token.last_used_at.is_none_or(|used| now.since(used) > TOUCH_EVERY) {
        app.store.touch_api_token(token.hash, now).await?;
    }
    Ok(Some(Actor::Token { name: token.name, role: token.role, scopes: token.scopes }))
}
