//! Redeeming a token: asks the issuer, over HTTPS or through another agent's gate, and believes nothing that it cannot
//! check against the token.

use crate::aggregators::{Aggregators, ClientError, Urgency};
use crate::files::FileError;
use crate::identity::{KeyError, StateDir, random};
use crate::membership::{Membership, MembershipError};
use crate::net::ask;
use everypath_protocol::codec;
use everypath_protocol::id::{AgentId, MeshId};
use everypath_protocol::join::{BYTES_MAX, JoinAnswer, JoinGrant, JoinRefusal, JoinRequest};
use everypath_protocol::sign::{self, Refused, SecretKey, Signed, Signer};
use everypath_protocol::token::JoinToken;
use everypath_protocol::trust::{Certificate, is_valid_name};
use std::path::{Path, PathBuf};

/// Most bytes of an answer over HTTPS, which may name more members than fit through a gate.
const HTTPS_BYTES_MAX: usize = 1024 * 1024;

/// Why this host did not become a member.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// See [`is_valid_name`].
    #[error("{} cannot be used: {advice} Give another with --name or --site", crate::text::named(.0), advice = JoinRefusal::InvalidName.advice())]
    InvalidName(String),
    /// It has joined another mesh before.
    #[error("{} is a member of another mesh ({}, the token is for {}). To be in both, run a second agent with another --data-dir; to move, remove this directory first", path.display(), member.short(), token.short())]
    OtherMesh {
        /// The data directory.
        path: PathBuf,
        /// Where it is a member.
        member: MeshId,
        /// Where the token leads.
        token: MeshId,
    },
    /// A name is part of the certificate, and certificates are not made anew for one key.
    #[error(
        "{} is a member of mesh {} already, as `{}` in site `{}`, and a key keeps its name; nothing was changed. To refresh what it knows of the mesh, leave --name and --site out. To have another name, stop this agent and join as a new one with another --data-dir", path.display(), mesh.short(), known.name, known.site
    )]
    OtherName {
        /// The data directory.
        path: PathBuf,
        /// Where it is a member.
        mesh: MeshId,
        /// What it is called there.
        known: Known,
    },
    /// The issuer said no.
    #[error("the issuer refuses: {}", .0.advice())]
    Refused(JoinRefusal),
    /// Nobody could be asked.
    #[error(
        "nobody who could admit this agent was reached:\n{0}\nCheck that this host can reach one of these addresses; the token was not spent"
    )]
    Unreachable(String),
    /// The token has no address.
    #[error("the token names nobody to ask; make a new one on a host that others can reach")]
    NoAddress,
    /// The answer does not fit the token: somebody else answered.
    #[error(
        "the answer does not prove to come from the mesh of the token ({0}); nothing was kept. If this happens again, somebody may be intercepting the connection"
    )]
    Untrusted(Refused),
    /// The answer is older than the token.
    #[error("the answer has delegation {got}, but the token requires {wanted} or newer; nothing was kept")]
    OldDelegation {
        /// Of the answer.
        got: u32,
        /// Of the token.
        wanted: u32,
    },
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
    Client(#[from] ClientError),
    /// No random numbers.
    #[error("the operating system gives no random numbers: {0}")]
    NoRandom(#[from] getrandom::Error),
}

/// What the joiner is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Joined {
    /// The new agent.
    pub agent: AgentId,
    /// The mesh.
    pub mesh: MeshId,
    /// Its name, as certified.
    pub name: String,
    /// Its site, as certified.
    pub site: String,
}

/// What a member is called.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Known {
    /// As certified.
    pub name: String,
    /// As certified.
    pub site: String,
}

/// What the agent of this directory is called in the mesh of the token; `None` if it is no member yet, or cannot prove it.
///
/// # Errors
/// [`JoinError::OtherMesh`], or what is wrong with its files.
pub fn known_as(token: &JoinToken, data_dir: &Path) -> Result<Option<Known>, JoinError> {
    // Asking makes no directory.
    if !data_dir.is_dir() {
        return Ok(None);
    }
    let state = StateDir::open(data_dir)?;
    let Some(membership) = Membership::load(&state)? else { return Ok(None) };
    if membership.mesh != token.mesh {
        let (member, token) = (membership.mesh, token.mesh);
        return Err(JoinError::OtherMesh { path: data_dir.to_owned(), member, token });
    }
    let agent = AgentId::from(state.agent_key()?.public());
    let Ok((_, certificate)) = membership.verify(&agent) else { return Ok(None) };
    let Certificate { name, site, .. } = certificate.document().clone();
    Ok(Some(Known { name, site }))
}

