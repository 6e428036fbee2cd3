//! Founding a mesh that needs no aggregator: its keys, its first agent, and the first token.

use crate::clock;
use crate::clock::Clock;
use crate::files::{self, FileError};
use crate::identity::{CONFIG_KEY, ISSUER_KEY, KeyError, ROOT_KEY, StateDir, random};
use crate::issuer::certify;
use crate::membership::{Membership, MembershipError};
use crate::metrics::Metrics;
use crate::net::addresses;
use crate::store::{OpenStoreError, Store, StoreClosed, TokenRow};
use everypath_protocol::id::{AgentId, BootId, PublicKey};
use everypath_protocol::sign::{self, Signer};
use everypath_protocol::time::Span;
use everypath_protocol::token::{JoinToken, TokenId, TokenSecret};
use everypath_protocol::trust::{Credentials, Delegation, is_valid_name, mesh_of};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::time::Duration;

/// Longest life of a token: after a year nobody remembers who has it.
pub const EXPIRES_MAX: Duration = Duration::from_secs(365 * 24 * 3_600);

/// What is to be founded.
#[derive(Clone, Debug)]
pub struct Founding {
    /// Of the first agent.
    pub data_dir: PathBuf,
    /// Its name.
    pub name: String,
    /// Its site.
    pub site: String,
    /// How many agents the token admits.
    pub uses: u32,
    /// How long it is good for.
    pub expires: Duration,
    /// Where the first agent will listen.
    pub listen: SocketAddr,
    /// Told to joiners in place of the interfaces' addresses.
    pub advertise: Vec<IpAddr>,
}

