//! Which processes are on the database. The clock is the database's: those of the replicas may differ.

use super::PgStore;
use super::codes::{Time, signed};
use super::failure::While;
use crate::store::error::StoreError;
use crate::store::system::{LiveReplica, ReplicaRow};
use crate::store::types::ReplicaId;
use everypath_protocol::time::Span;
use sqlx::Row as _;
use sqlx::postgres::PgRow;

const READING: &str = "reading which replicas there are";

impl PgStore {
    pub(in crate::store) async fn note_replica(&self, replica: ReplicaRow) -> Result<(), StoreError> {
        // One statement: two replicas that clean up together do not wait for each other's rows in turn.
        let upsert = "with gone as (delete from replica where id in (select id from replica where id <> $1 \
                      and seen_at < clock_timestamp() - interval '1 hour' order by id for update skip locked)) \
                      insert into replica (id, host, version, started_at, seen_at) values ($1, $2, $3, $4, clock_timestamp()) \
                      on conflict (id) do update set seen_at = excluded.seen_at";
        let upsert = sqlx::query(upsert).bind(replica.id.0).bind(replica.host).bind(replica.version);
        let done = upsert.bind(Time(replica.started_at)).execute(self.pool()).await;
        done.map(drop).doing("saying that this replica lives")
    }

    pub(in crate::store) async fn forget_replica(&self, id: ReplicaId) -> Result<(), StoreError> {
        let delete = sqlx::query("delete from replica where id = $1").bind(id.0);
        delete.execute(self.pool()).await.map(drop).doing("forgetting this replica")
    }

    pub(in crate::store) async fn replicas(
        &self,
        role: &'static str,
        life: Span,
    ) -> Result<Vec<LiveReplica>, StoreError> {
        let select = "select r.id, r.host, r.version, r.started_at, r.seen_at, exists (select 1 from lease l \
                      where l.role = $1 and l.holder = r.id and l.expires_at > clock_timestamp()) as is_leader from replica r \
                      where r.seen_at > clock_timestamp() - $2 * interval '1 microsecond' order by r.started_at, r.id";
        let select = sqlx::query(select).bind(role).bind(signed(life.as_micros()));
        select.fetch_all(self.pool()).await.doing(READING)?.iter().map(replica).collect()
    }
}

fn replica(row: &PgRow) -> Result<LiveReplica, StoreError> {
    let time = |column| row.try_get::<Time, _>(column).map(|Time(time)| time).doing(READING);
    let id = ReplicaId(row.try_get("id").doing(READING)?);
    let (host, version) = (row.try_get("host").doing(READING)?, row.try_get("version").doing(READING)?);
    let row_of = ReplicaRow { id, host, version, started_at: time("started_at")? };
    Ok(LiveReplica { row: row_of, seen_at: time("seen_at")?, is_leader: row.try_get("is_leader").doing(READING)? })
}
