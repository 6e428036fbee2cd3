//! What goes into the store and what comes out, without a word of SQL.

use aggregator_core::matrix::SavedCell;
use aggregator_core::report::{Member, PairSums};
use aggregator_core::rollup::Bucket;
use aggregator_core::series::{Question, Source};
use everypath_protocol::batch::BatchHeader;
use everypath_protocol::block::Block;
use everypath_protocol::id::{AgentId, Epoch, Seq};
use everypath_protocol::record::Record;
use everypath_protocol::sign::Signed;
use everypath_protocol::time::{Span, UnixTime};
use everypath_protocol::token::{TokenId, TokenKey};
use everypath_protocol::trust::Certificate;
use everypath_protocol::window::ProbeKind;

/// A batch whose author was checked.
#[derive(Clone, Debug)]
pub struct Batch {
    /// What was signed.
    pub header: BatchHeader,
    /// Of the author.
    pub certificate: Certificate,
    /// The same as it was signed.
    pub certificate_signed: Signed,
    /// What was sent.
    pub blocks: Vec<Block>,
    /// Our clock.
    pub received_at: UnixTime,
    /// Its sender says that it may wait for what is fresh.
    pub is_backlog: bool,
}

/// What became of a batch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ingested {
    /// The cursor of the stream.
    pub acked: Seq,
    /// What was new and when it ended, for the matrix.
    pub news: Vec<(Record, UnixTime)>,
    /// How many rows were stored.
    pub rows: u64,
    /// Nothing was new.
    pub duplicate: bool,
    /// The author was not known before.
    pub is_new_agent: bool,
}

/// One process on the database, drawn at random at its start.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ReplicaId(pub i64);

impl ReplicaId {
    /// One that nobody else has.
    pub fn draw() -> Self {
        Self(i64::from_le_bytes(crate::random::bytes()))
    }
}

/// The right to do a job that only one replica may do. It ends by itself, so whoever uses it in a transaction asks for it there:
/// a holder that was suspended finds a higher term and does nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lease {
    /// Which job.
    pub role: &'static str,
    /// Who.
    pub holder: ReplicaId,
    /// Fencing term: higher for each new holder.
    pub term: i64,
}

/// What a replica stored, for the others.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JournalEntry {
    /// Its number. Numbers become visible out of order; see [`aggregator_core::follow`].
    pub id: i64,
    /// Who stored it.
    pub origin: ReplicaId,
    /// Who measured.
    pub source: AgentId,
    /// What, and when it ended by our clock; records that can never be news are left out.
    pub news: Vec<(Record, UnixTime)>,
}

/// What one step of rolling up did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RolledUp {
    /// Samples that were added.
    pub samples: u64,
    /// Buckets that were written.
    pub buckets: u64,
    /// Blocks, entries of the journal and sums that could not be read and were left out; the log names each.
    pub damaged: u64,
    /// There is more to be done at once.
    pub has_more: bool,
}

/// What waits for the sums.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unsummed {
    /// When the first of it came.
    pub since: UnixTime,
    /// Whose transaction it may be waiting for, as a sentence; nothing where nobody can be in the way.
    pub behind: Option<String>,
}

/// A pair over time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SeriesQuery {
    /// Who measured.
    pub source: AgentId,
    /// Who was measured.
    pub target: AgentId,
    /// How.
    pub kind: ProbeKind,
    /// When, and in which steps.
    pub question: Question,
}

/// The answer.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SeriesRows {
    /// Ascending; a step without a measurement has none.
    pub points: Vec<(UnixTime, Bucket)>,
    /// What was read. Behind a rollup the samples, if some were not in it yet.
    pub sources: Vec<Source>,
}

/// What a report is made of.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ReportRows {
    /// All members.
    pub members: Vec<Member>,
    /// What each pair of them adds up to, as far as it is in the sums.
    pub sums: Vec<PairSums>,
}

/// How long each kind of row is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Keep {
    /// Windows as they came.
    pub samples: Span,
    /// Sums of a minute.
    pub minutes: Span,
    /// Sums of an hour.
    pub hours: Span,
    /// Sums of a day.
    pub days: Span,
    /// Changes of state.
    pub events: Span,
}

