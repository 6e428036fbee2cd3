//! What the terminal shows: asks the running agent's loopback page, found through its data directory.

pub mod buffer;
pub mod matrix;
pub mod state;

use crate::files::{self, FileError};
use crate::run::{ADDRESSES_FILE, Addresses};
use crate::status::AGENT_HEADER;
use crate::status::json::{BufferJson, StateJson};
use crate::store::{OpenStoreError, Store};
use crate::text;
use everypath_protocol::ledger::IDENTITY_FILE;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The page answers within 2 seconds or not at all.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// Addresses of a mesh port and one page.
const ADDRESSES_BYTES_MAX: u64 = 64 * 1024;
/// 64 digits and a line end.
const IDENTITY_BYTES_MAX: u64 = 128;

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
    /// A mistyped path, or a forgotten flag.
    #[error("there is no data directory {}, so no agent runs with it. Name the one of the agent with --data-dir; a new agent joins first, and then starts with: mesh-agent run --data-dir {}", path.display(), path.display())]
    NoDirectory {
        /// What was named.
        path: PathBuf,
    },
    /// It answers, but with something else.
    #[error(
        "what answers at {address}, where the agent should be, gives no usable answer: {why}. The agent's log says whether it runs there and what it is at; another program or version may have taken its place"
    )]
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

/// How the buffer of the agent of `data_dir` stands: as the running agent says, or as its file says if it does not answer. Whatever
/// else answers in its place is not asked. That the file can be opened proves that no agent runs: a running one holds it.
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
    if data_dir.metadata().is_err_and(|why| why.kind() == ErrorKind::NotFound) {
        return Err(ShowError::NoDirectory { path: data_dir.to_owned() });
    }
    let file = files::read_bounded(&data_dir.join(ADDRESSES_FILE), ADDRESSES_BYTES_MAX)?;
    let file = file.ok_or_else(|| not_running("it has never been started"))?;
    let addresses: Addresses =
        serde_json::from_slice(&file).map_err(|_| not_running("its addresses.json cannot be read"))?;
    let address = addresses.status;
    crate::tls::use_one_provider();
    let bad = |why: reqwest::Error| ShowError::BadAnswer { address, why: text::chain(&why.without_url()) };
    let client = reqwest::Client::builder().no_proxy().timeout(ANSWER_MAX).build().map_err(bad)?;
    let response = match client.get(format!("http://{address}{path}")).send().await {
        Ok(response) => response,
        Err(why) if why.is_connect() => return Err(not_running("nobody answers at its status address")),
        Err(why) => return Err(bad(why)),
    };
    let own = files::read_bounded(&data_dir.join(IDENTITY_FILE), IDENTITY_BYTES_MAX)?;
    let Some(id) = response.headers().get(AGENT_HEADER) else {
        return Err(not_running("what answers at its status address is no agent"));
    };
    if own.is_none_or(|own| own.trim_ascii() != id.as_bytes()) {
        return Err(not_running("another agent answers at its status address"));
    }
    let response = response.error_for_status().map_err(bad)?;
    Ok((address, response.text().await.map_err(bad)?))
}

