//! Admitting others: what an agent with an issuer key does with a request to join.

use crate::clock;
use crate::identity::random;
use crate::metrics::Metrics;
use crate::net::gate::Knock;
use crate::store::{REDEEMED_MAX, Store};
use crate::supervise::guarded;
use crate::trust::SharedTrust;
use everypath_protocol::codec;
use everypath_protocol::id::AgentId;
use everypath_protocol::join::{self, BYTES_MAX, JoinAnswer, JoinGrant, JoinRefusal, JoinRequest};
use everypath_protocol::sign::{self, Ed25519, SecretKey, Signed, Signer};
use everypath_protocol::time::UnixTime;
use everypath_protocol::token::{AggregatorAddress, TokenKey};
use everypath_protocol::trust::{CERTIFICATE_LIFE_US, Certificate, Credentials};
use tokio::sync::{mpsc, watch};

/// Requests that may wait; one more is turned away and may come back. Each costs one commit of about 3 ms.
pub const KNOCKS_MAX: usize = 64;
/// Room that the gate's frame needs around an answer.
const FRAME_ROOM: usize = 64;

/// See the module. Requests are answered one after the other, so that two of them never spend one use of a token.
#[derive(Debug)]
pub struct Issuer {
    /// The key that signs certificates.
    pub key: SecretKey,
    /// The mesh, and what proves it to the joiner.
    pub trust: SharedTrust,
    /// Where tokens are kept.
    pub store: Store,
    /// This agent's own record: where the joiner begins.
    pub own: watch::Receiver<Option<Signed>>,
    /// Passed on to the joiner.
    pub aggregators: Vec<AggregatorAddress>,
    /// Name of this agent, which nobody else can have.
    pub own_name: String,
    /// Counters.
    pub metrics: Metrics,
}

/// A certificate of the usual length.
pub fn certify(
    agent: AgentId,
    name: &str,
    site: &str,
    mesh: everypath_protocol::id::MeshId,
    issuer: &SecretKey,
) -> Result<Signed, getrandom::Error> {
    let now = clock::wall();
    let certificate = Certificate {
        agent,
        name: name.to_owned(),
        site: site.to_owned(),
        serial: u64::from_be_bytes(random()?),
        not_before: now,
        not_after: UnixTime(now.0.saturating_add(CERTIFICATE_LIFE_US)),
    };
    Ok(sign::seal(certificate, mesh, issuer).signed().clone())
}

impl Issuer {
    /// Serves until the gate is gone.
    pub async fn serve(&self, mut knocks: mpsc::Receiver<Knock>) {
        while let Some(knock) = knocks.recv().await {
            let decided = guarded("issuer", &self.metrics, self.decide(knock.agent, knock.request)).await;
            let answer = match decided.unwrap_or(Err(JoinRefusal::TryLater)) {
                Ok(grant) => {
                    self.metrics.joins.with_label_values(&["granted"]).inc();
                    JoinAnswer::Granted(self.within_limit(grant))
                }
                Err(refusal) => {
                    self.metrics.joins.with_label_values(&[refusal.code()]).inc();
                    tracing::info!(agent.id = %knock.agent.short(), code = refusal.code(), "a request to join was refused");
                    JoinAnswer::Refused(refusal)
                }
            };
            let _ = knock.answer.send(answer);
        }
    }

    async fn decide(&self, peer: AgentId, request: Signed) -> Result<JoinGrant, JoinRefusal> {
        let mesh = self.trust.mesh();
        let request = join::open_request(request, &mesh, &Ed25519)?;
        if request.agent != peer {
            return Err(JoinRefusal::BadRequest);
        }
        // An issuer that the root no longer names would hand out certificates that nobody accepts.
        if !self.trust.current().delegation().document().issuers.contains(&self.key.public()) {
            return Err(JoinRefusal::TryLater);
        }
        let closed = |_| JoinRefusal::TryLater;
        let mut row = self.store.token(request.token).await.map_err(closed)?.ok_or(JoinRefusal::UnknownToken)?;
        let proof = TokenKey(row.key).proof(&request.agent, &mesh, &request.nonce);
        if !same(&proof, &request.proof) {
            return Err(JoinRefusal::UnknownToken);
        }
        if let Some((_, certificate)) = row.redeemed.iter().find(|(agent, _)| *agent == request.agent) {
            return Ok(self.grant(certificate.clone()));
        }
        if row.expires < clock::wall() {
            return Err(JoinRefusal::Expired);
        }
        if row.uses_left == 0 || row.redeemed.len() >= REDEEMED_MAX {
            return Err(JoinRefusal::UsedUp);
        }
        self.check_name(&request).await?;
        let certificate = certify(request.agent, &request.name, &request.site, mesh, &self.key);
        let certificate = certificate.map_err(|_| JoinRefusal::TryLater)?;
        row.uses_left -= 1;
        row.redeemed.push((request.agent, certificate.clone()));
        // On disk before it is said: a joiner that hears "welcome" is welcome after a power cut, too.
        let owner = Some((request.name.clone(), request.agent));
        self.store.save_token(request.token, row, owner).await.map_err(closed)?;
        tracing::info!(
            agent.id = %request.agent.short(), agent.name = request.name, agent.site = request.site,
            "a new agent was admitted to the mesh"
        );
        Ok(self.grant(certificate))
    }

    async fn check_name(&self, request: &JoinRequest) -> Result<(), JoinRefusal> {
        let owner = self.store.name_owner(request.name.clone()).await.map_err(|_| JoinRefusal::TryLater)?;
        let is_taken = request.name == self.own_name || owner.is_some_and(|owner| owner != request.agent);
        if is_taken { Err(JoinRefusal::NameTaken) } else { Ok(()) }
    }

    fn grant(&self, certificate: Signed) -> JoinGrant {
        let Credentials { root, delegation, .. } = self.trust.credentials();
        JoinGrant {
            credentials: Credentials { root, delegation, certificate },
            aggregators: self.aggregators.clone(),
            members: self.own.borrow().iter().cloned().collect(),
        }
    }

    /// The joiner can do without members (its token has addresses), but not without an answer.
    fn within_limit(&self, mut grant: JoinGrant) -> JoinGrant {
        if codec::encode(&grant).len() > BYTES_MAX - FRAME_ROOM {
            grant.members.clear();
        }
        grant
    }
}

/// Compares without telling by the time it takes how much was right.
fn same(one: &[u8; 32], other: &[u8; 32]) -> bool {
    one.iter().zip(other).fold(0, |differences, (one, other)| differences | (one ^ other)) == 0
}
