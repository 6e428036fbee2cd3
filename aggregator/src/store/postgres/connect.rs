//! Connections, and what every session is told at its beginning.

use super::failure::While;
use super::keys::Keys;
use crate::store::error::{StoreError, words};
use crate::store::types::ReplicaId;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions as _, Executor as _, PgConnection, PgPool};
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

/// How long a request waits for a free connection; then it is told that the database is busy.
const ACQUIRE_MAX: Duration = Duration::from_secs(5);
const IDLE_MAX: Duration = Duration::from_secs(600);
/// Sessions of the program. The sum of all statements of an ingest transaction stays far below the minute after which other
/// replicas take a missing number of the journal for one that was rolled back. Compiling plans costs more than it saves in
/// statements this short.
const SESSION: &str = "set statement_timeout = '30s'; set lock_timeout = '5s'; \
    set idle_in_transaction_session_timeout = '10s'; set timezone = 'UTC'; set jit = off; \
    set application_name = 'everypath'; set client_min_messages = 'warning'";

/// How to use the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PgOptions {
    /// Most connections of this process. The committers are among them.
    pub connections: u32,
    /// Whether to bring the schema up to date. Without it, an older schema is an error.
    pub migrate: bool,
    /// How many groups of batches are stored at the same time.
    pub committers: u32,
    /// Who this process is, for the journal.
    pub replica: ReplicaId,
    /// Rows without cursors and accounts, to measure what exactly-once costs. Whatever is sent twice is stored twice.
    pub is_bare: bool,
}

impl PgOptions {
    /// Twelve connections, three committers, and the schema is brought up to date.
    pub const fn of(replica: ReplicaId) -> Self {
        Self { connections: 12, migrate: true, committers: 3, replica, is_bare: false }
    }
}

/// A process with a new id.
impl Default for PgOptions {
    fn default() -> Self {
        Self::of(ReplicaId::draw())
    }
}

/// What kind of server it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Server {
    /// A build in WebAssembly: all connections share one session, and COPY FROM STDIN ends it.
    pub(super) is_one_session: bool,
}

impl Server {
    pub(super) async fn ask(connection: &mut PgConnection) -> Result<Self, StoreError> {
        let version: String =
            sqlx::query_scalar("select version()").fetch_one(connection).await.doing("asking the server's version")?;
        let version = version.to_ascii_lowercase();
        Ok(Self { is_one_session: ["emscripten", "emcc", "wasm"].iter().any(|word| version.contains(word)) })
    }
}

/// Reads a URL. The error names what is wrong and never repeats the URL, which may hold a password.
pub(super) fn parse(url: &str) -> Result<PgConnectOptions, StoreError> {
    let options = PgConnectOptions::from_str(url);
    options.map(|options| options.disable_statement_logging()).map_err(|error| {
        StoreError::Unreachable(format!(
            "the database's URL cannot be read ({}); it must be like postgres://user:password@host:5432/database",
            words(&error)
        ))
    })
}

/// Why there is no connection, to which server, and what to look at. The password is in none of it.
fn unreachable(options: &PgConnectOptions, error: &sqlx::Error) -> StoreError {
    let user = options.get_username();
    let database = options.get_database().unwrap_or(user);
    let place = options.get_socket().map_or_else(
        || format!("{}:{}", options.get_host(), options.get_port()),
        |socket| socket.display().to_string(),
    );
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code).unwrap_or_default();
    let remedy = match code.as_ref() {
        "28P01" | "28000" => {
            format!("check the user `{user}` and the password in the URL, and pg_hba.conf of the server")
        }
        "3D000" => format!("make it: createdb -O {user} {database}"),
        "53300" => "raise max_connections of the server, or lower database.connections".to_owned(),
        "57P03" => "the server is starting or ending; try again in a moment".to_owned(),
        _ if matches!(error, sqlx::Error::Tls(_)) => {
            "see `sslmode` in the URL and the certificate of the server".to_owned()
        }
        _ => "does the server run there, and may this host reach it? See database.url".to_owned(),
    };
    StoreError::Unreachable(format!(
        "cannot connect to the database `{database}` on {place}: {}; {remedy}",
        words(error)
    ))
}

/// A connection for the schema: no time limits, a migration takes as long as it takes.
pub(super) async fn connect(options: &PgConnectOptions) -> Result<PgConnection, StoreError> {
    // Whoever starts the program wants to know why, not that the database is busy.
    let refused = |cause| unreachable(options, &cause);
    let mut connection = options.connect().await.map_err(refused)?;
    connection.execute("set timezone = 'UTC'; set client_min_messages = 'warning'").await.map_err(refused)?;
    Ok(connection)
}

pub(super) fn pool(connect: PgConnectOptions, options: &PgOptions, server: Server, keys: Arc<Keys>) -> PgPool {
    let connections = if server.is_one_session { 1 } else { options.connections.max(options.committers + 2) };
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_MAX)
        .idle_timeout(IDLE_MAX)
        .after_connect(move |connection, _| {
            keys.forget();
            Box::pin(async move { connection.execute(SESSION).await.map(drop) })
        })
        .connect_lazy_with(connect)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_url_is_refused_without_repeating_it() {
        for url in ["postgres://u:hunter2@host:notaport/db", "postgres://u:hunter2@[::1/db", "hunter2"] {
            let error = parse(url).expect_err("wrong").to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
        assert!(parse("postgres://u:hunter2@127.0.0.1/db?sslmode=disable").is_ok());
    }
}
