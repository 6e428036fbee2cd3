//! Who did what.

use super::{ApiError, Problem};
use crate::app::Shared;
use crate::audit_log::{Entry, Query as Wanted};
use crate::clock::{rfc3339, time_of};
use crate::guard::{Action, Actor, Resource, authorize};
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use everypath_protocol::id::hex;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Most entries of one answer.
const LIMIT_MAX: u32 = 500;
/// As many without a wish.
const LIMIT_USUAL: u32 = 100;

/// Which entries.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// Only entries with smaller numbers: `next` of the answer before.
    pub before: Option<i64>,
    /// At most as many, 1 to 500; 100 unless given.
    pub limit: Option<u32>,
    /// Only of the account or API token of this name.
    pub actor: Option<String>,
    /// Only this, such as `user.create`, or all of a kind, such as `user`.
    pub action: Option<String>,
    /// Only from then on, RFC 3339.
    pub from: Option<String>,
    /// Only before then, RFC 3339.
    pub to: Option<String>,
}

/// Something that somebody did, or was refused.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": 17, "at": "2026-11-23T00:00:00Z", "actor": "admin", "actor_kind": "user", "address": "192.0.2.10",
    "action": "user.create", "subject": "ada", "outcome": "ok", "detail": {"role": "operator"},
    "hash": "5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9",
}))]
pub struct AuditEntry {
    /// From 1, without gaps.
    pub id: i64,
    /// When.
    pub at: String,
    /// Name of the account or API token, or public key of the agent; empty for others.
    pub actor: String,
    /// `user`, `token`, `agent`, `host` (the command line), `program` (the aggregator itself) or `nobody` (not known).
    pub actor_kind: String,
    /// Where it asked from.
    pub address: String,
    /// What, such as `user.create`.
    pub action: String,
    /// To whom or what.
    pub subject: String,
    /// `ok`, `wrong`, `limited` or `denied`.
    pub outcome: String,
    /// More about it; its members depend on the action.
    #[schema(value_type = Object)]
    pub detail: serde_json::Value,
    /// SHA-256 over the entry and the hash before it, 64 hexadecimal digits.
    pub hash: String,
}

/// A page of the log.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"next": null, "entries": [{
    "id": 17, "at": "2026-11-23T00:00:00Z", "actor": "admin", "actor_kind": "user", "address": "192.0.2.10",
    "action": "user.create", "subject": "ada", "outcome": "ok", "detail": {"role": "operator"},
    "hash": "5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9",
}]}))]
pub struct AuditPage {
    /// Newest first.
    pub entries: Vec<AuditEntry>,
    /// To be sent as `before` for the next page; `null` at the end.
    #[schema(required)]
    pub next: Option<i64>,
}

/// Who did what, newest first. Needs the role `admin`, and of a token the scope `people`.
///
/// # Errors
/// 400 for a question that cannot be understood, 401 and 403 for whoever may not.
#[utoipa::path(
    get, path = "/api/v1/audit", operation_id = "audit_list", tag = "people", params(AuditQuery),
    security(("session" = []), ("api_token" = [])),
    responses(
        (status = 200, description = "A page of the log.", body = AuditPage),
        (status = 400, description = "`invalid_audit_query`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`not_signed_in`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_allowed`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn list(
    State(app): State<Shared>,
    actor: Actor,
    query: Result<Query<AuditQuery>, QueryRejection>,
) -> Result<Json<AuditPage>, ApiError> {
    authorize(&actor, Action::ReadAuditLog, Resource::Mesh)?;
    let invalid = |detail: String| ApiError::invalid("invalid_audit_query", detail);
    let wrong = |path: &str, message: String| ApiError::fault("invalid_audit_query", path, message);
    let Query(query) = query.map_err(|rejection| invalid(rejection.body_text()))?;
    for (path, text) in [("actor", &query.actor), ("action", &query.action)] {
        // No name has one, and a server refuses it in text.
        if text.as_ref().is_some_and(|text| text.contains('\0')) {
            return Err(wrong(path, "must be a word without control characters".to_owned()));
        }
    }
    let limit = query.limit.unwrap_or(LIMIT_USUAL);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(wrong("limit", format!("must be from 1 to {LIMIT_MAX}")));
    }
    let all = Wanted::newest(limit);
    let time = |name: &str, text: Option<String>, usual| {
        text.map_or(Ok(usual), |text| {
            time_of(&text).ok_or_else(|| {
                wrong(name, "must be a time such as 2026-11-23T00:00:00Z; a `+` is written %2B".to_owned())
            })
        })
    };
    let wanted = Wanted {
        before: query.before.unwrap_or(all.before),
        limit,
        from: time("from", query.from, all.from)?,
        to: time("to", query.to, all.to)?,
        actor: query.actor,
        action: query.action,
    };
    let entries = app.store.log_entries(wanted).await?;
    let is_full = u32::try_from(entries.len()).is_ok_and(|count| count == limit);
    let next = entries.last().map(|entry| entry.id).filter(|_| is_full);
    Ok(Json(AuditPage { entries: entries.into_iter().map(shown).collect(), next }))
}

fn shown(entry: Entry) -> AuditEntry {
    AuditEntry {
        id: entry.id,
        at: rfc3339(entry.at),
        actor: entry.actor,
        actor_kind: entry.actor_kind,
        address: entry.address,
        action: entry.action,
        subject: entry.subject,
        outcome: entry.outcome,
        // Whoever changed it may have made it no JSON at all.
        detail: serde_json::from_str(&entry.detail).unwrap_or(serde_json::Value::String(entry.detail)),
        hash: hex(&entry.hash),
    }
}
