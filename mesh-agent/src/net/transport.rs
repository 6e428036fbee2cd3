//! QUIC and TCP (Noise, Yamux) as one transport, and the gate on top.

use crate::net::gate::{Gate, GateError};
use libp2p::core::ConnectedPoint;
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::{Boxed, OrTransport, Transport};
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId, dns, noise, quic, tcp, yamux};
use std::time::Duration;

/// A connection between strangers or members: encrypted, multiplexed, its peer's key proven.
pub type Muxed = (PeerId, StreamMuxerBox);

/// Streams that a peer may have open at a time. Exchanges are short; each open one costs memory on both ends.
pub const STREAMS_MAX: u32 = 32;
/// Unread bytes of one stream that the host keeps. An exchange is at most 64 KiB.
const STREAM_BYTES_MAX: u32 = 1_000_000;
/// Unread bytes of a whole connection. A stranger can fill this much for the 5 seconds before the gate closes.
const CONNECTION_BYTES_MAX: u32 = 2_000_000;
/// A quiet link says something this often, so that NAT entries and this end's idea of the peer stay fresh.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// A link that says nothing for this long is gone.
const IDLE_MAX_MS: u32 = 30_000;
/// Encryption and multiplexing must be agreed within this time; the gate has its own limit.
const HANDSHAKE_MAX: Duration = Duration::from_secs(5);

/// Both transports, without the gate: what a joiner uses, who cannot pass it yet.
///
/// # Errors
/// If no Noise key can be made for this identity.
pub fn raw(keypair: &Keypair) -> Result<Boxed<Muxed>, noise::Error> {
    // Names in addresses are a convenience; a host without a resolver still reaches numbers.
    match dns::tokio::Transport::system(numbers_only(keypair)?) {
        Ok(named) => Ok(named.boxed()),
        Err(why) => {
            tracing::warn!(%why, "this host's resolver cannot be used: mesh addresses with names will not be reached");
            numbers_only(keypair)
        }
    }
}

fn numbers_only(keypair: &Keypair) -> Result<Boxed<Muxed>, noise::Error> {
    let tcp = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true))
        .upgrade(Version::V1)
        .authenticate(noise::Config::new(keypair)?)
        .multiplex(yamux_config())
        .timeout(HANDSHAKE_MAX)
        .boxed();
    let quic = quic::tokio::Transport::new(quic_config(keypair))
        .map(|(peer, connection), _| (peer, StreamMuxerBox::new(connection)));
    Ok(OrTransport::new(quic, tcp).map(|either, _| either.into_inner()).boxed())
}

/// Both transports behind the gate: only members' connections come out.
pub fn gated(raw: Boxed<Muxed>, gate: Gate) -> Boxed<Muxed> {
    raw.and_then(move |(peer, muxer), endpoint| pass(gate, peer, muxer, endpoint)).boxed()
}

async fn pass(gate: Gate, peer: PeerId, muxer: StreamMuxerBox, endpoint: ConnectedPoint) -> Result<Muxed, GateError> {
    match endpoint {
        ConnectedPoint::Dialer { address, .. } => gate.pass_as_opener(peer, muxer, peer_in(&address)).await,
        ConnectedPoint::Listener { .. } => gate.pass_as_listener(peer, muxer).await,
    }
}

/// Whom an address names, if it does.
pub fn peer_in(address: &Multiaddr) -> Option<PeerId> {
    match address.iter().last() {
        Some(Protocol::P2p(peer)) => Some(peer),
        _ => None,
    }
}

fn quic_config(keypair: &Keypair) -> quic::Config {
    let mut config = quic::Config::new(keypair);
    config.handshake_timeout = HANDSHAKE_MAX;
    config.max_idle_timeout = IDLE_MAX_MS;
    config.keep_alive_interval = KEEP_ALIVE;
    config.max_concurrent_stream_limit = STREAMS_MAX;
    config.max_stream_data = STREAM_BYTES_MAX;
    config.max_connection_data = CONNECTION_BYTES_MAX;
    config
}

fn yamux_config() -> yamux::Config {
    let mut config = yamux::Config::default();
    config.set_max_num_streams(usize::try_from(STREAMS_MAX).unwrap_or(32));
    config
}
