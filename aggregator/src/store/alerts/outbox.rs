//! What is to be sent, who sends it, and what became of it.

use super::{Done, Due, LOG_MAX, LogEntry, config};
use crate::audit_log::Event;
use crate::store::postgres::failure::While as _;
use crate::store::{PgStore, ReplicaId, SqliteStore, StoreError, postgres, sqlite};
use aggregator_core::alert::retry::{Fate, Pause, REST_MAX};
use everypath_protocol::time::{Span, UnixTime};
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{PgConnection, Row as _, SqliteConnection};

const TAKING: &str = "taking what is to be sent";
const NOTING: &str = "noting what was sent";
const READING: &str = "reading what was sent";

fn id(column: &[u8]) -> Result<[u8; 16], sqlx::Error> {
    column.try_into().map_err(|_| sqlx::Error::Decode("the name of an incident".into()))
}

/// The same statements for each database.
macro_rules! statements {
    ($name:ident, $Connection:ty, $Row:ty) => {
        pub(super) mod $name {
            use super::*;

            /// A clock that was set back must not keep anything from being sent until it is there again, so an end that is too far
            /// away is none.
            pub(super) async fn take(
                connection: &mut $Connection,
                replica: ReplicaId,
                now: UnixTime,
                hold: Span,
                most: u32,
            ) -> Result<Vec<Due>, sqlx::Error> {
                // The oldest of each channel: many that wait for one must not hide those that wait for another.
                let select = "select incident, channel, wanted, notice, news, wanted_at, sent, handle from (\
                              select d.incident, d.channel, d.wanted, d.notice, d.news, d.wanted_at, d.sent, d.handle, \
                              row_number() over (partition by d.channel order by d.wanted_at, d.incident) as place \
                              from alert_delivery d join alert_channel c on c.id = d.channel \
                              where d.sent < d.wanted and d.failed is null and (d.held_until <= $1 or d.held_until > $2) \
                              and (c.blocked_until <= $1 or c.blocked_until > $3) and c.is_enabled = 1 \
                              and not exists (select 1 from alert_delivery o where o.channel = d.channel \
                              and o.held_until > $1 and o.held_until <= $2)) as due \
                              where place = 1 order by wanted_at, incident";
                let far = now.plus(hold).plus(hold);
                let rows = sqlx::query(select)
                    .bind(now.0)
                    .bind(far.0)
                    .bind(now.plus(REST_MAX).plus(REST_MAX).0)
                    .fetch_all(&mut *connection)
                    .await?;
                let mut taken = Vec::new();
                for row in &rows {
                    let row: &$Row = row;
                    let (sent, news): (i64, i64) = (row.try_get(6)?, row.try_get(4)?);
                    let due = Due {
                        incident: id(row.try_get(0)?)?,
                        channel: row.try_get(1)?,
                        wanted: row.try_get(2)?,
                        notice: row.try_get(3)?,
                        is_news: sent < news,
                        wanted_at: UnixTime(row.try_get(5)?),
                        sent,
                        handle: row.try_get(7)?,
                    };
                    if taken.len() >= usize::try_from(most).unwrap_or(usize::MAX) {
                        break;
                    }
                    // Since it was read another replica may have sent it, given it up, or been told by the channel to wait.
                    let update = "update alert_delivery set holder = $1, held_until = $2 where incident = $3 and channel = $4 \
                                  and wanted = $5 and sent = $8 and failed is null and (held_until <= $6 or held_until > $7) \
                                  and exists (select 1 from alert_channel c where c.id = $4 and c.is_enabled = 1 \
                                  and (c.blocked_until <= $6 or c.blocked_until > $9))";
                    let held = sqlx::query(update)
                        .bind(replica.0)
                        .bind(now.plus(hold).0)
                        .bind(due.incident.as_slice())
                        .bind(due.channel)
                        .bind(due.wanted)
                        .bind(now.0)
                        .bind(far.0)
                        .bind(due.sent)
                        .bind(now.plus(REST_MAX).plus(REST_MAX).0)
                        .execute(&mut *connection)
                        .await?;
                    if held.rows_affected() == 1 {
                        taken.push(due);
                    }
                }
                Ok(taken)
            }

            pub(super) async fn done(connection: &mut $Connection, done: &Done) -> Result<bool, sqlx::Error> {
                let update = match &done.fate {
                    Fate::Told => sqlx::query(
                        "update alert_delivery set holder = 0, held_until = 0, sent = $4, handle = coalesce($5, handle), failed = null \
                         where incident = $1 and channel = $2 and holder = $3",
                    ),
                    Fate::Waits => sqlx::query(
                        "update alert_delivery set holder = 0, held_until = 0 \
                         where incident = $1 and channel = $2 and holder = $3",
                    ),
                    Fate::Anew => sqlx::query(
                        "update alert_delivery set holder = 0, held_until = 0, news = wanted, handle = null \
                         where incident = $1 and channel = $2 and holder = $3",
                    ),
                    // Something newer may have come meanwhile; that is tried.
                    Fate::GivenUp(_) => sqlx::query(
                        "update alert_delivery set holder = 0, held_until = 0, failed = case when wanted = $4 then $5 end \
                         where incident = $1 and channel = $2 and holder = $3",
                    ),
                };
                let update = update.bind(done.due.incident.as_slice()).bind(done.due.channel).bind(done.replica.0);
                let update = match &done.fate {
                    Fate::Told => update.bind(done.due.wanted).bind(done.handle.as_deref()),
                    Fate::Waits | Fate::Anew => update,
                    Fate::GivenUp(why) => update.bind(done.due.wanted).bind(Some(why.as_str())),
                };
                let noted = update.execute(&mut *connection).await?;
                note_channel(connection, &done.fate, done.pause, done.version, &done.entry).await?;
                Ok(noted.rows_affected() == 1)
            }

            /// What became of the channel, and the log of it. What was given up while it did not work is told now that it does.
            pub(in crate::store::alerts) async fn note_channel(
                connection: &mut $Connection,
                fate: &Fate,
                pause: Pause,
                version: i64,
                entry: &LogEntry,
            ) -> Result<(), sqlx::Error> {
                if *fate == Fate::Told {
                    let failed = sqlx::query_scalar("select count(*) from alert_channel where id = $1 and failures > 0");
                    let failed: i64 = failed.bind(entry.channel).fetch_one(&mut *connection).await?;
                    if failed > 0 {
                        config::$name::again(&mut *connection, entry.channel, entry.at).await?;
                    }
                }
                // Somebody may have mended it meanwhile.
                let update = "update alert_channel set blocked_until = $1, failures = $2, trouble = $3 where id = $4 and version = $5";
                let trouble = (!entry.detail.is_empty()).then_some(entry.detail.as_str());
                sqlx::query(update)
                    .bind(pause.until.0)
                    .bind(i64::from(pause.failures))
                    .bind(trouble)
                    .bind(entry.channel)
                    .bind(version)
                    .execute(&mut *connection)
                    .await?;
                log(connection, entry).await
            }

            pub(in crate::store::alerts) async fn log(connection: &mut $Connection, entry: &LogEntry) -> Result<(), sqlx::Error> {
                let insert = "insert into alert_log (channel, incident, at, event, result, detail, took_ms) \
                              select $1, $2, $3, $4, $5, $6, $7 where exists (select 1 from alert_channel where id = $1)";
                sqlx::query(insert)
                    .bind(entry.channel)
                    .bind(entry.incident.as_ref().map(<[u8; 16]>::as_slice))
                    .bind(entry.at.0)
                    .bind(&entry.event)
                    .bind(&entry.result)
                    .bind(&entry.detail)
                    .bind(i64::from(entry.took_ms))
                    .execute(&mut *connection)
                    .await?;
                let delete = "delete from alert_log where channel = $1 and id <= \
                              (select id from alert_log where channel = $1 order by id desc limit 1 offset $2)";
                let delete = sqlx::query(delete).bind(entry.channel).bind(i64::from(LOG_MAX));
                delete.execute(connection).await.map(drop)
            }

            pub(super) async fn entries(
                connection: &mut $Connection,
                channel: i64,
                below: Option<i64>,
                limit: u32,
            ) -> Result<Vec<(LogEntry, Option<String>)>, sqlx::Error> {
                let select = "select l.id, l.channel, l.incident, l.at, l.event, l.result, l.detail, l.took_ms, i.definition \
                              from alert_log l left join alert_incident i on i.id = l.incident \
                              where l.channel = $1 and l.id < $2 order by l.id desc limit $3";
                let read = |row: &$Row| {
                    let incident: Option<Vec<u8>> = row.try_get(2)?;
                    let entry = LogEntry {
                        id: row.try_get(0)?,
                        channel: row.try_get(1)?,
                        incident: incident.map(|bytes| id(&bytes)).transpose()?,
                        at: UnixTime(row.try_get(3)?),
                        event: row.try_get(4)?,
                        result: row.try_get(5)?,
                        detail: row.try_get(6)?,
                        took_ms: u32::try_from(row.try_get::<i64, _>(7)?).unwrap_or(0),
                    };
                    Ok((entry, row.try_get(8)?))
                };
                let select = sqlx::query(select).bind(channel).bind(below.unwrap_or(i64::MAX)).bind(i64::from(limit));
                select.fetch_all(connection).await?.iter().map(read).collect()
            }

            pub(super) async fn waiting(connection: &mut $Connection) -> Result<(u64, Option<UnixTime>), sqlx::Error> {
                let select = "select count(*), min(wanted_at) from (\
                              select d.wanted_at from alert_delivery d join alert_channel c on c.id = d.channel \
                              where d.sent < d.wanted and d.failed is null and c.is_enabled = 1 \
                              union all \
                              select r.wanted_at from report_schedule r join alert_channel c on c.id = r.channel \
                              where r.sent < r.wanted and r.failed is null and r.is_enabled = 1 and c.is_enabled = 1) as waiting";
                let row = sqlx::query(select).fetch_one(connection).await?;
                let count = u64::try_from(row.try_get::<i64, _>(0)?).unwrap_or(0);
                Ok((count, row.try_get::<Option<i64>, _>(1)?.map(UnixTime)))
            }
        }
    };
}

