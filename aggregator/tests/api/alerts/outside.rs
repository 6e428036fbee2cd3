//! Where messages may go, and what a stranger at the other end can do.

use super::{KEY, Mesh};
use crate::sinks::{Answer as Says, WebSink};
use axum::http::Method;
use serde_json::{Value, json};
use std::io::Write as _;

#[tokio::test]
async fn addresses_inside_are_refused_where_they_are_written_and_where_they_are_resolved() {
    let mesh = Mesh::with("").await;
    let sink = WebSink::start().await;
    for url in [
        "https://127.0.0.1/in",
        "https://[::1]/in",
        "https://169.254.169.254/latest",
        "https://10.0.0.1/",
        "https://[::ffff:127.0.0.1]/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://u:p@example.org/",
        "ftp://example.org/",
        "http://example.org/",
        "file:///etc/passwd",
        "nonsense",
    ] {
        let target = json!({"kind": "webhook", "url": url, "key": KEY});
        let body = json!({"name": "x", "enabled": true, "repeat_s": 0, "target": target});
        let answer = mesh.call(Method::POST, "/api/v1/channels", &body).await;
        assert_eq!(answer.problem(), (400, "invalid_channel".into()), "{url}");
        assert_eq!(answer.fault_paths(), ["target.url"], "{url}");
    }
    // A name that is resolved to this host.
    let url = format!("https://localhost:{}/in", sink.port);
    let id = mesh.channel("x", json!({"kind": "webhook", "url": url, "key": KEY})).await;
    let answer = mesh.call(Method::POST, &format!("/api/v1/channels/{id}/test"), &json!({})).await.json();
    assert_eq!(answer["sent"], false);
    let detail = answer["detail"].as_str().expect("text");
    assert!(detail.contains("this host's own (loopback); name its network in `alerts.allow_networks`"), "{detail}");
    assert!(sink.taken().is_empty(), "nobody was reached");
}

/// Says something to whoever calls, and ever more if it has no end.
fn talker(says: &'static [u8], is_endless: bool) -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            while stream.write_all(says).is_ok() && is_endless {}
        }
    });
    port
}

fn mail_to(host: &str, port: u16) -> Value {
    let settings =
        json!({"host": host, "port": port, "security": "none", "from": "e@mesh.test", "to": ["a@mesh.test"]});
    json!({"kind": "mail", "settings": settings})
}

/// A mail server that never ended its line filled the memory, 60 MB a second.
#[tokio::test]
async fn a_mail_server_that_says_too_much_is_cut_off_and_what_is_none_is_not_repeated() {
    let mesh = Mesh::new().await;
    for (port, expected) in [
        (talker(b"220 a line without an end ", true), "the mail server said more than 64 KiB"),
        (talker(b"SSH-2.0-Hidden_1.2\r\n", false), "what answers there does not speak SMTP"),
        (talker(b"500 Hidden_1.2\r\n", false), "the mail server does not greet, but says 500"),
    ] {
        let id = mesh.channel(&format!("mail {port}"), mail_to("127.0.0.1", port)).await;
        let answer = mesh.call(Method::POST, &format!("/api/v1/channels/{id}/test"), &json!({})).await.json();
        let detail = answer["detail"].as_str().expect("text");
        assert!(detail.contains(expected) && !detail.contains("Hidden"), "{detail}");
    }
}

/// Mail went where webhooks may not, and what answered there was repeated.
#[tokio::test]
async fn mail_reaches_nothing_inside_that_is_not_named() {
    let mesh = Mesh::with("").await;
    let body = json!({"name": "x", "enabled": true, "repeat_s": 0, "target": mail_to("127.0.0.1", 25)});
    let answer = mesh.call(Method::POST, "/api/v1/channels", &body).await;
    assert_eq!(answer.problem(), (400, "invalid_channel".into()));
    let port = talker(b"220 here\r\n", false);
    let id = mesh.channel("x", mail_to("localhost", port)).await;
    let answer = mesh.call(Method::POST, &format!("/api/v1/channels/{id}/test"), &json!({})).await.json();
    let detail = answer["detail"].as_str().expect("text");
    assert!(detail.contains("this host's own (loopback); name its network in `alerts.allow_networks`"), "{detail}");
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let mesh = Mesh::new().await;
    let (sink, inside) = (WebSink::start().await, WebSink::start().await);
    sink.says(&[Says::Redirect(inside.url("/secret"))]);
    let id = mesh.channel("x", json!({"kind": "webhook", "url": sink.url("/in"), "key": KEY})).await;
    let answer = mesh.call(Method::POST, &format!("/api/v1/channels/{id}/test"), &json!({})).await.json();
    assert_eq!(
        (&answer["sent"], answer["detail"].as_str()),
        (&json!(false), Some("HTTP 307: redirects are not followed"))
    );
    assert!(inside.taken().is_empty());
}
