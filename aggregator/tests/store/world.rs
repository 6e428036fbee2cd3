//! A mesh whose members the tests make up, and what they measure.

use crate::common::{T0, TestAgent};
use aggregator::audit_log::Event;
use aggregator::mesh::Mesh;
use aggregator::store::{Batch, Lease, ReplicaId, RolledUp, Store};
use everypath_protocol::block::Block;
use everypath_protocol::cell::CellState;
use everypath_protocol::id::{AgentId, Seq, mix64};
use everypath_protocol::record::Record;
use everypath_protocol::sign::{Ed25519, Signer as _};
use everypath_protocol::time::{Span, UnixTime};
use everypath_protocol::window::{NotMeasured, ProbeKind, ProbeOutcome, Window};
use std::time::Duration;

pub(crate) const TARGET: AgentId = AgentId([99; 32]);
/// Longer than any test.
pub(crate) const LONG: Span = Span::seconds(3_600);

pub(crate) struct World {
    pub(crate) mesh: Mesh,
    _folder: tempfile::TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self { mesh: Mesh::open_or_found(folder.path()).expect("founded"), _folder: folder }
    }

    pub(crate) fn agent(&self, number: u8) -> TestAgent {
        let key = TestAgent::key(number);
        let certificate = self.mesh.certify(key.public().into(), format!("a{number}"), "alpha".into(), T0);
        TestAgent { key, certificate }
    }

    pub(crate) fn batch(&self, agent: &TestAgent, blocks: Vec<Block>) -> Batch {
        let certificate = self.mesh.trust().open_certificate(agent.certificate.clone(), &Ed25519).expect("our own");
        Batch {
            is_backlog: false,
            header: agent.header(&blocks, &[], T0),
            certificate: certificate.document().clone(),
            certificate_signed: agent.certificate.clone(),
            blocks,
            received_at: T0,
        }
    }
}

pub(crate) fn numbers(range: std::ops::RangeInclusive<u64>) -> Vec<Seq> {
    range.map(Seq).collect()
}

/// A window with anything in it that began up to `spread` before [`T0`]. Whole milliseconds, as agents close them.
pub(crate) fn any_window(seed: u64, target: AgentId, spread: Span) -> Window {
    let draw = |salt: u64| mix64(seed.wrapping_mul(31) ^ salt << 40);
    let ago = Span::seconds(20 + draw(1) % spread.as_seconds());
    let mut window = Window::new(target, ProbeKind::Icmp, T0.minus(ago));
    window.span = Span::millis(9_000 + draw(2) % 2_000);
    window.state = CellState::ALL[usize::try_from(draw(3) % 5).expect("small")];
    for probe in 0..draw(4) % 9 {
        window.add(match draw(100 + probe) % 6 {
            0 => ProbeOutcome::Lost,
            1 => ProbeOutcome::NotMeasured(NotMeasured::ALL[usize::try_from(draw(200 + probe) % 4).expect("small")]),
            _ => ProbeOutcome::Replied { rtt_us: u32::try_from(draw(300 + probe) % 900_000).expect("small") },
        });
    }
    window.late = u32::from(draw(5) % 7 == 0);
    window.duplicated = u32::from(draw(6) % 11 == 0);
    window.slimmed()
}

pub(crate) fn any_windows(seed: u64, count: u64, target: AgentId, spread: Span) -> Vec<Window> {
    (0..count).map(|number| any_window(seed << 20 | number, target, spread)).collect()
}

pub(crate) fn records(windows: &[Window]) -> Vec<Record> {
    windows.iter().cloned().map(Record::Window).collect()
}

pub(crate) async fn take_lease(store: &Store, holder: i64) -> Lease {
    store.lease("jobs", ReplicaId(holder), LONG).await.expect("answered").expect("nobody else has it")
}

/// Rolls up until nothing is left. Other tests on the same server may hold back what can be read, so it asks again.
pub(crate) async fn roll_up_all(store: &Store, lease: Lease) -> RolledUp {
    let mut all = RolledUp::default();
    for _ in 0..2_000 {
        let step = store.roll_up(lease).await.expect("rolled up");
        all.samples += step.samples;
        all.buckets += step.buckets;
        all.damaged += step.damaged;
        if step.has_more {
            continue;
        }
        if store.describe().await.expect("described").behind == Some(0) {
            return all;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the sums do not catch up");
}

/// Far enough around everything that a test stores.
pub(crate) fn always() -> (UnixTime, UnixTime) {
    (T0.minus(Span::seconds(500 * 86_400)), T0.plus(Span::seconds(86_400)))
}

/// What is logged of something that a test does.
pub(crate) fn event(action: &'static str) -> Event {
    Event::by_host(action, "", T0)
}
