//! Logging in and out.

use super::{ApiError, JsonBody, Problem};
use crate::app::{App, Shared};
use crate::audit_log::{Event, Outcome};
use crate::auth::{self, Caller, Listener};
use crate::guard::{Action, Actor, Resource, Role, authorize};
use crate::store::{LoginLimits, StoreError};
use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use everypath_protocol::time::Span;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use utoipa::ToSchema;

/// Whoever guesses soon waits, at one name or at many, from one address or from many.
pub(super) const LIMITS: LoginLimits = LoginLimits {
    period: Span::seconds(15 * 60),
    per_account: 10,
    per_address: 100,
    everywhere: 30,
    pause: Span::seconds(20),
};

/// What one logs in with.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"name": "admin", "password": "correct horse battery staple"}))]
pub struct Credentials {
    /// Of the account.
    pub name: String,
    /// Of the account.
    pub password: String,
}

/// Who is logged in.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"name": "admin", "role": "admin"}))]
pub struct Session {
    /// Of the account, or of the API token.
    pub name: String,
    /// `viewer`, `operator` or `admin`.
    pub role: String,
}

/// What of a request a login looks at.
#[derive(Debug)]
pub struct Origin {
    authority: Option<String>,
    /// By which door it came.
    pub listener: Listener,
}

impl Origin {
    /// Refuses a request that a page of another origin made.
    ///
    /// # Errors
    /// [`ApiError::forged`].
    pub fn require_same(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        auth::require_same_origin(self.authority.as_deref(), headers)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Origin {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self { authority: parts.uri.authority().map(ToString::to_string), listener: Listener::of(parts) })
    }
}

/// Log in. Sets the cookie `__Host-everypath_session`, on loopback `everypath_session`.
///
/// # Errors
/// 401 for a wrong name or password, 429 after too many attempts.
#[utoipa::path(
    post, path = "/api/v1/session", operation_id = "session_create", tag = "session", request_body = Credentials,
    responses(
        (status = 200, description = "Logged in; the cookie is set.", body = Session),
        (status = 401, description = "`wrong_credentials`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`forged_request`", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "`too_many_attempts`; Retry-After says how long to wait.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`busy`; Retry-After says how long to wait.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn create(
    State(app): State<Shared>,
    caller: Caller,
    origin: Origin,
    headers: HeaderMap,
    body: Result<JsonBody<Credentials>, ApiError>,
) -> Result<impl IntoResponse, ApiError> {
    authorize(&caller.actor, Action::UseSession, Resource::OwnSession)?;
    origin.require_same(&headers)?;
    let JsonBody(Credentials { name, password }) = body?;
    let event = caller.event(&app, "session.create", "");
    let site = caller.client.site();
    if !auth::is_valid_name(&name) || password.len() > auth::PASSWORD_BYTES_MAX {
        return Err(wrong_credentials(&app, &site, event).await?);
    }
    let user = app.store.user(&name).await?;
    // Only a name that exists is logged: people type passwords where the name belongs.
    let event = if user.is_some() { event.by_user(&name) } else { event };
    limit(&app, &name, &site, &event).await?;
    let stored = user.as_ref().filter(|user| user.disabled_at.is_none()).and_then(|user| user.password.clone());
    let right = app.passwords.verify(password, stored.clone(), &site).await?;
    let (Some(user), Some(stored)) = (user.filter(|_| right), stored) else {
        return Err(wrong_credentials(&app, &site, event).await?);
    };
    let (session, secret) = auth::new_session(&user.name, user.role, app.now());
    if !app.store.create_session(session, stored, &site, event.clone()).await? {
        // The account was changed while its password was checked.
        return Err(wrong_credentials(&app, &site, event).await?);
    }
    app.metrics.logins.with_label_values(&["ok"]).inc();
    Ok(begun(&secret, user.name, user.role, &origin))
}

/// Counts an attempt to log in, or refuses and logs it.
///
/// # Errors
/// 429 after too many.
pub(super) async fn limit(app: &App, account: &str, site: &str, event: &Event) -> Result<(), ApiError> {
    let wait = {
        // Attempts are counted one after the other; those that wait for their turn must not hold the connections of everybody else.
        let _desk = app.logins.enter(Some(site)).await?;
        app.store.begin_login(account, site, app.now(), LIMITS).await?
    };
    let Some(wait) = wait else { return Ok(()) };
    app.metrics.logins.with_label_values(&["too_many"]).inc();
    auth::log_refusal(app, site, event.clone().outcome(Outcome::Limited)).await?;
    let detail = "There were too many attempts to log in. Wait a few minutes and try again.";
    let error = ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too_many_attempts", detail);
    Err(error.retry_after(wait.as_seconds() + 1))
}

/// The answer to somebody whose session begins.
pub(super) fn begun(secret: &str, name: String, role: Role, origin: &Origin) -> impl IntoResponse + use<> {
    let body = Session { name, role: role.name().to_owned() };
    ([(header::SET_COOKIE, auth::cookie(Some(secret), origin.listener))], Json(body))
}

/// One text for both, so that names cannot be guessed.
async fn wrong_credentials(app: &App, site: &str, event: Event) -> Result<ApiError, StoreError> {
    app.metrics.logins.with_label_values(&["wrong"]).inc();
    auth::log_refusal(app, site, event.outcome(Outcome::Wrong)).await?;
    Ok(ApiError::new(StatusCode::UNAUTHORIZED, "wrong_credentials", "The name or the password is wrong."))
}

/// Who is logged in.
///
/// # Errors
/// 401 if nobody is.
#[utoipa::path(
    get, path = "/api/v1/session", operation_id = "session_show", tag = "session",
    responses(
        (status = 200, description = "Somebody is logged in.", body = Session),
        (status = 401, description = "`not_signed_in`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn show(
    State(app): State<Shared>,
    actor: Actor,
    origin: Origin,
    headers: HeaderMap,
) -> Result<Json<Session>, ApiError> {
    authorize(&actor, Action::UseSession, Resource::OwnSession)?;
    let known = auth::whoami(&app, &headers, origin.listener).await?;
    let (name, role) = known.as_ref().and_then(Actor::known).ok_or_else(ApiError::not_signed_in)?;
    Ok(Json(Session { name: name.clone(), role: role.name().to_owned() }))
}

/// Log out.
///
/// # Errors
/// 401 if nobody is logged in.
#[utoipa::path(
    delete, path = "/api/v1/session", operation_id = "session_delete", tag = "session",
    security(("session" = []), ("api_token" = [])),
    responses(
        (status = 204, description = "Logged out."),
        (status = 401, description = "`not_signed_in`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`forged_request`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn delete(
    State(app): State<Shared>,
    caller: Caller,
    origin: Origin,
    headers: HeaderMap,
) -> Result<impl IntoResponse, ApiError> {
    authorize(&caller.actor, Action::UseSession, Resource::OwnSession)?;
    if let Some(secret) = auth::session_secret(&headers, origin.listener) {
        let event = caller.event(&app, "session.delete", "");
        // Who looks again reads the database; a cookie that never was a session is no reason to.
        if app.store.delete_session(auth::hash(secret), event).await? {
            app.rights.send_replace(());
        }
    }
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, auth::cookie(None, origin.listener))]))
}
