//! What is done in the background. Every job may be repeated or cut off at any point.

use crate::app::{App, Shared};
use crate::auth;
use crate::store::StoreError;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// How much of the matrix a `kill -9` may cost, before the samples are told again.
const KEEP_LATEST_EVERY: Duration = Duration::from_secs(2);
const DELETE_EVERY: Duration = Duration::from_secs(60);
const SWEEP_EVERY: Duration = Duration::from_secs(3_600);

/// Runs all jobs until `stop`.
pub async fn run(app: Shared, stop: CancellationToken) {
    tokio::join!(
        every(KEEP_LATEST_EVERY, &stop, "keep_latest", &app, async || keep_latest(&app).await),
        every(DELETE_EVERY, &stop, "delete_samples", &app, async || app.retention.run(&app).await),
        every(SWEEP_EVERY, &stop, "sweep_people", &app, async || sweep_people(&app).await),
    );
}

async fn every(
    period: Duration,
    stop: &CancellationToken,
    name: &'static str,
    app: &App,
    job: impl AsyncFn() -> Result<(), StoreError>,
) {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        if let Err(error) = job().await {
            app.metrics.job_failures.with_label_values(&[name]).inc();
            tracing::warn!(job = name, %error, "a background job failed; it runs again");
        }
    }
}

/// Keeps the rows of the matrix that changed.
///
/// # Errors
/// [`StoreError`]; the rows are written again when they change next, and a restart reads the samples anyway.
pub async fn keep_latest(app: &App) -> Result<(), StoreError> {
    let rows = app.hub.dirty().await.map_err(|_| StoreError::Closed)?;
    if rows.is_empty() { Ok(()) } else { app.store.keep_latest(rows, app.now()).await }
}

async fn sweep_people(app: &App) -> Result<(), StoreError> {
    let (seen_before, attempts_before) = auth::sweep_limits(app.now());
    app.store.sweep_people(seen_before, attempts_before).await
}
