//! Making use of TimescaleDB where it is there.
//!
//! Not in migrations: the extension may be installed later, and what it can do depends on its edition. Each step looks first, so
//! doing it again changes nothing. A step that the server refuses is logged, and `describe` shows what is missing; everything
//! works without it.

use super::failure::While;
use super::partitions::{Partitions, Table, pieces};
use crate::store::error::StoreError;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

const DOING: &str = "making use of TimescaleDB";

/// The parts of TimescaleDB that only its community edition has, with a question that is true once they are there.
const COMMUNITY: [(&str, &str, &str); 5] = [
    (
        "compression",
        "select coalesce(bool_or(compression_enabled), false) from timescaledb_information.hypertables \
         where hypertable_schema = current_schema() and hypertable_name = 'sample'",
        "alter table sample set (timescaledb.compress, timescaledb.compress_segmentby = 'source, target, kind', \
         timescaledb.compress_orderby = 'time desc')",
    ),
    (
        "the compression policy",
        "select exists (select 1 from timescaledb_information.jobs where proc_name in ('policy_compression', 'policy_columnstore') \
         and hypertable_schema = current_schema() and hypertable_name = 'sample')",
        "select add_compression_policy('sample', interval '2 days')",
    ),
    (
        "the continuous aggregate",
        "select to_regclass('sample_minute_ca') is not null",
        "create materialized view sample_minute_ca \
         with (timescaledb.continuous, timescaledb.materialized_only = false, timescaledb.create_group_indexes = false) as \
         select time_bucket(interval '1 minute', time) as time, source, target, kind, count(*) as windows, \
         sum(span_ms::bigint) as span_ms, sum(case when state = 4 then span_ms else 0 end) as down_ms, \
         sum(case when state = 0 then span_ms else 0 end) as unknown_ms, sum(sent) as sent, sum(received) as received, \
         sum(late) as late, sum(duplicated) as duplicated, sum(not_permitted) as not_permitted, \
         sum(send_failed) as send_failed, sum(overload) as overload, sum(stalled) as stalled, min(rtt_min) as rtt_min, \
         max(rtt_max) as rtt_max, sum(rtt_sum) as rtt_sum from sample group by 1, 2, 3, 4 with no data",
    ),
    (
        "the index of the continuous aggregate",
        "select to_regclass('sample_minute_ca') is null or exists (select 1 from pg_class where relname like '%sample_minute_ca_pair')",
        "create index sample_minute_ca_pair on sample_minute_ca (source, target, kind, time desc)",
    ),
    (
        "the policy of the continuous aggregate",
        "select exists (select 1 from timescaledb_information.jobs where proc_name = 'policy_refresh_continuous_aggregate' \
         and hypertable_schema = current_schema() and hypertable_name = 'sample_minute_ca')",
        "select add_continuous_aggregate_policy('sample_minute_ca', start_offset => interval '3 days', \
         end_offset => interval '10 minutes', schedule_interval => interval '5 minutes')",
    ),
];

/// The edition of an extension that is installed in this database.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Edition {
    Apache,
    Community,
}

/// Which TimescaleDB this database has.
pub(super) async fn edition(connection: &mut PgConnection) -> Result<Option<Edition>, sqlx::Error> {
    let select = "select current_setting('timescaledb.license', true) from pg_extension where extname = 'timescaledb'";
    let license: Option<Option<String>> = sqlx::query_scalar(select).fetch_optional(connection).await?;
    Ok(license.map(|license| match license.as_deref() {
        Some("timescale") => Edition::Community,
        _ => Edition::Apache,
    }))
}

/// Whether a table is one of TimescaleDB's.
pub(super) async fn is_hypertable(connection: &mut PgConnection, table: Table) -> Result<bool, sqlx::Error> {
    let select = "select exists (select 1 from timescaledb_information.hypertables \
                  where hypertable_schema = current_schema() and hypertable_name = $1)";
    sqlx::query_scalar(select).bind(table.name()).fetch_one(connection).await
}

