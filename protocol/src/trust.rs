//! Who may say what: root → delegation → issuer → certificate.
//!
//! The mesh is its root key, which may stay offline. The root signs a delegation that names the issuer and config keys.
//! Issuers sign one certificate for each agent. Rotating an online key is a new delegation; no agent enrols again.

use crate::id::{AgentId, MeshId, PublicKey};
use crate::mesh_config::MeshConfig;
use crate::sign::{self, Document, Refused, Scheme, Signed, Verified};
use crate::time::UnixTime;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Longest name of an agent or a site, in bytes.
pub const NAME_BYTES_MAX: usize = 64;
/// How long a certificate is good for, in microseconds: 30 days.
pub const CERTIFICATE_LIFE_US: i64 = 30 * 24 * 3_600 * 1_000_000;

/// Signed by the root: which online keys may do what.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Delegation {
    /// Strictly increasing; an older one never replaces a newer one.
    pub version: u32,
    /// May sign certificates.
    pub issuers: Vec<PublicKey>,
    /// May sign configuration.
    pub config: Vec<PublicKey>,
}

impl Document for Delegation {
    const KIND: u8 = 1;
    const VERSION: u8 = 1;
    const BYTES_MAX: usize = 2048;
}

/// Signed by an issuer: this key is an agent of the mesh, with this name, in this site.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Certificate {
    /// The agent.
    pub agent: AgentId,
    /// What people call it.
    pub name: String,
    /// Where it is.
    pub site: String,
    /// Drawn at random by the issuer.
    pub serial: u64,
    /// Issuer's clock when it was signed.
    pub not_before: UnixTime,
    /// Shown as `certificate_stale` afterwards; the wall clock alone never refuses a member.
    pub not_after: UnixTime,
}

impl Document for Certificate {
    const KIND: u8 = 2;
    const VERSION: u8 = 1;
    const BYTES_MAX: usize = 512;
}

/// Whether a name of an agent or a site can be used: it is shown in pages, terminals and file names.
pub fn is_valid_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.bytes().all(allowed)
}

/// What proves to a stranger that an agent is a member: everything but the mesh id, which the stranger knows.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Credentials {
    /// The root key; its SHA-256 is the mesh id.
    pub root: PublicKey,
    /// A [`Delegation`].
    pub delegation: Signed,
    /// A [`Certificate`].
    pub certificate: Signed,
}

/// The mesh whose statements are believed, and the newest delegation known.
#[derive(Clone, Debug)]
pub struct Trust {
    mesh: MeshId,
    delegation: Verified<Delegation>,
}

/// The mesh of a root key.
pub fn mesh_of(root: &PublicKey) -> MeshId {
    MeshId(sign::sha256(&[&root.0]))
}

/// Checks that `root` is the root of `mesh` and that it signed `delegation`.
///
/// # Errors
/// [`Refused::OtherMesh`] for another root, [`Refused::NotAllowed`] for another author, else as [`sign::open`].
pub fn open_delegation(
    mesh: &MeshId,
    root: &PublicKey,
    delegation: Signed,
    scheme: &impl Scheme,
) -> Result<Verified<Delegation>, Refused> {
    if mesh_of(root) != *mesh {
        return Err(Refused::OtherMesh);
    }
    if delegation.author != *root {
        return Err(Refused::NotAllowed);
    }
    sign::open(delegation, mesh, scheme)
}

impl Trust {
    /// Believes in `mesh` as `delegation` describes it.
    pub const fn new(mesh: MeshId, delegation: Verified<Delegation>) -> Self {
        Self { mesh, delegation }
    }

    /// The mesh.
    pub const fn mesh(&self) -> MeshId {
        self.mesh
    }

    /// The newest delegation.
    pub const fn delegation(&self) -> &Verified<Delegation> {
        &self.delegation
    }

    /// Takes `delegation` if it is newer. Returns whether it was.
    pub fn renew(&mut self, delegation: Verified<Delegation>) -> bool {
        let newer = delegation.document().version > self.delegation.document().version;
        if newer {
            self.delegation = delegation;
        }
        newer
    }

    /// Checks that an issuer of this mesh signed `certificate`, and that its names can be shown.
    ///
    /// # Errors
    /// [`Refused::NotAllowed`] if the author is no issuer or a name is not valid, else as [`sign::open`].
    pub fn open_certificate(
        &self,
        certificate: Signed,
        scheme: &impl Scheme,
    ) -> Result<Verified<Certificate>, Refused> {
        if !self.delegation.document().issuers.contains(&certificate.author) {
            return Err(Refused::NotAllowed);
        }
        let certificate: Verified<Certificate> = sign::open(certificate, &self.mesh, scheme)?;
        let Certificate { name, site, .. } = certificate.document();
        if is_valid_name(name) && is_valid_name(site) { Ok(certificate) } else { Err(Refused::NotAllowed) }
    }

    /// Checks that a config key of this mesh signed `config`, and that nothing in it is wrong. Whether it is newer is for the
    /// [`Ratchet`](crate::mesh_config::Ratchet).
    ///
    /// # Errors
    /// [`Refused::NotAllowed`] if the author has no config key or the document has faults, else as [`sign::open`].
    pub fn open_config(&self, config: Signed, scheme: &impl Scheme) -> Result<Verified<MeshConfig>, Refused> {
        if !self.delegation.document().config.contains(&config.author) {
            return Err(Refused::NotAllowed);
        }
        let config: Verified<MeshConfig> = sign::open(config, &self.mesh, scheme)?;
        if config.document().faults().is_empty() { Ok(config) } else { Err(Refused::NotAllowed) }
    }

    /// Checks what a peer showed of itself against its key, and learns a newer delegation from it.
    ///
    /// # Errors
    /// [`Refused::NotAllowed`] if the certificate is for another key than `agent`, else as the two checks above.
    pub fn admit(
        &mut self,
        agent: &AgentId,
        shown: Credentials,
        scheme: &impl Scheme,
    ) -> Result<Verified<Certificate>, Refused> {
        self.renew(open_delegation(&self.mesh, &shown.root, shown.delegation, scheme)?);
        let certificate = self.open_certificate(shown.certificate, scheme)?;
        if certificate.document().agent == *agent { Ok(certificate) } else { Err(Refused::NotAllowed) }
    }
}
