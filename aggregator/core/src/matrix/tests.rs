use super::*;
use alloc::vec;
use everypath_protocol::record::CellFlip;
use everypath_protocol::window::{ProbeKind, ProbeOutcome, Window};

const A: AgentId = AgentId([1; 32]);
const B: AgentId = AgentId([2; 32]);
const C: AgentId = AgentId([3; 32]);
const T0: UnixTime = UnixTime(1_800_000_000_000_000);

fn at(seconds: u64) -> UnixTime {
    T0.plus(Span::seconds(seconds))
}

fn matrix() -> Matrix {
    let mut matrix = Matrix::new(100);
    matrix.set_agents(vec![A, B, C]);
    matrix
}

/// A window of ten seconds with one reply of `rtt_us` for each entry; `None` is a lost probe.
fn window(target: AgentId, start: UnixTime, probes: &[Option<u32>], state: CellState) -> Window {
    let mut window = Window::new(target, ProbeKind::Icmp, start);
    window.span = Span::seconds(10);
    for probe in probes {
        window.add(probe.map_or(ProbeOutcome::Lost, |rtt_us| ProbeOutcome::Replied { rtt_us }));
    }
    window.state = state;
    window
}

/// A's window of B that begins at a second, applied as soon as it is over.
fn add(matrix: &mut Matrix, second: u64, probes: &[Option<u32>], state: CellState) {
    let window = window(B, at(second), probes, state);
    matrix.apply(&A, &Record::Window(window), at(second + 10), at(second + 10));
}

fn flip(matrix: &mut Matrix, second: u64, to: CellState) {
    let flip = CellFlip { target: B, kind: ProbeKind::Icmp, at: at(second), from: CellState::Ok, to };
    matrix.apply(&A, &Record::Flip(flip), at(second), at(second));
}

#[test]
fn what_nobody_measures_is_not_assigned_and_the_diagonal_is_itself() {
    let matrix = matrix();
    assert_eq!(matrix.cell(0, 1).state, CODE_NOT_ASSIGNED);
    assert_eq!(matrix.cell(1, 1).state, CODE_SELF);
    assert_eq!(matrix.cells().count(), 0);
}

#[test]
fn a_minute_of_windows_is_folded() {
    let mut matrix = matrix();
    add(&mut matrix, 0, &[Some(100), Some(300)], CellState::Ok);
    add(&mut matrix, 10, &[Some(1_000), None], CellState::Lossy);
    add(&mut matrix, 20, &[Some(400), Some(400)], CellState::Ok);
    let cell = matrix.cell(0, 1);
    assert_eq!(
        cell,
        PackedCell::new(CellState::Ok, Some(167), Some(400)),
        "1 of 6 lost, rounded up; the median of 200, 400, 1000"
    );
    for second in (30..90).step_by(10) {
        add(&mut matrix, second, &[Some(500)], CellState::Ok);
    }
    assert_eq!(
        matrix.cell(0, 1),
        PackedCell::new(CellState::Ok, Some(0), Some(500)),
        "the loss is more than a minute old"
    );
}

#[test]
fn direction_matters() {
    let mut matrix = matrix();
    add(&mut matrix, 0, &[None], CellState::Down);
    assert_eq!(matrix.cell(0, 1).state, CellState::Down.code());
    assert_eq!(matrix.cell(1, 0).state, CODE_NOT_ASSIGNED);
}

#[test]
fn the_newest_statement_is_the_state_whether_window_or_flip() {
    let mut matrix = matrix();
    add(&mut matrix, 0, &[Some(100)], CellState::Ok);
    flip(&mut matrix, 13, CellState::Down);
    assert_eq!(matrix.cell(0, 1).state, CellState::Down.code());
    flip(&mut matrix, 12, CellState::Slow);
    assert_eq!(matrix.cell(0, 1).state, CellState::Down.code(), "said earlier, came later");
    add(&mut matrix, 10, &[None], CellState::Lossy);
    assert_eq!(matrix.cell(0, 1).state, CellState::Lossy.code());
}

#[test]
fn a_backlog_is_never_news() {
    let mut matrix = matrix();
    for second in (600..660).step_by(10) {
        add(&mut matrix, second, &[Some(100)], CellState::Ok);
    }
    let before = matrix.cell(0, 1);
    matrix.changed();
    let late = window(B, at(100), &[None, None], CellState::Down);
    matrix.apply(&A, &Record::Window(late), at(110), at(661));
    assert_eq!(matrix.cell(0, 1), before);
    assert!(!matrix.has_changed());
}

