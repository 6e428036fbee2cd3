//! What all pairs add up to over a period.

use super::codes::{self, count};
use super::rollup::read;
use super::{SqliteStore, While};
use crate::store::error::StoreError;
use crate::store::types::ReportRows;
use aggregator_core::report::{Member, PairSums, Period};
use everypath_protocol::window::ProbeKind;
use futures::TryStreamExt as _;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Row as _, SqliteConnection};

const DOING: &str = "reading what pairs add up to";

impl SqliteStore {
    pub(in crate::store) async fn report(&self, period: Period) -> Result<ReportRows, StoreError> {
        // One transaction: who joins meanwhile is in both or in neither.
        let mut reading = self.readers.begin().await.doing(DOING)?;
        let members = members(&mut reading).await?;
        let sums = sums(&mut reading, period).await?;
        Ok(ReportRows { members, sums })
    }
}

async fn members(connection: &mut SqliteConnection) -> Result<Vec<Member>, StoreError> {
    let select = "select id, key, name, site from agent where certificate is not null order by id";
    let rows = sqlx::query(select).fetch_all(connection).await.doing(DOING)?;
    rows.iter().map(member).collect()
}

fn member(row: &SqliteRow) -> Result<Member, StoreError> {
    Ok(Member {
        number: count(row.try_get(0).doing(DOING)?),
        id: codes::agent(row.try_get(1).doing(DOING)?)?,
        name: row.try_get::<Option<_>, _>(2).doing(DOING)?.unwrap_or_default(),
        site: row.try_get::<Option<_>, _>(3).doing(DOING)?.unwrap_or_default(),
    })
}

/// Sums lie pair by pair, over years: one look for each two members reads this period's alone.
async fn sums(connection: &mut SqliteConnection, period: Period) -> Result<Vec<PairSums>, StoreError> {
    let select = format!(
        "select d.body, d.source, d.target, d.kind from agent s cross join agent t cross join sample_{} d \
         where s.certificate is not null and t.certificate is not null and d.source = s.id and d.target = t.id \
         and d.kind = ? and d.time >= ? and d.time < ?",
        period.level.name()
    );
    let mut all: Vec<PairSums> = Vec::new();
    for kind in ProbeKind::ALL {
        let query = sqlx::query(AssertSqlSafe(select.clone()));
        let mut rows = query.bind(kind.code()).bind(period.from.0).bind(period.to.0).fetch(&mut *connection);
        while let Some(row) = rows.try_next().await.doing(DOING)? {
            let (source, target) = (count(row.try_get(1).doing(DOING)?), count(row.try_get(2).doing(DOING)?));
            let is_same = |last: &&mut PairSums| (last.source, last.target, last.kind) == (source, target, kind);
            let bucket = read(&row).doing(DOING)?;
            match all.last_mut().filter(is_same) {
                Some(last) => last.add(&bucket),
                None => {
                    let mut first = PairSums::none(source, target, kind);
                    first.add(&bucket);
                    all.push(first);
                }
            }
        }
    }
    Ok(all)
}
