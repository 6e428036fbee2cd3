//! From the states of all cells to incidents: one cause, one incident.
//!
//! 1. [`Snapshot`] is what one observer of the mesh holds at one moment: who is in it, and the cells that are measured.
//! 2. [`classify`] reads the shape of its bad cells and explains each of them by exactly one [`Finding`]. It keeps nothing.
//! 3. [`Tracker`] follows findings through time: an incident opens, changes its class, takes others in, ends, comes back.
//! 4. [`Message`] tells a finding or an incident to people.
//!
//! None of them reads a clock, and none depends on the order in which agents, cells or findings are given. Why by shape, and
//! what that cannot tell, is in `docs/adr/0017-judging-by-shape.md`.
//!
//! ```
//! use everypath_protocol::{cell::CellState, id::AgentId, time::{Span, UnixTime}};
//! use everypath_verdict::incident::{ChangeKind, Class, MeasuredCell, Rules, Seat, Snapshot, Tracker, classify};
//!
//! // Five agents in two sites; nobody reaches the last one, and nothing is heard of it.
//! let start = UnixTime(1_767_225_700_000_000);
//! let seat = |number: u8| Seat {
//!     agent: AgentId([number; 32]),
//!     site: if number < 3 { "berlin" } else { "porto" },
//!     is_endpoint: false,
//!     silent_since: (number == 4).then_some(start),
//! };
//! let cell = |source: u32, target: u32| MeasuredCell {
//!     source,
//!     target,
//!     state: if target == 4 { CellState::Down } else { CellState::Ok },
//!     since: start,
//!     is_fresh: true,
//! };
//! let pairs = (0..4).flat_map(|source| (0..5).filter(move |target| *target != source).map(move |target| (source, target)));
//! let snapshot = Snapshot {
//!     roster: (0..5).map(seat).collect(),
//!     cells: pairs.map(|(source, target)| cell(source, target)).collect(),
//! };
//!
//! let rules = Rules::default();
//! let findings = classify(&snapshot, &rules);
//! assert_eq!((findings.len(), findings[0].class), (1, Class::HostDown));
//!
//! let mut tracker = Tracker::new(rules);
//! let mut changes = Vec::new();
//! for second in 0..10 {
//!     changes.extend(tracker.observe(start.plus(Span::seconds(second)), &findings, &snapshot));
//! }
//! assert_eq!(changes.iter().map(|change| change.kind).collect::<Vec<_>>(), [ChangeKind::Opened]);
//! let message = tracker.open()[0].message(&|agent| format!("host-{}", agent.0[0]));
//! assert_eq!(message.title, "Host host-4 is down");
//! assert!(message.evidence.starts_with("4 of 4 measured paths are down. 4 agents say so: host-0, host-1, host-2 and host-3."));
//! ```

mod bytes;
mod classify;
mod count;
mod endpoint;
mod explain;
mod finding;
mod follow;
mod grid;
mod id;
mod message;
mod observer;
mod pairs;
mod patch;
mod penalty;
mod rules;
mod shapes;
mod silence;
mod snapshot;
mod tracker;
mod wait;

pub use classify::classify;
pub use finding::{Ambiguity, Class, Direction, Evidence, Finding, NAMED_MAX, Severity, Subject};
pub use id::IncidentId;
pub use message::Message;
pub use rules::Rules;
pub use snapshot::{MeasuredCell, Seat, Seen, Snapshot};
pub use tracker::{
    ALIASES_MAX, CANDIDATES_MAX, CELLS_KEPT, Change, ChangeKind, Ending, Incident, OPEN_MAX, REMEMBERED_MAX,
    STATE_BYTES_MAX, Tracker,
};

#[cfg(test)]
mod tests;
