//! The data directory and the keys in it.

use crate::files::{self, FileError};
use everypath_protocol::id::{AgentId, hex, parse_hex32};
use everypath_protocol::ledger::IDENTITY_FILE;
use everypath_protocol::sign::{SecretKey, Signer};
use std::path::{Path, PathBuf};

/// This agent's own key.
pub const AGENT_KEY: &str = "agent.key";
/// The mesh's root key; only where the mesh was founded. It can be moved offline.
pub const ROOT_KEY: &str = "root.key";
/// The key that signs certificates; only on agents that admit others.
pub const ISSUER_KEY: &str = "issuer.key";
/// The key that signs configuration; only where the mesh was founded.
pub const CONFIG_KEY: &str = "config.key";

/// 64 hexadecimal digits and a line end; anything longer is not a key.
const KEY_FILE_BYTES_MAX: u64 = 128;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// See there.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file does not hold a key.
    #[error("{} does not hold a key (64 hexadecimal digits). Restore it from a backup, or remove it and join again as a new agent", path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
    },
    /// A member's key is gone.
    #[error("{} is missing, and without it this directory is no member's. Restore it from a backup, or remove membership.postcard and join again as a new agent", path.display())]
    Missing {
        /// Which.
        path: PathBuf,
    },
    /// The operating system has no random numbers.
    #[error("the operating system gives no random numbers: {0}")]
    NoRandom(#[from] getrandom::Error),
}

/// Where an agent keeps everything. Nothing outside it is ever written.
#[derive(Clone, Debug)]
pub struct StateDir {
    path: PathBuf,
}

impl StateDir {
    /// Makes the directory if it does not exist, and checks that it is private.
    ///
    /// # Errors
    /// As [`files::private_dir`].
    pub fn open(path: &Path) -> Result<Self, FileError> {
        files::private_dir(path)?;
        Ok(Self { path: path.to_owned() })
    }

    /// The path of a file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The key in the file `name`, if there is one.
    ///
    /// # Errors
    /// [`KeyError::File`] with the command that mends it if others can read the file.
    pub fn key(&self, name: &str) -> Result<Option<SecretKey>, KeyError> {
        let path = self.file(name);
        let Some(bytes) = files::read_private(&path, KEY_FILE_BYTES_MAX)? else { return Ok(None) };
        let seed = std::str::from_utf8(&bytes).ok().and_then(|text| parse_hex32(text.trim()));
        seed.map(|seed| Some(SecretKey::from_seed(&seed))).ok_or(KeyError::Malformed { path })
    }

    /// Draws a key and keeps it in the file `name`.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn make_key(&self, name: &str) -> Result<SecretKey, KeyError> {
        let key = SecretKey::from_seed(&random()?);
        let text = format!("{}\n", hex(&key.seed()));
        files::write_whole(&self.file(name), text.as_bytes(), 0o600)?;
        Ok(key)
    }

    /// This agent's key; drawn at the first call, the same ever after. Its public half lies beside it for programs that
    /// need to know whose directory this is.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn agent_key(&self) -> Result<SecretKey, KeyError> {
        let key = match self.key(AGENT_KEY)? {
            Some(key) => key,
            None => self.make_key(AGENT_KEY)?,
        };
        let public = format!("{}\n", AgentId::from(key.public()));
        let path = self.file(IDENTITY_FILE);
        if files::read_bounded(&path, KEY_FILE_BYTES_MAX)?.as_deref() != Some(public.as_bytes()) {
            files::write_whole(&path, public.as_bytes(), 0o644)?;
        }
        Ok(key)
    }
}

/// Random bytes from the operating system.
///
/// # Errors
/// If it has none.
pub fn random<const N: usize>() -> Result<[u8; N], getrandom::Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_key_is_made_once_is_private_and_its_public_half_lies_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(&dir.path().join("agent")).unwrap();
        let first = state.agent_key().unwrap().public();
        assert_eq!(state.agent_key().unwrap().public(), first);
        let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(state.file(AGENT_KEY)), 0o600);
        assert_eq!(mode(state.path().to_owned()), 0o700);
        let public = fs::read_to_string(state.file(IDENTITY_FILE)).unwrap();
        assert_eq!(AgentId::parse(public.trim()), Some(first.into()));
    }

    #[test]
    fn a_key_that_others_can_read_is_refused_with_the_command_that_mends_it() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(&dir.path().join("agent")).unwrap();
        state.agent_key().unwrap();
        let path = state.file(AGENT_KEY);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let refused = state.agent_key().unwrap_err().to_string();
        assert!(refused.contains(&format!("chmod 600 {}", path.display())), "{refused}");
    }

    #[test]
    fn a_damaged_key_is_never_replaced_silently() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(&dir.path().join("agent")).unwrap();
        files::write_whole(&state.file(AGENT_KEY), b"not a key\n", 0o600).unwrap();
        assert!(matches!(state.agent_key(), Err(KeyError::Malformed { .. })));
        assert_eq!(fs::read(state.file(AGENT_KEY)).unwrap(), b"not a key\n");
    }
}
