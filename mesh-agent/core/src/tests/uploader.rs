use super::bench::{SEED, at, flip, params, uploaded, window};
use crate::effect::{Anomaly, Effect, Effects, PersistOp, UploadResult};
use crate::outbox::Outbox;
use crate::params::Resume;
use crate::uploader::Uploader;
use alloc::vec::Vec;
use everypath_protocol::id::{Epoch, Seq};
use everypath_protocol::time::{Now, Span};

struct Bench {
    outbox: Outbox,
    uploader: Uploader,
}

impl Bench {
    fn new() -> Self {
        Self {
            outbox: Outbox::new(&params(1), Resume::default(), SEED),
            uploader: Uploader::new(true, SEED, at(0).mono),
        }
    }

    fn write(&mut self, now: Now) {
        let mut out = Effects::new();
        self.outbox.push(now, window(2, 0), &mut out);
        self.outbox.flush(now, &mut out);
        self.outbox.persisted(self.outbox.live(), Seq(u64::MAX));
    }

    fn turn(&mut self, now: Now) -> Effects {
        let mut out = Effects::new();
        self.uploader.turn(now, &mut self.outbox, &mut out);
        out
    }

    fn finish(&mut self, now: Now, epoch: Epoch, result: UploadResult) -> Effects {
        let mut out = Effects::new();
        self.uploader.finished(now, epoch, result, &mut self.outbox, &mut out);
        out
    }
}

fn acked(number: u64) -> UploadResult {
    UploadResult::Acked { acked: Seq(number), next_sync: Span::seconds(1), agents: 0 }
}

#[test]
fn nothing_is_sent_before_the_disk_has_it() {
    let mut bench = Bench::new();
    let mut out = Effects::new();
    bench.outbox.push(at(0), window(2, 0), &mut out);
    bench.outbox.flush(at(0), &mut out);
    assert_eq!(bench.turn(at(0)), []);
    bench.outbox.persisted(bench.outbox.live(), Seq(1));
    assert_eq!(uploaded(&bench.turn(at(0))), [(1, 1)]);
}

#[test]
fn one_batch_of_an_epoch_is_under_way_at_a_time() {
    let mut bench = Bench::new();
    bench.write(at(0));
    assert_eq!(uploaded(&bench.turn(at(0))), [(1, 1)]);
    bench.write(at(1));
    assert_eq!(bench.turn(at(1)), []);
    let live = bench.outbox.live();
    bench.finish(at(2), live, acked(1));
    assert_eq!(bench.turn(at(500)), [], "the aggregator asked for a pause of a second");
    assert_eq!(uploaded(&bench.turn(at(1_002))), [(2, 2)]);
}

#[test]
fn a_change_of_state_does_not_wait_for_the_pause() {
    let mut bench = Bench::new();
    bench.write(at(0));
    bench.turn(at(0));
    let live = bench.outbox.live();
    bench.finish(at(2), live, acked(1));
    let mut out = Effects::new();
    bench.outbox.push(at(3), flip(2, 3), &mut out);
    bench.outbox.persisted(live, Seq(2));
    bench.uploader.hurry();
    assert_eq!(uploaded(&bench.turn(at(3))), [(2, 2)]);
}

#[test]
fn failures_wait_longer_and_longer_but_never_more_than_five_seconds_in_a_small_mesh() {
    let mut bench = Bench::new();
    bench.write(at(0));
    let mut now = 0;
    for failure in 0..20 {
        assert_eq!(uploaded(&bench.turn(at(now))), [(1, 1)], "attempt {failure}");
        let live = bench.outbox.live();
        bench.finish(at(now), live, UploadResult::Unreachable);
        bench.uploader.hurry();
        assert_eq!(bench.turn(at(now)), [], "not even a change of state goes at once to where nobody answers");
        let next = bench.uploader.next_deadline(&bench.outbox).unwrap();
        let pause = next.since(at(now).mono);
        assert!(pause >= Span::millis(500) && pause <= Span::seconds(5), "{pause:?}");
        now += pause.as_millis() + 1;
    }
}

