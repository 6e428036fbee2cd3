//! When to send what to the aggregator. One batch of an epoch at a time, the newest epoch first.
//!
//! 1. Fresh data goes first. Of the older epochs only the oldest is sent; while fresh data waits too, older epochs get at
//!    most 30 % of the bytes.
//! 2. After a success the aggregator's wish for a pause is kept, except for changes of state, which go at once.
//! 3. After a failure the pause grows from 1 s, with jitter, to 5 s, or to what keeps a whole mesh below 200 attempts a
//!    second, whichever is longer.
//! 4. While nobody has answered after a failure, one block is sent to see whether somebody is there: thousands come back at
//!    the same moment, and what is fresh must not wait behind the backlogs of all. Older epochs begin with small batches when
//!    a mesh of this size has had the time to come back. When the aggregator is too busy for one of them, they are small
//!    again and come four times less often; each one that is stored lets them grow, and come sooner.
//! 5. What is rejected for what is in it is looked for by halves and put aside ([`Outbox::rejected`]). Only the epoch it is
//!    in has smaller batches meanwhile. While nothing at all is accepted this becomes slow: then rather the aggregator, or
//!    something on the way to it, is at fault, and records should not be put aside by the thousand.
//! 6. Who has nothing to send for 5 s checks in: asks what is new and says which configuration runs. In a large mesh this comes
//!    so much later that all together check in at most 200 times a second. A new configuration is told soon.

use crate::effect::{Anomaly, Effect, Effects, UploadResult};
use crate::outbox::{Outbox, Rejection};
use crate::random::{Random, Stream as RandomStream};
use crate::stream::Stream;
use everypath_protocol::batch::{BODY_BYTES_MAX, RECORDS_MAX};
use everypath_protocol::id::{Epoch, Seq};
use everypath_protocol::time::{MonoTime, Now, Span, UnixTime};

/// Bytes of blocks in a batch: a quarter of what an aggregator takes, so that one batch never holds others up.
pub const BATCH_BYTES_MAX: u64 = BODY_BYTES_MAX as u64 / 4;
/// A backlog older than this is sealed when the aggregator answers again.
pub const SEAL_AFTER: Span = Span::seconds(60);
/// What an aggregator asks for is kept up to this. More is a mistake of it, or of something on the way.
const PAUSE_MAX: Span = Span::seconds(300);
const BACKOFF_MIN: Span = Span::seconds(1);
const BACKOFF_MAX_SMALL: Span = Span::seconds(5);
/// Bytes with which an older epoch begins after an outage, and again when the aggregator is busy.
const OLD_BYTES_MIN: u64 = 1024;
/// Between two batches of older epochs at first after an outage, in times of what all need to come back: by half of it
/// everybody has sent something fresh.
const OLD_GAP_BEGIN: u64 = 3;
/// The same at least,
const OLD_GAP_BEGIN_MIN: Span = Span::seconds(1);
/// and at most, also while the aggregator is busy.
const OLD_GAP_MAX: Span = Span::seconds(240);
const ATTEMPTS_PER_SECOND_MAX: u64 = 200;
/// Without hearing of an aggregator for this long one is asked what is new.
const CHECK_IN_AFTER: Span = Span::seconds(5);
/// An aggregator that does not understand a check-in is an old one; it is asked again after it may have been replaced.
const CHECK_IN_REFUSED_PAUSE: Span = Span::seconds(300);
/// After this many rejections with nothing accepted in between, it looks as if everything were rejected: go on slowly.
const REJECTIONS_SWIFT: u32 = 64;
/// After this many go on very slowly. One block of which every record is rejected costs about 511.
const REJECTIONS_SLOW: u32 = 1_024;
/// A batch that was refused for good is tried again this seldom: somebody may have mended the aggregator.
const REFUSED_PAUSE: Span = Span::seconds(60);

