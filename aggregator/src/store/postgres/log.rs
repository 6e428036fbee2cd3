//! The log of who did what.

use super::PgStore;
use super::codes::Time;
use super::failure::While;
use crate::audit_log::{Entry, Event, Query};
use crate::store::error::StoreError;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};

const DOING: &str = "reading the audit log";
/// Whoever adds to the log stands in line for this, across replicas: each entry must see the one before it.
const LOCK: i64 = 0x6576_7061_7564_6974;

impl PgStore {
    pub(in crate::store) async fn log(&self, event: Event) -> Result<(), StoreError> {
        const DOING: &str = "writing the audit log";
        let mut transaction = self.pool().begin().await.doing(DOING)?;
        append(&mut transaction, event).await.doing(DOING)?;
        transaction.commit().await.doing(DOING)
    }

    pub(in crate::store) async fn log_entries(&self, query: Query) -> Result<Vec<Entry>, StoreError> {
        let select = "select * from audit_log where id < $1 and ($2::text is null or actor = $2) \
                      and ($3::text is null or action = $3 or starts_with(action, $3 || '.')) \
                      and at >= $4 and at < $5 order by id desc limit $6";
        let rows = sqlx::query(select)
            .bind(query.before)
            .bind(query.actor)
            .bind(query.action)
            .bind(Time(query.from))
            .bind(Time(query.to))
            .bind(i64::from(query.limit))
            .fetch_all(self.pool())
            .await
            .doing(DOING)?;
        rows.iter().map(entry).collect::<Result<_, _>>().doing(DOING)
    }

    pub(in crate::store) async fn log_behind(&self, id: i64, limit: u32) -> Result<Vec<Entry>, StoreError> {
        let select = sqlx::query("select * from audit_log where id > $1 order by id limit $2");
        let rows = select.bind(id).bind(i64::from(limit)).fetch_all(self.pool()).await.doing(DOING)?;
        rows.iter().map(entry).collect::<Result<_, _>>().doing(DOING)
    }
}

fn entry(row: &PgRow) -> Result<Entry, sqlx::Error> {
    // A hash of another length is a wrong one, and is found as such.
    let hash = |column: Vec<u8>| column.try_into().unwrap_or_default();
    let Time(at) = row.try_get("at")?;
    Ok(Entry {
        id: row.try_get("id")?,
        at,
        actor: row.try_get("actor")?,
        actor_kind: row.try_get("actor_kind")?,
        address: row.try_get("address")?,
        action: row.try_get("action")?,
        subject: row.try_get("subject")?,
        outcome: row.try_get("outcome")?,
        detail: row.try_get("detail")?,
        previous: hash(row.try_get("previous")?),
        hash: hash(row.try_get("hash")?),
    })
}

/// Adds to the log, in the transaction of what is logged and as its last step: the lock holds until the end of it, and whoever
/// takes another lock behind this one could wait for somebody who waits for this.
pub(in crate::store) async fn append(connection: &mut PgConnection, event: Event) -> Result<(), sqlx::Error> {
    sqlx::query("select pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *connection).await?;
    let last = sqlx::query_as("select id, hash from audit_log order by id desc limit 1");
    let last: Option<(i64, Vec<u8>)> = last.fetch_optional(&mut *connection).await?;
    let entry = Entry::behind(last.map(|(id, hash)| (id, hash.try_into().unwrap_or_default())), event);
    let insert = "insert into audit_log (id, at, actor, actor_kind, address, action, subject, outcome, detail, previous, hash) \
                  values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    sqlx::query(insert)
        .bind(entry.id)
        .bind(Time(entry.at))
        .bind(entry.actor)
        .bind(entry.actor_kind)
        .bind(entry.address)
        .bind(entry.action)
        .bind(entry.subject)
        .bind(entry.outcome)
        .bind(entry.detail)
        .bind(entry.previous.as_slice())
        .bind(entry.hash.as_slice())
        .execute(connection)
        .await
        .map(drop)
}