#[test]
fn a_pair_known_only_from_a_backlog_is_assigned_and_unknown() {
    let mut matrix = matrix();
    let late = window(B, at(0), &[Some(5)], CellState::Ok);
    matrix.apply(&A, &Record::Window(late), at(10), at(1_000));
    assert_eq!(matrix.cell(0, 1), PackedCell::UNKNOWN);
    assert_eq!(matrix.changed(), [(1, PackedCell::UNKNOWN)]);
}

#[test]
fn silence_becomes_unknown_and_news_becomes_known_again() {
    let mut matrix = matrix();
    add(&mut matrix, 0, &[Some(100)], CellState::Ok);
    matrix.changed();
    matrix.expire(at(10).plus(FRESH_MAX));
    assert!(!matrix.has_changed(), "45 s old is still fresh");
    matrix.expire(at(10).plus(FRESH_MAX).plus(Span::micros(1)));
    assert_eq!(matrix.changed(), [(1, PackedCell::UNKNOWN)]);
    matrix.expire(at(500));
    assert!(!matrix.has_changed(), "it is said once");
    add(&mut matrix, 600, &[Some(70)], CellState::Ok);
    assert_eq!(matrix.changed(), [(1, PackedCell::new(CellState::Ok, Some(0), Some(70)))]);
}

#[test]
fn not_measured_is_not_loss() {
    let mut matrix = matrix();
    add(&mut matrix, 0, &[], CellState::Unknown);
    assert_eq!(matrix.cell(0, 1), PackedCell::UNKNOWN);
}

#[test]
fn changes_are_drained_once_and_only_when_something_shown_changed() {
    let mut matrix = matrix();
    add(&mut matrix, 0, &[Some(100)], CellState::Ok);
    assert_eq!(matrix.changed().len(), 1);
    add(&mut matrix, 10, &[Some(100)], CellState::Ok);
    assert_eq!(matrix.changed(), []);
}

#[test]
fn a_new_agent_changes_the_generation_and_keeps_what_is_known() {
    let mut matrix = matrix();
    let generation = matrix.generation();
    add(&mut matrix, 0, &[Some(100)], CellState::Ok);
    matrix.set_agents(vec![A, B, C]);
    assert_eq!(matrix.generation(), generation);
    matrix.set_agents(vec![C, A, B]);
    assert!(matrix.generation() > generation);
    assert_eq!(matrix.cell(1, 2).state, CellState::Ok.code());
    assert_eq!(matrix.cell(0, 1).state, CODE_NOT_ASSIGNED);
    assert!(!matrix.has_changed(), "everyone fetches anew");
    matrix.set_agents(vec![C, A]);
    assert_eq!(matrix.cells().count(), 0);
}

#[test]
fn strangers_and_an_agent_about_itself_are_left_out() {
    let mut matrix = matrix();
    let stranger = AgentId([9; 32]);
    for (source, target) in [(stranger, A), (A, stranger), (A, A)] {
        matrix.apply(&source, &Record::Window(window(target, at(0), &[Some(1)], CellState::Ok)), at(10), at(10));
    }
    assert_eq!(matrix.cells().count(), 0);
}

#[test]
fn what_is_saved_comes_back_and_windows_told_again_change_nothing() {
    let mut before = matrix();
    for second in [0, 10, 20] {
        add(&mut before, second, &[Some(100), None], CellState::Lossy);
    }
    let mut after = Matrix::new(200);
    after.set_agents(vec![A, B, C]);
    let saved = before.saved_row(&A);
    assert_eq!(saved.len(), 1);
    after.restore(&A, &saved, at(31));
    assert_eq!(after.cell(0, 1), before.cell(0, 1));
    for second in [0, 10, 20, 20] {
        let window = window(B, at(second), &[Some(100), None], CellState::Lossy);
        after.apply(&A, &Record::Window(window), at(second + 10), at(31));
    }
    assert_eq!(after.cell(0, 1), before.cell(0, 1));
}

