//! Versions only go up.

use crate::id::PublicKey;
use crate::trust::Delegation;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Most keys that are remembered.
pub const KEYS_MAX: usize = 16;

/// The highest version that was taken from each config key. Written together with the document, so that neither a restart nor
/// an older document that is told again leads back.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Ratchet {
    taken: Vec<(PublicKey, u64)>,
}

/// The version is not above what was taken before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotNewer {
    /// It must be above this.
    pub version: u64,
}

impl Ratchet {
    /// The version that one of `author` must be above to be taken.
    ///
    /// 1. It must be above all that its author signed before.
    /// 2. It must be above what any key of the delegation signed: keys that sign at the same time count together.
    /// 3. A key that left the delegation does not count: whoever stole it could have signed the highest version there is.
    pub fn floor(&self, author: &PublicKey, delegation: &Delegation) -> u64 {
        let counts = |key: &PublicKey| key == author || delegation.config.contains(key);
        self.taken.iter().filter(|(key, _)| counts(key)).map(|(_, version)| *version).max().unwrap_or(0)
    }

    /// Notes that `version` of `author` is taken.
    ///
    /// # Errors
    /// [`NotNewer`] if it must not be; nothing is noted then.
    pub fn take(&mut self, author: PublicKey, version: u64, delegation: &Delegation) -> Result<(), NotNewer> {
        let floor = self.floor(&author, delegation);
        if version <= floor {
            return Err(NotNewer { version: floor });
        }
        self.taken.retain(|(key, _)| *key != author);
        while self.taken.len() >= KEYS_MAX {
            // Keys that may sign nothing any more go first; a delegation has fewer keys than are remembered.
            let gone = self.taken.iter().position(|(key, _)| !delegation.config.contains(key));
            self.taken.remove(gone.unwrap_or(0));
        }
        self.taken.push((author, version));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn delegation(config: &[u8]) -> Delegation {
        Delegation { version: 1, issuers: vec![], config: config.iter().map(|key| PublicKey([*key; 32])).collect() }
    }

    const ONE: PublicKey = PublicKey([1; 32]);
    const TWO: PublicKey = PublicKey([2; 32]);

    #[test]
    fn a_version_is_taken_once_and_never_an_older_one() {
        let mut ratchet = Ratchet::default();
        let both = delegation(&[1, 2]);
        assert_eq!(ratchet.take(ONE, 0, &both), Err(NotNewer { version: 0 }));
        assert_eq!(ratchet.take(ONE, 5, &both), Ok(()));
        assert_eq!(ratchet.take(ONE, 5, &both), Err(NotNewer { version: 5 }));
        assert_eq!(ratchet.take(TWO, 4, &both), Err(NotNewer { version: 5 }), "keys count together");
        assert_eq!(ratchet.take(TWO, 6, &both), Ok(()));
        assert_eq!(ratchet.take(ONE, 6, &both), Err(NotNewer { version: 6 }));
    }

    #[test]
    fn a_key_that_left_the_delegation_blocks_nobody_and_gets_no_way_back() {
        let mut ratchet = Ratchet::default();
        assert_eq!(ratchet.take(ONE, u64::MAX, &delegation(&[1])), Ok(()));
        assert_eq!(ratchet.take(TWO, 7, &delegation(&[2])), Ok(()));
        assert_eq!(ratchet.take(ONE, u64::MAX, &delegation(&[1, 2])), Err(NotNewer { version: u64::MAX }));
    }

    #[test]
    fn it_remembers_a_bounded_number_of_keys_and_never_forgets_one_that_may_sign() {
        let mut ratchet = Ratchet::default();
        assert_eq!(ratchet.take(ONE, 9, &delegation(&[1])), Ok(()));
        for key in 2..100 {
            assert_eq!(ratchet.take(PublicKey([key; 32]), 1_000, &delegation(&[1])), Ok(()));
        }
        assert_eq!(ratchet.taken.len(), KEYS_MAX);
        assert_eq!(ratchet.floor(&ONE, &delegation(&[1])), 9);
    }
}
