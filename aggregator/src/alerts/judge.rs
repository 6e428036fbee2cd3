//! The rules, asked once a second by whoever holds the lease.

use super::channel::Definition;
use super::wire::{Names, RuleBody, SilenceBody};
use super::{Judging, Roster, keep};
use crate::app::App;
use crate::retention;
use crate::store::alerts::{ChannelRow, Commit, DefinedRow, Kind, Wanted};
use crate::store::{Lease, StoreError};
use crate::who::Who;
use aggregator_core::alert::{Ack, Channel, ChannelId, Rule, Sight, Silence, Step, Telling, Watch, Wishes};
use everypath_protocol::time::{Span, UnixTime};
use everypath_verdict::incident::{ChangeKind, IncidentId, Rules};
use std::collections::BTreeMap;
use std::sync::Arc;

/// After a start agents come back one after the other; before that, nobody is silent.
pub const WARM_UP: Span = Span::seconds(30);
/// Incidents that ended so long ago may come back, and are read by whoever takes over: the tracker's ten minutes, and some.
const REMEMBERED: Span = Span::seconds(900);
/// Names, sites and tags are read again as often, and when somebody joined or the configuration changed.
const ROSTER_EVERY: Span = Span::seconds(30);
/// An evaluation that takes longer is told in the log: a quarter of the time there is.
const SLOW: Span = Span::millis(250);

/// What people want, as it lies in the database.
#[derive(Debug, Default)]
struct Wants {
    rules: Vec<Rule>,
    silences: Vec<Silence>,
    channels: Vec<Channel>,
    acks: BTreeMap<IncidentId, Ack>,
}

/// One evaluation, if this replica leads.
///
/// # Errors
/// [`StoreError`]; what was decided is forgotten, and decided again from what was kept.
pub async fn step(app: &Arc<App>) -> Result<(), StoreError> {
    let mut judging = app.alerts.watch.lock().await;
    let Some(lease) = app.replica.lease() else {
        *judging = None;
        return Ok(());
    };
    if app.clock.mono().since(app.alerts.started) < WARM_UP {
        app.metrics.evaluations.with_label_values(&["waiting"]).inc();
        return Ok(());
    }
    let result = evaluate(app, lease, &mut judging).await;
    if result.is_err() {
        app.metrics.evaluations.with_label_values(&["failed"]).inc();
        // The memory is ahead of the database now; who goes on with it would never tell what was not kept.
        *judging = None;
    }
    result
}

async fn evaluate(app: &Arc<App>, lease: Lease, judging: &mut Option<Judging>) -> Result<(), StoreError> {
    let now = app.now();
    let known = judging.take().filter(|known| known.term == lease.term);
    let (mut watch, roster) = match known {
        Some(known) => (known.watch, known.roster),
        None => (restore(app, now).await?, Roster::default()),
    };
    let picture = app.hub.picture().await.map_err(|_| StoreError::Closed)?;
    let roster = refresh(app, roster, picture.moment.generation).await?;
    let wanted = wants(app, &roster.names).await?;
    let who = Arc::clone(&roster.who);
    let (mesh, url) = (app.mesh.id().short(), app.config.advertise.first().cloned());
    let sync = crate::clock::span(app.config.sync_interval);
    let current = app.configs.current();
    let began = app.clock.mono();
    // A large mesh takes milliseconds, a broken one some hundred: not on a thread that answers requests.
    let work = tokio::task::spawn_blocking(move || {
        let members: Vec<_> = picture.agents.iter().map(|id| who.member(*id)).collect();
        let sight = Sight { members: &members, cells: &picture.cells, sync, config: &current.document };
        let wishes = Wishes {
            rules: &wanted.rules,
            silences: &wanted.silences,
            channels: &wanted.channels,
            acks: &wanted.acks,
            mesh: &mesh,
            url: url.as_deref(),
        };
        let step = watch.step(now, &sight, &wishes);
        (watch, step)
    });
    let (watch, step) = match work.await {
        Ok(done) => done,
        // Only by a mistake; the job panics with it, and the program ends instead of looking as if it judged.
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => return Err(StoreError::Closed),
    };
    let took = app.clock.mono().since(began);
    if took > SLOW {
        tracing::warn!(millis = took.as_millis(), "asking the rules took long");
    }
    app.metrics.evaluation_micros.set(i64::try_from(took.as_micros()).unwrap_or(i64::MAX));
    note(app, &watch, &step);
    if !(step.records.is_empty() && step.tellings.is_empty() && step.state.is_none()) {
        app.store.alert_commit(lease, commit(step), now).await?;
    }
    *judging = Some(Judging { term: lease.term, watch, roster });
    Ok(())
}

