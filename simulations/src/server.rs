//! The aggregator of a run: the admission that ships, over a database that commits or does not.

use crate::truth::{Fingerprint, fingerprint};
use aggregator_core::admit::{FLAG_RENUMBERED, Refusal, admit};
use everypath_protocol::batch::{BOOT_UNKNOWN, BatchHeader};
use everypath_protocol::block::Block;
use everypath_protocol::id::{AgentId, Epoch, Seq};
use everypath_protocol::time::{MonoTime, Now, Span, UnixTime};
use mesh_agent_core::effect::UploadResult;
use std::collections::BTreeMap;

/// A batch on its way.
#[derive(Clone, Debug)]
pub struct Upload {
    /// Author.
    pub agent: AgentId,
    /// Stream.
    pub epoch: Epoch,
    /// First number.
    pub first: Seq,
    /// Last number.
    pub last: Seq,
    /// Blocks one behind the other.
    pub body: Vec<u8>,
}

/// One stream in the database.
#[derive(Debug, Default)]
pub struct StoredStream {
    /// Last number stored.
    pub cursor: Seq,
    /// Rows as they were inserted: number, fingerprint, renumbered.
    pub rows: Vec<(Seq, Fingerprint, bool)>,
    /// Ranges given up by the agent.
    pub tombstones: Vec<(Seq, Seq)>,
}

/// A fault planted on purpose, so that a checker can be seen to fail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bug {
    /// One row of a batch is not stored, but acknowledged.
    LoseRow,
    /// A batch that was stored before is stored again.
    StoreTwice,
}

/// The aggregator.
#[derive(Debug, Default)]
pub struct Server {
    /// It runs.
    pub is_up: bool,
    /// True time before which it does not start.
    pub down_until: u64,
    /// Everything committed.
    pub streams: BTreeMap<(AgentId, Epoch), StoredStream>,
    /// See [`Bug`].
    pub bug: Option<Bug>,
    batches: u64,
}

impl Server {
    /// A running aggregator with an empty database.
    pub fn new(bug: Option<Bug>) -> Self {
        Self { is_up: true, bug, ..Self::default() }
    }

    /// One transaction: everything of the batch that is new, or nothing.
    pub fn ingest(&mut self, upload: &Upload, now: UnixTime) -> UploadResult {
        self.batches += 1;
        let stream = self.streams.entry((upload.agent, upload.epoch)).or_default();
        let mut cursor = stream.cursor;
        if self.bug == Some(Bug::StoreTwice) {
            cursor = cursor.min(Seq(upload.first.0 - 1));
        }
        let header = BatchHeader {
            agent: upload.agent,
            epoch: upload.epoch,
            first: upload.first,
            count: upload.last.0 - upload.first.0 + 1,
            body_hash: [0; 32],
            boot: BOOT_UNKNOWN,
            sent: Now { mono: MonoTime(0), wall: now },
        };
        let blocks = Block::decode_all(&upload.body).expect("agents send what they wrote");
        match admit(cursor, &header, blocks, now) {
            Ok(admission) => {
                let rows = admission.rows.iter();
                let rows = rows.map(|row| (row.seq, fingerprint(&row.record), row.flags & FLAG_RENUMBERED != 0));
                stream.rows.extend(rows);
                stream.tombstones.extend(admission.tombstones.iter().map(|gone| (gone.first, gone.last)));
                if self.bug == Some(Bug::LoseRow) && self.batches.is_multiple_of(50) {
                    stream.rows.pop();
                }
                stream.cursor = stream.cursor.max(admission.cursor);
                UploadResult::Acked { acked: stream.cursor, next_sync: Span::seconds(1) }
            }
            Err(Refusal::Gap { expected }) => UploadResult::Gap { expected },
            Err(other) => panic!("a healthy agent's batch was refused: {other:?}"),
        }
    }
}
