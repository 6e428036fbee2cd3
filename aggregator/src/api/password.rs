//! Choosing a password: one's own anew, or the first one of an account by the link of an invitation.

use super::session::{Origin, Session, begun, limit};
use super::{ApiError, JsonBody, Problem};
use crate::app::Shared;
use crate::audit_log::Outcome;
use crate::auth::{self, Caller};
use crate::guard::{Action, Actor, Resource, authorize};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use serde::Deserialize;
use utoipa::ToSchema;

/// Under which attempts to redeem are counted; no account has such a name.
const ANY_INVITATION: &str = "/welcome";

/// A secret and what is to be the password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"secret": "Zm9vYmFy…", "password": "correct horse battery staple"}))]
pub struct Redemption {
    /// What stands behind `#` in the link.
    pub secret: String,
    /// At least 10 characters, at most 1,024 bytes, not the name of the account.
    pub password: String,
}

/// What the password is and what it is to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"old": "correct horse battery staple", "new": "nine lives of a cat"}))]
pub struct PasswordChange {
    /// The password until now.
    pub old: String,
    /// At least 10 characters, at most 1,024 bytes, not the name of the account.
    pub new: String,
}

/// Choose a password with the secret of an invitation, and begin a session. Ends all other sessions of the account. Only the first
/// of two gets in.
///
/// # Errors
/// 400 for a password that nobody may have, 401 for a secret that is not or no longer good, 429 after too many attempts.
#[utoipa::path(
    post, path = "/api/v1/invitations/redeem", operation_id = "invitation_redeem", tag = "session", request_body = Redemption,
    responses(
        (status = 200, description = "The password is set and somebody is logged in; the cookie is set.", body = Session),
        (status = 400, description = "`weak_password` or `unreadable_json`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`invalid_invitation`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`forged_request`", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "`too_many_attempts`; Retry-After says how long to wait.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`busy`; Retry-After says how long to wait.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn redeem(
    State(app): State<Shared>,
    caller: Caller,
    origin: Origin,
    headers: HeaderMap,
    body: Result<JsonBody<Redemption>, ApiError>,
) -> Result<impl IntoResponse, ApiError> {
    authorize(&caller.actor, Action::RedeemInvitation, Resource::OwnSession)?;
    origin.require_same(&headers)?;
    let JsonBody(Redemption { secret, password }) = body?;
    auth::check_password("", &password).map_err(weak("password"))?;
    let (site, event) = (caller.client.site(), caller.event(&app, "invitation.redeem", ""));
    limit(&app, &format!("{ANY_INVITATION} {site}"), &site, &event).await?;
    let hash = auth::hash(&secret);
    let invited = app.store.invited(hash, app.now()).await?;
    if let Some(name) = &invited {
        auth::check_password(name, &password).map_err(weak("password"))?;
    }
    // Also for nobody, so that the answer takes as long.
    let hashed = app.passwords.hash(password, Some(&site)).await?;
    let user = match &invited {
        Some(name) => app.store.user(name).await?,
        None => None,
    };
    if let Some(user) = user {
        let event = event.clone().by_user(&user.name);
        let (session, secret) = auth::new_session(&user.name, user.role, app.now());
        if app.store.redeem_invitation(hash, hashed, session, &site, event).await? {
            app.metrics.logins.with_label_values(&["ok"]).inc();
            app.rights.send_replace(());
            return Ok(begun(&secret, user.name, user.role, &origin));
        }
    }
    auth::log_refusal(&app, &site, event.outcome(Outcome::Wrong)).await?;
    let detail =
        "This link is not good, or no longer: each works once and for 24 hours. Ask an administrator for another.";
    Err(ApiError::new(StatusCode::UNAUTHORIZED, "invalid_invitation", detail))
}

/// Choose another password for oneself. Ends all other sessions of the account.
///
/// # Errors
/// 400 for a password that nobody may have, 401 if the old one is wrong, 403 for API tokens, 429 after too many attempts.
#[utoipa::path(
    put, path = "/api/v1/session/password", operation_id = "password_change", tag = "session", request_body = PasswordChange,
    security(("session" = [])),
    responses(
        (status = 204, description = "The new password holds; this session goes on."),
        (status = 400, description = "`weak_password` or `unreadable_json`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`not_signed_in` or `wrong_credentials`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_allowed` or `forged_request`", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "`too_many_attempts`; Retry-After says how long to wait.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`busy`; Retry-After says how long to wait.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn change(
    State(app): State<Shared>,
    caller: Caller,
    origin: Origin,
    headers: HeaderMap,
    body: Result<JsonBody<PasswordChange>, ApiError>,
) -> Result<StatusCode, ApiError> {
    authorize(&caller.actor, Action::ChangeOwnPassword, Resource::OwnSession)?;
    let JsonBody(PasswordChange { old, new }) = body?;
    let (Actor::User { name, .. }, Some(secret)) = (&caller.actor, auth::session_secret(&headers, origin.listener))
    else {
        return Err(ApiError::not_signed_in());
    };
    auth::check_password(name, &new).map_err(weak("new"))?;
    let (site, event) = (caller.client.site(), caller.event(&app, "password.change", name));
    // Whoever finds a screen unlocked guesses no better than at the login.
    limit(&app, name, &site, &event).await?;
    let stored = app.store.user(name).await?.and_then(|user| user.password);
    if let (true, Some(stored)) = (app.passwords.verify(old, stored.clone(), &site).await?, stored) {
        let hashed = app.passwords.hash(new, Some(&site)).await?;
        if app.store.set_password(name, stored, hashed, auth::hash(secret), event.clone()).await? {
            app.rights.send_replace(());
            return Ok(StatusCode::NO_CONTENT);
        }
    }
    auth::log_refusal(&app, &site, event.outcome(Outcome::Wrong)).await?;
    Err(ApiError::new(StatusCode::UNAUTHORIZED, "wrong_credentials", "The old password is wrong."))
}

fn weak(path: &'static str) -> impl Fn(String) -> ApiError {
    move |why| ApiError::fault("weak_password", path, why)
}

impl std::fmt::Debug for Redemption {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Redemption")
    }
}

impl std::fmt::Debug for PasswordChange {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("PasswordChange")
    }
}
