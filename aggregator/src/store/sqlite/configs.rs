//! Versions of the mesh's configuration, and who runs which.

use super::log::append;
use super::{SqliteStore, While, codes};
use crate::audit_log::Event;
use crate::store::configs::{CONFIGS_MAX, ConfigInfo, ConfigRow, ConfigTold};
use crate::store::error::StoreError;
use everypath_protocol::codec;
use everypath_protocol::id::AgentId;
use everypath_protocol::time::UnixTime;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

const DOING: &str = "reading the configuration of the mesh";

impl SqliteStore {
    pub(in crate::store) async fn put_config(
        &self,
        row: ConfigRow,
        expected: u64,
        event: Event,
    ) -> Result<bool, StoreError> {
        self.write("keeping a configuration of the mesh", move |connection| {
            Box::pin(async move {
                let ConfigRow { info, signed } = row;
                let insert = "insert into mesh_config (version, made_at, actor, actor_kind, why, copy_of, signed) \
                              select ?1, ?2, ?3, ?4, ?5, ?6, ?7 \
                              where ?8 = coalesce((select max(version) from mesh_config), 0) and ?1 > ?8";
                let kept = sqlx::query(insert)
                    .bind(codes::signed(info.version))
                    .bind(info.made_at.0)
                    .bind(info.actor)
                    .bind(info.actor_kind)
                    .bind(info.why)
                    .bind(info.copy_of.map(codes::signed))
                    .bind(codec::encode(&signed))
                    .bind(codes::signed(expected))
                    .execute(&mut *connection)
                    .await?;
                if kept.rows_affected() == 0 {
                    return Ok(false);
                }
                let forget = "delete from mesh_config where version not in \
                              (select version from mesh_config order by version desc limit ?)";
                sqlx::query(forget).bind(codes::signed(CONFIGS_MAX)).execute(&mut *connection).await?;
                append(connection, event).await.map(|()| true)
            })
        })
        .await
    }

    pub(in crate::store) async fn config(&self, version: Option<u64>) -> Result<Option<ConfigRow>, StoreError> {
        let select = "select * from mesh_config where ?1 is null or version = ?1 order by version desc limit 1";
        let select = sqlx::query(select).bind(version.map(codes::signed));
        let Some(row) = select.fetch_optional(&self.readers).await.doing(DOING)? else { return Ok(None) };
        let signed: Vec<u8> = row.try_get("signed").doing(DOING)?;
        Ok(Some(ConfigRow { info: info(&row)?, signed: codes::config(&signed)? }))
    }

    pub(in crate::store) async fn config_head(&self) -> Result<u64, StoreError> {
        let select = sqlx::query_scalar("select coalesce(max(version), 0) from mesh_config");
        select.fetch_one(&self.readers).await.map(codes::unsigned).doing(DOING)
    }

    pub(in crate::store) async fn configs_before(
        &self,
        version: u64,
        limit: u32,
    ) -> Result<Vec<ConfigInfo>, StoreError> {
        let select = "select version, made_at, actor, actor_kind, why, copy_of from mesh_config where version < ? \
                      order by version desc limit ?";
        let select = sqlx::query(select).bind(codes::signed(version)).bind(limit);
        select.fetch_all(&self.readers).await.doing(DOING)?.iter().map(info).collect()
    }

    pub(in crate::store) async fn note_configs(
        &self,
        told: Vec<(AgentId, u64)>,
        now: UnixTime,
    ) -> Result<(), StoreError> {
        self.write("noting which configuration agents run", move |connection| {
            Box::pin(async move {
                let update = "update agent set config_version = ?2, config_at = ?3 \
                              where key = ?1 and config_version is not ?2";
                for (agent, version) in told {
                    let update = sqlx::query(update).bind(agent.0.as_slice()).bind(codes::signed(version)).bind(now.0);
                    update.execute(&mut *connection).await?;
                }
                Ok(())
            })
        })
        .await
    }

    pub(in crate::store) async fn configs_told(&self) -> Result<Vec<ConfigTold>, StoreError> {
        let select = "select key, config_version, config_at from agent \
                      where certificate is not null and config_version is not null order by id";
        let rows = sqlx::query(select).fetch_all(&self.readers).await.doing(DOING)?;
        rows.iter()
            .map(|row| {
                Ok(ConfigTold {
                    agent: codes::agent(row.try_get("key").doing(DOING)?)?,
                    version: codes::unsigned(row.try_get("config_version").doing(DOING)?),
                    at: UnixTime(row.try_get("config_at").doing(DOING)?),
                })
            })
            .collect()
    }
}

fn info(row: &SqliteRow) -> Result<ConfigInfo, StoreError> {
    Ok(ConfigInfo {
        version: codes::unsigned(row.try_get("version").doing(DOING)?),
        made_at: UnixTime(row.try_get("made_at").doing(DOING)?),
        actor: row.try_get("actor").doing(DOING)?,
        actor_kind: row.try_get("actor_kind").doing(DOING)?,
        why: row.try_get("why").doing(DOING)?,
        copy_of: row.try_get::<Option<i64>, _>("copy_of").doing(DOING)?.map(codes::unsigned),
    })
}