statements!(on_sqlite, SqliteConnection, SqliteRow);
statements!(on_postgres, PgConnection, PgRow);

impl SqliteStore {
    pub(in crate::store) async fn take_due(
        &self,
        replica: ReplicaId,
        now: UnixTime,
        hold: Span,
        most: u32,
    ) -> Result<Vec<Due>, StoreError> {
        // The one writer is not bothered while nothing waits.
        if self.waiting().await?.0 == 0 {
            return Ok(Vec::new());
        }
        self.write(TAKING, move |connection| {
            Box::pin(async move { on_sqlite::take(connection, replica, now, hold, most).await })
        })
        .await
    }

    pub(in crate::store) async fn note_done(&self, done: Done) -> Result<bool, StoreError> {
        self.write(NOTING, move |connection| Box::pin(async move { on_sqlite::done(connection, &done).await })).await
    }

    pub(in crate::store) async fn log_delivery(&self, entry: LogEntry, event: Event) -> Result<(), StoreError> {
        self.write(NOTING, move |connection| {
            Box::pin(async move {
                on_sqlite::log(&mut *connection, &entry).await?;
                sqlite::log::append(connection, event).await
            })
        })
        .await
    }

    pub(in crate::store) async fn delivery_log(
        &self,
        channel: i64,
        below: Option<i64>,
        limit: u32,
    ) -> Result<Vec<(LogEntry, Option<String>)>, StoreError> {
        sqlite::While::doing(
            on_sqlite::entries(&mut *self.reading(READING).await?, channel, below, limit).await,
            READING,
        )
    }