#[test]
fn a_large_mesh_waits_longer_so_that_it_does_not_come_back_all_at_once() {
    let mut bench = Bench::new();
    bench.uploader.set_mesh_size(10_000);
    bench.write(at(0));
    let live = bench.outbox.live();
    // Each attempt is long after the pause of the one before.
    for attempt in 1..=20 {
        let now = at(attempt * 100_000);
        assert_eq!(uploaded(&bench.turn(now)), [(1, 1)]);
        bench.finish(now, live, UploadResult::Unreachable);
    }
    let pause = bench.uploader.next_deadline(&bench.outbox).unwrap().since(at(2_000_000).mono);
    assert!(pause >= Span::seconds(25) && pause <= Span::seconds(50), "{pause:?}");
}

#[test]
fn after_an_outage_fresh_records_go_before_the_backlog() {
    let mut bench = Bench::new();
    bench.write(at(0));
    bench.turn(at(0));
    let old = bench.outbox.live();
    bench.finish(at(0), old, UploadResult::Unreachable);
    (1..100).for_each(|second| bench.write(at(second * 1_000)));
    assert_eq!(uploaded(&bench.turn(at(100_000))), [(1, 1)]);
    bench.finish(at(100_100), old, acked(1));
    let live = bench.outbox.live();
    assert_ne!(live, old, "the backlog was sealed");
    bench.write(at(101_000));
    let out = bench.turn(at(102_000));
    assert!(matches!(out[0], Effect::Upload { epoch, .. } if epoch == live), "{out:?}");
}

impl Bench {
    /// After 100 s in which a block was written each quarter of a second and nobody answered, somebody does.
    fn after_an_outage(agents: u64) -> Self {
        let mut bench = Self::new();
        bench.write(at(0));
        bench.turn(at(0));
        let old = bench.outbox.live();
        bench.finish(at(0), old, UploadResult::Unreachable);
        (1..400).for_each(|quarter| bench.write(at(quarter * 250)));
        assert_eq!(uploaded(&bench.turn(at(100_000))), [(1, 1)], "one block asks whether somebody is there");
        assert_eq!(bench.turn(at(100_000)), [], "and nothing else");
        let result = UploadResult::Acked { acked: Seq(1), next_sync: Span::seconds(1), agents };
        bench.finish(at(100_000), old, result);
        bench
    }

    /// When something of an older epoch is sent from `from` on, in milliseconds, and how many numbers, if it is looked for as long
    /// as `seconds`.
    fn backlog_sent(&mut self, from: u64, seconds: u64) -> Option<(u64, u64)> {
        (0..seconds * 10).map(|step| from + step * 100).find_map(|millis| {
            let out = self.turn(at(millis));
            let of_old = out.iter().find_map(|effect| match effect {
                Effect::Upload { first, last, is_backlog: true, .. } => Some(last.0 - first.0 + 1),
                _ => None,
            });
            of_old.map(|count| (millis, count))
        })
    }
}

#[test]
fn a_backlog_waits_until_all_agents_of_the_aggregator_have_had_the_time_to_come_back() {
    let mut few = Bench::after_an_outage(3);
    let (at_few, _) = few.backlog_sent(100_000, 600).expect("it is sent");
    assert!(at_few <= 102_000, "{at_few}");
    // 10,000 agents at 200 attempts a second need 50 s.
    let mut many = Bench::after_an_outage(10_000);
    let (at_many, count) = many.backlog_sent(100_000, 600).expect("it is sent");
    assert!((175_000..=250_000).contains(&at_many), "{at_many}");
    assert!(count < 50, "it begins small: {count}");
}

#[test]
fn a_backlog_that_an_aggregator_has_no_time_for_comes_smaller_and_seldom_and_grows_again_when_it_has() {
    let mut bench = Bench::after_an_outage(3);
    let old = bench.outbox.streams()[0].epoch;
    let (mut now, mut cursor) = (100_000, 1);
    let mut growing = Vec::new();
    for _ in 0..4 {
        let (sent_at, count) = bench.backlog_sent(now, 600).expect("it is sent");
        growing.push(count);
        (now, cursor) = (sent_at + 10, cursor + count);
        bench.finish(at(now), old, acked(cursor));
    }
    assert!(growing.windows(2).all(|pair| pair[0] < pair[1]), "{growing:?}");
    let mut waits = Vec::new();
    let mut counts = Vec::new();
    for _ in 0..5 {
        let (sent_at, count) = bench.backlog_sent(now, 600).expect("it is sent");
        counts.push(count);
        waits.push(sent_at - now);
        now = sent_at + 10;
        bench.finish(at(now), old, UploadResult::Busy { retry_after: Span::seconds(2) });
    }
    assert!(waits[4] > 4 * waits[1] && waits[4] <= 240_000, "{waits:?}");
    assert!(counts[1] < growing[3] && counts[4] == counts[1], "{counts:?}");
}

