//! Accounts, sessions and tokens.

use super::{ApiToken, LoginLimits, SessionRow, Store, StoreError, UserRow};
use crate::guard::Role;
use everypath_protocol::time::{Span, UnixTime};

impl Store {
    /// Makes the first account. Returns whether there was none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn create_first_user(&self, user: UserRow, now: UnixTime) -> Result<bool, StoreError> {
        each!(self, store => store.create_first_user(user, now).await)
    }

    /// Whether anybody has an account.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn has_users(&self) -> Result<bool, StoreError> {
        each!(self, store => store.has_users().await)
    }

    /// An account.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn user(&self, name: &str) -> Result<Option<UserRow>, StoreError> {
        each!(self, store => store.user(name).await)
    }

    /// Counts an attempt to log in. If there were as many as `limits` allow it is not counted, and the time until the oldest of
    /// them no longer counts is returned.
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

    /// Forgets the attempts of an account from an address, and keeps a new session.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn create_session(&self, session: SessionRow, address: &str) -> Result<(), StoreError> {
        each!(self, store => store.create_session(session, address).await)
    }

    /// A session by the hash of its secret.
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

    /// Ends a session.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn delete_session(&self, hash: [u8; 32]) -> Result<(), StoreError> {
        each!(self, store => store.delete_session(hash).await)
    }

    /// Deletes sessions and login attempts that no longer count.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sweep_people(&self, seen_before: UnixTime, attempts_before: UnixTime) -> Result<(), StoreError> {
        each!(self, store => store.sweep_people(seen_before, attempts_before).await)
    }

    /// Keeps an API token; one of the same name is replaced.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn create_api_token(&self, token: ApiToken, now: UnixTime) -> Result<(), StoreError> {
        each!(self, store => store.create_api_token(token, now).await)
    }

    /// Name and role of an API token by its hash.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn api_token(&self, hash: [u8; 32]) -> Result<Option<(String, Role)>, StoreError> {
        each!(self, store => store.api_token(hash).await)
    }
}
