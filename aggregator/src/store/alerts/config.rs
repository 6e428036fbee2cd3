//! What people define: rules, silences, channels.

use super::{ChannelRow, ChannelWish, DefinedRow, Definition, Deleted, Kind, Put, SILENCES_OVER_MAX};
use crate::audit_log::Event;
use crate::store::postgres::failure::While as _;
use crate::store::{PgStore, SqliteStore, StoreError, postgres, sqlite};
use everypath_protocol::time::UnixTime;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{PgConnection, Row as _, SqliteConnection};

const READING: &str = "reading what people are told of";
const KEEPING: &str = "keeping what people are told of";

/// The same statements for each database: both know numbered parameters, `on conflict` and `returning`.
macro_rules! statements {
    ($name:ident, $Connection:ty, $Row:ty) => {
        pub(super) mod $name {
            use super::*;

            pub(super) async fn definitions(
                connection: &mut $Connection,
                kind: Kind,
                over_after: Option<UnixTime>,
            ) -> Result<Vec<DefinedRow>, sqlx::Error> {
                let select = match kind {
                    Kind::Rule => sqlx::query("select id, definition, version, changed_at, changed_by from alert_rule order by id"),
                    Kind::Silence => sqlx::query(
                        "select id, definition, version, changed_at, changed_by from alert_silence where until_at > $1 order by id",
                    )
                    .bind(over_after.map_or(i64::MIN, |after| after.0)),
                };
                let read = |row: &$Row| {
                    Ok(DefinedRow {
                        id: row.try_get(0)?,
                        definition: row.try_get(1)?,
                        version: row.try_get(2)?,
                        changed_at: UnixTime(row.try_get(3)?),
                        changed_by: row.try_get(4)?,
                    })
                };
                select.fetch_all(connection).await?.iter().map(read).collect()
            }

            pub(super) async fn put_definition(
                connection: &mut $Connection,
                kind: Kind,
                wish: &Definition,
                most: u32,
            ) -> Result<Put, sqlx::Error> {
                let own = wish.replaces.map_or(0, |(id, _)| id);
                // A silence that was over and is to hold again takes a place, too.
                let takes_place = match kind {
                    Kind::Rule => wish.replaces.is_none(),
                    Kind::Silence => wish.until > wish.now,
                };
                if takes_place {
                    let count = match kind {
                        Kind::Rule => sqlx::query_scalar("select count(*) from alert_rule where id <> $1").bind(own),
                        Kind::Silence => {
                            sqlx::query_scalar("select count(*) from alert_silence where id <> $1 and until_at > $2")
                                .bind(own)
                                .bind(wish.now.0)
                        }
                    };
                    let count: i64 = count.fetch_one(&mut *connection).await?;
                    if count >= i64::from(most) {
                        return Ok(Put::Full);
                    }
                }
                let Some((id, version)) = wish.replaces else {
                    if kind == Kind::Silence {
                        let delete = "delete from alert_silence where until_at <= $1 and id not in \
                                      (select id from alert_silence where until_at <= $1 order by until_at desc, id desc limit $2)";
                        let delete = sqlx::query(delete).bind(wish.now.0).bind(i64::from(SILENCES_OVER_MAX));
                        delete.execute(&mut *connection).await?;
                    }
                    let insert = match kind {
                        Kind::Rule => sqlx::query_scalar(
                            "insert into alert_rule (definition, version, changed_at, changed_by) values ($1, 1, $2, $3) returning id",
                        ),
                        Kind::Silence => sqlx::query_scalar(
                            "insert into alert_silence (definition, version, changed_at, changed_by, until_at) \
                             values ($1, 1, $2, $3, $4) returning id",
                        ),
                    };
                    let insert = insert.bind(&wish.definition).bind(wish.now.0).bind(&wish.by);
                    let insert = match kind {
                        Kind::Rule => insert,
                        Kind::Silence => insert.bind(wish.until.0),
                    };
                    return Ok(Put::Kept(insert.fetch_one(connection).await?));
                };
                let update = match kind {
                    Kind::Rule => sqlx::query(
                        "update alert_rule set definition = $1, changed_at = $2, changed_by = $3, version = version + 1 \
                         where id = $4 and version = $5",
                    ),
                    Kind::Silence => sqlx::query(
                        "update alert_silence set definition = $1, changed_at = $2, changed_by = $3, version = version + 1, \
                         until_at = $6 where id = $4 and version = $5",
                    ),
                };
                let update =
                    update.bind(&wish.definition).bind(wish.now.0).bind(&wish.by).bind(id).bind(version);
                let update = match kind {
                    Kind::Rule => update,
                    Kind::Silence => update.bind(wish.until.0),
                };
                if update.execute(&mut *connection).await?.rows_affected() == 1 {
                    return Ok(Put::Kept(id));
                }
                let known = match kind {
                    Kind::Rule => sqlx::query_scalar("select count(*) from alert_rule where id = $1"),
                    Kind::Silence => sqlx::query_scalar("select count(*) from alert_silence where id = $1"),
                };
                let known: i64 = known.bind(id).fetch_one(connection).await?;
                Ok(if known == 0 { Put::Missing } else { Put::Changed })
            }

            pub(super) async fn delete_definition(
                connection: &mut $Connection,
                kind: Kind,
                id: i64,
            ) -> Result<bool, sqlx::Error> {
                let delete = match kind {
                    Kind::Rule => sqlx::query("delete from alert_rule where id = $1"),
                    Kind::Silence => sqlx::query("delete from alert_silence where id = $1"),
                };
                Ok(delete.bind(id).execute(connection).await?.rows_affected() == 1)
            }

            pub(super) async fn channels(connection: &mut $Connection) -> Result<Vec<ChannelRow>, sqlx::Error> {
                let select = "select id, name, definition, sealed, is_enabled, version, changed_at, changed_by, blocked_until, \
                              failures, trouble from alert_channel order by id";
                let read = |row: &$Row| {
                    Ok(ChannelRow {
                        id: row.try_get(0)?,
                        name: row.try_get(1)?,
                        definition: row.try_get(2)?,
                        sealed: row.try_get(3)?,
                        is_enabled: row.try_get::<i64, _>(4)? != 0,
                        version: row.try_get(5)?,
                        changed_at: UnixTime(row.try_get(6)?),
                        changed_by: row.try_get(7)?,
                        blocked_until: UnixTime(row.try_get(8)?),
                        failures: u32::try_from(row.try_get::<i64, _>(9)?).unwrap_or(0),
                        trouble: row.try_get(10)?,
                    })
                };
                sqlx::query(select).fetch_all(connection).await?.iter().map(read).collect()
            }

            pub(super) async fn put_channel(
                connection: &mut $Connection,
                wish: &ChannelWish,
                most: u32,
            ) -> Result<Put, sqlx::Error> {
                let own = wish.replaces.map_or(0, |(id, _)| id);
                let taken: i64 = sqlx::query_scalar("select count(*) from alert_channel where name = $1 and id <> $2")
                    .bind(&wish.name)
                    .bind(own)
                    .fetch_one(&mut *connection)
                    .await?;
                if taken > 0 {
                    return Ok(Put::NameTaken);
                }
                if !wish.takes_reports {
                    let users = users(connection, own).await?;
                    if !users.is_empty() {
                        return Ok(Put::InUse(users));
                    }
                }
                let Some((id, version)) = wish.replaces else {
                    let count: i64 =
                        sqlx::query_scalar("select count(*) from alert_channel").fetch_one(&mut *connection).await?;
                    if count >= i64::from(most) {
                        return Ok(Put::Full);
                    }
                    let insert = "insert into alert_channel (name, definition, sealed, is_enabled, version, changed_at, changed_by) \
                                  values ($1, $2, $3, $4, 1, $5, $6) returning id";
                    let insert = sqlx::query_scalar(insert)
                        .bind(&wish.name)
                        .bind(&wish.definition)
                        .bind(wish.sealed.clone().unwrap_or_default())
                        .bind(i64::from(wish.is_enabled))
                        .bind(wish.now.0)
                        .bind(&wish.by);
                    return Ok(Put::Kept(insert.fetch_one(connection).await?));
                };
                let update = "update alert_channel set name = $1, definition = $2, sealed = coalesce($3, sealed), is_enabled = $4, \
                              changed_at = $5, changed_by = $6, version = version + 1, blocked_until = 0, failures = 0, \
                              trouble = null where id = $7 and version = $8";
                let update = sqlx::query(update)
                    .bind(&wish.name)
                    .bind(&wish.definition)
                    .bind(wish.sealed.clone())
                    .bind(i64::from(wish.is_enabled))
                    .bind(wish.now.0)
                    .bind(&wish.by)
                    .bind(id)
                    .bind(version);
                if update.execute(&mut *connection).await?.rows_affected() == 1 {
                    again(connection, id, wish.now).await?;
                    return Ok(Put::Kept(id));
                }
                let known: i64 = sqlx::query_scalar("select count(*) from alert_channel where id = $1")
                    .bind(id)
                    .fetch_one(connection)
                    .await?;
                Ok(if known == 0 { Put::Missing } else { Put::Changed })
            }

            /// What was given up because of the channel is told by it, now that it is another or works again, as far as it is not over.
            pub(in crate::store::alerts) async fn again(
                connection: &mut $Connection,
                channel: i64,
                now: UnixTime,
            ) -> Result<(), sqlx::Error> {
                let update = "update alert_delivery set failed = null, wanted_at = $1 where channel = $2 and failed is not null \
                              and incident in (select id from alert_incident where ended_at is null)";
                sqlx::query(update).bind(now.0).bind(channel).execute(connection).await.map(drop)
            }

            /// Schedules of reports that send through it.
            async fn users(connection: &mut $Connection, channel: i64) -> Result<Vec<String>, sqlx::Error> {
                let select = "select name from report_schedule where channel = $1 order by id";
                sqlx::query_scalar(select).bind(channel).fetch_all(connection).await
            }

            pub(super) async fn delete_channel(connection: &mut $Connection, id: i64) -> Result<Deleted, sqlx::Error> {
                let users = users(connection, id).await?;
                if !users.is_empty() {
                    return Ok(Deleted::InUse(users));
                }
                let delete = sqlx::query("delete from alert_channel where id = $1").bind(id);
                let is_gone = delete.execute(connection).await?.rows_affected() == 1;
                Ok(if is_gone { Deleted::Done } else { Deleted::Missing })
            }
        }
    };
}

