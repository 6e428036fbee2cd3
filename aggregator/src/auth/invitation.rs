//! Links by which somebody chooses a password, once: for a new account, and for one whose password is lost.

use super::{hash, password};
use crate::app::App;
use crate::audit_log::Event;
use crate::guard::Role;
use crate::random;
use crate::store::{Invitation, UserRow};
use everypath_protocol::time::{Span, UnixTime};
use serde_json::json;

/// How long a link is good.
const LIFE: Span = Span::seconds(24 * 3_600);
/// Name of the first account.
const FIRST_USER: &str = "admin";

/// What the invited is given.
#[derive(Clone, Debug)]
pub struct Invited {
    /// Whoever has it chooses the password.
    pub secret: String,
    /// Until then.
    pub expires_at: UnixTime,
}

impl Invited {
    /// Where to open it, behind the address of the page. A browser sends nothing of what is behind `#`, so that it is in no log.
    pub fn path(&self) -> String {
        format!("/welcome#{}", self.secret)
    }
}

/// An invitation as it is kept, and as it is given.
pub fn invitation(now: UnixTime) -> (Invitation, Invited) {
    let secret = random::secret_text();
    let expires_at = now.plus(LIFE);
    (Invitation { hash: hash(&secret), created_at: now, expires_at }, Invited { secret, expires_at })
}

/// As long as nobody can log in as an administrator: gives the first account the preset password, or makes a link for it, which is
/// returned inside. Returns its name.
///
/// Not "if there is no account": whoever made it may have died before somebody read the link, and may start anew. And each of
/// several replicas shows a link of its own; the first that is used ends all of them.
///
/// # Errors
/// When the preset password is none, or the database fails.
pub async fn ensure_admin(
    app: &App,
    preset: Option<String>,
) -> anyhow::Result<Option<(&'static str, Option<Invited>)>> {
    if app.store.has_admin().await? {
        return Ok(None);
    }
    let now = app.now();
    let mut user = UserRow::new(FIRST_USER.to_owned(), Role::Admin, now);
    let event = Event::by_program("user.first", FIRST_USER, now);
    let (kept, given) = match preset {
        Some(password) => {
            password::check(FIRST_USER, &password)
                .map_err(|why| anyhow::anyhow!("EVERYPATH_ADMIN_PASSWORD cannot be used: {why}"))?;
            user.password = Some(app.passwords.hash(password, None).await?);
            (None, None)
        }
        None => {
            let (kept, given) = invitation(now);
            (Some(kept), Some(given))
        }
    };
    let by = if given.is_some() { "link" } else { "preset password" };
    let made = app.store.first_admin(user, kept, event.detail(&json!({"by": by}))).await?;
    Ok(made.then_some((FIRST_USER, given)))
}
