//! Versions of the mesh's configuration, and who runs which.

use super::PgStore;
use super::codes::{self, Time};
use super::failure::While;
use super::log::append;
use crate::audit_log::Event;
use crate::store::configs::{CONFIGS_MAX, ConfigInfo, ConfigRow, ConfigTold};
use crate::store::error::StoreError;
use everypath_protocol::codec;
use everypath_protocol::id::AgentId;
use everypath_protocol::time::UnixTime;
use sqlx::Row as _;
use sqlx::postgres::PgRow;

const DOING: &str = "reading the configuration of the mesh";

impl PgStore {
    pub(in crate::store) async fn put_config(
        &self,
        row: ConfigRow,
        expected: u64,
        event: Event,
    ) -> Result<bool, StoreError> {
        const DOING: &str = "keeping a configuration of the mesh";
        let ConfigRow { info, signed } = row;
        let mut transaction = self.pool().begin().await.doing(DOING)?;
        // Two that write at once would both find the same newest one.
        sqlx::query("lock table mesh_config in exclusive mode").execute(&mut *transaction).await.doing(DOING)?;
        let insert = "insert into mesh_config (version, made_at, actor, actor_kind, why, copy_of, signed) \
                      select $1, $2, $3, $4, $5, $6, $7 \
                      where $8 = coalesce((select max(version) from mesh_config), 0) and $1 > $8";
        let kept = sqlx::query(insert)
            .bind(codes::signed(info.version))
            .bind(Time(info.made_at))
            .bind(info.actor)
            .bind(info.actor_kind)
            .bind(info.why)
            .bind(info.copy_of.map(codes::signed))
            .bind(codec::encode(&signed))
            .bind(codes::signed(expected))
            .execute(&mut *transaction)
            .await
            .doing(DOING)?;
        if kept.rows_affected() == 0 {
            return Ok(false);
        }
        let forget = "delete from mesh_config where version not in \
                      (select version from mesh_config order by version desc limit $1)";
        let forget = sqlx::query(forget).bind(codes::signed(CONFIGS_MAX));
        forget.execute(&mut *transaction).await.doing(DOING)?;
        append(&mut transaction, event).await.doing(DOING)?;
        transaction.commit().await.doing(DOING).map(|()| true)
    }

    pub(in crate::store) async fn config(&self, version: Option<u64>) -> Result<Option<ConfigRow>, StoreError> {
        let select = "select * from mesh_config where $1::int8 is null or version = $1 order by version desc limit 1";
        let select = sqlx::query(select).bind(version.map(codes::signed));
        let Some(row) = select.fetch_optional(self.pool()).await.doing(DOING)? else { return Ok(None) };
        let signed: Vec<u8> = row.try_get("signed").doing(DOING)?;
        Ok(Some(ConfigRow { info: info(&row)?, signed: codes::config(&signed)? }))
    }

    pub(in crate::store) async fn config_head(&self) -> Result<u64, StoreError> {
        let select = sqlx::query_scalar("select coalesce(max(version), 0) from mesh_config");
        select.fetch_one(self.pool()).await.map(codes::unsigned).doing(DOING)
    }

    pub(in crate::store) async fn configs_before(
        &self,
        version: u64,
        limit: u32,
    ) -> Result<Vec<ConfigInfo>, StoreError> {
        let select = "select version, made_at, actor, actor_kind, why, copy_of from mesh_config where version < $1 \
                      order by version desc limit $2";
        let select = sqlx::query(select).bind(codes::signed(version)).bind(i64::from(limit));
        select.fetch_all(self.pool()).await.doing(DOING)?.iter().map(info).collect()
    }

    pub(in crate::store) async fn note_configs(
        &self,
        told: Vec<(AgentId, u64)>,
        now: UnixTime,
    ) -> Result<(), StoreError> {
        // In the order of keys: two replicas that hear of the same agents do not wait for each other crosswise.
        let update = "with w as (select a.id, w.version from unnest($1::bytea[], $2::int8[]) as w (key, version) \
                      join agent a on a.key = w.key where a.config_version is distinct from w.version \
                      order by a.id for update of a) \
                      update agent set config_version = w.version, config_at = $3 from w where agent.id = w.id";
        let (keys, versions): (Vec<_>, Vec<_>) =
            told.into_iter().map(|(agent, version)| (agent.0.to_vec(), codes::signed(version))).unzip();
        let update = sqlx::query(update).bind(keys).bind(versions).bind(Time(now));
        update.execute(self.pool()).await.map(drop).doing("noting which configuration agents run")
    }

    pub(in crate::store) async fn configs_told(&self) -> Result<Vec<ConfigTold>, StoreError> {
        let select = "select key, config_version, config_at from agent \
                      where certificate is not null and config_version is not null order by id";
        let rows = sqlx::query(select).fetch_all(self.pool()).await.doing(DOING)?;
        rows.iter()
            .map(|row| {
                let Time(at) = row.try_get("config_at").doing(DOING)?;
                Ok(ConfigTold {
                    agent: codes::agent(row.try_get("key").doing(DOING)?)?,
                    version: codes::unsigned(row.try_get("config_version").doing(DOING)?),
                    at,
                })
            })
            .collect()
    }
}

fn info(row: &PgRow) -> Result<ConfigInfo, StoreError> {
    let Time(made_at) = row.try_get("made_at").doing(DOING)?;
    Ok(ConfigInfo {
        version: codes::unsigned(row.try_get("version").doing(DOING)?),
        made_at,
        actor: row.try_get("actor").doing(DOING)?,
        actor_kind: row.try_get("actor_kind").doing(DOING)?,
        why: row.try_get("why").doing(DOING)?,
        copy_of: row.try_get::<Option<i64>, _>("copy_of").doing(DOING)?.map(codes::unsigned),
    })
}
