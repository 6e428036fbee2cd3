//! Incidents, and what whoever judges next must know.

use super::{Commit, IncidentQuery, IncidentRow, Kept, SWEEP_MAX};
use crate::audit_log::Event;
use crate::store::postgres::failure::While as _;
use crate::store::{Lease, PgStore, SqliteStore, StoreError, postgres, sqlite};
use aggregator_core::alert::tell::Told;
use everypath_protocol::time::UnixTime;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{PgConnection, Row as _, SqliteConnection};

const READING: &str = "reading incidents";
const KEEPING: &str = "keeping incidents";
/// An incident that somebody takes care of.
type Acked = ([u8; 16], (String, UnixTime, String));

fn damaged(_: std::array::TryFromSliceError) -> sqlx::Error {
    sqlx::Error::Decode("the name of an incident".into())
}

fn id(column: &[u8]) -> Result<[u8; 16], sqlx::Error> {
    column.try_into().map_err(damaged)
}

/// The same statements for each database.
macro_rules! statements {
    ($name:ident, $Connection:ty, $Row:ty) => {
        mod $name {
            use super::*;

            fn incident_row(row: &$Row) -> Result<IncidentRow, sqlx::Error> {
                let (by, at, note): (Option<String>, Option<i64>, Option<String>) =
                    (row.try_get(7)?, row.try_get(8)?, row.try_get(9)?);
                Ok(IncidentRow {
                    id: id(row.try_get(0)?)?,
                    definition: row.try_get(1)?,
                    class: row.try_get(2)?,
                    severity: row.try_get(3)?,
                    opened_at: UnixTime(row.try_get(4)?),
                    ended_at: row.try_get::<Option<i64>, _>(5)?.map(UnixTime),
                    is_silenced: row.try_get::<i64, _>(6)? != 0,
                    ack: by.zip(at).map(|(by, at)| (by, UnixTime(at), note.unwrap_or_default())),
                })
            }

            pub(super) async fn kept(connection: &mut $Connection, since: UnixTime) -> Result<Kept, sqlx::Error> {
                let state = sqlx::query_scalar("select state from alert_state where id = 1");
                let state: Option<Vec<u8>> = state.fetch_one(&mut *connection).await?;
                let select = "select id, definition, class, severity, opened_at, ended_at, is_silenced, acked_by, acked_at, ack_note \
                              from alert_incident where ended_at is null or ended_at >= $1";
                let rows = sqlx::query(select).bind(since.0).fetch_all(&mut *connection).await?;
                let incidents = rows.iter().map(incident_row).collect::<Result<_, _>>()?;
                let select = "select d.incident, d.channel, d.gist, d.words, d.is_over, d.told_at, d.news_at from alert_delivery d \
                              join alert_incident i on i.id = d.incident where i.ended_at is null or i.ended_at >= $1";
                let told = |row: &$Row| {
                    let told = Told {
                        gist: row.try_get::<i64, _>(2)?.cast_unsigned(),
                        text: row.try_get::<i64, _>(3)?.cast_unsigned(),
                        is_over: row.try_get::<i64, _>(4)? != 0,
                        at: UnixTime(row.try_get(5)?),
                        news_at: UnixTime(row.try_get(6)?),
                    };
                    Ok((id(row.try_get(0)?)?, row.try_get(1)?, told))
                };
                let rows = sqlx::query(select).bind(since.0).fetch_all(connection).await?;
                Ok(Kept { state, incidents, told: rows.iter().map(told).collect::<Result<_, sqlx::Error>>()? })
            }

            /// Whoever judges stands in line at this row.
            pub(super) async fn lock(connection: &mut $Connection, now: UnixTime) -> Result<(), sqlx::Error> {
                let update = sqlx::query("update alert_state set kept_at = $1 where id = 1");
                update.bind(now.0).execute(connection).await.map(drop)
            }

            pub(super) async fn commit(connection: &mut $Connection, commit: &Commit) -> Result<(), sqlx::Error> {
                for row in &commit.incidents {
                    // What came back is nobody's until somebody takes care of it again.
                    let upsert = "insert into alert_incident (id, definition, class, severity, opened_at, ended_at, is_silenced) \
                                  values ($1, $2, $3, $4, $5, $6, $7) on conflict (id) do update set \
                                  definition = excluded.definition, class = excluded.class, severity = excluded.severity, \
                                  opened_at = excluded.opened_at, ended_at = excluded.ended_at, is_silenced = excluded.is_silenced, \
                                  acked_by = case when excluded.opened_at = alert_incident.opened_at then alert_incident.acked_by end";
                    sqlx::query(upsert)
                        .bind(row.id.as_slice())
                        .bind(&row.definition)
                        .bind(&row.class)
                        .bind(&row.severity)
                        .bind(row.opened_at.0)
                        .bind(row.ended_at.map(|at| at.0))
                        .bind(i64::from(row.is_silenced))
                        .execute(&mut *connection)
                        .await?;
                }
                for wanted in &commit.wanted {
                    // What was wanted before and is not sent yet keeps its age: a message is given up by it.
                    let upsert = "insert into alert_delivery (incident, channel, wanted, notice, wanted_at, news, gist, words, \
                                  is_over, told_at, news_at) select $1, $2, 1, $3, $4, $5, $6, $7, $8, $4, $9 \
                                  where exists (select 1 from alert_channel where id = $2) \
                                  on conflict (incident, channel) do update set wanted = alert_delivery.wanted + 1, \
                                  notice = excluded.notice, wanted_at = case when alert_delivery.sent < alert_delivery.wanted \
                                  and alert_delivery.failed is null then alert_delivery.wanted_at else excluded.wanted_at end, \
                                  news = case when excluded.news = 1 then alert_delivery.wanted + 1 else alert_delivery.news end, \
                                  gist = excluded.gist, words = excluded.words, is_over = excluded.is_over, \
                                  told_at = excluded.told_at, news_at = excluded.news_at, failed = null";
                    sqlx::query(upsert)
                        .bind(wanted.incident.as_slice())
                        .bind(wanted.channel)
                        .bind(&wanted.notice)
                        .bind(wanted.told.at.0)
                        .bind(i64::from(wanted.is_news))
                        .bind(wanted.told.gist.cast_signed())
                        .bind(wanted.told.text.cast_signed())
                        .bind(i64::from(wanted.told.is_over))
                        .bind(wanted.told.news_at.0)
                        .execute(&mut *connection)
                        .await?;
                }
                if let Some(state) = &commit.state {
                    let update = sqlx::query("update alert_state set state = $1 where id = 1");
                    update.bind(state).execute(connection).await?;
                }
                Ok(())
            }

            pub(super) async fn incidents(
                connection: &mut $Connection,
                query: &IncidentQuery,
            ) -> Result<Vec<IncidentRow>, sqlx::Error> {
                let select = "select id, definition, class, severity, opened_at, ended_at, is_silenced, acked_by, acked_at, ack_note \
                              from alert_incident where opened_at >= $1 \
                              and (opened_at < $2 or ($10 = 1 and definition not like '%\"flaps\":0,%')) \
                              and ($3 < 0 or ($3 = 1 and ended_at is null) or ($3 = 0 and ended_at is not null)) \
                              and ($4 = '' or severity = $4) and ($5 = '' or class = $5) \
                              and (ended_at is null or ended_at > $9) \
                              and (opened_at < $6 or (opened_at = $6 and id < $7)) order by opened_at desc, id desc limit $8";
                let (at, name) = query.behind.unwrap_or((UnixTime(i64::MAX), [0; 16]));
                let rows = sqlx::query(select)
                    .bind(query.from.map_or(i64::MIN, |from| from.0))
                    .bind(query.to.map_or(i64::MAX, |to| to.0))
                    .bind(query.is_open.map_or(-1, i64::from))
                    .bind(query.severity.as_deref().unwrap_or_default())
                    .bind(query.class.as_deref().unwrap_or_default())
                    .bind(at.0)
                    .bind(name.as_slice())
                    .bind(i64::from(query.limit))
                    .bind(query.ended_after.map_or(i64::MIN, |after| after.0))
                    .bind(i64::from(query.or_was_open))
                    .fetch_all(connection)
                    .await?;
                rows.iter().map(incident_row).collect()
            }

            pub(super) async fn incident(
                connection: &mut $Connection,
                name: [u8; 16],
            ) -> Result<Option<IncidentRow>, sqlx::Error> {
                let select = "select id, definition, class, severity, opened_at, ended_at, is_silenced, acked_by, acked_at, ack_note \
                              from alert_incident where id = $1";
                let row = sqlx::query(select).bind(name.as_slice()).fetch_optional(connection).await?;
                row.as_ref().map(incident_row).transpose()
            }

            pub(super) async fn acknowledge(
                connection: &mut $Connection,
                name: [u8; 16],
                ack: Option<(String, UnixTime, String)>,
            ) -> Result<bool, sqlx::Error> {
                let update = "update alert_incident set acked_by = $1, acked_at = $2, ack_note = $3 \
                              where id = $4 and ended_at is null";
                let (by, at, note) = ack.map_or((None, None, None), |(by, at, note)| (Some(by), Some(at.0), Some(note)));
                let update = sqlx::query(update).bind(by).bind(at).bind(note).bind(name.as_slice());
                Ok(update.execute(connection).await?.rows_affected() == 1)
            }

            pub(super) async fn acknowledgements(connection: &mut $Connection) -> Result<Vec<Acked>, sqlx::Error> {
                let select = "select id, acked_by, acked_at, coalesce(ack_note, '') from alert_incident \
                              where ended_at is null and acked_by is not null and acked_at is not null";
                let read = |row: &$Row| {
                    Ok((id(row.try_get(0)?)?, (row.try_get(1)?, UnixTime(row.try_get(2)?), row.try_get(3)?)))
                };
                sqlx::query(select).fetch_all(connection).await?.iter().map(read).collect()
            }

            pub(super) async fn sweep(connection: &mut $Connection, before: UnixTime) -> Result<u64, sqlx::Error> {
                let delete = "delete from alert_incident where id in \
                              (select id from alert_incident where ended_at < $1 order by ended_at limit $2)";
                let swept = sqlx::query(delete).bind(before.0).bind(i64::from(SWEEP_MAX)).execute(&mut *connection).await?;
                let silences = sqlx::query("delete from alert_silence where until_at < $1").bind(before.0);
                silences.execute(connection).await?;
                Ok(swept.rows_affected())
            }
        }
    };
}