/// Joins. The same directory may do so again with a token of the same mesh, which refreshes what it knows.
///
/// # Errors
/// See [`JoinError`].
pub async fn join(token: &JoinToken, data_dir: PathBuf, name: &str, site: &str) -> Result<Joined, JoinError> {
    for name in [name, site] {
        if !is_valid_name(name) {
            return Err(JoinError::InvalidName(name.to_owned()));
        }
    }
    if let Some(known) = known_as(token, &data_dir)?.filter(|known| known.name != name || known.site != site) {
        return Err(JoinError::OtherName { path: data_dir, mesh: token.mesh, known });
    }
    let state = StateDir::open(&data_dir)?;
    // Kept before anyone is asked: a second attempt must come with the same key, or it would cost a second use.
    let key = state.agent_key()?;
    let agent = AgentId::from(key.public());
    let request = JoinRequest::new(token, agent, random()?, name.to_owned(), site.to_owned());
    let request = sign::seal(request, token.mesh, &key).signed().clone();
    let grant = match redeem(token, &key, &request).await? {
        JoinAnswer::Granted(grant) => grant,
        JoinAnswer::Refused(refusal) => return Err(JoinError::Refused(refusal)),
    };
    let (membership, joined) = check(token, agent, grant)?;
    membership.save(&state)?;
    Ok(joined)
}

/// Nothing of the grant is used before this.
fn check(token: &JoinToken, agent: AgentId, grant: JoinGrant) -> Result<(Membership, Joined), JoinError> {
    let membership = Membership {
        mesh: token.mesh,
        credentials: grant.credentials,
        aggregators: grant.aggregators,
        bootstrap: token.bootstrap.clone(),
        members: grant.members,
    };
    let (trust, certificate) = membership.verify(&agent).map_err(JoinError::Untrusted)?;
    let got = trust.delegation().document().version;
    if got < token.delegation_version_min {
        return Err(JoinError::OldDelegation { got, wanted: token.delegation_version_min });
    }
    let document = certificate.document();
    let joined = Joined { agent, mesh: token.mesh, name: document.name.clone(), site: document.site.clone() };
    Ok((membership, joined))
}

/// Asks one after the other until somebody answers; "try later" of one is not an answer while there is another.
async fn redeem(token: &JoinToken, key: &SecretKey, request: &Signed) -> Result<JoinAnswer, JoinError> {
    if token.aggregators.is_empty() && token.bootstrap.is_empty() {
        return Err(JoinError::NoAddress);
    }
    let mut failures = Vec::new();
    let mut later = None;
    for aggregator in &token.aggregators {
        let client = Aggregators::new(std::slice::from_ref(aggregator), 0)?;
        match ask_aggregator(&client, request).await {
            Ok(JoinAnswer::Refused(JoinRefusal::TryLater)) => later = Some(JoinRefusal::TryLater),
            Ok(answer) => return Ok(answer),
            Err(why) => failures.push(format!("  {}: {why}", aggregator.url)),
        }
    }
    // An agent can only redeem what it issued itself, and those tokens name no aggregator.
    let agents: &[String] = if token.aggregators.is_empty() { &token.bootstrap } else { &[] };
    for address in agents {
        match ask::ask(address, key, request.clone()).await {
            Ok(JoinAnswer::Refused(JoinRefusal::TryLater)) => later = Some(JoinRefusal::TryLater),
            Ok(answer) => return Ok(answer),
            Err(why) => failures.push(format!("  {address}: {why}")),
        }
    }
    later.map(JoinAnswer::Refused).ok_or_else(|| JoinError::Unreachable(failures.join("\n")))
}

async fn ask_aggregator(client: &Aggregators, request: &Signed) -> Result<JoinAnswer, String> {
    let body = codec::encode(request);
    debug_assert!(body.len() <= BYTES_MAX, "a request is far smaller than its limit");
    let answer = client
        .post("/api/v1/join", "application/octet-stream", Urgency::Usual, body)
        .await
        .map_err(|unreachable| unreachable.why)?;
    match answer.status.as_u16() {
        200 | 403 => codec::decode(&answer.body, HTTPS_BYTES_MAX)
            .map_err(|why| format!("it answered {} with something else than a join answer ({why})", answer.status)),
        429 | 503 => Ok(JoinAnswer::Refused(JoinRefusal::TryLater)),
        _ => Err(format!("it answered {}", answer.status)),
    }
}

#[cfg(test)]
mod tests;
