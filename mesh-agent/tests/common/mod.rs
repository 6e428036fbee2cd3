//! Agents in temporary directories, on ports that the system chooses, over loopback.

use everypath_config::Sources;
use everypath_protocol::token::JoinToken;
use mesh_agent::config::Config;
use mesh_agent::founding::{self, Founding};
use mesh_agent::run::{self, Running};
use mesh_agent::show;
use mesh_agent::status::json::StateJson;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// Nothing in these tests takes longer on a machine that works at all.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A mesh in one directory; agent `i` lives in `agent-i`.
pub(crate) struct Mesh {
    dir: TempDir,
    pub(crate) token: JoinToken,
    listen: String,
}

pub(crate) fn config(data_dir: &Path, listen: &str) -> Config {
    let mut sources = Sources::default();
    sources.flag("data_dir", data_dir.display().to_string());
    sources.flag("listen", listen).flag("status", "127.0.0.1:0").flag("probe.interval", "1s");
    Config::load(&sources).expect("a working test machine")
}

/// A token has to name a port before anyone listens on it, so one is borrowed from the system and given back.
fn free_port() -> u16 {
    loop {
        let udp = UdpSocket::bind("127.0.0.1:0").expect("a working test machine");
        let port = udp.local_addr().expect("a working test machine").port();
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

impl Mesh {
    pub(crate) async fn found(uses: u32) -> Self {
        let dir = tempfile::tempdir().expect("a working test machine");
        let listen = format!("127.0.0.1:{}", free_port());
        let founding = Founding {
            data_dir: dir.path().join("agent-0"),
            name: "agent-0".to_owned(),
            site: "alpha".to_owned(),
            uses,
            expires: Duration::from_secs(3_600),
            listen: listen.parse().expect("a working test machine"),
            advertise: Vec::new(),
        };
        let token = founding::found(&founding).await.expect("a working test machine");
        Self { dir, token, listen }
    }

    pub(crate) fn data_dir(&self, agent: usize) -> PathBuf {
        self.dir.path().join(format!("agent-{agent}"))
    }

    pub(crate) async fn join(&self, agent: usize) -> Result<mesh_agent::join::Joined, mesh_agent::join::JoinError> {
        mesh_agent::join::join(&self.token, self.data_dir(agent), &format!("agent-{agent}"), "beta").await
    }

    pub(crate) async fn start(&self, agent: usize) -> Running {
        let listen = if agent == 0 { self.listen.as_str() } else { "127.0.0.1:0" };
        run::start(&config(&self.data_dir(agent), listen)).await.expect("a working test machine")
    }

    pub(crate) async fn state(&self, agent: usize) -> StateJson {
        show::fetch_state(&self.data_dir(agent)).await.expect("a working test machine")
    }

    /// Asks the agent until it says what is waited for.
    pub(crate) async fn until(&self, agent: usize, what: &str, holds: impl Fn(&StateJson) -> bool) -> StateJson {
        let asking = async {
            let mut pause = tokio::time::interval(Duration::from_millis(100));
            loop {
                pause.tick().await;
                let state = self.state(agent).await;
                if holds(&state) {
                    return state;
                }
            }
        };
        let waited = tokio::time::timeout(PATIENCE, asking).await;
        match waited {
            Ok(state) => state,
            Err(_) => panic!("agent-{agent} never came to: {what}\n{:#?}", self.state(agent).await),
        }
    }
}
