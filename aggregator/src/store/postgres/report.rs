//! What all pairs add up to over a period.

use super::PgStore;
use super::buckets::table;
use super::codes::{self, Time, agent_number, unsigned};
use super::failure::While;
use crate::store::error::StoreError;
use crate::store::types::ReportRows;
use aggregator_core::report::{Member, PairSums, Period};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Connection as _, Row as _};

const DOING: &str = "reading what pairs add up to";

impl PgStore {
    pub(in crate::store) async fn report(&self, period: Period) -> Result<ReportRows, StoreError> {
        let mut connection = self.pool().acquire().await.doing(DOING)?;
        // One snapshot: who joins meanwhile is in both or in neither.
        let mut reading =
            connection.begin_with("begin isolation level repeatable read, read only").await.doing(DOING)?;
        let members = "select id, key, name, site from agent where certificate is not null order by id";
        let members = sqlx::query(members).fetch_all(&mut *reading).await.doing(DOING)?;
        let sums = format!(
            "select source, target, kind, sum(span_ms)::int8, sum(down_ms)::int8, sum(unknown_ms)::int8, sum(sent)::int8, \
             sum(received)::int8, sum(late)::int8, coalesce(sum(rtt_sum), 0)::int8 from {} where time >= $1 and time < $2 \
             group by source, target, kind",
            table(period.level).name()
        );
        let sums = sqlx::query(AssertSqlSafe(sums)).bind(Time(period.from)).bind(Time(period.to));
        let sums = sums.fetch_all(&mut *reading).await.doing(DOING)?;
        reading.commit().await.doing(DOING)?;
        Ok(ReportRows {
            members: members.iter().map(member).collect::<Result<_, _>>()?,
            sums: sums.iter().map(pair).collect::<Result<_, _>>()?,
        })
    }
}

fn member(row: &PgRow) -> Result<Member, StoreError> {
    Ok(Member {
        number: agent_number(row.try_get(0).doing(DOING)?),
        id: codes::agent(row.try_get(1).doing(DOING)?)?,
        name: row.try_get::<Option<_>, _>(2).doing(DOING)?.unwrap_or_default(),
        site: row.try_get::<Option<_>, _>(3).doing(DOING)?.unwrap_or_default(),
    })
}

fn pair(row: &PgRow) -> Result<PairSums, StoreError> {
    let sum = |place: usize| row.try_get(place).doing(DOING).map(unsigned);
    Ok(PairSums {
        source: agent_number(row.try_get(0).doing(DOING)?),
        target: agent_number(row.try_get(1).doing(DOING)?),
        kind: codes::kind(row.try_get(2).doing(DOING)?)?,
        span_ms: sum(3)?,
        down_ms: sum(4)?,
        unknown_ms: sum(5)?,
        sent: sum(6)?,
        received: sum(7)?,
        late: sum(8)?,
        rtt_sum_us: sum(9)?,
    })
}
