//! Whether the program works, and its counters.

use super::ApiError;
use crate::app::Shared;
use crate::guard::{Action, Actor, Resource, authorize};
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;

/// `GET /healthz`: 200 while the database answers and takes what is written.
///
/// # Errors
/// 503 when it does not answer, or when the last write failed.
pub async fn healthz(State(app): State<Shared>, actor: Actor) -> Result<&'static str, ApiError> {
    authorize(&actor, Action::ReadPublic, Resource::Program)?;
    match app.store.ping().await {
        Ok(()) => Ok("ok\n"),
        Err(error) => {
            tracing::error!(%error, "the health check failed");
            Err(ApiError::busy())
        }
    }
}

/// `GET /readyz`: 200 while new work is welcome. A load balancer stops sending some as soon as this process is asked to end.
///
/// # Errors
/// 503 while the process ends, and when [`healthz`] says so.
pub async fn readyz(State(app): State<Shared>, actor: Actor) -> Result<&'static str, ApiError> {
    if app.is_draining() {
        return Err(ApiError::busy());
    }
    healthz(State(app), actor).await
}

/// `GET /metrics`, on the loopback listener only.
///
/// # Errors
/// None; the type is that of every handler.
pub async fn metrics(State(app): State<Shared>, actor: Actor) -> Result<impl IntoResponse, ApiError> {
    authorize(&actor, Action::ReadPublic, Resource::Program)?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], app.metrics.text()))
}
