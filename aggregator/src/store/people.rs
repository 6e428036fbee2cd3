//! Accounts, sessions and tokens. Whatever changes something takes the entry of the log that says so, and both happen or neither.

use super::{
    ApiToken, Changed, Invitation, Kept, LoginLimits, Maker, SessionRow, Store, StoreError, Sweep, UserChange, UserRow,
};
use crate::audit_log::Event;
use crate::guard::Role;
use everypath_protocol::time::{Span, UnixTime};

impl Store {
    /// Makes an account an administrator's, as long as nobody can log in as one: with an invitation beside those that it has, for
    /// another process may have shown them to somebody; or with a password, which ends them. Returns whether it did.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn first_admin(
        &self,
        user: UserRow,
        invitation: Option<Invitation>,
        event: Event,
    ) -> Result<bool, StoreError> {
        each!(self, store => store.first_admin(user, invitation, event).await)
    }

    /// Makes an account that somebody is invited to. Returns whether its name was free.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn create_user(&self, user: UserRow, invitation: Invitation, event: Event) -> Result<bool, StoreError> {
        each!(self, store => store.create_user(user, invitation, event).await)
    }

    /// Whether somebody can log in as an administrator.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn has_admin(&self) -> Result<bool, StoreError> {
        each!(self, store => store.has_admin().await)
    }

    /// An account, disabled or not.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn user(&self, name: &str) -> Result<Option<UserRow>, StoreError> {
        each!(self, store => store.user(name).await)
    }

    /// All accounts by name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn users(&self, now: UnixTime) -> Result<Vec<UserRow>, StoreError> {
        each!(self, store => store.users(now).await)
    }

    /// Changes an account and ends its sessions, if its role is still `was`, where that is given: whoever changes it may change that role.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn change_user(
        &self,
        name: &str,
        was: Option<Role>,
        change: UserChange,
        event: Event,
    ) -> Result<Changed, StoreError> {
        each!(self, store => store.change_user(name, was, Some(change), event).await)
    }

    /// Deletes an account with its sessions, invitations and API tokens, each of which has an entry of its own, if its role is still `was`, where that is given.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn delete_user(&self, name: &str, was: Option<Role>, event: Event) -> Result<Changed, StoreError> {
        each!(self, store => store.change_user(name, was, None, event).await)
    }

    /// Lets whoever has the secret choose a password for an account; an invitation from before is no longer one. Its
    /// role must still be `was`, where that is given.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn invite(
        &self,
        name: &str,
        was: Option<Role>,
        invitation: Invitation,
        event: Event,
    ) -> Result<Changed, StoreError> {
        each!(self, store => store.invite(name, was, invitation, event).await)
    }

    /// Who is invited, if the invitation and the account are good at `now`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn invited(&self, hash: [u8; 32], now: UnixTime) -> Result<Option<String>, StoreError> {
        each!(self, store => store.invited(hash, now).await)
    }

    /// Sets the password, ends the sessions and invitations of the account and begins `session`. Returns whether the
    /// invitation was still good: the first of two gets it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn redeem_invitation(
        &self,
        hash: [u8; 32],
        password: String,
        session: SessionRow,
        address: &str,
        event: Event,
    ) -> Result<bool, StoreError> {
        each!(self, store => store.redeem_invitation(hash, password, session, address, event).await)
    }

    /// Sets the password, if it is still `old`, and ends all sessions of the account but `keep`. Returns whether it did.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn set_password(
        &self,
        name: &str,
        old: String,
        new: String,
        keep: [u8; 32],
        event: Event,
    ) -> Result<bool, StoreError> {
        each!(self, store => store.set_password(name, old, new, keep, event).await)
    }

    /// Counts an attempt to log in. If there were as many as `limits` allow it is not counted, and the time until one more is
    /// allowed is returned.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn begin_login(
        &self,
        account: &str,
        address: &str,
        now: UnixTime,
        limits: LoginLimits,
    ) -> Result<Option<Span>, StoreError> {
        each!(self, store => store.begin_login(account, address, now, limits).await)
    }

    /// Forgets the attempts of an account from an address, and keeps a new session, if `password` is still the account's and
    /// the account is not disabled. Returns whether it did.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn create_session(
        &self,
        session: SessionRow,
        password: String,
        address: &str,
        event: Event,
    ) -> Result<bool, StoreError> {
        each!(self, store => store.create_session(session, password, address, event).await)
    }

    /// A session by the hash of its secret, unless the account is disabled.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn session(&self, hash: [u8; 32]) -> Result<Option<SessionRow>, StoreError> {
        each!(self, store => store.session(hash).await)
    }

    /// Notes that a session is in use.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn touch_session(&self, hash: [u8; 32], now: UnixTime) -> Result<(), StoreError> {
        each!(self, store => store.touch_session(hash, now).await)
    }

    /// Ends a session. Returns whether there was one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn delete_session(&self, hash: [u8; 32], event: Event) -> Result<bool, StoreError> {
        each!(self, store => store.delete_session(hash, event).await)
    }

    /// Deletes what no longer counts.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sweep_people(&self, before: Sweep) -> Result<(), StoreError> {
        each!(self, store => store.sweep_people(before).await)
    }

    /// Keeps an API token that `by` makes and owns from then on. One of the same name stays, unless it is to be replaced.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn create_api_token(
        &self,
        token: ApiToken,
        by: Maker,
        replace: bool,
        event: Event,
    ) -> Result<Kept, StoreError> {
        each!(self, store => store.create_api_token(token, by, replace, event).await)
    }

    /// An API token by its hash, ended or not.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn api_token(&self, hash: [u8; 32]) -> Result<Option<ApiToken>, StoreError> {
        each!(self, store => store.api_token(hash).await)
    }

    /// All API tokens by name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn api_tokens(&self) -> Result<Vec<ApiToken>, StoreError> {
        each!(self, store => store.api_tokens().await)
    }

    /// Notes that an API token is in use.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn touch_api_token(&self, hash: [u8; 32], now: UnixTime) -> Result<(), StoreError> {
        each!(self, store => store.touch_api_token(hash, now).await)
    }

    /// Deletes an API token. Returns whether there was one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn delete_api_token(&self, name: &str, event: Event) -> Result<bool, StoreError> {
        each!(self, store => store.delete_api_token(name, event).await)
    }
}
