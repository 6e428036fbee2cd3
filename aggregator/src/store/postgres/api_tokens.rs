//! Tokens for programs.

use super::PgStore;
use super::codes::Time;
use super::failure::While;
use super::log::append;
use crate::audit_log::Event;
use crate::store::account::{self, ApiToken};
use crate::store::error::StoreError;
use everypath_protocol::time::UnixTime;
use sqlx::Row as _;
use sqlx::postgres::PgRow;

impl PgStore {
    pub(in crate::store) async fn create_api_token(
        &self,
        token: ApiToken,
        replace: bool,
        event: Event,
    ) -> Result<bool, StoreError> {
        const DOING: &str = "keeping an API token";
        let mut transaction = self.pool().begin().await.doing(DOING)?;
        let upsert = "insert into api_token as t (hash, name, role, scopes, created_at, created_by, expires_at) \
                      values ($1, $2, $3, $4, $5, $6, $7) on conflict (name) do update set hash = excluded.hash, \
                      role = excluded.role, scopes = excluded.scopes, created_at = excluded.created_at, \
                      created_by = excluded.created_by, expires_at = excluded.expires_at, last_used_at = null \
                      where $8";
        let kept = sqlx::query(upsert)
            .bind(token.hash.as_slice())
            .bind(token.name)
            .bind(token.role.name())
            .bind(token.scopes.names().join(" "))
            .bind(Time(token.created_at))
            .bind(token.created_by)
            .bind(token.expires_at.map(Time))
            .bind(replace)
            .execute(&mut *transaction)
            .await
            .doing(DOING)?;
        if kept.rows_affected() == 0 {
            return Ok(false);
        }
        append(&mut transaction, event).await.doing(DOING)?;
        transaction.commit().await.doing(DOING).map(|()| true)
    }

    pub(in crate::store) async fn api_token(&self, hash: [u8; 32]) -> Result<Option<ApiToken>, StoreError> {
        let select = sqlx::query("select * from api_token where hash = $1").bind(hash.as_slice());
        let row = select.fetch_optional(self.pool()).await.doing("reading an API token")?;
        row.as_ref().map(token).transpose()
    }

    pub(in crate::store) async fn api_tokens(&self) -> Result<Vec<ApiToken>, StoreError> {
        let select = sqlx::query("select * from api_token order by name collate \"C\"");
        select.fetch_all(self.pool()).await.doing("reading API tokens")?.iter().map(token).collect()
    }

    pub(in crate::store) async fn touch_api_token(&self, hash: [u8; 32], now: UnixTime) -> Result<(), StoreError> {
        let update = sqlx::query("update api_token set last_used_at = $1 where hash = $2");
        let touched = update.bind(Time(now)).bind(hash.as_slice()).execute(self.pool()).await;
        touched.map(drop).doing("noting that an API token is in use")
    }

    pub(in crate::store) async fn delete_api_token(&self, name: &str, event: Event) -> Result<bool, StoreError> {
        const DOING: &str = "deleting an API token";
        let mut transaction = self.pool().begin().await.doing(DOING)?;
        let delete = sqlx::query("delete from api_token where name = $1").bind(name);
        if delete.execute(&mut *transaction).await.doing(DOING)?.rows_affected() == 0 {
            return Ok(false);
        }
        append(&mut transaction, event).await.doing(DOING)?;
        transaction.commit().await.doing(DOING).map(|()| true)
    }
}

fn token(row: &PgRow) -> Result<ApiToken, StoreError> {
    const DOING: &str = "reading an API token";
    let time = |column| row.try_get::<Option<Time>, _>(column).map(|time| time.map(|Time(time)| time)).doing(DOING);
    let Time(created_at) = row.try_get("created_at").doing(DOING)?;
    let hash: Vec<u8> = row.try_get("hash").doing(DOING)?;
    Ok(ApiToken {
        hash: hash.try_into().map_err(|_| StoreError::Damaged("the hash of an API token"))?,
        name: row.try_get("name").doing(DOING)?,
        role: account::role(row.try_get("role").doing(DOING)?)?,
        scopes: account::scopes(row.try_get("scopes").doing(DOING)?)?,
        created_at,
        created_by: row.try_get("created_by").doing(DOING)?,
        expires_at: time("expires_at")?,
        last_used_at: time("last_used_at")?,
    })
}
