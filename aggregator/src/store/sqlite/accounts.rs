//! Accounts and invitations to them.

use super::log::append;
use super::{SqliteStore, While};
use crate::audit_log::Event;
use crate::guard::Role;
use crate::store::account::{self, Changed, INVITATIONS_MAX, Invitation, SessionRow, UserChange, UserRow};
use crate::store::error::StoreError;
use everypath_protocol::time::UnixTime;
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Row as _, Sqlite, SqliteConnection};

type SqliteQuery<'q> = Query<'q, Sqlite, SqliteArguments>;

const SELECT: &str = "select name, password, role, created_at, disabled_at, last_login_at, \
                      (select max(expires_at) from invitation where account = id and expires_at > ?1) as invited_until \
                      from user_account";
/// Somebody can log in who may do everything.
const HAS_ADMIN: &str =
    "exists (select 1 from user_account where role = 'admin' and disabled_at is null and password <> '')";

impl SqliteStore {
    pub(in crate::store) async fn first_admin(
        &self,
        user: UserRow,
        invitation: Option<Invitation>,
        event: Event,
    ) -> Result<bool, StoreError> {
        self.write("making the first administrator", move |connection| {
            Box::pin(async move {
                let upsert = format!(
                    "insert into user_account (name, password, role, created_at) select ?1, ?2, ?3, ?4 where not {HAS_ADMIN} \
                     on conflict (name) do update set role = excluded.role, disabled_at = null, \
                     password = case excluded.password when '' then password else excluded.password end"
                );
                let made = insert(sqlx::query(sqlx::AssertSqlSafe(upsert)), &user, connection).await?;
                if !made {
                    return Ok(false);
                }
                match invitation {
                    Some(invitation) => invite(connection, &user.name, invitation, INVITATIONS_MAX).await?,
                    None => leave_invitations(connection, &user.name, 0).await?,
                }
                append(connection, event).await.map(|()| true)
            })
        })
        .await
    }

    pub(in crate::store) async fn create_user(
        &self,
        user: UserRow,
        invitation: Invitation,
        event: Event,
    ) -> Result<bool, StoreError> {
        self.write("making an account", move |connection| {
            Box::pin(async move {
                let statement = "insert into user_account (name, password, role, created_at) values (?1, ?2, ?3, ?4) \
                                 on conflict (name) do nothing";
                if !insert(sqlx::query(statement), &user, connection).await? {
                    return Ok(false);
                }
                invite(connection, &user.name, invitation, 1).await?;
                append(connection, event).await.map(|()| true)
            })
        })
        .await
    }

    pub(in crate::store) async fn has_admin(&self) -> Result<bool, StoreError> {
        let select = format!("select {HAS_ADMIN}");
        let exists = sqlx::query_scalar(sqlx::AssertSqlSafe(select));
        exists.fetch_one(&self.readers).await.doing("looking for an administrator")
    }

    pub(in crate::store) async fn user(&self, name: &str) -> Result<Option<UserRow>, StoreError> {
        let select = format!("{SELECT} where name = ?2");
        let select = sqlx::query(sqlx::AssertSqlSafe(select)).bind(i64::MAX).bind(name);
        let row = select.fetch_optional(&self.readers).await.doing("reading an account")?;
        row.as_ref().map(user).transpose()
    }

    pub(in crate::store) async fn users(&self, now: UnixTime) -> Result<Vec<UserRow>, StoreError> {
        let select = format!("{SELECT} order by name");
        let select = sqlx::query(sqlx::AssertSqlSafe(select)).bind(now.0);
        select.fetch_all(&self.readers).await.doing("reading accounts")?.iter().map(user).collect()
    }

