//! The mesh that this aggregator founded: root → delegation → issuer, in files that only their owner can read.

use crate::files::{self, Reader};
use crate::random;
use everypath_protocol::codec;
use everypath_protocol::id::{AgentId, MeshId, PublicKey, hex, parse_hex32};
use everypath_protocol::sign::{self, Ed25519, SecretKey, Signed, Signer, Verified};
use everypath_protocol::time::UnixTime;
use everypath_protocol::trust::{
    CERTIFICATE_LIFE_US, Certificate, Credentials, Delegation, Trust, mesh_of, open_delegation,
};
use std::io;
use std::path::{Path, PathBuf};

const FOLDER: &str = "keys";
const DELEGATION_BYTES_MAX: usize = 4096;

/// Who the mesh is and what signs for it.
#[derive(Debug)]
pub struct Mesh {
    root: PublicKey,
    delegation: Verified<Delegation>,
    trust: Trust,
    issuer: SecretKey,
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
        Ok(Self { root, trust: Trust::new(mesh, delegation.clone()), delegation, issuer })
    }

    fn found(folder: &Path) -> Result<Self, MeshError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| MeshError::File { path, doing: "written", source }
        };
        files::make_private_folder(folder).map_err(failed(folder))?;
        let [root, issuer, config] = [(); 3].map(|()| SecretKey::from_seed(&random::bytes()));
        for (name, key) in [("root.key", &root), ("issuer.key", &issuer), ("config.key", &config)] {
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
        Ok(Self { root: root.public(), trust: Trust::new(mesh, delegation.clone()), delegation, issuer })
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
