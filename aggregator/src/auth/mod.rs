//! Accounts, sessions, API tokens: how a request becomes an [`crate::guard::Actor`].

mod identify;
mod password;
mod session;

pub use identify::{Listener, client_address, guard, require_same_origin, session_secret, whoami};
pub use password::{BYTES_MAX as PASSWORD_BYTES_MAX, Passwords};
pub use session::{COOKIE, create_api_token, create_session, ensure_admin, hash, sweep_limits};
