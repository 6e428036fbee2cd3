//! Anything that takes our JSON: `docs/reference/webhook.md`.

use super::super::outside::Outside;
use super::{Parcel, discord, said};
use crate::clock::rfc3339;
use aggregator_core::alert::Notice;
use aggregator_core::alert::retry::{Outcome, of_status};
use aws_lc_rs::hmac;
use everypath_protocol::id::hex;
use everypath_protocol::time::UnixTime;
use reqwest::{Method, Url};
use serde::Serialize;

/// Of the JSON. A field may be added without it; one that changes or goes makes it grow.
const VERSION: u32 = 1;

#[derive(Debug, Serialize)]
struct Body<'a> {
    version: u32,
    delivery: &'a str,
    event: &'static str,
    sent_at: String,
    mesh: &'a str,
    incident: Incident<'a>,
}

#[derive(Debug, Serialize)]
struct Incident<'a> {
    id: &'a str,
    state: &'static str,
    severity: &'a str,
    class: &'a str,
    title: &'a str,
    evidence: &'a str,
    notes: &'a [String],
    rules: &'a [String],
    since: String,
    opened_at: String,
    ended_at: Option<String>,
    ending: Option<&'a str>,
    acknowledged_by: Option<&'a str>,
    flaps: u32,
    url: Option<&'a str>,
}

pub(super) fn body(notice: &Notice, delivery: &str, now: UnixTime) -> Vec<u8> {
    let body = Body {
        version: VERSION,
        delivery,
        event: notice.event.name(),
        sent_at: rfc3339(now),
        mesh: &notice.mesh,
        incident: Incident {
            id: &notice.incident,
            state: if notice.ended_us.is_some() { "over" } else { "open" },
            severity: &notice.severity,
            class: &notice.class,
            title: &notice.title,
            evidence: &notice.evidence,
            notes: &notice.notes,
            rules: &notice.rules,
            since: rfc3339(UnixTime(notice.since_us)),
            opened_at: rfc3339(UnixTime(notice.opened_us)),
            ended_at: notice.ended_us.map(|at| rfc3339(UnixTime(at))),
            ending: notice.ending.as_ref().map(|(word, _)| word.as_str()),
            acknowledged_by: notice.acknowledged_by.as_deref(),
            flaps: notice.flaps,
            url: notice.url.as_deref(),
        },
    };
    serde_json::to_vec(&body).expect("it is made of strings and numbers")
}

/// `v1=` and HMAC-SHA-256 (RFC 2104) over the timestamp, a dot and the body: whoever heard an old message cannot send it again later.
pub(super) fn signature(key: &str, timestamp: &str, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
    let mut context = hmac::Context::with_key(&key);
    context.update(timestamp.as_bytes());
    context.update(b".");
    context.update(body);
    format!("v1={}", hex(context.sign().as_ref()))
}

pub(super) async fn send(outside: &Outside, url: &str, key: &str, parcel: &Parcel<'_>) -> Outcome {
    let Ok(url) = Url::parse(url) else { return Outcome::Refused("the address cannot be read".to_owned()) };
    // The same if it is sent once more, so that whoever gets it twice can tell.
    let delivery = format!("{}.{}.{}", parcel.notice.incident, parcel.channel, parcel.number);
    let body = body(parcel.notice, &delivery, parcel.now);
    let timestamp = (parcel.now.0 / 1_000_000).to_string();
    let headers = [
        ("x-everypath-delivery", delivery),
        ("x-everypath-signature", signature(key, &timestamp, &body)),
        ("x-everypath-timestamp", timestamp),
    ];
    match outside.send(Method::POST, url, &headers, body).await {
        Ok(answer) => {
            let retry_after = answer.retry_after_s.and_then(discord::span);
            of_status(answer.status, retry_after, false, None, &said(&answer.body))
        }
        Err(why) => Outcome::Failed(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_signature_is_the_one_of_the_reference() {
        // printf '1795392000.{}' | openssl dgst -sha256 -hmac 0123456789abcdef0123456789abcdef
        let signature = signature("0123456789abcdef0123456789abcdef", "1795392000", b"{}");
        assert_eq!(signature, "v1=d38243205a68d5d29b766c1bdc44e81cf8b23f3ae0614a69f466bbf3d535095f");
    }

    #[test]
    fn the_body_has_every_field_of_the_reference() {
        let notice = Notice::test("me", "abcd", 1_795_392_000_000_000);
        let json: serde_json::Value =
            serde_json::from_slice(&body(&notice, "d", UnixTime(1_795_392_000_000_000))).expect("JSON");
        let reference = include_str!("../../../../docs/reference/webhook.md");
        let keys =
            |value: &serde_json::Value| value.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
        let written: BTreeSet<String> = [keys(&json), keys(&json["incident"])].concat().into_iter().collect();
        let rows = reference.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
        let fields = rows.filter(|(name, _)| !name.starts_with("X-"));
        let described: BTreeSet<String> = fields.map(|(name, _)| name.to_owned()).collect();
        assert_eq!(written, described);
        assert_eq!((json["version"].as_u64(), json["sent_at"].as_str()), (Some(1), Some("2026-11-23T00:00:00Z")));
    }
}
