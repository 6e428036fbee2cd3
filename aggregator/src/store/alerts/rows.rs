//! What lies in the tables of rules, silences, channels, incidents and messages.

use crate::store::ReplicaId;
use everypath_protocol::time::UnixTime;

/// What people define.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Rules.
    Rule,
    /// Silences.
    Silence,
}

/// A rule or a silence.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DefinedRow {
    /// Its number.
    pub id: i64,
    /// JSON.
    pub definition: String,
    /// Grows with each change, from 1.
    pub version: i64,
    /// When it was changed last.
    pub changed_at: UnixTime,
    /// By whom; nobody for what was there from the beginning.
    pub changed_by: String,
}

/// A channel.
#[derive(Clone, PartialEq, Eq)]
pub struct ChannelRow {
    /// Its number.
    pub id: i64,
    /// What people call it; no two have the same.
    pub name: String,
    /// JSON without secrets.
    pub definition: String,
    /// The secrets.
    pub sealed: Vec<u8>,
    /// Whether it is used.
    pub is_enabled: bool,
    /// Grows with each change, from 1.
    pub version: i64,
    /// When it was changed last.
    pub changed_at: UnixTime,
    /// By whom.
    pub changed_by: String,
    /// It rests until then.
    pub blocked_until: UnixTime,
    /// So many failures in a row.
    pub failures: u32,
    /// What the last one was.
    pub trouble: Option<String>,
}

impl std::fmt::Debug for ChannelRow {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("ChannelRow").field("id", &self.id).field("name", &self.name).finish_non_exhaustive()
    }
}

/// A definition to be kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Definition {
    /// Which, and the version that was read; nothing for a new one.
    pub replaces: Option<(i64, i64)>,
    /// JSON.
    pub definition: String,
    /// Of a silence: its end.
    pub until: UnixTime,
    /// Who.
    pub by: String,
    /// When.
    pub now: UnixTime,
}

/// A channel to be kept.
#[derive(Clone, Debug)]
pub struct ChannelWish {
    /// Which, and the version that was read; nothing for a new one.
    pub replaces: Option<(i64, i64)>,
    /// Its name.
    pub name: String,
    /// JSON.
    pub definition: String,
    /// The secrets; nothing leaves those that are there.
    pub sealed: Option<Vec<u8>>,
    /// Whether it is used.
    pub is_enabled: bool,
    /// Whether it is one for mail; else no schedule of reports may name it.
    pub takes_reports: bool,
    /// Who.
    pub by: String,
    /// When.
    pub now: UnixTime,
}

/// What became of a change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Put {
    /// It is kept under this number.
    Kept(i64),
    /// There is none of this number.
    Missing,
    /// Somebody else changed it meanwhile.
    Changed,
    /// There are as many as there may be.
    Full,
    /// Another one has this name.
    NameTaken,
    /// These schedules of reports send through it, which they could no longer.
    InUse(Vec<String>),
}

/// What became of deleting a channel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Deleted {
    /// It is gone.
    Done,
    /// There is none of this number.
    Missing,
    /// These schedules of reports send through it; nothing was done.
    InUse(Vec<String>),
}

/// An incident.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IncidentRow {
    /// Its name.
    pub id: [u8; 16],
    /// JSON.
    pub definition: String,
    /// As [`everypath_verdict::incident::Class::name`].
    pub class: String,
    /// As [`aggregator_core::alert::Severity::name`].
    pub severity: String,
    /// When it was opened.
    pub opened_at: UnixTime,
    /// When it was over.
    pub ended_at: Option<UnixTime>,
    /// A silence covers it.
    pub is_silenced: bool,
    /// Who takes care of it, since when, and what they said. Not changed by [`Store::alert_commit`].
    pub ack: Option<(String, UnixTime, String)>,
}

/// Which incidents.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct IncidentQuery {
    /// Open ones or those that are over.
    pub is_open: Option<bool>,
    /// Of this severity.
    pub severity: Option<String>,
    /// Of this class.
    pub class: Option<String>,
    /// Opened at this time or later.
    pub from: Option<UnixTime>,
    /// Opened earlier.
    pub to: Option<UnixTime>,
    /// Also those that came back: they may have been opened first before `to`, which their definition says.
    pub or_was_open: bool,
    /// Still open, or over later than this.
    pub ended_after: Option<UnixTime>,
    /// Those behind this one in the order: newest first.
    pub behind: Option<(UnixTime, [u8; 16])>,
    /// Most of them.
    pub limit: u32,
}

/// What a channel is to be told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// Of which incident.
    pub incident: [u8; 16],
    /// Which channel.
    pub channel: i64,
    /// JSON.
    pub notice: String,
    /// It must be a message of its own.
    pub is_news: bool,
    /// See [`aggregator_core::alert::tell::Told`].
    pub told: aggregator_core::alert::tell::Told,
}

/// What an evaluation decided; all of it is kept, or nothing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Commit {
    /// New or changed incidents.
    pub incidents: Vec<IncidentRow>,
    /// What is to be told.
    pub wanted: Vec<Wanted>,
    /// For whoever judges next; nothing leaves what is there.
    pub state: Option<Vec<u8>>,
}

/// What whoever judges next begins with.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Kept {
    /// As it was committed last.
    pub state: Option<Vec<u8>>,
    /// The open incidents, and those that ended lately.
    pub incidents: Vec<IncidentRow>,
    /// What was decided to be told of them.
    pub told: Vec<([u8; 16], i64, aggregator_core::alert::tell::Told)>,
}

/// A message that is this replica's to send.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Due {
    /// Of which incident.
    pub incident: [u8; 16],
    /// To which channel.
    pub channel: i64,
    /// Grows with each wish; 1 is the first.
    pub wanted: i64,
    /// JSON.
    pub notice: String,
    /// It must be a message of its own.
    pub is_news: bool,
    /// When it was decided.
    pub wanted_at: UnixTime,
    /// What was sent last; 0 for nothing.
    pub sent: i64,
    /// By which the provider knows what was sent.
    pub handle: Option<String>,
}

/// How a sending ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Done {
    /// Which.
    pub due: Due,
    /// Who had it.
    pub replica: ReplicaId,
    /// What becomes of it.
    pub fate: aggregator_core::alert::retry::Fate,
    /// By which the provider knows it, if that is told.
    pub handle: Option<String>,
    /// What becomes of the channel.
    pub pause: aggregator_core::alert::retry::Pause,
    /// The version of the channel that was used: what became of it says nothing of a later one.
    pub version: i64,
    /// For the log.
    pub entry: LogEntry,
}

/// An entry of the delivery log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogEntry {
    /// Grows.
    pub id: i64,
    /// Which channel.
    pub channel: i64,
    /// Of which incident; nothing for a test.
    pub incident: Option<[u8; 16]>,
    /// When.
    pub at: UnixTime,
    /// As [`aggregator_core::alert::Event::name`].
    pub event: String,
    /// `sent`, `waits`, `again` or `given_up`.
    pub result: String,
    /// What the provider said.
    pub detail: String,
    /// How long it took, milliseconds.
    pub took_ms: u32,
}
