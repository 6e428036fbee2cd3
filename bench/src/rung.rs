//! The databases that are measured.

use aggregator::store::{PgOptions, ReplicaId, Store};
use anyhow::Context as _;
use std::path::PathBuf;
use tempfile::TempDir;

/// Where the databases are; `deploy/bench.sh` starts them.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Databases {
    /// PostgreSQL, a superuser of a database that may be filled.
    #[arg(long, env = "EVERYPATH_BENCH_POSTGRES_URL")]
    postgres: Option<String>,
    /// The same with the Apache edition of TimescaleDB.
    #[arg(long, env = "EVERYPATH_BENCH_TIMESCALE_APACHE_URL")]
    timescale_apache: Option<String>,
    /// The same with the community edition.
    #[arg(long, env = "EVERYPATH_BENCH_TIMESCALE_URL")]
    timescale_community: Option<String>,
    /// The WASM build of the community edition: one session, for sizes only.
    #[arg(long, env = "EVERYPATH_BENCH_TIMESCALE_WASM_URL")]
    timescale_wasm: Option<String>,
    /// Where SQLite's file goes; a folder on a real disk.
    #[arg(long, default_value = "target/bench")]
    folder: PathBuf,
}

/// One database.
#[derive(Clone, Debug)]
pub(crate) struct Rung {
    pub(crate) name: &'static str,
    pub(crate) url: Option<String>,
    /// One session, no COPY.
    pub(crate) is_wasm: bool,
    folder: PathBuf,
}

/// An open, empty database.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) store: Store,
    pub(crate) url: Option<String>,
    pub(crate) folder: TempDir,
}

impl Databases {
    /// Those that there are.
    pub(crate) fn rungs(&self) -> Vec<Rung> {
        let rung = |name, url: Option<String>, is_wasm| Rung { name, url, is_wasm, folder: self.folder.clone() };
        let mut rungs = vec![rung("sqlite", None, false)];
        let servers = [
            ("postgres", &self.postgres, false),
            ("timescale_apache", &self.timescale_apache, false),
            ("timescale_community", &self.timescale_community, false),
            ("timescale_community", &self.timescale_wasm, true),
        ];
        for (name, url, is_wasm) in servers {
            if url.is_some() && rungs.iter().all(|rung| rung.name != name) {
                rungs.push(rung(name, url.clone(), is_wasm));
            }
        }
        rungs
    }
}

impl Rung {
    /// An empty database; on a server, one of its own.
    pub(crate) async fn open(&self, name: &str) -> anyhow::Result<Opened> {
        self.open_with(name, false).await
    }

    /// The database that `opened` was made on, once more: nothing of it is in this process's memory.
    pub(crate) async fn again(&self, opened: &Opened) -> anyhow::Result<Store> {
        Ok(match &opened.url {
            Some(url) => Store::open_postgres(url, self.options(false)).await?,
            None => Store::open_sqlite(opened.folder.path()).await?,
        })
    }

    const fn connections(&self) -> u32 {
        if self.is_wasm { 1 } else { 10 }
    }

    fn options(&self, is_bare: bool) -> PgOptions {
        PgOptions { connections: self.connections(), is_bare, ..PgOptions::of(ReplicaId::draw()) }
    }

    /// The same; `is_bare` stores rows without cursors and accounts.
    pub(crate) async fn open_with(&self, name: &str, is_bare: bool) -> anyhow::Result<Opened> {
        std::fs::create_dir_all(&self.folder).context("while making the folder of the benchmark")?;
        let folder = tempfile::tempdir_in(&self.folder).context("while making a folder")?;
        let Some(server) = &self.url else {
            let store = Store::open_sqlite(folder.path()).await?;
            return Ok(Opened { store, url: None, folder });
        };
        let url = if self.is_wasm { server.clone() } else { crate::copy::create_database(server, name).await? };
        let store = Store::open_postgres(&url, self.options(is_bare)).await?;
        Ok(Opened { store, url: Some(url), folder })
    }
}
