//! Sending probes. A prober measures one request and keeps nothing; when, whom and how often is the agent's decision.
//!
//! Probes run on a thread of their own: on a runtime shared with other work a reply waits its turn, and the wait would be
//! measured as network.

pub mod icmp;
pub mod privilege;

use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::supervise;
use everypath_protocol::id::ProbeId;
use everypath_protocol::time::Span;
use everypath_protocol::window::{NotMeasured, ProbeOutcome};
use futures::FutureExt;
use mesh_agent_core::effect::ProbeRequest;
use privilege::Privileges;
use std::io;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, watch};

/// Probes that may wait for the thread; more are not measured for overload, at once.
pub const REQUESTS_MAX: usize = 256;
/// Probes under way. 64 targets every second with a timeout of 1 s are 64, so this is four times the worst case.
pub const UNDER_WAY_MAX: usize = 256;
/// Outcomes that may wait for the driver; when it is full the thread waits.
pub const OUTCOMES_MAX: usize = 512;
/// A prober that has not answered this long after the probe's own timeout is taken for stuck.
const STALLED_AFTER: Duration = Duration::from_secs(2);

/// What became of which probe.
pub type Finished = (ProbeId, ProbeOutcome);

/// Measures one request. Failing to reach the target is a result; failing to probe is [`ProbeOutcome::NotMeasured`].
pub trait Prober {
    /// Sends one probe and waits for its end, at most `request.timeout`.
    fn probe(&self, request: ProbeRequest) -> impl Future<Output = ProbeOutcome>;
}

/// The driver's end of the thread.
#[derive(Debug)]
pub struct ProbeHandle {
    /// Requests.
    pub requests: mpsc::Sender<ProbeRequest>,
    /// Outcomes, one for each request.
    pub outcomes: mpsc::Receiver<Finished>,
    /// What this host allows.
    pub privileges: watch::Receiver<Privileges>,
}

/// Starts the thread with the ICMP prober.
///
/// # Errors
/// If the operating system gives no thread.
pub fn start(clock: Clock, metrics: &Metrics) -> io::Result<ProbeHandle> {
    let (requests, waiting) = mpsc::channel(REQUESTS_MAX);
    let (finished, outcomes) = mpsc::channel(OUTCOMES_MAX);
    let (tell, privileges) = watch::channel(Privileges::default());
    let metrics = metrics.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("probe".to_owned()).spawn(move || {
        let local = tokio::task::LocalSet::new();
        local.block_on(&runtime, async {
            let prober = Rc::new(icmp::IcmpProber::new(clock, tell));
            serve(prober, waiting, finished, metrics).await;
        });
    })?;
    Ok(ProbeHandle { requests, outcomes, privileges })
}

async fn serve<P: Prober + 'static>(
    prober: Rc<P>,
    mut requests: mpsc::Receiver<ProbeRequest>,
    finished: mpsc::Sender<Finished>,
    metrics: Metrics,
) {
    let slots = Arc::new(Semaphore::new(UNDER_WAY_MAX));
    while let Some(request) = requests.recv().await {
        let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
            metrics.queue_full.with_label_values(&["probes_under_way"]).inc();
            let _ = finished.send((request.probe, ProbeOutcome::NotMeasured(NotMeasured::Overload))).await;
            continue;
        };
        let prober = Rc::clone(&prober);
        let finished = finished.clone();
        let metrics = metrics.clone();
        tokio::task::spawn_local(async move {
            let outcome = measure(prober.as_ref(), request, &metrics).await;
            let _ = finished.send((request.probe, outcome)).await;
            drop(slot);
        });
    }
}

/// Exactly one outcome, whatever the prober does.
async fn measure(prober: &impl Prober, request: ProbeRequest, metrics: &Metrics) -> ProbeOutcome {
    let limit = duration(request.timeout) + STALLED_AFTER;
    let guarded = AssertUnwindSafe(prober.probe(request)).catch_unwind();
    match tokio::time::timeout(limit, guarded).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(panic)) => {
            metrics.task_panics.with_label_values(&["probe"]).inc();
            tracing::error!(
                panic = supervise::reason(panic.as_ref()),
                "the prober panicked; the probe is not measured"
            );
            ProbeOutcome::NotMeasured(NotMeasured::Stalled)
        }
        Err(_) => ProbeOutcome::NotMeasured(NotMeasured::Stalled),
    }
}

fn duration(span: Span) -> Duration {
    Duration::from_nanos(span.0)
}

#[cfg(test)]
mod tests;
