//! zstd for many small pieces: making room for a compressor takes longer than compressing a hundred rows.

use std::cell::RefCell;
use std::io;
use zstd::bulk::Compressor;

/// Higher levels take megabytes, which no thread should keep.
const LEVEL_KEPT_MAX: i32 = 3;

thread_local! {
    static KEPT: RefCell<Compressor<'static>> = RefCell::default();
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
                assert_eq!(&zstd::bulk::decompress(&squeezed, piece.len()).expect("whole"), piece);
            }
        }
    }
}
