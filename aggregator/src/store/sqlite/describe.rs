//! What the database is.

use super::codes::unsigned;
use super::{SqliteStore, While};
use crate::store::error::StoreError;
use crate::store::types::Description;
use sqlx::AssertSqlSafe;

const DOING: &str = "describing the database";
/// Tables that people ask about; the others are small.
const TABLES: [&str; 7] =
    ["sample_block", "sample_minute", "sample_hour", "sample_day", "event", "ingest_block", "tombstone"];

impl SqliteStore {
    pub(in crate::store) async fn describe(&self) -> Result<Description, StoreError> {
        let version: String =
            sqlx::query_scalar("select sqlite_version()").fetch_one(&self.readers).await.doing(DOING)?;
        let schema: i64 = sqlx::query_scalar("select max(version) from _sqlx_migrations where success")
            .fetch_one(&self.readers)
            .await
            .doing(DOING)?;
        let size = "select (select page_count from pragma_page_count) * (select page_size from pragma_page_size)";
        let size: i64 = sqlx::query_scalar(size).fetch_one(&self.readers).await.doing(DOING)?;
        let mut tables = Vec::with_capacity(TABLES.len() + 1);
        tables.push(("the whole file".to_owned(), None, unsigned(size)));
        for table in TABLES {
            let rows = format!("select count(*) from {table}");
            let rows: i64 = sqlx::query_scalar(AssertSqlSafe(rows)).fetch_one(&self.readers).await.doing(DOING)?;
            // With its indexes; a build of SQLite without the table `dbstat` cannot say.
            let bytes = "select coalesce(sum(pgsize), 0) from dbstat where name in \
                         (select name from sqlite_schema where tbl_name = ?)";
            let bytes: Result<i64, _> = sqlx::query_scalar(bytes).bind(table).fetch_one(&self.readers).await;
            tables.push((table.to_owned(), Some(unsigned(rows)), bytes.map_or(0, unsigned)));
        }
        let samples = "select coalesce(sum(rows), 0) from sample_block";
        let samples: i64 = sqlx::query_scalar(samples).fetch_one(&self.readers).await.doing(DOING)?;
        let features = vec![("samples", samples.to_string()), ("compression", "zstd, in blocks".to_owned())];
        let behind = Some(self.behind().await?);
        Ok(Description { rung: "sqlite", version, schema, features, tables, behind })
    }

    /// There is one process on a file, and it knows what it stored.
    pub(in crate::store) async fn journal_head(&self) -> Result<i64, StoreError> {
        Ok(0)
    }
}
