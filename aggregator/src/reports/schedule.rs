//! Reports that are sent by mail again and again. Whoever holds the lease decides which are due, every replica sends.
//!
//! A report that is due lies in the database until its channel took it. A replica that is killed in between leaves it to another,
//! after [`HOLD`]: none is lost, and at most that one comes twice, under the same name of its mail.

use super::{Ask, Made, make};
use crate::alerts::channel::{self, Definition, Letter};
use crate::app::{App, Shared};
use crate::clock::rfc3339;
use crate::store::StoreError;
use crate::store::alerts::{DueReport, LogEntry, ReportDone, ScheduleDecision, ScheduleRow};
use aggregator_core::alert::retry::{self, Fate, Outcome};
use aggregator_core::report::schedule::{Decision, Every, Schedule, Turn, decide};
use aggregator_core::report::{Period, mail};
use everypath_protocol::time::{Span, UnixTime};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use utoipa::ToSchema;

/// Most schedules.
pub const SCHEDULES_MAX: u32 = 64;
/// The word in the delivery log.
pub const EVENT: &str = "report";
/// The same of one that somebody had sent by hand.
pub const SENT_NOW: &str = "sent_now";
/// How long a report may take to be made.
const MAKE_MAX: Duration = Duration::from_secs(60);
/// For so long a report is one replica's: longer than making and sending take, by more than the clocks of replicas may differ.
const HOLD: Span = Span::seconds(120);
const _: () = assert!(
    HOLD.as_seconds() >= MAKE_MAX.as_secs() + crate::alerts::outside::SEND_MAX.as_secs() + 20,
    "making and sending fit into it"
);
/// Pairs in one table, and incidents in the other: about a megabyte each, which mail servers take.
const PAIRS_MAX: usize = 10_000;
const INCIDENTS_MAX: usize = 5_000;
/// Most characters of what a provider said that are kept.
const DETAIL_MAX: usize = 400;

/// How often a report is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(example = "week")]
pub enum EveryBody {
    /// Of the day just past.
    Day,
    /// Of the week just past, from Monday to Monday.
    Week,
    /// Of the month just past.
    Month,
}

/// What is kept in the definition of a schedule. A field that is added later must have a default.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Wanted {
    /// How often.
    pub every: EveryBody,
    /// At which hour of UTC.
    pub hour_utc: u8,
    /// About which site; all of the mesh without one.
    pub site: Option<String>,
}

impl Wanted {
    /// When it is due.
    pub const fn schedule(&self) -> Schedule {
        let every = match self.every {
            EveryBody::Day => Every::Day,
            EveryBody::Week => Every::Week,
            EveryBody::Month => Every::Month,
        };
        Schedule { every, hour: self.hour_utc }
    }
}

/// Decides what is due, if this replica leads, and begins to send one report that waits. Waits for none of it.
///
/// # Errors
/// [`StoreError`]; what is due stays due.
pub async fn step(app: &Shared) -> Result<(), StoreError> {
    // What is begun now would not be noted.
    if app.is_draining() {
        return Ok(());
    }
    let now = app.now();
    if let Some(lease) = app.replica.lease() {
        let decisions: Vec<_> = app.store.schedules().await?.iter().filter_map(|row| decided(row, now)).collect();
        if !decisions.is_empty() {
            app.store.decide_schedules(lease, decisions, now).await?;
        }
    }
    // People who wait for a report come first.
    let Ok(place) = Arc::clone(&app.reports).try_acquire_owned() else { return Ok(()) };
    let Some(sending) = app.alerts.place() else { return Ok(()) };
    if let Some(due) = app.store.take_report(app.replica.id, now, HOLD).await? {
        app.alerts.begin(sending, deliver(Arc::clone(app), due, place));
    }
    Ok(())
}

fn decided(row: &ScheduleRow, now: UnixTime) -> Option<ScheduleDecision> {
    // What cannot be read was written by a newer program, which knows what to do with it.
    let wanted: Wanted = serde_json::from_str(&row.definition).ok().filter(|_| row.is_enabled)?;
    let (id, version) = (row.id, row.version);
    match decide(wanted.schedule(), row.decided, now) {
        Decision::Rest => None,
        Decision::SetBack(to) => Some(ScheduleDecision { id, version, decided: to, send_from: None }),
        Decision::Send(Turn { from, to, .. }) => {
            tracing::info!(schedule = row.name, from = rfc3339(from), to = rfc3339(to), "a report is due");
            Some(ScheduleDecision { id, version, decided: to, send_from: Some(from) })
        }
    }
}

