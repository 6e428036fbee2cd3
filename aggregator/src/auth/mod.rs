//! Accounts, sessions, API tokens: how a request becomes an [`crate::guard::Actor`], and what of it is logged.

mod client;
mod flood;
mod identify;
mod invitation;
mod name;
mod password;
mod queue;
mod refusals;
mod session;
mod token;

pub use client::Client;
pub use flood::Flood;
pub use identify::{Caller, Listener, guard, require_same_origin, session_secret, still, whoami};
pub use invitation::{Invited, ensure_admin, invitation};
pub use name::{NAME_RULE, is_valid_name};
pub use password::{BYTES_MAX as PASSWORD_BYTES_MAX, Passwords, check as check_password};
pub use queue::{Crowded, Queue};
pub use refusals::log_refusal;
pub use session::{COOKIE, cookie, hash, new_session, sweep_limits};
pub use token::{Wish as TokenWish, create_api_token};
