//! Join tokens.

use super::{ApiError, JsonBody, Problem};
use crate::app::{App, Shared};
use crate::auth::Caller;
use crate::clock::rfc3339;
use crate::guard::{Action, Actor, Resource, authorize};
use crate::store::JoinTokenInfo;
use crate::tokens::{self, USES_MAX};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use everypath_protocol::fault::Fault;
use everypath_protocol::id::hex;
use everypath_protocol::time::{Span, UnixTime};
use everypath_protocol::token::TokenId;
use everypath_protocol::trust::is_valid_name;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Longest life of a token.
const LIFE_S_MAX: u64 = 90 * 24 * 3_600;

/// A token that is wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"uses": 9, "expires_in_s": 3600, "site": null}))]
pub struct JoinTokenRequest {
    /// How many agents may join with it, 1 to 10,000.
    pub uses: u32,
    /// For how many seconds, up to 90 days.
    pub expires_in_s: u64,
    /// The site of all who join with it; `null` lets each say its own.
    #[schema(required)]
    #[serde(default)]
    pub site: Option<String>,
}

/// A token.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "3f2a9c0011223344", "token": "ep1.…", "uses": 9, "expires_at": "2026-11-23T01:00:00Z",
}))]
pub struct JoinToken {
    /// What it is called in the list, 16 hexadecimal digits.
    pub id: String,
    /// To be pasted behind `mesh-agent join`. It is shown once; nobody can read it later.
    pub token: String,
    /// How many agents may join with it.
    pub uses: u32,
    /// When it ends.
    pub expires_at: String,
}

/// A token that was made, without its secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "3f2a9c0011223344", "site": "alpha", "uses": 9, "uses_left": 7, "created_at": "2026-11-22T08:00:00Z",
    "created_by": "admin", "expires_at": "2026-11-23T08:00:00Z", "state": "open",
}))]
pub struct JoinTokenEntry {
    /// What it is called, 16 hexadecimal digits.
    pub id: String,
    /// The site of all who join with it; `null` lets each say its own.
    #[schema(required)]
    pub site: Option<String>,
    /// How many agents may join with it in all.
    pub uses: u32,
    /// How many still may.
    pub uses_left: u32,
    /// When it was made.
    pub created_at: String,
    /// Who made it; empty if that was done on the aggregator's host, or before this was kept.
    pub created_by: String,
    /// When it ends.
    pub expires_at: String,
    /// Whether anybody can join with it.
    pub state: JoinTokenState,
}

/// Whether anybody can join with a token.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(example = "open")]
pub enum JoinTokenState {
    /// Somebody can.
    Open,
    /// As many have as may.
    UsedUp,
    /// It has ended.
    Expired,
}

/// The join tokens.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"tokens": [{
    "id": "3f2a9c0011223344", "site": "alpha", "uses": 9, "uses_left": 7, "created_at": "2026-11-22T08:00:00Z",
    "created_by": "admin", "expires_at": "2026-11-23T08:00:00Z", "state": "open",
}]}))]
pub struct JoinTokens {
    /// The newest first, at most 1,000.
    pub tokens: Vec<JoinTokenEntry>,
}

