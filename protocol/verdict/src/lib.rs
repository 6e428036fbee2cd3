//! The one judge: turns what probes brought back into the state of a cell, and the states of all cells into incidents. Agents
//! and aggregators run this same code, and nothing else in Everypath decides whether a path is healthy.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod cell;
pub mod incident;

pub use cell::{CellJudge, Thresholds, is_fresh};

#[cfg(test)]
mod cell_tests;
