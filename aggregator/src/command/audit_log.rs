//! The log of who did what: printing it, and checking that nobody changed it.

use aggregator::audit_log::{Chain, Entry, Query};
use aggregator::clock::{Clock, rfc3339, span, time_of};
use aggregator::place::{self, Place};
use aggregator::store::Store;
use clap::Args;
use everypath_config::printable_line;
use everypath_protocol::id::hex;
use everypath_protocol::time::{Span, UnixTime};
use std::fmt::Write as _;
use std::process::ExitCode;

/// Entries that are read at once.
const PAGE: u32 = 500;
/// Most entries that are printed; the API pages through more.
const LIMIT_MAX: i64 = 100_000;

#[derive(Debug, Args)]
pub(crate) struct Log {
    #[command(flatten)]
    place: Place,
    /// Check every entry from the first one on, and print nothing else. Ends with 1 if one was changed, put in or taken out.
    #[arg(long, conflicts_with_all = ["since", "limit"])]
    verify: bool,
    /// With --verify: number and hash that an earlier check printed. Ends with 1 if that entry is gone or another one.
    #[arg(long, value_name = "NUMBER:HASH", requires = "verify", value_parser = known)]
    known: Option<Known>,
    /// Only entries from then on: 24h, 7d, or a time such as 2026-11-23T00:00:00Z.
    #[arg(long, value_parser = since)]
    since: Option<Since>,
    /// Print at most as many entries, the newest.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=LIMIT_MAX))]
    limit: u32,
}

/// An entry as it was seen before.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Known {
    id: i64,
    hash: String,
}

/// Since when.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Since {
    At(UnixTime),
    Ago(Span),
}

/// What is to be printed, and the code to end with.
pub(crate) async fn run(arguments: &Log) -> anyhow::Result<(String, ExitCode)> {
    let store = place::open(&arguments.place.read()?, false).await?;
    let result =
        if arguments.verify { verify(&store, arguments.known.as_ref()).await } else { newest(&store, arguments).await };
    store.close().await;
    result
}

async fn newest(store: &Store, arguments: &Log) -> anyhow::Result<(String, ExitCode)> {
    let limit = usize::try_from(arguments.limit)?;
    let from = match arguments.since {
        None => UnixTime(i64::MIN),
        Some(Since::At(time)) => time,
        Some(Since::Ago(span)) => Clock::system().now().minus(span),
    };
    let mut entries: Vec<Entry> = Vec::new();
    let mut query = Query { from, ..Query::newest(PAGE) };
    // One more than is printed, to know whether there are more.
    while entries.len() <= limit {
        let page = store.log_entries(query.clone()).await?;
        let Some(last) = page.last() else { break };
        query.before = last.id;
        entries.extend(page);
    }
    let mut text = String::new();
    if entries.len() > limit {
        entries.truncate(limit);
        writeln!(text, "… older entries are left out; --limit prints more")?;
    }
    for entry in entries.iter().rev() {
        writeln!(text, "{}", line(entry))?;
    }
    Ok((text, ExitCode::SUCCESS))
}

fn line(entry: &Entry) -> String {
    let Entry { id, at, actor, actor_kind, address, action, subject, outcome, detail, .. } = entry;
    let words = [
        id.to_string(),
        rfc3339(*at),
        outcome.clone(),
        action.clone(),
        subject.clone(),
        format!("by {actor_kind}"),
        actor.clone(),
        address.clone(),
        if detail == "{}" { String::new() } else { detail.clone() },
    ];
    let line = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    // Whatever was sent is printed as text: an escape sequence would be one to a terminal.
    printable_line(&line).into_owned()
}

async fn verify(store: &Store, known: Option<&Known>) -> anyhow::Result<(String, ExitCode)> {
    let mut chain = Chain::default();
    let broken = |chain: &Chain, why: &str| {
        let (id, hash) = chain.last;
        let text = format!("BROKEN: {why}.\nThe first {id} entries are whole; the last of them: {id}:{}\n", hex(&hash));
        Ok((text, ExitCode::from(1)))
    };
    loop {
        let page = store.log_behind(chain.last.0, PAGE).await?;
        for entry in &page {
            if let Err(why) = chain.follow(entry) {
                return broken(&chain, &why);
            }
            if known.is_some_and(|known| known.id == entry.id && known.hash != hex(&entry.hash)) {
                return broken(&chain, &format!("entry {} is another one than before", entry.id));
            }
        }
        if page.is_empty() {
            break;
        }
    }
    let (id, hash) = chain.last;
    if let Some(known) = known.filter(|known| known.id > id) {
        return broken(&chain, &format!("entry {} was there before; everything behind {id} was cut off", known.id));
    }
    let text = format!(
        "The audit log is whole: {id} entries. The newest: {id}:{}\n\
         Keep this elsewhere: `--known` with it shows later whether the end was cut off or all of it written anew.\n",
        hex(&hash)
    );
    Ok((text, ExitCode::SUCCESS))
}

fn known(text: &str) -> Result<Known, String> {
    let read = || {
        let (id, hash) = text.split_once(':')?;
        let is_hash = hash.len() == 64 && hash.bytes().all(|digit| digit.is_ascii_hexdigit());
        let id = id.parse().ok().filter(|id| *id >= 0)?;
        is_hash.then(|| Known { id, hash: hash.to_ascii_lowercase() })
    };
    read().ok_or_else(|| "not a number, a colon and 64 hexadecimal digits, as `--verify` prints them".to_owned())
}

fn since(text: &str) -> Result<Since, String> {
    let ago = crate::duration(text).ok().map(|duration| Since::Ago(span(duration)));
    ago.or_else(|| time_of(text).map(Since::At))
        .ok_or_else(|| "neither a length of time such as 24h nor a time such as 2026-11-23T00:00:00Z".to_owned())
}