statements!(on_sqlite, SqliteConnection, SqliteRow);
statements!(on_postgres, PgConnection, PgRow);

impl SqliteStore {
    pub(in crate::store) async fn alert_kept(&self, since: UnixTime) -> Result<Kept, StoreError> {
        sqlite::While::doing(on_sqlite::kept(&mut *self.reading(READING).await?, since).await, READING)
    }

    pub(in crate::store) async fn alert_commit(
        &self,
        held: Lease,
        commit: Commit,
        now: UnixTime,
    ) -> Result<(), StoreError> {
        let done = self.write(KEEPING, move |connection| {
            Box::pin(async move {
                if !sqlite::lease::is_held(connection, held).await? {
                    return Ok(false);
                }
                on_sqlite::lock(connection, now).await?;
                on_sqlite::commit(connection, &commit).await.map(|()| true)
            })
        });
        if done.await? { Ok(()) } else { Err(StoreError::LeaseLost) }
    }

    pub(in crate::store) async fn incidents(&self, query: IncidentQuery) -> Result<Vec<IncidentRow>, StoreError> {
        sqlite::While::doing(on_sqlite::incidents(&mut *self.reading(READING).await?, &query).await, READING)
    }

    pub(in crate::store) async fn incident(&self, id: [u8; 16]) -> Result<Option<IncidentRow>, StoreError> {
        sqlite::While::doing(on_sqlite::incident(&mut *self.reading(READING).await?, id).await, READING)
    }

