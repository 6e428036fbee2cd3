//! The mesh that this aggregator founded: root → delegation → issuer and config key, in files that only their owner can read.

use crate::files::{self, Reader};
use crate::random;
use crate::seal::SealKey;
use crate::store::Store;
use everypath_protocol::codec;
use everypath_protocol::id::{AgentId, MeshId, PublicKey, hex, parse_hex32};
use everypath_protocol::mesh_config::MeshConfig;
use everypath_protocol::sign::{self, Ed25519, SecretKey, Signed, Signer, Verified};
use everypath_protocol::time::UnixTime;
use everypath_protocol::trust::{
    CERTIFICATE_LIFE_US, Certificate, Credentials, Delegation, Trust, mesh_of, open_delegation,
};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};

/// Under which a database that is not shared names its mesh.
const SETTING: &str = "mesh";
/// Under which replicas share it.
const SECRET: &str = "mesh";
const SECRET_BYTES_MAX: usize = 8 * 1024;
const FOLDER: &str = "keys";
const ROOT_KEY: &str = "root.key";
const CONFIG_KEY: &str = "config.key";
const DELEGATION_BYTES_MAX: usize = 4096;

/// Who the mesh is and what signs for it.
#[derive(Debug)]
pub struct Mesh {
    root: PublicKey,
    delegation: Verified<Delegation>,
    trust: Trust,
    issuer: SecretKey,
    /// `None` where it is kept elsewhere.
    config: Option<SecretKey>,
}

/// Why the keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MeshError {
    /// A file cannot be read or written.
    #[error("the key file {} cannot be {doing}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// "read" or "written".
        doing: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A file holds something else than it should.
    #[error("the key file {} is damaged: {what}. Restore it from a backup; without it this mesh cannot be continued", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
}

impl Mesh {
    /// Reads the keys in `data_dir`, or founds a mesh and writes them.
    ///
    /// # Errors
    /// See [`MeshError`]. Keys that are there but cannot be used are never replaced.
    pub fn open_or_found(data_dir: &Path) -> Result<Self, MeshError> {
        let folder = data_dir.join(FOLDER);
        if folder.join("delegation").exists() { Self::open(data_dir) } else { Self::found(&folder) }
    }

    /// The mesh of the data directory that `store` is in. A database whose keys are gone is refused: with new ones no agent of it
    /// would be let in any more.
    ///
    /// # Errors
    /// See [`MeshError`]; also when the database holds another mesh, or cannot be asked.
    pub async fn alone(store: &Store, data_dir: &Path) -> anyhow::Result<Self> {
        let (folder, shown) = (data_dir.join(FOLDER), data_dir.display());
        let held = store.setting(SETTING).await?;
        let is_there = folder.join("delegation").exists();
        if let Some((held, _)) = held.as_ref().filter(|_| !is_there) {
            anyhow::bail!(
                "the database in {shown} holds mesh {held}, but there are no keys in {}; restore that folder from the same \
                 backup. A new mesh needs an empty data directory",
                folder.display()
            );
        }
        let mesh = Self::open_or_found(data_dir)?;
        let own = mesh.id().short().to_string();
        match held {
            Some((held, _)) if held != own => anyhow::bail!(
                "the keys in {} are of mesh {own}, but the database in {shown} holds mesh {held}; restore both from the same backup",
                folder.display()
            ),
            Some(_) => {}
            // Only this process has the file.
            None => drop(store.put_setting(SETTING, own, 0, UnixTime(0), None).await?),
        }
        Ok(mesh)
    }

