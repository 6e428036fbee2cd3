//! The aggregators that this agent knows: one client for each address, which one answered last, and which to avoid.

mod reason;

use crate::clock::{self, Clock};
use crate::tls;
use everypath_protocol::time::{Span, UnixTime};
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
/// What is shown of an answer's reason.
const DETAIL_CHARS_MAX: usize = 300;
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
    trouble: Arc<Mutex<Trouble>>,
}

/// What is wrong with reaching them.
#[derive(Debug, Default)]
struct Trouble {
    /// Why none could be reached, each reason once; empty while one answers.
    told: BTreeSet<String>,
    last: Option<Failure>,
}

/// The last time that an aggregator did not do what it was asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// When.
    pub at: UnixTime,
    /// Which one.
    pub url: String,
    /// What was wrong.
    pub why: String,
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
        Ok(Self {
            replicas,
            current: Arc::new(AtomicUsize::new(first)),
            clock: Clock::start(),
            trouble: Arc::default(),
        })
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.replicas.is_empty()
    }

    /// What went wrong last, unless an aggregator has done what it was asked since then.
    pub fn failure(&self) -> Option<Failure> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).last.clone()
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
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        match &result {
            Ok(answer) => {
                if !trouble.told.is_empty() {
                    tracing::info!(url = answer.url, "an aggregator answers again");
                    trouble.told.clear();
                }
                match refusal(answer) {
                    Some(why) => trouble.last = Some(Failure { at: clock::wall(), url: answer.url.clone(), why }),
                    None if answer.status.is_success() => trouble.last = None,
                    None => {}
                }
            }
            Err(Unreachable { url, why }) => {
                trouble.last = Some(Failure { at: clock::wall(), url: url.clone(), why: why.clone() });
                if trouble.told.len() < REASONS_MAX && trouble.told.insert(why.clone()) {
                    tracing::warn!(
                        url,
                        why,
                        "no aggregator can be reached; results wait in the buffer, and it is tried again"
                    );
                }
            }
        }
        drop(trouble);
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

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Problem {
    code: String,
    detail: String,
}

/// What a person should know of an answer. To wait a little, or to go on from another number, is what happens every day.
fn refusal(answer: &Answer) -> Option<String> {
    let is_usual = matches!(answer.status, StatusCode::CONFLICT | StatusCode::TOO_MANY_REQUESTS);
    if answer.status.is_success() || is_usual {
        return None;
    }
    let Problem { detail, .. } = serde_json::from_slice(&answer.body).unwrap_or_default();
    let detail: String = detail.chars().take(DETAIL_CHARS_MAX).collect();
    let status = answer.status;
    Some(if detail.is_empty() { format!("it answered {status}") } else { format!("it answered {status}: {detail}") })
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
    let mut response = request.send().await.map_err(|why| reason::of(&why))?;
    let status = response.status();
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let says_close =
        response.headers().get(CONNECTION).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close"));
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|why| reason::of(&why))? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err("it answered with more than 4 MiB".to_owned());
        }
        body.extend_from_slice(&chunk);
    }
    // HTTP/2 has no word for it in the header, so the problem's code may say it too.
    let is_leaving = status == StatusCode::SERVICE_UNAVAILABLE
        && (says_close || serde_json::from_slice::<Problem>(&body).is_ok_and(|problem| problem.code == LEAVING_CODE));
    Ok(Answer { status, retry_after: retry_after.map(Duration::from_secs), body, url: url.to_owned(), is_leaving })
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
        assert_eq!(aggregators.trouble.lock().unwrap().told.len(), 1);
        let failure = aggregators.failure().unwrap();
        assert!(failure.url.contains(&closed.to_string()) && failure.why.contains("refused"), "{failure:?}");

        let spoken_to = Aggregators::new(&[address(plain.local_addr().unwrap())], 0).unwrap();
        std::thread::spawn(move || {
            std::io::Write::write_all(&mut plain.accept().unwrap().0, b"HTTP/1.1 400 Bad Request\r\n\r\n")
        });
        let said = spoken_to.post("/", "text/plain", Urgency::Usual, Vec::new()).await.unwrap_err().to_string();
        assert!(said.contains("does not speak HTTPS") && said.contains("compare the port"), "{said}");
    }

    #[test]
    fn a_refusal_is_told_with_its_reason_and_what_happens_every_day_is_not() {
        let answer = |status, body: &str| Answer {
            status,
            retry_after: None,
            body: body.as_bytes().to_vec(),
            url: String::new(),
            is_leaving: false,
        };
        let problem = r#"{"code": "revoked", "detail": "this agent was removed"}"#;
        let told = refusal(&answer(StatusCode::FORBIDDEN, problem));
        assert_eq!(told.as_deref(), Some("it answered 403 Forbidden: this agent was removed"));
        assert_eq!(refusal(&answer(StatusCode::NOT_FOUND, "<html>")).as_deref(), Some("it answered 404 Not Found"));
        for usual in [StatusCode::OK, StatusCode::CONFLICT, StatusCode::TOO_MANY_REQUESTS] {
            assert_eq!(refusal(&answer(usual, problem)), None);
        }
    }
}