#[test]
fn what_is_saved_never_overwrites_what_is_newer_and_goes_stale_like_everything() {
    let mut matrix = matrix();
    add(&mut matrix, 20, &[Some(100)], CellState::Ok);
    let old = SavedCell { target: B, packed: PackedCell::new(CellState::Down, Some(1_000), None), ended: at(10) };
    matrix.restore(&A, &[old], at(31));
    assert_eq!(matrix.cell(0, 1).state, CellState::Ok.code());
    let stale = SavedCell { target: C, packed: PackedCell::new(CellState::Ok, Some(0), Some(9)), ended: at(10) };
    matrix.restore(&A, &[stale], at(600));
    assert_eq!(matrix.cell(0, 2), PackedCell::UNKNOWN);
}

#[test]
fn a_row_comes_back_in_any_order_with_gaps_and_without_strangers() {
    let cell =
        |target, rtt| SavedCell { target, packed: PackedCell::new(CellState::Ok, Some(0), Some(rtt)), ended: at(10) };
    let stranger = AgentId([77; 32]);
    for order in [[B, C, stranger, A], [C, stranger, B, A], [A, stranger, C, B]] {
        let mut matrix = Matrix::new(200);
        matrix.set_agents(vec![A, B, C]);
        let saved: Vec<_> = order.iter().map(|target| cell(*target, u32::from(target.0[0]) * 10)).collect();
        matrix.restore(&A, &saved, at(31));
        matrix.restore(&stranger, &saved, at(31));
        let rtt = |target: AgentId| PackedCell::new(CellState::Ok, Some(0), Some(u32::from(target.0[0]) * 10));
        assert_eq!([matrix.cell(0, 1), matrix.cell(0, 2)], [rtt(B), rtt(C)], "{order:?}");
        assert_eq!(matrix.cells().count(), 2, "nobody measures himself, and nobody measures a stranger");
    }
}

#[test]
fn a_clock_that_was_ahead_and_is_set_back_leaves_nothing_that_passes_for_news() {
    let mut matrix = matrix();
    let hour = 3_600;
    add(&mut matrix, hour, &[None], CellState::Down);
    assert_eq!(matrix.cell(0, 1).state, CellState::Down.code());
    let saved = matrix.saved_row(&A);
    matrix.changed();
    matrix.expire(at(20));
    assert_eq!(matrix.changed(), [(1, PackedCell::UNKNOWN)]);
    assert_eq!(matrix.cells().next().expect("still assigned").ended, None);
    add(&mut matrix, 20, &[Some(70)], CellState::Ok);
    let measured = PackedCell::new(CellState::Ok, Some(0), Some(70));
    assert_eq!(matrix.cell(0, 1), measured, "not a word of what was said in the future");
    matrix.restore(&A, &saved, at(31));
    assert_eq!(matrix.cell(0, 1), PackedCell::UNKNOWN, "what was kept then is no news either");
    add(&mut matrix, 30, &[Some(70)], CellState::Ok);
    assert_eq!(matrix.cell(0, 1), measured);
}

#[test]
fn evidence_of_a_moment_ahead_is_of_now() {
    let mut matrix = matrix();
    let window = window(B, at(0), &[Some(70)], CellState::Ok);
    matrix.apply(&A, &Record::Window(window), at(10), at(10).minus(AHEAD_MAX));
    assert_eq!(matrix.cell(0, 1).state, CellState::Ok.code());
    flip(&mut matrix, 11, CellState::Down);
    matrix.expire(at(6));
    assert_eq!(matrix.cell(0, 1).state, CellState::Down.code());
    matrix.expire(at(5));
    assert_eq!(matrix.cell(0, 1), PackedCell::UNKNOWN);
}

#[test]
fn the_same_windows_in_any_order_give_the_same_cell() {
    let windows: Vec<_> = (0..6)
        .map(|i| window(B, at(i * 10), &[Some(100 + 50 * u32::try_from(i).expect("small"))], CellState::Ok))
        .collect();
    let mut cells = BTreeSet::new();
    for rotation in 0..6 {
        let mut matrix = matrix();
        for i in 0..6 {
            let window = &windows[(i * 5 + rotation) % 6];
            matrix.apply(&A, &Record::Window(window.clone()), window.end(), at(60));
        }
        cells.insert(matrix.cell(0, 1).to_bytes());
    }
    assert_eq!(cells.len(), 1);
}

#[test]
fn every_state_has_its_word() {
    let words: Vec<_> = (0..7).map(state_name).collect();
    assert_eq!(words, ["unknown", "ok", "slow", "lossy", "down", "self", "not_assigned"]);
}
