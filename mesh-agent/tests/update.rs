//! The real program replaces itself, from a server on loopback that signs with a key of its own.

use everypath_protocol::block::{Block, Content};
use everypath_protocol::cell::CellState;
use everypath_protocol::id::{AgentId, BootId, Epoch, Seq};
use everypath_protocol::record::{CellFlip, Record};
use everypath_protocol::time::{Now, UnixTime};
use everypath_protocol::window::ProbeKind;
use everypath_update::testing::Trial;
use mesh_agent::clock::Clock;
use mesh_agent::metrics::Metrics;
use mesh_agent::store::Store;
use mesh_agent_core::effect::PersistOp;
use std::path::Path;

fn trial(data_dir: &Path) -> Trial<'static> {
    Trial {
        program: "mesh-agent",
        built: Path::new(env!("CARGO_BIN_EXE_mesh-agent")),
        prefix: "EVERYPATH_AGENT_",
        arguments: vec!["--data-dir".to_owned(), data_dir.display().to_string()],
    }
}

/// One record in the buffer of a stopped agent; with `acked` an aggregator has it.
async fn buffer_with_a_record(data_dir: &Path, acked: bool) {
    let (store, _) = Store::open(data_dir, BootId(1), Clock::start(), &Metrics::new()).expect("a buffer");
    let (epoch, first) = (Epoch(7), Seq(1));
    let (from, to) = (CellState::Ok, CellState::Down);
    let flip = CellFlip { target: AgentId([3; 32]), kind: ProbeKind::Icmp, at: UnixTime(5), from, to };
    let content = Content::Records(vec![Record::Flip(flip)]);
    let block = Block { epoch, first, boot: BootId(1), written: Now::default(), renumbered: false, content };
    let (last, bytes) = (block.last(), block.encode());
    store.persist(PersistOp::Append { epoch, first, last, bytes, is_tombstone: false }).await;
    if acked {
        store.persist(PersistOp::Discard { epoch, up_to: last }).await;
    }
    store.flush().await.expect("on disk");
    store.close().await;
}

#[tokio::test]
async fn it_takes_a_good_release_and_nothing_else() {
    let data_dir = tempfile::tempdir().expect("a folder");
    trial(data_dir.path()).run_all().await;
}

#[tokio::test]
async fn updates_that_meet_do_not_undo_each_other() {
    let data_dir = tempfile::tempdir().expect("a folder");
    trial(data_dir.path()).run_together().await;
}

#[tokio::test]
async fn it_is_not_replaced_while_results_wait() {
    let data_dir = tempfile::tempdir().expect("a folder");
    buffer_with_a_record(data_dir.path(), false).await;
    let (code, _, err) = trial(data_dir.path()).with_good_release().await;
    assert!(code == 2 && err.contains("results wait that no aggregator has acknowledged (1 records"), "{code} {err}");
    let sent = tempfile::tempdir().expect("a folder");
    buffer_with_a_record(sent.path(), true).await;
    let (code, out, err) = trial(sent.path()).with_good_release().await;
    assert!(code == 0 && out.contains("is in place"), "{code} {out} {err}");
}

#[test]
fn it_is_off_until_the_operator_turns_it_on() {
    let program = env!("CARGO_BIN_EXE_mesh-agent");
    let output = std::process::Command::new(program).args(["update", "--check"]).output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("updating is off") && said.contains("EVERYPATH_AGENT_UPDATE__ENABLED=true"), "{said}");
}
