//! One file for each thing that can be asked, one function for each route.

pub mod agents;
pub mod alert_rules;
pub mod api_tokens;
pub mod audit;
mod body;
pub mod channels;
pub mod config;
mod error;
pub mod health;
pub mod hello;
pub mod incidents;
pub mod ingest;
pub mod join;
pub mod join_tokens;
pub mod live;
pub mod matrix;
pub mod openapi;
pub mod password;
mod range;
pub mod report_schedules;
pub mod reports;
pub mod retention;
pub mod series;
pub mod session;
pub mod silences;
pub mod system;
pub mod users;

pub use body::JsonBody;
pub use error::{ApiError, Problem, render_problems};

use crate::guard::Actor;

/// Behind a word that is no role.
const ROLE_RULE: &str = "must be `viewer`, `operator` or `admin`";

/// Who changes something, for the record.
fn author(actor: &Actor) -> String {
    actor.known().map(|(name, _)| name.clone()).unwrap_or_default()
}

/// The number in a path; what is none is nobody's.
fn number(text: &str) -> Option<i64> {
    text.parse().ok().filter(|number| *number > 0)
}
