//! A disk that refuses for a while: nothing that needs no writing waits, and nothing is taken for damage.

use super::sim::SimDisk;
use super::{append, block, entry, tombstone};
use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::store::disk::Space;
use crate::store::file::{OpenStoreError, Place};
use crate::store::worker::Worker;
use crate::store::{Order, Store};
use everypath_protocol::block::{Block, Content};
use everypath_protocol::id::{BootId, Epoch, Seq};
use everypath_protocol::record::DropReason;
use everypath_protocol::time::Span;
use mesh_agent_core::effect::PersistOp;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

const EPOCH: Epoch = Epoch(7);
/// Far longer than anything here takes, far shorter than a test may.
const PATIENCE: Duration = Duration::from_secs(20);

fn place(disk: &SimDisk) -> Place {
    Place { disk: Arc::new(disk.clone()), dir: PathBuf::from("/agent") }
}

async fn in_time<T>(what: &str, waited: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(PATIENCE, waited).await;
    done.unwrap_or_else(|_| panic!("{what} did not come"))
}

/// A store with the numbers 1 to 30 on a disk that refuses from then on, and number 31 waiting.
async fn refusing(kind: ErrorKind) -> (SimDisk, Store, Metrics) {
    let (disk, metrics) = (SimDisk::new(), Metrics::new());
    let (store, _) = Store::open_at(place(&disk), BootId(1), Clock::start(), &metrics).unwrap();
    for first in [1, 11, 21] {
        store.persist(append(EPOCH, first, 10)).await;
    }
    store.flush().await.unwrap();
    disk.refuse(Some(kind));
    store.persist(append(EPOCH, 31, 1)).await;
    (disk, store, metrics)
}

#[tokio::test]
async fn what_is_on_disk_can_be_read_while_nothing_can_be_written_and_what_waits_comes_later() {
    for kind in [ErrorKind::StorageFull, ErrorKind::Other, ErrorKind::ReadOnlyFilesystem] {
        let (disk, store, metrics) = refusing(kind).await;
        let bytes = in_time("a read", store.read(EPOCH, Seq(11), Seq(30))).await.unwrap();
        assert_eq!(bytes, [block(EPOCH, 11, 10).encode(), block(EPOCH, 21, 10).encode()].concat());
        assert_eq!(in_time("the account", store.ledger()).await.unwrap(), [entry(EPOCH, 30, 0)], "what is on disk");
        assert_eq!(in_time("a report", store.report()).await.unwrap().waiting_records, 30);
        assert!(store.news().state.borrow().failing.is_some());
        assert_eq!(store.persisted.borrow().get(&EPOCH), Some(&Seq(30)), "not called persisted before it is");
        assert!(metrics.store_retries.get() > 0);
        disk.refuse(None);
        in_time("the commit", store.flush()).await.unwrap();
        assert_eq!(store.ledger().await.unwrap(), [entry(EPOCH, 31, 0)]);
        in_time("the news", store.news().state.wait_for(|state| state.failing.is_none())).await.unwrap();
        assert_eq!(metrics.store_resets.get(), 0, "a disk that refuses is not damage");
    }
}

#[tokio::test]
async fn what_a_waiting_change_alters_is_read_only_after_it() {
    let (disk, store, _) = refusing(ErrorKind::StorageFull).await;
    let bytes = tombstone(EPOCH, 11, 10);
    store.persist(PersistOp::Replace { epoch: EPOCH, first: Seq(11), last: Seq(20), bytes: bytes.clone() }).await;
    let (reads, mut read) = tokio::sync::oneshot::channel();
    store.orders.send(Order::Read { epoch: EPOCH, first: Seq(11), last: Seq(20), reply: reads }).await.unwrap();
    in_time("another read", store.read(EPOCH, Seq(1), Seq(10))).await.unwrap();
    assert!(read.try_recv().is_err(), "the tombstone is not on disk yet");
    disk.refuse(None);
    assert_eq!(in_time("the read", read).await.unwrap(), bytes);
}

#[tokio::test]
async fn the_process_can_end_while_the_disk_refuses() {
    let (_, store, _) = refusing(ErrorKind::StorageFull).await;
    in_time("the end", store.close()).await;
    assert!(store.ledger().await.is_err());
}

#[tokio::test]
async fn the_driver_is_never_kept_waiting_however_long_it_lasts() {
    let (disk, store, _) = refusing(ErrorKind::Other).await;
    for number in 1..3_000 {
        let bytes = tombstone(EPOCH, 1, 20);
        in_time("room", store.persist(PersistOp::Replace { epoch: EPOCH, first: Seq(1), last: Seq(20), bytes })).await;
        in_time("room", store.persist(PersistOp::Discard { epoch: EPOCH, up_to: Seq(number % 30) })).await;
    }
    disk.refuse(None);
    in_time("the commit", store.flush()).await.unwrap();
}

#[test]
fn a_disk_that_refuses_at_the_start_is_not_damage() {
    for kind in [ErrorKind::StorageFull, ErrorKind::Other, ErrorKind::QuotaExceeded] {
        let disk = SimDisk::new();
        let open = || Store::open_at(place(&disk), BootId(1), Clock::start(), &Metrics::new());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (store, _) = open().unwrap();
            store.persist(append(EPOCH, 1, 10)).await;
            store.close().await;
        });
        disk.refuse(Some(kind));
        assert!(matches!(open(), Err(OpenStoreError::Disk { .. })), "{kind:?}");
        disk.refuse(None);
        let (_, opened) = open().unwrap();
        assert_eq!(opened.resume.epochs[0].last, Seq(10), "{kind:?}: it is all there");
    }
}

