//! Signed documents. A [`Verified`] value can only be made here, so code that asks for one cannot be given anything that
//! nobody checked.
//!
//! What is signed is `"everypath/1" ‖ kind ‖ version ‖ mesh ‖ author ‖ body`: a signature can be moved neither to another
//! kind or version of document, nor to another mesh.

use crate::codec::{self, DecodeError};
use crate::id::{MeshId, PublicKey};
use alloc::vec::Vec;
use hmac::{Hmac, KeyInit, Mac};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

const DOMAIN: &[u8] = b"everypath/1";

/// SHA-256 (FIPS 180-4).
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

/// HMAC-SHA-256 (RFC 2104).
pub fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// A type that is signed: its number, its version, and how long it may be.
pub trait Document: Serialize + DeserializeOwned {
    /// The number of this kind of document. Never reused.
    const KIND: u8;
    /// The version of its bytes. A published version never changes.
    const VERSION: u8;
    /// Longest body, in bytes.
    const BYTES_MAX: usize;
}

/// An Ed25519 signature, or what stands for one in a simulation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature(pub [u8; 64]);

impl core::fmt::Debug for Signature {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(out, "Signature({}…)", crate::id::hex(&self.0[..4]))
    }
}

impl Serialize for Signature {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (low, high) = self.0.split_at(32);
        (<[u8; 32]>::try_from(low).expect("32 of 64"), <[u8; 32]>::try_from(high).expect("32 of 64"))
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Signature {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (low, high) = <([u8; 32], [u8; 32])>::deserialize(deserializer)?;
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&low);
        bytes[32..].copy_from_slice(&high);
        Ok(Self(bytes))
    }
}

/// A document as it travels: nobody has checked it yet.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Signed {
    /// [`Document::KIND`].
    pub kind: u8,
    /// [`Document::VERSION`].
    pub version: u8,
    /// The mesh it is meant for.
    pub mesh: MeshId,
    /// Who says that it signed.
    pub author: PublicKey,
    /// The document.
    pub body: Vec<u8>,
    /// Over everything above.
    pub signature: Signature,
}

/// A document whose signature is its author's. Whether that author may say such a thing is the caller's question.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verified<T> {
    document: T,
    signed: Signed,
}

impl<T> Verified<T> {
    /// What was signed.
    pub const fn document(&self) -> &T {
        &self.document
    }

    /// Who signed it.
    pub const fn author(&self) -> PublicKey {
        self.signed.author
    }

    /// The original, to be passed on.
    pub const fn signed(&self) -> &Signed {
        &self.signed
    }
}

/// Makes signatures of one key.
pub trait Signer {
    /// The public half.
    fn public(&self) -> PublicKey;
    /// Signs.
    fn sign(&self, message: &[u8]) -> Signature;
}

/// Checks signatures of any key.
pub trait Scheme {
    /// Whether `signature` is `author`'s over `message`.
    fn verify(&self, author: &PublicKey, message: &[u8], signature: &Signature) -> bool;
}

/// Why a signed document was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// Not readable as the expected document.
    Unreadable(DecodeError),
    /// Made for another mesh.
    OtherMesh,
    /// The signature is not the author's.
    BadSignature,
    /// The author may not sign this kind of document.
    NotAllowed,
}

impl core::fmt::Display for Refused {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Unreadable(why) => write!(out, "unreadable: {why}"),
            Self::OtherMesh => out.write_str("made for another mesh"),
            Self::BadSignature => out.write_str("the signature is not the author's"),
            Self::NotAllowed => out.write_str("the author may not sign this"),
        }
    }
}

impl core::error::Error for Refused {}

/// Signs `document` for `mesh`.
pub fn seal<T: Document>(document: T, mesh: MeshId, signer: &impl Signer) -> Verified<T> {
    let body = codec::encode(&document);
    let author = signer.public();
    let signature = signer.sign(&message(T::KIND, T::VERSION, &mesh, &author, &body));
    Verified { document, signed: Signed { kind: T::KIND, version: T::VERSION, mesh, author, body, signature } }
}