    /// Reads the keys in `data_dir`.
    ///
    /// # Errors
    /// See [`MeshError`].
    pub fn open(data_dir: &Path) -> Result<Self, MeshError> {
        let folder = data_dir.join(FOLDER);
        let issuer = read_key(&folder.join("issuer.key"))?;
        let path = folder.join("delegation");
        let damaged = |what| MeshError::Damaged { path: path.clone(), what };
        let bytes =
            std::fs::read(&path).map_err(|source| MeshError::File { path: path.clone(), doing: "read", source })?;
        let signed: Signed = codec::decode(&bytes, DELEGATION_BYTES_MAX).map_err(|_| damaged("not a delegation"))?;
        let root = signed.author;
        let mesh = mesh_of(&root);
        let delegation = open_delegation(&mesh, &root, signed, &Ed25519)
            .map_err(|_| damaged("the root's signature is not valid"))?;
        if !delegation.document().issuers.contains(&issuer.public()) {
            return Err(damaged("it does not name the key in issuer.key"));
        }
        let config = optional_key(&folder, CONFIG_KEY)?;
        if config.as_ref().is_some_and(|key| !delegation.document().config.contains(&key.public())) {
            return Err(damaged("it does not name the key in config.key"));
        }
        Ok(Self { root, trust: Trust::new(mesh, delegation.clone()), delegation, issuer, config })
    }

    /// The mesh of all replicas on `store`; the first one founds it, or brings that of its data directory. That is how a mesh
    /// that began on SQLite moves to PostgreSQL.
    ///
    /// # Errors
    /// When the database cannot be asked or was sealed with another key, or the data directory holds another mesh.
    pub async fn shared(store: &Store, key: &SealKey, data_dir: &Path) -> anyhow::Result<Self> {
        let folder = data_dir.join(FOLDER);
        let own = folder.join("delegation").exists().then(|| Self::open(data_dir)).transpose()?;
        let candidate = match &own {
            Some(mesh) => Shared {
                issuer: mesh.issuer.seed(),
                root: optional_key(&folder, ROOT_KEY)?.map(|key| key.seed()),
                config: mesh.config.as_ref().map(SecretKey::seed),
                delegation: mesh.delegation.signed().clone(),
            },
            None => Shared::found(),
        };
        let bytes = key.share(store, SECRET, &codec::encode(&candidate)).await?;
        let mesh = Self::from_shared(&bytes)?;
        if let Some(own) = own
            && own.id() != mesh.id()
        {
            anyhow::bail!(
                "the keys in {} are of mesh {}, but the database holds mesh {}; move the folder away to serve the database's",
                folder.display(),
                own.id().short(),
                mesh.id().short()
            );
        }
        Ok(mesh)
    }

    /// The mesh of the replicas on `store`.
    ///
    /// # Errors
    /// As [`Self::shared`]; also when there is none.
    pub async fn of_store(store: &Store, key: &SealKey) -> anyhow::Result<Self> {
        Self::from_shared(&key.fetch(store, SECRET).await?)
    }

    fn from_shared(bytes: &[u8]) -> anyhow::Result<Self> {
        let damaged =
            |_| anyhow::anyhow!("the secret `mesh` in the database cannot be read; was it written by a newer version?");
        let shared: Shared = codec::decode(bytes, SECRET_BYTES_MAX).map_err(damaged)?;
        let (root, issuer) = (shared.delegation.author, SecretKey::from_seed(&shared.issuer));
        let mesh = mesh_of(&root);
        let delegation = open_delegation(&mesh, &root, shared.delegation, &Ed25519)
            .map_err(|_| anyhow::anyhow!("the delegation in the database is not signed by its root"))?;
        let config = shared.config.map(|seed| SecretKey::from_seed(&seed));
        Ok(Self { root, trust: Trust::new(mesh, delegation.clone()), delegation, issuer, config })
    }

