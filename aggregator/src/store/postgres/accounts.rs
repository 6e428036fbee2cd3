//! Accounts and invitations to them. Whoever changes accounts locks the table first: no two changes can each leave the last
//! administrator to the other, and a login waits for the end of the change that it may be refused by.

use super::PgStore;
use super::codes::Time;
use super::failure::While;
use super::log::append;
use crate::audit_log::Event;
use crate::guard::Role;
use crate::store::account::{self, Changed, INVITATIONS_MAX, Invitation, SessionRow, UserChange, UserRow};
use crate::store::error::StoreError;
use everypath_protocol::time::UnixTime;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Executor as _, PgConnection, Postgres, Row as _, Transaction};

const SELECT: &str = "select name, password, role, created_at, disabled_at, last_login_at, \
                      (select max(expires_at) from invitation where account = id and expires_at > $1) as invited_until \
                      from user_account";
/// Somebody can log in who may do everything.
const HAS_ADMIN: &str =
    "exists (select 1 from user_account where role = 'admin' and disabled_at is null and password <> '')";

type PgQuery<'q> = Query<'q, Postgres, PgArguments>;

impl PgStore {
    /// A transaction in which nobody else changes accounts.
    pub(super) async fn begin_alone(&self, doing: &'static str) -> Result<Transaction<'static, Postgres>, StoreError> {
        let mut transaction = self.pool().begin().await.doing(doing)?;
        transaction.execute("lock table user_account in share row exclusive mode").await.doing(doing)?;
        Ok(transaction)
    }

    pub(in crate::store) async fn first_admin(
        &self,
        user: UserRow,
        invitation: Option<Invitation>,
        event: Event,
    ) -> Result<bool, StoreError> {
        const DOING: &str = "making the first administrator";
        let mut transaction = self.begin_alone(DOING).await?;
        let upsert = format!(
            "insert into user_account as u (name, password, role, created_at) select $1, $2, $3, $4 where not {HAS_ADMIN} \
             on conflict (name) do update set role = excluded.role, disabled_at = null, \
             password = case excluded.password when '' then u.password else excluded.password end"
        );
        let made = insert(sqlx::query(AssertSqlSafe(upsert)), &user, &mut transaction).await.doing(DOING)?;
        if !made {
            return Ok(false);
        }
        match invitation {
            Some(invitation) => invite(&mut transaction, &user.name, invitation, INVITATIONS_MAX).await.doing(DOING)?,
            None => leave_invitations(&mut transaction, &user.name, 0).await.doing(DOING)?,
        }
        append(&mut transaction, event).await.doing(DOING)?;
        transaction.commit().await.doing(DOING).map(|()| true)
    }

    pub(in crate::store) async fn create_user(
        &self,
        user: UserRow,
        invitation: Invitation,
        event: Event,
    ) -> Result<bool, StoreError> {
        const DOING: &str = "making an account";
        let mut transaction = self.begin_alone(DOING).await?;
        let statement = "insert into user_account (name, password, role, created_at) values ($1, $2, $3, $4) \
                         on conflict (name) do nothing";
        if !insert(sqlx::query(statement), &user, &mut transaction).await.doing(DOING)? {
            return Ok(false);
        }
        invite(&mut transaction, &user.name, invitation, 1).await.doing(DOING)?;
        append(&mut transaction, event).await.doing(DOING)?;
        transaction.commit().await.doing(DOING).map(|()| true)
    }

    pub(in crate::store) async fn has_admin(&self) -> Result<bool, StoreError> {
        let exists = format!("select {HAS_ADMIN}");
        let exists = sqlx::query_scalar(AssertSqlSafe(exists));
        exists.fetch_one(self.pool()).await.doing("looking for an administrator")
    }

    pub(in crate::store) async fn user(&self, name: &str) -> Result<Option<UserRow>, StoreError> {
        // Without its invitation.
        let select = format!("{SELECT} where name = $2");
        let select = sqlx::query(AssertSqlSafe(select)).bind(Time(UnixTime(i64::MAX))).bind(name);
        let row = select.fetch_optional(self.pool()).await.doing("reading an account")?;
        row.as_ref().map(user).transpose()
    }

    pub(in crate::store) async fn users(&self, now: UnixTime) -> Result<Vec<UserRow>, StoreError> {
        // By bytes, whatever the language of the database.
        let select = format!("{SELECT} order by name collate \"C\"");
        let select = sqlx::query(AssertSqlSafe(select)).bind(Time(now));
        select.fetch_all(self.pool()).await.doing("reading accounts")?.iter().map(user).collect()
    }

    /// No change at all is the end of the account.
    pub(in crate::store) async fn change_user(
        &self,
        name: &str,
        was: Option<Role>,
        change: Option<UserChange>,
        event: Event,
    ) -> Result<Changed, StoreError> {
        const DOING: &str = "changing an account";
        let mut transaction = self.begin_alone(DOING).await?;
        let select = "select id, role, role = 'admin' and disabled_at is null, (select count(*) from user_account o \
                      where o.id <> u.id and o.role = 'admin' and o.disabled_at is null and o.password <> '') \
                      from user_account u where name = $1";
        let found = sqlx::query_as(select).bind(name).fetch_optional(&mut *transaction).await.doing(DOING)?;
        let Some((id, role, is_admin, others)): Option<(i32, String, bool, i64)> = found else {
            return Ok(Changed::Unknown);
        };
        if was.is_some_and(|was| was.name() != role) {
            return Ok(Changed::Meanwhile);
        }
        if is_admin && others == 0 && change.is_none_or(UserChange::takes_admin) {
            return Ok(Changed::LastAdmin);
        }
        match change {
            Some(change) => apply(&mut transaction, id, change, event.at).await.doing(DOING)?,
            None => {
                super::api_tokens::delete_of(&mut transaction, id, &event).await.doing(DOING)?;
                let delete = sqlx::query("delete from user_account where id = $1").bind(id);
                delete.execute(&mut *transaction).await.doing(DOING)?;
            }
        }
        append(&mut transaction, event).await.doing(DOING)?;
        transaction.commit().await.doing(DOING).map(|()| Changed::Done)
    }

    pub(in crate::store) async fn invite(
        &self,
        name: &str,
        was: Option<Role>,
        invitation: Invitation,
        event: Event,
    ) -> Result<Changed, StoreError> {
        const DOING: &str = "inviting somebody";
        let mut transaction = self.begin_alone(DOING).await?;
        let select = sqlx::query_as("select role, disabled_at is null from user_account where name = $1").bind(name);
        let found: Option<(String, bool)> = select.fetch_optional(&mut *transaction).await.doing(DOING)?;
        match found {
            None => return Ok(Changed::Unknown),
            Some((role, _)) if was.is_some_and(|was| was.name() != role) => return Ok(Changed::Meanwhile),
            Some((_, false)) => return Ok(Changed::Disabled),
            Some((_, true)) => {}
        }
        invite(&mut transaction, name, invitation, 1).await.doing(DOING)?;
        append(&mut transaction, event).await.doing(DOING)?;
        transaction.commit().await.doing(DOING).map(|()| Changed::Done)
    }

    pub(in crate::store) async fn invited(&self, hash: [u8; 32], now: UnixTime) -> Result<Option<String>, StoreError> {
        let select = "select name from invitation i join user_account u on u.id = i.account \
                      where hash = $1 and expires_at > $2 and disabled_at is null";
        let select = sqlx::query_scalar(select).bind(hash.as_slice()).bind(Time(now));
        select.fetch_optional(self.pool()).await.doing("reading an invitation")
    }

    pub(in crate::store) async fn redeem_invitation(
        &self,
        hash: [u8; 32],
        password: String,
        session: SessionRow,
        address: &str,
        event: Event,
    ) -> Result<bool, StoreError> {
        const DOING: &str = "redeeming an invitation";
        let mut transaction = self.begin_alone(DOING).await?;
        let delete = "delete from invitation where account = (select i.account from invitation i \
                      join user_account u on u.id = i.account \
                      where i.hash = $1 and i.expires_at > $2 and u.disabled_at is null) returning account";
        let account = sqlx::query_scalar(delete).bind(hash.as_slice()).bind(Time(event.at));
        let Some(account): Option<i32> = account.fetch_all(&mut *transaction).await.doing(DOING)?.pop() else {
            return Ok(false);
        };
        let update = sqlx::query("update user_account set password = $1, last_login_at = $2 where id = $3");
        update.bind(password).bind(Time(event.at)).bind(account).execute(&mut *transaction).await.doing(DOING)?;
        let sessions = sqlx::query("delete from session where account = $1").bind(account);
        sessions.execute(&mut *transaction).await.doing(DOING)?;
        super::sessions::begin(&mut transaction, account, &session, address).await.doing(DOING)?;
        append(&mut transaction, event).await.doing(DOING)?;
        transaction.commit().await.doing(DOING).map(|()| true)
    }

    pub(in crate::store) async fn set_password(
        &self,
        name: &str,
        old: String,
        new: String,
        keep: [u8; 32],
        event: Event,
    ) -> Result<bool, StoreError> {
        const DOING: &str = "setting a password";
        let mut transaction = self.begin_alone(DOING).await?;
        let update = "update user_account set password = $1 where name = $2 and password = $3 \
                      and disabled_at is null returning id";
        let account = sqlx::query_scalar(update).bind(new).bind(name).bind(old);
        let Some(account): Option<i32> = account.fetch_optional(&mut *transaction).await.doing(DOING)? else {
            return Ok(false);
        };
        let sessions = sqlx::query("delete from session where account = $1 and hash <> $2");
        sessions.bind(account).bind(keep.as_slice()).execute(&mut *transaction).await.doing(DOING)?;
        let invitations = sqlx::query("delete from invitation where account = $1").bind(account);
        invitations.execute(&mut *transaction).await.doing(DOING)?;
        append(&mut transaction, event).await.doing(DOING)?;
        transaction.commit().await.doing(DOING).map(|()| true)
    }
}

fn user(row: &PgRow) -> Result<UserRow, StoreError> {
    const DOING: &str = "reading an account";
    let time = |column| row.try_get::<Option<Time>, _>(column).map(|time| time.map(|Time(time)| time)).doing(DOING);
    let Time(created_at) = row.try_get("created_at").doing(DOING)?;
    Ok(UserRow {
        name: row.try_get("name").doing(DOING)?,
        password: account::password(row.try_get("password").doing(DOING)?),
        role: account::role(row.try_get("role").doing(DOING)?)?,
        created_at,
        disabled_at: time("disabled_at")?,
        last_login_at: time("last_login_at")?,
        invited_until: time("invited_until")?,
    })
}

async fn apply(connection: &mut PgConnection, id: i32, change: UserChange, now: UnixTime) -> Result<(), sqlx::Error> {
    let update = "update user_account set role = coalesce($1, role), disabled_at = case when $2::boolean is null \
                  then disabled_at when $2 then coalesce(disabled_at, $3) end where id = $4 and (role <> coalesce($1, role) \
                  or (disabled_at is not null) <> coalesce($2, disabled_at is not null))";
    let changed = sqlx::query(update)
        .bind(change.role.map(|role| role.name()))
        .bind(change.disabled)
        .bind(Time(now))
        .bind(id)
        .execute(&mut *connection)
        .await?;
    // What changes nothing throws nobody out.
    if changed.rows_affected() == 0 {
        return Ok(());
    }
    sqlx::query("delete from session where account = $1").bind(id).execute(&mut *connection).await?;
    // Whoever holds a link for a viewer must not come in as the administrator that the viewer became.
    sqlx::query("delete from invitation where account = $1").bind(id).execute(connection).await.map(drop)
}

/// Whether `statement` made or changed an account.
async fn insert(statement: PgQuery<'_>, user: &UserRow, connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let statement = statement
        .bind(user.name.clone())
        .bind(user.password.clone().unwrap_or_default())
        .bind(user.role.name())
        .bind(Time(user.created_at));
    Ok(statement.execute(connection).await?.rows_affected() == 1)
}

/// Of the invitations that an account had, the newest stay, so that there are `invitations_max` with this one.
async fn invite(
    connection: &mut PgConnection,
    name: &str,
    invitation: Invitation,
    invitations_max: u32,
) -> Result<(), sqlx::Error> {
    leave_invitations(connection, name, invitations_max.saturating_sub(1)).await?;
    let insert = "insert into invitation (hash, account, created_at, expires_at) \
                  select $1, id, $2, $3 from user_account where name = $4";
    sqlx::query(insert)
        .bind(invitation.hash.as_slice())
        .bind(Time(invitation.created_at))
        .bind(Time(invitation.expires_at))
        .bind(name)
        .execute(connection)
        .await
        .map(drop)
}

/// Ends all but the newest `count` invitations of an account.
async fn leave_invitations(connection: &mut PgConnection, name: &str, count: u32) -> Result<(), sqlx::Error> {
    let delete = "delete from invitation where hash in (select hash from invitation where account = \
                  (select id from user_account where name = $1) order by created_at desc offset $2)";
    sqlx::query(delete).bind(name).bind(i64::from(count)).execute(connection).await.map(drop)
}
