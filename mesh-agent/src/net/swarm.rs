//! One life of the swarm: from opened sockets to the end of the process or a panic.

use crate::metrics::Metrics;
use crate::net::addresses::{self, OwnBridges};
use crate::net::check::Checker;
use crate::net::codec::{ExchangeCodec, PROTOCOL};
use crate::net::links::Links;
use crate::net::supervisor::{Command, ListenError, Listening, NetworkConfig};
use crate::net::{agent_of, peer_of, transport};
use crate::text;
use everypath_protocol::id::AgentId;
use everypath_protocol::mesh::{Request, Response};
use futures::StreamExt;
use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::request_response::{
    self as exchange, OutboundFailure, OutboundRequestId, ProtocolSupport, ResponseChannel,
};
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{DialError, NetworkBehaviour, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Swarm};
use mesh_agent_core::Input;
use mesh_agent_core::effect::ReplyTicket;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::pin::Pin;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Connections that strangers may have under way. More are closed before a byte is read.
const PENDING_IN_MAX: u32 = 32;
/// Calls under way.
const PENDING_OUT_MAX: u32 = 16;
/// Of one member: two for the moment in which both call each other.
const PER_PEER_MAX: u32 = 2;
/// Of all members; an agent keeps about 12.
const ESTABLISHED_MAX: u32 = 64;
/// An exchange must be answered within this time.
const EXCHANGE_MAX: Duration = Duration::from_secs(10);
/// Links are kept for days even when nothing is said on them; the agent decides which ones it wants.
const IDLE_MAX: Duration = Duration::from_secs(7 * 24 * 3_600);
/// Questions of peers that may wait for our answer; a peer whose question is dropped sees a failed exchange and asks again.
const TICKETS_MAX: usize = 256;
/// Exchanges that time out one after the other before the connection is taken for dead; TCP would take minutes to notice.
const TIMEOUTS_MAX: u32 = 2;
/// While no member is connected the bootstrap addresses are called this often.
const BOOTSTRAP_EVERY: Duration = Duration::from_secs(10);
/// Addresses of several interfaces come one by one; this long after the first all are told at once.
const ADDRESSES_SETTLE: Duration = Duration::from_millis(50);

/// What runs on every connection.
#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    limits: connection_limits::Behaviour,
    exchange: exchange::Behaviour<ExchangeCodec>,
}

/// Why a swarm ended without a panic.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ended {
    /// The process ends.
    Done,
    /// A listening socket was lost; another swarm opens it again.
    SocketClosed,
}

/// What outlives one swarm.
#[derive(Debug)]
pub struct Session {
    /// This agent.
    pub own: AgentId,
    /// Who is connected.
    pub links: Links,
    /// To the driver.
    pub events: mpsc::Sender<Input>,
    /// Where it listens.
    pub listening: watch::Sender<Listening>,
    /// Checks what peers say.
    pub checker: Checker,
    /// Counters.
    pub metrics: Metrics,
    /// See [`NetworkConfig::advertise`].
    pub advertise: Vec<IpAddr>,
    /// See [`NetworkConfig::bootstrap`].
    pub bootstrap: Vec<Multiaddr>,
}

/// Opens the sockets.
///
/// # Errors
/// [`ListenError`] with the address that could not be had.
pub(crate) fn build(config: &NetworkConfig, wanted: &[Multiaddr]) -> Result<Swarm<Behaviour>, ListenError> {
    let failed = |(address, protocol), why: &(dyn std::error::Error + 'static)| ListenError {
        address,
        protocol,
        why: text::chain(why),
    };
    let raw = transport::raw(&config.keypair).map_err(|why| failed((config.listen, "TCP"), &why))?;
    let limits = ConnectionLimits::default()
        .with_max_pending_incoming(Some(PENDING_IN_MAX))
        .with_max_pending_outgoing(Some(PENDING_OUT_MAX))
        .with_max_established_per_peer(Some(PER_PEER_MAX))
        .with_max_established(Some(ESTABLISHED_MAX));
    let behaviour = Behaviour {
        limits: connection_limits::Behaviour::new(limits),
        exchange: exchange::Behaviour::new(
            [(PROTOCOL, ProtocolSupport::Full)],
            exchange::Config::default().with_request_timeout(EXCHANGE_MAX),
        ),
    };
    let settings =
        libp2p::swarm::Config::with_tokio_executor().with_idle_connection_timeout(IDLE_MAX).with_smart_dial();
    let own = PeerId::from_public_key(&config.keypair.public());
    let mut swarm = Swarm::new(transport::gated(raw, config.gate.clone()), behaviour, own, settings);
    for address in wanted {
        let place = || addresses::socket_of(address).unwrap_or((config.listen, "UDP"));
        swarm.listen_on(address.clone()).map_err(|why| failed(place(), &why))?;
    }
    Ok(swarm)
}

/// What is known only while one swarm lives.
struct Life {
    swarm: Swarm<Behaviour>,
    tickets: BTreeMap<ReplyTicket, ResponseChannel<Response>>,
    next_ticket: ReplyTicket,
    asked: BTreeMap<OutboundRequestId, AgentId>,
    timeouts: BTreeMap<AgentId, u32>,
}

