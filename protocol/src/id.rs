//! Names for things. No bare integer or byte array crosses a module boundary without one of these types around it.

use alloc::string::String;
use core::fmt;
use serde::{Deserialize, Serialize};

/// Writes bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

/// Reads exactly 32 bytes from 64 hexadecimal digits, either case.
pub fn parse_hex32(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let nibble = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = (nibble(pair[0])? << 4) | nibble(pair[1])?;
    }
    Some(bytes)
}

macro_rules! bytes32 {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub [u8; 32]);

        impl $name {
            /// The first eight hexadecimal digits: enough to recognise it in a log, never used to look anything up.
            pub fn short(&self) -> String {
                hex(&self.0[..4])
            }

            /// Reads the 64 hexadecimal digits that `Display` writes.
            pub fn parse(text: &str) -> Option<Self> {
                parse_hex32(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(&hex(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(out, "{}({})", stringify!($name), self.short())
            }
        }
    };
}

bytes32!(
    /// An agent: its Ed25519 public key (RFC 8032). Made on the host; the private half never leaves it.
    AgentId
);
bytes32!(
    /// A mesh: SHA-256 of its root public key.
    MeshId
);
bytes32!(
    /// Any Ed25519 public key: root, issuer, config or agent.
    PublicKey
);

impl From<AgentId> for PublicKey {
    fn from(agent: AgentId) -> Self {
        Self(agent.0)
    }
}

impl From<PublicKey> for AgentId {
    fn from(key: PublicKey) -> Self {
        Self(key.0)
    }
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(out, "{}", self.0)
            }
        }
    };
}

number!(
    /// One gapless, ascending stream of records of one agent. The value is random, so that two copies of a disk can
    /// never continue the same stream. The word is used for nothing else.
    Epoch(u64)
);
number!(
    /// Position of a record in its epoch. The first record has number 1; 0 means "nothing yet".
    Seq(u64)
);
number!(
    /// Raised by an agent, and by nobody else, each time it starts: newer statements of one agent win over older ones.
    Incarnation(u64)
);
number!(
    /// One attempt to measure one target, unique within a running agent.
    ProbeId(u64)
);
number!(
    /// A random number drawn at process start; ties monotonic times to the process that read them.
    BootId(u64)
);

impl Seq {
    /// The next position. Saturates, because 2^64 records at a million a second last for half a million years.
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// Mixes 64 bits into 64 bits so that near inputs land far apart (the finaliser of SplitMix64, Steele et al. 2014).
pub const fn mix64(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// A stable number for an ordered pair of agents, for phases and rings; the same in every process and on every machine.
pub fn pair_hash(source: &AgentId, target: &AgentId) -> u64 {
    let mut hash = 0x9e37_79b9_7f4a_7c15;
    for chunk in source.0.chunks_exact(8).chain(target.0.chunks_exact(8)) {
        let mut word = [0; 8];
        word.copy_from_slice(chunk);
        hash = mix64(hash ^ u64::from_le_bytes(word)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    }
    hash
}
