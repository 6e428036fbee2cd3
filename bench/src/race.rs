//! Many keys, one token: who gets in.

use crate::load::{Load, Pace};
use crate::report::finish;
use crate::wire::Wire;
use anyhow::Context as _;
use everypath_protocol::join::JoinAnswer;
use everypath_protocol::token::JoinToken;
use serde_json::Map;
use std::time::Duration;

/// What to try.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The join token.
    #[arg(long, env = "EVERYPATH_TOKEN")]
    token: String,
    /// Replicas to ask, instead of those in the token; https://host:port.
    #[arg(long)]
    url: Vec<String>,
    /// How many different keys try at the same time.
    #[arg(long, default_value_t = 1_000)]
    keys: usize,
}

pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    anyhow::ensure!((1..=10_000).contains(&arguments.keys), "--keys must be from 1 to 10000");
    let token = JoinToken::from_text(&arguments.token).context("the token cannot be read")?;
    let pin = token.aggregators.first().and_then(|address| address.pin);
    let named = token.aggregators.iter().map(|address| address.url.clone());
    let urls: Vec<String> = if arguments.url.is_empty() { named.collect() } else { arguments.url };
    anyhow::ensure!(!urls.is_empty(), "the token names no aggregator; give --url");
    let wires = urls.iter().map(|url| Wire::new(url, pin)).collect::<anyhow::Result<Vec<_>>>()?;
    let load = Load {
        urls,
        token,
        agents: arguments.keys,
        targets: 1,
        duration: Duration::ZERO,
        rows_per_batch: 1,
        pace: Pace::Live,
        seed: 77,
    };
    let tries = (0..arguments.keys).map(|number| load.redeem(&wires[number % wires.len()], number));
    let (mut joined, mut refused, mut errors) = (0_u64, 0_u64, 0_u64);
    for result in futures::future::join_all(tries).await {
        match result {
            Ok((_, JoinAnswer::Granted(_))) => joined += 1,
            Ok((_, JoinAnswer::Refused(_))) => refused += 1,
            Err(_) => errors += 1,
        }
    }
    let mut figures = Map::new();
    figures.extend(
        [("joined", joined), ("refused", refused), ("errors", errors)]
            .map(|(name, count)| (name.to_owned(), count.into())),
    );
    finish("join-race", &figures)
}
