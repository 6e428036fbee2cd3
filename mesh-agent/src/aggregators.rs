//! The aggregators that this agent knows: one client for each address, which one answered last, and which to avoid.

use crate::clock::Clock;
use crate::tls;
use everypath_protocol::time::Span;
use everypath_protocol::token::AggregatorAddress;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use reqwest::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, StatusCode};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Reasons for not reaching anyone that are logged in one outage.
const REASONS_MAX: usize = 8;
/// To be connected, with TLS.
const CONNECT_MAX: Duration = Duration::from_secs(4);
/// For the whole request: a megabyte over a thin line.
const TOTAL_MAX: Duration = Duration::from_secs(15);
/// Without an answer for this long the next address is asked as well, and whichever answers first counts. A batch may
/// arrive twice, so this does no harm; an address that accepts and hangs costs this much, once.
const HEDGE_AFTER: Duration = Duration::from_secs(3);
/// An address that failed comes last for this long,
const AVOID_FAILED: Span = Span::seconds(30);
/// and one that hung for longer: asking it is dear.
const AVOID_HUNG: Span = Span::seconds(120);
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

/// What an aggregator does first when it cannot do everything, as the header Priority says it (RFC 9218).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Urgency {
    /// As everything else.
    Usual,
    /// After everything else.
    Backlog,
}

impl Urgency {
    const fn header(self) -> &'static str {
        match self {
            Self::Usual => "u=3",
            Self::Backlog => "u=6",
        }
    }
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
    /// It is about to end and closes the connection: whoever knows another address should ask there.
    pub is_leaving: bool,
}

#[derive(Debug)]
struct Replica {
    url: String,
    client: Client,
    /// Comes last before this time of the clock below.
    avoid_until: AtomicU64,
}

/// See the module. All clones share what is known of who answers.
#[derive(Clone, Debug)]
pub struct Aggregators {
    replicas: Arc<[Replica]>,
    current: Arc<AtomicUsize>,
    clock: Clock,
    /// Why none could be reached, each reason once; empty while one answers.
    told: Arc<Mutex<BTreeSet<String>>>,
}

impl Aggregators {
    /// A client for each address. `start` says which is asked first; agents that differ in it spread over the addresses.
    ///
    /// # Errors
    /// [`ClientError`] if one cannot be made.
    pub fn new(addresses: &[AggregatorAddress], start: u64) -> Result<Self, ClientError> {
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
                Ok(client) => Ok(Replica { url, client, avoid_until: AtomicU64::new(0) }),
                Err(source) => Err(ClientError { url, source }),
            }
        };
        let replicas: Arc<[Replica]> = addresses.iter().map(client).collect::<Result<_, _>>()?;
        let count = u64::try_from(replicas.len()).unwrap_or(1).max(1);
        let first = usize::try_from(start % count).unwrap_or(0);
        Ok(Self { replicas, current: Arc::new(AtomicUsize::new(first)), clock: Clock::start(), told: Arc::default() })
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.replicas.is_empty()
    }

    /// Sends `body` to the aggregator that answered last, and to the others until one answers. That none does is logged once
    /// for each reason, until one answers again.
    ///
    /// # Errors
    /// [`Unreachable`] if none does.
    pub async fn post(
        &self,
        path: &str,
        content_type: &str,
        urgency: Urgency,
        body: Vec<u8>,
    ) -> Result<Answer, Unreachable> {
        let result = self.ask_in_order(path, content_type, urgency, body).await;
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        match &result {
            Ok(answer) if !told.is_empty() => {
                tracing::info!(url = answer.url, "an aggregator answers again");
                told.clear();
            }
            Ok(_) => {}
            Err(Unreachable { url, why }) => {
                if told.len() < REASONS_MAX && told.insert(why.clone()) {
                    tracing::warn!(
                        url,
                        why,
                        "no aggregator can be reached; results wait in the buffer, and it is tried again"
                    );
                }
            }
        }
        result
    }

    async fn ask_in_order(
        &self,
        path: &str,
        content_type: &str,
        urgency: Urgency,
        body: Vec<u8>,
    ) -> Result<Answer, Unreachable> {
        let mut last = Unreachable { url: "no aggregator".to_owned(), why: "none is known".to_owned() };
        let mut leaving = None;
        let mut waiting = self.in_order().into_iter();
        let mut under_way = FuturesUnordered::new();
        let mut asked = Vec::new();
        let ask = |place: usize| {
            let (replica, body) = (&self.replicas[place], body.clone());
            async move { (place, post_one(&replica.client, &replica.url, path, content_type, urgency, body).await) }
        };
        loop {
            if under_way.is_empty() {
                let Some(place) = waiting.next() else { break };
                asked.push(place);
                under_way.push(ask(place));
            }
            let has_more = waiting.len() > 0;
            tokio::select! {
                Some((place, result)) = under_way.next() => {
                    asked.retain(|other| *other != place);
                    let url = &self.replicas[place].url;
                    match result {
                        Ok(answer) if answer.is_leaving => leaving = Some(answer),
                        // What may be wrong with this replica alone is worth a try with the next one.
                        Ok(answer) if is_broken(answer.status) => {
                            last = Unreachable { url: url.clone(), why: format!("it answered {}", answer.status) };
                        }
                        Ok(answer) => {
                            // Whoever was asked before and has said nothing yet hangs.
                            asked.iter().for_each(|hung| self.avoid(*hung, AVOID_HUNG));
                            self.current.store(place, Ordering::Relaxed);
                            return Ok(answer);
                        }
                        Err(why) => last = Unreachable { url: url.clone(), why },
                    }
                    self.avoid(place, AVOID_FAILED);
                }
                () = tokio::time::sleep(HEDGE_AFTER), if has_more => {
                    let next = waiting.next().expect("it was just looked at");
                    asked.push(next);
                    under_way.push(ask(next));
                }
            }
        }
        // All that answered are about to end: their wish for a pause is kept.
        leaving.ok_or(last)
    }

    /// Places, the one that answered last first; those to be avoided behind the others, the longest avoided first.
    fn in_order(&self) -> Vec<usize> {
        let (count, now) = (self.replicas.len(), self.clock.mono().0);
        let current = self.current.load(Ordering::Relaxed);
        let mut places: Vec<usize> = (0..count).map(|step| (current + step) % count).collect();
        places.sort_by_key(|place| {
            let until = self.replicas[*place].avoid_until.load(Ordering::Relaxed);
            if until > now { until } else { 0 }
        });
        places
    }

    fn avoid(&self, place: usize, span: Span) {
        let until = self.clock.mono() + span;
        self.replicas[place].avoid_until.store(until.0, Ordering::Relaxed);
    }
}

