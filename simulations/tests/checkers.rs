//! Each checker is shown to fail: a run with a planted bug must be found out by the checker made for it, and the same run
//! without the bug must be clean.

use everypath_protocol::time::Span;
use simulations::pace::{Pace, Size};
use simulations::report::run_once;
use simulations::server::Bug;
use simulations::world::Outcome;

const SIZE: Size = Size { agents: 8, length: Span::seconds(3_600), pace: Pace::Mesh };

fn seeds(bug: Option<Bug>) -> impl Iterator<Item = Outcome> {
    (1..=4).map(move |seed| run_once(seed, SIZE, bug))
}

#[test]
fn a_healthy_run_is_clean_and_the_same_twice() {
    for (seed, (one, other)) in seeds(None).zip(seeds(None)).enumerate() {
        let found = one.findings;
        assert_eq!((found.lost, found.duplicated, found.silent_gaps), (0, 0, 0), "seed {}", seed + 1);
        assert_eq!((one.undrained, one.unmeasured), (0, 0), "seed {}", seed + 1);
        assert!(found.records > 1_000 && one.crashes > 0, "seed {} proves too little", seed + 1);
        assert_eq!(one, other, "seed {} is not deterministic", seed + 1);
    }
}

#[test]
fn a_row_that_is_acknowledged_but_not_stored_is_found_as_lost_and_as_a_gap() {
    assert!(seeds(Some(Bug::LoseRow)).all(|run| run.findings.lost > 0 && run.findings.silent_gaps > 0));
}

#[test]
fn a_batch_that_is_stored_twice_is_found_as_duplicated() {
    assert!(seeds(Some(Bug::StoreTwice)).all(|run| run.findings.duplicated > 0));
}
