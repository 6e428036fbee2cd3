//! What replicas share in their database, the keys of the mesh and of TLS, is sealed with a key that is not in the database:
//! a copy of the database alone lets nobody speak for the mesh.
//!
//! AES-256-GCM (NIST SP 800-38D) with a random nonce; the name of the secret is authenticated, so that none can be put in the
//! place of another. A key seals some secrets in its life, far from where random nonces repeat.

use crate::files::{self, Reader};
use crate::random;
use crate::store::Store;
use anyhow::Context as _;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use everypath_protocol::id::{hex, parse_hex32};
use std::io;
use std::path::{Path, PathBuf};

/// The key that all replicas on one database are given.
#[derive(Clone)]
pub struct SealKey {
    key: [u8; 32],
    path: PathBuf,
}

impl std::fmt::Debug for SealKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "SealKey({})", self.path.display())
    }
}

impl SealKey {
    /// Reads a key as [`make`] writes it.
    ///
    /// # Errors
    /// When the file cannot be read or holds something else.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| {
            format!("while reading the key file {}; `aggregator keygen FILE` makes one", path.display())
        })?;
        let key = parse_hex32(text.trim());
        let key = key.with_context(|| format!("{} does not hold 64 hexadecimal digits", path.display()))?;
        Ok(Self { key, path: path.to_owned() })
    }

    /// The secret `name` that all replicas share: `own`, if nobody stored one before.
    ///
    /// # Errors
    /// When the database cannot be asked, or was sealed with another key.
    pub async fn share(&self, store: &Store, name: &'static str, own: &[u8]) -> anyhow::Result<Vec<u8>> {
        let sealed = store.secret(name, self.seal(name, own)).await?;
        self.open(name, &sealed).with_context(|| {
            format!(
                "the secret `{name}` in the database was not sealed with the key in {}; give every replica the same key file",
                self.path.display()
            )
        })
    }

    /// The secret `name`, if it is there.
    ///
    /// # Errors
    /// As [`Self::share`]; also when nothing is there.
    pub async fn fetch(&self, store: &Store, name: &'static str) -> anyhow::Result<Vec<u8>> {
        let sealed = store.stored_secret(name).await?;
        let sealed = sealed.context("there is no mesh in this database yet; has `aggregator serve` run on it?")?;
        self.open(name, &sealed).with_context(|| {
            format!("the secret `{name}` in the database was not sealed with the key in {}", self.path.display())
        })
    }

    fn cipher(&self) -> LessSafeKey {
        LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &self.key).expect("the length is that of the algorithm"))
    }

    /// Seals what only its owner may open again, under a name.
    ///
    /// # Panics
    /// Never: the algorithm takes 64 GiB.
    pub fn seal(&self, name: &str, plain: &[u8]) -> Vec<u8> {
        let nonce: [u8; NONCE_LEN] = random::bytes();
        let mut body = plain.to_vec();
        let unique = Nonce::assume_unique_for_key(nonce);
        self.cipher()
            .seal_in_place_append_tag(unique, Aad::from(name.as_bytes()), &mut body)
            .expect("a few kilobytes are within the limit of the algorithm");
        let mut sealed = nonce.to_vec();
        sealed.append(&mut body);
        sealed
    }

    /// What was sealed under this name; nothing if it was sealed with another key or under another name.
    pub fn open(&self, name: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, body) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut body = body.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plain = self.cipher().open_in_place(nonce, Aad::from(name.as_bytes()), &mut body).ok()?;
        Some(plain.to_vec())
    }
}

/// The key in a file, which is made unless it is there. Whoever makes it at the same moment gets the same one.
///
/// # Errors
/// When the file can be neither made nor read.
pub fn find_or_make(path: &Path) -> anyhow::Result<SealKey> {
    let written = files::write_new(path, fresh().as_bytes(), Reader::Owner);
    if let Err(error) = written
        && error.kind() != io::ErrorKind::AlreadyExists
    {
        return Err(error).with_context(|| format!("while writing {}", path.display()));
    }
    SealKey::read(path)
}

fn fresh() -> String {
    let key: [u8; 32] = random::bytes();
    format!("{}\n", hex(&key))
}

