//! Accounts, sessions, API tokens, attempts to log in.

use super::PgStore;
use super::codes::Time;
use super::failure::While;
use crate::guard::Role;
use crate::store::error::StoreError;
use crate::store::types::{ApiToken, LoginLimits, SessionRow, UserRow};
use everypath_protocol::sign::sha256;
use everypath_protocol::time::{Span, UnixTime};
use sqlx::{Executor as _, Row as _};

/// Stands for every account in what counts the attempts of one address. No hash is empty.
const ANY_ACCOUNT: &str = "";

/// What is kept of a name that somebody tried: people type passwords where the name belongs.
fn attempted(account: &str) -> String {
    sha256(&[account.as_bytes()]).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn role(column: &str) -> Result<Role, StoreError> {
    Role::from_name(column).ok_or(StoreError::Damaged("a role"))
}

impl PgStore {
    pub(in crate::store) async fn create_first_user(&self, user: UserRow, now: UnixTime) -> Result<bool, StoreError> {
        const DOING: &str = "making the first account";
        let mut transaction = self.pool().begin().await.doing(DOING)?;
        // Two replicas that start together must not both find nobody.
        transaction.execute("lock table user_account in share row exclusive mode").await.doing(DOING)?;
        let insert = "insert into user_account (name, password, role, created_at) select $1, $2, $3, $4 \
                      where not exists (select 1 from user_account)";
        let made = sqlx::query(insert)
            .bind(user.name)
            .bind(user.password)
            .bind(user.role.name())
            .bind(Time(now))
            .execute(&mut *transaction)
            .await
            .doing(DOING)?;
        transaction.commit().await.doing(DOING)?;
        Ok(made.rows_affected() == 1)
    }

    pub(in crate::store) async fn has_users(&self) -> Result<bool, StoreError> {
        let exists = sqlx::query_scalar("select exists (select 1 from user_account)");
        exists.fetch_one(self.pool()).await.doing("looking for accounts")
    }

    pub(in crate::store) async fn user(&self, name: &str) -> Result<Option<UserRow>, StoreError> {
        const DOING: &str = "reading an account";
        let select = sqlx::query("select name, password, role from user_account where name = $1");
        let row = select.bind(name).fetch_optional(self.pool()).await.doing(DOING)?;
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
        const DOING: &str = "counting an attempt to log in";
        let account = attempted(account);
        let mut transaction = self.pool().begin().await.doing(DOING)?;
        // Attempts from one address stand in line, whichever replica they come to: each must see those before it.
        let line = "select pg_advisory_xact_lock(hashtextextended($1, 1))";
        sqlx::query(line).bind(address).execute(&mut *transaction).await.doing(DOING)?;
        for (account, attempts_max) in [(account.as_str(), limits.per_account), (ANY_ACCOUNT, limits.per_address)] {
            // The oldest of the last `attempts_max`: if it still counts, so do all of them.
            let oldest: Option<Time> = sqlx::query_scalar(
                "select at from login_attempt where account = $1 and address = $2 order by at desc limit 1 offset $3",
            )
            .bind(account)
            .bind(address)
            .bind(i64::from(attempts_max.saturating_sub(1)))
            .fetch_optional(&mut *transaction)
            .await
            .doing(DOING)?;
            if let Some(Time(oldest)) = oldest
                && now < oldest.plus(limits.period)
            {
                return Ok(Some(oldest.plus(limits.period).since(now)));
            }
        }
        sqlx::query("insert into login_attempt (account, address, at) values ($1, $3, $4), ($2, $3, $4)")
            .bind(account)
            .bind(ANY_ACCOUNT)
            .bind(address)
            .bind(Time(now))
            .execute(&mut *transaction)
            .await
            .doing(DOING)?;
        transaction.commit().await.doing(DOING)?;
        Ok(None)
    }

    pub(in crate::store) async fn create_session(&self, session: SessionRow, address: &str) -> Result<(), StoreError> {
        const DOING: &str = "keeping a session";
        let mut transaction = self.pool().begin().await.doing(DOING)?;
        sqlx::query("delete from login_attempt where account = $1 and address = $2")
            .bind(attempted(&session.user))
            .bind(address)
            .execute(&mut *transaction)
            .await
            .doing(DOING)?;
        // Of the attempts from this address only the one that succeeded: a known account is no way to guess at others.
        let newest = "delete from login_attempt where id = (select id from login_attempt \
                      where account = $1 and address = $2 order by at desc limit 1)";
        sqlx::query(newest).bind(ANY_ACCOUNT).bind(address).execute(&mut *transaction).await.doing(DOING)?;
        let insert = "insert into session (hash, account, created_at, seen_at) \
                      select $1, id, $2, $3 from user_account where name = $4";
        sqlx::query(insert)
            .bind(session.hash.as_slice())
            .bind(Time(session.created_at))
            .bind(Time(session.seen_at))
            .bind(session.user)
            .execute(&mut *transaction)
            .await
            .doing(DOING)?;
        transaction.commit().await.doing(DOING)
    }

    pub(in crate::store) async fn session(&self, hash: [u8; 32]) -> Result<Option<SessionRow>, StoreError> {
        const DOING: &str = "reading a session";
        let select = "select u.name, u.role, s.created_at, s.seen_at from session s join user_account u on u.id = s.account \
                      where s.hash = $1";
        let row = sqlx::query(select).bind(hash.as_slice()).fetch_optional(self.pool()).await.doing(DOING)?;
        let Some(row) = row else { return Ok(None) };
        let (Time(created_at), Time(seen_at)) =
            (row.try_get("created_at").doing(DOING)?, row.try_get("seen_at").doing(DOING)?);
        let role = role(row.try_get("role").doing(DOING)?)?;
        Ok(Some(SessionRow { hash, user: row.try_get("name").doing(DOING)?, role, created_at, seen_at }))
    }

    pub(in crate::store) async fn touch_session(&self, hash: [u8; 32], now: UnixTime) -> Result<(), StoreError> {
        let update = sqlx::query("update session set seen_at = $1 where hash = $2");
        let touched = update.bind(Time(now)).bind(hash.as_slice()).execute(self.pool()).await;
        touched.map(drop).doing("noting that a session is in use")
    }

    pub(in crate::store) async fn delete_session(&self, hash: [u8; 32]) -> Result<(), StoreError> {
        let delete = sqlx::query("delete from session where hash = $1").bind(hash.as_slice());
        delete.execute(self.pool()).await.map(drop).doing("ending a session")
    }

    pub(in crate::store) async fn sweep_people(
        &self,
        seen_before: UnixTime,
        attempts_before: UnixTime,
    ) -> Result<(), StoreError> {
        const DOING: &str = "deleting old sessions";
        let sessions = sqlx::query("delete from session where seen_at < $1").bind(Time(seen_before));
        sessions.execute(self.pool()).await.doing(DOING)?;
        let attempts = sqlx::query("delete from login_attempt where at < $1").bind(Time(attempts_before));
        attempts.execute(self.pool()).await.map(drop).doing(DOING)
    }

    pub(in crate::store) async fn create_api_token(&self, token: ApiToken, now: UnixTime) -> Result<(), StoreError> {
        let upsert = "insert into api_token (hash, name, role, created_at) values ($1, $2, $3, $4) \
                      on conflict (name) do update set hash = excluded.hash, role = excluded.role";
        sqlx::query(upsert)
            .bind(token.hash.as_slice())
            .bind(token.name)
            .bind(token.role.name())
            .bind(Time(now))
            .execute(self.pool())
            .await
            .map(drop)
            .doing("keeping an API token")
    }

    pub(in crate::store) async fn api_token(&self, hash: [u8; 32]) -> Result<Option<(String, Role)>, StoreError> {
        const DOING: &str = "reading an API token";
        let select = sqlx::query("select name, role from api_token where hash = $1");
        let row = select.bind(hash.as_slice()).fetch_optional(self.pool()).await.doing(DOING)?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some((row.try_get("name").doing(DOING)?, role(row.try_get("role").doing(DOING)?)?)))
    }
}
