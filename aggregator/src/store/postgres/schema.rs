//! Bringing the schema up to date, and programs of two versions on one database.
//!
//! A new version first adds (expand), then both versions work, then a later one takes away (contract). So a database that is
//! newer than this program is fine, unless a migration that took something away has raised `schema_reader.min_reader` above
//! what this program knows.

use super::connect;
use super::failure::While;
use super::reconcile;
use crate::store::error::StoreError;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection};

/// Held by whoever changes the schema. Processes that start together stand in line.
const LOCK: i64 = 0x6576_7061_7468_0001;
const DOING: &str = "bringing its schema up to date";

fn migrator() -> Migrator {
    let mut migrator = sqlx::migrate!("../migrations/postgres");
    // Those of a newer program; `check` decides whether that is fine.
    migrator.set_ignore_missing(true);
    migrator
}

/// The number of the newest migration that this program knows.
pub(super) fn known() -> i64 {
    migrator().iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// Migrates and reconciles. `connection` has no time limits.
pub(super) async fn bring_up_to_date(
    connection: &mut PgConnection,
    options: &PgConnectOptions,
) -> Result<(), StoreError> {
    lock(connection).await?;
    let result = under_lock(connection, options).await;
    // Closing the connection would release it too; the result counts.
    let _ = sqlx::query("select pg_advisory_unlock($1)").bind(LOCK).execute(connection).await;
    result
}

async fn under_lock(connection: &mut PgConnection, options: &PgConnectOptions) -> Result<(), StoreError> {
    if applied(connection).await? > known() {
        return check(connection).await;
    }
    migrator().run(&mut *connection).await.map_err(refusal)?;
    reconcile::reconcile(connection, options).await
}

/// What the database said, without what sqlx wraps around it.
fn refusal(error: MigrateError) -> StoreError {
    const INSUFFICIENT_PRIVILEGE: &str = "42501";
    let cause = if let MigrateError::Execute(cause) | MigrateError::ExecuteMigration(cause, _) = error {
        cause
    } else {
        sqlx::Error::from(error)
    };
    match cause.as_database_error().filter(|said| said.code().as_deref() == Some(INSUFFICIENT_PRIVILEGE)) {
        Some(said) => StoreError::Unfit(format!(
            "its schema cannot be brought up to date: {}. The role of the URL must own the database and its tables, or run \
             `aggregator migrate` as one that does",
            said.message()
        )),
        None => StoreError::Database { doing: DOING, cause },
    }
}

/// The number of the newest migration that was applied; zero for an empty database.
pub(super) async fn applied(connection: &mut PgConnection) -> Result<i64, StoreError> {
    const DOING: &str = "reading the version of its schema";
    let exists = "select to_regclass('_sqlx_migrations') is not null";
    if !sqlx::query_scalar(exists).fetch_one(&mut *connection).await.doing(DOING)? {
        return Ok(0);
    }
    let newest = "select coalesce(max(version), 0) from _sqlx_migrations where success";
    sqlx::query_scalar(newest).fetch_one(connection).await.doing(DOING)
}

/// Whether this program can work with the schema as it is.
pub(super) async fn check(connection: &mut PgConnection) -> Result<(), StoreError> {
    const DOING: &str = "checking its schema";
    let (applied, known) = (applied(connection).await?, known());
    if applied == 0 {
        return Err(StoreError::Unfit(
            "it is empty; run `aggregator migrate`, or start `aggregator serve`, which does that too".to_owned(),
        ));
    }
    if applied < known {
        return Err(StoreError::Unfit(format!(
            "its schema is of version {applied} and this program needs {known}; run `aggregator migrate`"
        )));
    }
    if applied > known {
        let select = "select min_reader from schema_reader";
        let min_reader: i64 = sqlx::query_scalar(select).fetch_one(connection).await.doing(DOING)?;
        if min_reader > known {
            return Err(StoreError::Unfit(format!(
                "its schema is of version {applied} and can be used by programs that know version {min_reader} or later; \
                 this one knows {known}; install a newer one"
            )));
        }
        tracing::info!(applied, known, "the database is newer than this program and can still be used by it");
    }
    Ok(())
}

/// Migrates the database at `url` and makes use of what its server can do. Changes nothing if everything is done.
pub(super) async fn migrate(url: &str) -> Result<(), StoreError> {
    let options = connect::parse(url)?;
    let mut connection = connect::connect(&options).await?;
    bring_up_to_date(&mut connection, &options).await?;
    connection.close().await.doing(DOING)
}

/// Makes use of what the server at `url` can do, on a schema that is up to date.
pub(super) async fn reconcile_alone(url: &str) -> Result<(), StoreError> {
    let options = connect::parse(url)?;
    let mut connection = connect::connect(&options).await?;
    check(&mut connection).await?;
    lock(&mut connection).await?;
    let result = reconcile::reconcile(&mut connection, &options).await;
    // Closing releases the lock; what came before counts.
    let _ = connection.close().await;
    result
}

async fn lock(connection: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query("select pg_advisory_lock($1)").bind(LOCK).execute(connection).await.map(drop).doing(DOING)
}
