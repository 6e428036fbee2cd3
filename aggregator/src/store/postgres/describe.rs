//! What the database is and how large it has become, from its catalogue: nothing is counted row by row.

use super::PgStore;
use super::codes::unsigned;
use super::failure::While;
use super::partitions::{Table, pieces};
use super::reconcile::{Edition, edition, is_hypertable};
use super::schema;
use crate::store::error::StoreError;
use crate::store::types::Description;
use sqlx::{PgConnection, Row as _};

const DOING: &str = "describing it";

impl PgStore {
    pub(in crate::store) async fn describe(&self) -> Result<Description, StoreError> {
        let mut connection = self.pool().acquire().await.doing(DOING)?;
        let edition = edition(&mut connection).await.doing(DOING)?;
        let on_timescale = edition.is_some() && is_hypertable(&mut connection, Table::Sample).await.doing(DOING)?;
        let rung = match (edition, on_timescale) {
            (Some(Edition::Community), true) => "timescale_community",
            (Some(Edition::Apache), true) => "timescale_apache",
            _ => "postgres",
        };
        let select = "select current_setting('server_version'), \
                      (select extversion from pg_extension where extname = 'timescaledb')";
        let (server, extension): (String, Option<String>) =
            sqlx::query_as(select).fetch_one(&mut *connection).await.doing(DOING)?;
        let version =
            extension.map_or_else(|| server.clone(), |extension| format!("{server}, TimescaleDB {extension}"));
        let behind =
            "select coalesce(sum(j.windows), 0) from journal j, rollup_cursor c where (j.xid, j.id) > (c.xid, c.id)";
        let behind: i64 = sqlx::query_scalar(behind).fetch_one(&mut *connection).await.doing(DOING)?;
        Ok(Description {
            rung,
            version,
            schema: schema::applied(&mut connection).await?,
            features: self.features(&mut connection, edition, on_timescale).await.doing(DOING)?,
            tables: tables(&mut connection, on_timescale).await.doing(DOING)?,
            behind: Some(unsigned(behind)),
        })
    }

    async fn features(
        &self,
        connection: &mut PgConnection,
        edition: Option<Edition>,
        on_timescale: bool,
    ) -> Result<Vec<(&'static str, String)>, sqlx::Error> {
        let refused = || "not in this edition".to_owned();
        let mut features = vec![("copy", if self.shared.can_copy { "on" } else { "off: one session only" }.to_owned())];
        let count = pieces(connection, Table::Sample).await?.len();
        features.push(match (edition, on_timescale) {
            (_, true) => ("hypertables", format!("on, {count} chunks of samples")),
            (Some(_), false) => (
                "hypertables",
                format!("off: the {count} partitions of samples were there before TimescaleDB and hold rows"),
            ),
            (None, false) => ("partitions", format!("{count} of samples")),
        });
        if on_timescale && edition == Some(Edition::Community) {
            let select = "select coalesce(bool_or(compression_enabled), false), to_regclass('sample_minute_ca') is not null, \
                          (select count(*) from timescaledb_information.chunks where hypertable_name = 'sample' \
                          and hypertable_schema = current_schema() and is_compressed) from timescaledb_information.hypertables \
                          where hypertable_schema = current_schema() and hypertable_name = 'sample'";
            let (compression, aggregate, compressed): (bool, bool, i64) =
                sqlx::query_as(select).fetch_one(&mut *connection).await?;
            let state = |is_on: bool| if is_on { "on" } else { "off: it was refused; see the log of `migrate`" };
            features.push(("compression", format!("{}, {compressed} chunks", state(compression))));
            features.push(("continuous_aggregate", state(aggregate).to_owned()));
        } else if on_timescale {
            features.extend([("compression", refused()), ("continuous_aggregate", refused())]);
        }
        let select = "select role, term, holder, extract(epoch from expires_at - clock_timestamp())::int8 from lease order by role";
        let leases: Vec<(String, i64, i64, i64)> = sqlx::query_as(select).fetch_all(connection).await?;
        let lease = |(role, term, holder, left): (String, i64, i64, i64)| {
            let until = if left > 0 { format!("{left} s left") } else { "free".to_owned() };
            format!("{role}: term {term}, replica {holder:x}, {until}")
        };
        let leases: Vec<String> = leases.into_iter().map(lease).collect();
        features.push(("leases", if leases.is_empty() { "none".into() } else { leases.join("; ") }));
        Ok(features)
    }
}

/// Name, rows by the last estimate of the server if it has made one, bytes with indexes.
async fn tables(
    connection: &mut PgConnection,
    on_timescale: bool,
) -> Result<Vec<(String, Option<u64>, u64)>, sqlx::Error> {
    let plain = "select coalesce(p.relname, c.relname)::text as name, case when bool_or(c.relkind = 'r' and c.reltuples < 0 and pg_relation_size(c.oid) > 0) then null \
                 else sum(case c.relkind when 'r' then greatest(c.reltuples, 0) else 0 end)::int8 end as rows, \
                 sum(pg_total_relation_size(c.oid))::int8 as bytes from pg_class c left join pg_inherits i on i.inhrelid = c.oid \
                 left join pg_class p on p.oid = i.inhparent where c.relkind in ('r', 'p') \
                 and c.relnamespace = current_schema()::regnamespace \
                 and not exists (select 1 from pg_depend d where d.objid = c.oid and d.deptype = 'e') group by 1 order by 1";
    let mut tables = Vec::new();
    for row in sqlx::query(plain).fetch_all(&mut *connection).await? {
        tables.push((
            row.try_get("name")?,
            row.try_get::<Option<i64>, _>("rows")?.map(unsigned),
            unsigned(row.try_get("bytes")?),
        ));
    }
    if on_timescale {
        let hyper = "select hypertable_name::text, approximate_row_count(format('%I.%I', hypertable_schema, hypertable_name)::regclass), \
                     hypertable_size(format('%I.%I', hypertable_schema, hypertable_name)::regclass) \
                     from timescaledb_information.hypertables where hypertable_schema = current_schema()";
        let sizes: Vec<(String, Option<i64>, Option<i64>)> = sqlx::query_as(hyper).fetch_all(connection).await?;
        for (name, rows, bytes) in sizes {
            if let Some(table) = tables.iter_mut().find(|table| table.0 == name) {
                // It estimates 0 until the table was analysed.
                (table.1, table.2) = (rows.filter(|rows| *rows > 0).map(unsigned), unsigned(bytes.unwrap_or(0)));
            }
        }
    }
    Ok(tables)
}
