//! Bytes in, values out, and never a panic: the one place that calls postcard.

use alloc::vec::Vec;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Why bytes are not the value they were said to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DecodeError {
    /// More bytes than this kind of message may have.
    TooLong {
        /// How many there were.
        bytes: usize,
        /// How many are allowed.
        bytes_max: usize,
    },
    /// The first bytes are not those of this format.
    NotThisFormat,
    /// A version that this program does not know; a newer one may.
    UnknownVersion(u8),
    /// A kind of document other than the expected one.
    WrongKind(u8),
    /// The checksum does not match: the bytes were damaged.
    Damaged,
    /// The bytes end early, go on too long, or hold values that cannot be.
    Malformed,
}

impl core::fmt::Display for DecodeError {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::TooLong { bytes, bytes_max } => write!(out, "{bytes} bytes where at most {bytes_max} are allowed"),
            Self::NotThisFormat => out.write_str("not in the expected format"),
            Self::UnknownVersion(version) => write!(out, "format version {version} is not known to this program"),
            Self::WrongKind(kind) => write!(out, "a document of kind {kind} where another was expected"),
            Self::Damaged => out.write_str("the checksum does not match, so the bytes were damaged"),
            Self::Malformed => out.write_str("truncated or malformed"),
        }
    }
}

impl core::error::Error for DecodeError {}

/// The bytes of a value. Fails for no type of this crate: all have a length that is known when they are written.
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_allocvec(value).expect("every type of the protocol can be written")
}

/// The value in `bytes`, all of which must be used up.
///
/// # Errors
/// [`DecodeError::TooLong`] above `bytes_max`, else [`DecodeError::Malformed`].
pub fn decode<T: DeserializeOwned>(bytes: &[u8], bytes_max: usize) -> Result<T, DecodeError> {
    if bytes.len() > bytes_max {
        return Err(DecodeError::TooLong { bytes: bytes.len(), bytes_max });
    }
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok(_) | Err(_) => Err(DecodeError::Malformed),
    }
}
