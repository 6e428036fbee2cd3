//! What goes wrong without any error: sums that stand still, and jobs that nobody does.

use crate::app::App;
use crate::store::StoreError;
use everypath_protocol::time::{MonoTime, Span};

/// Sums lag by half a minute. From this on something holds them up.
const UNSUMMED_MAX: Span = Span::seconds(300);
/// Another replica follows within 16 seconds. From this on none does.
const UNLED_MAX: Span = Span::seconds(60);

/// Everything that is not as it should be, each as a sentence. Sets the gauges.
///
/// # Errors
/// [`StoreError`] when the database cannot be asked; what can be told without it was told then.
pub async fn look(app: &App, warn: impl Fn(&str)) -> Result<(), StoreError> {
    let unled = app.replica.unled(app.clock.mono());
    app.metrics.unled_seconds.set(seconds(unled));
    if unled >= UNLED_MAX {
        warn(&format!(
            "for {} s this replica has not seen anybody do the jobs: nothing is summed or deleted; see `aggregator status` and the \
             errors of the job `lead`",
            unled.as_seconds()
        ));
    }
    let unsummed = app.store.unsummed().await?;
    let age = unsummed.as_ref().map_or(Span::ZERO, |unsummed| app.now().since(unsummed.since));
    app.metrics.unsummed_seconds.set(seconds(age));
    // After a long pause old samples are there at once; they are summed within the first minute.
    if age.min(app.clock.mono().since(MonoTime(0))) >= UNSUMMED_MAX {
        let behind = unsummed.and_then(|unsummed| unsummed.behind);
        let behind = behind.unwrap_or_else(|| "see the errors of the job `roll_up`".to_owned());
        warn(&format!("what came {} s ago is not in the sums yet: {behind}", age.as_seconds()));
    }
    Ok(())
}

fn seconds(span: Span) -> i64 {
    i64::try_from(span.as_seconds()).unwrap_or(i64::MAX)
}