/// What one step of upkeep did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Maintained {
    /// Rows, or partitions where whole ones are dropped.
    pub dropped: u64,
    /// There is more to be done at once.
    pub has_more: bool,
}

/// What the database is, for `aggregator status` and the health page.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Description {
    /// `sqlite`, `postgres`, `timescale_apache` or `timescale_community`.
    pub rung: &'static str,
    /// Version of the server, and of the extension.
    pub version: String,
    /// Number of the newest migration that was applied.
    pub schema: i64,
    /// Name and state of every feature that this rung has and another has not.
    pub features: Vec<(&'static str, String)>,
    /// Table, rows (estimated where counting is slow), bytes with indexes.
    pub tables: Vec<(String, Option<u64>, u64)>,
    /// Samples that are stored and not yet rolled up; `None` if that takes long to find out.
    pub behind: Option<u64>,
}

/// A member.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AgentRow {
    /// Its key.
    pub id: AgentId,
    /// What people call it.
    pub name: String,
    /// Where it is.
    pub site: String,
    /// Its certificate.
    pub certificate: Signed,
    /// What it last said of itself, a signed member record.
    pub member: Option<Signed>,
    /// Version of its program.
    pub program: Option<String>,
    /// When it was first seen.
    pub first_seen: UnixTime,
    /// When it was last heard of.
    pub last_seen: Option<UnixTime>,
}

/// A join token as the issuer keeps it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JoinTokenRow {
    /// Its name.
    pub id: TokenId,
    /// What a proof is made with.
    pub key: TokenKey,
    /// The site of everyone who joins with it; `None` lets them say.
    pub site: Option<String>,
    /// How many may join.
    pub uses: u32,
    /// When it was made.
    pub created_at: UnixTime,
    /// Name of the account or token that made it; empty for the command line.
    pub created_by: String,
    /// When it ends.
    pub expires_at: UnixTime,
}

/// A checked wish to join.
#[derive(Clone, Debug)]
pub struct Redemption {
    /// With which token.
    pub token: TokenId,
    /// Who.
    pub agent: AgentId,
    /// The certificate that it gets if it is new.
    pub certificate: Signed,
    /// Its name.
    pub name: String,
    /// Its site.
    pub site: String,
    /// Our clock.
    pub now: UnixTime,
}

/// What became of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Redeemed {
    /// A new member; one use is spent.
    Joined,
    /// A member already; this is its certificate.
    Again(Signed),
    /// The token is not known.
    UnknownToken,
    /// The token's time is over.
    Expired,
    /// The token has no uses left.
    UsedUp,
    /// Another member has this name.
    NameTaken,
}

/// The matrix as it was kept.
#[derive(Clone, Debug, Default)]
pub struct MatrixState {
    /// All members, oldest first.
    pub agents: Vec<AgentId>,
    /// Rows that were kept.
    pub latest: Vec<LatestRow>,
    /// Samples and events received lately, in the order of their receipt.
    pub samples: Vec<SampleRow>,
}

/// One row of the matrix.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LatestRow {
    /// Whose.
    pub source: AgentId,
    /// One entry a target.
    pub cells: Vec<SavedCell>,
}

/// One record read back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SampleRow {
    /// Who measured.
    pub source: AgentId,
    /// What.
    pub record: Record,
    /// When it ended, by our clock.
    pub ended: UnixTime,
}

/// What is stored of one stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StreamRows {
    /// Which.
    pub epoch: Epoch,
    /// Its cursor.
    pub cursor: Seq,
    /// Samples up to here may have been deleted because of their age.
    pub expired: Seq,
    /// How many samples and events were deleted because of their age; nothing where that was not counted from the beginning.
    pub expired_rows: Option<u64>,
    /// The number of every sample and event, ascending; a number that was stored twice is here twice.
    pub rows: Vec<Seq>,
    /// Ranges that the agent gave up, ascending.
    pub tombstones: Vec<(Seq, Seq)>,
    /// First and last number and count of rows of every accepted block, ascending.
    pub blocks: Vec<(Seq, Seq, u64)>,
}
