//! The vocabulary between the agent and its shell.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::IpAddr;
use everypath_protocol::cell::CellState;
use everypath_protocol::id::{AgentId, Epoch, ProbeId, Seq};
use everypath_protocol::member::MemberRecord;
use everypath_protocol::mesh::{Holding, Topic};
use everypath_protocol::mesh_config::MeshConfig;
use everypath_protocol::row::Row;
use everypath_protocol::sign::{Signed, Verified};
use everypath_protocol::time::Span;
use everypath_protocol::window::{ProbeKind, ProbeOutcome};

/// Names one question of a peer that waits for an answer; given by the shell, given back unchanged.
pub type ReplyTicket = u64;

/// A checked statement of another agent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Statement {
    /// Where it is.
    Member(Verified<MemberRecord>),
    /// What it measures.
    Row(Verified<Row>),
}

/// Everything that can happen to an agent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input {
    /// Time passed. Early, late or spurious ones do no harm.
    Wakeup,
    /// A peer that passed the certificate gate is connected. Once for each peer, however many connections there are.
    PeerConnected(AgentId),
    /// The last connection to a peer is gone.
    PeerDisconnected(AgentId),
    /// An attempt to reach a member failed.
    DialFailed(AgentId),
    /// A peer compares what it holds of a range of owners with what we hold.
    Compare {
        /// To be named in [`Effect::Respond`].
        ticket: ReplyTicket,
        /// First owner.
        first: AgentId,
        /// Last owner.
        last: AgentId,
        /// What the peer holds.
        holdings: Vec<Holding>,
    },
    /// A peer answered our comparison.
    Difference {
        /// Who.
        from: AgentId,
        /// Newer than ours; checked. What did not pass the check is left out and counted by the shell.
        newer: Vec<Statement>,
        /// Older than ours, or lacking.
        wanted: Vec<(AgentId, Topic)>,
    },
    /// Statements that a peer gave unasked, or that an aggregator or the disk remembered; checked.
    Statements(Vec<Statement>),
    /// A comparison or a gift to this peer brought no answer.
    ExchangeFailed(AgentId),
    /// What was handed out by [`Effect::SignMember`], signed.
    MemberSigned(Verified<MemberRecord>),
    /// What was handed out by [`Effect::SignRow`], signed.
    RowSigned(Verified<Row>),
    /// A probe came to its end. Exactly one for each [`Effect::StartProbe`]; a second one is an anomaly.
    ProbeFinished {
        /// Which.
        probe: ProbeId,
        /// How.
        outcome: ProbeOutcome,
    },
    /// All records of `epoch` up to this number are on disk and survive a power cut.
    Persisted {
        /// Stream.
        epoch: Epoch,
        /// Last number on disk.
        up_to: Seq,
    },
    /// An upload came to its end.
    UploadFinished {
        /// Stream.
        epoch: Epoch,
        /// How.
        result: UploadResult,
    },
    /// A check-in came to its end.
    CheckedIn(UploadResult),
    /// Another configuration of the mesh is in force: its signature was checked, it has no fault, it is newer, and it is on disk.
    Configured(Box<Verified<MeshConfig>>),
    /// The address of an endpoint was looked up.
    Resolved {
        /// Of which.
        endpoint: AgentId,
        /// Where it is; `None` if the name leads nowhere.
        address: Option<IpAddr>,
    },
    /// The file system of the buffer has little room left, or has room again.
    DiskRoom {
        /// Little room: the buffer may not grow.
        is_low: bool,
    },
    /// Where this host can be reached has changed.
    AddressesChanged {
        /// Multiaddresses of the mesh port.
        mesh: Vec<alloc::string::String>,
        /// Where to be probed.
        probe: Vec<IpAddr>,
    },
    /// The program is about to end: close what is open and hand it to the disk.
    Shutdown,
}

/// How an upload ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UploadResult {
    /// Everything up to `acked` is in the database.
    Acked {
        /// Cumulative.
        acked: Seq,
        /// The aggregator's wish for the next one.
        next_sync: Span,
        /// Agents that share this aggregator; 0 if it does not say.
        agents: u64,
    },
    /// The aggregator lacks something before this batch.
    Gap {
        /// The number that it expects.
        expected: Seq,
    },
    /// The aggregator cannot take it now.
    Busy {
        /// Its wish.
        retry_after: Span,
    },
    /// It did not reach an aggregator, or no answer came back.
    Unreachable,
    /// An aggregator refused this agent; sending anything cannot help before somebody mends something.
    Refused,
    /// An aggregator refused the batch for good for what is in it. The rest of the buffer may be welcome.
    Rejected,
}

