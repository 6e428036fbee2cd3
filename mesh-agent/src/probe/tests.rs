use super::*;
use everypath_protocol::id::AgentId;
use everypath_protocol::window::ProbeKind;
use std::net::IpAddr;

fn request(probe: u64, address: &str) -> ProbeRequest {
    ProbeRequest {
        probe: ProbeId(probe),
        target: AgentId([1; 32]),
        address: address.parse::<IpAddr>().unwrap(),
        kind: ProbeKind::Icmp,
        timeout: Span::seconds(1),
    }
}

#[tokio::test]
async fn every_request_ends_once_and_loopback_replies_where_icmp_is_allowed() {
    let mut handle = start(Clock::start(), &Metrics::new()).unwrap();
    for probe in 1..=20 {
        handle.requests.send(request(probe, "127.0.0.1")).await.unwrap();
    }
    let mut seen = Vec::new();
    for _ in 1..=20 {
        let (probe, outcome) = handle.outcomes.recv().await.unwrap();
        seen.push(probe.0);
        if handle.privileges.borrow().icmp_v4 == privilege::Mode::NotPermitted {
            assert_eq!(outcome, ProbeOutcome::NotMeasured(NotMeasured::NotPermitted));
        } else {
            assert!(matches!(outcome, ProbeOutcome::Replied { rtt_us: 1.. }), "{outcome:?}");
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, (1..=20).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_cannot_be_sent_is_not_measured_and_not_lost() {
    let mut handle = start(Clock::start(), &Metrics::new()).unwrap();
    // The kernel refuses to send to a broadcast address without being asked to.
    handle.requests.send(request(1, "255.255.255.255")).await.unwrap();
    let (_, outcome) = handle.outcomes.recv().await.unwrap();
    assert!(matches!(outcome, ProbeOutcome::NotMeasured(_)), "{outcome:?}");
}

struct Stuck;

impl Prober for Stuck {
    async fn probe(&self, _: ProbeRequest) -> ProbeOutcome {
        std::future::pending().await
    }
}

struct Panicking;

impl Prober for Panicking {
    async fn probe(&self, _: ProbeRequest) -> ProbeOutcome {
        panic!("as asked by a test")
    }
}

#[tokio::test]
async fn a_prober_that_hangs_or_panics_still_gives_an_outcome() {
    let stalled = ProbeOutcome::NotMeasured(NotMeasured::Stalled);
    let metrics = Metrics::new();
    let brief = ProbeRequest { timeout: Span::millis(1), ..request(1, "127.0.0.1") };
    assert_eq!(measure(&Stuck, brief, &metrics).await, stalled);
    assert_eq!(measure(&Panicking, request(2, "127.0.0.1"), &metrics).await, stalled);
    assert_eq!(metrics.task_panics.with_label_values(&["probe"]).get(), 1);
}

#[tokio::test]
async fn more_than_fits_is_overload_at_once() {
    let local = tokio::task::LocalSet::new();
    let (requests, waiting) = mpsc::channel(UNDER_WAY_MAX + 1);
    let (finished, mut outcomes) = mpsc::channel(UNDER_WAY_MAX + 1);
    for probe in 0..=u64::try_from(UNDER_WAY_MAX).unwrap() {
        requests.send(request(probe, "127.0.0.1")).await.unwrap();
    }
    local.spawn_local(serve(Rc::new(Stuck), waiting, finished, Metrics::new()));
    let first = local.run_until(outcomes.recv()).await.unwrap();
    let last = ProbeId(u64::try_from(UNDER_WAY_MAX).unwrap());
    assert_eq!(first, (last, ProbeOutcome::NotMeasured(NotMeasured::Overload)));
}
