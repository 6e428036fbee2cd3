//! Argon2id (RFC 9106), at most two at once: each takes 19 MiB and a core, and logins must not starve the rest.

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use tokio::sync::Semaphore;

/// Checks at the same time; further ones wait.
const AT_ONCE_MAX: usize = 2;
/// Longest password that is looked at. Hashing time grows with length.
pub const BYTES_MAX: usize = 1_024;

/// Fewest characters of a password that somebody chooses.
pub const CHARACTERS_MIN: usize = 10;

/// Whether somebody named `name` may choose this password.
///
/// # Errors
/// What is wrong with it, as a sentence.
pub fn check(name: &str, password: &str) -> Result<(), String> {
    if password.chars().count() < CHARACTERS_MIN {
        return Err(format!("The password must have at least {CHARACTERS_MIN} characters; a few words are easy to remember."));
    }
    if password.len() > BYTES_MAX {
        return Err(format!("The password must have at most {BYTES_MAX} bytes."));
    }
    if password.to_lowercase() == name.to_lowercase() {
        return Err("The password must not be the name of the account.".to_owned());
    }
    Ok(())
}

/// Hashes and checks passwords.
#[derive(Debug)]
pub struct Passwords {
    permits: Semaphore,
    /// What is checked when there is no such account, so that the answer takes as long.
    decoy: String,
}

impl Default for Passwords {
    fn default() -> Self {
        Self::new()
    }
}

impl Passwords {
    /// Ready to check.
    pub fn new() -> Self {
        Self { permits: Semaphore::new(AT_ONCE_MAX), decoy: hash_now(&crate::random::secret_text()) }
    }

    /// The PHC string of a password.
    pub async fn hash(&self, password: String) -> String {
        self.limited(move || hash_now(&password)).await
    }

    /// Whether `password` is the one that `stored` was made of. Without `stored` it is not, after the same time.
    pub async fn verify(&self, password: String, stored: Option<String>) -> bool {
        if password.len() > BYTES_MAX {
            return false;
        }
        let exists = stored.is_some();
        let stored = stored.unwrap_or_else(|| self.decoy.clone());
        self.limited(move || verify_now(&password, &stored)).await && exists
    }

    async fn limited<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let _permit = self.permits.acquire().await.expect("the semaphore is never closed");
        tokio::task::spawn_blocking(work).await.expect("hashing does not panic")
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

    #[test]
    fn short_ones_long_ones_and_names_are_refused() {
        assert_eq!(check("admin", "éééééééééé"), Ok(()));
        assert!(check("admin", "ééééééééé").is_err_and(|why| why.contains("10 characters")));
        assert!(check("admin", &"x".repeat(BYTES_MAX + 1)).is_err_and(|why| why.contains("1024 bytes")));
        assert!(check("Administrator", "administrator").is_err_and(|why| why.contains("name")));
    }

    #[tokio::test]
    async fn a_password_is_known_by_its_hash_alone() {
        let passwords = Passwords::new();
        let stored = passwords.hash("correct horse".to_owned()).await;
        assert!(stored.starts_with("$argon2id$"));
        assert!(passwords.verify("correct horse".to_owned(), Some(stored.clone())).await);
        assert!(!passwords.verify("battery staple".to_owned(), Some(stored.clone())).await);
        assert!(!passwords.verify("x".repeat(BYTES_MAX + 1), Some(stored)).await);
        assert!(!passwords.verify("correct horse".to_owned(), None).await);
        assert!(!passwords.verify("correct horse".to_owned(), Some("nonsense".to_owned())).await);
    }
}
