//! Accounts, sessions, API tokens, attempts to log in.

use super::{SqliteStore, While};
use crate::guard::Role;
use crate::store::error::StoreError;
use crate::store::types::{ApiToken, LoginLimits, SessionRow, UserRow};
use everypath_protocol::sign::sha256;
use everypath_protocol::time::{Span, UnixTime};
use sqlx::Row as _;

/// Stands for every account in what counts the attempts of one address. No hash is empty.
const ANY_ACCOUNT: &str = "";

/// What is kept of a name that somebody tried: people type passwords where the name belongs.
fn attempted(account: &str) -> String {
    sha256(&[account.as_bytes()]).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn role(column: &str) -> Result<Role, StoreError> {
    Role::from_name(column).ok_or(StoreError::Damaged("a role"))
}

impl SqliteStore {
    pub(in crate::store) async fn create_first_user(&self, user: UserRow, now: UnixTime) -> Result<bool, StoreError> {
        self.write("making the first account", move |connection| {
            Box::pin(async move {
                let insert = "insert into user_account (name, password, role, created_at) select ?, ?, ?, ? \
                              where not exists (select 1 from user_account)";
                let made = sqlx::query(insert)
                    .bind(user.name)
                    .bind(user.password)
                    .bind(user.role.name())
                    .bind(now.0)
                    .execute(connection)
                    .await?;
                Ok(made.rows_affected() == 1)
            })
        })
        .await
    }

    pub(in crate::store) async fn has_users(&self) -> Result<bool, StoreError> {
        let exists = sqlx::query_scalar("select exists (select 1 from user_account)");
        exists.fetch_one(&self.readers).await.doing("looking for accounts")
    }

    pub(in crate::store) async fn user(&self, name: &str) -> Result<Option<UserRow>, StoreError> {
        const DOING: &str = "reading an account";
        let row = sqlx::query("select name, password, role from user_account where name = ?")
            .bind(name)
            .fetch_optional(&self.readers)
            .await
            .doing(DOING)?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(UserRow {
            name: row.try_get("name").doing(DOING)?,
            password: row.try_get("password").doing(DOING)?,
            role: role(row.try_get("role").doing(DOING)?)?,
        }))
    }

    pub(in crate::store) async fn begin_login(
        &self,
        account: &str,
        address: &str,
        now: UnixTime,
        limits: LoginLimits,
    ) -> Result<Option<Span>, StoreError> {
        let (account, address) = (attempted(account), address.to_owned());
        self.write("counting an attempt to log in", move |connection| {
            Box::pin(async move {
                for (account, attempts_max) in
                    [(account.as_str(), limits.per_account), (ANY_ACCOUNT, limits.per_address)]
                {
                    // The oldest of the last `attempts_max`: if it still counts, so do all of them.
                    let oldest: Option<i64> = sqlx::query_scalar(
                        "select at from login_attempt where account = ? and address = ? order by at desc limit 1 offset ?",
                    )
                    .bind(account)
                    .bind(&address)
                    .bind(attempts_max.saturating_sub(1))
                    .fetch_optional(&mut *connection)
                    .await?;
                    if let Some(oldest) = oldest.map(UnixTime)
                        && now < oldest.plus(limits.period)
                    {
                        return Ok(Some(oldest.plus(limits.period).since(now)));
                    }
                }
                sqlx::query("insert into login_attempt (account, address, at) values (?, ?, ?), (?, ?, ?)")
                    .bind(account)
                    .bind(&address)
                    .bind(now.0)
                    .bind(ANY_ACCOUNT)
                    .bind(&address)
                    .bind(now.0)
                    .execute(connection)
                    .await?;
                Ok(None)
            })
        })
        .await
    }

    pub(in crate::store) async fn create_session(&self, session: SessionRow, address: &str) -> Result<(), StoreError> {
        let address = address.to_owned();
        self.write("keeping a session", move |connection| {
            Box::pin(async move {
                sqlx::query("delete from login_attempt where account = ? and address = ?")
                    .bind(attempted(&session.user))
                    .bind(&address)
                    .execute(&mut *connection)
                    .await?;
                // Of the attempts from this address only the one that succeeded: a known account is no way to guess at others.
                let newest = "delete from login_attempt where id = (select id from login_attempt \
                              where account = ? and address = ? order by at desc limit 1)";
                sqlx::query(newest).bind(ANY_ACCOUNT).bind(&address).execute(&mut *connection).await?;
                let insert = "insert into session (hash, account, created_at, seen_at) \
                              select ?, id, ?, ? from user_account where name = ?";
                sqlx::query(insert)
                    .bind(session.hash.as_slice())
                    .bind(session.created_at.0)
                    .bind(session.seen_at.0)
                    .bind(session.user)
                    .execute(connection)
                    .await
                    .map(drop)
            })
        })
        .await
    }

    pub(in crate::store) async fn session(&self, hash: [u8; 32]) -> Result<Option<SessionRow>, StoreError> {
        const DOING: &str = "reading a session";
        let select = "select u.name, u.role, s.created_at, s.seen_at from session s join user_account u on u.id = s.account \
                      where s.hash = ?";
        let row = sqlx::query(select).bind(hash.as_slice()).fetch_optional(&self.readers).await.doing(DOING)?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(SessionRow {
            hash,
            user: row.try_get("name").doing(DOING)?,
            role: role(row.try_get("role").doing(DOING)?)?,
            created_at: UnixTime(row.try_get("created_at").doing(DOING)?),
            seen_at: UnixTime(row.try_get("seen_at").doing(DOING)?),
        }))
    }

    pub(in crate::store) async fn touch_session(&self, hash: [u8; 32], now: UnixTime) -> Result<(), StoreError> {
        self.write("noting that a session is in use", move |connection| {
            Box::pin(async move {
                let update = sqlx::query("update session set seen_at = ? where hash = ?");
                update.bind(now.0).bind(hash.as_slice()).execute(connection).await.map(drop)
            })
        })
        .await
    }

    pub(in crate::store) async fn delete_session(&self, hash: [u8; 32]) -> Result<(), StoreError> {
        self.write("ending a session", move |connection| {
            Box::pin(async move {
                let delete = sqlx::query("delete from session where hash = ?");
                delete.bind(hash.as_slice()).execute(connection).await.map(drop)
            })
        })
        .await
    }

    pub(in crate::store) async fn sweep_people(
        &self,
        seen_before: UnixTime,
        attempts_before: UnixTime,
    ) -> Result<(), StoreError> {
        self.write("deleting old sessions", move |connection| {
            Box::pin(async move {
                sqlx::query("delete from session where seen_at < ?")
                    .bind(seen_before.0)
                    .execute(&mut *connection)
                    .await?;
                let attempts = sqlx::query("delete from login_attempt where at < ?");
                attempts.bind(attempts_before.0).execute(connection).await.map(drop)
            })
        })
        .await
    }

    pub(in crate::store) async fn create_api_token(&self, token: ApiToken, now: UnixTime) -> Result<(), StoreError> {
        self.write("keeping an API token", move |connection| {
            Box::pin(async move {
                let upsert = "insert into api_token (hash, name, role, created_at) values (?, ?, ?, ?) \
                              on conflict (name) do update set hash = excluded.hash, role = excluded.role";
                sqlx::query(upsert)
                    .bind(token.hash.as_slice())
                    .bind(token.name)
                    .bind(token.role.name())
                    .bind(now.0)
                    .execute(connection)
                    .await
                    .map(drop)
            })
        })
        .await
    }

    pub(in crate::store) async fn api_token(&self, hash: [u8; 32]) -> Result<Option<(String, Role)>, StoreError> {
        const DOING: &str = "reading an API token";
        let select = sqlx::query("select name, role from api_token where hash = ?");
        let row = select.bind(hash.as_slice()).fetch_optional(&self.readers).await.doing(DOING)?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some((row.try_get("name").doing(DOING)?, role(row.try_get("role").doing(DOING)?)?)))
    }
}