    pub(in crate::store) async fn acknowledge(
        &self,
        id: [u8; 16],
        ack: Option<(String, UnixTime, String)>,
        event: Event,
    ) -> Result<bool, StoreError> {
        self.write(KEEPING, move |connection| {
            Box::pin(async move {
                let done = on_sqlite::acknowledge(&mut *connection, id, ack).await?;
                if done {
                    sqlite::log::append(connection, event).await?;
                }
                Ok(done)
            })
        })
        .await
    }

    pub(in crate::store) async fn acknowledgements(&self) -> Result<Vec<Acked>, StoreError> {
        sqlite::While::doing(on_sqlite::acknowledgements(&mut *self.reading(READING).await?).await, READING)
    }

    pub(in crate::store) async fn sweep_incidents(&self, before: UnixTime) -> Result<u64, StoreError> {
        self.write(KEEPING, move |connection| Box::pin(async move { on_sqlite::sweep(connection, before).await })).await
    }
}

impl PgStore {
    pub(in crate::store) async fn alert_kept(&self, since: UnixTime) -> Result<Kept, StoreError> {
        let mut connection = self.pool().acquire().await.doing(READING)?;
        on_postgres::kept(&mut connection, since).await.doing(READING)
    }

    /// The row of the state is locked before the lease is asked: a holder that was suspended in here is waited for, or undone.
    pub(in crate::store) async fn alert_commit(
        &self,
        lease: Lease,
        commit: Commit,
        now: UnixTime,
    ) -> Result<(), StoreError> {
        let mut transaction = self.pool().begin().await.doing(KEEPING)?;
        on_postgres::lock(&mut transaction, now).await.doing(KEEPING)?;
        postgres::lease::check(&mut transaction, lease).await?;
        on_postgres::commit(&mut transaction, &commit).await.doing(KEEPING)?;
        transaction.commit().await.doing(KEEPING)
    }

