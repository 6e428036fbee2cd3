//! Argon2id (RFC 9106), at most two at once: each takes 19 MiB and a core, and logins must not starve the rest.

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use prometheus::IntCounter;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Checks at the same time; further ones wait.
const AT_ONCE_MAX: usize = 2;
/// As many may wait: about two seconds of work. Whoever comes then is told to come again.
const WAITING_MAX: usize = 64;
/// Longest password that is looked at. Hashing time grows with length.
pub const BYTES_MAX: usize = 1_024;

/// Fewest characters of a password that somebody chooses (NIST SP 800-63B asks for eight; ten leave guessing at ten a quarter of
/// an hour no chance).
const CHARACTERS_MIN: usize = 10;

/// Whether somebody named `name` may choose this password.
///
/// # Errors
/// What is wrong with it, as a sentence.
pub fn check(name: &str, password: &str) -> Result<(), String> {
    if password.chars().count() < CHARACTERS_MIN {
        return Err(format!(
            "The password must have at least {CHARACTERS_MIN} characters; a few words are easy to remember."
        ));
    }
    if password.len() > BYTES_MAX {
        return Err(format!("The password must have at most {BYTES_MAX} bytes."));
    }
    if password.to_lowercase() == name.to_lowercase() {
        return Err("The password must not be the name of the account.".to_owned());
    }
    Ok(())
}

/// Too many passwords wait to be checked; nothing was done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("too many passwords wait to be checked; try again in a moment")]
pub struct Crowded;

/// Hashes and checks passwords.
#[derive(Debug)]
pub struct Passwords {
    /// Whoever works or waits.
    places: Arc<Semaphore>,
    /// Whoever works.
    desks: Arc<Semaphore>,
    /// What is checked when there is no such account, so that the answer takes as long.
    decoy: String,
    /// Counts whoever was sent away.
    refused: IntCounter,
}

impl Passwords {
    /// Ready to check. Whoever is sent away is counted in `refused`.
    pub fn new(refused: IntCounter) -> Self {
        let places = Arc::new(Semaphore::new(AT_ONCE_MAX + WAITING_MAX));
        let desks = Arc::new(Semaphore::new(AT_ONCE_MAX));
        Self { places, desks, decoy: hash_now(&crate::random::secret_text()), refused }
    }

    /// The PHC string of a password.
    ///
    /// # Errors
    /// [`Crowded`].
    pub async fn hash(&self, password: String) -> Result<String, Crowded> {
        self.limited(move || hash_now(&password)).await
    }

    /// Whether `password` is the one that `stored` was made of. Without `stored` it is not, after the same time.
    ///
    /// # Errors
    /// [`Crowded`].
    pub async fn verify(&self, password: String, stored: Option<String>) -> Result<bool, Crowded> {
        if password.len() > BYTES_MAX {
            return Ok(false);
        }
        let exists = stored.is_some();
        let stored = stored.unwrap_or_else(|| self.decoy.clone());
        Ok(self.limited(move || verify_now(&password, &stored)).await? && exists)
    }

    async fn limited<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Crowded> {
        let place = self.places.clone().try_acquire_owned().map_err(|_| {
            self.refused.inc();
            Crowded
        })?;
        let desk = self.desks.clone().acquire_owned().await.expect("the semaphore is never closed");
        let done = tokio::task::spawn_blocking(move || {
            // Given back when the work is done, not when somebody stops waiting for it: closed connections would let in more.
            let _held = (place, desk);
            work()
        });
        Ok(done.await.expect("hashing does not panic"))
    }
}

fn hash_now(password: &str) -> String {
    let hash = Argon2::default().hash_password(password.as_bytes());
    hash.expect("the default parameters are valid and the password is short").to_string()
}

fn verify_now(password: &str, stored: &str) -> bool {
    PasswordHash::new(stored)
        .is_ok_and(|stored| Argon2::default().verify_password(password.as_bytes(), &stored).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passwords() -> Passwords {
        Passwords::new(IntCounter::new("refused", "for the test").expect("a valid name"))
    }

    #[test]
    fn short_ones_long_ones_and_names_are_refused() {
        assert_eq!(check("admin", "éééééééééé"), Ok(()));
        assert!(check("admin", "ééééééééé").is_err_and(|why| why.contains("10 characters")));
        assert!(check("admin", &"x".repeat(BYTES_MAX + 1)).is_err_and(|why| why.contains("1024 bytes")));
        assert!(check("Administrator", "administrator").is_err_and(|why| why.contains("name")));
    }

    #[tokio::test]
    async fn a_password_is_known_by_its_hash_alone() {
        let passwords = passwords();
        let stored = passwords.hash("correct horse".to_owned()).await.expect("nobody else is here");
        assert!(stored.starts_with("$argon2id$"));
        let verify = async |password: &str, stored| passwords.verify(password.to_owned(), stored).await;
        assert_eq!(verify("correct horse", Some(stored.clone())).await, Ok(true));
        assert_eq!(verify("battery staple", Some(stored.clone())).await, Ok(false));
        assert_eq!(verify(&"x".repeat(BYTES_MAX + 1), Some(stored)).await, Ok(false));
        assert_eq!(verify("correct horse", None).await, Ok(false));
        assert_eq!(verify("correct horse", Some("nonsense".to_owned())).await, Ok(false));
    }

    #[tokio::test]
    async fn a_crowd_is_sent_away_and_nobody_works_who_has_no_desk() {
        let passwords = passwords();
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let wait = Arc::new(std::sync::Mutex::new(wait));
        let hold = || {
            let wait = wait.clone();
            passwords.limited(move || wait.lock().is_ok_and(|wait| wait.recv().is_ok()))
        };
        let mut crowd: Vec<_> = (0..AT_ONCE_MAX + WAITING_MAX).map(|_| Box::pin(hold())).collect();
        for one in &mut crowd {
            assert!(futures::poll!(one).is_pending());
        }
        assert_eq!(passwords.hash("x".to_owned()).await, Err(Crowded));
        assert_eq!(passwords.refused.get(), 1);
        // Who waits and goes away makes room; who works does not, until the work is done.
        drop(crowd);
        assert_eq!(passwords.places.available_permits(), WAITING_MAX);
        assert_eq!(passwords.desks.available_permits(), 0);
        for _ in 0..AT_ONCE_MAX {
            go.send(()).expect("somebody waits");
        }
        assert!(passwords.hash("x".to_owned()).await.is_ok());
    }
}
