//! Putting a running agent together, and taking it apart again.

use crate::aggregators::{Aggregators, ClientError};
use crate::clock::Clock;
use crate::config::Config;
use crate::driver::{Driver, Inbox, Outlets};
use crate::files::{self, FileError};
use crate::hello::Greeter;
use crate::identity::{AGENT_KEY, ISSUER_KEY, KeyError, StateDir, random};
use crate::issuer::{Issuer, KNOCKS_MAX};
use crate::membership::{MEMBERSHIP_FILE, Membership, MembershipError};
use crate::mesh_config::{self, INPUTS_MAX};
use crate::metrics::Metrics;
use crate::net::check::Checker;
use crate::net::gate::Gate;
use crate::net::supervisor::{ListenError, Listening, Network, NetworkConfig, NetworkHandle};
use crate::probe::{self, ProbeHandle};
use crate::status::json::About;
use crate::status::{self, Page, QUESTIONS_MAX, StatusError};
use crate::store::{OpenStoreError, Opened, Store};
use crate::supervise::{RESTART_PAUSE, guarded};
use crate::trust::SharedTrust;
use crate::uplink::{JOBS_MAX, Job, Uplink, Uploaded};
use everypath_protocol::id::{AgentId, BootId};
use everypath_protocol::sign::{SecretKey, Signed, Signer, Verified};
use everypath_protocol::time::Span;
use everypath_protocol::trust::{Certificate, Trust};
use mesh_agent_core::effect::Statement;
use mesh_agent_core::pace::Overrides;
use mesh_agent_core::{Agent, AgentParams};
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

/// Where a running agent can be found; in its data directory.
pub const ADDRESSES_FILE: &str = "addresses.json";
/// Sockets that the operating system has not given within this time will not come.
const LISTEN_MAX: Duration = Duration::from_secs(10);
/// The whole shutdown; whoever asked for it may send SIGKILL soon after.
const SHUTDOWN_MAX: Duration = Duration::from_secs(5);
/// To let go of the buffer's file.
const CLOSE_MAX: Duration = Duration::from_secs(1);
/// Batches of checked statements that may wait for the driver; whoever has more waits.
const STATEMENTS_MAX: usize = 16;
/// Remembered members are checked and handed over this many at a time, so that the agent is never kept waiting.
const REMEMBERED_AT_ONCE: usize = 64;

