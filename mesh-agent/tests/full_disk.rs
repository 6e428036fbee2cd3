//! A file system that is really full. The test starts itself again in a mount namespace of its own, with a small tmpfs.
#![expect(clippy::print_stdout, reason = "a test says what it found")]

use everypath_protocol::block::{Block, Content};
use everypath_protocol::cell::CellState;
use everypath_protocol::id::{AgentId, BootId, Epoch, Incarnation, Seq};
use everypath_protocol::record::{CellFlip, Record};
use everypath_protocol::sign::{SecretKey, Signer};
use everypath_protocol::time::{MonoTime, Now, Span, UnixTime};
use everypath_protocol::trust::mesh_of;
use everypath_protocol::window::{ProbeKind, Window};
use mesh_agent::clock::Clock;
use mesh_agent::issuer::certify;
use mesh_agent::metrics::Metrics;
use mesh_agent::store::Store;
use mesh_agent_core::effect::{Effect, Effects};
use mesh_agent_core::outbox::{Outbox, UNPERSISTED_BYTES_MAX};
use mesh_agent_core::{AgentParams, Resume};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Set in the copy of this test that has a small disk.
const DIRECTORY: &str = "EVERYPATH_TEST_SMALL_DISK";
/// Sixteen of it are what counts as little room on a small file system.
const DISK_MIB: usize = 40;
/// Ten minutes of full disk on virtual time.
const SECONDS: u64 = 600;
/// How long that takes in truth: the disk is tried every second.
const TRIES: Duration = Duration::from_secs(4);
/// To hand something to the disk's thread. It must not wait for the disk.
const HAND_OVER_MAX: Duration = Duration::from_millis(500);
/// The goal.
const RECOVERY_MAX: Duration = Duration::from_secs(30);

#[test]
fn a_full_disk_costs_records_that_are_accounted_for_and_nothing_else() {
    if std::env::var_os(DIRECTORY).is_some() {
        return;
    }
    let dir = tempfile::tempdir().expect("a working test machine");
    let script =
        format!("mount -t tmpfs -o size={DISK_MIB}m none \"$1\" && exec \"$2\" --exact on_a_small_disk --nocapture");
    let own = std::env::current_exe().expect("a working test machine");
    let mut command = Command::new("unshare");
    command.args(["-m", "--propagation", "private", "sh", "-c", &script, "sh"]).arg(dir.path()).arg(own);
    let Ok(done) = command.env(DIRECTORY, dir.path()).output() else {
        return skip("there is no unshare");
    };
    let said = String::from_utf8_lossy(&done.stdout);
    if !said.contains("on a small disk") {
        let why = String::from_utf8_lossy(&done.stderr);
        return skip(&format!("no mount namespace here: {}", why.trim()));
    }
    println!("{said}");
    assert!(done.status.success(), "{said}\n{}", String::from_utf8_lossy(&done.stderr));
}

#[tokio::test]
async fn on_a_small_disk() {
    let Some(dir) = std::env::var_os(DIRECTORY).map(PathBuf::from) else { return };
    println!("on a small disk");
    let mut bench = Bench::start(&dir);
    bench.live(60).await;
    bench.settle().await;
    // Somebody else fills the disk, to the last byte.
    let ballast = dir.join("ballast");
    let mut file = std::fs::File::create(&ballast).expect("a working test machine");
    while file.write_all(&[1; 4096]).is_ok() {}
    // Or removing it would make no room.
    drop(file);
    let acked_before = bench.persisted();
    bench.live_and_try().await;
    let most = bench.unpersisted_bytes_max;
    assert!(most <= UNPERSISTED_BYTES_MAX as u64, "{most} bytes in memory");
    // What was on disk can still be read, and so be sent.
    let epoch = bench.outbox.live();
    let read = tokio::time::timeout(HAND_OVER_MAX * 4, bench.store.read(epoch, Seq(1), acked_before)).await;
    let blocks = Block::decode_all(&read.expect("it does not wait for room").expect("open")).expect("whole");
    assert_eq!(blocks.last().expect("some").last(), acked_before);
    // Forgetting works without room.
    bench.outbox.acked(epoch, acked_before, &mut bench.out);
    bench.perform().await;
    bench.until_acknowledged(epoch, acked_before).await;
    println!("the disk was found full {} times", bench.metrics.store_disk_full.get());
    std::fs::remove_file(&ballast).expect("a working test machine");
    let clock = Clock::start();
    bench.settle().await;
    let took = Duration::from_nanos(clock.mono().0);
    println!("in memory at most {most} bytes; writing again after {took:?}");
    assert!(took < RECOVERY_MAX, "{took:?}");
    bench.live(10).await;
    bench.settle().await;
    bench.check().await;
}

/// The agent's outbox on virtual time, with the real store.
struct Bench {
    outbox: Outbox,
    store: Store,
    metrics: Metrics,
    out: Effects,
    second: u64,
    pushed: u64,
    unpersisted_bytes_max: u64,
}

impl Bench {
    fn start(dir: &Path) -> Self {
        let metrics = Metrics::new();
        let (store, opened) = Store::open(dir, BootId(1), Clock::start(), &metrics).expect("a working test machine");
        assert_eq!(opened.resume, Resume::default());
        let key = SecretKey::from_seed(&[3; 32]);
        let agent = AgentId::from(key.public());
        let certificate = certify(agent, "a1", "alpha", mesh_of(&key.public()), &key).expect("a working test machine");
        let params = AgentParams::usual(agent, certificate, BootId(1), Incarnation(1));
        let outbox = Outbox::new(&params, opened.resume, [7; 32]);
        Self { outbox, store, metrics, out: Effects::new(), second: 0, pushed: 0, unpersisted_bytes_max: 0 }
    }

