//! What a group of batches needs before its own transaction: numbers for authors, streams and targets.
//!
//! Each step commits by itself and holds no lock while it waits for another, so that two groups with the same newcomers do not
//! wait for each other in a circle. When everybody is known, which is nearly always, there is nothing to do.

use super::agents::make_member;
use super::codes::{self, Time};
use super::ingest::Stop;
use super::keys::{Keys, Known, StreamKey};
use crate::store::error::UNKNOWN_TARGETS_MAX;
use crate::store::types::Batch;
use aggregator_core::admit;
use everypath_protocol::block::Content;
use everypath_protocol::codec;
use everypath_protocol::id::{AgentId, Seq};
use everypath_protocol::record::Record;
use everypath_protocol::time::UnixTime;
use sqlx::{PgConnection, Row as _};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// What a group works with. It is the group's own: what other tasks forget meanwhile changes nothing here.
#[derive(Debug)]
pub(super) struct Numbers {
    pub(super) agents: HashMap<AgentId, Known>,
    /// Of a stream that is missing here every batch was refused at a cursor of zero, the cursor of a new one.
    pub(super) streams: BTreeMap<StreamKey, i32>,
    /// Authors whose unknown targets got no numbers, because there would be too many of them.
    crowded: BTreeSet<AgentId>,
}

/// Members that were made are added to `new_members`.
pub(super) async fn prepare(
    keys: &Keys,
    connection: &mut PgConnection,
    batches: &[&Batch],
    new_members: &mut BTreeSet<AgentId>,
) -> Result<Numbers, Stop> {
    let wanted: HashSet<AgentId> = batches.iter().flat_map(|batch| named(batch)).collect();
    let streams = keys.streams(batches.iter().map(|batch| stream_of(batch)));
    let mut numbers = Numbers { agents: keys.numbers(connection, wanted).await?, streams, crowded: BTreeSet::new() };
    let unknown: Vec<&Batch> = batches.iter().copied().filter(|batch| numbers.lack_of(batch)).collect();
    if unknown.is_empty() {
        return Ok(numbers);
    }
    let cursors = cursors(keys, &mut numbers, connection, &unknown).await?;
    // What would be refused leaves no trace. The cursor may move before it is locked; then this runs again.
    let admissible: Vec<&Batch> = unknown
        .into_iter()
        .filter(|batch| {
            let cursor = cursors.get(&stream_of(batch)).copied().unwrap_or(Seq(0));
            admit::admit(cursor, &batch.header, batch.blocks.clone(), batch.received_at).is_ok()
        })
        .collect();
    members(keys, &mut numbers, connection, &admissible, new_members).await?;
    targets(keys, &mut numbers, connection, &admissible).await?;
    streams_of(keys, &mut numbers, connection, &admissible).await?;
    Ok(numbers)
}

pub(super) const fn stream_of(batch: &Batch) -> StreamKey {
    (batch.header.agent, batch.header.epoch)
}

impl Numbers {
    fn lack_of(&self, batch: &Batch) -> bool {
        let is_member = self.agents.get(&batch.header.agent).is_some_and(|known| known.is_member);
        !is_member || !self.streams.contains_key(&stream_of(batch)) || self.lacks_target_of(batch)
    }

    fn lacks_target_of(&self, batch: &Batch) -> bool {
        named(batch).any(|key| !self.agents.contains_key(&key))
    }

    /// Whether the batch names somebody who got no number, because its author named too many whom nobody introduced.
    pub(super) fn is_crowded(&self, batch: &Batch) -> bool {
        self.crowded.contains(&batch.header.agent) && self.lacks_target_of(batch)
    }
}

/// The author and all targets.
fn named(batch: &Batch) -> impl Iterator<Item = AgentId> {
    let records = batch.blocks.iter().flat_map(|block| match &block.content {
        Content::Records(records) => records.as_slice(),
        Content::Dropped { .. } => &[],
    });
    let targets = records.map(|record| match record {
        Record::Window(window) => window.target,
        Record::Flip(flip) => flip.target,
    });
    std::iter::once(batch.header.agent).chain(targets)
}

/// The cursors as they are now, of the streams that are there.
async fn cursors(
    keys: &Keys,
    numbers: &mut Numbers,
    connection: &mut PgConnection,
    batches: &[&Batch],
) -> Result<BTreeMap<StreamKey, Seq>, Stop> {
    let agents: Vec<&[u8]> = batches.iter().map(|batch| batch.header.agent.0.as_slice()).collect();
    let epochs: Vec<Vec<u8>> = batches.iter().map(|batch| codes::epoch_bytes(batch.header.epoch)).collect();
    let select = "select a.key, s.epoch, s.id, s.cursor from unnest($1::bytea[], $2::bytea[]) as w (key, epoch) \
                  join agent a on a.key = w.key join stream s on s.agent = a.id and s.epoch = w.epoch";
    let mut cursors = BTreeMap::new();
    for row in sqlx::query(select).bind(agents).bind(epochs).fetch_all(connection).await? {
        let (key, epoch): (&[u8], &[u8]) = (row.try_get("key")?, row.try_get("epoch")?);
        if let (Ok(key), Ok(epoch)) = (codes::agent(key), codes::epoch(epoch)) {
            let id = row.try_get("id")?;
            keys.put_stream((key, epoch), id);
            numbers.streams.insert((key, epoch), id);
            cursors.insert((key, epoch), codes::seq(row.try_get("cursor")?));
        }
    }
    Ok(cursors)
}

