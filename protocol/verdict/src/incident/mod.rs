//! From the states of all cells to incidents: one cause, one incident.
//!
//! 1. [`Snapshot`] is what one observer of the mesh holds at one moment: who is in it, and the cells that are measured.
//! 2. [`classify`] reads the shape of its bad cells and explains each of them by exactly one [`Finding`]. It keeps nothing.
//!
//! Neither reads a clock, and neither depends on the order in which agents and cells are given.

mod classify;
mod count;
mod explain;
mod finding;
mod grid;
mod observer;
mod pairs;
mod rules;
mod shapes;
mod silence;
mod snapshot;

pub use classify::classify;
pub use finding::{Ambiguity, Class, Direction, Evidence, Finding, NAMED_MAX, Severity, Subject};
pub use rules::Rules;
pub use snapshot::{MeasuredCell, Seat, Seen, Snapshot};

#[cfg(test)]
mod tests;
