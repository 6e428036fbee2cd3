//! The certificate gate. It sits in the transport: on a connection that is encrypted and multiplexed, but that nobody else
//! has seen yet, both ends show their credentials. Only a connection between two members comes out.
//!
//! The end that opened the connection speaks first; the other one answers only what it accepts. So a stranger who knocks
//! is told nothing, not even which mesh this is, and costs at most 8 KiB and 5 seconds.

use crate::metrics::Metrics;
use crate::net::frame::{self, Accepted, FrameError, Opening, Reply};
use crate::net::{agent_of, frame::BYTES_MAX};
use crate::trust::SharedTrust;
use everypath_protocol::id::AgentId;
use everypath_protocol::join::JoinAnswer;
use everypath_protocol::sign::{Refused, Signed};
use everypath_protocol::trust::Credentials;
use futures::io::AsyncReadExt;
use libp2p::PeerId;
use libp2p::core::muxing::{StreamMuxerBox, StreamMuxerExt, SubstreamBox};
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// The whole conversation must be over after this long.
pub const TIMEOUT: Duration = Duration::from_secs(5);

/// A request to join that came to the gate, on its way to the task that holds the issuer key.
#[derive(Debug)]
pub struct Knock {
    /// The key that the other end proved to hold.
    pub agent: AgentId,
    /// Its [`everypath_protocol::join::JoinRequest`].
    pub request: Signed,
    /// Where the answer goes.
    pub answer: oneshot::Sender<JoinAnswer>,
}

/// Why a connection did not pass.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// The peer's key cannot be an agent's.
    #[error("the peer's key is not an agent's key")]
    NotAnAgent,
    /// Another agent answered than the one that was called.
    #[error("another agent answers at this address")]
    OtherAgent,
    /// It showed no valid certificate of this mesh.
    #[error("the peer is not a member: {0}")]
    Refused(Refused),
    /// It did not finish within [`TIMEOUT`].
    #[error("the peer did not show its certificate within 5 seconds")]
    Timeout,
    /// It said more than it may.
    #[error("the peer said more than 8 KiB before it was admitted")]
    Oversize,
    /// It said something else than what belongs here.
    #[error("the peer does not speak this protocol")]
    Malformed,
    /// The connection broke. When we opened it, this is also how a refusal looks: strangers are told nothing.
    #[error("the connection ended before the peer was admitted: {0}")]
    Broken(std::io::Error),
    /// It asked to join and has its answer; such a connection is never used for anything else.
    #[error("the peer asked to join and was answered")]
    Answered,
    /// It asked to join, but this agent holds no issuer key, or its issuer is busy.
    #[error("the peer asked to join, which this agent cannot grant")]
    NoIssuer,
}

impl GateError {
    /// The label of the metric.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::NotAnAgent => "not_an_agent",
            Self::OtherAgent => "other_agent",
            Self::Refused(Refused::OtherMesh) => "other_mesh",
            Self::Refused(Refused::BadSignature) => "bad_signature",
            Self::Refused(Refused::NotAllowed) => "stranger",
            Self::Refused(Refused::Unreadable(_)) | Self::Malformed => "malformed",
            Self::Timeout => "timeout",
            Self::Oversize => "oversize",
            Self::Broken(_) => "broken",
            Self::Answered => "join_answered",
            Self::NoIssuer => "no_issuer",
        }
    }
}

impl From<FrameError> for GateError {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::Io(why) => Self::Broken(why),
            FrameError::Oversize => Self::Oversize,
            FrameError::Malformed(_) => Self::Malformed,
        }
    }
}

/// What every connection has to pass.
#[derive(Clone, Debug)]
pub struct Gate {
    /// Whom to believe, and what to show.
    pub trust: SharedTrust,
    /// Where requests to join go; `None` without an issuer key.
    pub issuer: Option<mpsc::Sender<Knock>>,
    /// Counts who was turned away.
    pub metrics: Metrics,
}

impl Gate {
    /// Admits the other end of a connection that we opened. `expected` is whom we called, if we know.
    ///
    /// # Errors
    /// See [`GateError`]; the connection is gone then.
    pub async fn pass_as_opener(
        self,
        peer: PeerId,
        muxer: StreamMuxerBox,
        expected: Option<PeerId>,
    ) -> Result<(PeerId, StreamMuxerBox), GateError> {
        let outcome = tokio::time::timeout(TIMEOUT, self.open(peer, muxer, expected)).await;
        self.count("us", outcome.unwrap_or(Err(GateError::Timeout))).map(|muxer| (peer, muxer))
    }

    /// Admits the other end of a connection that it opened.
    ///
    /// # Errors
    /// See [`GateError`]; the connection is gone then.
    pub async fn pass_as_listener(
        self,
        peer: PeerId,
        muxer: StreamMuxerBox,
    ) -> Result<(PeerId, StreamMuxerBox), GateError> {
        let outcome = tokio::time::timeout(TIMEOUT, self.listen(peer, muxer)).await;
        self.count("peer", outcome.unwrap_or(Err(GateError::Timeout))).map(|muxer| (peer, muxer))
    }

    fn count<T>(&self, opened_by: &str, outcome: Result<T, GateError>) -> Result<T, GateError> {
        match &outcome {
            Ok(_) => self.metrics.gate_admissions.with_label_values(&[opened_by]).inc(),
            Err(why) => {
                self.metrics.gate_refusals.with_label_values(&[why.reason()]).inc();
                tracing::debug!(reason = why.reason(), opened_by, "a connection did not pass the gate: {why}");
            }
        }
        outcome
    }

