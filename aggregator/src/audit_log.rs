//! Who did what: what an entry says, and the chain of hashes that shows whether the log was changed.
//!
//! Entries are numbered from 1 without a gap, and each hash covers the entry and the hash before it. So an entry that was changed,
//! put in or taken out is found, unless everything behind it was written anew. What a chain cannot show is that its newest
//! entries were cut off: whoever fears that keeps the newest number and hash elsewhere.

use crate::guard::Actor;
use everypath_protocol::sign::sha256;
use everypath_protocol::time::UnixTime;

/// In front of what is hashed, so that no other hash of this program can be mistaken for one of these.
const DOMAIN: &[u8] = b"everypath audit log 1";
/// Longest values, in bytes of UTF-8; the columns take no more. A public key is 64 digits.
const ACTOR_MAX: usize = 64;
const ADDRESS_MAX: usize = 64;
const SUBJECT_MAX: usize = 256;
const DETAIL_MAX: usize = 2_048;

/// What kind of caller did something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ActorKind {
    /// Somebody with an account.
    User,
    /// A program with an API token.
    Token,
    /// A member of the mesh, by its public key.
    Agent,
    /// Somebody with a shell on the aggregator's host.
    Host,
    /// The aggregator itself.
    Program,
    /// Somebody who is not known.
    Nobody,
}

impl ActorKind {
    /// The word in JSON and in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Token => "token",
            Self::Agent => "agent",
            Self::Host => "host",
            Self::Program => "program",
            Self::Nobody => "nobody",
        }
    }
}

/// What became of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It was done.
    Ok,
    /// The password or the secret was wrong.
    Wrong,
    /// There were too many attempts.
    Limited,
    /// The caller may not.
    Denied,
}

impl Outcome {
    /// The word in JSON and in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Wrong => "wrong",
            Self::Limited => "limited",
            Self::Denied => "denied",
        }
    }
}

/// What is to be logged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// Our clock.
    pub at: UnixTime,
    /// Name of the account or token, or public key of the agent; empty for others.
    pub actor: String,
    /// What kind of caller that is.
    pub kind: ActorKind,
    /// Where it asked from; empty on the host itself.
    pub address: String,
    /// A word for what was done, such as `user.create`.
    pub action: &'static str,
    /// To whom or what.
    pub subject: String,
    /// What became of it.
    pub outcome: Outcome,
    /// More, as a JSON object. Never a secret.
    pub detail: String,
}

impl Event {
    /// Something that was done.
    pub fn new(actor: &Actor, address: &str, action: &'static str, subject: &str, at: UnixTime) -> Self {
        let (kind, name) = match actor {
            Actor::User { name, .. } => (ActorKind::User, name.clone()),
            Actor::Token { name, .. } => (ActorKind::Token, name.clone()),
            Actor::Agent(id) => (ActorKind::Agent, id.to_string()),
            Actor::Anonymous | Actor::Joiner => (ActorKind::Nobody, String::new()),
        };
        let (actor, subject) = (cut(&name, ACTOR_MAX), cut(subject, SUBJECT_MAX));
        let address = cut(address, ADDRESS_MAX);
        Self { at, actor, kind, address, action, subject, outcome: Outcome::Ok, detail: "{}".to_owned() }
    }

    /// Something that was done on the host, by the command line.
    pub fn by_host(action: &'static str, subject: &str, at: UnixTime) -> Self {
        Self { kind: ActorKind::Host, ..Self::new(&Actor::Anonymous, "", action, subject, at) }
    }

    /// Something that the aggregator did by itself.
    pub fn by_program(action: &'static str, subject: &str, at: UnixTime) -> Self {
        Self { kind: ActorKind::Program, ..Self::new(&Actor::Anonymous, "", action, subject, at) }
    }

    /// Something else that was done with it, by the same and at the same time.
    pub fn also(self, action: &'static str, subject: &str) -> Self {
        Self { action, subject: cut(subject, SUBJECT_MAX), detail: "{}".to_owned(), ..self }
    }

    /// With another outcome.
    pub fn outcome(self, outcome: Outcome) -> Self {
        Self { outcome, ..self }
    }

    /// About something that has a number, which new things get where they are kept.
    pub fn numbered(self, number: i64) -> Self {
        Self { subject: number.to_string(), ..self }
    }

    /// By the owner of an account that is known, though nobody is logged in.
    pub fn by_user(self, name: &str) -> Self {
        Self { actor: cut(name, ACTOR_MAX), kind: ActorKind::User, ..self }
    }

    /// With more to say. What is too long to be kept is left out, and that is said.
    pub fn detail(self, detail: &serde_json::Value) -> Self {
        let text = detail.to_string();
        let detail = if text.len() > DETAIL_MAX { r#"{"too_long":true}"#.to_owned() } else { text };
        Self { detail, ..self }
    }
}

/// The beginning of `text` that fits.
fn cut(text: &str, bytes_max: usize) -> String {
    text.chars()
        .scan(0, |bytes, character| {
            *bytes += character.len_utf8();
            (*bytes <= bytes_max).then_some(character)
        })
        // A server refuses this one in text.
        .filter(|character| *character != '\0')
        .collect()
}

/// What was logged, as it lies in the database, also if somebody changed it there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// From 1, without gaps.
    pub id: i64,
    /// See [`Event`].
    pub at: UnixTime,
    /// See [`Event`].
    pub actor: String,
    /// See [`ActorKind::name`].
    pub actor_kind: String,
    /// See [`Event`].
    pub address: String,
    /// See [`Event`].
    pub action: String,
    /// See [`Event`].
    pub subject: String,
    /// See [`Outcome::name`].
    pub outcome: String,
    /// See [`Event`].
    pub detail: String,
    /// Hash of the entry before; zeros before the first.
    pub previous: [u8; 32],
    /// Over all of the above.
    pub hash: [u8; 32],
}

