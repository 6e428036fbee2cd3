//! Tokens for programs.

use super::log::append;
use super::{SqliteStore, While};
use crate::audit_log::Event;
use crate::store::account::{self, ApiToken};
use crate::store::error::StoreError;
use everypath_protocol::time::UnixTime;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

impl SqliteStore {
    pub(in crate::store) async fn create_api_token(
        &self,
        token: ApiToken,
        replace: bool,
        event: Event,
    ) -> Result<bool, StoreError> {
        self.write("keeping an API token", move |connection| {
            Box::pin(async move {
                let upsert = "insert into api_token (hash, name, role, scopes, created_at, created_by, expires_at) \
                              values (?1, ?2, ?3, ?4, ?5, ?6, ?7) on conflict (name) do update set hash = excluded.hash, \
                              role = excluded.role, scopes = excluded.scopes, created_at = excluded.created_at, \
                              created_by = excluded.created_by, expires_at = excluded.expires_at, last_used_at = null \
                              where ?8";
                let kept = sqlx::query(upsert)
                    .bind(token.hash.as_slice())
                    .bind(token.name)
                    .bind(token.role.name())
                    .bind(token.scopes.names().join(" "))
                    .bind(token.created_at.0)
                    .bind(token.created_by)
                    .bind(token.expires_at.map(|time| time.0))
                    .bind(replace)
                    .execute(&mut *connection)
                    .await?;
                if kept.rows_affected() == 0 {
                    return Ok(false);
                }
                append(connection, event).await.map(|()| true)
            })
        })
        .await
    }

    pub(in crate::store) async fn api_token(&self, hash: [u8; 32]) -> Result<Option<ApiToken>, StoreError> {
        let select = sqlx::query("select * from api_token where hash = ?").bind(hash.as_slice());
        let row = select.fetch_optional(&self.readers).await.doing("reading an API token")?;
        row.as_ref().map(token).transpose()
    }

    pub(in crate::store) async fn api_tokens(&self) -> Result<Vec<ApiToken>, StoreError> {
        let select = sqlx::query("select * from api_token order by name");
        select.fetch_all(&self.readers).await.doing("reading API tokens")?.iter().map(token).collect()
    }

    pub(in crate::store) async fn touch_api_token(&self, hash: [u8; 32], now: UnixTime) -> Result<(), StoreError> {
        self.write("noting that an API token is in use", move |connection| {
            Box::pin(async move {
                let update = sqlx::query("update api_token set last_used_at = ? where hash = ?");
                update.bind(now.0).bind(hash.as_slice()).execute(connection).await.map(drop)
            })
        })
        .await
    }

    pub(in crate::store) async fn delete_api_token(&self, name: &str, event: Event) -> Result<bool, StoreError> {
        let name = name.to_owned();
        self.write("deleting an API token", move |connection| {
            Box::pin(async move {
                let delete = sqlx::query("delete from api_token where name = ?").bind(name);
                if delete.execute(&mut *connection).await?.rows_affected() == 0 {
                    return Ok(false);
                }
                append(connection, event).await.map(|()| true)
            })
        })
        .await
    }
}

fn token(row: &SqliteRow) -> Result<ApiToken, StoreError> {
    const DOING: &str = "reading an API token";
    let time = |column| row.try_get::<Option<i64>, _>(column).map(|time| time.map(UnixTime)).doing(DOING);
    let hash: Vec<u8> = row.try_get("hash").doing(DOING)?;
    Ok(ApiToken {
        hash: hash.try_into().map_err(|_| StoreError::Damaged("the hash of an API token"))?,
        name: row.try_get("name").doing(DOING)?,
        role: account::role(row.try_get("role").doing(DOING)?)?,
        scopes: account::scopes(row.try_get("scopes").doing(DOING)?)?,
        created_at: UnixTime(row.try_get("created_at").doing(DOING)?),
        created_by: row.try_get("created_by").doing(DOING)?,
        expires_at: time("expires_at")?,
        last_used_at: time("last_used_at")?,
    })
}
