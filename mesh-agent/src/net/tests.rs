//! Several networks in one process, over loopback.

use super::gate::{self, Gate, Knock};
use super::supervisor::{Command, Network, NetworkConfig, NetworkHandle};
use super::*;
use crate::issuer::certify;
use crate::metrics::Metrics;
use crate::net::frame::{Opening, Reply};
use crate::trust::SharedTrust;
use everypath_protocol::join::{JoinAnswer, JoinRefusal, JoinRequest};
use everypath_protocol::mesh::Topic;
use everypath_protocol::sign::{self, Signer};
use everypath_protocol::token::TokenId;
use everypath_protocol::trust::{Credentials, Delegation, Trust, mesh_of, open_delegation};
use libp2p::core::Endpoint;
use libp2p::core::muxing::{StreamMuxerBox, StreamMuxerExt};
use libp2p::core::transport::{DialOpts, PortUse, Transport};
use mesh_agent_core::Input;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

struct Mesh {
    root: SecretKey,
    issuer: SecretKey,
}

/// An agent's network and what the driver would hold of it.
struct Node {
    agent: AgentId,
    metrics: Metrics,
    handle: NetworkHandle,
}

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

impl Mesh {
    fn new(seed: u8) -> Self {
        Self { root: key(seed), issuer: key(seed + 1) }
    }

    fn trust(&self, member: &SecretKey) -> SharedTrust {
        let mesh = mesh_of(&self.root.public());
        let delegation = Delegation { version: 1, issuers: vec![self.issuer.public()], config: Vec::new() };
        let delegation = sign::seal(delegation, mesh, &self.root).signed().clone();
        let delegation = open_delegation(&mesh, &self.root.public(), delegation, &sign::Ed25519).unwrap();
        let certificate = certify(member.public().into(), "a1", "alpha", mesh, &self.issuer).unwrap();
        SharedTrust::new(Trust::new(mesh, delegation), self.root.public(), certificate)
    }

    /// What is said when the mesh cannot listen there.
    async fn refused_at(&self, listen: &str) -> String {
        let member = key(11);
        let gate = Gate { trust: self.trust(&member), issuer: None, metrics: Metrics::new() };
        let (network, _handle) = Network::new(NetworkConfig::new(&member, listen.parse().unwrap(), gate));
        let (ready, is_ready) = oneshot::channel();
        tokio::spawn(network.run(ready));
        is_ready.await.unwrap().unwrap_err().to_string()
    }

    async fn node(&self, seed: u8, issuer: Option<mpsc::Sender<Knock>>) -> Node {
        let member = key(seed);
        let metrics = Metrics::new();
        let gate = Gate { trust: self.trust(&member), issuer, metrics: metrics.clone() };
        let (network, mut handle) = Network::new(NetworkConfig::new(&member, "127.0.0.1:0".parse().unwrap(), gate));
        let (ready, is_ready) = oneshot::channel();
        tokio::spawn(network.run(ready));
        is_ready.await.unwrap().unwrap();
        handle.listening.wait_for(|listening| listening.mesh.len() == 2).await.unwrap();
        Node { agent: member.public().into(), metrics, handle }
    }
}

impl Node {
    fn address(&self, part: &str) -> String {
        let listening = self.handle.listening.borrow();
        listening.mesh.iter().find(|address| address.contains(part)).unwrap().clone()
    }

    async fn dial(&self, other: &Self, part: &str) {
        let addresses = vec![other.address(part)];
        self.handle.commands.send(Command::Dial { agent: other.agent, addresses }).await.unwrap();
    }

    async fn next(&mut self) -> Input {
        loop {
            let next = tokio::time::timeout(Duration::from_secs(20), self.handle.events.recv());
            let input = next.await.expect("nothing happened for 20 seconds").unwrap();
            if !matches!(input, Input::AddressesChanged { .. }) {
                return input;
            }
        }
    }

    fn refused(&self, reason: &str) -> u64 {
        self.metrics.gate_refusals.with_label_values(&[reason]).get()
    }
}

/// A connection before any gate, as a stranger has it.
async fn knock(stranger: &SecretKey, address: &str) -> StreamMuxerBox {
    let mut transport = transport::raw(&keypair(stranger)).unwrap();
    let options = DialOpts { role: Endpoint::Dialer, port_use: PortUse::New };
    let mut dial = transport.dial(address.parse().unwrap(), options).unwrap();
    let connected = poll_fn(|cx| {
        let outcome = Pin::new(&mut dial).poll(cx);
        while outcome.is_pending() && Pin::new(&mut transport).poll(cx).is_ready() {}
        outcome
    });
    connected.await.unwrap().1
}

