//! Sessions, and attempts to begin one.

use super::PgStore;
use super::codes::Time;
use super::failure::While;
use super::log::append;
use crate::audit_log::Event;
use crate::store::account::{self, ANY_ACCOUNT, LoginLimits, SESSIONS_MAX, SessionRow, Sweep, attempted};
use crate::store::error::StoreError;
use everypath_protocol::time::{Span, UnixTime};
use sqlx::{PgConnection, Row as _};

impl PgStore {
    pub(in crate::store) async fn begin_login(
        &self,
        account: &str,
        address: &str,
        now: UnixTime,
        limits: LoginLimits,
    ) -> Result<Option<Span>, StoreError> {
        const DOING: &str = "counting an attempt to log in";
        let name = account;
        let account = attempted(name);
        let mut transaction = self.pool().begin().await.doing(DOING)?;
        // Attempts from one address stand in line, then those on one account, whichever replica they come to: each must see
        // those before it.
        for (line, seed) in [(address, 1_i64), (account.as_str(), 2)] {
            let wait = sqlx::query("select pg_advisory_xact_lock(hashtextextended($1, $2))").bind(line).bind(seed);
            wait.execute(&mut *transaction).await.doing(DOING)?;
        }
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
        if let Some(wait) = pause(&mut transaction, name, address, now, limits).await.doing(DOING)? {
            return Ok(Some(wait));
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

    pub(in crate::store) async fn create_session(
        &self,
        session: SessionRow,
        password: String,
        address: &str,
        event: Event,
    ) -> Result<bool, StoreError> {
        const DOING: &str = "keeping a session";
        let mut transaction = self.pool().begin().await.doing(DOING)?;
        // Only with the password that was checked: it may have been changed since. This waits for whoever is changing it.
        let update = "update user_account set last_login_at = $1 where name = $2 and password = $3 \
                      and disabled_at is null returning id";
        let account = sqlx::query_scalar(update).bind(Time(session.created_at)).bind(&session.user).bind(password);
        let Some(account): Option<i32> = account.fetch_optional(&mut *transaction).await.doing(DOING)? else {
            return Ok(false);
        };
        begin(&mut transaction, account, &session, address).await.doing(DOING)?;
        append(&mut transaction, event).await.doing(DOING)?;
        transaction.commit().await.doing(DOING).map(|()| true)
    }

    pub(in crate::store) async fn session(&self, hash: [u8; 32]) -> Result<Option<SessionRow>, StoreError> {
        const DOING: &str = "reading a session";
        let select = "select u.name, u.role, s.created_at, s.seen_at from session s join user_account u on u.id = s.account \
                      where s.hash = $1 and u.disabled_at is null";
        let row = sqlx::query(select).bind(hash.as_slice()).fetch_optional(self.pool()).await.doing(DOING)?;
        let Some(row) = row else { return Ok(None) };
        let (Time(created_at), Time(seen_at)) =
            (row.try_get("created_at").doing(DOING)?, row.try_get("seen_at").doing(DOING)?);
        let role = account::role(row.try_get("role").doing(DOING)?)?;
        Ok(Some(SessionRow { hash, user: row.try_get("name").doing(DOING)?, role, created_at, seen_at }))
    }

    pub(in crate::store) async fn touch_session(&self, hash: [u8; 32], now: UnixTime) -> Result<(), StoreError> {
        let update = sqlx::query("update session set seen_at = $1 where hash = $2");
        let touched = update.bind(Time(now)).bind(hash.as_slice()).execute(self.pool()).await;
        touched.map(drop).doing("noting that a session is in use")
    }

    pub(in crate::store) async fn delete_session(&self, hash: [u8; 32], event: Event) -> Result<bool, StoreError> {
        const DOING: &str = "ending a session";
        let mut transaction = self.pool().begin().await.doing(DOING)?;
        let delete = sqlx::query("delete from session where hash = $1").bind(hash.as_slice());
        if delete.execute(&mut *transaction).await.doing(DOING)?.rows_affected() == 0 {
            return Ok(false);
        }
        append(&mut transaction, event).await.doing(DOING)?;
        transaction.commit().await.doing(DOING).map(|()| true)
    }

    pub(in crate::store) async fn sweep_people(&self, before: Sweep) -> Result<(), StoreError> {
        for (delete, before) in [
            ("delete from session where seen_at < $1", before.sessions),
            ("delete from login_attempt where at < $1", before.attempts),
            ("delete from known_address where seen_at < $1", before.addresses),
            ("delete from invitation where expires_at < $1", before.invitations),
        ] {
            sqlx::query(delete).bind(Time(before)).execute(self.pool()).await.doing("deleting old sessions")?;
        }
        Ok(())
    }
}

/// How long an address that the account does not know has to wait, while guesses at the account come from everywhere.
async fn pause(
    connection: &mut PgConnection,
    name: &str,
    address: &str,
    now: UnixTime,
    limits: LoginLimits,
) -> Result<Option<Span>, sqlx::Error> {
    let known = "select exists (select 1 from known_address k join user_account u on u.id = k.account \
                 where u.name = $1 and k.address = $2)";
    let is_known: bool = sqlx::query_scalar(known).bind(name).bind(address).fetch_one(&mut *connection).await?;
    if is_known {
        return Ok(None);
    }
    let account = attempted(name);
    let mut times = Vec::with_capacity(2);
    for behind in [limits.everywhere.saturating_sub(1), 0] {
        let select =
            sqlx::query_scalar("select at from login_attempt where account = $1 order by at desc limit 1 offset $2");
        let time: Option<Time> = select.bind(&account).bind(i64::from(behind)).fetch_optional(&mut *connection).await?;
        times.extend(time.map(|Time(time)| time));
    }
    Ok(account::pause(&times, now, limits))
}

/// Forgets the attempts of an account from an address, which it knows from now on, and keeps a session.
pub(super) async fn begin(
    connection: &mut PgConnection,
    account: i32,
    session: &SessionRow,
    address: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query("delete from login_attempt where account = $1 and address = $2")
        .bind(attempted(&session.user))
        .bind(address)
        .execute(&mut *connection)
        .await?;
    // Of the attempts from this address only the one that succeeded: a known account is no way to guess at others.
    let newest = "delete from login_attempt where id = (select id from login_attempt \
                  where account = $1 and address = $2 order by at desc limit 1)";
    sqlx::query(newest).bind(ANY_ACCOUNT).bind(address).execute(&mut *connection).await?;
    let known = "insert into known_address (account, address, seen_at) values ($1, $2, $3) \
                 on conflict (account, address) do update set seen_at = excluded.seen_at";
    sqlx::query(known).bind(account).bind(address).bind(Time(session.created_at)).execute(&mut *connection).await?;
    let oldest = "delete from session where hash in \
                  (select hash from session where account = $1 order by seen_at desc offset $2)";
    sqlx::query(oldest).bind(account).bind(i64::from(SESSIONS_MAX) - 1).execute(&mut *connection).await?;
    sqlx::query("insert into session (hash, account, created_at, seen_at) values ($1, $2, $3, $4)")
        .bind(session.hash.as_slice())
        .bind(account)
        .bind(Time(session.created_at))
        .bind(Time(session.seen_at))
        .execute(connection)
        .await
        .map(drop)
}
