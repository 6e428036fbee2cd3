//! Join tokens.

use super::agents::upsert_member;
use super::codes::{self, count};
use super::log::append;
use super::{SqliteStore, While};
use crate::audit_log::Event;
use crate::store::error::StoreError;
use crate::store::system::{JOIN_TOKENS_MAX, JoinTokenInfo};
use crate::store::types::{JoinTokenRow, Redeemed, Redemption};
use everypath_protocol::codec;
use everypath_protocol::time::UnixTime;
use everypath_protocol::token::{TokenId, TokenKey};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

const LISTING: &str = "listing join tokens";

impl SqliteStore {
    pub(in crate::store) async fn create_join_token(
        &self,
        token: JoinTokenRow,
        event: Event,
    ) -> Result<(), StoreError> {
        self.write("keeping a join token", move |connection| {
            Box::pin(async move {
                let insert = "insert into join_token (id, key, site, uses, uses_left, created_at, expires_at, created_by) \
                              values (?, ?, ?, ?, ?, ?, ?, ?)";
                sqlx::query(insert)
                    .bind(token.id.0.as_slice())
                    .bind(token.key.0.as_slice())
                    .bind(token.site)
                    .bind(token.uses)
                    .bind(token.uses)
                    .bind(token.created_at.0)
                    .bind(token.expires_at.0)
                    .bind(token.created_by)
                    .execute(&mut *connection)
                    .await?;
                append(connection, event).await
            })
        })
        .await
    }

    pub(in crate::store) async fn join_token(
        &self,
        id: TokenId,
    ) -> Result<Option<(TokenKey, Option<String>)>, StoreError> {
        const DOING: &str = "reading a join token";
        let row = sqlx::query("select key, site from join_token where id = ?")
            .bind(id.0.as_slice())
            .fetch_optional(&self.readers)
            .await
            .doing(DOING)?;
        let Some(row) = row else { return Ok(None) };
        let key: Vec<u8> = row.try_get("key").doing(DOING)?;
        let key = key.try_into().map_err(|_| StoreError::Damaged("the key of a join token"))?;
        Ok(Some((TokenKey(key), row.try_get("site").doing(DOING)?)))
    }

    pub(in crate::store) async fn join_tokens(&self) -> Result<Vec<JoinTokenInfo>, StoreError> {
        let select = "select id, site, uses, uses_left, created_at, created_by, expires_at from join_token \
                      order by created_at desc, id limit ?";
        let select = sqlx::query(select).bind(JOIN_TOKENS_MAX);
        select.fetch_all(&self.readers).await.doing(LISTING)?.iter().map(info).collect()
    }

    pub(in crate::store) async fn delete_join_token(&self, id: TokenId, event: Event) -> Result<bool, StoreError> {
        self.write("deleting a join token", move |connection| {
            Box::pin(async move {
                let delete = sqlx::query("delete from join_token where id = ?").bind(id.0.as_slice());
                if delete.execute(&mut *connection).await?.rows_affected() == 0 {
                    return Ok(false);
                }
                append(connection, event).await.map(|()| true)
            })
        })
        .await
    }

    pub(in crate::store) async fn redeem(&self, redemption: Redemption, event: Event) -> Result<Redeemed, StoreError> {
        let (redeemed, certificate) = self
            .write("redeeming a join token", move |connection| {
                Box::pin(async move {
                    let certificate: Option<Vec<u8>> =
                        sqlx::query_scalar("select certificate from agent where key = ? and certificate is not null")
                            .bind(redemption.agent.0.as_slice())
                            .fetch_optional(&mut *connection)
                            .await?;
                    if certificate.is_some() {
                        return Ok((Redeemed::Joined, certificate));
                    }
                    let redeemed = spend(connection, &redemption).await?;
                    if redeemed == Redeemed::Joined {
                        append(connection, event).await?;
                    }
                    Ok((redeemed, None))
                })
            })
            .await?;
        certificate.map_or(Ok(redeemed), |bytes| codes::document(&bytes).map(Redeemed::Again))
    }
}

fn info(row: &SqliteRow) -> Result<JoinTokenInfo, StoreError> {
    let time = |column| row.try_get(column).map(UnixTime).doing(LISTING);
    let number = |column| row.try_get(column).doing(LISTING).map(count);
    let id: Vec<u8> = row.try_get("id").doing(LISTING)?;
    Ok(JoinTokenInfo {
        id: TokenId(id.try_into().map_err(|_| StoreError::Damaged("the name of a join token"))?),
        site: row.try_get("site").doing(LISTING)?,
        uses: number("uses")?,
        uses_left: number("uses_left")?,
        created_at: time("created_at")?,
        created_by: row.try_get("created_by").doing(LISTING)?,
        expires_at: time("expires_at")?,
    })
}

/// Takes one use, if there is one and the name is free, and makes the member.
async fn spend(connection: &mut SqliteConnection, redemption: &Redemption) -> Result<Redeemed, sqlx::Error> {
    let taken: bool = sqlx::query_scalar("select exists (select 1 from agent where name = ?)")
        .bind(&redemption.name)
        .fetch_one(&mut *connection)
        .await?;
    let token = sqlx::query("select uses_left, expires_at from join_token where id = ?")
        .bind(redemption.token.0.as_slice())
        .fetch_optional(&mut *connection)
        .await?;
    let Some(token) = token else { return Ok(Redeemed::UnknownToken) };
    if token.try_get::<i64, _>("expires_at")? <= redemption.now.0 {
        return Ok(Redeemed::Expired);
    }
    if count(token.try_get("uses_left")?) == 0 {
        return Ok(Redeemed::UsedUp);
    }
    if taken {
        return Ok(Redeemed::NameTaken);
    }
    sqlx::query("update join_token set uses_left = uses_left - 1 where id = ?")
        .bind(redemption.token.0.as_slice())
        .execute(&mut *connection)
        .await?;
    let certificate = codec::encode(&redemption.certificate);
    upsert_member(connection, redemption.agent, &redemption.name, &redemption.site, &certificate, redemption.now)
        .await?;
    Ok(Redeemed::Joined)
}