    fn now(&self) -> Now {
        let since = Span::seconds(self.second + 3_600);
        Now { mono: MonoTime(since.0), wall: UnixTime(1_767_225_600_000_000).plus(since) }
    }

    /// Sixty-four windows every ten seconds, ten times as many as usual so that ten minutes are a hundred; and flips.
    async fn live(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.second += 1;
            let now = self.now();
            for target in 0..64 {
                let window = Window::new(AgentId([target; 32]), ProbeKind::Icmp, now.wall);
                self.outbox.push(now, Record::Window(window), &mut self.out);
                self.pushed += 1;
            }
            if self.second.is_multiple_of(30) {
                let flip = CellFlip {
                    target: AgentId([2; 32]),
                    kind: ProbeKind::Icmp,
                    at: now.wall,
                    from: CellState::Ok,
                    to: CellState::Down,
                };
                self.outbox.push(now, Record::Flip(flip), &mut self.out);
                self.pushed += 1;
            }
            self.perform().await;
        }
    }

    /// Ten virtual minutes while the disk's thread tries several times.
    async fn live_and_try(&mut self) {
        let mut pause = tokio::time::interval(TRIES / 200);
        for _ in 0..200 {
            pause.tick().await;
            self.live(SECONDS / 200).await;
        }
    }

    /// The account says so while there is no room at all.
    async fn until_acknowledged(&self, epoch: Epoch, acked: Seq) {
        let mut pause = tokio::time::interval(Duration::from_millis(50));
        let asked = async {
            loop {
                pause.tick().await;
                let ledger = self.store.ledger().await.expect("open");
                if ledger.iter().any(|entry| entry.epoch == epoch && entry.acked == acked) {
                    return;
                }
            }
        };
        tokio::time::timeout(RECOVERY_MAX, asked).await.expect("the reserve is for this");
    }

    async fn perform(&mut self) {
        for effect in std::mem::take(&mut self.out) {
            let Effect::Persist(op) = effect else { panic!("an outbox only writes: {effect:?}") };
            let handed = tokio::time::timeout(HAND_OVER_MAX, self.store.persist(op)).await;
            handed.expect("the driver is never kept waiting");
        }
        self.unpersisted_bytes_max = self.unpersisted_bytes_max.max(self.outbox.unpersisted_bytes());
        let marks: Vec<(Epoch, Seq)> =
            self.store.news().persisted.borrow().iter().map(|(epoch, last)| (*epoch, *last)).collect();
        for (epoch, last) in marks {
            self.outbox.persisted(epoch, last);
        }
        let is_low = self.store.news().state.borrow().is_low;
        self.outbox.set_disk_room(is_low);
        let now = self.now();
        self.outbox.turn(now, &mut self.out);
        tokio::task::yield_now().await;
    }

    fn persisted(&self) -> Seq {
        self.outbox.streams().last().expect("the live one").view().persisted
    }

    /// Until nothing waits for the disk any more.
    async fn settle(&mut self) {
        let mut news = self.store.news();
        let now = self.now();
        self.outbox.flush(now, &mut self.out);
        loop {
            self.perform().await;
            if self.outbox.unpersisted() == 0 && self.out.is_empty() {
                return;
            }
            if self.out.is_empty() {
                let _ = tokio::time::timeout(RECOVERY_MAX, news.persisted.changed()).await;
            }
        }
    }

    /// Every number is a record, or was acknowledged, or is in a tombstone that the account knows.
    async fn check(&mut self) {
        let epoch = self.outbox.live();
        let last = self.persisted();
        assert_eq!(last, Seq(self.pushed), "every record has a number");
        let ledger = self.store.ledger().await.expect("open");
        let entry = ledger.iter().find(|entry| entry.epoch == epoch).expect("it was written");
        assert_eq!(entry.last, last);
        let acked = entry.acked;
        let bytes = self.store.read(epoch, acked.next(), last).await.expect("open");
        let mut dropped: BTreeMap<&str, u64> = BTreeMap::new();
        let mut next = acked.next();
        let mut numbers = 0;
        for block in Block::decode_all(&bytes).expect("whole") {
            assert_eq!(block.first, next, "a gap");
            next = block.last().next();
            match &block.content {
                Content::Records(records) => numbers += u64::try_from(records.len()).expect("few"),
                Content::Dropped { count, reason } => {
                    *dropped.entry(reason.name()).or_default() += u64::from(*count);
                    assert!(entry.dropped.iter().any(|(first, last)| *first <= block.first && block.last() <= *last));
                }
            }
        }
        assert_eq!(next, last.next());
        let in_ledger: u64 = entry.dropped.iter().map(|(first, last)| last.0 - first.0 + 1).sum();
        println!(
            "{last} numbers: {acked} acknowledged, {numbers} wait, dropped {dropped:?}, {in_ledger} in the account"
        );
        assert_eq!(dropped.values().sum::<u64>(), in_ledger, "the account is exact");
        assert_eq!(self.outbox.dropped(), in_ledger, "and so is the agent's own count");
        assert!(in_ledger > 0, "the disk was full for long enough to cost something");
        assert_eq!(self.metrics.store_resets.get(), 0, "a full disk is not damage");
    }
}

/// In CI nothing is skipped.
fn skip(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "the disk-full test cannot run: {why}");
    println!("SKIPPED: disk-full: {why}");
}