    fn admit(&self, agent: &AgentId, shown: Credentials) -> Result<(), GateError> {
        self.trust.admit(agent, shown).map(drop).map_err(GateError::Refused)
    }

    async fn open(
        &self,
        peer: PeerId,
        mut muxer: StreamMuxerBox,
        expected: Option<PeerId>,
    ) -> Result<StreamMuxerBox, GateError> {
        // Whoever is not the one that was called is shown nothing.
        if expected.is_some_and(|expected| expected != peer) {
            return Err(GateError::OtherAgent);
        }
        let agent = agent_of(&peer).ok_or(GateError::NotAnAgent)?;
        let mut stream = open_stream(&mut muxer).await?;
        let talk = async {
            frame::write(&mut stream, &Opening::Member(self.trust.credentials())).await?;
            let mut budget = BYTES_MAX;
            match frame::read(&mut stream, &mut budget).await? {
                Reply::Member(shown) => self.admit(&agent, shown)?,
                Reply::Join(_) => return Err(GateError::Malformed),
            }
            frame::write(&mut stream, &Accepted).await.map_err(GateError::from)
        };
        while_driving(&mut muxer, talk).await?;
        Ok(muxer)
    }

    async fn listen(&self, peer: PeerId, mut muxer: StreamMuxerBox) -> Result<StreamMuxerBox, GateError> {
        let agent = agent_of(&peer).ok_or(GateError::NotAnAgent)?;
        let mut stream = accept_stream(&mut muxer).await?;
        let talk = async {
            let mut budget = BYTES_MAX;
            match frame::read(&mut stream, &mut budget).await? {
                Opening::Member(shown) => self.admit(&agent, shown)?,
                Opening::Join(request) => return self.answer(agent, request, &mut stream).await,
            }
            frame::write(&mut stream, &Reply::Member(self.trust.credentials())).await?;
            frame::read(&mut stream, &mut budget).await.map(|Accepted| ()).map_err(GateError::from)
        };
        while_driving(&mut muxer, talk).await?;
        Ok(muxer)
    }

    /// Always an error in the end: a joiner's connection is never handed to the swarm.
    async fn answer(&self, agent: AgentId, request: Signed, stream: &mut SubstreamBox) -> Result<(), GateError> {
        let issuer = self.issuer.as_ref().ok_or(GateError::NoIssuer)?;
        let (answer, answered) = oneshot::channel();
        // A full queue refuses at once: the joiner spends nothing and may try again.
        issuer.try_send(Knock { agent, request, answer }).map_err(|_| {
            self.metrics.queue_full.with_label_values(&["issuer"]).inc();
            GateError::NoIssuer
        })?;
        let answer = answered.await.map_err(|_| GateError::NoIssuer)?;
        frame::write(stream, &Reply::Join(answer)).await?;
        // The answer may still be on its way when this end lets go of the connection, so wait until the joiner has
        // closed; the timeout around all of this bounds the wait.
        let _ = stream.read(&mut [0; 1]).await;
        Err(GateError::Answered)
    }
}

/// The joiner's side: asks, and reads the issuer's answer.
///
/// # Errors
/// See [`GateError`].
pub async fn ask(mut muxer: StreamMuxerBox, request: Signed) -> Result<JoinAnswer, GateError> {
    let asking = async {
        let mut stream = open_stream(&mut muxer).await?;
        let talk = async {
            frame::write(&mut stream, &Opening::Join(request)).await?;
            let mut budget = BYTES_MAX;
            match frame::read(&mut stream, &mut budget).await? {
                Reply::Join(answer) => Ok(answer),
                Reply::Member(_) => Err(GateError::Malformed),
            }
        };
        while_driving(&mut muxer, talk).await
    };
    tokio::time::timeout(TIMEOUT, asking).await.unwrap_or(Err(GateError::Timeout))
}

async fn open_stream(muxer: &mut StreamMuxerBox) -> Result<SubstreamBox, GateError> {
    poll_fn(|cx| match muxer.poll_outbound_unpin(cx) {
        Poll::Ready(stream) => Poll::Ready(stream),
        Poll::Pending => muxer.poll_unpin(cx).map(|event| Err(ended(event.err()))),
    })
    .await
    .map_err(GateError::Broken)
}

async fn accept_stream(muxer: &mut StreamMuxerBox) -> Result<SubstreamBox, GateError> {
    poll_fn(|cx| match muxer.poll_inbound_unpin(cx) {
        Poll::Ready(stream) => Poll::Ready(stream),
        Poll::Pending => muxer.poll_unpin(cx).map(|event| Err(ended(event.err()))),
    })
    .await
    .map_err(GateError::Broken)
}

/// Waits for `talk` while the connection underneath makes progress: Yamux reads and writes only when it is polled.
async fn while_driving<T>(
    muxer: &mut StreamMuxerBox,
    talk: impl Future<Output = Result<T, GateError>>,
) -> Result<T, GateError> {
    let mut talk = pin!(talk);
    poll_fn(|cx| {
        if let Poll::Ready(outcome) = talk.as_mut().poll(cx) {
            return Poll::Ready(outcome);
        }
        muxer.poll_unpin(cx).map(|event| Err(GateError::Broken(ended(event.err()))))
    })
    .await
}

/// The only event of a connection besides its end is that its address changed, which no admitted transport does.
fn ended(error: Option<std::io::Error>) -> std::io::Error {
    error.unwrap_or_else(|| std::io::Error::other("the address changed while the peer was not yet admitted"))
}