/// Writes a new key for its owner only; never over a file.
///
/// # Errors
/// When the file is there already or cannot be written.
pub fn make(path: &Path) -> anyhow::Result<()> {
    let shown = path.display();
    anyhow::ensure!(
        !path.is_dir(),
        "{shown} is a directory; name a file in it, such as {}",
        path.join("seal.key").display()
    );
    anyhow::ensure!(
        !path.exists(),
        "{shown} is there already and is never written over: what was sealed with the key in it can be opened with no other. Use \
         it as it is, or name another file"
    );
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()) {
        let folder = folder.display();
        anyhow::bail!("the directory {folder} does not exist; make it first: mkdir -p {folder}");
    }
    files::write_new(path, fresh().as_bytes(), Reader::Owner)
        .with_context(|| format!("while writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn store(folder: &Path) -> Store {
        Store::open_sqlite(folder).await.expect("opened")
    }

    fn key(folder: &Path, name: &str) -> SealKey {
        make(&folder.join(name)).expect("made");
        SealKey::read(&folder.join(name)).expect("read back")
    }

    #[tokio::test]
    async fn the_first_replica_decides_and_the_others_read_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let (store, key) = (store(folder.path()).await, key(folder.path(), "k"));
        assert!(key.fetch(&store, "mesh").await.is_err(), "a reader makes nothing");
        assert_eq!(key.share(&store, "mesh", b"first").await.expect("shared"), b"first");
        assert_eq!(key.share(&store, "mesh", b"second").await.expect("shared"), b"first");
        assert_eq!(key.fetch(&store, "mesh").await.expect("there"), b"first");
    }

    #[tokio::test]
    async fn another_key_or_another_name_opens_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let (store, one, two) = (store(folder.path()).await, key(folder.path(), "1"), key(folder.path(), "2"));
        one.share(&store, "mesh", b"secret").await.expect("shared");
        let error = format!("{:#}", two.share(&store, "mesh", b"other").await.expect_err("another key"));
        assert!(error.contains("not sealed with the key in") && error.contains("/2"), "{error}");
        assert_eq!(one.open("tls", &one.seal("mesh", b"x")), None);
        let mut bytes = one.seal("mesh", b"x");
        bytes[NONCE_LEN] ^= 1;
        assert_eq!(one.open("mesh", &bytes), None);
        assert_eq!(one.open("mesh", &[]), None);
    }

    #[test]
    fn where_no_key_can_be_it_says_where_one_can() {
        let folder = tempfile::tempdir().expect("a folder");
        let said = |path: &Path| format!("{:#}", make(path).expect_err("refused"));
        let missing = folder.path().join("not/there");
        assert!(said(&missing.join("k")).contains(&format!("make it first: mkdir -p {}", missing.display())));
        assert!(said(folder.path()).contains("is a directory; name a file in it"));
        std::fs::write(folder.path().join("k"), "x").expect("written");
        assert!(said(&folder.path().join("k")).contains("Use it as it is, or name another file"));
    }

    /// Two first channels at the same moment once made a key each: what was sealed with one could not be opened after a restart.
    #[test]
    fn all_who_make_a_key_at_once_get_the_one_that_is_kept() {
        for _ in 0..20 {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("k");
            let made: Vec<SealKey> = std::thread::scope(|scope| {
                let makers: Vec<_> = (0..8).map(|_| scope.spawn(|| find_or_make(&path).expect("made"))).collect();
                makers.into_iter().map(|maker| maker.join().expect("no panic")).collect()
            });
            let kept = SealKey::read(&path).expect("there");
            assert!(made.iter().all(|key| kept.open("x", &key.seal("x", b"secret")).is_some()));
        }
    }

    #[test]
    fn a_key_is_never_written_over_a_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("k");
        make(&path).expect("made");
        let before = std::fs::read(&path).expect("there");
        assert!(make(&path).is_err());
        assert_eq!(std::fs::read(&path).expect("there"), before);
        assert!(
            !format!("{:?}", SealKey::read(&path).expect("read")).contains(String::from_utf8_lossy(&before).trim())
        );
    }
}
