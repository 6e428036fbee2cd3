//! Where the listeners are, and how that is told: to agents in tokens, to programs on this host in a file.

use crate::files::{self, Reader};
use anyhow::Context as _;
use everypath_protocol::token::AggregatorAddress;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;

const FILE: &str = "addresses.json";

/// The bound listeners.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Bound {
    /// TLS.
    pub https: SocketAddr,
    /// Loopback.
    pub http: SocketAddr,
    /// The URLs that `serve` was told to put into tokens.
    #[serde(default)]
    pub advertise: Vec<String>,
    /// The TLS certificate is the self-signed one, so tokens must carry its hash.
    #[serde(default)]
    pub is_self_signed: bool,
}

impl Bound {
    /// Writes `addresses.json`, for scripts that start an aggregator and must know when and where it is ready.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, data_dir: &Path) -> anyhow::Result<()> {
        let path = data_dir.join(FILE);
        let json = serde_json::to_vec(self).context("while writing the addresses")?;
        files::write_whole(&path, &json, Reader::Everyone).with_context(|| format!("while writing {}", path.display()))
    }

    /// What a running aggregator wrote last.
    pub fn read(data_dir: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(data_dir.join(FILE)).ok()?).ok()
    }

    /// URLs for tokens: those named now, else those that `serve` was told, else an address of this host.
    pub fn advertised(&self, named: &[String], pin: Option<[u8; 32]>) -> Vec<AggregatorAddress> {
        let found = [format!("https://{}", SocketAddr::new(reachable(self.https.ip()), self.https.port()))];
        let urls = [named, &self.advertise, &found].into_iter().find(|urls| !urls.is_empty()).unwrap_or(&[]);
        urls.iter().map(|url| AggregatorAddress { url: url.clone(), pin }).collect()
    }
}

/// The address itself, or for "all addresses" the one that this host uses to speak to others.
pub fn reachable(listen: IpAddr) -> IpAddr {
    if listen.is_unspecified() { outward().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)) } else { listen }
}

/// Asks the routing table. Connecting a UDP socket sends nothing; the address is one reserved for documentation.
fn outward() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    socket.local_addr().ok().map(|address| address.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(https: &str) -> Bound {
        let http = "127.0.0.1:1".parse().expect("valid");
        Bound { https: https.parse().expect("valid"), http, advertise: Vec::new(), is_self_signed: true }
    }

    #[test]
    fn configured_urls_win_over_what_was_found() {
        let bound = bound("192.0.2.7:8443");
        let found = bound.advertised(&[], Some([1; 32]));
        assert_eq!(found, [AggregatorAddress { url: "https://192.0.2.7:8443".into(), pin: Some([1; 32]) }]);
        let configured = bound.advertised(&["https://a:1".to_owned(), "https://b:2".to_owned()], None);
        assert_eq!(
            configured.iter().map(|address| address.url.as_str()).collect::<Vec<_>>(),
            ["https://a:1", "https://b:2"]
        );
        let told = Bound { advertise: vec!["https://told:1".to_owned()], ..bound };
        assert_eq!(told.advertised(&[], None)[0].url, "https://told:1", "what `serve` was told goes into later tokens");
    }

    #[test]
    fn the_file_comes_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let bound = bound("[::1]:8443");
        assert_eq!(Bound::read(folder.path()), None);
        bound.write(folder.path()).expect("written");
        assert_eq!(Bound::read(folder.path()), Some(bound));
        let text = std::fs::read_to_string(folder.path().join(FILE)).expect("readable");
        assert!(text.starts_with(r#"{"https":"[::1]:8443","http":"127.0.0.1:1","#), "scripts read this: {text}");
    }
}
