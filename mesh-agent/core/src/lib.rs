//! The agent as one value. Everything that an agent decides is decided here; everything that it does is done by a shell
//! that owns sockets, clocks and disks — `mesh-agent` in production, `simulations` on virtual time.
//!
//! The whole contract is [`Agent::handle`] and [`Agent::next_wakeup`], with [`Input`] and [`Effect`] as its vocabulary.
//! Reading order: [`effect`] (the vocabulary), [`agent`] (routing only), then the machines in the order in which a
//! measurement meets them: [`membership`], [`schedule`], [`windows`], [`outbox`], [`uploader`]; [`matrix`] and [`exchange`]
//! are what agents tell each other; [`pace`] and [`endpoints`] are what the mesh's configuration makes of all that.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod agent;
pub mod effect;
pub mod endpoints;
pub mod exchange;
pub mod matrix;
pub mod membership;
pub mod outbox;
pub mod pace;
pub mod params;
mod random;
pub mod schedule;
pub mod stream;
pub mod uploader;
pub mod windows;

pub use agent::Agent;
pub use effect::{Anomaly, Effect, Effects, Input};
pub use params::{AgentParams, Resume};

#[cfg(test)]
mod tests;
