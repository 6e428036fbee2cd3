//! From the states of all cells to incidents: one cause, one incident.
//!
//! 1. [`Snapshot`] is what one observer of the mesh holds at one moment: who is in it, and the cells that are measured.
//! 2. [`classify`] reads the shape of its bad cells and explains each of them by exactly one [`Finding`]. It keeps nothing.
//! 3. [`Tracker`] follows findings through time: an incident opens, changes its class, takes others in, ends, comes back.
//!
//! Neither reads a clock, and neither depends on the order in which agents, cells or findings are given.

mod bytes;
mod classify;
mod count;
mod explain;
mod finding;
mod follow;
mod grid;
mod id;
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
pub use rules::Rules;
pub use snapshot::{MeasuredCell, Seat, Seen, Snapshot};
pub use tracker::{
    ALIASES_MAX, CANDIDATES_MAX, CELLS_KEPT, Change, ChangeKind, Ending, Incident, OPEN_MAX, REMEMBERED_MAX,
    STATE_BYTES_MAX, Tracker,
};

#[cfg(test)]
mod tests;
