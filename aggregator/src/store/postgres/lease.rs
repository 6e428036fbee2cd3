//! Who may do what only one replica may do. The clock is the database's: those of the replicas may differ.

use super::PgStore;
use super::codes::signed;
use super::failure::While;
use crate::store::error::StoreError;
use crate::store::types::{Lease, ReplicaId};
use everypath_protocol::time::Span;
use sqlx::PgConnection;

impl PgStore {
    pub(in crate::store) async fn lease(
        &self,
        role: &'static str,
        holder: ReplicaId,
        life: Span,
    ) -> Result<Option<Lease>, StoreError> {
        let upsert = "insert into lease (role, holder, term, expires_at) \
                      values ($1, $2, 1, clock_timestamp() + $3 * interval '1 microsecond') on conflict (role) do update \
                      set holder = excluded.holder, term = lease.term + (lease.holder <> excluded.holder)::int, \
                      expires_at = clock_timestamp() + $3 * interval '1 microsecond' \
                      where lease.holder = excluded.holder or lease.expires_at <= clock_timestamp() \
                      or lease.expires_at > clock_timestamp() + 2 * $3 * interval '1 microsecond' returning term";
        let term: Option<i64> = sqlx::query_scalar(upsert)
            .bind(role)
            .bind(holder.0)
            .bind(signed(life.as_micros()))
            .fetch_optional(self.pool())
            .await
            .doing("taking a lease")?;
        Ok(term.map(|term| Lease { role, holder, term }))
    }

    pub(in crate::store) async fn release(&self, lease: Lease) -> Result<(), StoreError> {
        let update = "update lease set expires_at = clock_timestamp() where role = $1 and holder = $2 and term = $3";
        sqlx::query(update)
            .bind(lease.role)
            .bind(lease.holder.0)
            .bind(lease.term)
            .execute(self.pool())
            .await
            .map(drop)
            .doing("giving a lease back")
    }
}

/// Whether the lease still holds. The row is not locked: a holder that is suspended in a transaction must not keep the others
/// from following it. What it had begun is made safe by the lock on what it changes, such as the cursor of the sums: whoever
/// follows waits for that lock, or undoes the sleeper by the limit of idle transactions.
pub(in crate::store) async fn check(connection: &mut PgConnection, lease: Lease) -> Result<(), StoreError> {
    let select = "select true from lease where role = $1 and holder = $2 and term = $3 \
                  and expires_at > clock_timestamp()";
    let holds: Option<bool> = sqlx::query_scalar(select)
        .bind(lease.role)
        .bind(lease.holder.0)
        .bind(lease.term)
        .fetch_optional(connection)
        .await
        .doing("checking a lease")?;
    holds.map(drop).ok_or(StoreError::LeaseLost)
}
