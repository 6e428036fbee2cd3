//! What people are told, when, and where.
//!
//! 1. A [`rule::Rule`] says which cells are bad enough; [`Evaluator`] asks it of each cell of the live matrix, once a second.
//! 2. [`everypath_verdict::incident`] makes incidents of the cells that break a rule: one cause, one incident.
//! 3. [`Watch`] follows them: which rules, which [`silence::Silence`], who acknowledged, and by [`tell`] what each channel should
//!    have been told by now.
//! 4. [`retry`] says what follows from how a sending ended, [`address`] where it may go, [`render`] what it looks like.
//!
//! None of them reads a clock, draws a random number or sends anything. `docs/adr/0019-alerts.md` says why it is like this.

pub mod address;
pub mod evaluate;
mod find;
pub mod notice;
pub mod record;
pub mod render;
pub mod retry;
pub mod rule;
pub mod scope;
pub mod sight;
pub mod silence;
mod state;
pub mod tell;
pub mod watch;

pub use evaluate::{Evaluator, Judged};
pub use notice::{Event, Notice};
pub use record::{Ack, End, Record};
pub use rule::{ChannelId, Condition, Route, Rule, RuleId, Severity};
pub use scope::{Member, Scope, Selector};
pub use sight::Sight;
pub use silence::{Silence, SilenceId};
pub use watch::{Channel, Step, Telling, Watch, Wishes};

#[cfg(test)]
mod tests;
