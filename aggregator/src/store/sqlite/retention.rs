//! Deleting what is old, in steps that no other write has to wait for long.

use super::SqliteStore;
use crate::store::types::StoreError;
use everypath_protocol::time::UnixTime;

impl SqliteStore {
    /// Rows are looked at in the order of their receipt, because an index by time would cost every insert. A backlog that was
    /// old when it came is therefore deleted a little later than its age asks for.
    pub(in crate::store) async fn delete_samples(&self, before: UnixTime, rows_max: u32) -> Result<u64, StoreError> {
        self.write("deleting old samples", move |connection| {
            Box::pin(async move {
                // The audit must not take for missing what was deleted on purpose.
                let mark = "with old as (select stream, seq, time from sample order by id limit ?), \
                            newest as (select stream, max(seq) as seq from old where time < ? group by stream) \
                            update stream set expired = max(expired, newest.seq) from newest where newest.stream = stream.id";
                sqlx::query(mark).bind(rows_max).bind(before.0).execute(&mut *connection).await?;
                let delete = "delete from sample where id in (select id from sample order by id limit ?) and time < ?";
                let deleted = sqlx::query(delete).bind(rows_max).bind(before.0).execute(connection).await?;
                Ok(deleted.rows_affected())
            })
        })
        .await
    }
}