    pub(in crate::store) async fn waiting(&self) -> Result<(u64, Option<UnixTime>), StoreError> {
        sqlite::While::doing(on_sqlite::waiting(&mut *self.reading(READING).await?).await, READING)
    }
}

impl PgStore {
    pub(in crate::store) async fn take_due(
        &self,
        replica: ReplicaId,
        now: UnixTime,
        hold: Span,
        most: u32,
    ) -> Result<Vec<Due>, StoreError> {
        let mut connection = self.pool().acquire().await.doing(TAKING)?;
        on_postgres::take(&mut connection, replica, now, hold, most).await.doing(TAKING)
    }

    pub(in crate::store) async fn note_done(&self, done: Done) -> Result<bool, StoreError> {
        let mut transaction = self.pool().begin().await.doing(NOTING)?;
        let was_ours = on_postgres::done(&mut transaction, &done).await.doing(NOTING)?;
        transaction.commit().await.doing(NOTING)?;
        Ok(was_ours)
    }

    pub(in crate::store) async fn log_delivery(&self, entry: LogEntry, event: Event) -> Result<(), StoreError> {
        let mut transaction = self.pool().begin().await.doing(NOTING)?;
        on_postgres::log(&mut transaction, &entry).await.doing(NOTING)?;
        postgres::log::append(&mut transaction, event).await.doing(NOTING)?;
        transaction.commit().await.doing(NOTING)
    }

    pub(in crate::store) async fn delivery_log(
        &self,
        channel: i64,
        below: Option<i64>,
        limit: u32,
    ) -> Result<Vec<(LogEntry, Option<String>)>, StoreError> {
        let mut connection = self.pool().acquire().await.doing(READING)?;
        on_postgres::entries(&mut connection, channel, below, limit).await.doing(READING)
    }

    pub(in crate::store) async fn waiting(&self) -> Result<(u64, Option<UnixTime>), StoreError> {
        let mut connection = self.pool().acquire().await.doing(READING)?;
        on_postgres::waiting(&mut connection).await.doing(READING)
    }
}
