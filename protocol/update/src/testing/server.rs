//! A server that offers archives, honest or not.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// What a server offers: releases by version, oldest first, each with its files by name.
pub type Releases = Vec<(String, BTreeMap<String, Vec<u8>>)>;

#[derive(Debug)]
struct Offered {
    releases: Releases,
    address: SocketAddr,
    /// Where whoever asks for a file is sent on to.
    elsewhere: Option<String>,
    /// Grows with each file that is asked for.
    asked: Semaphore,
    /// Files are given while it has one to lend.
    gate: Semaphore,
}

/// A server on loopback that answers like GitHub, for the repository `everypath/everypath`.
#[derive(Debug)]
pub struct Server {
    /// What to set as `update.api`.
    pub api: String,
    offered: Arc<Offered>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Offers these.
    ///
    /// # Panics
    /// If there is no port.
    pub async fn start(releases: Releases) -> Self {
        Self::start_with(releases, None, 1).await
    }

    async fn start_with(releases: Releases, elsewhere: Option<String>, gate: usize) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let (asked, gate) = (Semaphore::new(0), Semaphore::new(gate));
        let offered = Arc::new(Offered { releases, address, elsewhere, asked, gate });
        let router = Router::new()
            .route("/repos/everypath/everypath/releases/latest", get(latest))
            .route("/repos/everypath/everypath/releases/tags/{tag}", get(tag))
            .route("/files/{version}/{name}", get(file))
            .route("/stored/{version}/{name}", get(stored))
            .with_state(Arc::clone(&offered));
        let task = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Self { api: format!("http://{address}"), offered, task }
    }

    /// Offers one release with one file.
    pub async fn with(version: &str, name: &str, bytes: Vec<u8>) -> Self {
        Self::start(one(version, name, bytes)).await
    }

    /// The same; whoever asks for the file is sent on to `elsewhere`.
    pub(super) async fn sending_on(version: &str, name: &str, bytes: Vec<u8>, elsewhere: String) -> Self {
        Self::start_with(one(version, name, bytes), Some(elsewhere), 1).await
    }

    /// The same; the file comes when [`Self::give`] was called.
    pub(super) async fn holding_back(version: &str, name: &str, bytes: Vec<u8>) -> Self {
        Self::start_with(one(version, name, bytes), None, 0).await
    }

    /// Until somebody has asked for a file, once for each call.
    pub(super) async fn was_asked(&self) {
        self.offered.asked.acquire().await.expect("it stays open").forget();
    }

    /// Files come from now on.
    pub(super) fn give(&self) {
        self.offered.gate.add_permits(1);
    }
}

fn one(version: &str, name: &str, bytes: Vec<u8>) -> Releases {
    vec![(version.to_owned(), BTreeMap::from([(name.to_owned(), bytes)]))]
}

type Offer = State<Arc<Offered>>;

fn told(offered: &Offered, version: &str, files: &BTreeMap<String, Vec<u8>>) -> String {
    let url = |name: &str| format!("http://{}/files/{version}/{name}", offered.address);
    let files = files.keys().map(|name| format!(r#"{{"name": "{name}", "url": "{}"}}"#, url(name)));
    let files = files.collect::<Vec<_>>().join(", ");
    format!(r#"{{"tag_name": "v{version}", "created_at": "2026-11-23T00:00:00Z", "assets": [{files}]}}"#)
}

async fn latest(State(offered): Offer) -> Result<String, StatusCode> {
    let (version, files) = offered.releases.last().ok_or(StatusCode::NOT_FOUND)?;
    Ok(told(&offered, version, files))
}

async fn tag(State(offered): Offer, Path(tag): Path<String>) -> Result<String, StatusCode> {
    let found = offered.releases.iter().find(|(version, _)| tag.strip_prefix('v') == Some(version));
    found.map(|(version, files)| told(&offered, version, files)).ok_or(StatusCode::NOT_FOUND)
}

async fn file(offered: Offer, path: Path<(String, String)>) -> Response {
    offered.asked.add_permits(1);
    let _open = offered.gate.acquire().await.expect("it stays open");
    match &offered.elsewhere {
        Some(elsewhere) => (StatusCode::FOUND, [(LOCATION, elsewhere.clone())]).into_response(),
        None => stored(State(Arc::clone(&offered)), path).await.into_response(),
    }
}

async fn stored(State(offered): Offer, Path((version, name)): Path<(String, String)>) -> Result<Bytes, StatusCode> {
    let found = offered.releases.iter().find(|(own, _)| *own == version).and_then(|(_, files)| files.get(&name));
    found.map(|bytes| Bytes::copy_from_slice(bytes)).ok_or(StatusCode::NOT_FOUND)
}
