//! The way out for webhooks and mail: an address is resolved, looked at, and connected to as it was looked at.

use aggregator_core::alert::address;
use aggregator_core::network::Network;
use reqwest::Client;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use url::{Host, Url};

/// How long a connection may take to be made.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// How long a sending may take, with everything.
pub const SEND_MAX: Duration = Duration::from_secs(15);
/// Most bytes that are read of an answer.
const ANSWER_BYTES_MAX: usize = 16 * 1024;
/// How long the body of an answer is waited for once its status is there.
const BODY_MAX: Duration = Duration::from_secs(2);

/// A client that reaches nobody inside.
#[derive(Clone, Debug)]
pub struct Outside {
    /// For `https`.
    safe: Client,
    /// For `http`, which goes to named networks only.
    named: Client,
    allowed: Arc<[Network]>,
}

/// Resolves names, and refuses addresses that nobody may be sent to.
#[derive(Debug)]
struct Filter {
    allowed: Arc<[Network]>,
    only_named: bool,
}

impl Filter {
    /// Why not, to be read behind the name of the host.
    fn check(&self, address: IpAddr) -> Result<(), String> {
        if self.only_named && !self.allowed.iter().any(|network| network.has(address)) {
            return Err(format!(
                "is {address}, and plain http goes only to networks that `alerts.allow_networks` names; use https://"
            ));
        }
        address::check(address, &self.allowed).map_err(|why| address::refusal(address, why))
    }

    /// All addresses of a host. One bad address is enough to refuse it: who mixes them tries something.
    async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
        let found: Vec<SocketAddr> =
            tokio::net::lookup_host((host, port)).await.map_err(|why| why.to_string())?.collect();
        for address in &found {
            self.check(address.ip()).map_err(|why| {
                // "127.0.0.1 is 127.0.0.1, which is …" says it twice.
                let once = why.strip_prefix(&format!("is {host}, which "));
                format!("{host} {}", once.unwrap_or(&why))
            })?;
        }
        Ok(found)
    }
}

impl Resolve for Filter {
    fn resolve(&self, name: Name) -> Resolving {
        let filter = Self { allowed: Arc::clone(&self.allowed), only_named: self.only_named };
        Box::pin(async move {
            let good = filter.resolve(name.as_str(), 0).await?;
            Ok(Box::new(good.into_iter()) as Addrs)
        })
    }
}

/// What came back.
#[derive(Clone, PartialEq, Debug)]
pub struct Answer {
    /// Of HTTP.
    pub status: u16,
    /// The header `Retry-After` in seconds, if it is a number.
    pub retry_after_s: Option<f64>,
    /// At most its first 16 KiB.
    pub body: Vec<u8>,
}

impl Outside {
    /// With the networks that the operator named.
    ///
    /// # Panics
    /// Never: the client is made of constants.
    pub fn new(allowed: &[Network]) -> Self {
        crate::tls::install_provider();
        let allowed: Arc<[Network]> = allowed.into();
        let client = |only_named: bool| {
            Client::builder()
                .no_proxy()
                .redirect(reqwest::redirect::Policy::none())
                .connect_timeout(CONNECT_MAX)
                .timeout(SEND_MAX)
                .https_only(!only_named)
                .pool_idle_timeout(Duration::from_secs(30))
                .user_agent("everypath-aggregator")
                .dns_resolver(Arc::new(Filter { allowed: Arc::clone(&allowed), only_named }))
                .build()
                .expect("a client of constants")
        };
        Self { safe: client(false), named: client(true), allowed }
    }

    /// Whether `url` may be a webhook as far as can be told without resolving it.
    ///
    /// # Errors
    /// Why not, to be read behind the name of what it is about.
    pub fn check(&self, url: &Url) -> Result<(), String> {
        if !url.username().is_empty() || url.password().is_some() {
            return Err("must not hold a user name or a password".to_owned());
        }
        let only_named = match url.scheme() {
            "https" => false,
            "http" => true,
            _ => return Err("must begin with https://".to_owned()),
        };
        if only_named && self.allowed.is_empty() {
            return Err(
                "must begin with https://; plain http goes only to networks that `alerts.allow_networks` names"
                    .to_owned(),
            );
        }
        // Names are looked at when they are resolved; an address that is written as one never is.
        let address = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            Some(Host::Domain(_)) => return Ok(()),
            None => return Err("names no host".to_owned()),
        };
        let filter = Filter { allowed: Arc::clone(&self.allowed), only_named };
        filter.check(address)
    }

    /// Whether something may be sent to `address`.
    ///
    /// # Errors
    /// Why not, to be read behind the name of the host.
    pub fn check_address(&self, address: IpAddr) -> Result<(), String> {
        address::check(address, &self.allowed).map_err(|why| address::refusal(address, why))
    }

    /// The addresses of a host that may be called, for what is not HTTP.
    ///
    /// # Errors
    /// Why it may not be, as a sentence without its end.
    pub async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
        Filter { allowed: Arc::clone(&self.allowed), only_named: false }.resolve(host, port).await
    }

    /// Sends `body` to `url`.
    ///
    /// # Errors
    /// Why nothing came back, as a sentence. Of the address only host and port are in it: the rest is a secret.
    pub async fn send(
        &self,
        method: reqwest::Method,
        url: Url,
        headers: &[(&str, String)],
        body: Vec<u8>,
    ) -> Result<Answer, String> {
        self.check(&url).map_err(|why| format!("the address {why}"))?;
        let place = place(&url);
        let client = if url.scheme() == "http" { &self.named } else { &self.safe };
        let mut request = client.request(method, url).header("content-type", "application/json").body(body);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let mut response = request.send().await.map_err(|error| words(error, &place))?;
        let retry_after_s = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
        let status = response.status().as_u16();
        let mut body = Vec::new();
        // The status says how it ended. A body that is late or cut must not have the same sent again.
        let _ = tokio::time::timeout(BODY_MAX, async {
            while let Ok(Some(chunk)) = response.chunk().await {
                let room = ANSWER_BYTES_MAX - body.len();
                body.extend_from_slice(&chunk[..chunk.len().min(room)]);
                if body.len() == ANSWER_BYTES_MAX {
                    break;
                }
            }
        })
        .await;
        Ok(Answer { status, retry_after_s, body })
    }
}

/// Host and port of an address. What stands behind them is a secret.
fn place(url: &Url) -> String {
    let (host, port) = (url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default());
    format!("{host}:{port}")
}

/// The innermost cause says what happened; what is around it names the address.
fn words(error: reqwest::Error, place: &str) -> String {
    if error.is_timeout() {
        return format!("{place} did not answer in time");
    }
    if is_refusal(&error) {
        return format!("{place} refused the connection");
    }
    let was_connected = !error.is_connect();
    let error = error.without_url();
    let cause = causes(&error).last().map(ToString::to_string).unwrap_or_default();
    if was_connected { cause } else { format!("{place} cannot be reached: {cause}") }
}

/// Nobody listens there.
pub(super) fn is_refusal(error: &(dyn Error + 'static)) -> bool {
    let mut kinds = causes(error).filter_map(|cause| cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind));
    kinds.any(|kind| kind == std::io::ErrorKind::ConnectionRefused)
}

/// An error and what caused it, the innermost last.
pub(super) fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&cause| cause.source())
}
