//! What is kept of people and of the programs that they let in.

use crate::guard::Role;
use crate::scope::Scopes;
use crate::store::error::StoreError;
use everypath_protocol::sign::sha256;
use everypath_protocol::time::{Span, UnixTime};

/// An account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UserRow {
    /// What one logs in with.
    pub name: String,
    /// Hash of the password, a PHC string; nothing until somebody has chosen one.
    pub password: Option<String>,
    /// What it may do.
    pub role: Role,
    /// When it was made.
    pub created_at: UnixTime,
    /// Since when nobody gets in with it.
    pub disabled_at: Option<UnixTime>,
    /// When somebody last did.
    pub last_login_at: Option<UnixTime>,
    /// Until when it can be given a password by a link; only where accounts are listed.
    pub invited_until: Option<UnixTime>,
}

impl UserRow {
    /// An account without a password.
    pub const fn new(name: String, role: Role, created_at: UnixTime) -> Self {
        Self { name, password: None, role, created_at, disabled_at: None, last_login_at: None, invited_until: None }
    }
}

/// The right to choose a password, once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Invitation {
    /// SHA-256 of the secret in the link.
    pub hash: [u8; 32],
    /// When it was made.
    pub created_at: UnixTime,
    /// When it ends.
    pub expires_at: UnixTime,
}

/// What of an account is to be changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct UserChange {
    /// What it may do from now on.
    pub role: Option<Role>,
    /// Whether it is to be disabled, or no longer.
    pub disabled: Option<bool>,
}

/// What became of a change of an account.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Changed {
    /// Done.
    Done,
    /// There is no such account.
    Unknown,
    /// Nobody would be left who may do everything; nothing was done.
    LastAdmin,
    /// The account is disabled; nothing was done.
    Disabled,
    /// It has another role than it was looked at with; nothing was done.
    Meanwhile,
}

/// A session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionRow {
    /// SHA-256 of the secret in the cookie.
    pub hash: [u8; 32],
    /// Whose.
    pub user: String,
    /// What that account may do. Not used when a session is made.
    pub role: Role,
    /// When it began.
    pub created_at: UnixTime,
    /// When it was last used.
    pub seen_at: UnixTime,
}

/// An API token.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ApiToken {
    /// SHA-256 of the secret.
    pub hash: [u8; 32],
    /// What it is for.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// And of that only this.
    pub scopes: Scopes,
    /// When it was made.
    pub created_at: UnixTime,
    /// Who made it, by the name of that time; empty on the command line. Not used when a token is made.
    pub created_by: String,
    /// Whose it is now. Not used when a token is made.
    pub owner: Owner,
    /// When it ends, if it does.
    pub expires_at: Option<UnixTime>,
    /// When it was last used, to a minute or so.
    pub last_used_at: Option<UnixTime>,
}

impl ApiToken {
    /// What it may do at `now`, if anything: no more than its owner.
    pub fn role_at(&self, now: UnixTime) -> Option<Role> {
        if self.expires_at.is_some_and(|end| end <= now) {
            return None;
        }
        match self.owner {
            Owner::Host => Some(self.role),
            Owner::Person(role) => Some(self.role.min(role)),
            Owner::Gone => None,
        }
    }
}

/// Whose an API token is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Owner {
    /// Nobody's but the host's: it was made on the command line.
    Host,
    /// Of an account that has this role now.
    Person(Role),
    /// Of an account that is disabled, or that is not known: a name alone is nobody, for somebody else may have it by now.
    Gone,
}

/// Who makes an API token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Maker {
    /// The command line.
    Host,
    /// Whoever has the session with this hash, at the moment at which the token is kept.
    Session([u8; 32]),
}

/// What became of an API token that was to be kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kept {
    /// It is kept.
    Done,
    /// There is one of this name, which is not to be replaced; nothing was done.
    NameTaken,
    /// There are as many as there may be; nothing was done.
    TooMany,
    /// The session of whoever makes it has ended; nothing was done.
    SessionOver,
}

/// How many attempts to log in there may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LoginLimits {
    /// Within which time.
    pub period: Span,
    /// To one account from one address.
    pub per_account: u32,
    /// To whatever accounts from one address; a login that succeeded is not counted.
    pub per_address: u32,
    /// To one account from all addresses together; further ones are let in one at a time.
    pub everywhere: u32,
    /// With such a pause between two of them. An address from which the account has logged in before need not wait for it.
    pub pause: Span,
}

/// Before which times what is kept of people no longer counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sweep {
    /// Sessions that were not used since.
    pub sessions: UnixTime,
    /// Attempts to log in.
    pub attempts: UnixTime,
    /// Addresses from which somebody logged in.
    pub addresses: UnixTime,
    /// Invitations that ended.
    pub invitations: UnixTime,
}

/// Sessions of one account; who begins another ends the one that was used least recently.
pub(super) const SESSIONS_MAX: u32 = 100;
/// API tokens in all; those that have ended count until somebody deletes them.
pub const API_TOKENS_MAX: u32 = 1_024;
/// Invitations to the first account: each process that starts makes one, and one that starts over and over must not fill the
/// table.
pub(super) const INVITATIONS_MAX: u32 = 16;

/// Stands for every account in what counts the attempts of one address. No hash is empty.
pub(super) const ANY_ACCOUNT: &str = "";

/// What is kept of a name that somebody tried: people type passwords where the name belongs.
pub(super) fn attempted(account: &str) -> String {
    everypath_protocol::id::hex(&sha256(&[account.as_bytes()]))
}

/// What an empty column says of a password: there is none. No program takes it for the hash of one.
pub(super) fn password(column: String) -> Option<String> {
    Some(column).filter(|password| !password.is_empty())
}

pub(super) fn role(column: &str) -> Result<Role, StoreError> {
    Role::from_name(column).ok_or(StoreError::Damaged("a role"))
}

/// `role`: of the account that the token belongs to, if that is there and enabled.
pub(super) fn owner(created_by: &str, account: Option<i64>, role: Option<String>) -> Result<Owner, StoreError> {
    match (account, role) {
        (None, _) if created_by.is_empty() => Ok(Owner::Host),
        (Some(_), Some(word)) => self::role(&word).map(Owner::Person),
        (_, _) => Ok(Owner::Gone),
    }
}

pub(super) fn scopes(column: &str) -> Result<Scopes, StoreError> {
    Scopes::parse(column.split_whitespace()).map_err(|_| StoreError::Damaged("the scopes of an API token"))
}

impl UserChange {
    /// Whether an administrator would be none any more.
    pub(super) fn takes_admin(self) -> bool {
        self.disabled == Some(true) || self.role.is_some_and(|role| role != Role::Admin)
    }
}

/// How long to wait, if the oldest of the last attempts that are allowed everywhere still counts. `times`: that one, if there are
/// as many, and the newest.
pub(super) fn pause(times: &[UnixTime], now: UnixTime, limits: LoginLimits) -> Option<Span> {
    let &[oldest, newest] = times else { return None };
    let until = newest.plus(limits.pause);
    (now < oldest.plus(limits.period) && now < until).then(|| until.since(now))
}
