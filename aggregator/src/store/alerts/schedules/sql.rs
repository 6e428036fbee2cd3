//! The statements about schedules, the same for each database, and how each database runs them.

use super::super::{Put, outbox};
use super::{DueReport, ReportDone, ScheduleDecision, ScheduleRow, ScheduleWish, SentNow, Wait};
use crate::audit_log::Event;
use crate::store::postgres::failure::While as _;
use crate::store::{Lease, PgStore, ReplicaId, SqliteStore, StoreError, postgres, sqlite};
use aggregator_core::alert::retry::{Fate, REST_MAX};
use everypath_protocol::time::{Span, UnixTime};
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{PgConnection, Row as _, SqliteConnection};

const READING: &str = "reading when reports are sent";
const KEEPING: &str = "keeping when reports are sent";
const TAKING: &str = "taking a report that is to be sent";
const NOTING: &str = "noting a report that was sent";

/// The same statements for each database.
macro_rules! statements {
    ($name:ident, $Connection:ty, $Row:ty) => {
        mod $name {
            use super::*;

            pub(super) async fn all(connection: &mut $Connection) -> Result<Vec<ScheduleRow>, sqlx::Error> {
                let select = "select id, name, definition, channel, is_enabled, version, changed_at, changed_by, decided, wanted, \
                              period_from, period_to, wanted_at, sent, failed from report_schedule order by id";
                let read = |row: &$Row| {
                    let (wanted, sent): (i64, i64) = (row.try_get(9)?, row.try_get(13)?);
                    let last = Wait {
                        from: UnixTime(row.try_get(10)?),
                        to: UnixTime(row.try_get(11)?),
                        decided_at: UnixTime(row.try_get(12)?),
                        is_sent: sent >= wanted,
                        failed: row.try_get(14)?,
                    };
                    Ok(ScheduleRow {
                        id: row.try_get(0)?,
                        name: row.try_get(1)?,
                        definition: row.try_get(2)?,
                        channel: row.try_get(3)?,
                        is_enabled: row.try_get::<i64, _>(4)? != 0,
                        version: row.try_get(5)?,
                        changed_at: UnixTime(row.try_get(6)?),
                        changed_by: row.try_get(7)?,
                        decided: UnixTime(row.try_get(8)?),
                        last: (wanted > 0).then_some(last),
                    })
                };
                sqlx::query(select).fetch_all(connection).await?.iter().map(read).collect()
            }

            pub(super) async fn put(
                connection: &mut $Connection,
                wish: &ScheduleWish,
                most: u32,
            ) -> Result<Put, sqlx::Error> {
                let own = wish.replaces.map_or(0, |(id, _)| id);
                let taken: i64 = sqlx::query_scalar("select count(*) from report_schedule where name = $1 and id <> $2")
                    .bind(&wish.name)
                    .bind(own)
                    .fetch_one(&mut *connection)
                    .await?;
                if taken > 0 {
                    return Ok(Put::NameTaken);
                }
                // It was there when the wish was looked at.
                let channel = sqlx::query_scalar("select count(*) from alert_channel where id = $1").bind(wish.channel);
                let channels: i64 = channel.fetch_one(&mut *connection).await?;
                if channels == 0 {
                    return Ok(Put::Changed);
                }
                let Some((id, version)) = wish.replaces else {
                    let count: i64 =
                        sqlx::query_scalar("select count(*) from report_schedule").fetch_one(&mut *connection).await?;
                    if count >= i64::from(most) {
                        return Ok(Put::Full);
                    }
                    let insert = "insert into report_schedule (name, definition, channel, is_enabled, version, changed_at, changed_by, \
                                  decided) values ($1, $2, $3, $4, 1, $5, $6, $7) returning id";
                    let insert = sqlx::query_scalar(insert)
                        .bind(&wish.name)
                        .bind(&wish.definition)
                        .bind(wish.channel)
                        .bind(i64::from(wish.is_enabled))
                        .bind(wish.now.0)
                        .bind(&wish.by)
                        .bind(wish.decided.unwrap_or(wish.now).0);
                    return Ok(Put::Kept(insert.fetch_one(connection).await?));
                };
                let update = "update report_schedule set name = $1, definition = $2, channel = $3, is_enabled = $4, changed_at = $5, \
                              changed_by = $6, decided = coalesce($7, decided), \
                              sent = case when $7 is null then sent else wanted end, \
                              failed = case when $7 is null then failed end, version = version + 1 \
                              where id = $8 and version = $9";
                let update = sqlx::query(update)
                    .bind(&wish.name)
                    .bind(&wish.definition)
                    .bind(wish.channel)
                    .bind(i64::from(wish.is_enabled))
                    .bind(wish.now.0)
                    .bind(&wish.by)
                    .bind(wish.decided.map(|decided| decided.0))
                    .bind(id)
                    .bind(version);
                if update.execute(&mut *connection).await?.rows_affected() == 1 {
                    return Ok(Put::Kept(id));
                }
                let known: i64 = sqlx::query_scalar("select count(*) from report_schedule where id = $1")
                    .bind(id)
                    .fetch_one(connection)
                    .await?;
                Ok(if known == 0 { Put::Missing } else { Put::Changed })
            }

            pub(super) async fn delete(connection: &mut $Connection, id: i64) -> Result<bool, sqlx::Error> {
                let delete = sqlx::query("delete from report_schedule where id = $1").bind(id);
                Ok(delete.execute(connection).await?.rows_affected() == 1)
            }

            pub(super) async fn decide(
                connection: &mut $Connection,
                decisions: &[ScheduleDecision],
                now: UnixTime,
            ) -> Result<(), sqlx::Error> {
                for decision in decisions {
                    let update = match decision.send_from {
                        None => sqlx::query("update report_schedule set decided = $1 where id = $2 and version = $3"),
                        Some(_) => sqlx::query(
                            "update report_schedule set decided = $1, wanted = wanted + 1, period_from = $4, period_to = $1, \
                             wanted_at = $5, failed = null where id = $2 and version = $3",
                        ),
                    };
                    let update = update.bind(decision.decided.0).bind(decision.id).bind(decision.version);
                    let update = match decision.send_from {
                        None => update,
                        Some(from) => update.bind(from.0).bind(now.0),
                    };
                    update.execute(&mut *connection).await?;
                }
                Ok(())
            }

            /// An end of a hold or of a rest that is too far away is none: a clock was set back.
            pub(super) async fn take(
                connection: &mut $Connection,
                replica: ReplicaId,
                now: UnixTime,
                hold: Span,
            ) -> Result<Option<DueReport>, sqlx::Error> {
                let (far, rested) = (now.plus(hold).plus(hold), now.plus(REST_MAX).plus(REST_MAX));
                let select = "select r.id, r.name, r.definition, r.channel, r.wanted, r.period_from, r.period_to, r.wanted_at \
                              from report_schedule r join alert_channel c on c.id = r.channel \
                              where r.sent < r.wanted and r.failed is null and r.is_enabled = 1 \
                              and (r.held_until <= $1 or r.held_until > $2) \
                              and (c.blocked_until <= $1 or c.blocked_until > $3) and c.is_enabled = 1 \
                              order by r.wanted_at, r.id limit 1";
                let select = sqlx::query(select).bind(now.0).bind(far.0).bind(rested.0);
                let row: Option<$Row> = select.fetch_optional(&mut *connection).await?;
                let Some(row) = row else { return Ok(None) };
                let due = DueReport {
                    schedule: row.try_get(0)?,
                    name: row.try_get(1)?,
                    definition: row.try_get(2)?,
                    channel: row.try_get(3)?,
                    wanted: row.try_get(4)?,
                    from: UnixTime(row.try_get(5)?),
                    to: UnixTime(row.try_get(6)?),
                    wanted_at: UnixTime(row.try_get(7)?),
                };
                // Since it was read another replica may have sent it, given it up, or been told by the channel to wait.
                let update = "update report_schedule set holder = $1, held_until = $2 where id = $3 and wanted = $4 and sent < $4 \
                              and failed is null and (held_until <= $5 or held_until > $6) \
                              and exists (select 1 from alert_channel c where c.id = $7 and c.is_enabled = 1 \
                              and (c.blocked_until <= $5 or c.blocked_until > $8))";
                let held = sqlx::query(update)
                    .bind(replica.0)
                    .bind(now.plus(hold).0)
                    .bind(due.schedule)
                    .bind(due.wanted)
                    .bind(now.0)
                    .bind(far.0)
                    .bind(due.channel)
                    .bind(rested.0)
                    .execute(connection)
                    .await?;
                Ok((held.rows_affected() == 1).then_some(due))
            }

            /// What waits goes on to: it is another report.
            pub(super) async fn sent_now(connection: &mut $Connection, sent: &SentNow) -> Result<(), sqlx::Error> {
                let update = "update report_schedule set wanted = wanted + 1, period_from = $2, period_to = $3, wanted_at = $4, \
                              sent = case when $5 = 1 then wanted + 1 else sent end, failed = $6 \
                              where id = $1 and (sent >= wanted or failed is not null)";
                sqlx::query(update)
                    .bind(sent.schedule)
                    .bind(sent.from.0)
                    .bind(sent.to.0)
                    .bind(sent.entry.at.0)
                    .bind(i64::from(sent.failed.is_none()))
                    .bind(sent.failed.as_deref())
                    .execute(&mut *connection)
                    .await?;
                outbox::$name::log(connection, &sent.entry).await
            }

            pub(super) async fn done(connection: &mut $Connection, done: &ReportDone) -> Result<bool, sqlx::Error> {
                let update = match &done.fate {
                    Fate::Told => sqlx::query(
                        "update report_schedule set holder = 0, held_until = 0, sent = $3, failed = null \
                         where id = $1 and holder = $2",
                    ),
                    Fate::Waits | Fate::Anew => sqlx::query(
                        "update report_schedule set holder = 0, held_until = $3 where id = $1 and holder = $2",
                    ),
                    // A newer one may have come meanwhile; that is tried.
                    Fate::GivenUp(_) => sqlx::query(
                        "update report_schedule set holder = 0, held_until = 0, failed = case when wanted = $3 then $4 end \
                         where id = $1 and holder = $2",
                    ),
                };
                let update = update.bind(done.schedule).bind(done.replica.0);
                let update = match &done.fate {
                    Fate::Told => update.bind(done.wanted),
                    Fate::Waits | Fate::Anew => update.bind(done.rests_until.0),
                    Fate::GivenUp(why) => update.bind(done.wanted).bind(Some(why.as_str())),
                };
                let noted = update.execute(&mut *connection).await?;
                match done.pause {
                    Some((pause, version)) => {
                        outbox::$name::note_channel(connection, &done.fate, pause, version, &done.entry).await?;
                    }
                    None => outbox::$name::log(connection, &done.entry).await?,
                }
                Ok(noted.rows_affected() == 1)
            }
        }
    };
}