impl Entry {
    /// The entry behind `last`, its number and its hash; nothing before the first.
    pub fn behind(last: Option<(i64, [u8; 32])>, event: Event) -> Self {
        let (id, previous) = last.unwrap_or((0, [0; 32]));
        let mut entry = Self {
            id: id + 1,
            at: event.at,
            actor: event.actor,
            actor_kind: event.kind.name().to_owned(),
            address: event.address,
            action: event.action.to_owned(),
            subject: event.subject,
            outcome: event.outcome.name().to_owned(),
            detail: event.detail,
            previous,
            hash: [0; 32],
        };
        entry.hash = entry.computed();
        entry
    }

    /// The hash that it must have. Each text has its length in front, so that nothing can move from one to the next.
    fn computed(&self) -> [u8; 32] {
        let mut bytes = DOMAIN.to_vec();
        bytes.extend_from_slice(&self.id.to_be_bytes());
        bytes.extend_from_slice(&self.at.0.to_be_bytes());
        let texts =
            [&self.actor, &self.actor_kind, &self.address, &self.action, &self.subject, &self.outcome, &self.detail];
        for text in texts {
            bytes.extend_from_slice(&u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        bytes.extend_from_slice(&self.previous);
        sha256(&[&bytes])
    }
}

/// Follows the log from its first entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Chain {
    /// Number and hash of the last entry that was right; 0 and zeros before the first.
    pub last: (i64, [u8; 32]),
}

impl Chain {
    /// Looks at the entry that comes next.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence.
    pub fn follow(&mut self, entry: &Entry) -> Result<(), String> {
        let (id, hash) = self.last;
        if entry.id != id + 1 {
            return Err(format!("entry {} is missing: entry {} follows entry {id}", id + 1, entry.id));
        }
        if entry.previous != hash {
            return Err(format!("entry {} does not continue entry {id}: one of them was changed or put in", entry.id));
        }
        if entry.hash != entry.computed() {
            return Err(format!("entry {} is not what was written: its hash is of something else", entry.id));
        }
        self.last = (entry.id, entry.hash);
        Ok(())
    }
}

/// Which entries are wanted, newest first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Query {
    /// Only those with smaller numbers.
    pub before: i64,
    /// At most as many.
    pub limit: u32,
    /// Only of this name.
    pub actor: Option<String>,
    /// Only this word, or all that begin with it and a dot.
    pub action: Option<String>,
    /// Only from then on.
    pub from: UnixTime,
    /// Only before then.
    pub to: UnixTime,
}

impl Query {
    /// The newest.
    pub const fn newest(limit: u32) -> Self {
        let (from, to) = (UnixTime(i64::MIN), UnixTime(i64::MAX));
        Self { before: i64::MAX, limit, actor: None, action: None, from, to }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> Vec<Entry> {
        let mut log: Vec<Entry> = Vec::new();
        for subject in ["a", "b", "c"] {
            let last = log.last().map(|entry| (entry.id, entry.hash));
            log.push(Entry::behind(last, Event::by_host("user.create", subject, UnixTime(5))));
        }
        log
    }

    fn check(log: &[Entry]) -> Result<(), String> {
        let mut chain = Chain::default();
        log.iter().try_for_each(|entry| chain.follow(entry))
    }

    #[test]
    fn whatever_is_changed_is_found() {
        assert_eq!(check(&log()), Ok(()));
        let broken = |change: &dyn Fn(&mut Vec<Entry>)| {
            let mut log = log();
            change(&mut log);
            check(&log).expect_err("it was changed")
        };
        assert!(broken(&|log| log[1].subject = "x".into()).contains("entry 2"));
        assert!(broken(&|log| log[1].at = UnixTime(6)).contains("entry 2"));
        assert!(broken(&|log| drop(log.remove(1))).contains("entry 2 is missing"));
        assert!(broken(&|log| drop(log.remove(0))).contains("entry 1 is missing"));
        let moved = broken(&|log| (log[1].action, log[1].subject) = ("user.createb".into(), String::new()));
        assert!(moved.contains("entry 2"), "{moved}");
        let rewritten = broken(&|log| {
            log[1].subject = "x".into();
            log[1].hash = log[1].computed();
        });
        assert!(rewritten.contains("entry 3 does not continue entry 2"), "{rewritten}");
    }

    #[test]
    fn what_is_too_long_is_cut_between_characters() {
        let event = Event::by_host("user.create", &"é".repeat(200), UnixTime(0));
        assert_eq!(event.subject.len(), 256);
        assert_eq!(cut("aé", 2), "a");
        assert_eq!(cut("a\0b", 9), "ab");
        let long = event.detail(&serde_json::json!({"x": "y".repeat(3_000)}));
        assert_eq!(long.detail, r#"{"too_long":true}"#);
    }
}
