//! Sessions, and attempts to begin one.

use super::log::append;
use super::{SqliteStore, While};
use crate::audit_log::Event;
use crate::store::account::{self, ANY_ACCOUNT, LoginLimits, SESSIONS_MAX, SessionRow, Sweep, attempted};
use crate::store::error::StoreError;
use everypath_protocol::time::{Span, UnixTime};
use sqlx::{Row as _, SqliteConnection};

impl SqliteStore {
    pub(in crate::store) async fn begin_login(
        &self,
        account: &str,
        address: &str,
        now: UnixTime,
        limits: LoginLimits,
    ) -> Result<Option<Span>, StoreError> {
        let (name, address) = (account.to_owned(), address.to_owned());
        self.write("counting an attempt to log in", move |connection| {
            Box::pin(async move {
                let account = attempted(&name);
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
                if let Some(wait) = pause(connection, &name, &address, now, limits).await? {
                    return Ok(Some(wait));
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

    pub(in crate::store) async fn create_session(
        &self,
        session: SessionRow,
        password: String,
        address: &str,
        event: Event,
    ) -> Result<bool, StoreError> {
        let address = address.to_owned();
        self.write("keeping a session", move |connection| {
            Box::pin(async move {
                // Only with the password that was checked: it may have been changed since.
                let update = "update user_account set last_login_at = ? where name = ? and password = ? \
                              and disabled_at is null returning id";
                let account = sqlx::query_scalar(update).bind(session.created_at.0).bind(&session.user).bind(password);
                let Some(account): Option<i64> = account.fetch_optional(&mut *connection).await? else {
                    return Ok(false);
                };
                begin(connection, account, &session, &address).await?;
                append(connection, event).await.map(|()| true)
            })
        })
        .await
    }

    pub(in crate::store) async fn session(&self, hash: [u8; 32]) -> Result<Option<SessionRow>, StoreError> {
        const DOING: &str = "reading a session";
        let select = "select u.name, u.role, s.created_at, s.seen_at from session s join user_account u on u.id = s.account \
                      where s.hash = ? and u.disabled_at is null";
        let row = sqlx::query(select).bind(hash.as_slice()).fetch_optional(&self.readers).await.doing(DOING)?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(SessionRow {
            hash,
            user: row.try_get("name").doing(DOING)?,
            role: account::role(row.try_get("role").doing(DOING)?)?,
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

    pub(in crate::store) async fn delete_session(&self, hash: [u8; 32], event: Event) -> Result<bool, StoreError> {
        self.write("ending a session", move |connection| {
            Box::pin(async move {
                let delete = sqlx::query("delete from session where hash = ?").bind(hash.as_slice());
                if delete.execute(&mut *connection).await?.rows_affected() == 0 {
                    return Ok(false);
                }
                append(connection, event).await.map(|()| true)
            })
        })
        .await
    }

    pub(in crate::store) async fn sweep_people(&self, before: Sweep) -> Result<(), StoreError> {
        self.write("deleting old sessions", move |connection| {
            Box::pin(async move {
                for (delete, before) in [
                    ("delete from session where seen_at < ?", before.sessions),
                    ("delete from login_attempt where at < ?", before.attempts),
                    ("delete from known_address where seen_at < ?", before.addresses),
                    ("delete from invitation where expires_at < ?", before.invitations),
                ] {
                    sqlx::query(delete).bind(before.0).execute(&mut *connection).await?;
                }
                Ok(())
            })
        })
        .await
    }
}

/// How long an address that the account does not know has to wait, while guesses at the account come from everywhere.
async fn pause(
    connection: &mut SqliteConnection,
    name: &str,
    address: &str,
    now: UnixTime,
    limits: LoginLimits,
) -> Result<Option<Span>, sqlx::Error> {
    let known = "select exists (select 1 from known_address k join user_account u on u.id = k.account \
                 where u.name = ? and k.address = ?)";
    let is_known: bool = sqlx::query_scalar(known).bind(name).bind(address).fetch_one(&mut *connection).await?;
    if is_known {
        return Ok(None);
    }
    let account = attempted(name);
    let mut times = Vec::with_capacity(2);
    for behind in [limits.everywhere.saturating_sub(1), 0] {
        let select = "select at from login_attempt where account = ? order by at desc limit 1 offset ?";
        let time: Option<i64> =
            sqlx::query_scalar(select).bind(&account).bind(behind).fetch_optional(&mut *connection).await?;
        times.extend(time.map(UnixTime));
    }
    Ok(account::pause(&times, now, limits))
}

/// Forgets the attempts of an account from an address, which it knows from now on, and keeps a session.
pub(super) async fn begin(
    connection: &mut SqliteConnection,
    account: i64,
    session: &SessionRow,
    address: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query("delete from login_attempt where account = ? and address = ?")
        .bind(attempted(&session.user))
        .bind(address)
        .execute(&mut *connection)
        .await?;
    // Of the attempts from this address only the one that succeeded: a known account is no way to guess at others.
    let newest = "delete from login_attempt where id = (select id from login_attempt \
                  where account = ? and address = ? order by at desc limit 1)";
    sqlx::query(newest).bind(ANY_ACCOUNT).bind(address).execute(&mut *connection).await?;
    let known = "insert into known_address (account, address, seen_at) values (?, ?, ?) \
                 on conflict (account, address) do update set seen_at = excluded.seen_at";
    sqlx::query(known).bind(account).bind(address).bind(session.created_at.0).execute(&mut *connection).await?;
    let oldest = "delete from session where hash in \
                  (select hash from session where account = ? order by seen_at desc limit -1 offset ?)";
    sqlx::query(oldest).bind(account).bind(SESSIONS_MAX - 1).execute(&mut *connection).await?;
    sqlx::query("insert into session (hash, account, created_at, seen_at) values (?, ?, ?, ?)")
        .bind(session.hash.as_slice())
        .bind(account)
        .bind(session.created_at.0)
        .bind(session.seen_at.0)
        .execute(connection)
        .await
        .map(drop)
}