    fn found(folder: &Path) -> Result<Self, MeshError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| MeshError::File { path, doing: "written", source }
        };
        files::make_private_folder(folder).map_err(failed(folder))?;
        let [root, issuer, config] = [(); 3].map(|()| SecretKey::from_seed(&random::bytes()));
        for (name, key) in [(ROOT_KEY, &root), ("issuer.key", &issuer), (CONFIG_KEY, &config)] {
            let path = folder.join(name);
            files::write_whole(&path, format!("{}\n", hex(&key.seed())).as_bytes(), Reader::Owner)
                .map_err(failed(&path))?;
        }
        let mesh = mesh_of(&root.public());
        let document = Delegation { version: 1, issuers: vec![issuer.public()], config: vec![config.public()] };
        let delegation = sign::seal(document, mesh, &root);
        // Written last: a mesh exists when its delegation does.
        let path = folder.join("delegation");
        files::write_whole(&path, &codec::encode(delegation.signed()), Reader::Owner).map_err(failed(&path))?;
        let trust = Trust::new(mesh, delegation.clone());
        Ok(Self { root: root.public(), trust, delegation, issuer, config: Some(config) })
    }

    /// Its id.
    pub const fn id(&self) -> MeshId {
        self.trust.mesh()
    }

    /// What is believed of signatures.
    pub const fn trust(&self) -> &Trust {
        &self.trust
    }

    /// Version of the delegation.
    pub const fn delegation_version(&self) -> u32 {
        self.delegation.document().version
    }

    /// The key that certificates are signed by.
    pub fn issuer(&self) -> PublicKey {
        self.issuer.public()
    }

    /// Signs a configuration, if the key for it is here.
    pub fn sign_config(&self, config: MeshConfig) -> Option<Verified<MeshConfig>> {
        self.config.as_ref().map(|key| sign::seal(config, self.id(), key))
    }

    /// Makes `agent` a member.
    pub fn certify(&self, agent: AgentId, name: String, site: String, now: UnixTime) -> Signed {
        let serial = u64::from_le_bytes(random::bytes());
        let not_after = UnixTime(now.0.saturating_add(CERTIFICATE_LIFE_US));
        let certificate = Certificate { agent, name, site, serial, not_before: now, not_after };
        sign::seal(certificate, self.id(), &self.issuer).signed().clone()
    }

    /// What a member shows to strangers.
    pub fn credentials(&self, certificate: Signed) -> Credentials {
        Credentials { root: self.root, delegation: self.delegation.signed().clone(), certificate }
    }
}

/// A mesh as replicas share it.
#[derive(Serialize, Deserialize)]
struct Shared {
    issuer: [u8; 32],
    /// `None` where it is kept elsewhere.
    root: Option<[u8; 32]>,
    /// Likewise.
    config: Option<[u8; 32]>,
    delegation: Signed,
}

impl Shared {
    fn found() -> Self {
        let [root, issuer, config] = [(); 3].map(|()| SecretKey::from_seed(&random::bytes()));
        let document = Delegation { version: 1, issuers: vec![issuer.public()], config: vec![config.public()] };
        let delegation = sign::seal(document, mesh_of(&root.public()), &root).signed().clone();
        Self { issuer: issuer.seed(), root: Some(root.seed()), config: Some(config.seed()), delegation }
    }
}

/// A key that may have been taken away to be kept elsewhere.
fn optional_key(folder: &Path, name: &str) -> Result<Option<SecretKey>, MeshError> {
    let path = folder.join(name);
    if path.exists() { read_key(&path).map(Some) } else { Ok(None) }
}

