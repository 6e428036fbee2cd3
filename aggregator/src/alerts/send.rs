//! Messages on their way. Every replica sends; a row in the database is one's own for [`HOLD`].

use super::channel::{self, Definition, Parcel};
use super::outside::SEND_MAX;
use crate::app::App;
use crate::store::StoreError;
use crate::store::alerts::{ChannelRow, Done, Due, LogEntry};
use aggregator_core::alert::retry::{self, Fate, Outcome};
use aggregator_core::alert::{Event, Notice};
use everypath_protocol::time::Span;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// For so long a message is one replica's. Longer than a sending takes, by more than the clocks of replicas may differ.
pub const HOLD: Span = Span::seconds(40);
const _: () = assert!(HOLD.as_seconds() >= SEND_MAX.as_secs() + 20);
/// Most characters of what a provider said that are kept.
const DETAIL_MAX: usize = 400;

/// Begins to send what waits, as far as there is room. Waits for none of it.
///
/// # Errors
/// [`StoreError`]; what waits goes on to.
pub async fn step(app: &Arc<App>) -> Result<(), StoreError> {
    // What is begun now would not be noted.
    if app.is_draining() {
        return Ok(());
    }
    let now = app.now();
    let (waiting, oldest) = app.store.waiting().await?;
    app.metrics.messages_waiting.set(i64::try_from(waiting).unwrap_or(i64::MAX));
    let waited = oldest.map_or(0, |oldest| now.since(oldest).as_seconds());
    app.metrics.messages_waiting_seconds.set(i64::try_from(waited).unwrap_or(i64::MAX));
    if waiting == 0 {
        return Ok(());
    }
    let mut permits = Vec::new();
    while let Ok(permit) = Arc::clone(&app.alerts.sending).try_acquire_owned() {
        permits.push(permit);
    }
    let room = u32::try_from(permits.len()).unwrap_or(u32::MAX);
    if room == 0 {
        return Ok(());
    }
    let taken = app.store.take_due(app.replica.id, now, HOLD, room).await?;
    // Read after what is taken: what is taken for a channel goes to what it is by then, not to what it was before.
    let channels: BTreeMap<i64, ChannelRow> =
        app.store.alert_channels().await?.into_iter().map(|row| (row.id, row)).collect();
    for due in taken {
        // A channel that went meanwhile took what was to be sent with it.
        let (Some(channel), Some(permit)) = (channels.get(&due.channel).cloned(), permits.pop()) else { continue };
        app.alerts.tasks.spawn(deliver(Arc::clone(app), channel, due, permit));
    }
    Ok(())
}

async fn deliver(app: Arc<App>, channel: ChannelRow, due: Due, _permit: OwnedSemaphorePermit) {
    let began = app.clock.mono();
    let (outcome, event) = attempt(&app, &channel, &due).await;
    let now = app.now();
    let (fate, pause) = retry::after(&outcome, now, due.wanted_at, channel.failures, app.alerts.draw());
    let (result, detail) = match (&fate, &outcome) {
        (Fate::Told, Outcome::SentToSome(why)) => ("sent", why.clone()),
        (Fate::Told, _) => ("sent", String::new()),
        (Fate::Anew, _) => ("again", "the message is not there any more; it is sent as a new one".to_owned()),
        (Fate::Waits, Outcome::TooMany(rest)) => {
            ("waits", format!("too many requests; asked to rest {} ms", rest.unwrap_or_default().as_millis()))
        }
        (Fate::Waits | Fate::GivenUp(_), Outcome::Failed(why) | Outcome::Refused(why)) => {
            (if fate == Fate::Waits { "waits" } else { "given_up" }, why.clone())
        }
        (Fate::GivenUp(why), _) => ("given_up", why.clone()),
        (Fate::Waits, Outcome::Sent(_) | Outcome::SentToSome(_) | Outcome::Gone) => ("waits", String::new()),
    };
    app.metrics.messages.with_label_values(&[result]).inc();
    if result != "sent" {
        tracing::warn!(channel = channel.name, incident = %everypath_protocol::id::hex(&due.incident), detail, "a message: {result}");
    }
    let handle = if let Outcome::Sent(handle) = outcome { handle } else { None };
    let entry = LogEntry {
        id: 0,
        channel: due.channel,
        incident: Some(due.incident),
        at: now,
        event: event.name().to_owned(),
        result: result.to_owned(),
        detail: detail.chars().take(DETAIL_MAX).collect(),
        took_ms: u32::try_from(app.clock.mono().since(began).as_millis()).unwrap_or(u32::MAX),
    };
    match app
        .store
        .note_done(Done { due, replica: app.replica.id, fate, handle, pause, version: channel.version, entry })
        .await
    {
        Ok(true) => {}
        Ok(false) => {
            tracing::warn!(channel = channel.name, "a message took so long that another replica may send it too");
        }
        Err(error) => {
            tracing::warn!(channel = channel.name, %error, "what became of a message was not noted; it may be sent twice");
        }
    }
}

async fn attempt(app: &App, channel: &ChannelRow, due: &Due) -> (Outcome, Event) {
    let definition: Option<Definition> = serde_json::from_str(&channel.definition).ok();
    let notice: Option<Notice> = serde_json::from_str(&due.notice).ok();
    let (Some(definition), Some(mut notice)) = (definition, notice) else {
        return (Outcome::Refused("it cannot be read; was it written by a newer version?".to_owned()), Event::Updated);
    };
    // Whoever was told nothing yet is not told of a change.
    if due.sent == 0 && notice.event == Event::Updated {
        notice.event = Event::Opened;
    }
    let secrets = match app.alerts.open(&channel.name, &channel.sealed) {
        Ok(secrets) => secrets,
        Err(error) => return (Outcome::Failed(format!("{error:#}")), notice.event),
    };
    let parcel = Parcel {
        channel: due.channel,
        notice: &notice,
        number: u64::try_from(due.wanted).unwrap_or(1),
        edits: due.handle.as_deref().filter(|_| !due.is_news),
        now: app.now(),
    };
    (channel::send(app.alerts.outside(), &definition.target, &secrets, &parcel).await, notice.event)
}
