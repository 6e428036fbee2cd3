//! The anchor: PostgreSQL's own COPY of the same rows, from a file on the server, in one transaction.

use crate::clock::{Watch, median};
use anyhow::Context as _;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

/// A server to copy on.
#[derive(Debug)]
pub(crate) struct Reference {
    connection: PgConnection,
}

impl Reference {
    pub(crate) async fn new(url: &str) -> anyhow::Result<Self> {
        let connection = PgConnection::connect(url).await.context("while connecting to the server of the anchor")?;
        Ok(Self { connection })
    }

    /// Rows a second of COPY into a heap without an index; the rows are those of `sample` in the database that this is
    /// connected to.
    pub(crate) async fn heap(&mut self, repetitions: usize) -> anyhow::Result<f64> {
        self.run("drop table if exists bench_heap").await?;
        self.run("create table bench_heap as select * from sample with no data").await?;
        self.times("bench_heap", repetitions).await
    }

    /// Rows a second of COPY into `sample` itself, emptied before.
    pub(crate) async fn same_table(&mut self, repetitions: usize) -> anyhow::Result<f64> {
        self.times("sample", repetitions).await
    }

    /// Writes the rows of `sample` to a file of the server.
    pub(crate) async fn export(&mut self) -> anyhow::Result<()> {
        let file = self.file().await?;
        self.run(&format!("copy (select * from sample) to '{file}' (format binary)")).await
    }

    async fn times(&mut self, table: &str, repetitions: usize) -> anyhow::Result<f64> {
        let file = self.file().await?;
        let mut rates = Vec::with_capacity(repetitions);
        for _ in 0..repetitions {
            self.run(&format!("truncate {table}")).await?;
            let watch = Watch::start();
            let copy = format!("copy {table} from '{file}' (format binary)");
            let rows = self.connection.execute(AssertSqlSafe(copy)).await?.rows_affected();
            #[expect(clippy::cast_precision_loss, reason = "millions of rows fit a float")]
            rates.push(rows as f64 / watch.seconds());
        }
        Ok(median(rates))
    }

    async fn file(&mut self) -> anyhow::Result<String> {
        let folder: String =
            sqlx::query_scalar("select current_setting('data_directory')").fetch_one(&mut self.connection).await?;
        let database: String =
            sqlx::query_scalar("select current_database()::text").fetch_one(&mut self.connection).await?;
        Ok(format!("{folder}/{database}.copy"))
    }

    async fn run(&mut self, statement: &str) -> anyhow::Result<()> {
        self.connection.execute(AssertSqlSafe(statement.to_owned())).await.with_context(|| statement.to_owned())?;
        Ok(())
    }
}

/// Makes an empty database beside the one that `server` names and returns its URL.
pub(crate) async fn create_database(server: &str, name: &str) -> anyhow::Result<String> {
    let mut connection = PgConnection::connect(server).await.context("while connecting to the server")?;
    connection.execute(AssertSqlSafe(format!("drop database if exists {name} with (force)"))).await?;
    connection.execute(AssertSqlSafe(format!("create database {name}"))).await?;
    let (server, _) = server.rsplit_once('/').context("the URL of the server has no database")?;
    Ok(format!("{server}/{name}"))
}

/// Compresses every chunk of `sample`, as the policy does once they are old.
pub(crate) async fn compress(url: &str) -> anyhow::Result<()> {
    let mut connection = PgConnection::connect(url).await.context("while connecting to the server")?;
    connection.execute("select compress_chunk(chunk, true) from show_chunks('sample') as chunk").await?;
    connection.execute("vacuum").await?;
    Ok(())
}