fn read_key(path: &Path) -> Result<SecretKey, MeshError> {
    let text = std::fs::read_to_string(path).map_err(|source| MeshError::File {
        path: path.to_owned(),
        doing: "read",
        source,
    })?;
    let seed = parse_hex32(text.trim());
    let seed = seed.ok_or_else(|| MeshError::Damaged { path: path.to_owned(), what: "not 64 hexadecimal digits" })?;
    Ok(SecretKey::from_seed(&seed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mesh_is_founded_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = Mesh::open_or_found(folder.path()).expect("founded");
        let second = Mesh::open_or_found(folder.path()).expect("read back");
        assert_eq!(first.id(), second.id());
        let certificate = first.certify(AgentId([1; 32]), "a".into(), "s".into(), UnixTime(0));
        assert!(second.trust().open_certificate(certificate, &Ed25519).is_ok());
    }

    #[tokio::test]
    async fn replicas_share_one_mesh_and_a_data_directory_can_bring_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        for name in ["db", "1", "2", "3"] {
            std::fs::create_dir(path(name)).expect("made");
        }
        crate::seal::make(&path("k")).expect("made");
        let key = SealKey::read(&path("k")).expect("read");
        let store = Store::open_sqlite(&path("db")).await.expect("opened");
        assert!(Mesh::of_store(&store, &key).await.is_err(), "nobody founded one");
        let brought = Mesh::open_or_found(&path("1")).expect("founded");
        let one = Mesh::shared(&store, &key, &path("1")).await.expect("brought");
        let two = Mesh::shared(&store, &key, &path("2")).await.expect("shared");
        assert_eq!((one.id(), two.id()), (brought.id(), brought.id()));
        let certificate = two.certify(AgentId([1; 32]), "a".into(), "s".into(), UnixTime(0));
        assert!(
            Mesh::of_store(&store, &key).await.expect("there").trust().open_certificate(certificate, &Ed25519).is_ok()
        );
        Mesh::open_or_found(&path("3")).expect("founded");
        let config = MeshConfig { version: 1, ..MeshConfig::usual() };
        let signed = two.sign_config(config).expect("the key was brought, too").signed().clone();
        assert!(one.trust().open_config(signed, &Ed25519).is_ok());
        let error = Mesh::shared(&store, &key, &path("3")).await.expect_err("another mesh").to_string();
        assert!(error.contains("move the folder away"), "{error}");
    }

    /// Somebody restored the database and forgot the folder beside it: a new mesh was founded in silence, and none of the agents
    /// was let in any more.
    #[tokio::test]
    async fn a_database_whose_keys_are_gone_or_others_is_refused() {
        let [here, elsewhere] = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
        let (keys, kept) = (here.path().join(FOLDER), elsewhere.path().join("kept"));
        let store = Store::open_sqlite(here.path()).await.expect("opened");
        let id = Mesh::alone(&store, here.path()).await.expect("founded").id();
        assert_eq!(Mesh::alone(&store, here.path()).await.expect("read").id(), id);
        std::fs::rename(&keys, &kept).expect("moved");
        let error = Mesh::alone(&store, here.path()).await.expect_err("no keys").to_string();
        assert!(error.contains("there are no keys in") && error.contains(&id.short().to_string()), "{error}");
        assert!(!keys.exists(), "nothing was founded");
        Mesh::open_or_found(elsewhere.path()).expect("founded");
        std::fs::rename(elsewhere.path().join(FOLDER), &keys).expect("moved");
        let error = Mesh::alone(&store, here.path()).await.expect_err("other keys").to_string();
        assert!(error.contains("restore both from the same backup"), "{error}");
        std::fs::rename(&keys, elsewhere.path().join("wrong")).expect("moved");
        std::fs::rename(&kept, &keys).expect("moved back");
        assert_eq!(Mesh::alone(&store, here.path()).await.expect("read").id(), id);
    }

    #[test]
    fn keys_are_for_their_owner_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        Mesh::open_or_found(folder.path()).expect("founded");
        for name in ["root.key", "issuer.key", "config.key", "delegation"] {
            let metadata = std::fs::metadata(folder.path().join("keys").join(name)).expect("exists");
            assert_eq!(metadata.permissions().mode() & 0o777, 0o600, "{name}");
        }
    }

    #[test]
    fn damaged_keys_are_an_error_and_stay_as_they_are() {
        let folder = tempfile::tempdir().expect("a folder");
        Mesh::open_or_found(folder.path()).expect("founded");
        let issuer = folder.path().join("keys/issuer.key");
        std::fs::write(&issuer, "oops").expect("written");
        let error = Mesh::open_or_found(folder.path()).expect_err("damaged").to_string();
        assert!(error.contains("issuer.key is damaged"), "{error}");
        assert_eq!(std::fs::read_to_string(&issuer).expect("still there"), "oops");
    }
}
