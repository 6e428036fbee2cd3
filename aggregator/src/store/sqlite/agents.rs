//! Members.

use super::codes;
use super::{SqliteStore, While};
use crate::store::error::StoreError;
use crate::store::types::AgentRow;
use everypath_protocol::codec;
use everypath_protocol::id::AgentId;
use everypath_protocol::time::UnixTime;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

/// Makes `key` a member, or renews its certificate. A name that another member has gets the beginning of the key behind it:
/// two issuers may have given out the same name, and results must not wait until people have settled that.
pub(super) async fn upsert_member(
    connection: &mut SqliteConnection,
    key: AgentId,
    name: &str,
    site: &str,
    certificate: &[u8],
    now: UnixTime,
) -> Result<i64, sqlx::Error> {
    let taken: bool = sqlx::query_scalar("select exists (select 1 from agent where name = ? and key <> ?)")
        .bind(name)
        .bind(key.0.as_slice())
        .fetch_one(&mut *connection)
        .await?;
    let name = if taken { format!("{name}-{}", key.short()) } else { name.to_owned() };
    let upsert = "insert into agent (key, name, site, certificate, first_seen) values (?, ?, ?, ?, ?) \
                  on conflict (key) do update set name = excluded.name, site = excluded.site, certificate = excluded.certificate \
                  returning id";
    sqlx::query_scalar(upsert)
        .bind(key.0.as_slice())
        .bind(name)
        .bind(site)
        .bind(certificate)
        .bind(now.0)
        .fetch_one(connection)
        .await
}

impl SqliteStore {
    pub(in crate::store) async fn agents(&self) -> Result<Vec<AgentRow>, StoreError> {
        let select = "select key, name, site, certificate, member, program, first_seen, last_seen from agent \
                      where certificate is not null order by id";
        let rows = sqlx::query(select).fetch_all(&self.readers).await.doing("reading the agents")?;
        rows.iter().map(agent_row).collect()
    }

    pub(in crate::store) async fn note_member(&self, agent: AgentRow, now: UnixTime) -> Result<(), StoreError> {
        self.write("keeping a member record", move |connection| {
            Box::pin(async move {
                let certificate = codec::encode(&agent.certificate);
                let id = upsert_member(connection, agent.id, &agent.name, &agent.site, &certificate, now).await?;
                sqlx::query("update agent set member = ?, program = ?, last_seen = ? where id = ?")
                    .bind(agent.member.as_ref().map(codec::encode))
                    .bind(agent.program)
                    .bind(now.0)
                    .bind(id)
                    .execute(connection)
                    .await
                    .map(drop)
            })
        })
        .await
    }
}

fn agent_row(row: &SqliteRow) -> Result<AgentRow, StoreError> {
    const DOING: &str = "reading an agent";
    let certificate: Vec<u8> = row.try_get("certificate").doing(DOING)?;
    let member: Option<Vec<u8>> = row.try_get("member").doing(DOING)?;
    Ok(AgentRow {
        id: codes::agent(row.try_get("key").doing(DOING)?)?,
        name: row.try_get("name").doing(DOING)?,
        site: row.try_get("site").doing(DOING)?,
        certificate: codes::document(&certificate)?,
        member: member.map(|bytes| codes::document(&bytes)).transpose()?,
        program: row.try_get("program").doing(DOING)?,
        first_seen: UnixTime(row.try_get("first_seen").doing(DOING)?),
        last_seen: row.try_get::<Option<i64>, _>("last_seen").doing(DOING)?.map(UnixTime),
    })
}
