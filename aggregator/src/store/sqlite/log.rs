//! The log of who did what.

use super::{SqliteStore, While};
use crate::audit_log::{Entry, Event, Query};
use crate::store::error::StoreError;
use everypath_protocol::time::UnixTime;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

const DOING: &str = "reading the audit log";

impl SqliteStore {
    pub(in crate::store) async fn log(&self, event: Event) -> Result<(), StoreError> {
        self.write("writing the audit log", move |connection| Box::pin(async move { append(connection, event).await }))
            .await
    }

    pub(in crate::store) async fn log_entries(&self, query: Query) -> Result<Vec<Entry>, StoreError> {
        let select = "select * from audit_log where id < ?1 and (?2 is null or actor = ?2) \
                      and (?3 is null or action = ?3 or substr(action, 1, length(?3) + 1) = ?3 || '.') \
                      and at >= ?4 and at < ?5 order by id desc limit ?6";
        let rows = sqlx::query(select)
            .bind(query.before)
            .bind(query.actor)
            .bind(query.action)
            .bind(query.from.0)
            .bind(query.to.0)
            .bind(query.limit)
            .fetch_all(&self.readers)
            .await
            .doing(DOING)?;
        rows.iter().map(entry).collect::<Result<_, _>>().doing(DOING)
    }

    pub(in crate::store) async fn log_behind(&self, id: i64, limit: u32) -> Result<Vec<Entry>, StoreError> {
        let select = sqlx::query("select * from audit_log where id > ? order by id limit ?").bind(id).bind(limit);
        let rows = select.fetch_all(&self.readers).await.doing(DOING)?;
        rows.iter().map(entry).collect::<Result<_, _>>().doing(DOING)
    }
}

fn entry(row: &SqliteRow) -> Result<Entry, sqlx::Error> {
    // A hash of another length is a wrong one, and is found as such.
    let hash = |column: Vec<u8>| column.try_into().unwrap_or_default();
    Ok(Entry {
        id: row.try_get("id")?,
        at: UnixTime(row.try_get("at")?),
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

/// Adds to the log, in the transaction of what is logged. Only one process writes at a time, so nobody comes in between.
pub(in crate::store) async fn append(connection: &mut SqliteConnection, event: Event) -> Result<(), sqlx::Error> {
    let last = sqlx::query_as("select id, hash from audit_log order by id desc limit 1");
    let last: Option<(i64, Vec<u8>)> = last.fetch_optional(&mut *connection).await?;
    let entry = Entry::behind(last.map(|(id, hash)| (id, hash.try_into().unwrap_or_default())), event);
    let insert = "insert into audit_log (id, at, actor, actor_kind, address, action, subject, outcome, detail, previous, hash) \
                  values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    sqlx::query(insert)
        .bind(entry.id)
        .bind(entry.at.0)
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
