//! The aggregators that this agent knows: one client for each address, and which one answered last.

use crate::tls;
use everypath_protocol::token::AggregatorAddress;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, StatusCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// To be connected, with TLS.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// For the whole request.
const TOTAL_MAX: Duration = Duration::from_secs(15);
/// Most bytes of an answer; the longest is a list of members.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Why a client cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot prepare HTTPS to {url}: {source}")]
pub struct ClientError {
    url: String,
    source: reqwest::Error,
}

/// No aggregator answered.
#[derive(Debug, thiserror::Error)]
#[error("{url}: {why}")]
pub struct Unreachable {
    /// The last one tried.
    pub url: String,
    /// What was wrong.
    pub why: String,
}

/// What an aggregator answered.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: StatusCode,
    /// Wait this long, if it said so.
    pub retry_after: Option<Duration>,
    /// The body.
    pub body: Vec<u8>,
    /// Who answered.
    pub url: String,
}

/// See the module. All clones share what is known of who answers.
#[derive(Clone, Debug)]
pub struct Aggregators {
    clients: Arc<[(String, Client)]>,
    current: Arc<AtomicUsize>,
}

impl Aggregators {
    /// A client for each address.
    ///
    /// # Errors
    /// [`ClientError`] if one cannot be made.
    pub fn new(addresses: &[AggregatorAddress]) -> Result<Self, ClientError> {
        tls::use_one_provider();
        let client = |address: &AggregatorAddress| {
            // A proxy of the environment would be asked for addresses that only this network knows.
            let builder = Client::builder().connect_timeout(CONNECT_MAX).timeout(TOTAL_MAX).no_proxy();
            let builder = match address.pin {
                Some(pin) => builder.tls_backend_preconfigured(tls::pinned(pin)),
                None => builder,
            };
            let builder = builder.https_only(true).redirect(reqwest::redirect::Policy::none());
            let url = address.url.trim_end_matches('/').to_owned();
            match builder.build() {
                Ok(client) => Ok((url, client)),
                Err(source) => Err(ClientError { url, source }),
            }
        };
        let clients = addresses.iter().map(client).collect::<Result<_, _>>()?;
        Ok(Self { clients, current: Arc::new(AtomicUsize::new(0)) })
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }

    /// Sends `body` to the aggregator that answered last, and to the others in turn until one answers.
    ///
    /// # Errors
    /// [`Unreachable`] if none does.
    pub async fn post(&self, path: &str, content_type: &str, body: Vec<u8>) -> Result<Answer, Unreachable> {
        let mut last = Unreachable { url: "no aggregator".to_owned(), why: "none is known".to_owned() };
        for _ in 0..self.clients.len() {
            let current = self.current.load(Ordering::Relaxed);
            let (url, client) = &self.clients[current % self.clients.len()];
            match post_one(client, url, path, content_type, body.clone()).await {
                // What may be wrong with this replica alone is worth a try with the next one.
                Ok(answer) if !is_broken(answer.status) => return Ok(answer),
                Ok(answer) => last = Unreachable { url: url.clone(), why: format!("it answered {}", answer.status) },
                Err(why) => last = Unreachable { url: url.clone(), why },
            }
            // Another request may have moved on already; then stay with its choice.
            let next = current.wrapping_add(1);
            let _ = self.current.compare_exchange(current, next, Ordering::Relaxed, Ordering::Relaxed);
        }
        Err(last)
    }
}

fn is_broken(status: StatusCode) -> bool {
    status.is_server_error() && status != StatusCode::SERVICE_UNAVAILABLE
}

async fn post_one(client: &Client, url: &str, path: &str, content_type: &str, body: Vec<u8>) -> Result<Answer, String> {
    let request = client.post(format!("{url}{path}")).header(CONTENT_TYPE, content_type).body(body);
    let mut response = request.send().await.map_err(|why| root_cause(&why))?;
    let status = response.status();
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|why| root_cause(&why))? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err("it answered with more than 4 MiB".to_owned());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, retry_after: retry_after.map(Duration::from_secs), body, url: url.to_owned() })
}

/// The innermost reason is the one that a person can act on; the outer ones say only that there was one.
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let text = cause.to_string();
    if text.contains("ApplicationVerificationFailure") {
        return "its TLS certificate is not the one that was pinned when this agent joined. If the aggregator was \
                given a new certificate, join again with a new token"
            .to_owned();
    }
    text
}
