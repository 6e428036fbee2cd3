//! What waits for the sums, and for whom. They are made only of what lies before the oldest transaction under way on the server,
//! whoever's it is: one that somebody left open holds them up.

use super::PgStore;
use super::codes::Time;
use super::failure::While;
use crate::store::error::StoreError;
use crate::store::types::Unsummed;
use sqlx::PgConnection;

const DOING: &str = "looking for what is not in the sums";

impl PgStore {
    pub(in crate::store) async fn unsummed(&self) -> Result<Option<Unsummed>, StoreError> {
        let mut connection = self.pool().acquire().await.doing(DOING)?;
        let select = "select j.received_at from journal j, rollup_cursor c where (j.xid, j.id) > (c.xid, c.id) \
                      order by j.xid, j.id limit 1";
        let since: Option<Time> = sqlx::query_scalar(select).fetch_optional(&mut *connection).await.doing(DOING)?;
        let Some(Time(since)) = since else { return Ok(None) };
        Ok(Some(Unsummed { since, behind: oldest(&mut connection).await.doing(DOING)? }))
    }
}

/// Who holds the oldest transaction that wrote something. Who may not see others' sessions sees their processes alone.
async fn oldest(connection: &mut PgConnection) -> Result<Option<String>, sqlx::Error> {
    let select = "select pid, coalesce(application_name, ''), coalesce(extract(epoch from clock_timestamp() - xact_start)::int8, 0) \
                  from pg_stat_activity where backend_xid is not null and pid <> pg_backend_pid() \
                  order by age(backend_xid) desc limit 1";
    let oldest: Option<(i32, String, i64)> = sqlx::query_as(select).fetch_optional(&mut *connection).await?;
    if let Some((pid, program, seconds)) = oldest {
        return Ok(Some(format!(
            "the oldest transaction on the server is {seconds} s old, of process {pid} ({program}); if nobody needs it: \
             select pg_terminate_backend({pid})"
        )));
    }
    let select = "select gid::text from pg_prepared_xacts order by age(transaction) desc limit 1";
    let prepared: Option<String> = sqlx::query_scalar(select).fetch_optional(connection).await?;
    Ok(prepared.map(|gid| {
        format!("the oldest transaction on the server is the prepared one `{gid}`; if nobody needs it: rollback prepared '{gid}'")
    }))
}
