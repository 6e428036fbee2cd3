//! Randomness as an argument: one seed, one stream for each machine, so that a draw more in one shifts no other.

use everypath_protocol::time::Span;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

/// Which machine draws.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stream {
    Membership,
    Exchange,
    Outbox,
    Uploader,
}

/// Reproducible random numbers; the same on every machine and version.
#[derive(Clone, Debug)]
pub(crate) struct Random(ChaCha8Rng);

impl Random {
    pub(crate) fn new(seed: [u8; 32], stream: Stream) -> Self {
        let mut rng = ChaCha8Rng::from_seed(seed);
        rng.set_stream(stream as u64);
        Self(rng)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `end`; 0 if `end` is 0. The bias of the remainder is below 2^-50 for the small ends used here.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.next() % end).unwrap_or(0)
    }

    /// A span between half of `span` and all of it ("equal jitter"), so that agents do not march in step.
    pub(crate) fn jittered(&mut self, span: Span) -> Span {
        let half = span.0 / 2;
        Span(half + self.next() % (half + 1))
    }

    /// One of the items, if there are any.
    pub(crate) fn pick<'items, T>(&mut self, items: &'items [T]) -> Option<&'items T> {
        items.get(self.below(items.len()))
    }
}