statements!(on_sqlite, SqliteConnection, SqliteRow);
statements!(on_postgres, PgConnection, PgRow);

impl SqliteStore {
    pub(in crate::store) async fn alert_definitions(
        &self,
        kind: Kind,
        over_after: Option<UnixTime>,
    ) -> Result<Vec<DefinedRow>, StoreError> {
        sqlite::While::doing(
            on_sqlite::definitions(&mut *self.reading(READING).await?, kind, over_after).await,
            READING,
        )
    }

    pub(in crate::store) async fn put_alert_definition(
        &self,
        kind: Kind,
        wish: Definition,
        most: u32,
        event: Event,
    ) -> Result<Put, StoreError> {
        self.write(KEEPING, move |connection| {
            Box::pin(async move {
                let put = on_sqlite::put_definition(&mut *connection, kind, &wish, most).await?;
                if let Put::Kept(id) = put {
                    sqlite::log::append(connection, event.numbered(id)).await?;
                }
                Ok(put)
            })
        })
        .await
    }

    pub(in crate::store) async fn delete_alert_definition(
        &self,
        kind: Kind,
        id: i64,
        event: Event,
    ) -> Result<bool, StoreError> {
        self.write(KEEPING, move |connection| {
            Box::pin(async move {
                let done = on_sqlite::delete_definition(&mut *connection, kind, id).await?;
                if done {
                    sqlite::log::append(connection, event).await?;
                }
                Ok(done)
            })
        })
        .await
    }

