//! The agent: routing only. The one place with the big `match`; every decision is in one of the machines.

use crate::effect::{Effects, Input};
use crate::params::{AgentParams, Resume};
use everypath_protocol::time::{MonoTime, Now};

/// One agent, complete. Owns no socket, no clock, no disk.
#[derive(Debug)]
pub struct Agent {}

impl Agent {
    /// An agent that has just been started. `seed` is 32 random bytes.
    pub fn new(params: AgentParams, resume: Resume, seed: [u8; 32], now: Now) -> Self {
        todo!()
    }

    /// Takes one input in and says what is to be done. Total: cannot fail, block or panic.
    pub fn handle(&mut self, now: Now, input: Input, out: &mut Effects) {
        todo!()
    }

    /// When the agent wants to be woken if nothing happens before.
    pub fn next_wakeup(&self) -> Option<MonoTime> {
        todo!()
    }

    /// What the agent knows of itself and others, for the loopback page and the terminal.
    pub fn view(&self, now: Now) -> crate::matrix::View {
        todo!()
    }
}
