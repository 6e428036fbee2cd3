//! When old samples are deleted, and when rather not: a wall clock that is wrong makes everything look old.

use crate::app::App;
use crate::clock::{Clock, rfc3339, span};
use crate::store::StoreError;
use everypath_protocol::time::{MonoTime, Span, UnixTime};
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

/// Samples looked at in one transaction: a few milliseconds, so that batches wait no longer.
const ROWS_PER_STEP: u32 = 2_000;
/// Steps in one run; the next run goes on where this one ended.
const STEPS_MAX: u32 = 500;
/// Nothing is deleted while the wall clock is further than this from where it was at the start plus the time since.
const STEP_MAX: Span = Span::seconds(3_600);
/// Nothing is deleted by a process that began this long after anything came: rather is the clock wrong.
const SILENCE_MAX: Span = Span::seconds(30 * 24 * 3_600);
/// Runs between two warnings.
const RUNS_PER_WARNING: u32 = 60;

/// What is remembered from run to run.
#[derive(Debug)]
pub struct Retention {
    wall: UnixTime,
    mono: MonoTime,
    newest_receipt: Option<UnixTime>,
    next: AtomicI64,
    runs_skipped: AtomicU32,
}

impl Retention {
    /// At the start of the process; `newest_receipt` is from before.
    pub fn new(clock: &Clock, newest_receipt: Option<UnixTime>) -> Self {
        Self {
            wall: clock.now(),
            mono: clock.mono(),
            newest_receipt,
            next: AtomicI64::new(0),
            runs_skipped: AtomicU32::new(0),
        }
    }

    /// Why the wall clock is not believed.
    fn doubt(&self, clock: &Clock) -> Option<String> {
        let now = clock.now();
        let expected = self.wall.plus(clock.mono().since(self.mono));
        if now.since(expected).max(expected.since(now)) > STEP_MAX {
            let (now, expected) = (rfc3339(now), rfc3339(expected));
            return Some(format!("the clock says {now}, but by the time since the start it should be {expected}"));
        }
        let newest = self.newest_receipt.filter(|newest| self.wall.since(*newest) > SILENCE_MAX)?;
        let (wall, newest) = (rfc3339(self.wall), rfc3339(newest));
        Some(format!("the program started at {wall}, but what came last before that came at {newest}"))
    }

    /// Deletes samples that are older than configured.
    ///
    /// # Errors
    /// [`StoreError`]; the next run goes on behind the last step that was done.
    pub async fn run(&self, app: &App) -> Result<(), StoreError> {
        if let Some(why) = self.doubt(&app.clock) {
            if self.runs_skipped.fetch_add(1, Ordering::Relaxed).is_multiple_of(RUNS_PER_WARNING) {
                tracing::warn!(
                    why,
                    "no old samples are deleted, because the clock may be wrong; if it is right, restart the aggregator"
                );
            }
            return Ok(());
        }
        self.runs_skipped.store(0, Ordering::Relaxed);
        let now = app.now();
        let before = now.minus(span(app.config.keep_samples));
        for _ in 0..STEPS_MAX {
            let after = self.next.load(Ordering::Relaxed);
            let swept = app.store.delete_samples(before, now, after, ROWS_PER_STEP).await?;
            app.metrics.samples_deleted.inc_by(swept.deleted);
            self.next.store(swept.next.unwrap_or(0), Ordering::Relaxed);
            if swept.next.is_none() {
                return Ok(());
            }
        }
        Ok(())
    }
}