/// Decides about uploads.
#[derive(Debug)]
pub struct Uploader {
    enabled: bool,
    not_before: MonoTime,
    /// The pause is the aggregator's wish, not the fruit of a failure.
    pause_is_polite: bool,
    has_urgent: bool,
    failures: u32,
    /// Since the last acknowledgement, of any epoch.
    rejections: u32,
    mesh_size: u64,
    /// Agents that share the aggregator, as it said last.
    sharers: u64,
    bytes_fresh: u64,
    bytes_old: u64,
    /// Most bytes of the next batch of an older epoch.
    old_bytes_max: u64,
    /// Between two batches of older epochs.
    old_gap: Span,
    old_not_before: MonoTime,
    acked_at: Option<(MonoTime, UnixTime)>,
    check_in_at: MonoTime,
    is_checking_in: bool,
    random: Random,
}

impl Uploader {
    /// An uploader that may send at once. Without an aggregator it never does.
    pub fn new(enabled: bool, seed: [u8; 32], now: MonoTime) -> Self {
        let mut random = Random::new(seed, RandomStream::Uploader);
        Self {
            enabled,
            not_before: MonoTime(0),
            pause_is_polite: false,
            has_urgent: false,
            failures: 0,
            rejections: 0,
            mesh_size: 1,
            sharers: 0,
            bytes_fresh: 0,
            bytes_old: 0,
            old_bytes_max: BATCH_BYTES_MAX,
            old_gap: Span::ZERO,
            old_not_before: MonoTime(0),
            acked_at: None,
            check_in_at: now + random.jittered(CHECK_IN_AFTER),
            is_checking_in: false,
            random,
        }
    }

    /// A change of state waits.
    pub const fn hurry(&mut self) {
        self.has_urgent = true;
    }

    /// How many agents may be failing at the same time as this one.
    pub const fn set_mesh_size(&mut self, members: u64) {
        self.mesh_size = members;
    }

    /// Both clocks at the last acknowledgement.
    pub const fn acked_at(&self) -> Option<(MonoTime, UnixTime)> {
        self.acked_at
    }

    /// Another configuration runs; the aggregator wants to know.
    pub fn hurry_check_in(&mut self, now: MonoTime) {
        self.check_in_at = now + self.random.jittered(BACKOFF_MIN.max(self.comeback()));
    }

    /// Starts what may be started.
    pub fn turn(&mut self, now: Now, outbox: &mut Outbox, out: &mut Effects) {
        if !self.enabled || !self.may_send(now.mono) {
            return;
        }
        self.send(now, outbox, out);
        if self.may_check_in(outbox) && now.mono >= self.check_in_at.max(self.not_before) {
            self.is_checking_in = true;
            out.push(Effect::CheckIn);
        }
    }

    /// While something is sent, the answer to it says what is new; what waits will be sent soon.
    fn may_check_in(&self, outbox: &Outbox) -> bool {
        let is_busy = |stream: &Stream| stream.in_flight.is_some() || (self.is_down() && stream.has_batch());
        self.enabled && !self.is_checking_in && !outbox.streams().iter().any(is_busy)
    }

    /// Takes the end of a check-in in.
    pub fn checked_in(&mut self, now: MonoTime, result: UploadResult) {
        self.is_checking_in = false;
        self.check_in_at = now + self.check_in_pause();
        match result {
            UploadResult::Acked { agents, .. } => {
                self.sharers = agents;
                self.failures = 0;
            }
            UploadResult::Busy { retry_after } => {
                let pause = self.random.jittered(Span(retry_after.clamp(BACKOFF_MIN, PAUSE_MAX).0 * 2));
                self.check_in_at = self.check_in_at.max(now + pause);
            }
            UploadResult::Unreachable => {
                self.failures = self.failures.saturating_add(1);
                let pause = self.backoff();
                self.pause(now, pause, false);
            }
            UploadResult::Refused | UploadResult::Rejected | UploadResult::Gap { .. } => {
                self.check_in_at = now + CHECK_IN_REFUSED_PAUSE;
            }
        }
    }

    fn check_in_pause(&self) -> Span {
        CHECK_IN_AFTER.max(self.comeback())
    }