    /// No change at all is the end of the account.
    pub(in crate::store) async fn change_user(
        &self,
        name: &str,
        was: Option<Role>,
        change: Option<UserChange>,
        event: Event,
    ) -> Result<Changed, StoreError> {
        let name = name.to_owned();
        self.write("changing an account", move |connection| {
            Box::pin(async move {
                let select = "select id, role, role = 'admin' and disabled_at is null, \
                              (select count(*) from user_account o where o.id <> u.id and o.role = 'admin' and o.disabled_at is null and o.password <> '') \
                              from user_account u where name = ?";
                let found: Option<(i64, String, bool, i64)> =
                    sqlx::query_as(select).bind(name).fetch_optional(&mut *connection).await?;
                let Some((id, role, is_admin, others)) = found else { return Ok(Changed::Unknown) };
                if was.is_some_and(|was| was.name() != role) {
                    return Ok(Changed::Meanwhile);
                }
                if is_admin && others == 0 && change.is_none_or(UserChange::takes_admin) {
                    return Ok(Changed::LastAdmin);
                }
                match change {
                    Some(change) => apply(connection, id, change, event.at).await?,
                    None => {
                        super::api_tokens::delete_of(connection, id, &event).await?;
                        sqlx::query("delete from user_account where id = ?").bind(id).execute(&mut *connection).await?;
                    }
                }
                append(connection, event).await.map(|()| Changed::Done)
            })
        })
        .await
    }

    pub(in crate::store) async fn invite(
        &self,
        name: &str,
        was: Option<Role>,
        invitation: Invitation,
        event: Event,
    ) -> Result<Changed, StoreError> {
        let name = name.to_owned();
        self.write("inviting somebody", move |connection| {
            Box::pin(async move {
                let select = sqlx::query_as("select role, disabled_at is null from user_account where name = ?");
                let found: Option<(String, bool)> = select.bind(&name).fetch_optional(&mut *connection).await?;
                match found {
                    None => return Ok(Changed::Unknown),
                    Some((role, _)) if was.is_some_and(|was| was.name() != role) => return Ok(Changed::Meanwhile),
                    Some((_, false)) => return Ok(Changed::Disabled),
                    Some((_, true)) => {}
                }
                invite(connection, &name, invitation, 1).await?;
                append(connection, event).await.map(|()| Changed::Done)
            })
        })
        .await
    }

    pub(in crate::store) async fn invited(&self, hash: [u8; 32], now: UnixTime) -> Result<Option<String>, StoreError> {
        let select = "select name from invitation i join user_account u on u.id = i.account \
                      where hash = ? and expires_at > ? and disabled_at is null";
        let select = sqlx::query_scalar(select).bind(hash.as_slice()).bind(now.0);
        select.fetch_optional(&self.readers).await.doing("reading an invitation")
    }

    pub(in crate::store) async fn redeem_invitation(
        &self,
        hash: [u8; 32],
        password: String,
        session: SessionRow,
        address: &str,
        event: Event,
    ) -> Result<bool, StoreError> {
        let address = address.to_owned();
        self.write("redeeming an invitation", move |connection| {
            Box::pin(async move {
                let delete = "delete from invitation where account = (select i.account from invitation i \
                              join user_account u on u.id = i.account \
                              where i.hash = ? and i.expires_at > ? and u.disabled_at is null) returning account";
                let account = sqlx::query_scalar(delete).bind(hash.as_slice()).bind(event.at.0);
                let Some(account): Option<i64> = account.fetch_all(&mut *connection).await?.pop() else {
                    return Ok(false);
                };
                let update = sqlx::query("update user_account set password = ?, last_login_at = ? where id = ?");
                update.bind(password).bind(event.at.0).bind(account).execute(&mut *connection).await?;
                let sessions = sqlx::query("delete from session where account = ?").bind(account);
                sessions.execute(&mut *connection).await?;
                super::sessions::begin(connection, account, &session, &address).await?;
                append(connection, event).await.map(|()| true)
            })
        })
        .await
    }

