//! One cell of the matrix in four bytes: state, loss, round-trip time. Used in rows between agents and in live frames to
//! the page; `docs/reference/live-protocol.md` describes the bytes.

use serde::{Deserialize, Serialize};

/// What is known of one ordered pair.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub enum CellState {
    /// Not measured, or measured too long ago. Never counted as loss, never shown as healthy.
    #[default]
    Unknown,
    /// Replies come, and about as fast as usual.
    Ok,
    /// Replies come, but much later than usual for this pair.
    Slow,
    /// Some probes are lost.
    Lossy,
    /// All recent probes are lost.
    Down,
}

impl CellState {
    /// Every state, in the order of the wire numbers 0–4.
    pub const ALL: [Self; 5] = [Self::Unknown, Self::Ok, Self::Slow, Self::Lossy, Self::Down];

    /// The number on the wire.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The state with this number, if there is one.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }

    /// The word used in JSON, logs and the terminal.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Ok => "ok",
            Self::Slow => "slow",
            Self::Lossy => "lossy",
            Self::Down => "down",
        }
    }
}

/// The number of the diagonal in snapshots: an agent does not measure itself.
pub const CODE_SELF: u8 = 5;
/// The number of a pair that nobody is asked to measure.
pub const CODE_NOT_ASSIGNED: u8 = 6;
/// Loss that is not known.
pub const LOSS_UNKNOWN: u8 = 255;
/// A round-trip time that is not known.
pub const RTT_UNKNOWN: u16 = u16::MAX;

/// State, loss class and round-trip time of a pair, ready to be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PackedCell {
    /// A [`CellState`] number, [`CODE_SELF`] or [`CODE_NOT_ASSIGNED`].
    pub state: u8,
    /// Units of 4 permille, rounded up; 255 is not known.
    pub loss: u8,
    /// See [`encode_rtt`].
    pub rtt: u16,
}

impl PackedCell {
    /// A pair of which nothing is known.
    pub const UNKNOWN: Self = Self { state: CellState::Unknown as u8, loss: LOSS_UNKNOWN, rtt: RTT_UNKNOWN };

    /// Packs a judged cell. `None` stays "not known".
    pub fn new(state: CellState, loss_permille: Option<u16>, rtt_us: Option<u32>) -> Self {
        Self {
            state: state.code(),
            loss: loss_permille.map_or(LOSS_UNKNOWN, encode_loss),
            rtt: rtt_us.map_or(RTT_UNKNOWN, encode_rtt),
        }
    }

    /// The four bytes.
    pub const fn to_bytes(self) -> [u8; 4] {
        let rtt = self.rtt.to_le_bytes();
        [self.state, self.loss, rtt[0], rtt[1]]
    }

    /// Loss in permille, if known; at most 4 above what was measured.
    pub fn loss_permille(self) -> Option<u16> {
        (self.loss != LOSS_UNKNOWN).then(|| u16::from(self.loss) * 4)
    }

    /// Round-trip time in microseconds, if known; less than 0.1 % below what was measured.
    pub fn rtt_us(self) -> Option<u32> {
        (self.rtt != RTT_UNKNOWN).then(|| decode_rtt(self.rtt))
    }
}

/// Loss in steps of 4 permille, rounded up so that any loss is seen; more than 1000 permille counts as all.
pub fn encode_loss(permille: u16) -> u8 {
    u8::try_from(permille.min(1000).div_ceil(4)).unwrap_or(250)
}

/// Eleven bits of mantissa, five of exponent: halved until it fits.
pub fn encode_rtt(rtt_us: u32) -> u16 {
    let exponent = (32 - rtt_us.leading_zeros()).saturating_sub(11);
    let mantissa = rtt_us >> exponent;
    u16::try_from((exponent << 11) | mantissa).unwrap_or(RTT_UNKNOWN)
}

/// The value, in microseconds, that [`encode_rtt`] kept.
pub fn decode_rtt(code: u16) -> u32 {
    u32::from(code & 0x7ff).checked_shl(u32::from(code >> 11)).unwrap_or(u32::MAX)
}