async fn restore(app: &App, now: UnixTime) -> Result<Watch, StoreError> {
    let kept = app.store.alert_kept(now.minus(REMEMBERED)).await?;
    let records = kept.incidents.iter().filter_map(|row| {
        let record = keep::record(row);
        if record.is_none() {
            tracing::warn!(incident = %IncidentId(row.id), "an incident in the database cannot be read and is left as it is");
        }
        record
    });
    let told =
        kept.told.into_iter().map(|(incident, channel, told)| ((IncidentId(incident), ChannelId(channel)), told));
    Ok(Watch::restore(kept.state.as_deref(), records.collect(), told.collect(), Rules::default()))
}

async fn refresh(app: &App, roster: Roster, generation: u64) -> Result<Roster, StoreError> {
    let (now, config) = (app.clock.mono(), app.configs.current().version());
    // A configuration that changes sites and tags alone leaves the matrix as it is.
    let is_same = roster.generation == generation && roster.config == config;
    if is_same && now.since(roster.read_at) < ROSTER_EVERY {
        return Ok(roster);
    }
    let who = Who::read(app).await?;
    let names = who.by_name();
    Ok(Roster { generation, config, read_at: now, who: Arc::new(who), names: Arc::new(names) })
}

async fn wants(app: &App, names: &Names) -> Result<Wants, StoreError> {
    let rules = rules(&app.store.alert_definitions(Kind::Rule, None).await?, names);
    let silences = silences(&app.store.alert_definitions(Kind::Silence, Some(app.now())).await?, names);
    let channels = channels(&app.store.alert_channels().await?);
    let ack = |(id, (by, at, note))| (IncidentId(id), Ack { by, at, note });
    let acks = app.store.acknowledgements().await?.into_iter().map(ack).collect();
    Ok(Wants { rules, silences, channels, acks })
}

/// What cannot be read was written by a newer program, or refers to nobody any more; the others hold.
pub fn rules(rows: &[DefinedRow], names: &Names) -> Vec<Rule> {
    let read = |row: &DefinedRow| {
        let body: RuleBody = serde_json::from_str(&row.definition).ok()?;
        body.rule(row.id, names).ok()
    };
    rows.iter().filter_map(read).collect()
}

/// The same.
pub fn silences(rows: &[DefinedRow], names: &Names) -> Vec<Silence> {
    let read = |row: &DefinedRow| {
        let body: SilenceBody = serde_json::from_str(&row.definition).ok()?;
        body.silence(row.id, &row.changed_by, names).ok()
    };
    rows.iter().filter_map(read).collect()
}

fn channels(rows: &[ChannelRow]) -> Vec<Channel> {
    let read = |row: &ChannelRow| {
        let definition: Definition = serde_json::from_str(&row.definition).ok()?;
        Some(Channel { id: ChannelId(row.id), policy: definition.policy() })
    };
    rows.iter().filter(|row| row.is_enabled).filter_map(read).collect()
}

fn commit(step: Step) -> Commit {
    let wanted = |telling: Telling| Wanted {
        incident: telling.incident.0,
        channel: telling.channel.0,
        notice: serde_json::to_string(&telling.notice).expect("it is made of strings and numbers"),
        is_news: telling.notice.event.is_news(),
        told: telling.told,
    };
    Commit {
        incidents: step.records.iter().map(keep::row).collect(),
        wanted: step.tellings.into_iter().map(wanted).collect(),
        state: step.state,
    }
}

fn note(app: &App, watch: &Watch, step: &Step) {
    let result = if step.is_blind { "blind" } else { "judged" };
    app.metrics.evaluations.with_label_values(&[result]).inc();
    let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    app.metrics.conditions.set(number(watch.evaluator().len()));
    app.metrics.conditions_left_out.set(i64::try_from(watch.evaluator().left_out()).unwrap_or(i64::MAX));
    app.metrics.incidents_open.set(number(watch.records().filter(|record| record.is_open()).count()));
    for change in &step.changes {
        let kind = match change.kind {
            ChangeKind::Opened => "opened",
            ChangeKind::Reopened => "reopened",
            ChangeKind::Reclassified { .. } => "reclassified",
            ChangeKind::Updated => "updated",
            ChangeKind::Merged { .. } => "merged",
            ChangeKind::Resolved(_) => "resolved",
        };
        app.metrics.incidents.with_label_values(&[kind]).inc();
        if kind != "updated" {
            let title = step.records.iter().find(|record| record.id == change.id).map(|record| record.title.as_str());
            tracing::info!(incident = %change.id, title, "an incident was {kind}");
        }
    }
}

/// Deletes incidents that are older than changes of state are kept.
///
/// # Errors
/// [`StoreError`]; the rest is deleted next time.
pub async fn sweep(app: &App) -> Result<(), StoreError> {
    if app.replica.lease().is_none() {
        return Ok(());
    }
    let (periods, _) = retention::current(&app.store, &app.config).await?;
    let before = app.now().minus(Span::seconds(periods.events_s));
    while app.store.sweep_incidents(before).await? >= u64::from(crate::store::alerts::SWEEP_MAX) {}
    Ok(())
}
