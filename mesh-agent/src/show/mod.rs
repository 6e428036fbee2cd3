//! What the terminal shows: asks the running agent's loopback page, found through its data directory.

pub mod buffer;
pub mod matrix;
pub mod state;

use crate::files::{self, FileError};
use crate::run::{ADDRESSES_FILE, Addresses};
use crate::status::json::{BufferJson, StateJson};
use crate::store::{OpenStoreError, Store};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The page answers within 2 seconds or not at all.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// Addresses of a mesh port and one page.
const ADDRESSES_BYTES_MAX: u64 = 64 * 1024;

/// Why there is nothing to show.
#[derive(Debug, thiserror::Error)]
pub enum ShowError {
    /// Nobody answers.
    #[error("no agent runs with the data directory {} ({why}). Start it with: mesh-agent run --data-dir {}", path.display(), path.display())]
    NotRunning {
        /// The data directory.
        path: PathBuf,
        /// How we know.
        why: &'static str,
    },
    /// It answers, but with something else.
    #[error("the agent at {address} gives no usable answer: {why}")]
    BadAnswer {
        /// The page.
        address: SocketAddr,
        /// What is wrong.
        why: String,
    },
    /// See there.
    #[error(transparent)]
    File(#[from] FileError),
    /// See there.
    #[error(transparent)]
    Buffer(#[from] OpenStoreError),
}

/// What the agent of `data_dir` says of itself.
///
/// # Errors
/// See [`ShowError`].
pub async fn fetch_state(data_dir: &Path) -> Result<StateJson, ShowError> {
    let (address, text) = fetch(data_dir, "/state").await?;
    serde_json::from_str(&text).map_err(|why| ShowError::BadAnswer { address, why: why.to_string() })
}

/// How the buffer of the agent of `data_dir` stands: as the running agent says, or as its file says if none runs.
///
/// # Errors
/// See [`ShowError`].
pub async fn fetch_buffer(data_dir: &Path) -> Result<BufferJson, ShowError> {
    match fetch(data_dir, "/buffer").await {
        Ok((address, text)) => {
            serde_json::from_str(&text).map_err(|why| ShowError::BadAnswer { address, why: why.to_string() })
        }
        Err(ShowError::NotRunning { .. }) => {
            let (report, file) = Store::report_of(data_dir)?;
            Ok(BufferJson { report, file, running: None })
        }
        Err(other) => Err(other),
    }
}

/// One path of the page of the agent of `data_dir`.
///
/// # Errors
/// See [`ShowError`].
pub async fn fetch(data_dir: &Path, path: &str) -> Result<(SocketAddr, String), ShowError> {
    let not_running = |why| ShowError::NotRunning { path: data_dir.to_owned(), why };
    let file = files::read_bounded(&data_dir.join(ADDRESSES_FILE), ADDRESSES_BYTES_MAX)?;
    let file = file.ok_or_else(|| not_running("it has never been started"))?;
    let addresses: Addresses =
        serde_json::from_slice(&file).map_err(|_| not_running("its addresses.json cannot be read"))?;
    let address = addresses.status;
    crate::tls::use_one_provider();
    let bad = |why: reqwest::Error| ShowError::BadAnswer { address, why: why.without_url().to_string() };
    let client = reqwest::Client::builder().no_proxy().timeout(ANSWER_MAX).build().map_err(bad)?;
    let response = match client.get(format!("http://{address}{path}")).send().await {
        Ok(response) => response,
        Err(why) if why.is_connect() => return Err(not_running("nobody answers at its status address")),
        Err(why) => return Err(bad(why)),
    };
    let response = response.error_for_status().map_err(bad)?;
    Ok((address, response.text().await.map_err(bad)?))
}

/// Whether to colour: a terminal, and nobody asked not to (see no-color.org).
pub fn wants_colour() -> bool {
    use std::io::IsTerminal;
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) && std::io::stdout().is_terminal()
}
