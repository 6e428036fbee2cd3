mod damage;
mod power;
mod refusal;
mod shadow;
mod sim;

use super::*;
use everypath_protocol::block::{Block, Content};
use everypath_protocol::cell::CellState;
use everypath_protocol::ledger::BUFFER_FILE;
use everypath_protocol::record::{CellFlip, DropReason, Record};
use everypath_protocol::time::Now;
use everypath_protocol::window::ProbeKind;
use std::fs;
use tempfile::TempDir;

const EPOCH: Epoch = Epoch(7);
const OTHER: Epoch = Epoch(9);

fn open(dir: &Path) -> (Store, Opened) {
    Store::open(dir, BootId(1), Clock::start(), &Metrics::new()).unwrap()
}

/// The disk as a power cut leaves it: a copy of the file while the agent has it open.
fn after_power_cut(dir: &TempDir) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    fs::copy(dir.path().join(BUFFER_FILE), copy.path().join(BUFFER_FILE)).unwrap();
    copy
}

fn block(epoch: Epoch, first: u64, count: usize) -> Block {
    let flip = CellFlip {
        target: AgentId([3; 32]),
        kind: ProbeKind::Icmp,
        at: UnixTime(5),
        from: CellState::Ok,
        to: CellState::Down,
    };
    let content = Content::Records(vec![Record::Flip(flip); count]);
    Block { epoch, first: Seq(first), boot: BootId(1), written: Now::default(), renumbered: false, content }
}

fn append(epoch: Epoch, first: u64, count: usize) -> PersistOp {
    let block = block(epoch, first, count);
    PersistOp::Append { epoch, first: block.first, last: block.last(), bytes: block.encode(), is_tombstone: false }
}

fn tombstone(epoch: Epoch, first: u64, count: u32) -> Vec<u8> {
    let content = Content::Dropped { count, reason: DropReason::BufferFull };
    Block { content, ..block(epoch, first, 1) }.encode()
}

fn entry(epoch: Epoch, last: u64, acked: u64) -> LedgerEntry {
    LedgerEntry { epoch, last: Seq(last), acked: Seq(acked), ..LedgerEntry::default() }
}

async fn ranges(store: &Store, epoch: Epoch, first: u64, last: u64) -> Vec<(u64, u64, bool)> {
    let bytes = store.read(epoch, Seq(first), Seq(last)).await.unwrap();
    let blocks = Block::decode_all(&bytes).unwrap();
    let range = |block: &Block| (block.first.0, block.last().0, matches!(block.content, Content::Dropped { .. }));
    blocks.iter().map(range).collect()
}

#[tokio::test]
async fn what_was_called_persisted_survives_a_power_cut_with_its_account() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let mut persisted = store.persisted();
    store.persist(append(EPOCH, 1, 3)).await;
    store.persist(append(EPOCH, 4, 2)).await;
    persisted.wait_for(|marks| marks.get(&EPOCH) == Some(&Seq(5))).await.unwrap();

    let copy = after_power_cut(&dir);
    let (store, opened) = open(copy.path());
    let [epoch] = &opened.resume.epochs[..] else { panic!("{opened:?}") };
    assert_eq!((epoch.epoch, epoch.acked, epoch.last), (EPOCH, Seq(0), Seq(5)));
    let found: Vec<_> = epoch.blocks.iter().map(|block| (block.first.0, block.last.0, block.holds_flips)).collect();
    assert_eq!(found, [(1, 3, true), (4, 5, true)]);
    assert_eq!(store.ledger().await.unwrap(), [entry(EPOCH, 5, 0)]);
}

#[tokio::test]
async fn every_start_has_a_higher_incarnation_and_a_new_file_begins_at_the_clock() {
    let dir = tempfile::tempdir().unwrap();
    let (store, first) = open(dir.path());
    store.flush().await.unwrap();
    let (_, second) = open(after_power_cut(&dir).path());
    assert_eq!(second.incarnation.0, first.incarnation.0 + 1);
    // 2026: a lost file must not make the mesh believe that its older memory of this agent is newer.
    assert!(first.incarnation.0 > 1_767_225_600);
}