/// Everything that an agent can ask of its shell.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Connect to a member, trying its addresses.
    Dial {
        /// Who.
        agent: AgentId,
        /// Multiaddresses.
        addresses: Vec<alloc::string::String>,
    },
    /// Close the connections to a peer.
    Disconnect(AgentId),
    /// Ask a peer to compare. The shell answers with `Difference` or `ExchangeFailed`.
    Compare {
        /// Whom.
        to: AgentId,
        /// First owner.
        first: AgentId,
        /// Last owner.
        last: AgentId,
        /// What we hold.
        holdings: Vec<Holding>,
    },
    /// Give statements to a peer. Nothing is expected back but, on failure, `ExchangeFailed`.
    Give {
        /// Whom.
        to: AgentId,
        /// What.
        documents: Vec<Signed>,
    },
    /// Answer a peer's comparison.
    Respond {
        /// Of [`Input::Compare`].
        ticket: ReplyTicket,
        /// Newer than the peer's.
        newer: Vec<Signed>,
        /// Older than the peer's, or lacking.
        wanted: Vec<(AgentId, Topic)>,
    },
    /// Sign the own member record and give it back.
    SignMember(MemberRecord),
    /// Sign the own row and give it back.
    SignRow(Row),
    /// Remember a member's record for the next start.
    RememberMember(Verified<MemberRecord>),
    /// Send a probe; exactly one `ProbeFinished` follows.
    StartProbe(ProbeRequest),
    /// Write to the disk, in the order of these effects. `Persisted` follows for every `Append`.
    Persist(PersistOp),
    /// Read these records from the disk, sign them, send them to an aggregator; exactly one `UploadFinished` follows.
    Upload {
        /// Stream.
        epoch: Epoch,
        /// First number; the beginning of a block.
        first: Seq,
        /// Last number; the end of a block.
        last: Seq,
        /// It is of an older epoch: what is fresh goes first, at the aggregator too.
        is_backlog: bool,
    },
    /// Ask an aggregator what is new and say which configuration runs, without any record; exactly one `CheckedIn` follows.
    CheckIn,
    /// This version of the configuration is in force now.
    Configured {
        /// Which.
        version: u64,
    },
    /// Look these up now and again, instead of those before; each news is a `Resolved`.
    Resolve(Vec<EndpointWish>),
    /// A cell changed its state, for the log.
    CellChanged {
        /// Which.
        target: AgentId,
        /// Before.
        from: CellState,
        /// Now.
        to: CellState,
    },
    /// Something that should not happen; counted by the shell.
    Anomaly(Anomaly),
}

/// A change to the buffer on disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PersistOp {
    /// A new block behind all others of its epoch. The ledger's `last` moves with it.
    Append {
        /// Stream.
        epoch: Epoch,
        /// First number.
        first: Seq,
        /// Last number.
        last: Seq,
        /// The encoded block.
        bytes: Vec<u8>,
        /// It is a tombstone; the ledger notes it.
        is_tombstone: bool,
    },
    /// Blocks are given up: everything of `first ..= last` is replaced by one tombstone. The ledger notes the range.
    Replace {
        /// Stream.
        epoch: Epoch,
        /// First number; the beginning of a block.
        first: Seq,
        /// Last number; the end of a block.
        last: Seq,
        /// The encoded tombstone.
        bytes: Vec<u8>,
    },
    /// Everything up to here is in the database. Forget it; the ledger notes it as acknowledged.
    Discard {
        /// Stream.
        epoch: Epoch,
        /// Last number.
        up_to: Seq,
    },
    /// A block is written anew as two: the numbers before `at`, and those from `at` on.
    Split {
        /// Stream.
        epoch: Epoch,
        /// First number; the beginning of a block.
        first: Seq,
        /// Last number; the end of the same block.
        last: Seq,
        /// First number of the second block.
        at: Seq,
    },
    /// A record that an aggregator refused is put aside, for whoever wants to look into it, and a tombstone takes its place.
    /// The ledger notes it as dropped.
    Quarantine {
        /// Stream.
        epoch: Epoch,
        /// Its number; it is alone in its block.
        number: Seq,
        /// The encoded tombstone.
        bytes: Vec<u8>,
    },
    /// The aggregator knows more of this epoch than this disk does. Re-write the blocks from number `from` on as a new
    /// epoch that begins at 1, marked as renumbered; the ledger of the old epoch notes where it ends.
    Renumber {
        /// Old stream.
        epoch: Epoch,
        /// First number to move.
        from: Seq,
        /// New stream.
        into: Epoch,
    },
}

/// An endpoint to be looked up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EndpointWish {
    /// To be given back with what is found.
    pub endpoint: AgentId,
    /// An IP address or a DNS name.
    pub address: alloc::string::String,
}

/// A probe to send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProbeRequest {
    /// To be given back with the outcome.
    pub probe: ProbeId,
    /// Whom.
    pub target: AgentId,
    /// Where.
    pub address: IpAddr,
    /// How.
    pub kind: ProbeKind,
    /// After this long without a reply it is lost.
    pub timeout: Span,
}

/// Things that should not happen. None of them stops the agent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Anomaly {
    /// An outcome for a probe that is not under way.
    UnknownProbe,
    /// An answer that nobody waited for.
    UnknownUpload,
    /// The aggregator acknowledged more than was sent: this disk is a copy or was restored.
    AckAhead,
    /// The aggregator lacks records that it had acknowledged: its database was restored. What was discarded is lost there.
    AckBehind,
    /// A statement that is not newer, from an agent that is not a member, or past a limit.
    UselessStatement,
    /// The wall clock was set.
    ClockStepped,
    /// Somebody else speaks with our key: an older copy of this host. We go on with a higher incarnation.
    OwnRecordFromElsewhere,
}

impl Anomaly {
    /// The label of the metric.
    pub const fn name(self) -> &'static str {
        match self {
            Self::UnknownProbe => "unknown_probe",
            Self::UnknownUpload => "unknown_upload",
            Self::AckAhead => "ack_ahead",
            Self::AckBehind => "ack_behind",
            Self::UselessStatement => "useless_statement",
            Self::ClockStepped => "clock_stepped",
            Self::OwnRecordFromElsewhere => "own_record_from_elsewhere",
        }
    }
}

/// What one turn asks for, in order. The shell empties it after each turn and uses it again.
pub type Effects = Vec<Effect>;
