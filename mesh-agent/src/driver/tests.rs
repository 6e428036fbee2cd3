use super::*;
use crate::issuer::certify;
use everypath_protocol::id::{AgentId, BootId, Epoch, Incarnation, ProbeId, Seq};
use everypath_protocol::sign::Signer;
use everypath_protocol::trust::mesh_of;
use everypath_protocol::window::{NotMeasured, ProbeKind};
use mesh_agent_core::{AgentParams, Effect, Resume};
use tokio_util::sync::CancellationToken;

/// A driver whose every queue has room for one order and nobody at the other end.
struct Alone {
    driver: Driver,
    _dir: tempfile::TempDir,
    _ends: (mpsc::Receiver<Command>, mpsc::Receiver<ProbeRequest>, mpsc::Receiver<Job>, mpsc::Receiver<()>),
}

fn alone() -> Alone {
    let dir = tempfile::tempdir().unwrap();
    let (clock, metrics) = (Clock::start(), Metrics::new());
    let (store, _) = Store::open(dir.path(), BootId(1), clock, &metrics).unwrap();
    let key = Arc::new(SecretKey::from_seed(&[3; 32]));
    let mesh = mesh_of(&key.public());
    let agent = AgentId::from(key.public());
    let certificate = certify(agent, "a1", "alpha", mesh, &key).unwrap();
    let params = AgentParams::usual(agent, certificate, BootId(1), Incarnation(1));
    let agent = Agent::new(params, Resume::default(), [0; 32], clock.now());
    let inbox = Inbox::new(
        mpsc::channel(1).1,
        mpsc::channel(1).1,
        store.news(),
        mpsc::channel(1).1,
        mpsc::channel(1).1,
        mpsc::channel(1).1,
        CancellationToken::new(),
    );
    let (mesh_in, mesh_out) = mpsc::channel(1);
    let (probes, probes_out) = mpsc::channel(1);
    let (uploads, uploads_out) = mpsc::channel(1);
    let (check_ins, check_ins_out) = mpsc::channel(1);
    let settings = Settings { running: watch::channel(0).0, wishes: watch::channel(Vec::new()).0, check_ins };
    let outlets = Outlets { mesh: mesh_in, probes, store, uploads, own: watch::channel(None).0, settings };
    let driver = Driver::new(agent, clock, key, mesh, metrics, inbox, outlets);
    Alone { driver, _dir: dir, _ends: (mesh_out, probes_out, uploads_out, check_ins_out) }
}

fn probe(number: u64) -> Effect {
    Effect::StartProbe(ProbeRequest {
        probe: ProbeId(number),
        target: AgentId([1; 32]),
        address: [127, 0, 0, 1].into(),
        kind: ProbeKind::Icmp,
        timeout: Span::seconds(1),
    })
}

#[tokio::test]
async fn a_full_queue_has_its_rule_and_its_metric() {
    let mut alone = alone();
    let driver = &mut alone.driver;
    let peer = AgentId([1; 32]);
    let upload = Effect::Upload { epoch: Epoch(1), first: Seq(1), last: Seq(2), is_backlog: false };
    let give = Effect::Give { to: peer, documents: Vec::new() };
    let dial = Effect::Dial { agent: peer, addresses: Vec::new() };
    driver.effects = vec![probe(1), give.clone(), upload.clone()];
    driver.perform_all().await;
    assert!(driver.answered.is_empty(), "there was room for one of each");
    driver.effects = vec![probe(2), give, dial, Effect::Disconnect(peer), upload];
    driver.perform_all().await;
    let overload = ProbeOutcome::NotMeasured(NotMeasured::Overload);
    let expected = [
        Input::ProbeFinished { probe: ProbeId(2), outcome: overload },
        Input::ExchangeFailed(peer),
        Input::DialFailed(peer),
        Input::UploadFinished { epoch: Epoch(1), result: UploadResult::Unreachable },
    ];
    assert_eq!(driver.answered, expected);
    let full = |queue: &str| driver.metrics.queue_full.with_label_values(&[queue]).get();
    assert_eq!((full("probes"), full("mesh"), full("uploads")), (1, 3, 1));
}

#[tokio::test]
async fn what_the_agent_wants_signed_is_signed_within_the_turn_and_shown_to_others() {
    let mut alone = alone();
    let input = Input::AddressesChanged { mesh: vec!["/ip4/127.0.0.1/tcp/1".to_owned()], probe: Vec::new() };
    alone.driver.turn(Event::Mesh(Box::new(input))).await;
    let own = alone.driver.outlets.own.subscribe();
    assert!(own.borrow().is_some(), "the own record is there after one turn");
    assert!(alone.driver.answered.is_empty());
}

/// "something happened that should not" was the whole warning after an aggregator's database had been restored.
#[test]
fn a_warning_about_an_aggregator_that_knows_less_or_more_says_what_happened_and_what_comes_of_it() {
    use mesh_agent_core::Anomaly;
    let cases = [
        (Anomaly::AckBehind, ["restored from a backup, or replaced", "sent again under new numbers", "audit"]),
        (Anomaly::AckAhead, ["came back from a backup", "sent again under new numbers", "stored twice"]),
        (Anomaly::OwnRecordFromElsewhere, ["this agent's key", "copy", "join anew"]),
    ];
    for (anomaly, parts) in cases {
        let said = effects::story(anomaly);
        assert!(parts.iter().all(|part| said.contains(part)), "{said}");
    }
}

/// The log said "b53f0c1d…: ok, down", and which host that is was another question.
#[tokio::test]
async fn the_log_calls_a_target_by_its_name() {
    let Alone { driver, .. } = alone();
    let own = AgentId::from(driver.key.public());
    assert_eq!(driver.called(&own), "a1");
    assert_eq!(driver.called(&AgentId([7; 32])), AgentId([7; 32]).short(), "of one that nobody knows, its key");
}
