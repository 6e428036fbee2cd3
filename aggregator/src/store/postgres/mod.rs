//! A database server that several aggregators share.
//!
//! Reading order: [`committer`] groups batches, [`prepare`] and [`ingest`] store a group, [`journal`] tells the others,
//! [`rollup`] adds up, [`partitions`] and [`retention`] make room and drop what is old, [`schema`] and [`reconcile`] bring the
//! database into the shape that this program and this server allow.

mod accounts;
mod agents;
mod api_tokens;
mod buckets;
mod codes;
mod committer;
mod configs;
mod connect;
mod copy;
mod describe;
pub(in crate::store) mod failure;
mod ingest;
mod insert;
mod journal;
mod keys;
pub(in crate::store) mod lease;
pub(in crate::store) mod log;
mod matrix;
mod partitions;
mod prepare;
mod reconcile;
mod replicas;
mod report;
mod retention;
mod rollup;
mod schema;
mod series;
mod sessions;
mod settings;
mod streams;
mod tokens;
mod unsummed;
mod windows;

pub use connect::PgOptions;

use crate::store::error::{IngestError, StoreError};
use crate::store::types::{Batch, Ingested, ReplicaId};
use committer::Committers;
use failure::While;
use keys::Keys;
use partitions::Partitions;
use sqlx::{Connection as _, PgPool};
use std::sync::Arc;
use std::sync::atomic::AtomicI32;

/// A PostgreSQL database, with or without TimescaleDB.
#[derive(Clone, Debug)]
pub struct PgStore {
    shared: Arc<Shared>,
    committers: Committers,
}

/// What all parts of the store use.
#[derive(Debug)]
struct Shared {
    pool: PgPool,
    replica: ReplicaId,
    /// Whether the server takes COPY FROM STDIN.
    can_copy: bool,
    /// See [`PgOptions::is_bare`].
    is_bare: bool,
    keys: Arc<Keys>,
    partitions: Partitions,
    /// The last stream whose accounts of blocks were joined.
    joined: AtomicI32,
}

impl PgStore {
    /// Connects, and brings the schema up to date if `options` ask for that.
    ///
    /// # Errors
    /// [`StoreError`]. No message holds the password.
    pub async fn open(url: &str, options: PgOptions) -> Result<Self, StoreError> {
        let connect = connect::parse(url)?;
        let mut connection = connect::connect(&connect).await?;
        let server = connect::Server::ask(&mut connection).await?;
        if options.migrate {
            schema::bring_up_to_date(&mut connection, &connect).await?;
        } else {
            schema::check(&mut connection).await?;
        }
        let partitions = Partitions::read(&mut connection).await?;
        // It was used for one thing, which is done; a failure to close loses nothing.
        let _ = connection.close().await;
        let keys = Arc::new(Keys::default());
        let pool = connect::pool(connect, &options, server, Arc::clone(&keys));
        let shared = Arc::new(Shared {
            pool,
            replica: options.replica,
            can_copy: !server.is_one_session,
            is_bare: options.is_bare,
            keys,
            partitions,
            joined: AtomicI32::new(0),
        });
        Ok(Self { committers: Committers::start(&shared, options.committers), shared })
    }

    pub(in crate::store) async fn migrate(url: &str) -> Result<(), StoreError> {
        schema::migrate(url).await
    }

    pub(in crate::store) async fn reconcile(url: &str) -> Result<(), StoreError> {
        schema::reconcile_alone(url).await
    }

    pub(in crate::store) async fn check_rights(&self) -> Result<(), StoreError> {
        let mut connection = self.pool().acquire().await.doing("looking who owns its tables")?;
        schema::check_rights(&mut connection).await
    }

    pub(in crate::store) fn pool(&self) -> &PgPool {
        &self.shared.pool
    }

    pub(in crate::store) fn replica(&self) -> ReplicaId {
        self.shared.replica
    }

    pub(in crate::store) async fn ingest(&self, batch: Batch) -> Result<Ingested, IngestError> {
        self.committers.ingest(batch).await
    }

    pub(in crate::store) async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("select 1").execute(self.pool()).await.map(drop).doing("checking that it answers")?;
        if self.committers.is_failing() { Err(StoreError::Failing) } else { Ok(()) }
    }

    pub(in crate::store) async fn ended(&self) {
        self.committers.ended().await;
    }

    pub(in crate::store) async fn close(&self) {
        self.committers.close().await;
        self.shared.pool.close().await;
    }
}
