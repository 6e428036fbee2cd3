//! Deleting what is old, in steps that no other write has to wait for long.

use super::codes::unsigned;
use super::{SqliteStore, While};
use crate::store::types::{StoreError, Swept};
use everypath_protocol::time::UnixTime;
use sqlx::Row as _;

impl SqliteStore {
    /// Rows are looked at in the order of their receipt, because an index by time would cost every insert. A backlog that was
    /// old when it came is therefore deleted a little later than its age asks for.
    pub(in crate::store) async fn delete_samples(
        &self,
        before: UnixTime,
        now: UnixTime,
        after: i64,
        rows_max: u32,
    ) -> Result<Swept, StoreError> {
        self.write("deleting old samples", move |connection| {
            Box::pin(async move {
                let look = "select max(id) as last, count(*) as rows, coalesce(sum(time < ?), 0) as old, \
                            coalesce(sum(time > ?), 0) as ahead \
                            from (select id, time from sample where id > ? order by id limit ?)";
                let seen = sqlx::query(look).bind(before.0).bind(now.0).bind(after).bind(rows_max);
                let seen = seen.fetch_one(&mut *connection).await?;
                let (rows, old, ahead): (i64, i64, i64) =
                    (seen.try_get("rows")?, seen.try_get("old")?, seen.try_get("ahead")?);
                let Some(last) = seen.try_get::<Option<i64>, _>("last")? else {
                    return Ok(Swept { deleted: 0, next: None });
                };
                if old > 0 {
                    // The audit must not take for missing what was deleted on purpose.
                    let mark = "with newest as (select stream, max(seq) as seq from sample \
                                where id > ? and id <= ? and time < ? group by stream) \
                                update stream set expired = max(expired, newest.seq) from newest where newest.stream = stream.id";
                    sqlx::query(mark).bind(after).bind(last).bind(before.0).execute(&mut *connection).await?;
                    let delete = "delete from sample where id > ? and id <= ? and time < ?";
                    sqlx::query(delete).bind(after).bind(last).bind(before.0).execute(connection).await?;
                }
                // Rows of the future are passed over; behind rows of lately only rows of lately are worth looking for.
                let goes_on = rows == i64::from(rows_max) && (old > 0 || ahead == rows);
                Ok(Swept { deleted: unsigned(old), next: goes_on.then_some(last) })
            })
        })
        .await
    }

    pub(in crate::store) async fn newest_receipt(&self) -> Result<Option<UnixTime>, StoreError> {
        let newest = sqlx::query_scalar("select max(received_at) from ingest_block").fetch_one(&self.readers).await;
        newest.map(|time: Option<i64>| time.map(UnixTime)).doing("reading when something came last")
    }
}