    pub(in crate::store) async fn set_password(
        &self,
        name: &str,
        old: String,
        new: String,
        keep: [u8; 32],
        event: Event,
    ) -> Result<bool, StoreError> {
        let name = name.to_owned();
        self.write("setting a password", move |connection| {
            Box::pin(async move {
                let update = "update user_account set password = ? where name = ? and password = ? \
                              and disabled_at is null returning id";
                let account = sqlx::query_scalar(update).bind(new).bind(name).bind(old);
                let Some(account): Option<i64> = account.fetch_optional(&mut *connection).await? else {
                    return Ok(false);
                };
                let sessions = sqlx::query("delete from session where account = ? and hash <> ?");
                sessions.bind(account).bind(keep.as_slice()).execute(&mut *connection).await?;
                let invitations = sqlx::query("delete from invitation where account = ?").bind(account);
                invitations.execute(&mut *connection).await?;
                append(connection, event).await.map(|()| true)
            })
        })
        .await
    }
}

fn user(row: &SqliteRow) -> Result<UserRow, StoreError> {
    const DOING: &str = "reading an account";
    let time = |column| row.try_get::<Option<i64>, _>(column).map(|time| time.map(UnixTime)).doing(DOING);
    Ok(UserRow {
        name: row.try_get("name").doing(DOING)?,
        password: account::password(row.try_get("password").doing(DOING)?),
        role: account::role(row.try_get("role").doing(DOING)?)?,
        created_at: UnixTime(row.try_get("created_at").doing(DOING)?),
        disabled_at: time("disabled_at")?,
        last_login_at: time("last_login_at")?,
        invited_until: time("invited_until")?,
    })
}

async fn apply(
    connection: &mut SqliteConnection,
    id: i64,
    change: UserChange,
    now: UnixTime,
) -> Result<(), sqlx::Error> {
    let update = "update user_account set role = coalesce(?1, role), disabled_at = case when ?2 is null then disabled_at \
                  when ?2 then coalesce(disabled_at, ?3) end where id = ?4 \
                  and (role <> coalesce(?1, role) or (disabled_at is not null) <> coalesce(?2, disabled_at is not null))";
    let changed = sqlx::query(update)
        .bind(change.role.map(|role| role.name()))
        .bind(change.disabled)
        .bind(now.0)
        .bind(id)
        .execute(&mut *connection)
        .await?;
    // What changes nothing throws nobody out.
    if changed.rows_affected() == 0 {
        return Ok(());
    }
    sqlx::query("delete from session where account = ?").bind(id).execute(&mut *connection).await?;
    // Whoever holds a link for a viewer must not come in as the administrator that the viewer became.
    sqlx::query("delete from invitation where account = ?").bind(id).execute(connection).await.map(drop)
}

/// Whether `statement` made or changed an account.
async fn insert(
    statement: SqliteQuery<'_>,
    user: &UserRow,
    connection: &mut SqliteConnection,
) -> Result<bool, sqlx::Error> {
    let statement = statement
        .bind(user.name.clone())
        .bind(user.password.clone().unwrap_or_default())
        .bind(user.role.name())
        .bind(user.created_at.0);
    Ok(statement.execute(connection).await?.rows_affected() == 1)
}

/// Of the invitations that an account had, the newest stay, so that there are `invitations_max` with this one.
async fn invite(
    connection: &mut SqliteConnection,
    name: &str,
    invitation: Invitation,
    invitations_max: u32,
) -> Result<(), sqlx::Error> {
    leave_invitations(connection, name, invitations_max.saturating_sub(1)).await?;
    let insert = "insert into invitation (hash, account, created_at, expires_at) \
                  select ?, id, ?, ? from user_account where name = ?";
    sqlx::query(insert)
        .bind(invitation.hash.as_slice())
        .bind(invitation.created_at.0)
        .bind(invitation.expires_at.0)
        .bind(name)
        .execute(connection)
        .await
        .map(drop)
}

/// Ends all but the newest `count` invitations of an account.
async fn leave_invitations(connection: &mut SqliteConnection, name: &str, count: u32) -> Result<(), sqlx::Error> {
    let delete = "delete from invitation where hash in (select hash from invitation where account = \
                  (select id from user_account where name = ?) order by created_at desc limit -1 offset ?)";
    sqlx::query(delete).bind(name).bind(count).execute(connection).await.map(drop)
}
