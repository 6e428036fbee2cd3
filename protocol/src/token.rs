//! The join token: one string that holds all that a new agent needs, and proves to the issuer that it was invited.
//!
//! `ep1.` and then base64url of postcard and a checksum, so that a token that lost a character is told apart from one that
//! is refused.

use crate::base64url;
use crate::codec;
use crate::id::{AgentId, MeshId, PublicKey};
use crate::sign::{hmac_sha256, sha256};
use crate::time::UnixTime;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

const PREFIX: &str = "ep1.";
const BYTES_MAX: usize = 2048;

/// Names a token; not secret.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct TokenId(pub [u8; 8]);

/// What is proven, never sent. Prints nothing of itself.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenSecret(pub [u8; 16]);

impl core::fmt::Debug for TokenSecret {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.write_str("TokenSecret")
    }
}

/// The key of the proof. The issuer stores this, not the secret.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenKey(pub [u8; 32]);

impl core::fmt::Debug for TokenKey {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.write_str("TokenKey")
    }
}

impl TokenSecret {
    /// The key of the proof.
    pub fn key(&self) -> TokenKey {
        TokenKey(sha256(&[b"everypath join token", &self.0]))
    }
}

impl TokenKey {
    /// The proof that `agent` holds the token: it binds key, mesh and nonce, so it is good for nothing else.
    pub fn proof(&self, agent: &AgentId, mesh: &MeshId, nonce: &[u8; 16]) -> [u8; 32] {
        hmac_sha256(&self.0, &[&agent.0, &mesh.0, nonce])
    }
}

/// An address of an aggregator and what its TLS certificate must be.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AggregatorAddress {
    /// `https://host:port`.
    pub url: String,
    /// SHA-256 of the DER bytes of its certificate; `None` where the system's authorities vouch for it.
    pub pin: Option<[u8; 32]>,
}

/// Everything that a new agent needs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct JoinToken {
    /// The mesh, so that first contact is verified, not trusted.
    pub mesh: MeshId,
    /// An older delegation than this is refused.
    pub delegation_version_min: u32,
    /// Who can redeem it.
    pub issuer: PublicKey,
    /// Which token it is.
    pub id: TokenId,
    /// What is proven.
    pub secret: TokenSecret,
    /// Issuer's clock after which it is refused.
    pub expires: UnixTime,
    /// Multiaddresses of members to start from.
    pub bootstrap: Vec<String>,
    /// Where results go.
    pub aggregators: Vec<AggregatorAddress>,
}

/// Why a string is not a token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TokenError {
    /// It does not begin as tokens do.
    NotAToken,
    /// It begins as one but is incomplete or mistyped.
    Damaged,
}

impl core::fmt::Display for TokenError {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.write_str(match self {
            Self::NotAToken => "this is not a join token; a token begins with \"ep1.\"",
            Self::Damaged => "the token is incomplete or mistyped; copy the whole line again",
        })
    }
}

impl core::error::Error for TokenError {}

impl JoinToken {
    /// The string to paste.
    pub fn to_text(&self) -> String {
        let mut bytes = codec::encode(self);
        bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
        let mut text = String::from(PREFIX);
        base64url::write(&bytes, &mut text);
        text
    }

    /// Reads a pasted string; white space around it does not matter.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub fn from_text(text: &str) -> Result<Self, TokenError> {
        let digits = text.trim().strip_prefix(PREFIX).ok_or(TokenError::NotAToken)?;
        if digits.len() > BYTES_MAX * 4 / 3 + 8 {
            return Err(TokenError::Damaged);
        }
        let bytes = base64url::read(digits).ok_or(TokenError::Damaged)?;
        let (body, crc) = bytes.split_last_chunk::<4>().ok_or(TokenError::Damaged)?;
        if crc32fast::hash(body) != u32::from_le_bytes(*crc) {
            return Err(TokenError::Damaged);
        }
        codec::decode(body, BYTES_MAX).map_err(|_| TokenError::Damaged)
    }
}
