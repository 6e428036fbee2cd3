//! Saying hello to an aggregator: "this is where I am", answered with where others are. One of several ways to find
//! members; the mesh does without it once they have found each other.

use crate::aggregators::{Aggregators, Urgency};
use crate::metrics::Metrics;
use crate::net::check::Checker;
use everypath_protocol::codec;
use everypath_protocol::join::{Hello, HelloAnswer};
use everypath_protocol::sign::Signed;
use mesh_agent_core::effect::Statement;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// While no member is connected.
const LONELY_EVERY: Duration = Duration::from_secs(10);
/// Otherwise.
const USUAL_EVERY: Duration = Duration::from_secs(300);
/// Most bytes of an answer.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Says hello again and again.
#[derive(Debug)]
pub struct Greeter {
    /// Whom.
    pub aggregators: Aggregators,
    /// The own record, newest.
    pub own: watch::Receiver<Option<Signed>>,
    /// Checks what is answered.
    pub checker: Checker,
    /// Knows how many peers there are.
    pub metrics: Metrics,
    /// To the driver.
    pub statements: mpsc::Sender<Vec<Statement>>,
}

impl Greeter {
    /// Serves until the driver is gone.
    pub async fn serve(&mut self) {
        loop {
            // Nothing to say before the agent has signed where it is.
            if self.own.wait_for(Option::is_some).await.is_err() {
                return;
            }
            let own = self.own.borrow_and_update().clone();
            let is_known = match own {
                Some(own) => self.greet(own).await,
                None => false,
            };
            let is_lonely = self.metrics.peers.get() == 0 || !is_known;
            let pause = if is_lonely { LONELY_EVERY } else { USUAL_EVERY };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                // An address that changed is told at once, but not more often than this.
                changed = self.own.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                () = self.statements.closed() => return,
            }
        }
    }

    async fn greet(&self, member: Signed) -> bool {
        let body = codec::encode(&Hello { member });
        let result = match self
            .aggregators
            .post("/api/v1/hello", "application/octet-stream", Urgency::Usual, body)
            .await
        {
            Ok(answer) if answer.status.is_success() => {
                match codec::decode::<HelloAnswer>(&answer.body, ANSWER_BYTES_MAX) {
                    Ok(read) => {
                        let known = self.checker.statements(read.members);
                        if !known.is_empty() {
                            let _ = self.statements.send(known).await;
                        }
                        "answered"
                    }
                    Err(why) => {
                        tracing::warn!(url = answer.url, %why, "an aggregator answered a hello in a form that is not known");
                        "malformed"
                    }
                }
            }
            Ok(answer) => {
                tracing::debug!(url = answer.url, status = %answer.status, "an aggregator refused a hello");
                "refused"
            }
            Err(why) => {
                tracing::debug!(%why, "no aggregator could be reached to say hello");
                "unreachable"
            }
        };
        self.metrics.hellos.with_label_values(&[result]).inc();
        result == "answered"
    }
}
