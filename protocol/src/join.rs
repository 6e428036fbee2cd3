//! Redeeming a token: two messages, over HTTPS to an aggregator or through the certificate gate of an issuing agent.

use crate::id::{AgentId, MeshId};
use crate::sign::{self, Document, Signed};
use crate::token::{AggregatorAddress, JoinToken, TokenId};
use crate::trust::Credentials;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Most bytes of a request or an answer.
pub const BYTES_MAX: usize = 8 * 1024;

/// Signed by the joiner with its new key, so that nobody can enrol a key that is not theirs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct JoinRequest {
    /// Which token.
    pub token: TokenId,
    /// The key that wants a certificate.
    pub agent: AgentId,
    /// Drawn by the joiner.
    pub nonce: [u8; 16],
    /// [`crate::token::TokenKey::proof`].
    pub proof: [u8; 32],
    /// What people shall call it.
    pub name: String,
    /// Where it is.
    pub site: String,
}

impl Document for JoinRequest {
    const KIND: u8 = 3;
    const VERSION: u8 = 1;
    const BYTES_MAX: usize = 1024;
}

impl JoinRequest {
    /// The request of `signer` for `token`.
    pub fn new(token: &JoinToken, agent: AgentId, nonce: [u8; 16], name: String, site: String) -> Self {
        let proof = token.secret.key().proof(&agent, &token.mesh, &nonce);
        Self { token: token.id, agent, nonce, proof, name, site }
    }
}

/// The issuer's answer to a request that it accepts.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct JoinGrant {
    /// The joiner's credentials.
    pub credentials: Credentials,
    /// Where results go.
    pub aggregators: Vec<AggregatorAddress>,
    /// Some members to start from, each a signed [`crate::member::MemberRecord`].
    pub members: Vec<Signed>,
}

/// Why an issuer refuses; each is said to the joiner in plain words.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum JoinRefusal {
    /// No such token, or a proof that does not fit it. One answer for both, so that ids cannot be guessed.
    UnknownToken,
    /// Its time is over.
    Expired,
    /// All its uses are spent.
    UsedUp,
    /// Another agent has this name.
    NameTaken,
    /// The name or the site cannot be used.
    InvalidName,
    /// The request cannot be read or is not signed by the key it names.
    BadRequest,
    /// The issuer cannot answer now; the token is not spent.
    TryLater,
}

impl JoinRefusal {
    /// A stable word for programs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::UnknownToken => "unknown_token",
            Self::Expired => "token_expired",
            Self::UsedUp => "token_used_up",
            Self::NameTaken => "name_taken",
            Self::InvalidName => "invalid_name",
            Self::BadRequest => "bad_join_request",
            Self::TryLater => "try_later",
        }
    }

    /// The refusal with this word.
    pub fn from_code(code: &str) -> Option<Self> {
        [
            Self::UnknownToken,
            Self::Expired,
            Self::UsedUp,
            Self::NameTaken,
            Self::InvalidName,
            Self::BadRequest,
            Self::TryLater,
        ]
        .into_iter()
        .find(|refusal| refusal.code() == code)
    }

    /// What happened and what to do, for the person who pasted the token.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::UnknownToken => {
                "the issuer does not know this token; it may belong to another mesh or have been withdrawn. Make a new one."
            }
            Self::Expired => "the token has expired; make a new one.",
            Self::UsedUp => "the token is used up; make a new one, with as many uses as there are agents to join.",
            Self::NameTaken => "another agent of the mesh has this name; choose another with --name.",
            Self::InvalidName => "names of agents and sites are 1 to 64 letters, digits, '-', '_' or '.'.",
            Self::BadRequest => {
                "the request was damaged on its way or comes from an incompatible version; compare the versions of both programs."
            }
            Self::TryLater => "the issuer cannot answer now; nothing was spent, so try again in a minute.",
        }
    }
}

/// What the issuer says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[expect(clippy::large_enum_variant, reason = "one value for a message, read once and taken apart")]
pub enum JoinAnswer {
    /// Welcome.
    Granted(JoinGrant),
    /// No.
    Refused(JoinRefusal),
}

/// Who says hello to an aggregator: its credentials and where it can be reached. The answer is a list of others.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Hello {
    /// A [`crate::member::MemberRecord`].
    pub member: Signed,
}

/// Members that an aggregator knows, newest first; each must be checked as if a stranger had sent it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct HelloAnswer {
    /// Signed [`crate::member::MemberRecord`]s.
    pub members: Vec<Signed>,
}

/// Checks the request's own signature and proof. What the issuer knows of the token is checked by the issuer.
///
/// # Errors
/// [`JoinRefusal::BadRequest`] or [`JoinRefusal::InvalidName`].
pub fn open_request(signed: Signed, mesh: &MeshId, scheme: &impl sign::Scheme) -> Result<JoinRequest, JoinRefusal> {
    let request = sign::open::<JoinRequest>(signed, mesh, scheme).map_err(|_| JoinRefusal::BadRequest)?;
    if request.author() != request.document().agent.into() {
        return Err(JoinRefusal::BadRequest);
    }
    let request = request.document().clone();
    let valid = crate::trust::is_valid_name(&request.name) && crate::trust::is_valid_name(&request.site);
    if valid { Ok(request) } else { Err(JoinRefusal::InvalidName) }
}
