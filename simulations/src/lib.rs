//! The cores that ship, on virtual time: many agents and an aggregator, a network that loses, delays, repeats and parts, disks
//! that forget what was not synced, all from one seed. The same seed gives the same run, to the last bit.
//!
//! Reading order: [`queue`] (time), [`network`], [`disk`], [`server`], [`host`], [`pace`] (how large and what about), [`world`] (who does what when),
//! [`faults`] (what goes wrong), [`truth`] (what must hold at the end), [`returning`] (what only a
//! return asks).
#![forbid(unsafe_code)]

pub mod disk;
mod events;
pub mod faults;
pub mod host;
pub mod network;
pub mod pace;
pub mod queue;
pub mod random;
pub mod report;
mod returning;
pub mod server;
pub mod truth;
pub mod world;