#[tokio::test]
async fn discarding_replacing_and_renumbering_keep_the_account_right() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    for (first, count) in [(1, 2), (3, 2), (5, 2), (7, 2)] {
        store.persist(append(EPOCH, first, count)).await;
    }
    store.persist(PersistOp::Discard { epoch: EPOCH, up_to: Seq(2) }).await;
    let bytes = tombstone(EPOCH, 3, 4);
    store.persist(PersistOp::Replace { epoch: EPOCH, first: Seq(3), last: Seq(6), bytes }).await;
    assert_eq!(ranges(&store, EPOCH, 3, 8).await, [(3, 6, true), (7, 8, false)]);
    let mut expected = entry(EPOCH, 8, 2);
    expected.dropped = vec![(Seq(3), Seq(6))];
    assert_eq!(store.ledger().await.unwrap(), [expected.clone()]);

    store.persist(PersistOp::Renumber { epoch: EPOCH, from: Seq(3), into: OTHER }).await;
    assert_eq!(ranges(&store, OTHER, 1, 6).await, [(1, 4, true), (5, 6, false)]);
    let moved = Block::decode_all(&store.read(OTHER, Seq(5), Seq(6)).await.unwrap()).unwrap();
    assert!(moved[0].renumbered && moved[0].epoch == OTHER);
    expected.moved_from = Some(Seq(3));
    let mut new = entry(OTHER, 6, 0);
    new.dropped = vec![(Seq(1), Seq(4))];
    assert_eq!(store.ledger().await.unwrap(), [expected, new]);

    let (_, opened) = open(after_power_cut(&dir).path());
    let waiting: Vec<_> = opened.resume.epochs.iter().map(|epoch| (epoch.epoch, epoch.last)).collect();
    assert_eq!(waiting, [(OTHER, Seq(6))]);
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_set_aside_and_the_agent_starts() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(BUFFER_FILE);
    for damage in [b"this was never a database".to_vec(), Vec::new(), vec![0; 100_000]] {
        fs::write(&path, damage).unwrap();
        let metrics = Metrics::new();
        let (store, opened) = Store::open(dir.path(), BootId(1), Clock::start(), &metrics).unwrap();
        assert!(opened.resume.epochs.is_empty());
        store.persist(append(EPOCH, 1, 1)).await;
        store.flush().await.unwrap();
        assert_eq!(store.ledger().await.unwrap(), [entry(EPOCH, 1, 0)]);
        fs::remove_file(&path).unwrap();
        fs::remove_file(dir.path().join(marks::MARKS_FILE)).unwrap();
    }
    let aside = fs::read_dir(dir.path()).unwrap().flatten();
    let aside = aside.filter(|file| file.file_name().to_string_lossy().starts_with(file::DAMAGED_PREFIX));
    assert_eq!(aside.count(), 1, "one is kept, not all");
    // Whoever looks is told where it lies and how large it is. The buffer itself was removed above.
    let (store, _) = open(dir.path());
    store.close().await;
    let (_, file) = Store::report_of(dir.path()).unwrap();
    let paths: Vec<_> = file.set_aside.iter().map(|aside| (Path::new(&aside.path).parent(), aside.bytes)).collect();
    assert_eq!(paths, [(Some(dir.path()), 100_000)]);
}

#[tokio::test]
async fn flipped_bits_anywhere_never_keep_the_agent_from_starting() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    for first in 0..20 {
        store.persist(append(EPOCH, first * 10 + 1, 10)).await;
    }
    store.flush().await.unwrap();
    let whole = fs::read(dir.path().join(BUFFER_FILE)).unwrap();
    // 4 KiB pages: one flip in the middle of each of the first pages, where the structure is.
    for page in 0..40 {
        let copy = tempfile::tempdir().unwrap();
        let mut damaged = whole.clone();
        let Some(byte) = damaged.get_mut(page * 4096 + 40) else { break };
        *byte ^= 0x10;
        fs::write(copy.path().join(BUFFER_FILE), damaged).unwrap();
        let (store, opened) = open(copy.path());
        // Whatever is left has no hole, and the account says the same.
        for epoch in &opened.resume.epochs {
            let mut next = epoch.acked.next();
            for block in &epoch.blocks {
                assert_eq!(block.first, next);
                next = block.last.next();
            }
            assert_eq!(next, epoch.last.next());
        }
        store.flush().await.unwrap();
    }
}

#[tokio::test]
async fn a_hole_is_read_as_a_drop_that_the_account_knows() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    store.persist(append(EPOCH, 1, 2)).await;
    // The agent believes that 3 to 6 are there; the disk lost them.
    store.persist(append(EPOCH, 7, 2)).await;
    assert_eq!(ranges(&store, EPOCH, 1, 8).await, [(1, 2, false), (3, 6, true), (7, 8, false)]);
    assert_eq!(store.ledger().await.unwrap()[0].dropped, [(Seq(3), Seq(6))]);
    // The block itself says why.
    let mended = Block::decode_all(&store.read(EPOCH, Seq(3), Seq(6)).await.unwrap()).unwrap();
    assert_eq!(mended[0].content, Content::Dropped { count: 4, reason: DropReason::Damaged });
}

#[tokio::test]
async fn a_second_agent_with_the_same_directory_is_told_so() {
    let dir = tempfile::tempdir().unwrap();
    let (_store, _) = open(dir.path());
    let refused = Store::open(dir.path(), BootId(2), Clock::start(), &Metrics::new()).unwrap_err();
    assert!(refused.to_string().contains("another mesh-agent runs"), "{refused}");
    // Whoever only wants to look was told to stop that agent "or give this one a --data-dir of its own".
    for refused in [Store::verify(dir.path()).unwrap_err(), Store::report_of(dir.path()).unwrap_err()] {
        let said = refused.to_string();
        assert!(said.contains("held by the mesh-agent that runs") && said.contains("stop the agent first"), "{said}");
    }
}

#[tokio::test]
async fn tokens_and_names_are_kept_together() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let id = TokenId([1; 8]);
    assert_eq!(store.token(id).await.unwrap(), None);
    let row = TokenRow::new(&TokenKey([2; 32]), UnixTime(5), 3);
    let owner = AgentId([4; 32]);
    store.save_token(id, row.clone(), Some(("a1".to_owned(), owner))).await.unwrap();
    assert_eq!(store.token(id).await.unwrap(), Some(row));
    assert_eq!(store.name_owner("a1".to_owned()).await.unwrap(), Some(owner));
    assert_eq!(store.name_owner("a2".to_owned()).await.unwrap(), None);
}