#[test]
fn what_is_fresh_goes_on_while_a_backlog_is_sent_away() {
    let mut bench = Bench::after_an_outage(10_000);
    let old = bench.outbox.streams()[0].epoch;
    let (now, _) = bench.backlog_sent(100_000, 600).expect("it is sent");
    bench.finish(at(now), old, UploadResult::Busy { retry_after: Span::seconds(2) });
    // Once the whole agent waited for as long as its backlog was told to.
    bench.write(at(now));
    let out = bench.turn(at(now + 1));
    assert!(matches!(out[..], [Effect::Upload { is_backlog: false, .. }]), "{out:?}");
}

#[test]
fn an_aggregator_that_asks_for_hours_or_counts_millions_does_not_silence_an_agent() {
    let mut bench = Bench::new();
    bench.write(at(0));
    bench.turn(at(0));
    let live = bench.outbox.live();
    let (next_sync, agents) = (Span::seconds(86_400), u64::MAX);
    bench.finish(at(0), live, UploadResult::Acked { acked: Seq(1), next_sync, agents });
    bench.write(at(1_000));
    assert_eq!(bench.uploader.next_deadline(&bench.outbox), Some(at(300_000).mono));
    bench.turn(at(300_000));
    bench.finish(at(300_000), live, UploadResult::Unreachable);
    let pause = bench.uploader.next_deadline(&bench.outbox).unwrap().since(at(300_000).mono);
    assert!(pause <= Span::seconds(300), "{pause:?}");
}

#[test]
fn an_acknowledgement_of_what_was_never_sent_means_a_restored_disk() {
    let mut bench = Bench::new();
    bench.write(at(0));
    bench.turn(at(0));
    let old = bench.outbox.live();
    let out = bench.finish(at(1), old, acked(500));
    let into = bench.outbox.live();
    let moved = Effect::Persist(PersistOp::Renumber { epoch: old, from: Seq(1), into });
    assert_eq!(out, [Effect::Anomaly(Anomaly::AckAhead), moved]);
}

#[test]
fn an_aggregator_that_forgot_gets_a_new_epoch() {
    let mut bench = Bench::new();
    bench.write(at(0));
    bench.turn(at(0));
    let old = bench.outbox.live();
    bench.finish(at(1), old, acked(1));
    bench.write(at(2));
    bench.turn(at(2_000));
    let out = bench.finish(at(2_001), old, UploadResult::Gap { expected: Seq(1) });
    assert!(out.contains(&Effect::Anomaly(Anomaly::AckBehind)));
    assert_ne!(bench.outbox.live(), old);
}

#[test]
fn an_answer_that_nobody_waits_for_is_an_anomaly() {
    let mut bench = Bench::new();
    assert_eq!(bench.finish(at(0), Epoch(9), acked(1)), [Effect::Anomaly(Anomaly::UnknownUpload)]);
}

#[test]
fn without_an_aggregator_nothing_is_sent() {
    let mut bench = Bench { uploader: Uploader::new(false, SEED, at(0).mono), ..Bench::new() };
    bench.write(at(0));
    assert_eq!(bench.turn(at(10_000)), []);
    assert_eq!(bench.uploader.next_deadline(&bench.outbox), None);
}

/// The answer to a batch was lost, and meanwhile a long outage made batches smaller: the acknowledgement is ahead of what is
/// on its way, but not of what was ever sent, so nothing was restored and nothing is sent twice.
#[test]
fn an_acknowledgement_of_an_earlier_larger_batch_is_no_restored_disk() {
    let mut bench = Bench::new();
    let live = bench.outbox.live();
    bench.write(at(0));
    assert_eq!(uploaded(&bench.turn(at(0))), [(1, 1)]);
    bench.finish(at(10), live, acked(1));
    (1..4).for_each(|second| bench.write(at(second * 1_000)));
    assert_eq!(uploaded(&bench.turn(at(4_000))), [(2, 4)]);
    bench.finish(at(5_000), live, UploadResult::Unreachable);
    // What is on its way now ends before what was sent then.
    bench.outbox.stream_mut(live).unwrap().send(Seq(2), Seq(3));
    let out = bench.finish(at(9_000), live, acked(4));
    assert_eq!(out, [Effect::Persist(PersistOp::Discard { epoch: live, up_to: Seq(4) })]);
    assert_eq!(bench.outbox.live(), live);
}