/// Says `words` on the first stream and returns all that comes back until the other end closes.
async fn say(mut muxer: StreamMuxerBox, words: Vec<u8>) -> Vec<u8> {
    use futures::{AsyncReadExt, AsyncWriteExt};
    let mut stream = poll_fn(|cx| {
        let stream = muxer.poll_outbound_unpin(cx);
        if stream.is_pending() && muxer.poll_unpin(cx).is_ready() {
            panic!("the connection ended");
        }
        stream
    })
    .await
    .unwrap();
    let mut heard = Vec::new();
    {
        let talk = async {
            let _ = stream.write_all(&words).await;
            let _ = stream.flush().await;
            let _ = stream.read_to_end(&mut heard).await;
        };
        let mut talk = std::pin::pin!(talk);
        poll_fn(|cx| {
            if talk.as_mut().poll(cx).is_ready() || muxer.poll_unpin(cx).is_ready() {
                return Poll::Ready(());
            }
            Poll::Pending
        })
        .await;
    }
    heard
}

async fn framed(opening: &impl serde::Serialize) -> Vec<u8> {
    let mut bytes = futures::io::Cursor::new(Vec::new());
    frame::write(&mut bytes, opening).await.unwrap();
    bytes.into_inner()
}

#[test]
fn an_agent_and_its_name_in_libp2p_are_one_key() {
    let agent = AgentId::from(key(1).public());
    let peer = peer_of(&agent).unwrap();
    assert_eq!(agent_of(&peer), Some(agent));
    assert_eq!(PeerId::from_public_key(&keypair(&key(1)).public()), peer);
    assert_eq!(agent_of(&PeerId::random()), None);
}

#[tokio::test]
async fn members_connect_and_exchange_over_quic_and_over_tcp() {
    let mesh = Mesh::new(1);
    for part in ["/quic", "/tcp/"] {
        let (mut one, mut two) = (mesh.node(10, None).await, mesh.node(11, None).await);
        one.dial(&two, part).await;
        assert_eq!(one.next().await, Input::PeerConnected(two.agent));
        assert_eq!(two.next().await, Input::PeerConnected(one.agent));
        let (first, last) = (AgentId([0; 32]), AgentId([255; 32]));
        let compare = Command::Compare { to: two.agent, first, last, holdings: Vec::new() };
        one.handle.commands.send(compare).await.unwrap();
        let Input::Compare { ticket, .. } = two.next().await else { panic!("no question arrived") };
        let wanted = vec![(one.agent, Topic::Member)];
        let respond = Command::Respond { ticket, newer: Vec::new(), wanted: wanted.clone() };
        two.handle.commands.send(respond).await.unwrap();
        assert_eq!(one.next().await, Input::Difference { from: two.agent, newer: Vec::new(), wanted });
        one.handle.commands.send(Command::Disconnect(two.agent)).await.unwrap();
        assert_eq!(one.next().await, Input::PeerDisconnected(two.agent));
        assert_eq!(two.next().await, Input::PeerDisconnected(one.agent));
    }
}

#[tokio::test]
async fn another_mesh_and_another_agent_at_the_address_are_refused() {
    let (mut one, other) = (Mesh::new(1).node(10, None).await, Mesh::new(50).node(11, None).await);
    one.dial(&other, "/quic").await;
    assert_eq!(one.next().await, Input::DialFailed(other.agent));
    // The other end refuses first: it is asked to believe in a mesh it does not know.
    assert_eq!(other.refused("other_mesh"), 1);
    let addresses = vec![other.address("/quic")];
    let agent = AgentId::from(key(12).public());
    one.handle.commands.send(Command::Dial { agent, addresses }).await.unwrap();
    assert_eq!(one.next().await, Input::DialFailed(agent));
    assert_eq!(one.refused("other_agent"), 1, "shown nothing to whoever answers in another's place");
}

#[tokio::test]
async fn a_stranger_is_told_nothing_and_no_behaviour_sees_it() {
    let mesh = Mesh::new(1);
    let node = mesh.node(10, None).await;
    let stranger = key(99);
    let Credentials { root, delegation, .. } = mesh.trust(&key(10)).credentials();
    // A certificate that it made for itself, and one that belongs to somebody else.
    let own = certify(stranger.public().into(), "x", "x", mesh_of(&root), &stranger).unwrap();
    let stolen = mesh.trust(&key(10)).credentials().certificate;
    for part in ["/quic", "/tcp/"] {
        for certificate in [own.clone(), stolen.clone()] {
            let shown = Credentials { root, delegation: delegation.clone(), certificate };
            let words = framed(&Opening::Member(shown)).await;
            assert_eq!(say(knock(&stranger, &node.address(part)).await, words).await, b"");
        }
        let words = framed(&7_u8).await;
        assert_eq!(say(knock(&stranger, &node.address(part)).await, words).await, b"");
    }
    assert_eq!((node.refused("stranger"), node.refused("malformed")), (4, 2));
    assert_eq!(node.metrics.gate_admissions.with_label_values(&["peer"]).get(), 0);
    assert_eq!(node.metrics.peers.get(), 0);
}