/// Checks kind, version, mesh, length, signature and body, in the order of what they cost.
///
/// # Errors
/// See [`Refused`]. The body is not read before the signature is known to be the author's.
pub fn open<T: Document>(signed: Signed, mesh: &MeshId, scheme: &impl Scheme) -> Result<Verified<T>, Refused> {
    if signed.kind != T::KIND {
        return Err(Refused::Unreadable(DecodeError::WrongKind(signed.kind)));
    }
    if signed.version != T::VERSION {
        return Err(Refused::Unreadable(DecodeError::UnknownVersion(signed.version)));
    }
    if signed.mesh != *mesh {
        return Err(Refused::OtherMesh);
    }
    if signed.body.len() > T::BYTES_MAX {
        return Err(Refused::Unreadable(DecodeError::TooLong { bytes: signed.body.len(), bytes_max: T::BYTES_MAX }));
    }
    let message = message(signed.kind, signed.version, &signed.mesh, &signed.author, &signed.body);
    if !scheme.verify(&signed.author, &message, &signed.signature) {
        return Err(Refused::BadSignature);
    }
    let document = codec::decode(&signed.body, T::BYTES_MAX).map_err(Refused::Unreadable)?;
    Ok(Verified { document, signed })
}

fn message(kind: u8, version: u8, mesh: &MeshId, author: &PublicKey, body: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(DOMAIN.len() + 2 + 64 + body.len());
    message.extend_from_slice(DOMAIN);
    message.extend_from_slice(&[kind, version]);
    message.extend_from_slice(&mesh.0);
    message.extend_from_slice(&author.0);
    message.extend_from_slice(body);
    message
}

/// Ed25519 (RFC 8032) with the strict check, which refuses keys of small order and signatures that can be altered.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ed25519;

impl Scheme for Ed25519 {
    fn verify(&self, author: &PublicKey, message: &[u8], signature: &Signature) -> bool {
        let Ok(key) = ed25519_dalek::VerifyingKey::from_bytes(&author.0) else { return false };
        key.verify_strict(message, &ed25519_dalek::Signature::from_bytes(&signature.0)).is_ok()
    }
}

/// An Ed25519 private key. Prints nothing of itself and is wiped when dropped.
pub struct SecretKey(ed25519_dalek::SigningKey);

impl SecretKey {
    /// From 32 random bytes.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// The 32 bytes, to be written to a file that only the owner can read.
    pub fn seed(&self) -> [u8; 32] {
        self.0.to_bytes()
    }
}

impl core::fmt::Debug for SecretKey {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(out, "SecretKey(of {})", self.public().short())
    }
}

impl Signer for SecretKey {
    fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    fn sign(&self, message: &[u8]) -> Signature {
        Signature(ed25519_dalek::Signer::sign(&self.0, message).to_bytes())
    }
}

/// For simulations of many agents only: a hash stands for the signature, so anyone could forge it, but a message that was
/// altered or put under another name is still refused. Ed25519 would cost ~47 µs a check.
#[derive(Clone, Copy, Debug)]
pub struct SimulatedKey(pub PublicKey);

/// The checking half of [`SimulatedKey`].
#[derive(Clone, Copy, Debug, Default)]
pub struct SimulatedScheme;

fn simulated(author: &PublicKey, message: &[u8]) -> Signature {
    let hash = sha256(&[b"simulated", &author.0, message]);
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(&hash);
    Signature(bytes)
}

impl Signer for SimulatedKey {
    fn public(&self) -> PublicKey {
        self.0
    }

    fn sign(&self, message: &[u8]) -> Signature {
        simulated(&self.0, message)
    }
}

impl Scheme for SimulatedScheme {
    fn verify(&self, author: &PublicKey, message: &[u8], signature: &Signature) -> bool {
        simulated(author, message) == *signature
    }
}