    pub(in crate::store) async fn alert_channels(&self) -> Result<Vec<ChannelRow>, StoreError> {
        sqlite::While::doing(on_sqlite::channels(&mut *self.reading(READING).await?).await, READING)
    }

    pub(in crate::store) async fn put_alert_channel(
        &self,
        wish: ChannelWish,
        most: u32,
        event: Event,
    ) -> Result<Put, StoreError> {
        self.write(KEEPING, move |connection| {
            Box::pin(async move {
                let put = on_sqlite::put_channel(&mut *connection, &wish, most).await?;
                if let Put::Kept(id) = put {
                    sqlite::log::append(connection, event.numbered(id)).await?;
                }
                Ok(put)
            })
        })
        .await
    }

    pub(in crate::store) async fn delete_alert_channel(&self, id: i64, event: Event) -> Result<Deleted, StoreError> {
        self.write(KEEPING, move |connection| {
            Box::pin(async move {
                let done = on_sqlite::delete_channel(&mut *connection, id).await?;
                if done == Deleted::Done {
                    sqlite::log::append(connection, event).await?;
                }
                Ok(done)
            })
        })
        .await
    }
}

impl PgStore {
    pub(in crate::store) async fn alert_definitions(
        &self,
        kind: Kind,
        over_after: Option<UnixTime>,
    ) -> Result<Vec<DefinedRow>, StoreError> {
        let mut connection = self.pool().acquire().await.doing(READING)?;
        on_postgres::definitions(&mut connection, kind, over_after).await.doing(READING)
    }

