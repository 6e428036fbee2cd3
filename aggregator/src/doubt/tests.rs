use super::*;

const T: UnixTime = UnixTime(1_795_392_000_000_000);
const HOUR: Span = Span::seconds(3_600);

fn days(count: u64) -> Span {
    Span::seconds(86_400 * count)
}

/// A process, and what it keeps.
struct Process {
    base: Base,
    kept: Option<Mark>,
    started: UnixTime,
}

impl Process {
    fn start(wall: UnixTime, kept: Option<Mark>) -> Self {
        Self { base: Base { wall, mono: MonoTime(0), is_own: false }, kept, started: wall }
    }

    /// Looks `since` the start while the clock is `ahead` of where it should be. Returns whether it is doubted.
    fn look(&mut self, since: Span, ahead: Span, retention: i64) -> bool {
        let now = self.started.plus(since).plus(ahead);
        let (mark, why) = judge(&mut self.base, self.kept, None, (now, MonoTime(since.0)), retention);
        self.kept = Some(mark);
        why.is_some()
    }
}

/// The doubt was in memory alone: a restart under the wrong clock forgot it, and deleted everything.
#[test]
fn a_restart_forgets_no_doubt() {
    let mut first = Process::start(T, None);
    assert!(!first.look(HOUR, Span::ZERO, 0));
    assert!(first.look(HOUR, days(20), 0), "it was set");
    let mut second = Process::start(T.plus(days(20)).plus(HOUR), first.kept);
    for hours in 0..50 {
        assert!(second.look(Span::seconds(hours * 3_600), Span::ZERO, 0));
    }
    let mut third = Process::start(T.plus(HOUR), second.kept);
    assert!(!third.look(HOUR, Span::ZERO, 0), "it was set back");
    assert_eq!(third.kept.expect("kept").doubt, None);
    let mut fourth = Process::start(T.plus(days(20)), third.kept);
    assert!(!fourth.look(HOUR, Span::ZERO, 0), "and went there by itself");
}

#[test]
fn an_administrator_confirms_it_by_setting_retention() {
    let mut first = Process::start(T, None);
    first.look(HOUR, Span::ZERO, 3);
    assert!(first.look(HOUR, days(20), 3) && first.look(HOUR, days(20), 3));
    assert!(!first.look(HOUR, days(20), 4), "confirmed");
    assert!(!first.look(days(1), days(20), 4), "for good");
    let mut second = Process::start(T.plus(days(90)), first.kept);
    assert!(second.look(HOUR, Span::ZERO, 4), "long silence");
    assert!(!Process::start(T.plus(days(90)), second.kept).look(HOUR, Span::ZERO, 5), "confirmed");
}

#[test]
fn what_comes_under_a_wrong_clock_proves_nothing() {
    let mut first = Process::start(T, None);
    first.look(HOUR, Span::ZERO, 0);
    let mut second = Process::start(T.plus(days(31)).plus(HOUR), first.kept);
    assert!(second.look(HOUR, Span::ZERO, 0));
    let mut third = Process::start(T.plus(days(32)), second.kept);
    assert!(third.look(HOUR, Span::ZERO, 0), "the process before has not made it right");
}

/// As on a board without a battery: it begins years behind, and is set right when there is a network.
#[test]
fn a_clock_that_began_behind_may_be_set_right() {
    let mut first = Process::start(T, None);
    first.look(HOUR, Span::ZERO, 0);
    let mut second = Process::start(T.minus(days(900)), first.kept);
    second.look(HOUR, Span::ZERO, 0);
    let mut third = Process::start(T.minus(days(900)), second.kept);
    assert!(!third.look(HOUR, days(901), 0));
    let mut fourth = Process::start(T.minus(days(900)), second.kept);
    assert!(fourth.look(HOUR, days(990), 0), "not so far");
}

#[test]
fn a_clock_that_was_set_and_set_back_is_believed_again() {
    let mut first = Process::start(T, None);
    first.look(HOUR, Span::ZERO, 0);
    assert!(first.look(HOUR, days(9), 0));
    assert!(!first.look(days(30), Span::ZERO, 0));
}
