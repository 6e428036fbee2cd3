//! What is said when something cannot be done: problem details (RFC 9457) with a code that never changes.

use crate::auth::Crowded;
use crate::hub::Gone;
use crate::store::StoreError;
use axum::Json;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use everypath_protocol::fault::Fault;
use everypath_protocol::id::Seq;
use serde::Serialize;
use std::borrow::Cow;
use utoipa::ToSchema;

/// How long to wait when the database is busy.
const RETRY_AFTER_S: u64 = 2;

/// The body of every error under `/api`.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "type": "about:blank", "title": "Unauthorized", "status": 401, "code": "not_signed_in",
    "detail": "Sign in first, or send an API token.", "instance": "/api/v1/agents",
}))]
pub struct Problem {
    /// Always `about:blank`; the code says more.
    #[serde(rename = "type")]
    pub kind: String,
    /// The words of the status.
    pub title: String,
    /// The status.
    pub status: u16,
    /// A word for programs; it never changes its meaning.
    pub code: String,
    /// A sentence for people: what happened and what to do.
    pub detail: String,
    /// The path that was asked.
    pub instance: String,
    /// With `sequence_gap`: the number that must come next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<u64>,
    /// With a code that begins with `invalid_`: everything that is wrong, each with its place.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub faults: Vec<ProblemFault>,
}

/// One thing that is wrong in what was sent.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(example = json!({"path": "probe.interval", "message": "must be from 1s to 60s"}))]
pub struct ProblemFault {
    /// Which field of the request, as in `endpoints[2].address` or `scope.source.agents[0]`; inside of what is to be kept, where
    /// that stands beside a `version`. Empty for the whole.
    pub path: String,
    /// What is wrong, to be read behind the path.
    pub message: String,
}

/// Why a request was not fulfilled.
#[derive(Clone, Debug)]
pub struct ApiError {
    status: StatusCode,
    code: &'static str,
    detail: Cow<'static, str>,
    expected: Option<Seq>,
    retry_after_s: Option<u64>,
    faults: Vec<ProblemFault>,
}

