//! Tokens for programs.

use super::session::Origin;
use super::{ApiError, JsonBody, Problem, ROLE_RULE};
use crate::app::Shared;
use crate::auth::{self, Caller, TokenWish};
use crate::clock::rfc3339;
use crate::guard::{Action, Actor, Resource, Role, authorize};
use crate::scope::{Scope, Scopes};
use crate::store::{API_TOKENS_MAX, ApiToken as Row, Kept, Maker};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use everypath_protocol::fault::Fault;
use everypath_protocol::time::Span;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Longest life of a token that ends.
const LIFE_S_MAX: u64 = 10 * 365 * 24 * 3_600;

/// A token, without its secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "name": "grafana", "role": "viewer", "scopes": ["read"], "created_at": "2026-11-22T08:00:00Z", "created_by": "admin",
    "expires_at": "2027-02-20T08:00:00Z", "last_used_at": null, "expired": false,
}))]
pub struct ApiToken {
    /// What it is for.
    pub name: String,
    /// `viewer`, `operator` or `admin`.
    pub role: String,
    /// Of the role only this: `read`, `operate`, `config`, `people`, `join`; empty is all of it.
    pub scopes: Vec<String>,
    /// When it was made.
    pub created_at: String,
    /// Who made it; empty if that was done on the aggregator's host.
    pub created_by: String,
    /// When it ends; `null` if it does not.
    #[schema(required)]
    pub expires_at: Option<String>,
    /// When it was last used, to a minute.
    #[schema(required)]
    pub last_used_at: Option<String>,
    /// It opens nothing: it has ended, or the account of whoever made it is disabled.
    pub expired: bool,
}

/// All API tokens.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"tokens": [{
    "name": "grafana", "role": "viewer", "scopes": ["read"], "created_at": "2026-11-22T08:00:00Z", "created_by": "admin",
    "expires_at": "2027-02-20T08:00:00Z", "last_used_at": null, "expired": false,
}]}))]
pub struct ApiTokens {
    /// By name.
    pub tokens: Vec<ApiToken>,
}

/// A token that is wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "grafana", "role": "viewer", "scopes": ["read"], "expires_in_s": 7_776_000}))]
pub struct NewApiToken {
    /// What it is for: 1 to 64 letters, digits, `-`, `_`, `.`, `@` or `+`.
    pub name: String,
    /// `viewer`, `operator` or `admin`; not more than your own.
    pub role: String,
    /// Of the role only this: `read`, `operate`, `config`, `people`, `join`; empty is all of it.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// For how many seconds, up to ten years; `null` is without end.
    #[schema(required)]
    #[serde(default)]
    pub expires_in_s: Option<u64>,
}

/// A new token with its secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"name": "grafana", "token": "epk_…", "expires_at": "2027-02-20T08:00:00Z"}))]
pub struct ApiTokenSecret {
    /// What it is for.
    pub name: String,
    /// Behind `Authorization: Bearer`. It is shown once; nobody can read it later.
    pub token: String,
    /// When it ends; `null` if it does not.
    #[schema(required)]
    pub expires_at: Option<String>,
}