statements!(on_sqlite, SqliteConnection, SqliteRow);
statements!(on_postgres, PgConnection, PgRow);

impl SqliteStore {
    pub(super) async fn schedules(&self) -> Result<Vec<ScheduleRow>, StoreError> {
        sqlite::While::doing(on_sqlite::all(&mut *self.reading(READING).await?).await, READING)
    }

    pub(super) async fn put_schedule(&self, wish: ScheduleWish, most: u32, event: Event) -> Result<Put, StoreError> {
        self.write(KEEPING, move |connection| {
            Box::pin(async move {
                let put = on_sqlite::put(&mut *connection, &wish, most).await?;
                if let Put::Kept(id) = put {
                    sqlite::log::append(connection, event.numbered(id)).await?;
                }
                Ok(put)
            })
        })
        .await
    }

    pub(super) async fn delete_schedule(&self, id: i64, event: Event) -> Result<bool, StoreError> {
        self.write(KEEPING, move |connection| {
            Box::pin(async move {
                let done = on_sqlite::delete(&mut *connection, id).await?;
                if done {
                    sqlite::log::append(connection, event).await?;
                }
                Ok(done)
            })
        })
        .await
    }

    pub(super) async fn decide_schedules(
        &self,
        held: Lease,
        decisions: Vec<ScheduleDecision>,
        now: UnixTime,
    ) -> Result<(), StoreError> {
        let done = self.write(KEEPING, move |connection| {
            Box::pin(async move {
                if !sqlite::lease::is_held(connection, held).await? {
                    return Ok(false);
                }
                on_sqlite::decide(connection, &decisions, now).await.map(|()| true)
            })
        });
        if done.await? { Ok(()) } else { Err(StoreError::LeaseLost) }
    }