async fn deliver(app: Arc<App>, due: DueReport, place: OwnedSemaphorePermit) {
    let began = app.clock.mono();
    let (outcome, used) = attempt(&app, &due, place).await;
    let now = app.now();
    let (fate, pause) =
        retry::after(&outcome, now, due.wanted_at, used.map_or(0, |used| used.failures), app.alerts.draw());
    // Nobody edits a report.
    let fate = if fate == Fate::Anew { Fate::Waits } else { fate };
    let (result, detail) = match &fate {
        Fate::Told => ("sent", why(&outcome)),
        Fate::Waits | Fate::Anew => ("waits", why(&outcome)),
        Fate::GivenUp(why) => ("given_up", why.clone()),
    };
    app.metrics.messages.with_label_values(&[result]).inc();
    if result != "sent" {
        tracing::warn!(schedule = due.name, detail, "a report: {result}");
    }
    let took_ms = u32::try_from(app.clock.mono().since(began).as_millis()).unwrap_or(u32::MAX);
    let entry = entry(due.channel, now, result, &detail, took_ms);
    let (schedule, wanted, replica) = (due.schedule, due.wanted, app.replica.id);
    // Nobody is asked that fast for what cannot be made.
    let rests_until = if used.is_none() { now.plus(HOLD) } else { UnixTime(0) };
    let pause = used.map(|used| (pause, used.version));
    match app.store.note_report(ReportDone { schedule, wanted, replica, fate, pause, rests_until, entry }).await {
        Ok(true) => {}
        Ok(false) => {
            tracing::warn!(
                schedule = due.name,
                "a report was deleted meanwhile, or took so long that another replica may send it too"
            );
        }
        Err(error) => {
            tracing::warn!(schedule = due.name, %error, "what became of a report was not noted; it may be sent twice");
        }
    }
}

/// Why it was not taken.
pub fn why(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Sent(_) => String::new(),
        Outcome::Gone => "there is nothing at this address".to_owned(),
        Outcome::TooMany(rest) => {
            format!("too many requests; asked to rest {} ms", rest.unwrap_or_default().as_millis())
        }
        Outcome::SentToSome(why) | Outcome::Failed(why) | Outcome::Refused(why) => why.clone(),
    }
}

/// An entry of the delivery log.
pub fn entry(channel: i64, at: UnixTime, result: &str, detail: &str, took_ms: u32) -> LogEntry {
    LogEntry {
        id: 0,
        channel,
        incident: None,
        at,
        event: EVENT.to_owned(),
        result: result.to_owned(),
        detail: detail.chars().take(DETAIL_MAX).collect(),
        took_ms,
    }
}

/// A channel that was asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Used {
    /// Its version.
    pub version: i64,
    /// How often it had failed before.
    pub failures: u32,
}

/// How it ended, and which channel was asked, if one was.
async fn attempt(app: &App, due: &DueReport, place: OwnedSemaphorePermit) -> (Outcome, Option<Used>) {
    let Ok(wanted) = serde_json::from_str::<Wanted>(&due.definition) else {
        let why = "its schedule cannot be read; was it written by a newer version?";
        return (Outcome::Refused(why.to_owned()), None);
    };
    let letter = tokio::time::timeout(MAKE_MAX, letter(app, due, &wanted, "", place)).await;
    match letter {
        Ok(Ok(letter)) => post(app, due.channel, &letter).await,
        // The channel has nothing to do with it: it is tried again after a while, and given up after a day.
        Ok(Err(why)) => (Outcome::Failed(why), None),
        Err(_) => (Outcome::Failed("the report took too long to be made".to_owned()), None),
    }
}

/// Sends a letter through a channel. Ends within [`crate::alerts::outside::SEND_MAX`]. Says also which channel
/// was asked, if one was.
pub async fn post(app: &App, channel: i64, letter: &Letter) -> (Outcome, Option<Used>) {
    let row = match app.store.alert_channels().await {
        Ok(rows) => rows.into_iter().find(|row| row.id == channel),
        Err(error) => return (Outcome::Failed(error.to_string()), None),
    };
    let Some(row) = row else {
        return (Outcome::Refused("its channel was deleted; choose another for the schedule".to_owned()), None);
    };
    let Ok(definition) = serde_json::from_str::<Definition>(&row.definition) else {
        return (Outcome::Refused("its channel cannot be read".to_owned()), None);
    };
    let outcome = match app.alerts.open(&row.name, &row.sealed) {
        Ok(secrets) => channel::post(app.alerts.outside(), &definition.target, &secrets, letter).await,
        Err(error) => Outcome::Failed(format!("{error:#}")),
    };
    (outcome, Some(Used { version: row.version, failures: row.failures }))
}

/// The mail. `again` makes its name another one.
///
/// # Errors
/// Why it cannot be made now.
pub async fn letter(
    app: &App,
    due: &DueReport,
    wanted: &Wanted,
    again: &str,
    place: OwnedSemaphorePermit,
) -> Result<Letter, String> {
    let period = Period::new(due.from, due.to, app.now()).map_err(|why| why.to_string())?;
    let site = wanted.site.clone();
    let ask = Ask { period, pairs: PAIRS_MAX, incidents: INCIDENTS_MAX, agent: None, site };
    let made = make(app, ask, place).await.map_err(|error| error.to_string())?;
    Ok(written(app, due, wanted, again, &made))
}

fn written(app: &App, due: &DueReport, wanted: &Wanted, again: &str, made: &Made) -> Letter {
    let about = mail::About {
        name: &due.name,
        site: wanted.site.as_deref(),
        incidents: &made.incidents,
        incidents_count: made.incidents_count,
        mesh: &app.mesh.id().short(),
        url: app.config.advertise.first().map(String::as_str),
        began: made.began,
        now: made.at,
    };
    let (subject, body) = mail::mail(&made.report, &about, &rfc3339);
    let name = format!("report.{}.{}{again}", due.schedule, due.to.0 / 1_000_000);
    // A longer name is split in a way that not every mail program puts together again (RFC 2231).
    let short = |(name, text): (String, String)| (name.trim_start_matches("everypath-").to_owned(), text);
    Letter { subject, body, name, tables: [made.availability_csv(), made.incidents_csv()].map(short).into() }
}
