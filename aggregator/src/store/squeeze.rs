//! zstd for many small pieces: making room for a compressor takes longer than compressing a hundred rows.

use std::cell::RefCell;
use std::io;
use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::get_frame_content_size;

/// Higher levels take megabytes, which no thread should keep.
const LEVEL_KEPT_MAX: i32 = 3;

thread_local! {
    static KEPT: RefCell<Compressor<'static>> = RefCell::default();
    static KEPT_TO_OPEN: RefCell<Decompressor<'static>> = RefCell::default();
}

/// The same bytes as [`zstd::bulk::compress`].
///
/// # Errors
/// A level that does not exist.
pub(super) fn compress(bytes: &[u8], level: i32) -> io::Result<Vec<u8>> {
    if level > LEVEL_KEPT_MAX {
        return zstd::bulk::compress(bytes, level);
    }
    KEPT.with_borrow_mut(|kept| {
        kept.set_compression_level(level)?;
        kept.compress(bytes)
    })
}

/// What [`compress`] made. Room is made for what it holds and not for the most that it may.
///
/// # Errors
/// It is damaged, or would be longer than `bytes_max`.
pub(super) fn decompress(squeezed: &[u8], bytes_max: usize) -> io::Result<Vec<u8>> {
    let size = get_frame_content_size(squeezed).ok().flatten().and_then(|size| usize::try_from(size).ok());
    let size = size.unwrap_or(bytes_max);
    if size > bytes_max {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it claims to be longer than anything that is written"));
    }
    KEPT_TO_OPEN.with_borrow_mut(|kept| kept.decompress(squeezed, size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_compressed_before_leaves_no_trace() {
        let pieces: Vec<Vec<u8>> =
            (0_u8..60).map(|piece| (0..=piece).cycle().take(97 * usize::from(piece)).collect()).collect();
        for level in [1, 3, 9, 1] {
            for piece in &pieces {
                let squeezed = compress(piece, level).expect("a level that exists");
                assert_eq!(squeezed, zstd::bulk::compress(piece, level).expect("a level that exists"));
                assert_eq!(&decompress(&squeezed, 1 << 20).expect("whole"), piece);
            }
        }
    }

    #[test]
    fn what_claims_to_be_too_long_or_is_damaged_is_refused_and_hinders_nothing_after_it() {
        let squeezed = compress(&[7; 5_000], 1).expect("a level that exists");
        assert!(decompress(&squeezed, 4_999).is_err());
        assert!(decompress(&squeezed[..squeezed.len() - 1], 1 << 20).is_err());
        assert!(decompress(b"nothing of ours", 1 << 20).is_err());
        assert_eq!(decompress(&squeezed, 5_000).expect("whole"), [7; 5_000]);
    }
}
