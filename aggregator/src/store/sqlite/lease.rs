//! Jobs that only one process may do, settings, and what processes have in common. A file serves one aggregator, but a second
//! one that is started on it by mistake must do no harm.

use super::codes::signed;
use super::log::append;
use super::{SqliteStore, While};
use crate::audit_log::Event;
use crate::store::error::StoreError;
use crate::store::types::{Lease, ReplicaId};
use everypath_protocol::time::{Span, UnixTime};
use sqlx::SqliteConnection;

/// Microseconds of the database's clock, which is this host's.
pub(super) const NOW: &str = "cast(unixepoch('subsec') * 1000 as integer) * 1000";

/// Whether the lease is still the holder's. Asked in the transaction that relies on it.
pub(in crate::store) async fn is_held(connection: &mut SqliteConnection, lease: Lease) -> Result<bool, sqlx::Error> {
    let select = format!(
        "select exists (select 1 from lease where role = ? and holder = ? and term = ? and expires_at > {NOW})"
    );
    sqlx::query_scalar(sqlx::AssertSqlSafe(select))
        .bind(lease.role)
        .bind(lease.holder.0)
        .bind(lease.term)
        .fetch_one(connection)
        .await
}

impl SqliteStore {
    pub(in crate::store) async fn lease(
        &self,
        role: &'static str,
        holder: ReplicaId,
        life: Span,
    ) -> Result<Option<Lease>, StoreError> {
        let life = signed(life.as_micros());
        let term: Option<i64> = self
            .write("taking a lease", move |connection| {
                Box::pin(async move {
                    let upsert = format!(
                        "insert into lease (role, holder, term, expires_at) values (?1, ?2, 1, {NOW} + ?3) \
                         on conflict (role) do update set term = term + (holder <> excluded.holder), \
                         holder = excluded.holder, expires_at = excluded.expires_at \
                         where holder = excluded.holder or expires_at <= {NOW} or expires_at > {NOW} + 2 * ?3 returning term"
                    );
                    sqlx::query_scalar(sqlx::AssertSqlSafe(upsert))
                        .bind(role)
                        .bind(holder.0)
                        .bind(life)
                        .fetch_optional(connection)
                        .await
                })
            })
            .await?;
        Ok(term.map(|term| Lease { role, holder, term }))
    }

    pub(in crate::store) async fn release(&self, lease: Lease) -> Result<(), StoreError> {
        self.write("giving a lease back", move |connection| {
            Box::pin(async move {
                sqlx::query("update lease set expires_at = 0 where role = ? and holder = ? and term = ?")
                    .bind(lease.role)
                    .bind(lease.holder.0)
                    .bind(lease.term)
                    .execute(connection)
                    .await
                    .map(drop)
            })
        })
        .await
    }

    pub(in crate::store) async fn setting(&self, name: &'static str) -> Result<Option<(String, i64)>, StoreError> {
        let select = sqlx::query_as("select value, version from setting where name = ?").bind(name);
        select.fetch_optional(&self.readers).await.doing("reading a setting")
    }

    pub(in crate::store) async fn put_setting(
        &self,
        name: &'static str,
        value: String,
        version: i64,
        now: UnixTime,
        event: Option<Event>,
    ) -> Result<bool, StoreError> {
        self.write("keeping a setting", move |connection| {
            Box::pin(async move {
                let upsert = "insert into setting (name, value, version, changed_at) select ?1, ?2, 1, ?4 \
                              where ?3 = 0 or exists (select 1 from setting where name = ?1) \
                              on conflict (name) do update set value = excluded.value, version = version + 1, \
                              changed_at = excluded.changed_at where version = ?3";
                let done = sqlx::query(upsert).bind(name).bind(value).bind(version).bind(now.0);
                if done.execute(&mut *connection).await?.rows_affected() == 0 {
                    return Ok(false);
                }
                if let Some(event) = event {
                    append(connection, event).await?;
                }
                Ok(true)
            })
        })
        .await
    }

    pub(in crate::store) async fn stored_secret(&self, name: &'static str) -> Result<Option<Vec<u8>>, StoreError> {
        let select = sqlx::query_scalar("select sealed from secret where name = ?").bind(name);
        select.fetch_optional(&self.readers).await.doing("reading a secret")
    }

    pub(in crate::store) async fn secret(&self, name: &'static str, sealed: Vec<u8>) -> Result<Vec<u8>, StoreError> {
        self.write("keeping a secret", move |connection| {
            Box::pin(async move {
                let insert = "insert into secret (name, sealed) values (?, ?) on conflict (name) do nothing";
                sqlx::query(insert).bind(name).bind(sealed).execute(&mut *connection).await?;
                sqlx::query_scalar("select sealed from secret where name = ?").bind(name).fetch_one(connection).await
            })
        })
        .await
    }
}