#[tokio::test]
async fn a_stranger_who_talks_too_much_or_not_at_all_is_cut_off() {
    let node = Mesh::new(1).node(10, None).await;
    let mut long = frame::MAGIC.to_vec();
    long.extend_from_slice(&u16::MAX.to_le_bytes());
    long.extend_from_slice(&[0; 60_000]);
    assert_eq!(say(knock(&key(99), &node.address("/quic")).await, long).await, b"");
    assert_eq!(node.refused("oversize"), 1);
    let silent = say(knock(&key(98), &node.address("/tcp/")).await, frame::MAGIC.to_vec());
    assert_eq!(tokio::time::timeout(gate::TIMEOUT * 2, silent).await.expect("cut off after 5 seconds"), b"");
    assert_eq!(node.refused("timeout"), 1);
}

#[tokio::test]
async fn an_issuer_answers_a_joiner_and_others_say_nothing() {
    let mesh = Mesh::new(1);
    let (knocks, mut knocked) = mpsc::channel::<Knock>(1);
    let (issuer, plain) = (mesh.node(10, Some(knocks)).await, mesh.node(11, None).await);
    tokio::spawn(async move {
        while let Some(knock) = knocked.recv().await {
            let _ = knock.answer.send(JoinAnswer::Refused(JoinRefusal::UsedUp));
        }
    });
    let joiner = key(99);
    let request = JoinRequest {
        token: TokenId([0; 8]),
        agent: joiner.public().into(),
        nonce: [0; 16],
        proof: [0; 32],
        name: "x".to_owned(),
        site: "x".to_owned(),
    };
    let request = sign::seal(request, mesh_of(&mesh.root.public()), &joiner).signed().clone();
    for part in ["/quic", "/tcp/"] {
        let answer = ask::ask(&issuer.address(part), &joiner, request.clone()).await.unwrap();
        assert_eq!(answer, JoinAnswer::Refused(JoinRefusal::UsedUp));
        let refused = ask::ask(&plain.address(part), &joiner, request.clone()).await.unwrap_err();
        assert!(matches!(refused, ask::AskError::Gate(_)), "{refused}");
    }
    assert_eq!(plain.refused("no_issuer"), 2);
    assert_eq!(issuer.metrics.peers.get(), 0);
    assert!(Reply::Join(JoinAnswer::Refused(JoinRefusal::UsedUp)) != Reply::Member(mesh.trust(&joiner).credentials()));
}

#[tokio::test]
async fn a_panic_of_the_swarm_restarts_it_on_the_same_ports() {
    let mesh = Mesh::new(1);
    let (mut one, mut two) = (mesh.node(10, None).await, mesh.node(11, None).await);
    let before = one.address("/quic");
    two.dial(&one, "/quic").await;
    assert_eq!(one.next().await, Input::PeerConnected(two.agent));
    assert_eq!(two.next().await, Input::PeerConnected(one.agent));

    one.handle.commands.send(Command::Panic).await.unwrap();
    assert_eq!(one.next().await, Input::PeerDisconnected(two.agent));
    assert_eq!(two.next().await, Input::PeerDisconnected(one.agent));
    assert_eq!(one.metrics.task_panics.with_label_values(&["swarm"]).get(), 1);

    // A swarm that works again answers orders; until then calls fail and are repeated, as the agent would.
    loop {
        two.dial(&one, "/quic").await;
        let input = two.next().await;
        if input == Input::PeerConnected(one.agent) {
            break;
        }
        assert_eq!(input, Input::DialFailed(one.agent));
    }
    assert_eq!(one.next().await, Input::PeerConnected(two.agent));
    assert_eq!(one.address("/quic"), before);
}

/// "cannot listen on /ip4/…/udp/7117/quic-v1: ." was all that was said: libp2p hides the cause behind an empty text.
#[tokio::test]
async fn a_mesh_that_cannot_listen_says_why_where_and_what_to_do() {
    let mesh = Mesh::new(1);
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    for (address, protocol) in [(udp.local_addr().unwrap(), "UDP"), (tcp.local_addr().unwrap(), "TCP")] {
        let said = mesh.refused_at(&address.to_string()).await;
        let begins =
            format!("the mesh cannot listen at {address} ({protocol}): Address already in use (os error 98). ");
        assert!(said.starts_with(&begins) && said.contains("ss -lntup"), "{said}");
    }
    // For documentation (RFC 5737): no host has it.
    let said = mesh.refused_at("203.0.113.5:7117").await;
    assert!(said.contains("Cannot assign requested address") && said.contains("ip address"), "{said}");
}
