//! One file for each thing that can be asked, one function for each route.

pub mod agents;
pub mod api_tokens;
pub mod audit;
mod body;
mod error;
pub mod health;
pub mod hello;
pub mod ingest;
pub mod join;
pub mod join_tokens;
pub mod live;
pub mod matrix;
pub mod openapi;
pub mod password;
mod range;
pub mod reports;
pub mod retention;
pub mod series;
pub mod session;
pub mod users;

pub use body::JsonBody;
pub use error::{ApiError, Problem, render_problems};
