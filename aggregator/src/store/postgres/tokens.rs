//! Join tokens.

use super::PgStore;
use super::codes::{self, Time};
use super::failure::While;
use super::log::append;
use crate::audit_log::Event;
use crate::store::error::StoreError;
use crate::store::system::{JOIN_TOKENS_MAX, JoinTokenInfo};
use crate::store::types::{JoinTokenRow, Redeemed, Redemption};
use everypath_protocol::codec;
use everypath_protocol::token::{TokenId, TokenKey};
use sqlx::postgres::PgRow;
use sqlx::{Connection as _, PgConnection, Row as _};

/// Tries of a redemption that another one of the same key stood in the way of.
const ATTEMPTS_MAX: u32 = 5;
const DOING: &str = "redeeming a join token";
const LISTING: &str = "listing join tokens";

impl PgStore {
    pub(in crate::store) async fn create_join_token(
        &self,
        token: JoinTokenRow,
        event: Event,
    ) -> Result<(), StoreError> {
        const DOING: &str = "keeping a join token";
        let mut transaction = self.pool().begin().await.doing(DOING)?;
        let insert = "insert into join_token (id, key, site, uses, uses_left, created_at, expires_at, created_by) \
                      values ($1, $2, $3, $4, $4, $5, $6, $7)";
        sqlx::query(insert)
            .bind(token.id.0.as_slice())
            .bind(token.key.0.as_slice())
            .bind(token.site)
            .bind(i64::from(token.uses))
            .bind(Time(token.created_at))
            .bind(Time(token.expires_at))
            .bind(token.created_by)
            .execute(&mut *transaction)
            .await
            .doing(DOING)?;
        append(&mut transaction, event).await.doing(DOING)?;
        transaction.commit().await.doing(DOING)
    }

    pub(in crate::store) async fn join_token(
        &self,
        id: TokenId,
    ) -> Result<Option<(TokenKey, Option<String>)>, StoreError> {
        const DOING: &str = "reading a join token";
        let row = sqlx::query("select key, site from join_token where id = $1")
            .bind(id.0.as_slice())
            .fetch_optional(self.pool())
            .await
            .doing(DOING)?;
        let Some(row) = row else { return Ok(None) };
        let key: &[u8] = row.try_get("key").doing(DOING)?;
        let key = key.try_into().map_err(|_| StoreError::Damaged("the key of a join token"))?;
        Ok(Some((TokenKey(key), row.try_get("site").doing(DOING)?)))
    }

    pub(in crate::store) async fn join_tokens(&self) -> Result<Vec<JoinTokenInfo>, StoreError> {
        let select = "select id, site, uses, uses_left, created_at, created_by, expires_at from join_token \
                      order by created_at desc, id limit $1";
        let select = sqlx::query(select).bind(i64::from(JOIN_TOKENS_MAX));
        select.fetch_all(self.pool()).await.doing(LISTING)?.iter().map(info).collect()
    }

    pub(in crate::store) async fn delete_join_token(&self, id: TokenId, event: Event) -> Result<bool, StoreError> {
        const DOING: &str = "deleting a join token";
        let mut transaction = self.pool().begin().await.doing(DOING)?;
        let delete = sqlx::query("delete from join_token where id = $1").bind(id.0.as_slice());
        if delete.execute(&mut *transaction).await.doing(DOING)?.rows_affected() == 0 {
            return Ok(false);
        }
        append(&mut transaction, event).await.doing(DOING)?;
        transaction.commit().await.doing(DOING).map(|()| true)
    }

    pub(in crate::store) async fn redeem(&self, redemption: Redemption, event: Event) -> Result<Redeemed, StoreError> {
        let mut connection = self.pool().acquire().await.doing(DOING)?;
        for _ in 0..ATTEMPTS_MAX {
            let select = "select certificate from agent where key = $1 and certificate is not null";
            let select = sqlx::query_scalar(select).bind(redemption.agent.0.as_slice());
            let certificate: Option<Vec<u8>> = select.fetch_optional(&mut *connection).await.doing(DOING)?;
            if let Some(certificate) = certificate {
                return codes::document(&certificate).map(Redeemed::Again);
            }
            // Dropped without a commit, it is undone: a use is spent only for a member.
            let mut transaction = connection.begin().await.doing(DOING)?;
            match spend(&mut transaction, &redemption).await? {
                Spent::Joined => {
                    append(&mut transaction, event).await.doing(DOING)?;
                    transaction.commit().await.doing(DOING)?;
                    return Ok(Redeemed::Joined);
                }
                Spent::Refused(why) => return transaction.rollback().await.doing(DOING).map(|()| why),
                Spent::Member => transaction.rollback().await.doing(DOING)?,
            }
        }
        Err(StoreError::Busy)
    }
}

fn info(row: &PgRow) -> Result<JoinTokenInfo, StoreError> {
    let time = |column| row.try_get::<Time, _>(column).map(|Time(time)| time).doing(LISTING);
    let number = |column| row.try_get::<i64, _>(column).doing(LISTING).map(codes::count);
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

enum Spent {
    Joined,
    Refused(Redeemed),
    /// The same key became a member meanwhile.
    Member,
}

/// Takes one use, if there is one and the name is free, and makes the member. The update of the token makes all that redeem it
/// stand in line.
async fn spend(connection: &mut PgConnection, redemption: &Redemption) -> Result<Spent, StoreError> {
    let token = redemption.token.0.as_slice();
    let update = "update join_token set uses_left = uses_left - 1 where id = $1 and uses_left > 0 and expires_at > $2";
    let taken = sqlx::query(update).bind(token).bind(Time(redemption.now)).execute(&mut *connection).await;
    if taken.doing(DOING)?.rows_affected() == 0 {
        let select = "select expires_at <= $2 from join_token where id = $1";
        let select = sqlx::query_scalar(select).bind(token).bind(Time(redemption.now));
        let expired: Option<bool> = select.fetch_optional(connection).await.doing(DOING)?;
        return Ok(Spent::Refused(match expired {
            None => Redeemed::UnknownToken,
            Some(true) => Redeemed::Expired,
            Some(false) => Redeemed::UsedUp,
        }));
    }
    let upsert = "insert into agent (key, name, site, certificate, first_seen) values ($1, $2, $3, $4, $5) \
                  on conflict (key) do update set name = excluded.name, site = excluded.site, certificate = excluded.certificate \
                  where agent.certificate is null returning id";
    let made: Result<Option<i32>, sqlx::Error> = sqlx::query_scalar(upsert)
        .bind(redemption.agent.0.as_slice())
        .bind(&redemption.name)
        .bind(&redemption.site)
        .bind(codec::encode(&redemption.certificate))
        .bind(Time(redemption.now))
        .fetch_optional(connection)
        .await;
    match made {
        Ok(Some(_)) => Ok(Spent::Joined),
        Ok(None) => Ok(Spent::Member),
        Err(error) if error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation) => {
            Ok(Spent::Refused(Redeemed::NameTaken))
        }
        Err(error) => Err(super::failure::store_error(DOING, error)),
    }
}