#[test]
fn a_wish_for_a_day_of_silence_is_cut_to_minutes() {
    let mut bench = Bench::new();
    bench.write(at(0));
    bench.turn(at(0));
    let live = bench.outbox.live();
    bench.finish(at(0), live, UploadResult::Busy { retry_after: Span::seconds(86_400) });
    let pause = bench.uploader.next_deadline(&bench.outbox).unwrap().since(at(0).mono);
    assert!(pause <= Span::seconds(600) && pause >= Span::seconds(300), "{pause:?}");
}

#[test]
fn a_busy_aggregator_is_not_asked_again_at_once_even_if_it_says_so() {
    let mut bench = Bench::new();
    bench.write(at(0));
    bench.turn(at(0));
    let live = bench.outbox.live();
    bench.finish(at(0), live, UploadResult::Busy { retry_after: Span::ZERO });
    assert_eq!(bench.turn(at(0)), []);
    assert!(bench.uploader.next_deadline(&bench.outbox).unwrap() >= at(1_000).mono);
}

fn check_ins(out: &Effects) -> usize {
    out.iter().filter(|effect| **effect == Effect::CheckIn).count()
}

#[test]
fn who_has_nothing_to_send_checks_in_every_five_seconds_and_one_at_a_time() {
    let mut bench = Bench::new();
    let mut times = Vec::new();
    for second in 0..60 {
        let now = at(second * 1_000);
        if check_ins(&bench.turn(now)) == 1 {
            assert_eq!(bench.turn(now), [], "one is under way");
            times.push(second);
            bench.uploader.checked_in(now.mono, acked(0));
        }
    }
    assert!((11..=12).contains(&times.len()), "{times:?}");
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] == 5), "{times:?}");
}

#[test]
fn whoever_sends_need_not_check_in_and_what_waits_goes_first() {
    let mut bench = Bench::new();
    for second in (0..60).step_by(4) {
        bench.write(at(second * 1_000));
        let out = bench.turn(at(second * 1_000));
        assert_eq!((uploaded(&out).len(), check_ins(&out)), (1, 0), "{second}");
        bench.finish(at(second * 1_000), bench.outbox.live(), acked(second / 4 + 1));
    }
    // Nobody answers any more: what waits is what knocks.
    bench.write(at(70_000));
    bench.turn(at(70_000));
    bench.finish(at(70_000), bench.outbox.live(), UploadResult::Unreachable);
    for second in 71..90 {
        let out = bench.turn(at(second * 1_000));
        assert_eq!(check_ins(&out), 0, "{second}");
        if !uploaded(&out).is_empty() {
            bench.finish(at(second * 1_000), bench.outbox.live(), UploadResult::Unreachable);
        }
    }
}

#[test]
fn ten_thousand_check_in_at_most_two_hundred_times_a_second_together() {
    let mut bench = Bench::new();
    bench.uploader.set_mesh_size(10_000);
    let mut count = 0;
    for second in 0..1_000 {
        let now = at(second * 1_000);
        if check_ins(&bench.turn(now)) == 1 {
            count += 1;
            bench.uploader.checked_in(now.mono, acked(0));
        }
    }
    assert!((19..=21).contains(&count), "{count} in 1,000 s");
}

#[test]
fn an_aggregator_that_is_away_or_older_is_asked_ever_less_often() {
    for (result, most) in [(UploadResult::Unreachable, 25), (UploadResult::Rejected, 2), (UploadResult::Refused, 2)] {
        let mut bench = Bench::new();
        let mut count = 0;
        for second in 0..100 {
            let now = at(second * 1_000);
            if check_ins(&bench.turn(now)) == 1 {
                count += 1;
                bench.uploader.checked_in(now.mono, result);
            }
        }
        assert!((1..=most).contains(&count), "{result:?}: {count}");
    }
}

#[test]
fn another_configuration_is_told_within_a_second() {
    let mut bench = Bench::new();
    bench.uploader.checked_in(at(1_000).mono, acked(0));
    bench.uploader.hurry_check_in(at(1_100).mono);
    assert_eq!(check_ins(&bench.turn(at(2_200))), 1);
}