impl ApiError {
    /// An error with a code and a sentence.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { status, code, detail: detail.into(), expected: None, retry_after_s: None, faults: Vec::new() }
    }

    /// The same with a sentence more, if its code is `code`.
    pub fn hint(mut self, code: &'static str, sentence: &str) -> Self {
        if self.code == code {
            let detail = self.detail.trim_end_matches('.');
            self.detail = format!("{detail}. {sentence}").into();
        }
        self
    }

    /// Nobody is known to be asking.
    pub fn not_signed_in() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "not_signed_in", "Sign in first, or send an API token.")
    }

    /// An API token was sent that opens nothing.
    pub fn wrong_token() -> Self {
        let detail = "This API token is not known, has ended or was revoked, or the account that made it is disabled or deleted. Check \
                      that it was copied whole, or make another one.";
        Self::new(StatusCode::UNAUTHORIZED, "not_signed_in", detail)
    }

    /// Whoever asks may not do this, for `why`.
    pub fn not_allowed(why: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "not_allowed", why)
    }

    /// Another site's page seems to have made the browser ask.
    pub fn forged() -> Self {
        let detail = "The request does not come from this dashboard's own page. Programs should send an API token instead of a cookie.";
        Self::new(StatusCode::FORBIDDEN, "forged_request", detail)
    }

    /// What the request is about is not there.
    pub fn unknown(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, detail)
    }

    /// What is there stands in the way.
    pub fn conflict(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// Something that the request says cannot be.
    pub fn invalid(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// One field of what was sent cannot be as it is.
    pub fn fault(code: &'static str, path: impl Into<String>, message: impl Into<String>) -> Self {
        Self::faulty(code, &[Fault::new(path, message)])
    }

    /// What was sent has all these faults.
    pub fn faulty(code: &'static str, faults: &[Fault]) -> Self {
        let sentences: Vec<String> = faults.iter().map(|fault| format!("{fault}.")).collect();
        let fault = |fault: &Fault| ProblemFault { path: fault.path.clone(), message: fault.message.clone() };
        Self { faults: faults.iter().map(fault).collect(), ..Self::invalid(code, sentences.join(" ")) }
    }

    /// Our fault. What exactly is in the log, not in the answer.
    pub fn internal(what: &str) -> Self {
        tracing::error!(what, "a request failed");
        let detail = "Something went wrong inside the aggregator; its log says what.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    }

    /// Not now.
    pub fn busy() -> Self {
        let busy =
            Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "The aggregator is busy; nothing was done. Try again.");
        busy.retry_after(RETRY_AFTER_S)
    }

    /// Not now: there is no database to ask. Whoever can do something about it is told where to look.
    pub fn database_unreachable() -> Self {
        let detail = "The database cannot be reached, so nothing can be stored or shown; the log of the aggregator says why. \
                      Agents keep their results until it is back.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "database_unreachable", detail).retry_after(RETRY_AFTER_S)
    }

    /// Not now: the database answers, and does not take what is written.
    pub fn database_failing() -> Self {
        let detail = "The last write to the database failed; the log of the aggregator says why, a full disk for example. Agents \
                      keep their results until it succeeds.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "database_failing", detail).retry_after(RETRY_AFTER_S)
    }

    /// Not now, so that what is fresh has room.
    pub fn backlog_waits() -> Self {
        let detail = "The aggregator has too much to do to take a backlog now; nothing was done. Send what is fresh, and this later.";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "backlog_waits", detail).retry_after(RETRY_AFTER_S)
    }

    /// Not here any more: whoever knows another replica goes there at once.
    pub fn shutting_down() -> Self {
        let detail = "This aggregator ends; nothing was done. Ask another one, or this one in a while.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "shutting_down", detail).retry_after(RETRY_AFTER_S)
    }

    /// Says when to try again.
    pub fn retry_after(self, seconds: u64) -> Self {
        Self { retry_after_s: Some(seconds), ..self }
    }

    /// Names the number that must come next.
    pub fn expected(self, seq: Seq) -> Self {
        Self { expected: Some(seq), ..self }
    }

    /// Whether somebody who is known asked for what it may not.
    pub fn is_denial(&self) -> bool {
        self.status == StatusCode::FORBIDDEN
    }

    /// The word for programs.
    pub const fn code(&self) -> &'static str {
        self.code
    }

    /// The error that a bare status stands for: what the framework refuses by itself.
    fn of_status(status: StatusCode) -> Self {
        let (code, detail) = match status {
            StatusCode::NOT_FOUND => ("not_found", "There is nothing at this address."),
            StatusCode::METHOD_NOT_ALLOWED => {
                ("method_not_allowed", "This address does not take requests of this kind.")
            }
            StatusCode::PAYLOAD_TOO_LARGE => ("body_too_large", "The request is larger than this address takes."),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => {
                ("unsupported_media_type", "This address does not take this content type.")
            }
            StatusCode::REQUEST_TIMEOUT => ("timeout", "The request took too long."),
            StatusCode::UPGRADE_REQUIRED => ("upgrade_required", "This address speaks WebSocket only."),
            status if status.is_server_error() => return Self::internal("the framework failed"),
            _ => ("bad_request", "The request cannot be understood."),
        };
        Self::new(status, code, detail)
    }

    pub(super) fn problem(&self, instance: &str) -> Problem {
        Problem {
            kind: "about:blank".to_owned(),
            title: self.status.canonical_reason().unwrap_or("Error").to_owned(),
            status: self.status.as_u16(),
            code: self.code.to_owned(),
            detail: self.detail.to_string(),
            instance: instance.to_owned(),
            expected: self.expected.map(|seq| seq.0),
            faults: self.faults.clone(),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy | StoreError::Closed | StoreError::Failing | StoreError::LeaseLost => Self::busy(),
            StoreError::BacklogWaits => Self::backlog_waits(),
            StoreError::Database { .. }
            | StoreError::Unreachable(_)
            | StoreError::Unfit(_)
            | StoreError::Damaged(_) => Self::internal(&error.to_string()),
        }
    }
}

impl From<Crowded> for ApiError {
    fn from(crowded: Crowded) -> Self {
        match crowded {
            Crowded::All => Self::busy(),
            Crowded::Source => {
                let detail = "Too many logins from your address wait for their turn. Try again in a moment.";
                Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_attempts", detail).retry_after(1)
            }
        }
    }
}

impl From<Gone> for ApiError {
    fn from(_: Gone) -> Self {
        Self::busy()
    }
}

impl IntoResponse for ApiError {
    /// The body is written by [`render_problems`], which knows the path.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// Content types that carry their own error bodies.
const OWN_ERRORS: &str = "application/octet-stream";

/// Gives every error under `/api` its body, also those that the framework makes by itself.
pub async fn render_problems(request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let response = next.run(request).await;
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    let has_own_body = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == OWN_ERRORS);
    if !is_error || has_own_body {
        return response;
    }
    let error = response.extensions().get::<ApiError>().cloned().unwrap_or_else(|| ApiError::of_status(status));
    let (mut parts, _) = response.into_parts();
    let (json_parts, body) = Json(error.problem(&path)).into_response().into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.extend(json_parts.headers);
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    let no_store = (HeaderName::from_static("cache-control"), HeaderValue::from_static("no-store"));
    parts.headers.insert(no_store.0, no_store.1);
    Response::from_parts(parts, Body::new(body))
}
