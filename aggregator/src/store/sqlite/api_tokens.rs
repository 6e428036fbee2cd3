//! Tokens for programs.

use super::log::append;
use super::{SqliteStore, While};
use crate::audit_log::Event;
use crate::store::account::{self, API_TOKENS_MAX, ApiToken, Kept, Maker};
use crate::store::error::StoreError;
use everypath_protocol::time::UnixTime;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Row as _, SqliteConnection};

/// With the role of the account that the token belongs to, if somebody may use that.
const SELECT: &str = "select hash, t.name, t.role, scopes, t.created_at, created_by, owner_id, expires_at, last_used_at, \
                      u.role as owner_role from api_token t \
                      left join user_account u on u.id = t.owner_id and u.disabled_at is null";

impl SqliteStore {
    pub(in crate::store) async fn create_api_token(
        &self,
        token: ApiToken,
        by: Maker,
        replace: bool,
        event: Event,
    ) -> Result<Kept, StoreError> {
        self.write("keeping an API token", move |connection| {
            Box::pin(async move {
                let owner: Option<(i64, String)> = match by {
                    Maker::Host => None,
                    Maker::Session(hash) => {
                        let select = "select u.id, u.name from session s join user_account u on u.id = s.account \
                                      where s.hash = ? and u.disabled_at is null";
                        let owner = sqlx::query_as(select).bind(hash.as_slice()).fetch_optional(&mut *connection);
                        let Some(owner) = owner.await? else { return Ok(Kept::SessionOver) };
                        Some(owner)
                    }
                };
                let others = sqlx::query_scalar("select count(*) from api_token where name <> ?").bind(&token.name);
                let others: i64 = others.fetch_one(&mut *connection).await?;
                if others >= API_TOKENS_MAX.into() {
                    return Ok(Kept::TooMany);
                }
                let upsert = "insert into api_token \
                              (hash, name, role, scopes, created_at, created_by, owner_id, expires_at) \
                              values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) on conflict (name) do update set \
                              hash = excluded.hash, role = excluded.role, scopes = excluded.scopes, \
                              created_at = excluded.created_at, created_by = excluded.created_by, \
                              owner_id = excluded.owner_id, expires_at = excluded.expires_at, last_used_at = null \
                              where ?9";
                let (owner, name) = owner.unzip();
                let kept = sqlx::query(upsert)
                    .bind(token.hash.as_slice())
                    .bind(token.name)
                    .bind(token.role.name())
                    .bind(token.scopes.names().join(" "))
                    .bind(token.created_at.0)
                    .bind(name.unwrap_or_default())
                    .bind(owner)
                    .bind(token.expires_at.map(|time| time.0))
                    .bind(replace)
                    .execute(&mut *connection)
                    .await?;
                if kept.rows_affected() == 0 {
                    return Ok(Kept::NameTaken);
                }
                append(connection, event).await.map(|()| Kept::Done)
            })
        })
        .await
    }

    pub(in crate::store) async fn api_token(&self, hash: [u8; 32]) -> Result<Option<ApiToken>, StoreError> {
        let select = format!("{SELECT} where hash = ?");
        let select = sqlx::query(AssertSqlSafe(select)).bind(hash.as_slice());
        let row = select.fetch_optional(&self.readers).await.doing("reading an API token")?;
        row.as_ref().map(token).transpose()
    }

    pub(in crate::store) async fn api_tokens(&self) -> Result<Vec<ApiToken>, StoreError> {
        let select = sqlx::query(AssertSqlSafe(format!("{SELECT} order by t.name")));
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
    let created_by: String = row.try_get("created_by").doing(DOING)?;
    let account = row.try_get("owner_id").doing(DOING)?;
    Ok(ApiToken {
        hash: hash.try_into().map_err(|_| StoreError::Damaged("the hash of an API token"))?,
        name: row.try_get("name").doing(DOING)?,
        role: account::role(row.try_get("role").doing(DOING)?)?,
        scopes: account::scopes(row.try_get("scopes").doing(DOING)?)?,
        created_at: UnixTime(row.try_get("created_at").doing(DOING)?),
        owner: account::owner(&created_by, account, row.try_get("owner_role").doing(DOING)?)?,
        created_by,
        expires_at: time("expires_at")?,
        last_used_at: time("last_used_at")?,
    })
}

/// Deletes the tokens of an account, each with an entry in the log beside `event`, which says who deletes the account.
pub(super) async fn delete_of(
    connection: &mut SqliteConnection,
    account: i64,
    event: &Event,
) -> Result<(), sqlx::Error> {
    let select = sqlx::query_scalar("select name from api_token where owner_id = ? order by name").bind(account);
    let names: Vec<String> = select.fetch_all(&mut *connection).await?;
    let delete = sqlx::query("delete from api_token where owner_id = ?").bind(account);
    delete.execute(&mut *connection).await?;
    for name in names {
        append(connection, event.clone().also("api_token.delete", &name)).await?;
    }
    Ok(())
}
