//! What is logged of those who were turned away.

use super::client::Client;
use super::flood::Flood;
use crate::app::App;
use crate::audit_log::{Event, Outcome};
use crate::guard::Actor;
use crate::store::StoreError;
use serde_json::json;

/// Logs the refusal of somebody who is not known, if its source did not fill the log already.
///
/// # Errors
/// [`StoreError`].
pub async fn log_refusal(app: &App, source: &str, event: Event) -> Result<(), StoreError> {
    log(app, &app.strangers, source, event).await
}

async fn log(app: &App, flood: &Flood, source: &str, event: Event) -> Result<(), StoreError> {
    match flood.admit(source, app.clock.mono()) {
        Some(0) => app.store.log(event).await,
        Some(left_out) => app.store.log(event.detail(&json!({"left_out_before": left_out}))).await,
        None => {
            app.metrics.audit_left_out.inc();
            Ok(())
        }
    }
}

/// Logs that somebody who is known asked for what it may not.
pub(super) async fn log_denied(app: &App, actor: &Actor, client: &Client, asked: &str) {
    let Some((name, _)) = actor.known() else { return };
    let event = Event::new(actor, &client.address(), "access.deny", asked, app.now()).outcome(Outcome::Denied);
    // It was refused, logged or not.
    if let Err(error) = log(app, &app.known, name, event).await {
        tracing::warn!(%error, "a refusal was not logged");
    }
}
