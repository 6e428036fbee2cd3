//! Accounts, API tokens and the audit log by hand, for whoever has a shell on the aggregator's host. It needs no login: whoever
//! can read the database has everything.

use aggregator::addresses::Bound;
use aggregator::audit_log::{Chain, Entry, Event, Query};
use aggregator::auth::{self, TokenWish};
use aggregator::clock::{self, Clock, rfc3339};
use aggregator::guard::Role;
use aggregator::place::{self, Place};
use aggregator::scope::{Scope, Scopes};
use aggregator::store::{Changed, Store};
use anyhow::Context as _;
use clap::{Args, Subcommand};
use everypath_protocol::id::hex;
use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

/// Entries that are read at once.
const PAGE: u32 = 500;

#[derive(Debug, Subcommand)]
pub(crate) enum User {
    /// Print a link by which the owner of an account chooses a new password. Good once and for 24 hours.
    Invite {
        #[command(flatten)]
        place: Place,
        /// Of the account.
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ApiToken {
    /// Make an API token and print it alone. One of the same name is replaced.
    Create {
        #[command(flatten)]
        place: Place,
        /// What it is for.
        #[arg(long)]
        name: String,
        /// What it may do: viewer, operator or admin.
        #[arg(long, default_value = "admin", value_parser = role)]
        role: Role,
        /// Of that only this: read, operate, config, people, join; may be given several times. Without it: all.
        #[arg(long, value_parser = scope)]
        scope: Vec<Scope>,
        /// For how long. Without it: for ever.
        #[arg(long, value_parser = crate::duration)]
        expires: Option<Duration>,
    },
    /// List all API tokens, without their secrets.
    List {
        #[command(flatten)]
        place: Place,
    },
    /// Delete an API token.
    Delete {
        #[command(flatten)]
        place: Place,
        /// Of the token.
        #[arg(long)]
        name: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Log {
    #[command(flatten)]
    place: Place,
    /// Check every entry from the first one on. Ends with 1 if one was changed or taken out.
    #[arg(long)]
    verify: bool,
    /// Print at most as many entries, the newest.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
}

pub(crate) async fn user(command: User) -> anyhow::Result<String> {
    let User::Invite { place, name } = command;
    let config = place.read()?;
    let store = place::open(&config, false).await?;
    let now = Clock::system().now();
    let (kept, given) = auth::invitation(now);
    let changed = store.invite(&name, kept, Event::by_host("user.invite", &name, now)).await?;
    let names = store.users(now).await?.into_iter().map(|user| user.name).collect::<Vec<_>>().join(", ");
    store.close().await;
    anyhow::ensure!(changed != Changed::Disabled, "the account `{name}` is disabled; enable it first");
    anyhow::ensure!(changed == Changed::Done, "there is no account `{name}`; there are: {names}");
    // Where the page is on this host, if it ever ran here.
    let page = Bound::read(&config.data_dir).map_or_else(String::new, |bound| format!("http://{}", bound.http));
    Ok(format!("{page}{}\n", given.path()))
}

pub(crate) async fn api_token(command: ApiToken) -> anyhow::Result<String> {
    let now = Clock::system().now();
    match command {
        ApiToken::Create { place, name, role, scope, expires } => {
            let store = place::open(&place.read()?, false).await?;
            let expires_at = expires.map(|life| now.plus(clock::span(life)));
            let event = Event::by_host("api_token.create", &name, now);
            let wish = TokenWish { name, role, scopes: Scopes::new(scope), expires_at, made_by: String::new() };
            let secret = auth::create_api_token(&store, wish, true, event).await?;
            store.close().await;
            Ok(format!("{}\n", secret.context("the token was not kept")?))
        }
        ApiToken::List { place } => {
            let store = place::open(&place.read()?, false).await?;
            let tokens = store.api_tokens().await?;
            store.close().await;
            let mut text = format!("{:24} {:9} {:24} {:28} {:28} made by\n", "name", "role", "scopes", "last used", "ends");
            for token in tokens {
                let scopes = if token.scopes.names().is_empty() { "all".to_owned() } else { token.scopes.names().join(" ") };
                let time = |time: Option<_>| time.map_or_else(|| "never".to_owned(), rfc3339);
                writeln!(
                    text,
                    "{:24} {:9} {scopes:24} {:28} {:28} {}",
                    token.name,
                    token.role.name(),
                    time(token.last_used_at),
                    time(token.expires_at),
                    if token.created_by.is_empty() { "the command line" } else { &token.created_by },
                )?;
            }
            Ok(text)
        }
        ApiToken::Delete { place, name } => {
            let store = place::open(&place.read()?, false).await?;
            let deleted = store.delete_api_token(&name, Event::by_host("api_token.delete", &name, now)).await?;
            store.close().await;
            anyhow::ensure!(deleted, "there is no API token `{name}`; `aggregator api-token list` shows all");
            Ok(format!("The API token {name} was deleted.\n"))
        }
    }
}

/// What is to be printed, and the code to end with.
pub(crate) async fn log(arguments: &Log) -> anyhow::Result<(String, ExitCode)> {
    let store = place::open(&arguments.place.read()?, false).await?;
    let result = if arguments.verify { verify(&store).await } else { newest(&store, arguments.limit).await };
    store.close().await;
    result
}

async fn newest(store: &Store, limit: u32) -> anyhow::Result<(String, ExitCode)> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut query = Query::newest(limit);
    loop {
        let left = limit.saturating_sub(u32::try_from(entries.len())?);
        let page = store.log_entries(Query { limit: left.min(PAGE), ..query.clone() }).await?;
        let Some(last) = page.last() else { break };
        query.before = last.id;
        entries.extend(page);
        if entries.len() >= usize::try_from(limit)? {
            break;
        }
    }
    let mut text = String::new();
    for Entry { id, at, actor, actor_kind, address, action, subject, outcome, detail, .. } in entries.iter().rev() {
        // Whatever was sent is printed as text: an escape sequence would be one to a terminal.
        let line = format!("{id} {} {outcome} {action} {subject} by {actor_kind} {actor} {address} {detail}", rfc3339(*at));
        writeln!(text, "{}", line.escape_debug().to_string().replace("\\\"", "\""))?;
    }
    Ok((text, ExitCode::SUCCESS))
}

async fn verify(store: &Store) -> anyhow::Result<(String, ExitCode)> {
    let mut chain = Chain::default();
    loop {
        let page = store.log_behind(chain.last.0, PAGE).await?;
        for entry in &page {
            if let Err(why) = chain.follow(entry) {
                let (id, _) = chain.last;
                return Ok((format!("BROKEN: {why}. The first {id} entries are whole.\n"), ExitCode::from(1)));
            }
        }
        if page.is_empty() {
            break;
        }
    }
    let (id, hash) = chain.last;
    let text = format!(
        "The audit log is whole: {id} entries, the newest with hash {}.\n\
         Entries that were cut off at its end cannot be seen; compare number and hash with those of before.\n",
        hex(&hash)
    );
    Ok((text, ExitCode::SUCCESS))
}

fn role(word: &str) -> Result<Role, String> {
    Role::from_name(word).ok_or_else(|| "not viewer, operator or admin".to_owned())
}

fn scope(word: &str) -> Result<Scope, String> {
    Scope::from_name(word).ok_or_else(|| "not read, operate, config, people or join".to_owned())
}