/// Why an agent does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It belongs to no mesh.
    #[error("{} belongs to no mesh yet. Join one with: mesh-agent join TOKEN --data-dir {} — or found one with: mesh-agent init --data-dir {} --name NAME --site SITE", path.display(), path.display(), path.display())]
    NotAMember {
        /// The data directory.
        path: PathBuf,
    },
    /// See there.
    #[error(transparent)]
    File(#[from] FileError),
    /// See there.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// See there.
    #[error(transparent)]
    Membership(#[from] MembershipError),
    /// See there.
    #[error(transparent)]
    Store(#[from] OpenStoreError),
    /// See there.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// See there.
    #[error(transparent)]
    Status(#[from] StatusError),
    /// See there.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The operating system gives no thread or no random numbers.
    #[error("the operating system refuses what the agent needs: {0}")]
    System(#[from] std::io::Error),
    /// The sockets are open but have no address.
    #[error("the mesh did not begin to listen within 10 seconds")]
    NotListening,
}

/// What [`ADDRESSES_FILE`] says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Addresses {
    /// Multiaddresses of the mesh.
    pub mesh: Vec<String>,
    /// The loopback page.
    pub status: SocketAddr,
}

/// A running agent.
#[derive(Debug)]
pub struct Running {
    /// Where it can be found.
    pub addresses: Addresses,
    /// Who it is.
    pub about: Arc<About>,
    shutdown: CancellationToken,
    driver: JoinHandle<()>,
    store: Store,
    tasks: JoinSet<()>,
}

/// Everything that start-up knows of itself.
struct Member {
    state: StateDir,
    key: Arc<SecretKey>,
    membership: Membership,
    trust: Trust,
    certificate: Verified<Certificate>,
}

fn member(config: &Config) -> Result<Member, StartError> {
    let not_a_member = || StartError::NotAMember { path: config.data_dir.clone() };
    // Running makes no directory: a mistyped path should leave nothing behind.
    match std::fs::metadata(&config.data_dir) {
        Ok(found) if found.is_dir() => {}
        Ok(_) => return Err(FileError::io("use", &config.data_dir)(ErrorKind::NotADirectory.into()).into()),
        Err(why) if why.kind() == ErrorKind::NotFound => return Err(not_a_member()),
        Err(why) => return Err(FileError::io("look at", &config.data_dir)(why).into()),
    }
    let state = StateDir::open(&config.data_dir)?;
    let membership = Membership::load(&state)?.ok_or_else(not_a_member)?;
    // Drawing a new one here would stand in the way of a restored one, and be no member's.
    if state.key(AGENT_KEY)?.is_none() {
        return Err(KeyError::Missing { path: state.file(AGENT_KEY) }.into());
    }
    let key = Arc::new(state.agent_key()?);
    let agent = AgentId::from(key.public());
    let refused = |why| MembershipError::Refused { path: state.file(MEMBERSHIP_FILE), why };
    let (trust, certificate) = membership.verify(&agent).map_err(refused)?;
    Ok(Member { state, key, membership, trust, certificate })
}

fn params(config: &Config, member: &Member, boot: BootId, opened: &Opened) -> AgentParams {
    let agent = AgentId::from(member.key.public());
    let usual = AgentParams::usual(agent, member.certificate.signed().clone(), boot, opened.incarnation);
    AgentParams {
        program: env!("CARGO_PKG_VERSION").to_owned(),
        probe_interval: span(config.probe_interval),
        probe_timeout: span(config.probe_timeout),
        thresholds: everypath_verdict::Thresholds::for_interval(span(config.probe_interval)),
        overrides: overrides(config),
        buffer_bytes_max: config.buffer_bytes_max,
        has_aggregator: !member.membership.aggregators.is_empty(),
        ..usual
    }
}

/// What the operator of this host set wins over the configuration of the mesh.
fn overrides(config: &Config) -> Overrides {
    let set = |key: &str, value: Duration| config.overrides.contains_key(key).then(|| span(value));
    Overrides {
        probe_interval: set("probe.interval", config.probe_interval),
        probe_timeout: set("probe.timeout", config.probe_timeout),
    }
}

fn span(duration: Duration) -> Span {
    Span::millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

/// Starts an agent and returns once it can be reached.
///
/// # Errors
/// See [`StartError`].
pub async fn start(config: &Config) -> Result<Running, StartError> {
    let member = member(config)?;
    let clock = Clock::start();
    let metrics = Metrics::new();
    let random_error = |why: getrandom::Error| std::io::Error::other(why);
    let boot = BootId(u64::from_be_bytes(random().map_err(random_error)?));
    let seed: [u8; 32] = random().map_err(random_error)?;
    let (store, opened) = Store::open(&config.data_dir, boot, clock, &metrics)?;
    let aggregators = Aggregators::new(&member.membership.aggregators, spread(&member.key))?;
    let (status_socket, status) = status::bind(config.status).await?;
    let root = member.membership.credentials.root;
    let trust = SharedTrust::new(member.trust.clone(), root, member.certificate.signed().clone());
    let checker = Checker::new(trust.clone(), metrics.clone());
    let (own, own_seen) = watch::channel(None);
    let shutdown = CancellationToken::new();
    let mut tasks = JoinSet::new();

    let gate = Gate {
        trust: trust.clone(),
        issuer: start_issuer(&member, &trust, &store, &own_seen, &metrics, &mut tasks)?,
        metrics: metrics.clone(),
    };
    let mut network = start_network(config, &member, gate, &mut tasks).await?;
    let ProbeHandle { requests, outcomes, privileges } = probe::start(clock, &metrics)?;

    let remembered = member.membership.members.iter().chain(&opened.members).cloned().collect();
    let (inputs, settings_seen) = mpsc::channel(INPUTS_MAX);
    let (settings, link, check_ins) = mesh_config::start(&trust, &store, &opened, &inputs, &metrics, &mut tasks);
    let uplink = Uplink::new(
        aggregators.clone(),
        store.clone(),
        Arc::clone(&member.key),
        trust.mesh(),
        member.certificate.signed().clone(),
        (boot, clock),
        metrics.clone(),
    )
    .with_config(link);
    tasks.spawn(uplink.clone().serve_check_ins(check_ins, inputs));
    let Upward { jobs, uploads, statements } =
        start_upward(uplink, aggregators.clone(), remembered, own_seen, checker, &mut tasks);
    tasks.spawn(keep_trust(member.state.clone(), member.membership.clone(), trust.clone()));

    let (questions, questions_seen) = mpsc::channel(QUESTIONS_MAX);
    let about = Arc::new(about(config, &member, &trust));
    let page = Page {
        questions,
        store: store.clone(),
        metrics: metrics.clone(),
        listening: network.listening.clone(),
        privileges,
        aggregators,
        about: Arc::clone(&about),
    };
    tasks.spawn(status::serve(status_socket, page, shutdown.child_token()));

    let agent = Agent::new(params(config, &member, boot, &opened), opened.resume, seed, clock.now());
    let inbox =
        Inbox::new(network.events, outcomes, store.news(), uploads, statements, questions_seen, shutdown.child_token())
            .with_settings(settings_seen);
    let outlets =
        Outlets { mesh: network.commands, probes: requests, store: store.clone(), uploads: jobs, own, settings };
    let driver = Driver::new(agent, clock, Arc::clone(&member.key), trust.mesh(), metrics, inbox, outlets);
    let driver = tokio::spawn(driver.run());

    let heard = tokio::time::timeout(LISTEN_MAX, network.listening.wait_for(is_complete)).await;
    let mesh = match heard {
        Ok(Ok(listening)) => listening.mesh.clone(),
        Ok(Err(_)) | Err(_) => return Err(StartError::NotListening),
    };
    let addresses = Addresses { mesh, status };
    let text = serde_json::to_vec(&addresses).expect("addresses can be written");
    files::write_whole(&member.state.file(ADDRESSES_FILE), &text, 0o644)?;
    Ok(Running { addresses, about, shutdown, driver, store, tasks })
}

/// A key is random, so agents that begin with the address it points at are spread evenly.
fn spread(key: &SecretKey) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = AgentId::from(key.public()).0;
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

fn is_complete(listening: &Listening) -> bool {
    let has = |part: &str| listening.mesh.iter().any(|address| address.contains(part));
    has("/quic") && has("/tcp/")
}

fn about(config: &Config, member: &Member, trust: &SharedTrust) -> About {
    let certificate = member.certificate.document();
    About {
        agent: AgentId::from(member.key.public()),
        mesh: trust.mesh(),
        name: certificate.name.clone(),
        site: certificate.site.clone(),
        program: env!("CARGO_PKG_VERSION").to_owned(),
        not_after: certificate.not_after,
        aggregators: member.membership.aggregators.iter().map(|address| address.url.clone()).collect(),
        buffer_bytes_max: config.buffer_bytes_max,
        overrides: config.overrides.clone(),
    }
}

async fn start_network(
    config: &Config,
    member: &Member,
    gate: Gate,
    tasks: &mut JoinSet<()>,
) -> Result<NetworkHandle, StartError> {
    let mut settings = NetworkConfig::new(&member.key, config.listen, gate);
    settings.advertise.clone_from(&config.advertise);
    let (network, handle) = Network::new(settings.with_bootstrap(&member.membership.bootstrap));
    let (ready, is_ready) = oneshot::channel();
    tasks.spawn(network.run(ready));
    is_ready.await.map_err(|_| StartError::NotListening)??;
    Ok(handle)
}

fn start_issuer(
    member: &Member,
    trust: &SharedTrust,
    store: &Store,
    own: &watch::Receiver<Option<Signed>>,
    metrics: &Metrics,
    tasks: &mut JoinSet<()>,
) -> Result<Option<mpsc::Sender<crate::net::gate::Knock>>, StartError> {
    let Some(key) = member.state.key(ISSUER_KEY)? else { return Ok(None) };
    let issuer = Issuer {
        key,
        trust: trust.clone(),
        store: store.clone(),
        own: own.clone(),
        aggregators: member.membership.aggregators.clone(),
        own_name: member.certificate.document().name.clone(),
        metrics: metrics.clone(),
    };
    let (knock, knocks) = mpsc::channel(KNOCKS_MAX);
    tasks.spawn(async move { issuer.serve(knocks).await });
    Ok(Some(knock))
}

/// The driver's ends of what goes to aggregators and comes from them.
struct Upward {
    jobs: mpsc::Sender<Job>,
    uploads: mpsc::Receiver<Uploaded>,
    statements: mpsc::Receiver<Vec<Statement>>,
}

fn start_upward(
    uplink: Uplink,
    aggregators: Aggregators,
    remembered: Vec<Signed>,
    own: watch::Receiver<Option<Signed>>,
    checker: Checker,
    tasks: &mut JoinSet<()>,
) -> Upward {
    let (jobs, jobs_seen) = mpsc::channel(JOBS_MAX);
    let (results, uploads) = mpsc::channel(JOBS_MAX);
    let (tell, statements) = mpsc::channel(STATEMENTS_MAX);
    let metrics = uplink.metrics().clone();
    tasks.spawn(uplink.serve(jobs_seen, results));
    tasks.spawn(hand_over(remembered, checker.clone(), tell.clone()));
    if !aggregators.is_empty() {
        let greeter = Greeter { aggregators, own, checker, metrics: metrics.clone(), statements: tell };
        tasks.spawn(greet(greeter, metrics));
    }
    Upward { jobs, uploads, statements }
}

/// What was remembered is checked again: the file may have been changed, or the mesh may have moved on.
async fn hand_over(remembered: Vec<Signed>, checker: Checker, tell: mpsc::Sender<Vec<Statement>>) {
    for some in remembered.chunks(REMEMBERED_AT_ONCE) {
        let statements = checker.statements(some.to_vec());
        if !statements.is_empty() && tell.send(statements).await.is_err() {
            return;
        }
        tokio::task::yield_now().await;
    }
}

async fn greet(mut greeter: Greeter, metrics: Metrics) {
    while guarded("hello", &metrics, greeter.serve()).await.is_none() {
        tokio::time::sleep(RESTART_PAUSE).await;
    }
}

/// A newer delegation is a ratchet: it must be known at the next start, too.
async fn keep_trust(state: StateDir, mut membership: Membership, trust: SharedTrust) {
    let mut news = trust.watch();
    while news.changed().await.is_ok() {
        membership.credentials = trust.credentials();
        if let Err(why) = membership.save(&state) {
            tracing::error!(%why, "a newer delegation could not be kept; it will be heard of again");
        }
    }
}

impl Running {
    /// Waits until the driver ends by itself, which it does only when something is broken.
    pub async fn broken(&mut self) {
        let ended = (&mut self.driver).await;
        tracing::error!(reason = ?ended.err(), "the agent's loop ended; the process must be started again");
    }

    /// Hands everything to the disk, tries one last upload, and ends.
    pub async fn stop(mut self) {
        self.shutdown.cancel();
        if tokio::time::timeout(SHUTDOWN_MAX, &mut self.driver).await.is_err() {
            tracing::warn!("the agent did not end within 5 seconds and is cut off; what is on disk stays");
            self.driver.abort();
        }
        self.tasks.shutdown().await;
        // A disk that does not answer must not keep the process.
        let _ = tokio::time::timeout(CLOSE_MAX, self.store.close()).await;
    }
}

#[cfg(test)]
mod tests;
