//! What is done in the background. Every job may be repeated or cut off at any point.

use crate::alerts::{judge, send};
use crate::app::{App, Shared};
use crate::auth;
use crate::reports::schedule;
use crate::store::StoreError;
use crate::watch;
use futures::future::BoxFuture;
use std::time::Duration;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// How much of the matrix a `kill -9` may cost, before the samples are told again.
const KEEP_LATEST_EVERY: Duration = Duration::from_secs(2);
/// Three times in the life of a lease.
const LEAD_EVERY: Duration = Duration::from_secs(4);
/// How late a change that another replica stored is shown here, at most and beside what the database takes.
const FOLLOW_EVERY: Duration = Duration::from_millis(250);
/// Agents that joined elsewhere and have not sent anything yet.
const REFRESH_EVERY: Duration = Duration::from_secs(10);
/// Rules are asked as often; the tracker wants a steady pace.
const JUDGE_EVERY: Duration = Duration::from_secs(1);
/// How late a message is begun to be sent at most, and how often an idle replica asks.
const SEND_EVERY: Duration = Duration::from_millis(500);
/// How late a report is begun at most.
const REPORT_EVERY: Duration = Duration::from_secs(5);
/// A pair's minute is written about twice: when it is half over, and when it is whole.
const ROLL_UP_EVERY: Duration = Duration::from_secs(30);
const UPKEEP_EVERY: Duration = Duration::from_secs(60);
/// A warning is repeated as often.
const WATCH_EVERY: Duration = Duration::from_secs(60);
/// How late a configuration that another process made is known here, and what agents run is known to others.
const CONFIG_EVERY: Duration = Duration::from_secs(1);
const SWEEP_EVERY: Duration = Duration::from_secs(3_600);
/// Steps of one run; what is left is done in the next.
const STEPS_MAX: u32 = 1_000;

/// What is done again and again.
type Job = fn(Shared) -> BoxFuture<'static, Result<(), StoreError>>;

/// Begins all jobs; they go on until `stop`. Each is a task of its own: a step of the sums is a second of work at times, and
/// neither requests nor the lease may wait for it.
pub fn start(app: &Shared, stop: &CancellationToken) -> JoinSet<()> {
    let mut jobs: Vec<(Duration, &'static str, Job)> = vec![
        (LEAD_EVERY, "lead", |app| Box::pin(async move { app.replica.renew(&app).await })),
        (KEEP_LATEST_EVERY, "keep_latest", |app| Box::pin(async move { keep_latest(&app).await })),
        (ROLL_UP_EVERY, "roll_up", |app| Box::pin(async move { roll_up(&app).await })),
        (UPKEEP_EVERY, "upkeep", |app| Box::pin(async move { app.retention.run(&app).await })),
        (JUDGE_EVERY, "judge", |app| Box::pin(async move { judge::step(&app).await })),
        (SEND_EVERY, "send", |app| Box::pin(async move { send::step(&app).await })),
        (REPORT_EVERY, "report", |app| Box::pin(async move { schedule::step(&app).await })),
        (WATCH_EVERY, "watch", |app| Box::pin(async move { watch::look(&app, |what| tracing::warn!("{what}")).await })),
        (CONFIG_EVERY, "config", |app| Box::pin(async move { config(&app).await })),
        (SWEEP_EVERY, "sweep_people", |app| Box::pin(async move { sweep_people(&app).await })),
        (SWEEP_EVERY, "sweep_incidents", |app| Box::pin(async move { judge::sweep(&app).await })),
    ];
    // A file has one process on it, and that knows what it stored.
    if app.store.is_shared() {
        jobs.push((FOLLOW_EVERY, "follow", |app| Box::pin(async move { follow(&app).await })));
        jobs.push((REFRESH_EVERY, "refresh", |app| Box::pin(async move { app.refresh_agents().await })));
    }
    if let Some(every) = app.config.update_check_every {
        jobs.push((every, "look_for_release", |app| Box::pin(async move { look_for_release(&app).await })));
    }
    let mut tasks = JoinSet::new();
    for (period, name, job) in jobs {
        tasks.spawn(every(period, stop.clone(), name, app.clone(), job));
    }
    tasks
}

/// Waits for a job that panics, which happens only by a mistake in it. Those that end in order are not told of.
pub async fn panicked(tasks: &mut JoinSet<()>) -> JoinError {
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended {
            return error;
        }
    }
    std::future::pending().await
}

async fn every(period: Duration, stop: CancellationToken, name: &'static str, app: Shared, job: Job) {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        match job(app.clone()).await {
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
        app.metrics.damaged.inc_by(step.damaged);
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

async fn config(app: &App) -> Result<(), StoreError> {
    app.configs.refresh(app).await?;
    app.configs.keep_told(app).await
}

async fn look_for_release(app: &App) -> Result<(), StoreError> {
    app.system.look(app).await;
    Ok(())
}

async fn sweep_people(app: &App) -> Result<(), StoreError> {
    if app.replica.lease().is_none() {
        return Ok(());
    }
    app.store.sweep_people(auth::sweep_limits(app.now())).await
}
