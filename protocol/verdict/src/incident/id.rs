//! Names of incidents that two who saw the same thing find without asking each other.

use super::finding::Subject;
use alloc::vec::Vec;
use core::fmt;
use everypath_protocol::id::hex;
use everypath_protocol::sign::sha256;
use everypath_protocol::time::{Span, UnixTime};

/// Length of an opening window. Two sides of a cut see it within a minute of each other; the same fault an hour later is
/// another incident.
pub(super) const WINDOW: Span = Span::seconds(600);
const WINDOW_US: i64 = 600_000_000;
const _: () = assert!(WINDOW.as_micros() == WINDOW_US.unsigned_abs());

/// The name of an incident: the first half of the SHA-256 of the kind of its first subject, that subject and its opening window.
/// Of the class only the kind of subject is in it: what is down for one side of a cut is isolated for the other, and both
/// tell of one agent. It never changes, so that a change of class is a change *of* an incident.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IncidentId(pub [u8; 16]);

impl IncidentId {
    /// The name of what began at `since`, and its second name. The second is that of windows shifted by half, so that two
    /// who saw the beginning less than five minutes apart share at least one of the two names wherever a window ends.
    pub fn names(subject: &Subject, since: UnixTime) -> [Self; 2] {
        [0, WINDOW_US / 2].map(|shift| Self::of(subject, shift, since.0.saturating_add(shift).div_euclid(WINDOW_US)))
    }

    fn of(subject: &Subject, shift: i64, window: i64) -> Self {
        let (kind, parts): (u8, Vec<&[u8]>) = match subject {
            Subject::Mesh => (0, Vec::new()),
            Subject::Site(site) => (1, Vec::from([site.as_bytes()])),
            Subject::SitePair(one, other) => (2, Vec::from([one.as_bytes(), other.as_bytes()])),
            Subject::Agent(agent) => (3, Vec::from([agent.0.as_slice()])),
            Subject::Pair(one, other) => (4, Vec::from([one.0.as_slice(), other.0.as_slice()])),
            Subject::Rest => (5, Vec::new()),
        };
        let mut text = Vec::new();
        text.extend_from_slice(b"everypath incident 1");
        text.extend_from_slice(&[u8::from(shift != 0), kind]);
        text.extend_from_slice(&window.to_be_bytes());
        for part in parts {
            // With its length, so that ("ab", "c") is not ("a", "bc").
            text.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            text.extend_from_slice(part);
        }
        let digest = sha256(&[&text]);
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        Self(id)
    }
}

impl fmt::Display for IncidentId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for IncidentId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "IncidentId({self})")
    }
}
