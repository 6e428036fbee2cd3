//! Whether the program works, and its counters.

use super::ApiError;
use crate::app::Shared;
use crate::guard::{Action, Actor, Resource, authorize};
use crate::store::StoreError;
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
            Err(unhealthy(&error))
        }
    }
}

/// `GET /readyz`: 200 while new work is welcome. A load balancer stops sending some as soon as this process is asked to end.
///
/// # Errors
/// 503 while the process ends, and when [`healthz`] says so.
pub async fn readyz(State(app): State<Shared>, actor: Actor) -> Result<&'static str, ApiError> {
    if app.is_draining() {
        return Err(ApiError::shutting_down());
    }
    healthz(State(app), actor).await
}

/// What to tell whoever watches. A store that was closed is one of a process that ends.
fn unhealthy(error: &StoreError) -> ApiError {
    match error {
        StoreError::Failing => ApiError::database_failing(),
        StoreError::Closed => ApiError::shutting_down(),
        StoreError::Busy
        | StoreError::BacklogWaits
        | StoreError::LeaseLost
        | StoreError::Database { .. }
        | StoreError::Unreachable(_)
        | StoreError::Unfit(_)
        | StoreError::Damaged(_) => ApiError::database_unreachable(),
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

#[cfg(test)]
mod tests {
    use super::*;

    /// It said that it was busy, and people looked for load.
    #[test]
    fn a_database_that_is_away_is_called_that() {
        for (error, code) in [
            (StoreError::Busy, "database_unreachable"),
            (StoreError::Unreachable("no route".into()), "database_unreachable"),
            (StoreError::Failing, "database_failing"),
            (StoreError::Closed, "shutting_down"),
        ] {
            assert_eq!(unhealthy(&error).code(), code, "{error}");
        }
    }
}