/// All API tokens, also those that have ended. Needs the role `admin`, and of a token the scope `people`.
///
/// # Errors
/// 401 and 403 for whoever may not.
#[utoipa::path(
    get, path = "/api/v1/api-tokens", operation_id = "api_tokens_list", tag = "people",
    security(("session" = []), ("api_token" = [])),
    responses(
        (status = 200, description = "All API tokens, without their secrets.", body = ApiTokens),
        (status = 401, description = "`not_signed_in`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_allowed`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn list(State(app): State<Shared>, actor: Actor) -> Result<Json<ApiTokens>, ApiError> {
    authorize(&actor, Action::ManageApiTokens, Resource::Mesh)?;
    let now = app.now();
    let token = |row: Row| ApiToken {
        expired: row.role_at(now).is_none(),
        name: row.name,
        role: row.role.name().to_owned(),
        scopes: row.scopes.names().into_iter().map(str::to_owned).collect(),
        created_at: rfc3339(row.created_at),
        created_by: row.created_by,
        expires_at: row.expires_at.map(rfc3339),
        last_used_at: row.last_used_at.map(rfc3339),
    };
    Ok(Json(ApiTokens { tokens: app.store.api_tokens().await?.into_iter().map(token).collect() }))
}

/// Make an API token. It gets at most the role of whoever makes it, is never worth more than that account, and is deleted with it.
/// People make tokens, and the command line; a token makes none.
///
/// # Errors
/// 400 for values that no token may have, 401 and 403 for whoever may not, 409 if there is one of that name or there are too many.
#[utoipa::path(
    post, path = "/api/v1/api-tokens", operation_id = "api_token_create", tag = "people", request_body = NewApiToken,
    security(("session" = [])),
    responses(
        (status = 201, description = "The token, shown this once.", body = ApiTokenSecret),
        (status = 400, description = "`invalid_api_token` or `unreadable_json`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`not_signed_in`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_allowed` or `forged_request`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`name_taken` or `too_many_tokens`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn create(
    State(app): State<Shared>,
    caller: Caller,
    origin: Origin,
    headers: HeaderMap,
    body: Result<JsonBody<NewApiToken>, ApiError>,
) -> Result<(StatusCode, Json<ApiTokenSecret>), ApiError> {
    authorize(&caller.actor, Action::MakeApiToken, Resource::Mesh)?;
    let JsonBody(NewApiToken { name, role, scopes, expires_in_s }) = body?;
    let mut faults = Vec::new();
    if !auth::is_valid_name(&name) {
        faults.push(Fault::new("name", auth::NAME_RULE));
    }
    let role = Role::from_name(&role);
    if role.is_none() {
        faults.push(Fault::new("role", ROLE_RULE));
    }
    for (place, word) in scopes.iter().enumerate().filter(|(_, word)| Scope::from_name(word).is_none()) {
        let message = format!("`{word}` is no scope; there are `read`, `operate`, `config`, `people` and `join`");
        faults.push(Fault::new(format!("scopes[{place}]"), message));
    }
    if expires_in_s.is_some_and(|life| !(1..=LIFE_S_MAX).contains(&life)) {
        let message = format!("must be from 1 to {LIFE_S_MAX}, which is ten years, or null");
        faults.push(Fault::new("expires_in_s", message));
    }
    let Some(role) = role.filter(|_| faults.is_empty()) else {
        return Err(ApiError::faulty("invalid_api_token", &faults));
    };
    let scopes = Scopes::new(scopes.iter().filter_map(|word| Scope::from_name(word)));
    if !caller.actor.may_give(role, &scopes) {
        return Err(ApiError::not_allowed(
            "A token gets at most the role of whoever makes it; ask for less, or ask an administrator.",
        ));
    }
    let expires_at = expires_in_s.map(|life| app.now().plus(Span::seconds(life)));
    // By the session and not by the name: whoever has the name when the token is kept may be somebody else.
    let session = auth::session_secret(&headers, origin.listener).ok_or_else(ApiError::not_signed_in)?;
    let event = caller.event(&app, "api_token.create", &name);
    let wish = TokenWish { name: name.clone(), role, scopes, expires_at, by: Maker::Session(auth::hash(session)) };
    let token = auth::create_api_token(&app.store, wish, false, event).await?.map_err(not_kept)?;
    Ok((StatusCode::CREATED, Json(ApiTokenSecret { name, token, expires_at: expires_at.map(rfc3339) })))
}

fn not_kept(kept: Kept) -> ApiError {
    match kept {
        Kept::NameTaken => {
            ApiError::conflict("name_taken", "There is an API token of this name. Choose another, or delete that one.")
        }
        Kept::TooMany => {
            let detail = format!(
                "There are {API_TOKENS_MAX} other API tokens, which is all there may be. Delete those that have ended or that nothing uses."
            );
            ApiError::conflict("too_many_tokens", detail)
        }
        Kept::SessionOver => ApiError::not_signed_in(),
        Kept::Done => ApiError::internal("a token that was kept was taken for one that was not"),
    }
}

/// Delete an API token. It opens nothing from now on, on any replica.
///
/// # Errors
/// 401 and 403 for whoever may not, 404 if there is none.
#[utoipa::path(
    delete, path = "/api/v1/api-tokens/{name}", operation_id = "api_token_delete", tag = "people",
    params(("name" = String, Path, description = "Name of the token.")),
    security(("session" = []), ("api_token" = [])),
    responses(
        (status = 204, description = "Deleted."),
        (status = 401, description = "`not_signed_in`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_allowed` or `forged_request`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`unknown_api_token`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn delete(
    State(app): State<Shared>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    authorize(&caller.actor, Action::ManageApiTokens, Resource::Mesh)?;
    // What no token can be called is not asked for: a server takes not every text.
    if !auth::is_valid_name(&name)
        || !app.store.delete_api_token(&name, caller.event(&app, "api_token.delete", &name)).await?
    {
        return Err(ApiError::unknown("unknown_api_token", "There is no API token of this name."));
    }
    app.rights.send_replace(());
    Ok(StatusCode::NO_CONTENT)
}