    pub(in crate::store) async fn incidents(&self, query: IncidentQuery) -> Result<Vec<IncidentRow>, StoreError> {
        let mut connection = self.pool().acquire().await.doing(READING)?;
        on_postgres::incidents(&mut connection, &query).await.doing(READING)
    }

    pub(in crate::store) async fn incident(&self, id: [u8; 16]) -> Result<Option<IncidentRow>, StoreError> {
        let mut connection = self.pool().acquire().await.doing(READING)?;
        on_postgres::incident(&mut connection, id).await.doing(READING)
    }

    pub(in crate::store) async fn acknowledge(
        &self,
        id: [u8; 16],
        ack: Option<(String, UnixTime, String)>,
        event: Event,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.pool().begin().await.doing(KEEPING)?;
        let done = on_postgres::acknowledge(&mut transaction, id, ack).await.doing(KEEPING)?;
        if done {
            postgres::log::append(&mut transaction, event).await.doing(KEEPING)?;
            transaction.commit().await.doing(KEEPING)?;
        }
        Ok(done)
    }

    pub(in crate::store) async fn acknowledgements(&self) -> Result<Vec<Acked>, StoreError> {
        let mut connection = self.pool().acquire().await.doing(READING)?;
        on_postgres::acknowledgements(&mut connection).await.doing(READING)
    }

    pub(in crate::store) async fn sweep_incidents(&self, before: UnixTime) -> Result<u64, StoreError> {
        let mut connection = self.pool().acquire().await.doing(KEEPING)?;
        on_postgres::sweep(&mut connection, before).await.doing(KEEPING)
    }
}
