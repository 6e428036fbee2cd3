//! When a channel is told, without incidents.

use super::*;
use crate::alert::Event;
use crate::alert::tell::{Told, Wish, digest, next};

const WISH: Wish = Wish { gist: 1, text: 1, is_over: false, is_quiet: false, is_flapping: false, is_acked: false };
const TOLD: Told = Told { gist: 1, text: 1, is_over: false, at: T0, news_at: T0 };

fn event(seconds: u64, channel: usize, told: Option<Told>, wish: Wish) -> Option<Event> {
    next(T0.plus(Span::seconds(seconds)), &CHANNELS[channel].policy, told.as_ref(), &wish).map(|(event, _)| event)
}

#[test]
fn each_state_has_its_answer() {
    let over = Wish { is_over: true, ..WISH };
    let quiet = Wish { is_quiet: true, ..WISH };
    let flapping = Wish { is_flapping: true, ..WISH };
    let told_over = Some(Told { is_over: true, ..TOLD });
    for channel in [0, 1] {
        assert_eq!(event(0, channel, None, WISH), Some(Event::Opened));
        assert_eq!(event(0, channel, None, flapping), Some(Event::Opened));
        assert_eq!(event(0, channel, None, over), None);
        assert_eq!(event(0, channel, None, quiet), None);
        assert_eq!(event(0, channel, Some(TOLD), over), Some(Event::Resolved));
        assert_eq!(event(0, channel, Some(TOLD), Wish { is_quiet: true, ..over }), Some(Event::Resolved));
        assert_eq!(event(999, channel, told_over, over), None);
        assert_eq!(event(0, channel, told_over, WISH), Some(Event::Reopened));
        assert_eq!(event(0, channel, told_over, quiet), None);
        assert_eq!(event(0, channel, told_over, flapping), None);
    }
}

#[test]
fn changes_wait_and_small_ones_are_for_channels_that_edit() {
    let (words, gist) = (Wish { text: 2, ..WISH }, Wish { text: 2, gist: 2, ..WISH });
    assert_eq!((event(29, 0, Some(TOLD), words), event(30, 0, Some(TOLD), words)), (None, Some(Event::Updated)));
    assert_eq!((event(9_999, 1, Some(TOLD), words), event(300, 1, Some(TOLD), gist)), (None, Some(Event::Updated)));
    assert_eq!(event(9_999, 0, Some(TOLD), Wish { is_quiet: true, ..gist }), None);
}

#[test]
fn a_repetition_is_counted_from_the_last_news() {
    let after = 14_400;
    assert_eq!(event(after - 1, 1, Some(TOLD), WISH), None);
    assert_eq!(event(after, 1, Some(TOLD), WISH), Some(Event::Repeated));
    let changed = Told { at: T0.plus(Span::seconds(after - 5)), ..TOLD };
    assert_eq!(event(after, 1, Some(changed), WISH), Some(Event::Repeated), "a change is no news");
    assert_eq!(event(after, 1, Some(TOLD), Wish { is_acked: true, ..WISH }), None);
    assert_eq!(event(after * 9, 0, Some(TOLD), WISH), None, "this one does not want it");
}

#[test]
fn digests_differ_where_words_do() {
    let all = [digest(["ab", "c"]), digest(["a", "bc"]), digest(["abc"]), digest([]), digest([""])];
    for (place, one) in all.iter().enumerate() {
        assert!(all[place + 1..].iter().all(|other| other != one));
    }
    assert_eq!(digest(["ab", "c"]), digest(["ab", "c"]));
}