    pub(super) async fn take_report(
        &self,
        replica: ReplicaId,
        now: UnixTime,
        hold: Span,
    ) -> Result<Option<DueReport>, StoreError> {
        // The one writer is not bothered while nothing waits.
        let is_waiting = |row: &ScheduleRow| {
            row.is_enabled && row.last.as_ref().is_some_and(|last| !last.is_sent && last.failed.is_none())
        };
        if !self.schedules().await?.iter().any(is_waiting) {
            return Ok(None);
        }
        self.write(TAKING, move |connection| {
            Box::pin(async move { on_sqlite::take(connection, replica, now, hold).await })
        })
        .await
    }

    pub(super) async fn note_sent_now(&self, sent: SentNow, event: Event) -> Result<(), StoreError> {
        self.write(NOTING, move |connection| {
            Box::pin(async move {
                on_sqlite::sent_now(&mut *connection, &sent).await?;
                sqlite::log::append(connection, event).await
            })
        })
        .await
    }

    pub(super) async fn note_report(&self, done: ReportDone) -> Result<bool, StoreError> {
        self.write(NOTING, move |connection| Box::pin(async move { on_sqlite::done(connection, &done).await })).await
    }
}

impl PgStore {
    pub(super) async fn schedules(&self) -> Result<Vec<ScheduleRow>, StoreError> {
        let mut connection = self.pool().acquire().await.doing(READING)?;
        on_postgres::all(&mut connection).await.doing(READING)
    }

