//! Tokens for programs.

use super::PgStore;
use super::codes::Time;
use super::failure::While;
use super::log::append;
use crate::audit_log::Event;
use crate::store::account::{self, API_TOKENS_MAX, ApiToken, Kept, Maker};
use crate::store::error::StoreError;
use everypath_protocol::time::UnixTime;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};

/// With the role of the account that the token belongs to, if somebody may use that. Each column by its name: a later version may
/// add some while this one runs.
const SELECT: &str = "select hash, t.name, t.role, scopes, t.created_at, created_by, owner_id, expires_at, last_used_at, \
                      u.role as owner_role from api_token t \
                      left join user_account u on u.id = t.owner_id and u.disabled_at is null";

impl PgStore {
    pub(in crate::store) async fn create_api_token(
        &self,
        token: ApiToken,
        by: Maker,
        replace: bool,
        event: Event,
    ) -> Result<Kept, StoreError> {
        const DOING: &str = "keeping an API token";
        // Its owner stays until it is kept, and two that are made at once are both counted.
        let mut transaction = self.begin_alone(DOING).await?;
        let owner: Option<(i32, String)> = match by {
            Maker::Host => None,
            Maker::Session(hash) => {
                let select = "select u.id, u.name from session s join user_account u on u.id = s.account \
                              where s.hash = $1 and u.disabled_at is null";
                let owner = sqlx::query_as(select).bind(hash.as_slice()).fetch_optional(&mut *transaction);
                let Some(owner) = owner.await.doing(DOING)? else { return Ok(Kept::SessionOver) };
                Some(owner)
            }
        };
        let others = sqlx::query_scalar("select count(*) from api_token where name <> $1").bind(&token.name);
        let others: i64 = others.fetch_one(&mut *transaction).await.doing(DOING)?;
        if others >= API_TOKENS_MAX.into() {
            return Ok(Kept::TooMany);
        }
        let upsert = "insert into api_token as t \
                      (hash, name, role, scopes, created_at, created_by, owner_id, expires_at) \
                      values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict (name) do update set \
                      hash = excluded.hash, role = excluded.role, scopes = excluded.scopes, \
                      created_at = excluded.created_at, created_by = excluded.created_by, \
                      owner_id = excluded.owner_id, expires_at = excluded.expires_at, last_used_at = null \
                      where $9";
        let (owner, name) = owner.unzip();
        let kept = sqlx::query(upsert)
            .bind(token.hash.as_slice())
            .bind(token.name)
            .bind(token.role.name())
            .bind(token.scopes.names().join(" "))
            .bind(Time(token.created_at))
            .bind(name.unwrap_or_default())
            .bind(owner)
            .bind(token.expires_at.map(Time))
            .bind(replace)
            .execute(&mut *transaction)
            .await
            .doing(DOING)?;
        if kept.rows_affected() == 0 {
            return Ok(Kept::NameTaken);
        }
        append(&mut transaction, event).await.doing(DOING)?;
        transaction.commit().await.doing(DOING).map(|()| Kept::Done)
    }

    pub(in crate::store) async fn api_token(&self, hash: [u8; 32]) -> Result<Option<ApiToken>, StoreError> {
        let select = format!("{SELECT} where hash = $1");
        let select = sqlx::query(AssertSqlSafe(select)).bind(hash.as_slice());
        let row = select.fetch_optional(self.pool()).await.doing("reading an API token")?;
        row.as_ref().map(token).transpose()
    }

    pub(in crate::store) async fn api_tokens(&self) -> Result<Vec<ApiToken>, StoreError> {
        let select = format!("{SELECT} order by t.name collate \"C\"");
        let select = sqlx::query(AssertSqlSafe(select));
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
    let created_by: String = row.try_get("created_by").doing(DOING)?;
    let account: Option<i32> = row.try_get("owner_id").doing(DOING)?;
    let owner_role = row.try_get("owner_role").doing(DOING)?;
    Ok(ApiToken {
        hash: hash.try_into().map_err(|_| StoreError::Damaged("the hash of an API token"))?,
        name: row.try_get("name").doing(DOING)?,
        role: account::role(row.try_get("role").doing(DOING)?)?,
        scopes: account::scopes(row.try_get("scopes").doing(DOING)?)?,
        created_at,
        owner: account::owner(&created_by, account.map(i64::from), owner_role)?,
        created_by,
        expires_at: time("expires_at")?,
        last_used_at: time("last_used_at")?,
    })
}

/// Deletes the tokens of an account, each with an entry in the log beside `event`, which says who deletes the account.
pub(super) async fn delete_of(connection: &mut PgConnection, account: i32, event: &Event) -> Result<(), sqlx::Error> {
    let select = "select name from api_token where owner_id = $1 order by name collate \"C\"";
    let names: Vec<String> = sqlx::query_scalar(select).bind(account).fetch_all(&mut *connection).await?;
    let delete = sqlx::query("delete from api_token where owner_id = $1").bind(account);
    delete.execute(&mut *connection).await?;
    for name in names {
        append(connection, event.clone().also("api_token.delete", &name)).await?;
    }
    Ok(())
}
