//! Logging in and out.

use super::{ApiError, JsonBody, Problem};
use crate::app::{App, Shared};
use crate::auth::{self, Listener};
use crate::guard::{Action, Actor, Resource, authorize};
use crate::store::LoginLimits;
use axum::extract::{Extension, FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum::{Json, RequestPartsExt as _};
use everypath_protocol::time::Span;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use utoipa::ToSchema;

/// Whoever guesses soon waits, at one name or at many.
const LIMITS: LoginLimits = LoginLimits { period: Span::seconds(15 * 60), per_account: 10, per_address: 100 };
/// No account has a longer name.
const NAME_BYTES_MAX: usize = 64;

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
    address: String,
    authority: Option<String>,
    listener: Listener,
}

impl<S: Send + Sync> FromRequestParts<S> for Origin {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        let listener =
            parts.extract::<Extension<Listener>>().await.map_or(Listener::Tls, |Extension(listener)| listener);
        let authority = parts.uri.authority().map(ToString::to_string);
        Ok(Self { address: auth::client_address(parts), authority, listener })
    }
}

/// Log in. Sets the cookie `everypath_session`.
///
/// # Errors
/// 401 for a wrong name or password, 429 after too many attempts.
#[utoipa::path(
    post, path = "/api/v1/session", operation_id = "session_create", tag = "session", request_body = Credentials,
    responses(
        (status = 200, description = "Logged in; the cookie is set.", body = Session),
        (status = 401, description = "`wrong_credentials`", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "`too_many_attempts`; Retry-After says how long to wait.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn create(
    State(app): State<Shared>,
    actor: Actor,
    origin: Origin,
    headers: HeaderMap,
    body: Result<JsonBody<Credentials>, ApiError>,
) -> Result<impl IntoResponse, ApiError> {
    authorize(&actor, Action::UseSession, Resource::OwnSession)?;
    auth::require_same_origin(origin.authority.as_deref(), &headers)?;
    let JsonBody(Credentials { name, password }) = body?;
    if name.len() > NAME_BYTES_MAX || password.len() > auth::PASSWORD_BYTES_MAX {
        return Err(wrong_credentials(&app));
    }
    let wait = app.store.begin_login(&name, &origin.address, app.now(), LIMITS).await?;
    if let Some(wait) = wait {
        app.metrics.logins.with_label_values(&["too_many"]).inc();
        let detail = "There were too many attempts to log in. Wait a few minutes and try again.";
        let error = ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too_many_attempts", detail);
        return Err(error.retry_after(wait.as_seconds() + 1));
    }
    let user = app.store.user(&name).await?;
    let stored = user.as_ref().map(|user| user.password.clone());
    let right = app.passwords.verify(password, stored).await;
    let Some(user) = user.filter(|_| right) else {
        return Err(wrong_credentials(&app));
    };
    app.metrics.logins.with_label_values(&["ok"]).inc();
    let secret = auth::create_session(&app, &user, &origin.address).await?;
    let body = Session { name: user.name, role: user.role.name().to_owned() };
    Ok(([(header::SET_COOKIE, cookie(&secret, "", origin.listener))], Json(body)))
}

/// One text for both, so that names cannot be guessed.
fn wrong_credentials(app: &App) -> ApiError {
    app.metrics.logins.with_label_values(&["wrong"]).inc();
    ApiError::new(StatusCode::UNAUTHORIZED, "wrong_credentials", "The name or the password is wrong.")
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
pub async fn show(State(app): State<Shared>, actor: Actor, headers: HeaderMap) -> Result<Json<Session>, ApiError> {
    authorize(&actor, Action::UseSession, Resource::OwnSession)?;
    match auth::whoami(&app, &headers).await? {
        Some(Actor::User { name, role }) => Ok(Json(Session { name, role: role.name().to_owned() })),
        Some(Actor::Anonymous | Actor::Joiner | Actor::Agent(_)) | None => Err(ApiError::not_signed_in()),
    }
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
    ),
)]
pub async fn delete(
    State(app): State<Shared>,
    actor: Actor,
    origin: Origin,
    headers: HeaderMap,
) -> Result<impl IntoResponse, ApiError> {
    authorize(&actor, Action::UseSession, Resource::OwnSession)?;
    if let Some(secret) = auth::session_secret(&headers) {
        app.store.delete_session(auth::hash(secret)).await?;
    }
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie("", "; Max-Age=0", origin.listener))]))
}

fn cookie(secret: &str, end: &str, listener: Listener) -> String {
    let secure = match listener {
        Listener::Tls => "; Secure",
        Listener::Loopback => "",
    };
    format!("{}={secret}; HttpOnly; SameSite=Lax; Path=/{secure}{end}", auth::COOKIE)
}
