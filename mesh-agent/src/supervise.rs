//! A panic in a task must not end the agent: what panicked is dropped, counted, and begun again.

use crate::metrics::Metrics;
use futures::FutureExt;
use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

/// Pause before something that panicked is begun again, so that a panic at every start does not burn a core.
pub const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// Runs `body`; `None` if it panicked. What the body borrowed is the caller's to bring back into order.
pub async fn guarded<F: Future>(task: &'static str, metrics: &Metrics, body: F) -> Option<F::Output> {
    match AssertUnwindSafe(body).catch_unwind().await {
        Ok(output) => Some(output),
        Err(panic) => {
            metrics.task_panics.with_label_values(&[task]).inc();
            tracing::error!(task, panic = reason(panic.as_ref()), "a task panicked and is begun again");
            None
        }
    }
}

/// The words of a panic.
pub fn reason(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