    fn send(&mut self, now: Now, outbox: &mut Outbox, out: &mut Effects) {
        let live = outbox.live();
        let is_knocking = self.is_down();
        if is_knocking && outbox.streams().iter().any(|stream| stream.in_flight.is_some()) {
            return;
        }
        if self.start(live, if is_knocking { 1 } else { BATCH_BYTES_MAX }, outbox, out) {
            self.has_urgent = false;
            if is_knocking {
                return;
            }
        }
        if now.mono < self.old_not_before {
            return;
        }
        let is_fresh_under_way = outbox.streams().last().is_some_and(|stream| stream.in_flight.is_some());
        if is_fresh_under_way && self.bytes_old * 7 > self.bytes_fresh * 3 {
            return;
        }
        // Old epochs drain one after the other: their records are of the past, and order is worth more than speed.
        let oldest = outbox.streams().iter().find(|stream| stream.epoch != live && !stream.is_drained());
        if let Some(epoch) = oldest.map(|stream| stream.epoch) {
            self.start(epoch, if is_knocking { 1 } else { self.old_bytes_max }, outbox, out);
        }
    }

    /// When [`Self::turn`] has something to do.
    pub fn next_deadline(&self, outbox: &Outbox) -> Option<MonoTime> {
        // While anything is under way its end is the next event; older epochs may have to wait for fresh ones.
        let is_idle = outbox.streams().iter().all(|stream| stream.in_flight.is_none());
        let live = outbox.live();
        let is_waiting = |stream: &&Stream| self.enabled && is_idle && stream.has_batch();
        let at = |stream: &Stream| {
            if stream.epoch == live { self.not_before } else { self.not_before.max(self.old_not_before) }
        };
        let sends = outbox.streams().iter().filter(is_waiting).map(at).min();
        let check_in = self.may_check_in(outbox).then(|| self.check_in_at.max(self.not_before));
        [sends, check_in].into_iter().flatten().min()
    }

    /// Takes the end of an upload in.
    pub fn finished(&mut self, now: Now, epoch: Epoch, result: UploadResult, outbox: &mut Outbox, out: &mut Effects) {
        let sent =
            outbox.stream_mut(epoch).and_then(|stream| stream.in_flight.take().map(|sent| (sent, stream.sent_max())));
        let Some(((first, last), sent_max)) = sent else {
            out.push(Effect::Anomaly(Anomaly::UnknownUpload));
            return;
        };
        match result {
            UploadResult::Acked { acked, next_sync, agents } => {
                self.sharers = agents;
                let was_down = self.is_down();
                self.failures = 0;
                self.rejections = 0;
                self.acked_at = Some((now.mono, now.wall));
                self.check_in_at = now.mono + self.check_in_pause();
                self.pause(now.mono, next_sync.min(PAUSE_MAX), true);
                self.ease(now.mono, epoch != outbox.live());
                self.take_ack(epoch, sent_max, acked, outbox, out);
                if was_down {
                    self.hold_old(
                        now.mono,
                        OLD_GAP_BEGIN_MIN.max(Span(self.comeback().0.saturating_mul(OLD_GAP_BEGIN))),
                    );
                    outbox.seal_backlog(now, SEAL_AFTER, out);
                }
            }
            UploadResult::Gap { expected } => self.take_gap(now, epoch, sent_max, expected, outbox, out),
            UploadResult::Busy { retry_after } => {
                // "At once" must not make them hammer.
                let wish = retry_after.clamp(BACKOFF_MIN, PAUSE_MAX);
                if epoch == outbox.live() {
                    let pause = self.random.jittered(Span(wish.0 * 2));
                    self.pause(now.mono, pause, false);
                } else {
                    // Only backlogs wait: what is fresh is told so itself, if it is too much.
                    self.hold_old(now.mono, Span(self.old_gap.0.max(wish.0).saturating_mul(4)));
                }
            }
            UploadResult::Unreachable => {
                self.failures = self.failures.saturating_add(1);
                let pause = self.backoff();
                self.pause(now.mono, pause, false);
            }
            UploadResult::Refused => self.pause(now.mono, REFUSED_PAUSE, false),
            UploadResult::Rejected => {
                self.rejections = self.rejections.saturating_add(1);
                let pause = match outbox.rejected(now, epoch, first, last, out) {
                    Rejection::Narrowed if self.rejections <= REJECTIONS_SWIFT => Span::ZERO,
                    Rejection::Narrowed if self.rejections <= REJECTIONS_SLOW => BACKOFF_MIN,
                    Rejection::Narrowed | Rejection::Stuck => REFUSED_PAUSE,
                };
                self.pause(now.mono, pause, false);
            }
        }
    }