    pub(super) async fn put_schedule(&self, wish: ScheduleWish, most: u32, event: Event) -> Result<Put, StoreError> {
        let mut transaction = self.pool().begin().await.doing(KEEPING)?;
        crate::store::alerts::config::one_at_a_time(&mut transaction).await.doing(KEEPING)?;
        let put = on_postgres::put(&mut transaction, &wish, most).await.doing(KEEPING)?;
        if let Put::Kept(id) = put {
            postgres::log::append(&mut transaction, event.numbered(id)).await.doing(KEEPING)?;
            transaction.commit().await.doing(KEEPING)?;
        }
        Ok(put)
    }

    pub(super) async fn delete_schedule(&self, id: i64, event: Event) -> Result<bool, StoreError> {
        let mut transaction = self.pool().begin().await.doing(KEEPING)?;
        let done = on_postgres::delete(&mut transaction, id).await.doing(KEEPING)?;
        if done {
            postgres::log::append(&mut transaction, event).await.doing(KEEPING)?;
            transaction.commit().await.doing(KEEPING)?;
        }
        Ok(done)
    }

    pub(super) async fn decide_schedules(
        &self,
        lease: Lease,
        decisions: Vec<ScheduleDecision>,
        now: UnixTime,
    ) -> Result<(), StoreError> {
        let mut transaction = self.pool().begin().await.doing(KEEPING)?;
        postgres::lease::check(&mut transaction, lease).await?;
        on_postgres::decide(&mut transaction, &decisions, now).await.doing(KEEPING)?;
        transaction.commit().await.doing(KEEPING)
    }

    pub(super) async fn take_report(
        &self,
        replica: ReplicaId,
        now: UnixTime,
        hold: Span,
    ) -> Result<Option<DueReport>, StoreError> {
        let mut connection = self.pool().acquire().await.doing(TAKING)?;
        on_postgres::take(&mut connection, replica, now, hold).await.doing(TAKING)
    }

    pub(super) async fn note_sent_now(&self, sent: SentNow, event: Event) -> Result<(), StoreError> {
        let mut transaction = self.pool().begin().await.doing(NOTING)?;
        on_postgres::sent_now(&mut transaction, &sent).await.doing(NOTING)?;
        postgres::log::append(&mut transaction, event).await.doing(NOTING)?;
        transaction.commit().await.doing(NOTING)
    }

    pub(super) async fn note_report(&self, done: ReportDone) -> Result<bool, StoreError> {
        let mut transaction = self.pool().begin().await.doing(NOTING)?;
        let was_ours = on_postgres::done(&mut transaction, &done).await.doing(NOTING)?;
        transaction.commit().await.doing(NOTING)?;
        Ok(was_ours)
    }
}
