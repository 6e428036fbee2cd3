//! Argon2id (RFC 9106), at most two at once: each takes 19 MiB and a core, and logins must not starve the rest.

use super::queue::{Crowded, Queue};
use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use prometheus::IntCounter;

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
/// What is wrong with it, to be read behind its name.
pub fn check(name: &str, password: &str) -> Result<(), String> {
    if password.chars().count() < CHARACTERS_MIN {
        return Err(format!("must have at least {CHARACTERS_MIN} characters; a few words are easy to remember"));
    }
    if password.len() > BYTES_MAX {
        return Err(format!("must have at most {BYTES_MAX} bytes"));
    }
    if password.to_lowercase() == name.to_lowercase() {
        return Err("must not be the name of the account".to_owned());
    }
    Ok(())
}

/// Hashes and checks passwords.
#[derive(Debug)]
pub struct Passwords {
    queue: Queue,
    /// What is checked when there is no such account, so that the answer takes as long.
    decoy: String,
}

impl Passwords {
    /// Ready to check. Whoever is sent away is counted in `refused`.
    pub fn new(refused: IntCounter) -> Self {
        let queue = Queue::new(AT_ONCE_MAX, WAITING_MAX, refused);
        Self { queue, decoy: hash_now(&crate::random::secret_text()) }
    }

    /// The PHC string of a password. `source` is who asks, if that is not this program itself.
    ///
    /// # Errors
    /// [`Crowded`].
    pub async fn hash(&self, password: String, source: Option<&str>) -> Result<String, Crowded> {
        self.limited(source, move || hash_now(&password)).await
    }

    /// Whether `password`, which `source` sent, is the one that `stored` was made of. Without `stored` it is not, after the same time.
    ///
    /// # Errors
    /// [`Crowded`].
    pub async fn verify(&self, password: String, stored: Option<String>, source: &str) -> Result<bool, Crowded> {
        if password.len() > BYTES_MAX {
            return Ok(false);
        }
        let exists = stored.is_some();
        let stored = stored.unwrap_or_else(|| self.decoy.clone());
        Ok(self.limited(Some(source), move || verify_now(&password, &stored)).await? && exists)
    }

    async fn limited<T: Send + 'static>(
        &self,
        source: Option<&str>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Crowded> {
        let desk = self.queue.enter(source).await?;
        let done = tokio::task::spawn_blocking(move || {
            // Given back when the work is done, not when somebody stops waiting for it: closed connections would let in more.
            let _held = desk;
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
    use std::sync::Arc;

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
        let stored = passwords.hash("correct horse".to_owned(), None).await.expect("nobody else is here");
        assert!(stored.starts_with("$argon2id$"));
        let verify = async |password: &str, stored| passwords.verify(password.to_owned(), stored, "a").await;
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
            passwords.limited(None, move || wait.lock().is_ok_and(|wait| wait.recv().is_ok()))
        };
        let mut crowd: Vec<_> = (0..AT_ONCE_MAX + WAITING_MAX).map(|_| Box::pin(hold())).collect();
        for one in &mut crowd {
            assert!(futures::poll!(one).is_pending());
        }
        assert_eq!(passwords.hash("x".to_owned(), None).await, Err(Crowded::All));
        // Who waits and goes away makes room; who works does not, until the work is done.
        drop(crowd);
        assert_eq!(passwords.queue.free_in_tests(), (WAITING_MAX, 0));
        for _ in 0..AT_ONCE_MAX {
            go.send(()).expect("somebody waits");
        }
        assert!(passwords.hash("x".to_owned(), None).await.is_ok());
    }
}