/// The lock of the schema is held.
pub(super) async fn reconcile(connection: &mut PgConnection, options: &PgConnectOptions) -> Result<(), StoreError> {
    if edition(connection).await.doing(DOING)?.is_none() {
        install(connection, options).await?;
    }
    let Some(edition) = edition(connection).await.doing(DOING)? else { return Ok(()) };
    let hourly = Partitions::read(connection).await?.is_hourly();
    for table in [Table::Sample, Table::Minute, Table::Hour, Table::Day] {
        if !is_hypertable(connection, table).await.doing(DOING)? {
            convert(connection, table, hourly).await.doing(DOING)?;
        }
    }
    if edition == Edition::Community && is_hypertable(connection, Table::Sample).await.doing(DOING)? {
        for (what, is_there, make) in COMMUNITY {
            let there: bool = sqlx::query_scalar(is_there).fetch_one(&mut *connection).await.doing(DOING)?;
            if there {
                continue;
            }
            match connection.execute(make).await {
                Ok(_) => tracing::info!(what, "TimescaleDB does this from now on"),
                Err(error) => tracing::warn!(what, %error, "TimescaleDB refused; it works without"),
            }
        }
    }
    Ok(())
}

/// Tries to put the extension into the database. On a connection of its own, because a server that has not loaded the library
/// ends the connection that asks.
async fn install(connection: &mut PgConnection, options: &PgConnectOptions) -> Result<(), StoreError> {
    let select = "select exists (select 1 from pg_available_extensions where name = 'timescaledb')";
    if !sqlx::query_scalar(select).fetch_one(connection).await.doing(DOING)? {
        return Ok(());
    }
    let mut own = super::connect::connect(options).await?;
    match own.execute("create extension if not exists timescaledb").await {
        Ok(_) => tracing::info!("the extension timescaledb was added to the database"),
        Err(error) => tracing::warn!(%error, "TimescaleDB is on this server and cannot be used; plain partitions are"),
    }
    // It was used for one thing, which is done or not.
    let _ = own.close().await;
    Ok(())
}

/// Makes a hypertable of a table that holds nothing. One with rows stays as it is: moving them would take hours in which
/// nothing can be stored.
async fn convert(connection: &mut PgConnection, table: Table, hourly: bool) -> Result<(), sqlx::Error> {
    let name = table.name();
    let mut transaction = connection.begin().await?;
    let lock = format!("lock table {name} in access exclusive mode");
    transaction.execute(AssertSqlSafe(lock)).await?;
    let question = format!("select exists (select 1 from {name})");
    let has_rows: bool = sqlx::query_scalar(AssertSqlSafe(question)).fetch_one(&mut *transaction).await?;
    if has_rows {
        tracing::warn!(table = name, "the table has rows in plain partitions and stays as it is");
        return transaction.rollback().await;
    }
    let partitions = pieces(&mut transaction, table).await?.len();
    let index = match table {
        Table::Sample => "create index sample_pair on sample (source, target, kind, time desc)".to_owned(),
        Table::Event | Table::Minute | Table::Hour | Table::Day => {
            format!("alter table {name} add unique (source, target, kind, time)")
        }
    };
    let interval = match table {
        Table::Sample if hourly => "1 hour",
        Table::Sample | Table::Event => "1 day",
        Table::Minute => "7 days",
        Table::Hour | Table::Day => "30 days",
    };
    let rebuild = format!(
        "alter table {name} rename to {name}_before; \
         create table {name} (like {name}_before including defaults including constraints including storage); \
         drop table {name}_before; {index}; \
         select create_hypertable('{name}', 'time', chunk_time_interval => interval '{interval}', create_default_indexes => false)"
    );
    sqlx::raw_sql(AssertSqlSafe(rebuild)).execute(&mut *transaction).await?;
    transaction.commit().await?;
    tracing::info!(table = name, partitions, "the table is a hypertable from now on");
    Ok(())
}