    pub(in crate::store) async fn put_alert_definition(
        &self,
        kind: Kind,
        wish: Definition,
        most: u32,
        event: Event,
    ) -> Result<Put, StoreError> {
        let mut transaction = self.pool().begin().await.doing(KEEPING)?;
        one_at_a_time(&mut transaction).await.doing(KEEPING)?;
        let put = on_postgres::put_definition(&mut transaction, kind, &wish, most).await.doing(KEEPING)?;
        if let Put::Kept(id) = put {
            postgres::log::append(&mut transaction, event.numbered(id)).await.doing(KEEPING)?;
            transaction.commit().await.doing(KEEPING)?;
        }
        Ok(put)
    }

    pub(in crate::store) async fn delete_alert_definition(
        &self,
        kind: Kind,
        id: i64,
        event: Event,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.pool().begin().await.doing(KEEPING)?;
        let done = on_postgres::delete_definition(&mut transaction, kind, id).await.doing(KEEPING)?;
        if done {
            postgres::log::append(&mut transaction, event).await.doing(KEEPING)?;
            transaction.commit().await.doing(KEEPING)?;
        }
        Ok(done)
    }

    pub(in crate::store) async fn alert_channels(&self) -> Result<Vec<ChannelRow>, StoreError> {
        let mut connection = self.pool().acquire().await.doing(READING)?;
        on_postgres::channels(&mut connection).await.doing(READING)
    }

    pub(in crate::store) async fn put_alert_channel(
        &self,
        wish: ChannelWish,
        most: u32,
        event: Event,
    ) -> Result<Put, StoreError> {
        let mut transaction = self.pool().begin().await.doing(KEEPING)?;
        one_at_a_time(&mut transaction).await.doing(KEEPING)?;
        let put = on_postgres::put_channel(&mut transaction, &wish, most).await.doing(KEEPING)?;
        if let Put::Kept(id) = put {
            postgres::log::append(&mut transaction, event.numbered(id)).await.doing(KEEPING)?;
            transaction.commit().await.doing(KEEPING)?;
        }
        Ok(put)
    }

    pub(in crate::store) async fn delete_alert_channel(&self, id: i64, event: Event) -> Result<Deleted, StoreError> {
        let mut transaction = self.pool().begin().await.doing(KEEPING)?;
        one_at_a_time(&mut transaction).await.doing(KEEPING)?;
        let done = on_postgres::delete_channel(&mut transaction, id).await.doing(KEEPING)?;
        if done == Deleted::Done {
            postgres::log::append(&mut transaction, event).await.doing(KEEPING)?;
            transaction.commit().await.doing(KEEPING)?;
        }
        Ok(done)
    }
}

/// Until the transaction ends nobody else defines anything: whether a name is taken and whether there is room is looked at first.
pub(in crate::store) async fn one_at_a_time(transaction: &mut PgConnection) -> Result<(), sqlx::Error> {
    /// "evpalert" in ASCII.
    const LOCK: i64 = 0x6576_7061_6c65_7274;
    sqlx::query("select pg_advisory_xact_lock($1)").bind(LOCK).execute(transaction).await.map(drop)
}
