//! Which processes are on the file: one, or one that ended a moment ago.

use super::lease::NOW;
use super::{SqliteStore, While};
use crate::store::error::StoreError;
use crate::store::system::{LiveReplica, ReplicaRow};
use crate::store::types::ReplicaId;
use everypath_protocol::time::{Span, UnixTime};
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Row as _};

const READING: &str = "reading which replicas there are";

impl SqliteStore {
    pub(in crate::store) async fn note_replica(&self, replica: ReplicaRow) -> Result<(), StoreError> {
        self.write("saying that this replica lives", move |connection| {
            Box::pin(async move {
                let delete = format!("delete from replica where id <> ? and seen_at < {NOW} - 3600000000");
                sqlx::query(AssertSqlSafe(delete)).bind(replica.id.0).execute(&mut *connection).await?;
                let upsert = format!(
                    "insert into replica (id, host, version, started_at, seen_at) values (?, ?, ?, ?, {NOW}) \
                     on conflict (id) do update set seen_at = excluded.seen_at"
                );
                let upsert = sqlx::query(AssertSqlSafe(upsert)).bind(replica.id.0).bind(replica.host);
                upsert.bind(replica.version).bind(replica.started_at.0).execute(connection).await.map(drop)
            })
        })
        .await
    }

    pub(in crate::store) async fn forget_replica(&self, id: ReplicaId) -> Result<(), StoreError> {
        self.write("forgetting this replica", move |connection| {
            Box::pin(async move {
                sqlx::query("delete from replica where id = ?").bind(id.0).execute(connection).await.map(drop)
            })
        })
        .await
    }

    pub(in crate::store) async fn replicas(
        &self,
        role: &'static str,
        life: Span,
    ) -> Result<Vec<LiveReplica>, StoreError> {
        let select = format!(
            "select id, host, version, started_at, seen_at, exists (select 1 from lease where role = ? and holder = replica.id \
             and expires_at > {NOW}) as is_leader from replica where seen_at > {NOW} - ? order by started_at, id"
        );
        let life = super::codes::signed(life.as_micros());
        let select = sqlx::query(AssertSqlSafe(select)).bind(role).bind(life);
        select.fetch_all(&self.readers).await.doing(READING)?.iter().map(replica).collect()
    }
}

fn replica(row: &SqliteRow) -> Result<LiveReplica, StoreError> {
    let time = |column| row.try_get(column).map(UnixTime).doing(READING);
    let id = ReplicaId(row.try_get("id").doing(READING)?);
    let (host, version) = (row.try_get("host").doing(READING)?, row.try_get("version").doing(READING)?);
    let row_of = ReplicaRow { id, host, version, started_at: time("started_at")? };
    Ok(LiveReplica { row: row_of, seen_at: time("seen_at")?, is_leader: row.try_get("is_leader").doing(READING)? })
}
