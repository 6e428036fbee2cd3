//! How long things are kept.

use super::{ApiError, JsonBody, Problem};
use crate::app::Shared;
use crate::auth::Caller;
use crate::guard::{Action, Actor, Resource, authorize};
use crate::retention::{self, Periods};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How long each kind of row is kept, in seconds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "version": 1, "samples_s": 604_800, "minutes_s": 7_776_000, "hours_s": 63_072_000, "days_s": 315_360_000,
    "events_s": 31_536_000,
}))]
pub struct RetentionSetting {
    /// Grows with each change; 0 until the first. To change something send the version that was read.
    pub version: i64,
    /// Windows as agents closed them, 10 to 60 seconds each.
    pub samples_s: u64,
    /// Sums of a minute.
    pub minutes_s: u64,
    /// Sums of an hour.
    pub hours_s: u64,
    /// Sums of a day.
    pub days_s: u64,
    /// Changes of state.
    pub events_s: u64,
}

/// Behind what is wrong with the JSON.
const ALL_FIELDS: &str = "Send all six fields, `version`, `samples_s`, `minutes_s`, `hours_s`, `days_s` and `events_s`, as GET \
    /api/v1/settings/retention answers them; all are whole numbers.";

impl RetentionSetting {
    pub(super) const fn new(periods: Periods, version: i64) -> Self {
        let Periods { samples_s, minutes_s, hours_s, days_s, events_s } = periods;
        Self { version, samples_s, minutes_s, hours_s, days_s, events_s }
    }

    const fn periods(&self) -> Periods {
        let Self { samples_s, minutes_s, hours_s, days_s, events_s, .. } = *self;
        Periods { samples_s, minutes_s, hours_s, days_s, events_s }
    }
}

/// How long things are kept.
///
/// # Errors
/// 401 without a session or an API token, 403 for a token without the scope `read`.
#[utoipa::path(
    get, path = "/api/v1/settings/retention", operation_id = "retention_show", tag = "settings",
    security(("session" = []), ("api_token" = [])),
    responses(
        (status = 200, description = "What holds now.", body = RetentionSetting),
        (status = 401, description = "`not_signed_in`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_allowed`: an API token without the scope `read`.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn show(State(app): State<Shared>, actor: Actor) -> Result<Json<RetentionSetting>, ApiError> {
    authorize(&actor, Action::ReadMatrix, Resource::Mesh)?;
    let (periods, version) = retention::current(&app.store, &app.config).await?;
    Ok(Json(RetentionSetting::new(periods, version)))
}

/// Change how long things are kept, on every replica. What is too old by then is deleted within minutes and cannot be had
/// back. Needs the role `admin`.
///
/// # Errors
/// 400 with everything that is wrong, 401 and 403 for whoever may not, 409 if somebody else changed it meanwhile.
#[utoipa::path(
    put, path = "/api/v1/settings/retention", operation_id = "retention_set", tag = "settings", request_body = RetentionSetting,
    security(("session" = []), ("api_token" = [])),
    responses(
        (status = 200, description = "What holds from now on.", body = RetentionSetting),
        (status = 400, description = "`invalid_retention` or `unreadable_json`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`not_signed_in`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_allowed` or `forged_request`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`changed_meanwhile`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn set(
    State(app): State<Shared>,
    caller: Caller,
    body: Result<JsonBody<RetentionSetting>, ApiError>,
) -> Result<Json<RetentionSetting>, ApiError> {
    authorize(&caller.actor, Action::ChangeSettings, Resource::Mesh)?;
    let JsonBody(wanted) = body.map_err(|error| error.hint("unreadable_json", ALL_FIELDS))?;
    let periods = wanted.periods();
    let faults = periods.faults();
    if !faults.is_empty() {
        return Err(ApiError::faulty("invalid_retention", &faults));
    }
    let event = caller.event(&app, "setting.change", "retention");
    if !retention::set(&app.store, &periods, wanted.version, event).await? {
        let detail =
            "Somebody changed it meanwhile. Read it again, and send your change with the version that you read.";
        return Err(ApiError::new(StatusCode::CONFLICT, "changed_meanwhile", detail));
    }
    Ok(Json(RetentionSetting::new(periods, wanted.version + 1)))
}
