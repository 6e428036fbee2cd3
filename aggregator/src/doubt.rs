//! Whether the wall clock can be believed, for whoever deletes by it. Whatever came while it was wrong is filed under wrong times,
//! so the time of the newest row proves nothing; what proves something is kept apart, in the setting `clock`:
//! - the newest time at which the clock was believed, and
//! - a doubt that nobody has settled, so that a restart does not forget it.
//!
//! A doubt ends when the clock is where it should be again, or when an administrator confirms it by setting retention anew. With
//! PostgreSQL its clock must agree besides: it is often on another host.

use crate::clock::{Clock, rfc3339};
use crate::store::{Store, StoreError};
use everypath_protocol::time::{MonoTime, Span, UnixTime};
use serde::{Deserialize, Serialize};
use std::sync::Mutex;

/// A clock is doubted when it is further than this from where it should be.
const STEP_MAX: Span = Span::seconds(3_600);
/// A process that begins this long after the clock was believed last doubts it.
const SILENCE_MAX: Span = Span::seconds(30 * 24 * 3_600);
/// How often it is noted that the clock is believed.
const NOTE_EVERY: Span = Span::seconds(300);
/// Under which the mark is kept.
const SETTING: &str = "clock";

/// What outlives the process.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Mark {
    /// The newest time at which the clock was believed, microseconds since 1970.
    believed_us: i64,
    #[serde(default)]
    doubt: Option<Doubt>,
}

/// A clock that was too far ahead.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Doubt {
    /// What it said, microseconds since 1970.
    said_us: i64,
    /// Version of the setting `retention` by then; a newer one confirms the clock.
    retention: i64,
}

/// Both clocks at one moment, which what they say later is compared with.
#[derive(Clone, Copy, Debug)]
struct Base {
    wall: UnixTime,
    mono: MonoTime,
    /// The doubt that is kept arose in this process, which knows when it is over.
    is_own: bool,
}

/// What is remembered from look to look.
#[derive(Debug)]
pub struct Doubts {
    base: Mutex<Base>,
    newest_receipt: Option<UnixTime>,
}

/// Why the clock is not believed, and whether because it is ahead: one that is behind deletes nothing too early.
struct Why {
    text: String,
    is_ahead: bool,
}

impl Doubts {
    /// At the start of the process. `newest_receipt` counts where nothing was noted yet.
    pub const fn new(wall: UnixTime, mono: MonoTime, newest_receipt: Option<UnixTime>) -> Self {
        Self { base: Mutex::new(Base { wall, mono, is_own: false }), newest_receipt }
    }

    /// Why nothing must be deleted now. `retention` is the version of that setting.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing must be deleted either.
    pub async fn look(&self, store: &Store, clock: &Clock, retention: i64) -> Result<Option<String>, StoreError> {
        let (now, mono) = (clock.now(), clock.mono());
        if let Some(theirs) = store.clock().await?.filter(|theirs| apart(now, *theirs) > STEP_MAX) {
            let (now, theirs) = (rfc3339(now), rfc3339(theirs));
            return Ok(Some(format!("it says {now}, but that of the database says {theirs}; set the wrong one right")));
        }
        let damaged = |_| StoreError::Damaged("the setting `clock`");
        let stored = store.setting(SETTING).await?;
        let version = stored.as_ref().map_or(0, |(_, version)| *version);
        let kept: Option<Mark> = stored.map(|(text, _)| serde_json::from_str(&text)).transpose().map_err(damaged)?;
        let (mark, why) = judge(&mut self.base(), kept, self.newest_receipt, (now, mono), retention);
        let is_news = |kept: Mark| kept.doubt != mark.doubt || apart(at(kept), at(mark)) >= NOTE_EVERY;
        if kept.is_none_or(is_news) {
            let text = serde_json::to_string(&mark).map_err(damaged)?;
            // If another replica noted something meanwhile, the next look sees it.
            store.put_setting(SETTING, text, version, now, None).await?;
        }
        Ok(why)
    }

    fn base(&self) -> std::sync::MutexGuard<'_, Base> {
        // Nothing is done under the lock that could leave half a base.
        self.base.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

const fn at(mark: Mark) -> UnixTime {
    UnixTime(mark.believed_us)
}

fn apart(one: UnixTime, other: UnixTime) -> Span {
    one.since(other).max(other.since(one))
}

/// What is to be kept, and why the clock is not believed.
fn judge(
    base: &mut Base,
    kept: Option<Mark>,
    newest_receipt: Option<UnixTime>,
    (now, mono): (UnixTime, MonoTime),
    retention: i64,
) -> (Mark, Option<String>) {
    let believed = kept.map(at).or(newest_receipt);
    let doubt = kept.and_then(|mark| mark.doubt);
    if doubt.is_some_and(|doubt| doubt.retention != retention) {
        // An administrator has confirmed it since.
        *base = Base { wall: now, mono, is_own: false };
        return (Mark { believed_us: now.0, doubt: None }, None);
    }
    let inherited = doubt.filter(|_| !base.is_own);
    let why = stepped(base, believed, now, mono)
        .or_else(|| silent(base, believed))
        .or_else(|| inherited.and_then(|doubt| still(doubt, now)));
    let Some(why) = why else {
        base.is_own = false;
        return (Mark { believed_us: believed.map_or(now, |believed| believed.max(now)).0, doubt: None }, None);
    };
    let mut mark = Mark { believed_us: believed.unwrap_or(base.wall).0, doubt };
    if why.is_ahead && doubt.is_none() {
        mark.doubt = Some(Doubt { said_us: now.0, retention });
        base.is_own = true;
    }
    let how = "if it is right, confirm that by setting retention anew (PUT /api/v1/settings/retention; the same values will do)";
    (mark, Some(format!("{}; {how}", why.text)))
}

/// The clock was set since the start. One that was behind what was believed at the start was wrong then, and may be set right.
fn stepped(base: &Base, believed: Option<UnixTime>, now: UnixTime, mono: MonoTime) -> Option<Why> {
    let expected = base.wall.plus(mono.since(base.mono));
    if apart(now, expected) <= STEP_MAX {
        return None;
    }
    let is_set_right = |believed: UnixTime| {
        let was_behind = believed.since(base.wall) > STEP_MAX;
        was_behind && believed.since(now) <= STEP_MAX && now.since(believed) <= SILENCE_MAX
    };
    if believed.is_some_and(is_set_right) {
        return None;
    }
    let text = format!("it says {}, but by the time since the start it should be {}", rfc3339(now), rfc3339(expected));
    Some(Why { text, is_ahead: now > expected })
}

/// The process began long after the clock was believed last.
fn silent(base: &Base, believed: Option<UnixTime>) -> Option<Why> {
    let believed = believed.filter(|believed| base.wall.since(*believed) > SILENCE_MAX)?;
    let (wall, believed) = (rfc3339(base.wall), rfc3339(believed));
    let text = format!("it said {wall} when the program started, but was believed last at {believed}");
    Some(Why { text, is_ahead: true })
}

/// A process before this one doubted it, and it was not set back since.
fn still(doubt: Doubt, now: UnixTime) -> Option<Why> {
    let said = UnixTime(doubt.said_us);
    let text =
        format!("it was doubted before the last start, when it said {}, and was not set back since", rfc3339(said));
    (said.since(now) <= STEP_MAX).then_some(Why { text, is_ahead: true })
}

#[cfg(test)]
mod tests;