#[test]
fn little_room_depends_on_the_size_of_the_file_system_within_limits() {
    let mib = 1024 * 1024;
    let is_low = |free: u64, total: u64| Space { free: free * mib, total: total * mib }.is_low(false);
    assert!(is_low(15, 40) && !is_low(17, 40), "16 MiB at least");
    assert!(is_low(499, 10_000) && !is_low(501, 10_000), "a twentieth");
    assert!(!is_low(1_100, 4_000_000), "a gibibyte is always enough");
    assert!(Space { free: 18 * mib, total: 40 * mib }.is_low(true), "and some more to be taken back");
}

#[tokio::test]
async fn little_room_is_told() {
    let disk = SimDisk::new();
    disk.set_space(Space { free: 1 << 20, total: 1 << 30 });
    let (store, _) = Store::open_at(place(&disk), BootId(1), Clock::start(), &Metrics::new()).unwrap();
    assert!(store.news().state.borrow().is_low, "at the start");
}

#[tokio::test]
async fn a_refused_record_is_put_aside_and_the_oldest_ones_make_room() {
    let (disk, metrics) = (SimDisk::new(), Metrics::new());
    let (store, _) = Store::open_at(place(&disk), BootId(1), Clock::start(), &metrics).unwrap();
    store.persist(append(EPOCH, 1, 4)).await;
    store.persist(PersistOp::Split { epoch: EPOCH, first: Seq(1), last: Seq(4), at: Seq(3) }).await;
    store.persist(PersistOp::Split { epoch: EPOCH, first: Seq(1), last: Seq(2), at: Seq(2) }).await;
    let content = Content::Dropped { count: 1, reason: DropReason::Rejected };
    let bytes = Block { content, ..block(EPOCH, 2, 1) }.encode();
    store.persist(PersistOp::Quarantine { epoch: EPOCH, number: Seq(2), bytes: bytes.clone() }).await;
    let expected = [block(EPOCH, 1, 1).encode(), bytes, block(EPOCH, 3, 2).encode()].concat();
    assert_eq!(store.read(EPOCH, Seq(1), Seq(4)).await.unwrap(), expected);
    assert_eq!(store.ledger().await.unwrap()[0].dropped, [(Seq(2), Seq(2))]);
    let report = store.report().await.unwrap();
    assert_eq!((report.quarantined_records, report.waiting_records), (1, 3));
    let size = u64::try_from(block(EPOCH, 2, 1).encode().len()).unwrap();
    assert_eq!(report.quarantined_bytes, size);
    for first in (5..).step_by(1).take(crate::store::QUARANTINE_RECORDS_MAX + 10) {
        store.persist(append(EPOCH, first, 1)).await;
        let bytes = tombstone(EPOCH, first, 1);
        store.persist(PersistOp::Quarantine { epoch: EPOCH, number: Seq(first), bytes }).await;
    }
    let report = store.report().await.unwrap();
    assert_eq!(usize::try_from(report.quarantined_records).unwrap(), crate::store::QUARANTINE_RECORDS_MAX);
    assert_eq!(metrics.store_quarantined_records.get(), report.quarantined_records + 11);
}

/// A backlog of days is drained; the file gives the room back by itself.
#[tokio::test]
async fn a_drained_backlog_gives_its_room_back() {
    let dir = tempfile::tempdir().unwrap();
    let metrics = Metrics::new();
    let place = Place::real(dir.path());
    let (mut worker, _) = Worker::open(place.clone(), BootId(1), Clock::start(), metrics.clone()).unwrap();
    let size = || std::fs::metadata(place.buffer()).unwrap().len();
    let (block_bytes, mut first) = (block(EPOCH, 1, 256).encode().len(), 1);
    while first / 256 * block_bytes < 64 * 1024 * 1024 {
        for _ in 0..200 {
            worker.take(Order::Persist(append(EPOCH, u64::try_from(first).unwrap(), 256)));
            first += 256;
        }
        worker.round();
    }
    let full = size();
    assert!(full >= 64 * 1024 * 1024, "{full}");
    worker.take(Order::Persist(append(EPOCH, u64::try_from(first).unwrap(), 10)));
    worker.take(Order::Persist(PersistOp::Discard { epoch: EPOCH, up_to: Seq(u64::try_from(first).unwrap() - 1) }));
    worker.round();
    let clock = Clock::start();
    // It looks at the file once a minute.
    worker.care(clock.mono() + Span::seconds(120));
    println!("{full} bytes shrank to {} in {:?}", size(), clock.mono());
    assert!(size() < 1024 * 1024, "{}", size());
    assert_eq!(metrics.store_compactions.get(), 1);
    let (reply, mut answer) = tokio::sync::oneshot::channel();
    worker.take(Order::Ledger { reply });
    worker.round();
    assert_eq!(answer.try_recv().unwrap()[0].last, Seq(u64::try_from(first).unwrap() + 9), "and goes on");
}
