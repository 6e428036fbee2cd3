//! Settings and secrets.

use super::PgStore;
use super::codes::Time;
use super::failure::While;
use super::log::append;
use crate::audit_log::Event;
use crate::store::error::StoreError;
use everypath_protocol::time::UnixTime;

impl PgStore {
    pub(in crate::store) async fn setting(&self, name: &'static str) -> Result<Option<(String, i64)>, StoreError> {
        let select = sqlx::query_as("select value, version from setting where name = $1");
        select.bind(name).fetch_optional(self.pool()).await.doing("reading a setting")
    }

    pub(in crate::store) async fn put_setting(
        &self,
        name: &'static str,
        value: String,
        version: i64,
        now: UnixTime,
        event: Option<Event>,
    ) -> Result<bool, StoreError> {
        const DOING: &str = "keeping a setting";
        let mut transaction = self.pool().begin().await.doing(DOING)?;
        let insert = "insert into setting (name, value, version, changed_at) values ($1, $2, $3 + 1, $4) \
                      on conflict (name) do nothing";
        let update =
            "update setting set value = $2, version = $3 + 1, changed_at = $4 where name = $1 and version = $3";
        let done = sqlx::query(if version == 0 { insert } else { update })
            .bind(name)
            .bind(value)
            .bind(version)
            .bind(Time(now))
            .execute(&mut *transaction)
            .await
            .doing(DOING)?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        if let Some(event) = event {
            append(&mut transaction, event).await.doing(DOING)?;
        }
        transaction.commit().await.doing(DOING).map(|()| true)
    }

    /// What time it is there.
    pub(in crate::store) async fn clock(&self) -> Result<UnixTime, StoreError> {
        let select = sqlx::query_scalar("select clock_timestamp()");
        let Time(now) = select.fetch_one(self.pool()).await.doing("asking for the time")?;
        Ok(now)
    }

    pub(in crate::store) async fn secret(&self, name: &'static str, sealed: Vec<u8>) -> Result<Vec<u8>, StoreError> {
        let insert = "insert into secret (name, sealed) values ($1, $2) on conflict (name) do nothing";
        sqlx::query(insert).bind(name).bind(sealed).execute(self.pool()).await.doing("keeping a secret")?;
        self.stored_secret(name).await?.ok_or(StoreError::Damaged("no secret where one was just kept"))
    }

    pub(in crate::store) async fn stored_secret(&self, name: &'static str) -> Result<Option<Vec<u8>>, StoreError> {
        let select = sqlx::query_scalar("select sealed from secret where name = $1");
        select.bind(name).fetch_optional(self.pool()).await.doing("reading a secret")
    }
}