/// Whether to colour what is written there: a terminal, and nobody asked not to (see no-color.org).
pub fn wants_colour(output: &impl std::io::IsTerminal) -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) && output.is_terminal()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::metrics::Metrics;
    use crate::store::inspect::{BufferReport, FileReport};
    use axum::Router;
    use axum::response::IntoResponse as _;
    use everypath_protocol::block::{Block, Content};
    use everypath_protocol::cell::CellState;
    use everypath_protocol::id::{AgentId, BootId, Epoch, Seq};
    use everypath_protocol::record::{CellFlip, Record};
    use everypath_protocol::time::{Now, UnixTime};
    use everypath_protocol::window::ProbeKind;
    use mesh_agent_core::effect::PersistOp;

    #[test]
    fn what_goes_to_no_terminal_has_no_colours() {
        assert!(!wants_colour(&std::fs::File::open("/dev/null").unwrap()));
    }

    #[tokio::test]
    async fn a_directory_that_is_not_there_is_not_an_agent_to_be_started() {
        let dir = tempfile::tempdir().unwrap();
        let said = fetch(&dir.path().join("nowhere"), "/state").await.unwrap_err().to_string();
        assert!(said.contains("there is no data directory") && said.contains("--data-dir"), "{said}");
    }

    /// Answers under every path with `text`, in the name of `agent` if there is one, where the agent of `dir` is said to be.
    async fn answers_for(dir: &Path, agent: Option<&'static str>, text: &'static str) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let status = listener.local_addr().unwrap();
        let head = agent.map(|agent| [(AGENT_HEADER, agent)]);
        let page = Router::new().fallback(async move || match head {
            Some(head) => (head, text).into_response(),
            None => text.into_response(),
        });
        tokio::spawn(async { axum::serve(listener, page).await });
        let text = serde_json::to_vec(&Addresses { mesh: Vec::new(), status }).unwrap();
        std::fs::write(dir.join(ADDRESSES_FILE), text).unwrap();
    }

    /// The address of an agent that was killed was given to another one, and that one's state was shown as the first one's.
    #[tokio::test]
    async fn whatever_answers_at_the_address_of_an_agent_that_ended_does_not_answer_for_it() {
        let dir = tempfile::tempdir().unwrap();
        answers_for(dir.path(), Some("aa"), "of aa").await;
        let said = fetch(dir.path(), "/state").await.unwrap_err().to_string();
        assert!(said.contains("another agent answers"), "without a key of its own none is believed: {said}");
        std::fs::write(dir.path().join(IDENTITY_FILE), "aa\n").unwrap();
        assert_eq!(fetch(dir.path(), "/state").await.unwrap().1, "of aa");
        std::fs::write(dir.path().join(IDENTITY_FILE), "bb\n").unwrap();
        let said = fetch(dir.path(), "/state").await.unwrap_err().to_string();
        assert!(said.contains("another agent answers"), "{said}");
        // Nor does another program, which was believed because it does not say who it is.
        answers_for(dir.path(), None, "{}").await;
        let said = fetch(dir.path(), "/state").await.unwrap_err().to_string();
        assert!(said.contains("is no agent"), "{said}");
    }

    /// "Nothing waits" of a stranger would let `mesh-agent update` replace a program whose results wait.
    #[tokio::test]
    async fn a_stranger_does_not_say_what_waits_the_file_does_and_a_held_one_is_not_guessed_about() {
        let nothing = BufferJson { report: BufferReport::default(), file: FileReport::default(), running: None };
        let nothing: &str = serde_json::to_string(&nothing).unwrap().leak();
        let dir = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(dir.path(), BootId(1), Clock::start(), &Metrics::new()).unwrap();
        std::fs::write(dir.path().join(IDENTITY_FILE), "aa\n").unwrap();
        for stranger in [None, Some("bb")] {
            answers_for(dir.path(), stranger, nothing).await;
            let said = fetch_buffer(dir.path()).await.unwrap_err();
            assert!(matches!(said, ShowError::Buffer(OpenStoreError::Held { .. })), "{said}");
        }
        let content = Content::Records(vec![Record::Flip(CellFlip {
            target: AgentId([3; 32]),
            kind: ProbeKind::Icmp,
            at: UnixTime(5),
            from: CellState::Ok,
            to: CellState::Down,
        })]);
        let (epoch, first) = (Epoch(7), Seq(1));
        let block = Block { epoch, first, boot: BootId(1), written: Now::default(), renumbered: false, content };
        let (last, bytes) = (block.last(), block.encode());
        store.persist(PersistOp::Append { epoch, first, last, bytes, is_tombstone: false }).await;
        store.flush().await.unwrap();
        store.close().await;
        for stranger in [None, Some("bb")] {
            answers_for(dir.path(), stranger, nothing).await;
            assert_eq!(fetch_buffer(dir.path()).await.unwrap().report.waiting_records, 1, "{stranger:?}");
        }
        answers_for(dir.path(), Some("aa"), nothing).await;
        assert_eq!(fetch_buffer(dir.path()).await.unwrap().report.waiting_records, 0, "the agent itself is believed");
    }
}
