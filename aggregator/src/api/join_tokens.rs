//! Making join tokens.

use super::{ApiError, JsonBody, Problem};
use crate::app::{App, Shared};
use crate::auth::Caller;
use crate::clock::rfc3339;
use crate::guard::{Action, Resource, authorize};
use crate::tokens::{self, USES_MAX};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use everypath_protocol::time::Span;
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
#[schema(example = json!({"token": "ep1.…", "uses": 9, "expires_at": "2026-11-23T01:00:00Z"}))]
pub struct JoinToken {
    /// To be pasted behind `mesh-agent join`. It is shown once; nobody can read it later.
    pub token: String,
    /// How many agents may join with it.
    pub uses: u32,
    /// When it ends.
    pub expires_at: String,
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
    authorize(&caller.actor, Action::CreateJoinToken, Resource::Mesh)?;
    let JsonBody(request) = body?;
    let invalid = |detail: String| ApiError::invalid("invalid_token_request", detail);
    if !(1..=USES_MAX).contains(&request.uses) {
        return Err(invalid(format!("`uses` must be from 1 to {USES_MAX}.")));
    }
    if !(1..=LIFE_S_MAX).contains(&request.expires_in_s) {
        return Err(invalid(format!("`expires_in_s` must be from 1 to {LIFE_S_MAX}, which is 90 days.")));
    }
    if request.site.as_deref().is_some_and(|site| !is_valid_name(site)) {
        return Err(invalid("`site` must be 1 to 64 letters, digits, '-', '_' or '.'.".to_owned()));
    }
    Ok((StatusCode::CREATED, Json(make(&app, &caller, request).await?)))
}

async fn make(app: &App, caller: &Caller, request: JoinTokenRequest) -> Result<JoinToken, ApiError> {
    let life = Span::seconds(request.expires_in_s);
    let event = caller.event(app, "join_token.create", "");
    let wish = tokens::Wish { uses: request.uses, life, site: request.site };
    let token = tokens::create(&app.store, &app.mesh, app.addresses(), wish, event).await?;
    Ok(JoinToken { token: token.to_text(), uses: request.uses, expires_at: rfc3339(token.expires) })
}
