//! Bytes as text (RFC 4648 §5, without padding). Written here because it is 30 lines and this crate has no operating system
//! under it.

use alloc::string::String;
use alloc::vec::Vec;

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Writes `bytes` behind `text`.
pub(crate) fn write(bytes: &[u8], text: &mut String) {
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0_u32, |word, byte| (word << 8) | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..=chunk.len() {
            let digit = (word >> (18 - 6 * place)) & 63;
            text.push(char::from(DIGITS[usize::try_from(digit).unwrap_or(0)]));
        }
    }
}

/// Reads what [`write`] wrote. Whoever calls bounds its length.
pub(crate) fn read(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    for chunk in text.as_bytes().chunks(4) {
        let mut word = 0_u32;
        for digit in chunk {
            let value = DIGITS.iter().position(|known| known == digit)?;
            word = (word << 6) | u32::try_from(value).ok()?;
        }
        let whole = (word << (6 * (4 - chunk.len()))).to_be_bytes();
        let count = match chunk.len() {
            4 => 3,
            3 => 2,
            2 => 1,
            _ => return None,
        };
        bytes.extend_from_slice(&whole[1..=count]);
    }
    Some(bytes)
}
