//! Members.

use super::PgStore;
use super::codes::{self, Time};
use super::failure::{Failure, While, failure};
use crate::store::error::StoreError;
use crate::store::types::AgentRow;
use everypath_protocol::codec;
use everypath_protocol::id::AgentId;
use everypath_protocol::time::UnixTime;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};

/// Tries of a name that others want at the same time.
const ATTEMPTS_MAX: u32 = 5;

/// Makes `key` a member, or renews its certificate. A name that another member has gets the beginning of the key behind it:
/// two issuers may have given out the same name, and results must not wait until people have settled that. Returns whether it
/// was no member before. Commits by itself.
pub(super) async fn make_member(
    connection: &mut PgConnection,
    key: AgentId,
    name: &str,
    site: &str,
    certificate: &[u8],
    now: UnixTime,
) -> Result<bool, sqlx::Error> {
    // The old row is read by its own snapshot, so `certificate` in `old` is the one from before. An update comes before an
    // insert, because an insert that finds a conflict uses up a number.
    let upsert = "with old as (select certificate is not null as member from agent where key = $1), \
                  chosen as (select case when exists (select 1 from agent where name = $2 and key <> $1) \
                  then $2 || '-' || $6 else $2 end as name), \
                  updated as (update agent set name = chosen.name, site = $3, certificate = $4 from chosen \
                  where key = $1 returning id), \
                  inserted as (insert into agent (key, name, site, certificate, first_seen) \
                  select $1, chosen.name, $3, $4, $5 from chosen where not exists (select 1 from old) returning id) \
                  select coalesce((select member from old), false) from (select 1 from updated union all select 1 from inserted) x";
    let mut attempt = 1;
    loop {
        let was_member: Result<Option<bool>, sqlx::Error> = sqlx::query_scalar(upsert)
            .bind(key.0.as_slice())
            .bind(name)
            .bind(site)
            .bind(certificate)
            .bind(Time(now))
            .bind(key.short().to_string())
            .fetch_optional(&mut *connection)
            .await;
        match was_member {
            Ok(was_member) => return Ok(!was_member.unwrap_or(false)),
            // Somebody took the name, or made a row of this key, since this statement began.
            Err(error) if attempt < ATTEMPTS_MAX && is_taken(&error) => attempt += 1,
            Err(error) => return Err(error),
        }
    }
}

fn is_taken(error: &sqlx::Error) -> bool {
    let is_unique = error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation);
    is_unique || failure(error) == Failure::Collision
}

impl PgStore {
    pub(in crate::store) async fn agents(&self) -> Result<Vec<AgentRow>, StoreError> {
        let select = "select key, name, site, certificate, member, program, first_seen, last_seen from agent \
                      where certificate is not null order by id";
        let rows = sqlx::query(select).fetch_all(self.pool()).await.doing("reading the agents")?;
        rows.iter().map(agent_row).collect()
    }

    pub(in crate::store) async fn note_member(&self, agent: AgentRow, now: UnixTime) -> Result<(), StoreError> {
        const DOING: &str = "keeping a member record";
        let mut connection = self.pool().acquire().await.doing(DOING)?;
        let certificate = codec::encode(&agent.certificate);
        make_member(&mut connection, agent.id, &agent.name, &agent.site, &certificate, now).await.doing(DOING)?;
        let update = "update agent set member = $2, program = $3, last_seen = greatest(last_seen, $4) where key = $1";
        sqlx::query(update)
            .bind(agent.id.0.as_slice())
            .bind(agent.member.as_ref().map(codec::encode))
            .bind(agent.program)
            .bind(Time(now))
            .execute(&mut *connection)
            .await
            .map(drop)
            .doing(DOING)
    }
}

fn agent_row(row: &PgRow) -> Result<AgentRow, StoreError> {
    const DOING: &str = "reading an agent";
    let certificate: &[u8] = row.try_get("certificate").doing(DOING)?;
    let member: Option<&[u8]> = row.try_get("member").doing(DOING)?;
    let Time(first_seen) = row.try_get("first_seen").doing(DOING)?;
    Ok(AgentRow {
        id: codes::agent(row.try_get("key").doing(DOING)?)?,
        name: row.try_get("name").doing(DOING)?,
        site: row.try_get("site").doing(DOING)?,
        certificate: codes::document(certificate)?,
        member: member.map(codes::document).transpose()?,
        program: row.try_get("program").doing(DOING)?,
        first_seen,
        last_seen: row.try_get::<Option<Time>, _>("last_seen").doing(DOING)?.map(|Time(time)| time),
    })
}
