//! The one value that says whom this process believes, shared by the gate, the swarm and the uplink. It only ever moves
//! forward: a newer delegation replaces an older one, and is written to disk by whoever watches.

use everypath_protocol::id::{AgentId, MeshId, PublicKey};
use everypath_protocol::sign::{Ed25519, Refused, Signed, Verified};
use everypath_protocol::trust::{Certificate, Credentials, Trust};
use std::sync::Arc;
use tokio::sync::watch;

/// See the module. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct SharedTrust {
    root: PublicKey,
    certificate: Signed,
    trust: Arc<watch::Sender<Trust>>,
}

impl SharedTrust {
    /// Begins with what the membership says.
    pub fn new(trust: Trust, root: PublicKey, certificate: Signed) -> Self {
        Self { root, certificate, trust: Arc::new(watch::Sender::new(trust)) }
    }

    /// The mesh.
    pub fn mesh(&self) -> MeshId {
        self.trust.borrow().mesh()
    }

    /// What is believed now. A copy, so that no lock is held while signatures are checked.
    pub fn current(&self) -> Trust {
        self.trust.borrow().clone()
    }

    /// What this agent shows of itself, with the newest delegation it has heard of.
    pub fn credentials(&self) -> Credentials {
        let delegation = self.trust.borrow().delegation().signed().clone();
        Credentials { root: self.root, delegation, certificate: self.certificate.clone() }
    }

    /// Checks what a peer shows, and learns from it.
    ///
    /// # Errors
    /// As [`Trust::admit`].
    pub fn admit(&self, agent: &AgentId, shown: Credentials) -> Result<Verified<Certificate>, Refused> {
        let mut copy = self.current();
        let certificate = copy.admit(agent, shown, &Ed25519)?;
        self.trust.send_if_modified(|trust| trust.renew(copy.delegation().clone()));
        Ok(certificate)
    }

    /// Tells of every newer delegation.
    pub fn watch(&self) -> watch::Receiver<Trust> {
        self.trust.subscribe()
    }
}
