//! The databases that tests run on, each test in one of its own.

use aggregator::store::{PgOptions, ReplicaId, Store};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use std::collections::BTreeSet;
use std::io::Write as _;
use std::panic::AssertUnwindSafe;
use std::sync::Mutex;
use tempfile::TempDir;

/// Where a test keeps its database.
pub(crate) enum Place {
    Sqlite(TempDir),
    /// The URL of a database of its own.
    Server {
        rung: &'static str,
        url: String,
    },
}

/// The value of `variable`; without it the skip is printed, once.
pub(crate) fn url(rung: &str, variable: &str) -> Option<String> {
    let url = std::env::var(variable).ok().filter(|url| !url.is_empty());
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    if url.is_none() && SAID.lock().expect("nobody panics with it").insert(variable.to_owned()) {
        // Not `eprintln`: the test harness shows that of tests that fail only, and a skip must be seen.
        let _ = writeln!(std::io::stderr(), "SKIPPED: {rung}: {variable} is not set");
    }
    // CI promises every rung but a server of the community edition, which it has as WASM.
    let is_promised = variable != "EVERYPATH_TEST_TIMESCALE_URL" && std::env::var_os("CI").is_some();
    assert!(url.is_some() || !is_promised, "{variable} is not set, and in CI nothing is skipped");
    url
}

/// The same server, another database.
fn with_database(url: &str, database: &str) -> String {
    let (before, query) = url.split_once('?').map_or((url, String::new()), |(url, query)| (url, format!("?{query}")));
    let (server, _) = before.rsplit_once('/').expect("a URL with a database");
    format!("{server}/{database}{query}")
}

pub(crate) async fn connect(url: &str) -> PgConnection {
    PgConnection::connect(url).await.expect("the server of the test answers")
}

pub(crate) async fn run(url: &str, statements: &str) {
    let mut connection = connect(url).await;
    connection.execute(AssertSqlSafe(statements.to_owned())).await.expect("the test's own statement");
    connection.close().await.expect("closed");
}

impl Place {
    pub(crate) fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().expect("a folder"))
    }

    /// Runs `test` in a new database of the server that `variable` names, and drops it whatever happens.
    pub(crate) async fn on(rung: &'static str, variable: &str, test: impl AsyncFn(&Self)) {
        let Some(server) = url(rung, variable) else { return };
        let mut random = [0; 8];
        getrandom::fill(&mut random).expect("random numbers");
        let name = format!("everypath_test_{:016x}", u64::from_be_bytes(random));
        run(&server, &format!("create database {name}")).await;
        let place = Self::Server { rung, url: with_database(&server, &name) };
        let result = futures::FutureExt::catch_unwind(AssertUnwindSafe(test(&place))).await;
        run(&server, &format!("drop database {name} with (force)")).await;
        if let Err(panic) = result {
            std::panic::resume_unwind(panic);
        }
    }

    /// The one database of a server that has one session, emptied.
    pub(crate) async fn one_session(url: &str) -> Self {
        let own = "select format('drop %s if exists %I cascade', case c.relkind when 'v' then 'materialized view' else 'table' end, \
                   c.relname) from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v') \
                   and not exists (select 1 from pg_depend d where d.objid = c.oid and d.deptype = 'e') order by c.relkind = 'v' desc";
        let mut connection = connect(url).await;
        let drops: Vec<String> = sqlx::query_scalar(own).fetch_all(&mut connection).await.expect("readable");
        for drop in drops {
            connection.execute(AssertSqlSafe(drop)).await.expect("dropped");
        }
        connection.close().await.expect("closed");
        Self::Server { rung: "timescale_community", url: url.to_owned() }
    }

    pub(crate) async fn open(&self) -> Store {
        self.open_as(ReplicaId(1)).await
    }

    pub(crate) async fn open_as(&self, replica: ReplicaId) -> Store {
        match self {
            Self::Sqlite(folder) => Store::open_sqlite(folder.path()).await.expect("opened"),
            Self::Server { url, .. } => {
                let options = PgOptions { connections: 6, ..PgOptions::of(replica) };
                Store::open_postgres(url, options).await.expect("opened")
            }
        }
    }

    pub(crate) fn url(&self) -> &str {
        match self {
            Self::Sqlite(_) => panic!("SQLite has no URL"),
            Self::Server { url, .. } => url,
        }
    }

    pub(crate) const fn rung(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "sqlite",
            Self::Server { rung, .. } => rung,
        }
    }
}
