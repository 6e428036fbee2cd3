//! Where an aggregator keeps things, for commands beside `serve`: the same keys of the configuration, or the same flags.

use crate::config::{Config, Database};
use crate::mesh::Mesh;
use crate::store::{PgOptions, ReplicaId, Store};
use crate::tls;
use anyhow::Context as _;
use everypath_config::Sources;
use std::path::PathBuf;

/// Where the database is. Without a flag: as the configuration says.
#[derive(Clone, Debug, clap::Args)]
pub struct Place {
    /// Configuration file (TOML) of the aggregator.
    #[arg(long)]
    pub config: Option<PathBuf>,
    /// Data directory of the aggregator.
    #[arg(long)]
    pub data_dir: Option<PathBuf>,
    /// postgres://user:password@host/database; better in EVERYPATH_AGGREGATOR_DATABASE__URL, where no list of processes shows it.
    #[arg(long)]
    pub database: Option<String>,
    /// File with the key that seals what replicas share; see `aggregator keygen`.
    #[arg(long)]
    pub key_file: Option<PathBuf>,
}

impl Place {
    /// The configuration with these flags in it.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn read(&self) -> anyhow::Result<Config> {
        let mut sources = Sources::of_process(self.config.as_deref());
        sources
            .flag_if("data_dir", self.data_dir.as_ref().map(|path| path.display()).as_ref())
            .flag_if("database.url", self.database.as_ref())
            .flag_if("database.key_file", self.key_file.as_ref().map(|path| path.display()).as_ref());
        Ok(Config::load(&sources)?)
    }
}

/// Opens the database that the configuration names. SQLite's file is made only if `may_make`: whoever mistypes a folder wants
/// to know.
///
/// # Errors
/// When it cannot be opened.
pub async fn open(config: &Config, may_make: bool) -> anyhow::Result<Store> {
    match &config.database {
        Some(database) => {
            // Only what serves changes the schema: a newer command beside older replicas must not.
            let options = PgOptions { migrate: database.migrate && may_make, ..options(database) };
            Store::open_postgres(&database.url, options).await.context("while opening the database of database.url")
        }
        None if may_make => Store::open_sqlite(&config.data_dir)
            .await
            .with_context(|| format!("while opening the database in {}", config.data_dir.display())),
        None => Store::open_existing(&config.data_dir).await,
    }
}

fn options(database: &Database) -> PgOptions {
    PgOptions { connections: database.connections, migrate: database.migrate, ..PgOptions::of(ReplicaId::draw()) }
}

/// The mesh of an aggregator that has run before, and the pin of its certificate if it made that itself.
///
/// # Errors
/// When there is none, or its keys cannot be read.
pub async fn mesh(config: &Config, store: &Store) -> anyhow::Result<(Mesh, Option<[u8; 32]>)> {
    match &config.database {
        Some(database) => {
            let key = database.key()?;
            Ok((Mesh::of_store(store, &key).await?, tls::pin_of_store(store, &key).await?))
        }
        None => Ok((Mesh::open(&config.data_dir)?, tls::pin_in(&config.data_dir)?)),
    }
}
