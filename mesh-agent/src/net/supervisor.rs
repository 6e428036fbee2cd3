//! Owns everything of the network that must outlive a panic of the swarm, and begins the swarm again after one.

use crate::listen;
use crate::metrics::Metrics;
use crate::net::check::Checker;
use crate::net::gate::Gate;
use crate::net::links::Links;
use crate::net::swarm::{self, Ended, Session};
use crate::net::{addresses, keypair};
use crate::supervise::{RESTART_PAUSE, guarded};
use crate::text;
use everypath_protocol::id::{AgentId, PublicKey};
use everypath_protocol::mesh::{Holding, Topic};
use everypath_protocol::sign::{SecretKey, Signed};
use libp2p::Multiaddr;
use libp2p::identity::Keypair;
use mesh_agent_core::Input;
use mesh_agent_core::effect::ReplyTicket;
use std::net::{IpAddr, SocketAddr};
use tokio::sync::{mpsc, watch};

/// Orders to the swarm that may wait. When it is full the swarm is stuck or restarting: exchanges count as failed.
pub const COMMANDS_MAX: usize = 256;
/// What the swarm has to tell; when it is full the swarm waits, which slows its peers down and nobody else.
pub const EVENTS_MAX: usize = 256;

/// What the agent wants from the network.
#[derive(Debug)]
pub enum Command {
    /// Connect to a member.
    Dial {
        /// Who.
        agent: AgentId,
        /// Where.
        addresses: Vec<String>,
    },
    /// Close all connections to a peer.
    Disconnect(AgentId),
    /// Ask a peer to compare.
    Compare {
        /// Whom.
        to: AgentId,
        /// First owner.
        first: AgentId,
        /// Last owner.
        last: AgentId,
        /// What we hold.
        holdings: Vec<Holding>,
    },
    /// Give a peer what it asked for.
    Give {
        /// Whom.
        to: AgentId,
        /// What.
        documents: Vec<Signed>,
    },
    /// Answer a peer.
    Respond {
        /// Which question.
        ticket: ReplyTicket,
        /// Newer than the peer's.
        newer: Vec<Signed>,
        /// Wanted of the peer.
        wanted: Vec<(AgentId, Topic)>,
    },
    /// Panic inside the swarm's task, to see what happens then.
    #[cfg(test)]
    Panic,
}

/// Where the mesh listens and what it tells of that.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Listening {
    /// Multiaddresses told to others.
    pub mesh: Vec<String>,
    /// Where to be probed.
    pub probe: Vec<IpAddr>,
}

/// How the network is set up.
#[derive(Clone, Debug)]
pub struct NetworkConfig {
    /// Of this agent.
    pub(crate) keypair: Keypair,
    /// One address for QUIC and TCP; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Told to others in place of the interfaces' addresses; may be empty.
    pub advertise: Vec<IpAddr>,
    /// Called when no member is connected.
    pub(crate) bootstrap: Vec<Multiaddr>,
    /// Turns strangers away.
    pub gate: Gate,
}

impl NetworkConfig {
    /// Listens at `listen` as the owner of `key`, behind `gate`.
    pub fn new(key: &SecretKey, listen: SocketAddr, gate: Gate) -> Self {
        Self { keypair: keypair(key), listen, advertise: Vec::new(), bootstrap: Vec::new(), gate }
    }

    /// Where to call when no member is connected; what cannot be read as an address is left out.
    pub fn with_bootstrap(mut self, addresses: &[String]) -> Self {
        self.bootstrap = addresses.iter().filter_map(|text| text.parse().ok()).collect();
        self
    }
}

/// The sockets could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("the mesh cannot listen at {address} ({protocol}): {why}. {}", self.advice())]
pub struct ListenError {
    /// Where.
    pub address: SocketAddr,
    /// `UDP` or `TCP`.
    pub protocol: &'static str,
    /// What the operating system said.
    pub why: String,
}

impl ListenError {
    fn advice(&self) -> String {
        let kind = text::os_error(&self.why).map_or(std::io::ErrorKind::Other, |why| why.kind());
        listen::advice(kind, self.address, "--listen")
    }
}

/// The network of this agent.
#[derive(Debug)]
pub struct Network {
    config: NetworkConfig,
    commands: mpsc::Receiver<Command>,
    session: Session,
    metrics: Metrics,
}

/// The driver's end.
#[derive(Debug)]
pub struct NetworkHandle {
    /// Orders.
    pub commands: mpsc::Sender<Command>,
    /// What happened.
    pub events: mpsc::Receiver<Input>,
    /// Where it listens.
    pub listening: watch::Receiver<Listening>,
}

impl Network {
    /// Sets the network up; nothing is opened before [`Self::run`].
    pub fn new(config: NetworkConfig) -> (Self, NetworkHandle) {
        let metrics = config.gate.metrics.clone();
        let (commands_in, commands) = mpsc::channel(COMMANDS_MAX);
        let (events, events_out) = mpsc::channel(EVENTS_MAX);
        let (listening, listening_out) = watch::channel(Listening::default());
        let checker = Checker::new(config.gate.trust.clone(), metrics.clone());
        let key = config.keypair.clone().try_into_ed25519().expect("agents have Ed25519 keys").public();
        let own = AgentId::from(PublicKey(key.to_bytes()));
        let session = Session {
            own,
            links: Links::new(own),
            events,
            listening,
            checker,
            metrics: metrics.clone(),
            advertise: config.advertise.clone(),
            bootstrap: config.bootstrap.clone(),
        };
        let network = Self { config, commands, session, metrics };
        (network, NetworkHandle { commands: commands_in, events: events_out, listening: listening_out })
    }

    /// Opens the sockets and serves until the driver lets go of its end. `ready` hears whether they could be opened at the
    /// first start; after a panic the same addresses are tried until they are free again.
    pub async fn run(mut self, ready: tokio::sync::oneshot::Sender<Result<(), ListenError>>) {
        let mut wanted = addresses::both_of(self.config.listen);
        let mut first = match swarm::build(&self.config, &wanted) {
            Ok(swarm) => {
                let _ = ready.send(Ok(()));
                Some(swarm)
            }
            Err(why) => {
                let _ = ready.send(Err(why));
                return;
            }
        };
        loop {
            let swarm = match first.take() {
                Some(swarm) => Ok(swarm),
                None => swarm::build(&self.config, &wanted),
            };
            match swarm {
                Ok(swarm) => {
                    let serving = self.session.serve(swarm, &mut self.commands, &mut wanted);
                    if guarded("swarm", &self.metrics, serving).await == Some(Ended::Done) {
                        return;
                    }
                    self.forget_peers().await;
                }
                Err(why) => tracing::warn!(%why, "the mesh cannot listen again yet"),
            }
            tokio::time::sleep(RESTART_PAUSE).await;
        }
    }

    /// The connections went down with the swarm; the agent must hear of it, or it would wait for them for ever.
    async fn forget_peers(&mut self) {
        for agent in self.session.links.clear() {
            let _ = self.session.events.send(Input::PeerDisconnected(agent)).await;
        }
        self.session.metrics.peers.set(0);
    }
}
