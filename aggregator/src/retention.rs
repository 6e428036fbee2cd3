//! What is kept for how long. A wall clock that is wrong makes everything look old: then rather nothing is deleted ([`Doubts`]).

use crate::app::App;
use crate::audit_log::Event;
use crate::clock::Clock;
use crate::config::Config;
use crate::doubt::Doubts;
use crate::store::{Keep, Store, StoreError};
use everypath_protocol::fault::Fault;
use everypath_protocol::time::{Span, UnixTime};
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Steps in one run; the next run goes on where this one ended.
const STEPS_MAX: u32 = 1_000;
/// Runs between two warnings.
const RUNS_PER_WARNING: u32 = 60;
/// Under which the setting is kept.
const SETTING: &str = "retention";
const DAY: u64 = 24 * 3_600;

/// How long each kind of row is kept, in seconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Periods {
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

impl Periods {
    /// What holds until somebody sets something else.
    pub fn usual(config: &Config) -> Self {
        Self {
            samples_s: config.keep_samples.as_secs(),
            minutes_s: 90 * DAY,
            hours_s: 2 * 365 * DAY,
            days_s: 10 * 365 * DAY,
            events_s: 365 * DAY,
        }
    }

    /// Everything that is wrong with it.
    pub fn faults(&self) -> Vec<Fault> {
        let named = [
            ("samples_s", self.samples_s, 3_600, "an hour: a restart needs the last minutes"),
            ("minutes_s", self.minutes_s, DAY, "a day"),
            ("hours_s", self.hours_s, DAY, "a day"),
            ("days_s", self.days_s, DAY, "a day"),
            ("events_s", self.events_s, DAY, "a day"),
        ];
        const YEARS_MAX: u64 = 100;
        let mut faults = Vec::new();
        for (path, value, least, why) in named {
            if value < least {
                faults.push(Fault::new(path, format!("must be at least {least}, which is {why}")));
            }
            if value > YEARS_MAX * 365 * DAY {
                faults.push(Fault::new(path, format!("must be at most {YEARS_MAX} years")));
            }
        }
        // Events are no rows of sums.
        for pair in named[..4].windows(2) {
            let [(finer, least, ..), (path, value, ..)] = pair else { continue };
            if value < least {
                let message =
                    format!("must be at least `{finer}`: coarser rows are kept as long as finer ones, or longer");
                faults.push(Fault::new(*path, message));
            }
        }
        faults
    }

    const fn keep(&self) -> Keep {
        Keep {
            samples: Span::seconds(self.samples_s),
            minutes: Span::seconds(self.minutes_s),
            hours: Span::seconds(self.hours_s),
            days: Span::seconds(self.days_s),
            events: Span::seconds(self.events_s),
        }
    }
}

/// The setting that holds, and its version; 0 until somebody set one.
///
/// # Errors
/// [`StoreError`].
pub async fn current(store: &Store, config: &Config) -> Result<(Periods, i64), StoreError> {
    match store.setting(SETTING).await? {
        Some((text, version)) => {
            let periods = serde_json::from_str(&text).map_err(|_| StoreError::Damaged("the setting `retention`"))?;
            Ok((periods, version))
        }
        None => Ok((Periods::usual(config), 0)),
    }
}

/// Sets it, if nobody else did since `version`, and logs it as `event`. Returns whether it was set.
///
/// # Errors
/// [`StoreError`].
pub async fn set(store: &Store, periods: &Periods, version: i64, event: Event) -> Result<bool, StoreError> {
    let text = serde_json::to_string(periods).map_err(|_| StoreError::Damaged("the setting `retention`"))?;
    let detail = serde_json::to_value(periods).map_err(|_| StoreError::Damaged("the setting `retention`"))?;
    store.put_setting(SETTING, text, version, event.at, Some(event.detail(&detail))).await
}

/// When old rows are dropped, from run to run.
#[derive(Debug)]
pub struct Retention {
    doubts: Doubts,
    runs_skipped: AtomicU32,
    /// Why the last run of this process deleted nothing.
    doubt: Mutex<Option<String>>,
}

impl Retention {
    /// At the start of the process; `newest_receipt` is from before.
    pub fn new(clock: &Clock, newest_receipt: Option<UnixTime>) -> Self {
        Self {
            doubts: Doubts::new(clock.now(), clock.mono(), newest_receipt),
            runs_skipped: AtomicU32::new(0),
            doubt: Mutex::new(None),
        }
    }

    /// Why nothing old is deleted, if this process leads and doubts its clock.
    pub fn doubt(&self) -> Option<String> {
        self.doubted().clone()
    }

    fn doubted(&self) -> MutexGuard<'_, Option<String>> {
        self.doubt.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drops what is older than it is to be kept, if this replica leads.
    ///
    /// # Errors
    /// [`StoreError`]; the next run goes on behind the last step that was done.
    pub async fn run(&self, app: &App) -> Result<(), StoreError> {
        if app.replica.lease().is_none() {
            self.doubted().take();
            return Ok(());
        }
        let (periods, version) = current(&app.store, &app.config).await?;
        // One time for the whole run: a clock that is set meanwhile was not looked at.
        let now = app.now();
        let doubt = self.doubts.look(&app.store, &app.clock, version).await?;
        app.metrics.clock_doubted.set(i64::from(doubt.is_some()));
        self.doubted().clone_from(&doubt);
        if let Some(why) = doubt {
            if self.runs_skipped.fetch_add(1, Ordering::Relaxed).is_multiple_of(RUNS_PER_WARNING) {
                tracing::warn!(why, "nothing old is deleted, because the clock may be wrong");
            }
            return Ok(());
        }
        self.runs_skipped.store(0, Ordering::Relaxed);
        for _ in 0..STEPS_MAX {
            let Some(lease) = app.replica.lease() else { return Ok(()) };
            let step = app.store.maintain(lease, periods.keep(), now).await?;
            app.metrics.rows_dropped.inc_by(step.dropped);
            if !step.has_more {
                return Ok(());
            }
        }
        Ok(())
    }
}
