//! Bytes that were published never change: `state-1.hex` must be read for ever.

use super::{Mesh, Random, START};
use crate::incident::{Change, Rules, Tracker, classify};
use alloc::string::String;
use alloc::vec::Vec;
use everypath_protocol::cell::CellState;
use everypath_protocol::codec::DecodeError;
use everypath_protocol::id::hex;
use everypath_protocol::time::{Span, UnixTime};

const GOLDEN: &str = include_str!("state-1.hex");

/// Something of everything: faults that come, change, overlap, end, come back.
fn story(second: usize) -> Mesh {
    let mut mesh = Mesh::full(&[3, 3, 3]);
    if second % 97 < 20 {
        mesh.kill(4);
    }
    if second % 150 > 60 {
        mesh.cut(0);
    }
    if second % 120 > 80 {
        mesh.silence(6);
    }
    if second % 33 > 10 {
        mesh.down(|source, target| (source, target) == (7, 8));
    } else if second > 100 {
        mesh.set(CellState::Lossy, |source, target| (source, target) == (7, 8));
    }
    mesh
}

fn step(tracker: &mut Tracker, second: usize) -> Vec<Change> {
    let mesh = story(second);
    let snapshot = mesh.snapshot();
    tracker.observe(START.plus(Span::seconds(second as u64)), &classify(&snapshot, &Rules::default()), &snapshot)
}

pub(super) fn at(second: usize) -> Tracker {
    let mut tracker = Tracker::new(Rules::default());
    (0..second).for_each(|second| drop(step(&mut tracker, second)));
    tracker
}

#[test]
fn whoever_takes_over_goes_on_as_the_one_before() {
    let mut tracker = Tracker::new(Rules::default());
    let mut changes = 0;
    for second in 0..600 {
        changes += step(&mut tracker, second).len();
        let bytes = tracker.to_bytes();
        let mut other = Tracker::from_bytes(&bytes, Rules::default()).unwrap();
        assert_eq!((other.open(), other.remembered()), (tracker.open(), tracker.remembered()));
        assert_eq!(other.to_bytes(), bytes);
        // What grew last is not in the bytes, so only what is open already is the same.
        let (mut one, names) = (tracker.clone(), other.open().iter().map(|incident| incident.id).collect::<Vec<_>>());
        let (one, other) = (step(&mut one, second + 1), step(&mut other, second + 1));
        let of_known =
            |changes: Vec<Change>| changes.into_iter().filter(|change| names.contains(&change.id)).collect::<Vec<_>>();
        assert_eq!(of_known(other), of_known(one), "second {second}");
    }
    assert!(changes > 10, "{changes} changes: the story is too short");
}

#[test]
fn the_bytes_are_those_of_the_first_version() {
    let tracker = at(205);
    assert!(
        !tracker.open().is_empty()
            && !tracker.remembered().is_empty()
            && !tracker.candidates.is_empty()
            && tracker.open().iter().any(|incident| incident.flaps > 0)
            && tracker.open().iter().any(|incident| incident.pending.is_some()),
        "the example has something of everything"
    );
    assert_eq!(hex(&tracker.to_bytes()), GOLDEN.trim());
    let digits: Vec<char> = GOLDEN.trim().chars().collect();
    let byte = |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap();
    let bytes: Vec<u8> = digits.chunks(2).map(byte).collect();
    let read = Tracker::from_bytes(&bytes, Rules::default()).unwrap();
    assert_eq!((read.open(), read.remembered()), (tracker.open(), tracker.remembered()));
    assert_eq!(read.candidates, tracker.candidates);
}

#[test]
fn damaged_bytes_are_refused_or_read_and_never_a_panic() {
    let bytes = at(205).to_bytes();
    assert_eq!(Tracker::from_bytes(&[], Rules::default()).err(), Some(DecodeError::Malformed));
    assert_eq!(Tracker::from_bytes(&[9], Rules::default()).err(), Some(DecodeError::UnknownVersion(9)));
    for end in 1..bytes.len() {
        assert!(Tracker::from_bytes(&bytes[..end], Rules::default()).is_err(), "cut at {end}");
    }
    for place in 1..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[place] ^= 0x55;
        if let Ok(mut tracker) = Tracker::from_bytes(&damaged, Rules::default()) {
            step(&mut tracker, 206);
        }
    }
}

#[test]
fn random_bytes_are_refused_or_read_and_never_a_panic() {
    let mut random = Random(1);
    let whole = at(205).to_bytes();
    for round in 0..4_000 {
        let mut bytes: Vec<u8> = (0..random.below(300)).map(|_| u8::try_from(random.below(256)).unwrap()).collect();
        bytes.insert(0, 1);
        if round % 2 == 0 {
            // Behind a good beginning, so that it is read further.
            let good = random.below(whole.len());
            bytes.splice(..1, whole[..good].iter().copied());
        }
        if let Ok(mut tracker) = Tracker::from_bytes(&bytes, Rules::default()) {
            step(&mut tracker, 206);
            drop(tracker.to_bytes());
        }
    }
}

/// The largest numbers that a length or a time may claim.
#[test]
fn lengths_and_times_without_end_are_no_panic() {
    for byte in [0x7f, 0x80, 0xff] {
        for length in 0..64 {
            let mut bytes = [byte].repeat(length);
            bytes.insert(0, 1);
            assert!(Tracker::from_bytes(&bytes, Rules::default()).is_err() || byte == 0x7f, "{length} times {byte}");
        }
    }
    let mut tracker = at(205);
    for now in [i64::MIN, i64::MAX, 0] {
        let snapshot = story(0).snapshot();
        tracker.observe(UnixTime(now), &classify(&snapshot, &Rules::default()), &snapshot);
        tracker = Tracker::from_bytes(&tracker.to_bytes(), Rules::default()).unwrap();
    }
}