/// Why no mesh was founded.
#[derive(Debug, thiserror::Error)]
pub enum FoundingError {
    /// There is one already.
    #[error("{} already belongs to a mesh. To found another one, use another --data-dir", path.display())]
    AlreadyMember {
        /// The data directory.
        path: PathBuf,
    },
    /// See [`is_valid_name`].
    #[error(
        "{} cannot be used: names of agents and sites are 1 to 64 letters, digits, '-', '_' or '.'. Give another with --name or --site",
        crate::text::named(.0)
    )]
    InvalidName(String),
    /// A token must name a port.
    #[error(
        "a token has to say where this agent listens, so port 0 cannot be used here; give one with --listen, like 0.0.0.0:7117"
    )]
    NoPort,
    /// Nowhere to be reached.
    #[error("this host has no address that others could reach; give one with --listen or --advertise")]
    NoAddress,
    /// A token that admits nobody, or for ever.
    #[error("a token admits 1 to 10000 agents within at most 365 days; change --uses or --expires")]
    OutOfRange,
    /// See there.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// See there.
    #[error(transparent)]
    File(#[from] FileError),
    /// See there.
    #[error(transparent)]
    Membership(#[from] MembershipError),
    /// See there.
    #[error(transparent)]
    Store(#[from] OpenStoreError),
    /// See there.
    #[error(transparent)]
    Closed(#[from] StoreClosed),
    /// No random numbers.
    #[error("the operating system gives no random numbers: {0}")]
    NoRandom(#[from] getrandom::Error),
}

/// Founds a mesh and returns the token for the others.
///
/// # Errors
/// See [`FoundingError`].
pub async fn found(wanted: &Founding) -> Result<JoinToken, FoundingError> {
    for name in [&wanted.name, &wanted.site] {
        if !is_valid_name(name) {
            return Err(FoundingError::InvalidName(name.clone()));
        }
    }
    if wanted.listen.port() == 0 {
        return Err(FoundingError::NoPort);
    }
    if wanted.uses == 0 || wanted.uses > 10_000 || wanted.expires.is_zero() || wanted.expires > EXPIRES_MAX {
        return Err(FoundingError::OutOfRange);
    }
    let state = StateDir::open(&wanted.data_dir)?;
    if Membership::load(&state)?.is_some() {
        return Err(FoundingError::AlreadyMember { path: wanted.data_dir.clone() });
    }
    let agent_key = state.agent_key()?;
    let agent = AgentId::from(agent_key.public());
    let bootstrap = bootstrap(wanted, &agent)?;
    let root = state.make_key(ROOT_KEY)?;
    let issuer = state.make_key(ISSUER_KEY)?;
    let config = state.make_key(CONFIG_KEY)?;
    let mesh = mesh_of(&root.public());
    let delegation = Delegation { version: 1, issuers: vec![issuer.public()], config: vec![config.public()] };
    let credentials = Credentials {
        root: root.public(),
        delegation: sign::seal(delegation, mesh, &root).signed().clone(),
        certificate: certify(agent, &wanted.name, &wanted.site, mesh, &issuer)?,
    };
    let token = keep_token(wanted, mesh, issuer.public(), bootstrap).await?;
    let membership =
        Membership { mesh, credentials, aggregators: Vec::new(), bootstrap: Vec::new(), members: Vec::new() };
    let config_file = state.file(crate::config::CONFIG_FILE);
    if !config_file.exists() {
        // So that `run` listens where the token says, without being told again.
        let mut text = format!(
            "# Written by `mesh-agent init`; `mesh-agent config template` explains all keys.\nlisten = \"{}\"\n",
            wanted.listen
        );
        if !wanted.advertise.is_empty() {
            let list: Vec<String> = wanted.advertise.iter().map(|ip| format!("\"{ip}\"")).collect();
            text.push_str(&format!("advertise = [{}]\n", list.join(", ")));
        }
        files::write_whole(&config_file, text.as_bytes(), 0o600)?;
    }
    // Last, because it is what makes this directory a member.
    membership.save(&state)?;
    Ok(token)
}

async fn keep_token(
    wanted: &Founding,
    mesh: everypath_protocol::id::MeshId,
    issuer: PublicKey,
    bootstrap: Vec<String>,
) -> Result<JoinToken, FoundingError> {
    let secret = TokenSecret(random()?);
    let lifetime = Span::millis(u64::try_from(wanted.expires.as_millis()).unwrap_or(u64::MAX));
    let token = JoinToken {
        mesh,
        delegation_version_min: 1,
        issuer,
        id: TokenId(random()?),
        secret,
        expires: clock::wall().plus(lifetime),
        bootstrap,
        aggregators: Vec::new(),
    };
    let boot = BootId(u64::from_be_bytes(random()?));
    let (store, _) = Store::open(&wanted.data_dir, boot, Clock::start(), &Metrics::new())?;
    store.save_token(token.id, TokenRow::new(&secret.key(), token.expires, wanted.uses), None).await?;
    store.close().await;
    Ok(token)
}

fn bootstrap(wanted: &Founding, agent: &AgentId) -> Result<Vec<String>, FoundingError> {
    let ips = if !wanted.advertise.is_empty() {
        wanted.advertise.clone()
    } else if wanted.listen.ip().is_unspecified() {
        default_addresses()
    } else {
        vec![wanted.listen.ip()]
    };
    let told = addresses::bootstrap_of(agent, &ips, wanted.listen.port());
    if told.is_empty() { Err(FoundingError::NoAddress) } else { Ok(told) }
}

/// The addresses that this host would send from. Connecting a UDP socket sends nothing; it only asks the routing table.
fn default_addresses() -> Vec<IpAddr> {
    // Addresses for documentation (RFC 5737, RFC 3849): nobody is there, and the default route leads to them.
    let towards = |local: &str, remote: &str| {
        let socket = UdpSocket::bind(local).ok()?;
        socket.connect(remote).ok()?;
        Some(socket.local_addr().ok()?.ip()).filter(|ip| !ip.is_unspecified())
    };
    let found: Vec<IpAddr> =
        [towards("0.0.0.0:0", "203.0.113.1:9"), towards("[::]:0", "[2001:db8::1]:9")].into_iter().flatten().collect();
    if found.is_empty() { vec![IpAddr::from([127, 0, 0, 1])] } else { found }
}
