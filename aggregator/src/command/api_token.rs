//! API tokens by hand, for whoever has a shell on the aggregator's host.

use super::{shown_time, table};
use aggregator::audit_log::Event;
use aggregator::auth::{self, TokenWish};
use aggregator::clock::{self, Clock};
use aggregator::guard::Role;
use aggregator::place::{self, Place};
use aggregator::scope::{Scope, Scopes};
use aggregator::store::{API_TOKENS_MAX, Kept, Maker, Owner};
use clap::Subcommand;
use std::time::Duration;

#[derive(Debug, Subcommand)]
pub(crate) enum ApiToken {
    /// Make an API token and print it alone. One of the same name is replaced: what it opened, it opens no more.
    Create {
        #[command(flatten)]
        place: Place,
        /// What it is for.
        #[arg(long)]
        name: String,
        /// What it may do: viewer, operator or admin.
        #[arg(long, default_value = "viewer", value_parser = super::role)]
        role: Role,
        /// Of that only this: read, operate, config, people, join; may be given several times. Without it: all.
        #[arg(long, value_parser = scope)]
        scope: Vec<Scope>,
        /// For how long, such as 90d. Without it: for ever.
        #[arg(long, value_parser = crate::duration)]
        expires: Option<Duration>,
    },
    /// List all API tokens, without their secrets.
    List {
        #[command(flatten)]
        place: Place,
    },
    /// Delete an API token. It opens nothing from now on.
    Revoke {
        #[command(flatten)]
        place: Place,
        /// Of the token.
        #[arg(long)]
        name: String,
    },
}

/// Does it, and says what is to be printed.
pub(crate) async fn run(command: ApiToken) -> anyhow::Result<String> {
    let now = Clock::system().now();
    match command {
        ApiToken::Create { place, name, role, scope, expires } => {
            let store = place::open(&place.read()?, false).await?;
            anyhow::ensure!(auth::is_valid_name(&name), "--name: `{name}` {}", auth::NAME_RULE);
            let expires_at = expires.map(|life| now.plus(clock::span(life)));
            let event = Event::by_host("api_token.create", &name, now);
            let wish = TokenWish { name: name.clone(), role, scopes: Scopes::new(scope), expires_at, by: Maker::Host };
            let secret = auth::create_api_token(&store, wish, true, event).await?;
            store.close().await;
            match secret {
                Ok(secret) => Ok(format!("{secret}\n")),
                Err(Kept::TooMany) => anyhow::bail!(
                    "there are {API_TOKENS_MAX} other API tokens, which is all there may be; nothing was done. `aggregator api-token \
                     list` shows them, and `aggregator api-token revoke` deletes those that nothing uses"
                ),
                Err(kept) => anyhow::bail!("the token `{name}` was not kept: {kept:?}; this is a bug"),
            }
        }
        ApiToken::List { place } => {
            let store = place::open(&place.read()?, false).await?;
            let tokens = store.api_tokens().await?;
            store.close().await;
            let rows = tokens.into_iter().map(|token| {
                let scopes = token.scopes.names().join(" ");
                let ends = match token.expires_at {
                    _ if token.owner == Owner::Gone => "opens nothing: its maker is disabled or unknown".to_owned(),
                    Some(end) if end <= now => format!("{}, ended", shown_time(Some(end))),
                    end => shown_time(end),
                };
                [
                    token.name,
                    token.role.name().to_owned(),
                    if scopes.is_empty() { "all".to_owned() } else { scopes },
                    shown_time(token.last_used_at),
                    ends,
                    if token.created_by.is_empty() { "the command line".to_owned() } else { token.created_by },
                ]
            });
            Ok(table(["name", "role", "scopes", "last used", "ends", "made by"], rows))
        }
        ApiToken::Revoke { place, name } => {
            let store = place::open(&place.read()?, false).await?;
            let deleted = store.delete_api_token(&name, Event::by_host("api_token.delete", &name, now)).await?;
            store.close().await;
            anyhow::ensure!(deleted, "there is no API token `{name}`; `aggregator api-token list` shows all");
            Ok(format!("The API token {name} opens nothing any more.\n"))
        }
    }
}

fn scope(word: &str) -> Result<Scope, String> {
    Scope::from_name(word).ok_or_else(|| "not read, operate, config, people or join".to_owned())
}