/// Makes members of authors that are none. Their certificates were checked, so an agent that another issuer let in is as welcome
/// as our own.
async fn members(
    keys: &Keys,
    numbers: &mut Numbers,
    connection: &mut PgConnection,
    batches: &[&Batch],
    new_members: &mut BTreeSet<AgentId>,
) -> Result<(), Stop> {
    for batch in batches {
        let key = batch.header.agent;
        if numbers.agents.get(&key).is_some_and(|known| known.is_member) {
            continue;
        }
        let certificate = codec::encode(&batch.certificate_signed);
        let (name, site) = (&batch.certificate.name, &batch.certificate.site);
        if make_member(connection, key, name, site, &certificate, batch.received_at).await? {
            new_members.insert(key);
        }
        numbers.agents.extend(keys.look_up(connection, &[key]).await?);
    }
    Ok(())
}

/// Targets that nobody introduced yet get a row that holds their key and who named them, unless that one named too many.
async fn targets(
    keys: &Keys,
    numbers: &mut Numbers,
    connection: &mut PgConnection,
    batches: &[&Batch],
) -> Result<(), Stop> {
    let mut missing: BTreeMap<AgentId, i32> = BTreeMap::new();
    let mut by_author: BTreeMap<AgentId, BTreeSet<AgentId>> = BTreeMap::new();
    for batch in batches {
        let unknown = named(batch).filter(|key| !numbers.agents.contains_key(key));
        by_author.entry(batch.header.agent).or_default().extend(unknown);
    }
    by_author.retain(|_, unknown| !unknown.is_empty());
    let Some(now) = batches.first().map(|batch| batch.received_at).filter(|_| !by_author.is_empty()) else {
        return Ok(());
    };
    let authors = by_author.keys().filter_map(|author| Some(numbers.agents.get(author)?.id)).collect();
    let before = named_by(connection, authors).await?;
    for (author, unknown) in by_author {
        let id = numbers.agents.get(&author).ok_or(Stop::Again)?.id;
        if before.get(&id).copied().unwrap_or(0).saturating_add(unknown.len() as u64) > UNKNOWN_TARGETS_MAX {
            numbers.crowded.insert(author);
        } else {
            missing.extend(unknown.into_iter().map(|key| (key, id)));
        }
    }
    introduce(connection, &missing, now).await?;
    let missing: Vec<AgentId> = missing.into_keys().collect();
    numbers.agents.extend(keys.look_up(connection, &missing).await?);
    Ok(())
}

/// How many targets each of these authors named that nobody has introduced yet. Batches under way elsewhere are not counted, so
/// an author may get a few batches further than the limit.
async fn named_by(connection: &mut PgConnection, authors: Vec<i32>) -> Result<BTreeMap<i32, u64>, sqlx::Error> {
    let select = "select named_by, count(*) from agent where certificate is null and named_by = any($1) group by 1";
    let counts: Vec<(i32, i64)> = sqlx::query_as(select).bind(authors).fetch_all(connection).await?;
    Ok(counts.into_iter().map(|(author, count)| (author, codes::unsigned(count))).collect())
}

/// In the order of keys, so that two that introduce the same ones wait for each other at the first. Those that are there are
/// left out before: an insert that finds a conflict uses up a number.
async fn introduce(
    connection: &mut PgConnection,
    keys: &BTreeMap<AgentId, i32>,
    now: UnixTime,
) -> Result<(), sqlx::Error> {
    if keys.is_empty() {
        return Ok(());
    }
    let bytes: Vec<&[u8]> = keys.keys().map(|key| key.0.as_slice()).collect();
    let authors: Vec<i32> = keys.values().copied().collect();
    let insert = "insert into agent (key, first_seen, named_by) select w.key, $2, w.author \
                  from unnest($1::bytea[], $3::int4[]) as w (key, author) \
                  where not exists (select 1 from agent a where a.key = w.key) order by w.key on conflict (key) do nothing";
    sqlx::query(insert).bind(bytes).bind(Time(now)).bind(authors).execute(connection).await.map(drop)
}

/// New streams begin at a cursor of zero.
async fn streams_of(
    keys: &Keys,
    numbers: &mut Numbers,
    connection: &mut PgConnection,
    batches: &[&Batch],
) -> Result<(), Stop> {
    let mut missing: BTreeMap<StreamKey, i32> = BTreeMap::new();
    for batch in batches.iter().filter(|batch| !numbers.streams.contains_key(&stream_of(batch))) {
        let author = numbers.agents.get(&batch.header.agent).ok_or(Stop::Again)?;
        missing.insert(stream_of(batch), author.id);
    }
    if missing.is_empty() {
        return Ok(());
    }
    let agents: Vec<i32> = missing.values().copied().collect();
    let epochs: Vec<Vec<u8>> = missing.keys().map(|(_, epoch)| codes::epoch_bytes(*epoch)).collect();
    let insert = "insert into stream (agent, epoch) select w.agent, w.epoch from unnest($1::int4[], $2::bytea[]) as w (agent, epoch) \
                  where not exists (select 1 from stream s where s.agent = w.agent and s.epoch = w.epoch) \
                  order by w.agent, w.epoch on conflict (agent, epoch) do nothing";
    sqlx::query(insert).bind(agents).bind(epochs).execute(&mut *connection).await?;
    cursors(keys, numbers, connection, batches).await.map(drop)
}
