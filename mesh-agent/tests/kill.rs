//! A process under load that is killed with SIGKILL, again and again. Everything that it had said to be on disk must be
//! there, and each start must be quick. `EVERYPATH_KILLS` sets how often.
//!
//! The test starts itself again as the process to be killed. A random amount of confirmed work decides the moment.

use everypath_protocol::block::{Block, Content};
use everypath_protocol::cell::CellState;
use everypath_protocol::id::{AgentId, BootId, Epoch, Seq};
use everypath_protocol::record::{CellFlip, DropReason, Record};
use everypath_protocol::time::{Now, UnixTime};
use everypath_protocol::window::ProbeKind;
use mesh_agent::clock::Clock;
use mesh_agent::metrics::Metrics;
use mesh_agent::store::{Opened, Store};
use mesh_agent_core::effect::PersistOp;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const DIRECTORY: &str = "EVERYPATH_TEST_KILL_ME";
const KILLS: u64 = 50;
/// The goal for a start.
const READY_MAX: Duration = Duration::from_secs(1);

fn mixed(number: u64) -> u64 {
    everypath_protocol::id::mix64(number)
}

fn block(epoch: Epoch, first: Seq, content: Content) -> Block {
    Block { epoch, first, boot: BootId(1), written: Now::default(), renumbered: false, content }
}

fn records(epoch: Epoch, first: Seq, count: usize) -> Block {
    let (from, to) = (CellState::Ok, CellState::Down);
    let flip = CellFlip { target: AgentId([3; 32]), kind: ProbeKind::Icmp, at: UnixTime(5), from, to };
    block(epoch, first, Content::Records(vec![Record::Flip(flip); count]))
}

/// The process that is killed: writes, gives up, forgets; says what is on disk.
#[tokio::test]
async fn under_load() {
    let Some(dir) = std::env::var_os(DIRECTORY).map(PathBuf::from) else { return };
    let (store, opened) =
        Store::open(&dir, BootId(1), Clock::start(), &Metrics::new()).expect("a working test machine");
    let seed = opened.incarnation.0;
    println!("ready {seed}");
    let epoch = Epoch(mixed(seed).max(1));
    let (mut next, mut acked) = (Seq(1), Seq(0));
    for round in 0_u64.. {
        let block = records(epoch, next, 1 + usize::try_from(mixed(round ^ seed) % 100).expect("small"));
        let (first, last, bytes) = (block.first, block.last(), block.encode());
        next = last.next();
        store.persist(PersistOp::Append { epoch, first, last, bytes, is_tombstone: false }).await;
        if round % 7 == 3 {
            let content = Content::Dropped { count: block.count(), reason: DropReason::BufferFull };
            let bytes = Block { content, ..block }.encode();
            store.persist(PersistOp::Replace { epoch, first, last, bytes }).await;
        }
        let mut said_acked = acked;
        if round % 5 == 4 {
            said_acked = Seq(acked.0 + (last.0 - acked.0) / 2);
            store.persist(PersistOp::Discard { epoch, up_to: said_acked }).await;
        }
        if store.flush().await.is_err() {
            return;
        }
        acked = said_acked;
        println!("stored {:x} {} {}", epoch.0, last.0, acked.0);
        std::io::stdout().flush().expect("the test listens");
    }
}

fn start(dir: &Path) -> (std::process::Child, BufReader<std::process::ChildStdout>) {
    let own = std::env::current_exe().expect("a working test machine");
    let mut command = Command::new(own);
    command.args(["--exact", "under_load", "--nocapture"]).env(DIRECTORY, dir);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().expect("a working test machine");
    let said = BufReader::new(child.stdout.take().expect("it was asked for"));
    (child, said)
}

/// The next line that the process itself says, split into words.
fn words(said: &mut BufReader<std::process::ChildStdout>, first: &str) -> Vec<String> {
    loop {
        let mut line = String::new();
        assert!(said.read_line(&mut line).expect("a working test machine") > 0, "the process ended by itself");
        // The test harness says its own things, and not always with a line's end.
        if let Some(place) = line.find(first) {
            return line[place..].split_whitespace().map(str::to_owned).collect();
        }
    }
}

