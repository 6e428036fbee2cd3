//! Accounts by hand, for whoever has a shell on the aggregator's host. It needs no login: whoever can write the database has
//! everything, and this is the way back in for whoever lost the last password.

use super::{shown_time, table};
use aggregator::addresses::Bound;
use aggregator::audit_log::Event;
use aggregator::auth::{self, Invited};
use aggregator::clock::{self, Clock};
use aggregator::guard::Role;
use aggregator::place::{self, Place};
use aggregator::store::{Changed, Store, UserChange, UserRow};
use anyhow::bail;
use clap::{Args, Subcommand};
use everypath_protocol::time::UnixTime;
use serde_json::json;

#[derive(Debug, Subcommand)]
pub(crate) enum User {
    /// List all accounts.
    List {
        #[command(flatten)]
        place: Place,
    },
    /// Print a link by which the owner of an account chooses a password: for a new account, and when the password or the first
    /// link was lost. Good once and for 24 hours.
    Invite {
        #[command(flatten)]
        account: Account,
        /// Make the account if there is none, and let it do this: viewer, operator or admin.
        #[arg(long, value_parser = super::role)]
        role: Option<Role>,
    },
    /// Let nobody in with an account: its sessions, live pages and links end. API tokens that its owner made open nothing
    /// meanwhile.
    Disable {
        #[command(flatten)]
        account: Account,
    },
    /// Let its owner in again with an account that was disabled.
    Enable {
        #[command(flatten)]
        account: Account,
    },
    /// Change what an account may do. Its sessions end.
    Role {
        #[command(flatten)]
        account: Account,
        /// What it may do from now on: viewer, operator or admin.
        #[arg(value_parser = super::role)]
        role: Role,
    },
}

/// Which account, of which aggregator.
#[derive(Debug, Args)]
pub(crate) struct Account {
    #[command(flatten)]
    place: Place,
    /// Name of the account.
    name: String,
}

/// Does it, and says what is to be printed.
pub(crate) async fn run(command: User) -> anyhow::Result<String> {
    let now = Clock::system().now();
    match command {
        User::List { place } => {
            let store = place::open(&place.read()?, false).await?;
            let users = store.users(now).await?;
            store.close().await;
            Ok(list(users))
        }
        User::Invite { account, role } => invite(&account, role, now).await,
        User::Disable { account } => {
            change(&account, UserChange { disabled: Some(true), role: None }, now).await?;
            Ok(format!("Nobody gets in with the account {} any more.\n", account.name))
        }
        User::Enable { account } => {
            change(&account, UserChange { disabled: Some(false), role: None }, now).await?;
            Ok(format!("The account {} can be used again.\n", account.name))
        }
        User::Role { account, role } => {
            change(&account, UserChange { disabled: None, role: Some(role) }, now).await?;
            Ok(format!(
                "The account {} has the role {} from now on; its owner must log in again.\n",
                account.name,
                role.name()
            ))
        }
    }
}

fn list(users: Vec<UserRow>) -> String {
    let rows = users.into_iter().map(|user| {
        let state = match (&user.disabled_at, &user.password, user.invited_until) {
            (Some(_), ..) => "disabled".to_owned(),
            (None, _, Some(until)) => format!("invited until {}", shown_time(Some(until))),
            (None, Some(_), None) => "active".to_owned(),
            (None, None, None) => "its link has ended".to_owned(),
        };
        [
            user.name,
            user.role.name().to_owned(),
            state,
            shown_time(user.last_login_at),
            shown_time(Some(user.created_at)),
        ]
    });
    table(["name", "role", "state", "last login", "made"], rows)
}

async fn invite(account: &Account, role: Option<Role>, now: UnixTime) -> anyhow::Result<String> {
    let name = &account.name;
    let config = account.place.read()?;
    let store = place::open(&config, false).await?;
    let (kept, given) = auth::invitation(now);
    let user = store.user(name).await?;
    let changed = match (&user, role) {
        (Some(user), Some(role)) if user.role != role => bail!(
            "the account `{name}` exists and has the role {}; leave --role out, or change it by `aggregator user role`",
            user.role.name()
        ),
        (Some(_), _) => store.invite(name, None, kept, Event::by_host("user.invite", name, now)).await?,
        (None, Some(role)) => {
            anyhow::ensure!(auth::is_valid_name(name), "`{name}` cannot be a name: it {}", auth::NAME_RULE);
            let event = Event::by_host("user.create", name, now).detail(&json!({"role": role.name()}));
            let made = store.create_user(UserRow::new(name.clone(), role, now), kept, event).await?;
            anyhow::ensure!(made, "somebody made the account `{name}` at the same moment; ask again");
            Changed::Done
        }
        (None, None) => Changed::Unknown,
    };
    require(changed, name, &store).await?;
    store.close().await;
    Ok(shown(Bound::read(&config.data_dir).as_ref(), &config.advertise, &given))
}

/// The link, for its owner elsewhere and on this host, if the aggregator ever ran here.
fn shown(bound: Option<&Bound>, advertise: &[String], given: &Invited) -> String {
    let until = clock::rfc3339(UnixTime(given.expires_at.0 - given.expires_at.0.rem_euclid(1_000_000)));
    let said = format!("(choose a password there, until {until})");
    let Some(bound) = bound else {
        let elsewhere = advertise.first().map_or("", |url| url.trim_end_matches('/'));
        return format!("{elsewhere}{}\n{said}\n", given.path());
    };
    let elsewhere = bound.advertised(advertise, None).into_iter().next();
    let elsewhere =
        elsewhere.map_or_else(String::new, |at| format!("{}{}\n", at.url.trim_end_matches('/'), given.path()));
    format!("{elsewhere}http://{}{} on this host\n{said}\n", bound.http, given.path())
}

async fn change(account: &Account, change: UserChange, now: UnixTime) -> anyhow::Result<()> {
    let store = place::open(&account.place.read()?, false).await?;
    let detail = json!({"role": change.role.map(Role::name), "disabled": change.disabled});
    let event = Event::by_host("user.change", &account.name, now).detail(&detail);
    let changed = store.change_user(&account.name, None, change, event).await?;
    require(changed, &account.name, &store).await?;
    store.close().await;
    Ok(())
}

async fn require(changed: Changed, name: &str, store: &Store) -> anyhow::Result<()> {
    match changed {
        Changed::Done => Ok(()),
        Changed::Unknown => {
            let users = store.users(UnixTime(0)).await?;
            let names: Vec<_> = users.into_iter().map(|user| user.name).collect();
            let names = names.join(", ");
            // Nothing is advised that would be refused, or that a shell would read as something else.
            if !auth::is_valid_name(name) {
                bail!(
                    "there is no account `{name}`, and there cannot be one: a name {}. There are: {names}",
                    auth::NAME_RULE
                )
            }
            bail!(
                "there is no account `{name}`; there are: {names}. `aggregator user invite {name} --role viewer` makes one"
            )
        }
        Changed::Meanwhile => bail!("somebody else gave `{name}` another role meanwhile; nothing was done, try again"),
        Changed::LastAdmin => bail!(
            "the account `{name}` is the last one that may do everything; nothing was done. Make another account an \
             administrator first: `aggregator user invite NAME --role admin`, and choose its password"
        ),
        Changed::Disabled => {
            bail!(
                "the account `{name}` is disabled; nothing was done. Enable it first: `aggregator user enable {name}`"
            )
        }
    }
}
