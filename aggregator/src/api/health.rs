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

/// `GET /metrics`, on the loopback listener only.
///
/// # Errors
/// None; the type is that of every handler.
pub async fn metrics(State(app): State<Shared>, actor: Actor) -> Result<impl IntoResponse, ApiError> {
    authorize(&actor, Action::ReadPublic, Resource::Program)?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], app.metrics.text()))
}
