//! What messages go through. Secrets go in and never come out.

mod body;

pub use body::{Channel, ChannelBody, Channels, Deliveries, Delivery, DeliveryParameters, ReplaceChannel, TestResult};

use super::alert_rules::{kept, text};
use super::{ApiError, JsonBody, Problem, author, number};
use crate::alerts::channel::{self, CHANNELS_MAX, Definition, Parcel, Secrets, Settings};
use crate::alerts::keep;
use crate::alerts::wire::RuleBody;
use crate::app::Shared;
use crate::auth::Caller;
use crate::clock::rfc3339;
use crate::guard::{Action, Actor, Resource, authorize};
use crate::store::alerts::{ChannelRow, ChannelWish, Deleted, Kind, LogEntry};
use aggregator_core::alert::Notice;
use aggregator_core::alert::retry::Outcome;
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use everypath_protocol::id::hex;
use serde_json::json;

/// Entries on a page of the log.
const LIMIT_USUAL: u32 = 50;
/// Most entries on a page of the log.
const LIMIT_MAX: u32 = 500;

/// All channels, without their secrets. Needs the role `operator`.
///
/// # Errors
/// 401 and 403 for whoever may not.
#[utoipa::path(
    get, path = "/api/v1/channels", operation_id = "channels_list", tag = "alerts",
    security(("session" = []), ("api_token" = [])),
    responses(
        (status = 200, description = "All channels.", body = Channels),
        (status = 401, description = "`not_signed_in`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_allowed`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn list(State(app): State<Shared>, actor: Actor) -> Result<Json<Channels>, ApiError> {
    authorize(&actor, Action::ReadChannels, Resource::Mesh)?;
    let rows = app.store.alert_channels().await?;
    Ok(Json(Channels { channels: rows.into_iter().filter_map(|row| shown(&app, row)).collect() }))
}

/// Make a channel. Rules that name no channels tell it too. Needs the role `admin`.
///
/// # Errors
/// 400 with everything that is wrong, 401 and 403 for whoever may not, 409 for a name that is taken or too many.
#[utoipa::path(
    post, path = "/api/v1/channels", operation_id = "channel_create", tag = "alerts", request_body = ChannelBody,
    security(("session" = []), ("api_token" = [])),
    responses(
        (status = 201, description = "The channel.", body = Channel),
        (status = 400, description = "`invalid_channel` or `unreadable_json`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`not_signed_in`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_allowed` or `forged_request`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`name_taken` or `too_many_channels`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn create(
    State(app): State<Shared>,
    caller: Caller,
    body: Result<JsonBody<ChannelBody>, ApiError>,
) -> Result<(StatusCode, Json<Channel>), ApiError> {
    authorize(&caller.actor, Action::ManageChannels, Resource::Mesh)?;
    let JsonBody(channel) = body?;
    Ok((StatusCode::CREATED, Json(put(&app, &caller, None, channel).await?)))
}

/// Change a channel. It may be used at once again. Needs the role `admin`.
///
/// # Errors
/// 400 with everything that is wrong, 401 and 403 for whoever may not, 404 if there is none, 409 if somebody else changed it, or if it would no
/// longer be one for mail while reports are sent through it.
#[utoipa::path(
    put, path = "/api/v1/channels/{id}", operation_id = "channel_replace", tag = "alerts", request_body = ReplaceChannel,
    params(("id" = i64, Path, description = "Its number.")),
    security(("session" = []), ("api_token" = [])),
    responses(
        (status = 200, description = "The channel.", body = Channel),
        (status = 400, description = "`invalid_channel` or `unreadable_json`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`not_signed_in`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_allowed` or `forged_request`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`unknown_channel`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`changed_meanwhile`, `name_taken` or `channel_in_use`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn replace(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    body: Result<JsonBody<ReplaceChannel>, ApiError>,
) -> Result<Json<Channel>, ApiError> {
    authorize(&caller.actor, Action::ManageChannels, Resource::Mesh)?;
    let JsonBody(ReplaceChannel { version, channel }) = body?;
    let row = find(&app, &id).await?;
    Ok(Json(put(&app, &caller, Some((row, version)), channel).await?))
}

/// Delete a channel, its secrets and its log. What it was told stays as it is. Needs the role `admin`.
///
/// # Errors
/// 401 and 403 for whoever may not, 404 if there is none, 409 while rules name it or reports are sent through it.
#[utoipa::path(
    delete, path = "/api/v1/channels/{id}", operation_id = "channel_delete", tag = "alerts",
    params(("id" = i64, Path, description = "Its number.")),
    security(("session" = []), ("api_token" = [])),
    responses(
        (status = 204, description = "It is gone."),
        (status = 401, description = "`not_signed_in`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_allowed` or `forged_request`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`unknown_channel`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`channel_in_use`: rules or schedules of reports name it.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn delete(State(app): State<Shared>, caller: Caller, Path(id): Path<String>) -> Result<StatusCode, ApiError> {
    authorize(&caller.actor, Action::ManageChannels, Resource::Mesh)?;
    let id = number(&id).ok_or_else(unknown)?;
    let rules = told_by(&app, id).await?;
    if !rules.is_empty() {
        let detail = format!(
            "These rules name this channel: {}. Take it out of them first, or they tell somebody less than they say.",
            rules.join(", ")
        );
        return Err(ApiError::conflict("channel_in_use", detail));
    }
    let event = caller.event(&app, "channel.delete", &id.to_string());
    match app.store.delete_alert_channel(id, event).await? {
        Deleted::Done => {}
        Deleted::Missing => return Err(unknown()),
        Deleted::InUse(schedules) => return Err(in_use(&schedules)),
    }
    tracing::info!(by = author(&caller.actor), channel = id, "a channel was deleted");
    Ok(StatusCode::NO_CONTENT)
}

/// Send a test through a channel, also one that is not enabled or rests, and say how it ended. Needs the role `admin`.
///
/// # Errors
/// 401 and 403 for whoever may not, 404 if there is none. That the provider did not take it is no error.
#[utoipa::path(
    post, path = "/api/v1/channels/{id}/test", operation_id = "channel_test", tag = "alerts",
    params(("id" = i64, Path, description = "Its number.")),
    security(("session" = []), ("api_token" = [])),
    responses(
        (status = 200, description = "How it ended, within 15 seconds.", body = TestResult),
        (status = 401, description = "`not_signed_in`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_allowed` or `forged_request`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`unknown_channel`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn test(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<TestResult>, ApiError> {
    authorize(&caller.actor, Action::ManageChannels, Resource::Mesh)?;
    let row = find(&app, &id).await?;
    let definition = definition(&row)?;
    let began = app.clock.mono();
    let now = app.now();
    let notice = Notice::test(&author(&caller.actor), &app.mesh.id().short(), now.0);
    // A mail has a name of its own each time.
    let number = now.0.unsigned_abs();
    let parcel = Parcel { channel: row.id, notice: &notice, number, edits: None, now };
    let outcome = match app.alerts.open(&row.name, &row.sealed) {
        Ok(secrets) => channel::send(app.alerts.outside(), &definition.target, &secrets, &parcel).await,
        Err(error) => Outcome::Refused(format!("{error:#}")),
    };
    let took_ms = u32::try_from(app.clock.mono().since(began).as_millis()).unwrap_or(u32::MAX);
    let (sent, detail) = match outcome {
        Outcome::Sent(_) => (true, String::new()),
        Outcome::SentToSome(why) => (true, why),
        Outcome::TooMany(rest) => {
            (false, format!("too many requests; asked to rest {} ms", rest.unwrap_or_default().as_millis()))
        }
        Outcome::Gone => (false, "there is nothing at this address".to_owned()),
        Outcome::Refused(why) | Outcome::Failed(why) => (false, why),
    };
    let entry = LogEntry {
        id: 0,
        channel: row.id,
        incident: None,
        at: app.now(),
        event: notice.event.name().to_owned(),
        result: if sent { "sent" } else { "given_up" }.to_owned(),
        detail: detail.clone(),
        took_ms,
    };
    // What the provider said may repeat what it was sent, so it is not in the audit log.
    let event =
        caller.event(&app, "channel.test", &row.id.to_string()).detail(&json!({"name": row.name, "sent": sent}));
    app.store.log_delivery(entry, event).await?;
    Ok(Json(TestResult { sent, detail, took_ms }))
}

/// What went through a channel, newest first. Needs the role `operator`.
///
/// # Errors
/// 400 for parameters that cannot be, 401 and 403 for whoever may not, 404 if there is no such channel.
#[utoipa::path(
    get, path = "/api/v1/channels/{id}/deliveries", operation_id = "channel_deliveries", tag = "alerts",
    params(("id" = i64, Path, description = "Its number."), DeliveryParameters),
    security(("session" = []), ("api_token" = [])),
    responses(
        (status = 200, description = "A page of the log.", body = Deliveries),
        (status = 400, description = "`invalid_query`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`not_signed_in`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_allowed`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`unknown_channel`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn deliveries(
    State(app): State<Shared>,
    actor: Actor,
    Path(id): Path<String>,
    parameters: Result<Query<DeliveryParameters>, QueryRejection>,
) -> Result<Json<Deliveries>, ApiError> {
    authorize(&actor, Action::ReadChannels, Resource::Mesh)?;
    let Query(parameters) = parameters.map_err(|error| ApiError::invalid("invalid_query", error.body_text()))?;
    let limit = parameters.limit.unwrap_or(LIMIT_USUAL);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(ApiError::fault("invalid_query", "limit", format!("must be from 1 to {LIMIT_MAX}")));
    }
    let row = find(&app, &id).await?;
    let mut entries = app.store.delivery_log(row.id, parameters.cursor, limit + 1).await?;
    let has_more = entries.len() > usize::try_from(limit).unwrap_or(usize::MAX);
    entries.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let next = entries.last().filter(|_| has_more).map(|(entry, _)| entry.id);
    let delivery = |(entry, definition): (LogEntry, Option<String>)| Delivery {
        title: definition.as_deref().and_then(keep::title),
        id: entry.id,
        at: rfc3339(entry.at),
        incident: entry.incident.map(|id| hex(&id)),
        event: entry.event,
        result: entry.result,
        detail: entry.detail,
        took_ms: entry.took_ms,
    };
    Ok(Json(Deliveries { deliveries: entries.into_iter().map(delivery).collect(), next }))
}

pub(super) fn in_use(schedules: &[String]) -> ApiError {
    let names = schedules.join(", ");
    let detail = format!(
        "Reports are sent through this channel: {names}. Choose another channel for them first, or delete them."
    );
    ApiError::conflict("channel_in_use", detail)
}

/// The names of the rules that name a channel.
async fn told_by(app: &Shared, channel: i64) -> Result<Vec<String>, ApiError> {
    let rows = app.store.alert_definitions(Kind::Rule, None).await?;
    let rules = rows.iter().filter_map(|row| serde_json::from_str::<RuleBody>(&row.definition).ok());
    Ok(rules
        .filter(|rule| rule.channels.as_ref().is_some_and(|named| named.contains(&channel)))
        .map(|rule| rule.name)
        .collect())
}

fn unknown() -> ApiError {
    ApiError::unknown("unknown_channel", "There is no channel of this number.")
}

async fn find(app: &Shared, id: &str) -> Result<ChannelRow, ApiError> {
    let id = number(id).ok_or_else(unknown)?;
    app.store.alert_channels().await?.into_iter().find(|row| row.id == id).ok_or_else(unknown)
}

fn definition(row: &ChannelRow) -> Result<Definition, ApiError> {
    serde_json::from_str(&row.definition).map_err(|_| ApiError::internal("a channel in the database cannot be read"))
}

async fn put(
    app: &Shared,
    caller: &Caller,
    replaces: Option<(ChannelRow, i64)>,
    body: ChannelBody,
) -> Result<Channel, ApiError> {
    let ChannelBody { name, enabled, repeat_s, target } = body;
    let mut faults = channel::faults(&name, repeat_s);
    let before = match &replaces {
        None => None,
        Some((row, _)) => {
            // Secrets that cannot be opened any more must be given again.
            let secrets = app.alerts.open(&row.name, &row.sealed).unwrap_or_default();
            Some((definition(row)?.target, secrets))
        }
    };
    let known: Option<(&Settings, Secrets)> = before.as_ref().map(|(settings, secrets)| (settings, secrets.clone()));
    let split = target.split(known, app.alerts.outside());
    let (target, secrets) = match split {
        Ok(split) if faults.is_empty() => split,
        Ok(_) => return Err(ApiError::faulty("invalid_channel", &faults)),
        Err(wrong) => {
            faults.extend(wrong);
            return Err(ApiError::faulty("invalid_channel", &faults));
        }
    };
    let sealed = app.alerts.seal(&name, &secrets).map_err(|error| ApiError::internal(&format!("{error:#}")))?;
    let now = app.now();
    let takes_reports = matches!(target, Settings::Mail { .. });
    let wish = ChannelWish {
        replaces: replaces.as_ref().map(|(row, version)| (row.id, *version)),
        name: name.clone(),
        definition: text(&Definition { target, repeat_s }),
        sealed: Some(sealed),
        is_enabled: enabled,
        takes_reports,
        by: author(&caller.actor),
        now,
    };
    let action = if replaces.is_some() { "channel.change" } else { "channel.create" };
    // Nothing of where it leads: that is where the secrets are.
    let detail = json!({"name": name, "enabled": enabled, "repeat_s": repeat_s});
    let event = caller.event(app, action, "").detail(&detail);
    let id = kept(app.store.put_alert_channel(wish, CHANNELS_MAX, event).await?, unknown, "too_many_channels")?;
    tracing::info!(by = author(&caller.actor), channel = id, name, "a channel was kept");
    let row = find(app, &id.to_string()).await?;
    shown(app, row).ok_or_else(unknown)
}

fn shown(app: &Shared, row: ChannelRow) -> Option<Channel> {
    let definition: Definition = serde_json::from_str(&row.definition).ok()?;
    let rests = row.blocked_until > app.now();
    Some(Channel {
        id: row.id,
        version: row.version,
        changed_at: rfc3339(row.changed_at),
        changed_by: row.changed_by,
        name: row.name,
        enabled: row.is_enabled,
        repeat_s: definition.repeat_s,
        target: definition.target,
        resting_until: rests.then(|| rfc3339(row.blocked_until)),
        failures: row.failures,
        trouble: row.trouble,
    })
}
