//! What is done in the background. Every job may be repeated or cut off at any point.

use crate::app::{App, Shared};
use crate::auth;
use crate::store::StoreError;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// How much of the matrix a `kill -9` may cost, before the samples are told again.
const KEEP_LATEST_EVERY: Duration = Duration::from_secs(2);
/// Three times in the life of a lease.
const LEAD_EVERY: Duration = Duration::from_secs(4);
/// How late a change that another replica stored is shown here, at most and beside what the database takes.
const FOLLOW_EVERY: Duration = Duration::from_millis(250);
/// Agents that joined elsewhere and have not sent anything yet.
const REFRESH_EVERY: Duration = Duration::from_secs(30);
/// A pair's minute is written about twice: when it is half over, and when it is whole.
const ROLL_UP_EVERY: Duration = Duration::from_secs(30);
const UPKEEP_EVERY: Duration = Duration::from_secs(60);
const SWEEP_EVERY: Duration = Duration::from_secs(3_600);
/// Steps of one run; what is left is done in the next.
const STEPS_MAX: u32 = 1_000;

/// Runs all jobs until `stop`.
pub async fn run(app: Shared, stop: CancellationToken) {
    tokio::join!(
        every(LEAD_EVERY, &stop, "lead", &app, async || app.replica.renew(&app).await),
        every(KEEP_LATEST_EVERY, &stop, "keep_latest", &app, async || keep_latest(&app).await),
        every(ROLL_UP_EVERY, &stop, "roll_up", &app, async || roll_up(&app).await),
        every(UPKEEP_EVERY, &stop, "upkeep", &app, async || app.retention.run(&app).await),
        every(SWEEP_EVERY, &stop, "sweep_people", &app, async || sweep_people(&app).await),
        async {
            // A file has one process on it, and that knows what it stored.
            if app.store.is_shared() {
                tokio::join!(
                    every(FOLLOW_EVERY, &stop, "follow", &app, async || follow(&app).await),
                    every(REFRESH_EVERY, &stop, "refresh", &app, async || app.refresh_agents().await),
                );
            }
        },
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
        match job().await {
            Ok(()) => {}
            Err(StoreError::LeaseLost) => tracing::info!(job = name, "another replica does this job by now"),
            Err(error) => {
                app.metrics.job_failures.with_label_values(&[name]).inc();
                tracing::warn!(job = name, %error, "a background job failed; it runs again");
            }
        }
    }
}

/// Keeps the rows of the matrix that changed. Whoever leads does it for all: every replica has the whole matrix.
///
/// # Errors
/// [`StoreError`]; the rows are written again when they change next, and a restart reads the samples anyway.
pub async fn keep_latest(app: &App) -> Result<(), StoreError> {
    if app.replica.lease().is_none() {
        return Ok(());
    }
    let rows = app.hub.dirty().await.map_err(|_| StoreError::Closed)?;
    if rows.is_empty() { Ok(()) } else { app.store.keep_latest(rows, app.now()).await }
}

/// Brings the sums up to date.
///
/// # Errors
/// [`StoreError`]; steps that were done stay done.
pub async fn roll_up(app: &App) -> Result<(), StoreError> {
    for _ in 0..STEPS_MAX {
        let Some(lease) = app.replica.lease() else { return Ok(()) };
        let step = app.store.roll_up(lease).await?;
        app.metrics.samples_rolled_up.inc_by(step.samples);
        app.metrics.buckets_written.inc_by(step.buckets);
        if !step.has_more {
            return Ok(());
        }
    }
    Ok(())
}

async fn follow(app: &App) -> Result<(), StoreError> {
    while app.replica.follow(app).await? {}
    Ok(())
}

async fn sweep_people(app: &App) -> Result<(), StoreError> {
    if app.replica.lease().is_none() {
        return Ok(());
    }
    let (seen_before, attempts_before) = auth::sweep_limits(app.now());
    app.store.sweep_people(seen_before, attempts_before).await
}