#[tokio::test]
async fn nothing_that_was_said_to_be_on_disk_is_lost_by_a_kill() {
    if std::env::var_os(DIRECTORY).is_some() {
        return;
    }
    let kills = std::env::var("EVERYPATH_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(KILLS);
    let dir = tempfile::tempdir().expect("a working test machine");
    let mut promised: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
    let mut slowest = Duration::ZERO;
    for kill in 0..kills {
        let (mut child, mut said) = start(dir.path());
        words(&mut said, "ready ");
        for _ in 0..mixed(kill) % 40 {
            let words = words(&mut said, "stored ");
            let number = |place: usize| words[place].parse::<u64>().expect("a number");
            let epoch = u64::from_str_radix(&words[1], 16).expect("an epoch");
            promised.insert(epoch, (number(2), number(3)));
        }
        child.kill().expect("it runs");
        child.wait().expect("it was killed");
        // What it said between our last look and its end counts too.
        for line in said.lines().map_while(Result::ok).filter(|line| line.starts_with("stored ")) {
            let parts: Vec<&str> = line.split(' ').collect();
            if let [_, epoch, last, acked] = parts[..]
                && let (Ok(epoch), Ok(last), Ok(acked)) = (u64::from_str_radix(epoch, 16), last.parse(), acked.parse())
            {
                promised.insert(epoch, (last, acked));
            }
        }
        let (clock, metrics) = (Clock::start(), Metrics::new());
        let (store, opened) = Store::open(dir.path(), BootId(1), clock, &metrics).expect("it always opens");
        let took = Duration::from_nanos(clock.mono().0);
        slowest = slowest.max(took);
        assert!(took < READY_MAX, "it took {took:?} to start after kill {kill}");
        assert_eq!((metrics.store_resets.get(), metrics.store_damaged_records.get()), (0, 0), "after kill {kill}");
        check(&store, &opened, &promised, kill).await;
        // Drained, or the epochs would be more than an agent ever has.
        for epoch in opened.resume.epochs {
            store.persist(PersistOp::Discard { epoch: epoch.epoch, up_to: epoch.last }).await;
            promised.remove(&epoch.epoch.0);
        }
        store.close().await;
    }
    println!("{kills} kills; the slowest start took {slowest:?}");
}

async fn check(store: &Store, opened: &Opened, promised: &BTreeMap<u64, (u64, u64)>, kill: u64) {
    let ledger = store.ledger().await.expect("open");
    for (epoch, (last, acked)) in promised {
        let entry = ledger.iter().find(|entry| entry.epoch.0 == *epoch);
        let entry = entry.unwrap_or_else(|| panic!("kill {kill}: epoch {epoch:x} is gone"));
        assert!(entry.last.0 >= *last && entry.acked.0 >= *acked, "kill {kill}: {entry:?} after {last} and {acked}");
        let Some(waiting) = opened.resume.epochs.iter().find(|waiting| waiting.epoch == entry.epoch) else {
            assert!(entry.acked >= entry.last, "kill {kill}: {entry:?} is not resumed");
            continue;
        };
        let first = waiting.blocks[0].first;
        assert!(first <= entry.acked.next(), "kill {kill}: a gap in front");
        let bytes = store.read(entry.epoch, first, entry.last).await.expect("open");
        let blocks = Block::decode_all(&bytes).expect("whole");
        assert!(blocks.windows(2).all(|pair| pair[0].last().next() == pair[1].first), "kill {kill}: a gap");
        for block in blocks {
            if let Content::Dropped { reason, .. } = &block.content {
                assert_eq!(*reason, DropReason::BufferFull, "kill {kill}: nothing is damaged");
                let is_noted = entry.dropped.iter().any(|(first, last)| *first <= block.first && block.last() <= *last);
                assert!(is_noted, "kill {kill}: a drop that the account does not know");
            }
        }
    }
}
