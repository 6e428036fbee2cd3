//! The mesh's network: the only folder that names libp2p. It carries bytes, checks signatures, and decides nothing.
//!
//! [`gate`] turns strangers away in the transport, [`transport`] puts QUIC and TCP under it, [`codec`] writes the messages,
//! [`swarm`] drives the connections, [`supervisor`] begins the swarm again when it panics, [`ask`] is the joiner's side.

pub mod addresses;
pub mod ask;
pub mod check;
pub mod codec;
pub mod frame;
pub mod gate;
pub mod links;
pub mod supervisor;
pub mod swarm;
pub mod transport;

#[cfg(test)]
mod tests;

use everypath_protocol::id::{AgentId, PublicKey};
use everypath_protocol::sign::SecretKey;
use libp2p::PeerId;
use libp2p::identity::{Keypair, PublicKey as PeerKey, ed25519};

/// The name of this key in libp2p. Agents use one key for everything, so that the two can never come apart.
pub fn peer_of(agent: &AgentId) -> Option<PeerId> {
    let key = ed25519::PublicKey::try_from_bytes(&agent.0).ok()?;
    Some(PeerId::from_public_key(&PeerKey::from(key)))
}

/// The agent whose key a peer proved to hold; `None` for keys that are not Ed25519, which no member has.
pub fn agent_of(peer: &PeerId) -> Option<AgentId> {
    // Ed25519 keys are short enough to be carried whole in the name (multihash code 0).
    const IDENTITY: u64 = 0;
    let hash = libp2p::multihash::Multihash::from(*peer);
    if hash.code() != IDENTITY {
        return None;
    }
    let key = PeerKey::try_decode_protobuf(hash.digest()).ok()?.try_into_ed25519().ok()?;
    Some(PublicKey(key.to_bytes()).into())
}

/// The same key as libp2p wants it.
pub fn keypair(key: &SecretKey) -> Keypair {
    Keypair::ed25519_from_bytes(key.seed()).expect("32 bytes are a key")
}
