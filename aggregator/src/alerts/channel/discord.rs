//! Webhooks of Discord: one message an incident, changed while that goes on. What the provider documents: `wait=true` answers with
//! the message; its id is needed to change it; 429 says in `retry_after` how many seconds to wait.

use super::super::outside::Outside;
use super::{Parcel, said};
use aggregator_core::alert::render::discord;
use aggregator_core::alert::retry::{Outcome, of_status};
use everypath_protocol::fault::Fault;
use everypath_protocol::time::Span;
use reqwest::{Method, Url};

/// Longest id that is believed: 64 bits in digits.
const ID_BYTES_MAX: usize = 20;

/// What is wrong with the address of a webhook, which can be read otherwise.
pub(super) fn faults(url: &str) -> Option<Fault> {
    let is_webhook = Url::parse(url).is_ok_and(|url| {
        let parts: Vec<&str> = url.path_segments().into_iter().flatten().filter(|part| !part.is_empty()).collect();
        matches!(parts.as_slice(), ["api", "webhooks", _, _] | ["api", _, "webhooks", _, _])
    });
    let form = "must be like https://discord.com/api/webhooks/NUMBER/TOKEN, as Discord shows it";
    (!is_webhook).then(|| Fault::new("target.url", form))
}

pub(super) async fn send(outside: &Outside, url: &str, parcel: &Parcel<'_>) -> Outcome {
    let Ok(mut url) = Url::parse(url) else { return Outcome::Refused("the address cannot be read".to_owned()) };
    let edits = parcel.edits.filter(|id| is_id(id));
    let method = if let Some(id) = edits {
        if let Ok(mut parts) = url.path_segments_mut() {
            parts.pop_if_empty().extend(["messages", id]);
        }
        Method::PATCH
    } else {
        url.query_pairs_mut().append_pair("wait", "true");
        Method::POST
    };
    let body = serde_json::to_vec(&discord::message(parcel.notice)).expect("it is made of strings and numbers");
    let answer = match outside.send(method, url, &[], body).await {
        Ok(answer) => answer,
        Err(why) => return Outcome::Failed(why),
    };
    let json: Option<serde_json::Value> = serde_json::from_slice(&answer.body).ok();
    let field = |name: &str| json.as_ref().and_then(|json| json.get(name));
    let retry_after = field("retry_after").and_then(serde_json::Value::as_f64).or(answer.retry_after_s).and_then(span);
    let id = field("id").and_then(serde_json::Value::as_str).filter(|id| is_id(id)).map(str::to_owned);
    of_status(answer.status, retry_after, edits.is_some(), id, &said(&answer.body))
}

/// It becomes part of an address.
fn is_id(text: &str) -> bool {
    (1..=ID_BYTES_MAX).contains(&text.len()) && text.bytes().all(|digit| digit.is_ascii_digit())
}

/// Seconds as a provider writes them, rounded up to milliseconds.
pub(super) fn span(seconds: f64) -> Option<Span> {
    let duration = std::time::Duration::try_from_secs_f64(seconds).ok()?;
    Some(crate::clock::span(duration + std::time::Duration::from_millis(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_that_discord_shows() {
        for url in [
            "https://discord.com/api/webhooks/123/abc",
            "https://discord.com/api/v10/webhooks/123/abc",
            "https://discord.com/api/webhooks/123/abc/?thread_id=5",
        ] {
            assert_eq!(faults(url), None, "{url}");
        }
        for url in
            ["https://discord.com/", "https://discord.com/api/webhooks/123", "https://discord.com/channels/1/2", "x"]
        {
            assert!(faults(url).is_some(), "{url}");
        }
    }

    #[test]
    fn only_a_number_is_an_id() {
        assert!(is_id("1234567890123456789"));
        assert!(!is_id("") && !is_id("../x") && !is_id("12a") && !is_id(&"1".repeat(21)));
    }

    #[test]
    fn rests_are_seconds_with_fractions() {
        assert_eq!(span(0.5), Some(Span::millis(501)));
        assert_eq!((span(-1.0), span(f64::NAN), span(f64::INFINITY)), (None, None, None));
    }
}