impl Session {
    /// Serves until the driver lets go of its end. `wanted` is kept at the addresses really listened on, so that a later
    /// life gets the same ports.
    pub(crate) async fn serve(
        &mut self,
        swarm: Swarm<Behaviour>,
        commands: &mut mpsc::Receiver<Command>,
        wanted: &mut [Multiaddr; 2],
    ) -> Ended {
        let mut life =
            Life { swarm, tickets: BTreeMap::new(), next_ticket: 1, asked: BTreeMap::new(), timeouts: BTreeMap::new() };
        let mut bootstrap = tokio::time::interval(BOOTSTRAP_EVERY);
        let mut settle: Option<Pin<Box<tokio::time::Sleep>>> = None;
        loop {
            let settled = async {
                match settle.as_mut() {
                    Some(timer) => timer.await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                event = life.swarm.select_next_some() => {
                    if let SwarmEvent::NewListenAddr { .. } | SwarmEvent::ExpiredListenAddr { .. } = event {
                        settle.get_or_insert_with(|| Box::pin(tokio::time::sleep(ADDRESSES_SETTLE)));
                    }
                    if let SwarmEvent::ListenerClosed { addresses, reason, .. } = &event {
                        tracing::error!(?addresses, ?reason, "a socket of the mesh closed; all are opened again");
                        return Ended::SocketClosed;
                    }
                    self.hear(&mut life, event).await;
                }
                command = commands.recv() => match command {
                    Some(command) => self.obey(&mut life, command).await,
                    None => return Ended::Done,
                },
                _ = bootstrap.tick() => self.call_bootstrap(&mut life),
                () = settled => {
                    settle = None;
                    let listening = life.swarm.listeners().cloned().collect();
                    self.tell_addresses(listening, OwnBridges::of_host(), wanted).await;
                }
            }
        }
    }

    async fn say(&self, input: Input) {
        // The driver is gone only when the process ends.
        let _ = self.events.send(input).await;
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the library adds events; what is not named here needs no answer"
    )]
    async fn hear(&mut self, life: &mut Life, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(BehaviourEvent::Exchange(event)) => self.hear_exchange(life, event).await,
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                let Some(agent) = agent_of(&peer_id) else { return };
                let established = self.links.established(agent, connection_id, endpoint.is_dialer());
                for surplus in established.surplus {
                    life.swarm.close_connection(surplus);
                }
                if established.is_first {
                    self.metrics.peers.inc();
                    self.say(Input::PeerConnected(agent)).await;
                }
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, .. } => {
                let Some(agent) = agent_of(&peer_id) else { return };
                if self.links.closed(agent, connection_id) {
                    life.timeouts.remove(&agent);
                    self.metrics.peers.dec();
                    self.say(Input::PeerDisconnected(agent)).await;
                }
            }
            SwarmEvent::OutgoingConnectionError { peer_id: Some(peer), error, .. } => {
                let Some(agent) = agent_of(&peer).filter(|agent| !self.links.leads_to(agent)) else { return };
                if !matches!(error, DialError::DialPeerConditionFalse(_)) {
                    tracing::debug!(agent.id = %agent.short(), %error, "a member could not be reached");
                    self.say(Input::DialFailed(agent)).await;
                }
            }
            // The rest is of interest when looking for a fault, and nothing follows from it.
            other => tracing::trace!(event = ?other, "swarm"),
        }
    }

    async fn hear_exchange(&mut self, life: &mut Life, event: exchange::Event<Request, Response>) {
        match event {
            exchange::Event::Message { peer, message, .. } => {
                let Some(agent) = agent_of(&peer) else { return };
                match message {
                    exchange::Message::Request { request, channel, .. } => {
                        self.hear_request(life, request, channel).await;
                    }
                    exchange::Message::Response { request_id, response } => {
                        life.asked.remove(&request_id);
                        life.timeouts.remove(&agent);
                        if let Response::Difference { newer, wanted } = response {
                            let newer = self.checker.statements(newer);
                            self.say(Input::Difference { from: agent, newer, wanted }).await;
                        }
                    }
                }
            }
            exchange::Event::OutboundFailure { peer, request_id, error, .. } => {
                let Some(agent) = life.asked.remove(&request_id).or_else(|| agent_of(&peer)) else { return };
                tracing::debug!(agent.id = %agent.short(), %error, "an exchange failed");
                if matches!(error, OutboundFailure::Timeout) {
                    let timeouts = life.timeouts.entry(agent).or_default();
                    *timeouts += 1;
                    if *timeouts >= TIMEOUTS_MAX {
                        let _ = life.swarm.disconnect_peer_id(peer);
                    }
                }
                self.say(Input::ExchangeFailed(agent)).await;
            }
            // The peer sees the failure of its own question and asks again when it wants to.
            exchange::Event::InboundFailure { .. } | exchange::Event::ResponseSent { .. } => {}
        }
    }

    async fn hear_request(&mut self, life: &mut Life, request: Request, channel: ResponseChannel<Response>) {
        match request {
            Request::Compare { first, last, holdings } => {
                life.tickets.retain(|_, waiting| waiting.is_open());
                if life.tickets.len() >= TICKETS_MAX {
                    self.metrics.queue_full.with_label_values(&["tickets"]).inc();
                    return;
                }
                let ticket = life.next_ticket;
                life.next_ticket += 1;
                life.tickets.insert(ticket, channel);
                self.say(Input::Compare { ticket, first, last, holdings }).await;
            }
            Request::Give { documents } => {
                let statements = self.checker.statements(documents);
                let _ = life.swarm.behaviour_mut().exchange.send_response(channel, Response::Taken);
                if !statements.is_empty() {
                    self.say(Input::Statements(statements)).await;
                }
            }
        }
    }

    async fn obey(&mut self, life: &mut Life, command: Command) {
        match command {
            Command::Dial { agent, addresses } => {
                if !self.dial(life, agent, &addresses) {
                    self.say(Input::DialFailed(agent)).await;
                }
            }
            Command::Disconnect(agent) => {
                if let Some(peer) = peer_of(&agent) {
                    let _ = life.swarm.disconnect_peer_id(peer);
                }
            }
            Command::Compare { to, first, last, holdings } => {
                self.ask(life, to, Request::Compare { first, last, holdings }).await;
            }
            Command::Give { to, documents } => self.ask(life, to, Request::Give { documents }).await,
            Command::Respond { ticket, newer, wanted } => {
                if let Some(channel) = life.tickets.remove(&ticket) {
                    let response = Response::Difference { newer, wanted };
                    let _ = life.swarm.behaviour_mut().exchange.send_response(channel, response);
                }
            }
            #[cfg(test)]
            Command::Panic => panic!("as asked by a test"),
        }
    }

    async fn ask(&self, life: &mut Life, to: AgentId, request: Request) {
        match peer_of(&to).filter(|_| self.links.leads_to(&to)) {
            Some(peer) => {
                let asked = life.swarm.behaviour_mut().exchange.send_request(&peer, request);
                life.asked.insert(asked, to);
            }
            // Sending would make libp2p call the peer by itself; whom to call is the agent's decision.
            None => self.say(Input::ExchangeFailed(to)).await,
        }
    }

    /// Whether a call is under way or not needed.
    fn dial(&self, life: &mut Life, agent: AgentId, addresses: &[String]) -> bool {
        if self.links.leads_to(&agent) {
            return true;
        }
        let Some(peer) = peer_of(&agent) else { return false };
        let addresses: Vec<Multiaddr> = addresses.iter().filter_map(|text| text.parse().ok()).collect();
        if addresses.is_empty() {
            return false;
        }
        let options =
            DialOpts::peer_id(peer).condition(PeerCondition::DisconnectedAndNotDialing).addresses(addresses).build();
        match life.swarm.dial(options) {
            Ok(()) | Err(DialError::DialPeerConditionFalse(_)) => true,
            Err(why) => {
                tracing::debug!(agent.id = %agent.short(), %why, "a member cannot be called");
                false
            }
        }
    }

    fn call_bootstrap(&self, life: &mut Life) {
        if self.links.count() > 0 {
            return;
        }
        for address in &self.bootstrap {
            if transport::peer_in(address).and_then(|peer| agent_of(&peer)) == Some(self.own) {
                continue;
            }
            if let Err(why) = life.swarm.dial(address.clone()) {
                tracing::debug!(%address, %why, "a bootstrap address cannot be called");
            }
        }
    }

    async fn tell_addresses(&self, listening: Vec<Multiaddr>, bridges: OwnBridges, wanted: &mut [Multiaddr; 2]) {
        for one in wanted.iter_mut() {
            let same = listening.iter().find(|bound| addresses::is_quic(bound) == addresses::is_quic(one));
            if let Some(bound) = same {
                *one = addresses::with_port_of(one, bound);
            }
        }
        let told = if self.advertise.is_empty() {
            addresses::advertised(&listening, &bridges)
        } else {
            let moved = |ip: &IpAddr| wanted.iter().map(|one| addresses::with_ip(one, *ip)).collect::<Vec<_>>();
            let mut told: Vec<Multiaddr> = self.advertise.iter().flat_map(moved).collect();
            told.sort_by_key(|address| !addresses::is_quic(address));
            told
        };
        let mut mesh: Vec<String> = told.iter().map(ToString::to_string).collect();
        mesh.truncate(everypath_protocol::member::ADDRESSES_MAX);
        let mut probe = addresses::probe_addresses(&told);
        probe.truncate(everypath_protocol::member::ADDRESSES_MAX);
        let now = Listening { mesh, probe };
        if self.listening.send_if_modified(|before| std::mem::replace(before, now.clone()) != now) {
            tracing::info!(addresses = ?now.mesh, "the mesh can be reached");
            self.say(Input::AddressesChanged { mesh: now.mesh, probe: now.probe }).await;
        }
    }
}
