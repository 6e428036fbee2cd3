//! Asking an issuing agent for a certificate: one connection, one question, no swarm.

use crate::net::gate::{self, GateError};
use crate::net::{keypair, transport};
use crate::text;
use everypath_protocol::join::JoinAnswer;
use everypath_protocol::sign::{SecretKey, Signed};
use libp2p::Multiaddr;
use libp2p::core::Endpoint;
use libp2p::core::transport::{DialOpts, PortUse, Transport};
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

/// To reach the address at all.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// It is not an address.
    #[error("it is not an address of the mesh (like /ip4/192.0.2.1/udp/7117/quic-v1)")]
    NotAnAddress,
    /// Nobody answers there.
    #[error("nobody answers there: {0}")]
    Unreachable(String),
    /// Somebody else answers there.
    #[error("another agent answers there than the one the token names")]
    OtherAgent,
    /// It does not answer the question.
    #[error("it gives no answer; it may not hold the issuer key ({0})")]
    Gate(#[from] GateError),
}

/// Asks at one address.
///
/// # Errors
/// See [`AskError`].
pub async fn ask(address: &str, key: &SecretKey, request: Signed) -> Result<JoinAnswer, AskError> {
    let address: Multiaddr = address.parse().map_err(|_| AskError::NotAnAddress)?;
    let expected = transport::peer_in(&address);
    let unreachable = |why: &(dyn std::error::Error + 'static)| AskError::Unreachable(in_one_line(&text::chain(why)));
    let mut transport = transport::raw(&keypair(key)).map_err(|why| unreachable(&why))?;
    let options = DialOpts { role: Endpoint::Dialer, port_use: PortUse::New };
    let mut dial = transport.dial(address, options).map_err(|why| unreachable(&why))?;
    let connecting = poll_fn(|cx| match Pin::new(&mut dial).poll(cx) {
        Poll::Ready(outcome) => Poll::Ready(outcome),
        Poll::Pending => {
            // A transport moves only when it is polled. Its events are about listeners, of which there are none.
            while Pin::new(&mut transport).poll(cx).is_ready() {}
            Poll::Pending
        }
    });
    let connected = tokio::time::timeout(CONNECT_MAX, connecting).await;
    let late = |_| AskError::Unreachable("no reply within 5 seconds".to_owned());
    let (peer, muxer) = connected.map_err(late)?.map_err(|why| unreachable(&why))?;
    if expected.is_some_and(|expected| expected != peer) {
        return Err(AskError::OtherAgent);
    }
    Ok(gate::ask(muxer, request).await?)
}

/// libp2p makes a heading and a list of causes, even of one.
fn in_one_line(text: &str) -> String {
    let causes = text.strip_prefix("Multiple dial errors occurred:").unwrap_or(text);
    let lines = causes.lines().map(|line| line.trim_start_matches([' ', '-']));
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}
