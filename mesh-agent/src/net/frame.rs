//! What is said at the gate, and how: a magic word, a length, a message. The whole conversation is at most 8 KiB a side.

use everypath_protocol::codec::{self, DecodeError};
use everypath_protocol::join::JoinAnswer;
use everypath_protocol::sign::Signed;
use everypath_protocol::trust::Credentials;
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use serde::{Deserialize, Serialize};
use std::io;

/// First bytes of every frame. A later version gets another word.
pub const MAGIC: &[u8; 17] = b"/everypath/auth/1";
/// Most bytes that either side says before it is admitted.
pub const BYTES_MAX: usize = 8 * 1024;

const HEADER_BYTES: usize = MAGIC.len() + 2;

/// What the end that opened the connection says first.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Opening {
    /// "I am a member."
    Member(Credentials),
    /// "I was invited": an [`everypath_protocol::join::JoinRequest`].
    Join(Signed),
}

/// What the other end says once it has accepted the opening. To whom it refuses it says nothing at all.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Reply {
    /// "So am I."
    Member(Credentials),
    /// The issuer's answer.
    Join(JoinAnswer),
}

/// The opener's last word: it has accepted the reply. Only then does either end use the connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Accepted;

/// Why a frame could not be read.
#[derive(Debug)]
pub enum FrameError {
    /// The stream broke or ended.
    Io(io::Error),
    /// More bytes than a side may say.
    Oversize,
    /// Not a frame, or not the message that belongs here.
    Malformed(DecodeError),
}

/// Writes one message.
///
/// # Errors
/// [`FrameError::Oversize`] if the message cannot fit, else [`FrameError::Io`].
pub async fn write<T: Serialize>(io: &mut (impl AsyncWrite + Unpin), message: &T) -> Result<(), FrameError> {
    let body = codec::encode(message);
    let length = u16::try_from(body.len()).ok().filter(|_| body.len() <= BYTES_MAX - HEADER_BYTES);
    let length = length.ok_or(FrameError::Oversize)?;
    let mut bytes = Vec::with_capacity(HEADER_BYTES + body.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&body);
    io.write_all(&bytes).await.map_err(FrameError::Io)?;
    io.flush().await.map_err(FrameError::Io)
}

/// Reads one message and takes its bytes from `budget`. A length past the budget is refused before anything is read.
///
/// # Errors
/// See [`FrameError`].
pub async fn read<T: serde::de::DeserializeOwned>(
    io: &mut (impl AsyncRead + Unpin),
    budget: &mut usize,
) -> Result<T, FrameError> {
    *budget = budget.checked_sub(HEADER_BYTES).ok_or(FrameError::Oversize)?;
    let mut magic = [0; MAGIC.len()];
    io.read_exact(&mut magic).await.map_err(FrameError::Io)?;
    if magic != *MAGIC {
        return Err(FrameError::Malformed(DecodeError::NotThisFormat));
    }
    let mut length = [0; 2];
    io.read_exact(&mut length).await.map_err(FrameError::Io)?;
    let length = usize::from(u16::from_le_bytes(length));
    *budget = budget.checked_sub(length).ok_or(FrameError::Oversize)?;
    let mut body = vec![0; length];
    io.read_exact(&mut body).await.map_err(FrameError::Io)?;
    codec::decode(&body, BYTES_MAX).map_err(FrameError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::executor::block_on;
    use futures::io::Cursor;

    fn framed(length: u16, body: &[u8]) -> Cursor<Vec<u8>> {
        Cursor::new([MAGIC.as_slice(), &length.to_le_bytes(), body].concat())
    }

    #[test]
    fn what_is_written_is_read_and_counted() {
        let mut bytes = Cursor::new(Vec::new());
        block_on(write(&mut bytes, &7_u32)).unwrap();
        let written = bytes.get_ref().len();
        bytes.set_position(0);
        let mut budget = BYTES_MAX;
        assert_eq!(block_on(read::<u32>(&mut bytes, &mut budget)).unwrap(), 7);
        assert_eq!(budget, BYTES_MAX - written);
    }

    #[test]
    fn a_length_past_the_budget_is_refused_before_it_is_read() {
        let mut budget = BYTES_MAX;
        let refused = block_on(read::<u32>(&mut framed(u16::MAX, b""), &mut budget)).unwrap_err();
        assert!(matches!(refused, FrameError::Oversize), "{refused:?}");
    }

    #[test]
    fn another_protocol_and_half_a_frame_are_refused() {
        let mut budget = BYTES_MAX;
        let mut other = Cursor::new(b"GET / HTTP/1.1\r\n\r\n".to_vec());
        assert!(matches!(block_on(read::<u32>(&mut other, &mut budget)), Err(FrameError::Malformed(_))));
        let mut half = framed(10, b"1234");
        assert!(matches!(block_on(read::<u32>(&mut half, &mut budget)), Err(FrameError::Io(_))));
        let mut longer = framed(2, &[7, 7]);
        assert!(matches!(block_on(read::<u32>(&mut longer, &mut budget)), Err(FrameError::Malformed(_))));
    }
}