fn is_broken(status: StatusCode) -> bool {
    status.is_server_error() && status != StatusCode::SERVICE_UNAVAILABLE
}

/// The code of the problem that an aggregator answers with while it ends.
const LEAVING_CODE: &str = "shutting_down";

#[derive(serde::Deserialize)]
struct Code {
    code: String,
}

async fn post_one(
    client: &Client,
    url: &str,
    path: &str,
    content_type: &str,
    urgency: Urgency,
    body: Vec<u8>,
) -> Result<Answer, String> {
    let request = client.post(format!("{url}{path}")).header(CONTENT_TYPE, content_type);
    let request = request.header("priority", urgency.header()).body(body);
    let mut response = request.send().await.map_err(|why| root_cause(&why))?;
    let status = response.status();
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let says_close =
        response.headers().get(CONNECTION).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close"));
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|why| root_cause(&why))? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err("it answered with more than 4 MiB".to_owned());
        }
        body.extend_from_slice(&chunk);
    }
    // HTTP/2 has no word for it in the header, so the problem's code may say it too.
    let is_leaving = status == StatusCode::SERVICE_UNAVAILABLE
        && (says_close || serde_json::from_slice::<Code>(&body).is_ok_and(|problem| problem.code == LEAVING_CODE));
    Ok(Answer { status, retry_after: retry_after.map(Duration::from_secs), body, url: url.to_owned(), is_leaving })
}

/// The innermost reason is the one that a person can act on; the outer ones say only that there was one.
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let text = cause.to_string();
    if text.contains("InvalidContentType") {
        return format!("what answers at this port does not speak HTTPS ({text}); compare the port");
    }
    if text.contains("ApplicationVerificationFailure") {
        return "its TLS certificate is not the one that was pinned by the join token. If the aggregator was given a new \
                certificate, join again with a new token; if not, somebody else answers at this address"
            .to_owned();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An agent whose aggregator had another certificate than the token said was silent for ever: every failure was logged for
    /// developers only.
    #[tokio::test]
    async fn that_none_can_be_reached_is_told_once_for_each_reason() {
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let plain = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = |at| AggregatorAddress { url: format!("https://{at}"), pin: Some([0; 32]) };
        let aggregators = Aggregators::new(&[address(closed)], 0).unwrap();
        for _ in 0..3 {
            aggregators.post("/", "text/plain", Urgency::Usual, Vec::new()).await.unwrap_err();
        }
        assert_eq!(aggregators.told.lock().unwrap().len(), 1);

        let spoken_to = Aggregators::new(&[address(plain.local_addr().unwrap())], 0).unwrap();
        std::thread::spawn(move || {
            std::io::Write::write_all(&mut plain.accept().unwrap().0, b"HTTP/1.1 400 Bad Request\r\n\r\n")
        });
        let said = spoken_to.post("/", "text/plain", Urgency::Usual, Vec::new()).await.unwrap_err().to_string();
        assert!(said.contains("does not speak HTTPS") && said.contains("compare the port"), "{said}");
    }
}