/// The join tokens, also those that have ended. Needs the role `admin`, and of a token the scope `join`.
///
/// # Errors
/// 401 and 403 for whoever may not.
#[utoipa::path(
    get, path = "/api/v1/join-tokens", operation_id = "join_tokens_list", tag = "mesh",
    security(("session" = []), ("api_token" = [])),
    responses(
        (status = 200, description = "The join tokens, without their secrets.", body = JoinTokens),
        (status = 401, description = "`not_signed_in`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_allowed`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn list(State(app): State<Shared>, actor: Actor) -> Result<Json<JoinTokens>, ApiError> {
    authorize(&actor, Action::ManageJoinTokens, Resource::Mesh)?;
    let now = app.now();
    let tokens = app.store.join_tokens().await?;
    Ok(Json(JoinTokens { tokens: tokens.into_iter().map(|token| entry(token, now)).collect() }))
}

fn entry(token: JoinTokenInfo, now: UnixTime) -> JoinTokenEntry {
    let state = match token {
        // In the order in which a redemption is refused.
        _ if token.expires_at <= now => JoinTokenState::Expired,
        _ if token.uses_left == 0 => JoinTokenState::UsedUp,
        _ => JoinTokenState::Open,
    };
    JoinTokenEntry {
        id: hex(&token.id.0),
        site: token.site,
        uses: token.uses,
        uses_left: token.uses_left,
        created_at: rfc3339(token.created_at),
        created_by: token.created_by,
        expires_at: rfc3339(token.expires_at),
        state,
    }
}

/// Revoke a join token: nobody joins with it from now on, on any replica. Who has joined stays. Needs the role `admin`, and of a token
/// the scope `join`.
///
/// # Errors
/// 401 and 403 for whoever may not, 404 if there is none.
#[utoipa::path(
    delete, path = "/api/v1/join-tokens/{id}", operation_id = "join_token_delete", tag = "mesh",
    params(("id" = String, Path, description = "As the list has it.")),
    security(("session" = []), ("api_token" = [])),
    responses(
        (status = 204, description = "Revoked."),
        (status = 401, description = "`not_signed_in`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_allowed` or `forged_request`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`unknown_join_token`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn delete(State(app): State<Shared>, caller: Caller, Path(id): Path<String>) -> Result<StatusCode, ApiError> {
    authorize(&caller.actor, Action::ManageJoinTokens, Resource::Mesh)?;
    let unknown = || ApiError::unknown("unknown_join_token", "There is no join token of this name.");
    let token = id_of(&id).ok_or_else(unknown)?;
    let event = caller.event(&app, "join_token.delete", &hex(&token.0));
    if app.store.delete_join_token(token, event).await? { Ok(StatusCode::NO_CONTENT) } else { Err(unknown()) }
}

/// What the digits name, if they can be some token's.
fn id_of(digits: &str) -> Option<TokenId> {
    // What else reads as a number, such as one with a sign, is no name.
    let is_id = digits.len() == 16 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    let number = u64::from_str_radix(digits, 16).ok().filter(|_| is_id)?;
    Some(TokenId(number.to_be_bytes()))
}

/// Make a join token. Needs the role `admin`.
///
/// # Errors
/// 400 for values out of range, 401 and 403 for whoever may not.
#[utoipa::path(
    post, path = "/api/v1/join-tokens", operation_id = "join_token_create", tag = "mesh", request_body = JoinTokenRequest,
    security(("session" = []), ("api_token" = [])),
    responses(
        (status = 201, description = "The token, shown this once.", body = JoinToken),
        (status = 400, description = "`invalid_token_request` or `unreadable_json`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`not_signed_in`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_allowed` or `forged_request`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn create(
    State(app): State<Shared>,
    caller: Caller,
    body: Result<JsonBody<JoinTokenRequest>, ApiError>,
) -> Result<(StatusCode, Json<JoinToken>), ApiError> {
    authorize(&caller.actor, Action::ManageJoinTokens, Resource::Mesh)?;
    let JsonBody(request) = body?;
    let mut faults = Vec::new();
    if !(1..=USES_MAX).contains(&request.uses) {
        faults.push(Fault::new("uses", format!("must be from 1 to {USES_MAX}")));
    }
    if !(1..=LIFE_S_MAX).contains(&request.expires_in_s) {
        faults.push(Fault::new("expires_in_s", format!("must be from 1 to {LIFE_S_MAX}, which is 90 days")));
    }
    if request.site.as_deref().is_some_and(|site| !is_valid_name(site)) {
        faults.push(Fault::new("site", "must be 1 to 64 letters, digits, '-', '_' or '.'"));
    }
    if !faults.is_empty() {
        return Err(ApiError::faulty("invalid_token_request", &faults));
    }
    Ok((StatusCode::CREATED, Json(make(&app, &caller, request).await?)))
}

async fn make(app: &App, caller: &Caller, request: JoinTokenRequest) -> Result<JoinToken, ApiError> {
    let life = Span::seconds(request.expires_in_s);
    let event = caller.event(app, "join_token.create", "");
    let wish = tokens::Wish { uses: request.uses, life, site: request.site };
    let token = tokens::create(&app.store, &app.mesh, app.addresses(), wish, event).await?;
    Ok(JoinToken {
        id: hex(&token.id.0),
        token: token.to_text(),
        uses: request.uses,
        expires_at: rfc3339(token.expires),
    })
}
