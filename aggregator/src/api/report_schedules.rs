//! Reports that are sent by mail again and again.

mod body;

pub use body::{LastReport, ReplaceSchedule, ReportSchedule, ReportSchedules, ScheduleBody};

use super::alert_rules::{kept, text};
use super::channels::TestResult;
use super::{ApiError, JsonBody, Problem, author, number, reports};
use crate::alerts::channel::{Definition, Settings};
use crate::app::Shared;
use crate::auth::Caller;
use crate::clock::rfc3339;
use crate::guard::{Action, Actor, Resource, authorize};
use crate::reports::schedule::{SCHEDULES_MAX, SENT_NOW, Wanted, entry, letter, post, why};
use crate::store::alerts::{DueReport, LogEntry, ScheduleRow, ScheduleWish, SentNow};
use crate::who::Who;
use aggregator_core::alert::retry::Outcome;
use aggregator_core::alert::rule::{NAME_RULE, is_name};
use aggregator_core::report::schedule::Turn;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use everypath_protocol::fault::Fault;
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a report may take to be made while somebody waits for it. With its sending it is within the time of a request.
const MAKE_MAX: Duration = Duration::from_secs(10);
/// Last hour of a day.
const HOUR_MAX: u8 = 23;

/// All schedules of reports. Needs the role `operator`.
///
/// # Errors
/// 401 and 403 for whoever may not.
#[utoipa::path(
    get, path = "/api/v1/report-schedules", operation_id = "report_schedules_list", tag = "reports",
    security(("session" = []), ("api_token" = [])),
    responses(
        (status = 200, description = "All schedules.", body = ReportSchedules),
        (status = 401, description = "`not_signed_in`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_allowed`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn list(State(app): State<Shared>, actor: Actor) -> Result<Json<ReportSchedules>, ApiError> {
    authorize(&actor, Action::ReadChannels, Resource::Mesh)?;
    let (rows, channels) = (app.store.schedules().await?, names(&app).await?);
    Ok(Json(ReportSchedules { schedules: rows.into_iter().filter_map(|row| shown(&app, row, &channels)).collect() }))
}

/// Have a report sent again and again, beginning with the period that ends next. Needs the role `admin`.
///
/// # Errors
/// 400 with everything that is wrong, 401 and 403 for whoever may not, 409 for a name that is taken or too many.
#[utoipa::path(
    post, path = "/api/v1/report-schedules", operation_id = "report_schedule_create", tag = "reports", request_body = ScheduleBody,
    security(("session" = []), ("api_token" = [])),
    responses(
        (status = 201, description = "The schedule.", body = ReportSchedule),
        (status = 400, description = "`invalid_schedule` or `unreadable_json`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`not_signed_in`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_allowed` or `forged_request`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`name_taken` or `too_many_schedules`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn create(
    State(app): State<Shared>,
    caller: Caller,
    body: Result<JsonBody<ScheduleBody>, ApiError>,
) -> Result<(StatusCode, Json<ReportSchedule>), ApiError> {
    authorize(&caller.actor, Action::ManageChannels, Resource::Mesh)?;
    let JsonBody(schedule) = body?;
    Ok((StatusCode::CREATED, Json(put(&app, &caller, None, schedule).await?)))
}

/// Change a schedule. What waits is sent through the channel that it has then; another time begins with the period that ends next.
/// Needs the role `admin`.
///
/// # Errors
/// 400 with everything that is wrong, 401 and 403 for whoever may not, 404 if there is none, 409 if somebody else changed it.
#[utoipa::path(
    put, path = "/api/v1/report-schedules/{id}", operation_id = "report_schedule_replace", tag = "reports",
    request_body = ReplaceSchedule, params(("id" = i64, Path, description = "Its number.")),
    security(("session" = []), ("api_token" = [])),
    responses(
        (status = 200, description = "The schedule.", body = ReportSchedule),
        (status = 400, description = "`invalid_schedule` or `unreadable_json`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`not_signed_in`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_allowed` or `forged_request`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`unknown_schedule`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`changed_meanwhile` or `name_taken`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn replace(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    body: Result<JsonBody<ReplaceSchedule>, ApiError>,
) -> Result<Json<ReportSchedule>, ApiError> {
    authorize(&caller.actor, Action::ManageChannels, Resource::Mesh)?;
    let JsonBody(ReplaceSchedule { version, schedule }) = body?;
    let row = find(&app, &id).await?;
    Ok(Json(put(&app, &caller, Some((row, version)), schedule).await?))
}

/// Delete a schedule, and what waits of it. Needs the role `admin`.
///
/// # Errors
/// 401 and 403 for whoever may not, 404 if there is none.
#[utoipa::path(
    delete, path = "/api/v1/report-schedules/{id}", operation_id = "report_schedule_delete", tag = "reports",
    params(("id" = i64, Path, description = "Its number.")),
    security(("session" = []), ("api_token" = [])),
    responses(
        (status = 204, description = "It is gone."),
        (status = 401, description = "`not_signed_in`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_allowed` or `forged_request`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`unknown_schedule`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn delete(State(app): State<Shared>, caller: Caller, Path(id): Path<String>) -> Result<StatusCode, ApiError> {
    authorize(&caller.actor, Action::ManageChannels, Resource::Mesh)?;
    let id = number(&id).ok_or_else(unknown)?;
    let event = caller.event(&app, "report_schedule.delete", &id.to_string());
    if !app.store.delete_schedule(id, event).await? {
        return Err(unknown());
    }
    tracing::info!(by = author(&caller.actor), schedule = id, "a schedule of reports was deleted");
    Ok(StatusCode::NO_CONTENT)
}

/// Send the report of the period just past now, also of a schedule that is not enabled, and say how it ended. What is due later
/// comes all the same. It is the `last` of its schedule unless one waits, and `sent_now` in the log. Needs the role `admin`.
///
/// # Errors
/// 401 and 403 for whoever may not, 404 if there is none, 503 while too many reports are made. That the mail server did not take it
/// is no error.
#[utoipa::path(
    post, path = "/api/v1/report-schedules/{id}/send", operation_id = "report_schedule_send", tag = "reports",
    params(("id" = i64, Path, description = "Its number.")),
    security(("session" = []), ("api_token" = [])),
    responses(
        (status = 200, description = "How it ended, within 25 seconds.", body = TestResult),
        (status = 401, description = "`not_signed_in`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_allowed` or `forged_request`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`unknown_schedule`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn send(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<TestResult>, ApiError> {
    authorize(&caller.actor, Action::ManageChannels, Resource::Mesh)?;
    let row = find(&app, &id).await?;
    let wanted = wanted(&row)?;
    let place = reports::place(&app)?;
    let (began, now) = (app.clock.mono(), app.now());
    let Turn { from, to, .. } = wanted.schedule().newest(now);
    let due = DueReport {
        schedule: row.id,
        name: row.name.clone(),
        definition: row.definition.clone(),
        channel: row.channel,
        wanted: 0,
        from,
        to,
        wanted_at: now,
    };
    // A mail of its own each time.
    let again = format!(".{}", now.0);
    let letter = tokio::time::timeout(MAKE_MAX, letter(&app, &due, &wanted, &again, place)).await;
    let outcome = match letter {
        Ok(Ok(letter)) => post(&app, row.channel, &letter).await.0,
        Ok(Err(why)) => Outcome::Failed(why),
        Err(_) => Outcome::Failed("the report took too long to be made".to_owned()),
    };
    let sent = matches!(outcome, Outcome::Sent(_) | Outcome::SentToSome(_));
    let detail = why(&outcome);
    let took_ms = u32::try_from(app.clock.mono().since(began).as_millis()).unwrap_or(u32::MAX);
    let result = if sent { "sent" } else { "given_up" };
    // What the provider said may repeat what it was sent, so it is not in the audit log.
    let event = caller.event(&app, "report_schedule.send", &row.id.to_string());
    let event = event.detail(&json!({"name": row.name, "sent": sent}));
    let entry = LogEntry { event: SENT_NOW.to_owned(), ..entry(row.channel, app.now(), result, &detail, took_ms) };
    let failed = (!sent).then(|| entry.detail.clone());
    app.store.note_sent_now(SentNow { schedule: row.id, from, to, failed, entry }, event).await?;
    Ok(Json(TestResult { sent, detail, took_ms }))
}

fn unknown() -> ApiError {
    ApiError::unknown("unknown_schedule", "There is no schedule of this number.")
}

async fn find(app: &Shared, id: &str) -> Result<ScheduleRow, ApiError> {
    let id = number(id).ok_or_else(unknown)?;
    app.store.schedules().await?.into_iter().find(|row| row.id == id).ok_or_else(unknown)
}

fn wanted(row: &ScheduleRow) -> Result<Wanted, ApiError> {
    serde_json::from_str(&row.definition).map_err(|_| ApiError::internal("a schedule in the database cannot be read"))
}

/// What people call the channels.
async fn names(app: &Shared) -> Result<BTreeMap<i64, String>, ApiError> {
    Ok(app.store.alert_channels().await?.into_iter().map(|row| (row.id, row.name)).collect())
}

/// Everything that is wrong with it.
async fn faults(app: &Shared, body: &ScheduleBody) -> Result<Vec<Fault>, ApiError> {
    let mut faults = Vec::new();
    if !is_name(&body.name) {
        faults.push(Fault::new("name", NAME_RULE));
    }
    if body.hour_utc > HOUR_MAX {
        faults.push(Fault::new("hour_utc", format!("must be from 0 to {HOUR_MAX}")));
    }
    if let Some(site) = &body.site
        && !Who::read(app).await?.iter().any(|(_, known)| !known.is_endpoint && known.site == *site)
    {
        faults.push(Fault::new("site", format!("no agent is in a site `{site}`")));
    }
    let channels = app.store.alert_channels().await?;
    let channel = channels.iter().find(|row| row.id == body.channel);
    let is_mail = |definition: &str| {
        serde_json::from_str(definition).is_ok_and(|known: Definition| matches!(known.target, Settings::Mail { .. }))
    };
    match channel {
        None => faults.push(Fault::new("channel", format!("there is no channel {}", body.channel))),
        Some(row) if !is_mail(&row.definition) => {
            faults.push(Fault::new("channel", format!("{} is not one for mail", row.name)));
        }
        Some(_) => {}
    }
    Ok(faults)
}

async fn put(
    app: &Shared,
    caller: &Caller,
    replaces: Option<(ScheduleRow, i64)>,
    body: ScheduleBody,
) -> Result<ReportSchedule, ApiError> {
    let faults = faults(app, &body).await?;
    if !faults.is_empty() {
        return Err(ApiError::faulty("invalid_schedule", &faults));
    }
    let now = app.now();
    let definition = Wanted { every: body.every, hour_utc: body.hour_utc, site: body.site };
    // Of another time, or of one at which nothing was sent, what is past is past.
    let goes_on = replaces.as_ref().is_some_and(|(row, _)| {
        let is_same = wanted(row).is_ok_and(|before| before.schedule() == definition.schedule());
        is_same && row.is_enabled
    });
    let wish = ScheduleWish {
        replaces: replaces.as_ref().map(|(row, version)| (row.id, *version)),
        name: body.name.clone(),
        definition: text(&definition),
        channel: body.channel,
        is_enabled: body.enabled,
        decided: (!goes_on).then(|| definition.schedule().newest(now).to),
        by: author(&caller.actor),
        now,
    };
    let action = if replaces.is_some() { "report_schedule.change" } else { "report_schedule.create" };
    let detail = json!({
        "name": body.name, "enabled": body.enabled, "every": definition.every, "hour_utc": definition.hour_utc,
        "site": definition.site, "channel": body.channel,
    });
    let event = caller.event(app, action, "").detail(&detail);
    let id = kept(app.store.put_schedule(wish, SCHEDULES_MAX, event).await?, unknown, "too_many_schedules")?;
    tracing::info!(by = author(&caller.actor), schedule = id, name = body.name, "a schedule of reports was kept");
    let row = find(app, &id.to_string()).await?;
    shown(app, row, &names(app).await?).ok_or_else(unknown)
}

fn shown(app: &Shared, row: ScheduleRow, channels: &BTreeMap<i64, String>) -> Option<ReportSchedule> {
    let wanted: Wanted = serde_json::from_str(&row.definition).ok()?;
    let last = row.last.map(|last| LastReport {
        from: rfc3339(last.from),
        to: rfc3339(last.to),
        decided_at: rfc3339(last.decided_at),
        state: match (last.is_sent, &last.failed) {
            (true, _) => "sent",
            (false, Some(_)) => "given_up",
            (false, None) => "waits",
        },
        detail: last.failed.unwrap_or_default(),
    });
    Some(ReportSchedule {
        id: row.id,
        version: row.version,
        changed_at: rfc3339(row.changed_at),
        changed_by: row.changed_by,
        name: row.name,
        enabled: row.is_enabled,
        every: wanted.every,
        hour_utc: wanted.hour_utc,
        next_at: row.is_enabled.then(|| rfc3339(wanted.schedule().next(app.now()).due)),
        site: wanted.site,
        channel: row.channel,
        channel_name: channels.get(&row.channel).cloned(),
        last,
    })
}