    fn take_ack(&mut self, epoch: Epoch, sent_max: Seq, acked: Seq, outbox: &mut Outbox, out: &mut Effects) {
        if acked <= sent_max {
            outbox.acked(epoch, acked, out);
            return;
        }
        // The aggregator knows numbers that this process never sent: the disk is a copy, or was restored. What waits here
        // may differ from what it knows under the same numbers, so it goes under new ones.
        out.push(Effect::Anomaly(Anomaly::AckAhead));
        outbox.renumber(epoch, out);
    }

    fn take_gap(
        &mut self,
        now: Now,
        epoch: Epoch,
        sent_max: Seq,
        expected: Seq,
        outbox: &mut Outbox,
        out: &mut Effects,
    ) {
        let known = Seq(expected.0.saturating_sub(1));
        if known > Seq(0)
            && known <= sent_max
            && outbox.streams().iter().any(|s| s.epoch == epoch && known > s.view().acked)
        {
            outbox.acked(epoch, known, out);
        } else {
            // It forgot what it had acknowledged: its database was restored. A new epoch needs nothing before it.
            out.push(Effect::Anomaly(Anomaly::AckBehind));
            outbox.renumber(epoch, out);
        }
        self.pause(now.mono, BACKOFF_MIN, false);
    }

    /// Older epochs begin anew: small, and this far apart.
    fn hold_old(&mut self, now: MonoTime, gap: Span) {
        self.old_bytes_max = OLD_BYTES_MIN;
        self.old_gap = gap.min(OLD_GAP_MAX);
        self.old_not_before = now + self.random.jittered(self.old_gap);
    }

    /// Something was stored: older epochs may send more, and sooner, if it was theirs.
    fn ease(&mut self, now: MonoTime, is_old: bool) {
        if is_old {
            self.old_bytes_max = BATCH_BYTES_MAX.min(self.old_bytes_max * 2);
            self.old_gap = Span(self.old_gap.0 / 2);
            self.old_not_before = now + self.random.jittered(self.old_gap);
        }
    }

    fn start(&mut self, epoch: Epoch, bytes_max: u64, outbox: &mut Outbox, out: &mut Effects) -> bool {
        let is_live = outbox.live() == epoch;
        let Some(stream) = outbox.stream_mut(epoch) else { return false };
        let Some((first, last)) = stream.next_batch(bytes_max, RECORDS_MAX) else { return false };
        stream.send(first, last);
        let bytes = stream.bytes_of(first, last);
        if is_live {
            self.bytes_fresh += bytes;
        } else {
            self.bytes_old += bytes;
        }
        // Only the recent past counts for the shares.
        if self.bytes_fresh + self.bytes_old > 16 * BATCH_BYTES_MAX {
            self.bytes_fresh /= 2;
            self.bytes_old /= 2;
        }
        out.push(Effect::Upload { epoch, first, last, is_backlog: !is_live });
        true
    }

    /// Nobody has answered since the start, or since a failure.
    const fn is_down(&self) -> bool {
        self.failures > 0 || self.acked_at.is_none()
    }

    fn may_send(&self, now: MonoTime) -> bool {
        now >= self.not_before || (self.pause_is_polite && self.has_urgent)
    }

    const fn pause(&mut self, now: MonoTime, span: Span, is_polite: bool) {
        self.not_before = MonoTime(now.0.saturating_add(span.0));
        self.pause_is_polite = is_polite;
    }

    fn backoff(&mut self) -> Span {
        let grown = BACKOFF_MIN.0.saturating_mul(1 << self.failures.min(16));
        self.random.jittered(Span(grown.min(BACKOFF_MAX_SMALL.max(self.comeback()).0)))
    }

    /// How long all who share an aggregator take to try once. They may be of islands that do not know each other.
    fn comeback(&self) -> Span {
        Span::millis(self.mesh_size.max(self.sharers).saturating_mul(1_000) / ATTEMPTS_PER_SECOND_MAX).min(PAUSE_MAX)
    }
}
