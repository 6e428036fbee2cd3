//! Where messages arrive: a provider that answers as it is told to, and a mail server with TLS.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use futures::StreamExt as _;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What the provider says.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Answer {
    /// 200 with a message, as Discord answers with `wait=true`.
    Message,
    Status(u16),
    TooMany(f64),
    Redirect(String),
    /// Nothing, ever.
    Hang,
    /// 200, and the rest of it never.
    Cut,
}

#[derive(Clone, Debug)]
pub(crate) struct Request {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Request {
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.uri)
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

#[derive(Clone, Default)]
struct Inbox {
    requests: Arc<Mutex<Vec<Request>>>,
    answers: Arc<Mutex<VecDeque<Answer>>>,
}

/// A provider.
pub(crate) struct WebSink {
    pub(crate) port: u16,
    inbox: Inbox,
}

impl WebSink {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let inbox = Inbox::default();
        let router = Router::new().fallback(take).with_state(inbox.clone());
        tokio::spawn(axum::serve(listener, router).into_future());
        Self { port, inbox }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// What it says to the next requests; afterwards it takes everything.
    pub(crate) fn says(&self, answers: &[Answer]) {
        self.inbox.answers.lock().expect("nobody panics with it").extend(answers.iter().cloned());
    }

    /// What arrived since the last time.
    pub(crate) fn taken(&self) -> Vec<Request> {
        std::mem::take(&mut self.inbox.requests.lock().expect("nobody panics with it"))
    }
}

async fn take(State(inbox): State<Inbox>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    inbox.requests.lock().expect("nobody panics with it").push(Request { method, uri, headers, body });
    let answer = inbox.answers.lock().expect("nobody panics with it").pop_front().unwrap_or(Answer::Message);
    let json = [(header::CONTENT_TYPE, "application/json")];
    match answer {
        Answer::Message => (json, r#"{"id":"1"}"#).into_response(),
        Answer::Status(status) => (StatusCode::from_u16(status).expect("a status"), "words").into_response(),
        Answer::TooMany(seconds) => {
            (StatusCode::TOO_MANY_REQUESTS, json, format!(r#"{{"retry_after":{seconds}}}"#)).into_response()
        }
        Answer::Redirect(to) => (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, to)]).into_response(),
        Answer::Hang => std::future::pending().await,
        Answer::Cut => {
            let parts = futures::stream::iter([Ok::<_, std::io::Error>("tw")]).chain(futures::stream::pending());
            axum::body::Body::from_stream(parts).into_response()
        }
    }
}

/// A mail as it arrived.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mail {
    pub(crate) login: String,
    pub(crate) recipients: Vec<String>,
    headers: String,
    pub(crate) text: String,
}

impl Mail {
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let begins = format!("{name}: ");
        self.headers.lines().find_map(|line| line.strip_prefix(&begins)).map(str::to_owned)
    }
}

/// A mail server that speaks TLS from the beginning, or after STARTTLS, and takes mail from whoever logged in.
pub(crate) struct MailSink {
    pub(crate) port: u16,
    /// Certificate of the authority that signed its own.
    pub(crate) ca: String,
    mails: Arc<Mutex<Vec<Mail>>>,
    said: Arc<Mutex<Vec<String>>>,
}

impl MailSink {
    pub(crate) fn start(starttls: bool) -> Self {
        let (config, ca) = certificate();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let (mails, said) = (Arc::<Mutex<Vec<Mail>>>::default(), Arc::<Mutex<Vec<String>>>::default());
        let (inbox, log) = (Arc::clone(&mails), Arc::clone(&said));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                let result = serve(stream, &config, starttls, &log);
                match result {
                    Ok(received) => inbox.lock().expect("nobody panics with it").extend(received),
                    Err(error) => log.lock().expect("nobody panics with it").push(error.to_string()),
                }
            }
        });
        Self { port, ca, mails, said }
    }

    pub(crate) fn taken(&self) -> Vec<Mail> {
        std::mem::take(&mut self.mails.lock().expect("nobody panics with it"))
    }

    /// What clients said, for whoever wonders.
    pub(crate) fn said(&self) -> Vec<String> {
        self.said.lock().expect("nobody panics with it").clone()
    }
}

fn certificate() -> (Arc<ServerConfig>, String) {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("signed");
    let key = KeyPair::generate().expect("a key");
    let own =
        CertificateParams::new(vec!["localhost".to_owned()]).expect("a name").signed_by(&key, &ca).expect("signed");
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    aggregator::tls::install_provider();
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![own.der().clone()], key);
    (Arc::new(config.expect("they fit")), ca.pem())
}

trait Talk: Read + Write {}
impl<T: Read + Write> Talk for T {}

fn serve(
    stream: TcpStream,
    config: &Arc<ServerConfig>,
    starttls: bool,
    log: &Mutex<Vec<String>>,
) -> std::io::Result<Vec<Mail>> {
    let tls = |stream: TcpStream| {
        let connection = ServerConnection::new(Arc::clone(config)).expect("a configuration");
        StreamOwned::new(connection, stream)
    };
    if starttls {
        let mut plain = stream.try_clone()?;
        plain.write_all(b"220 sink\r\n")?;
        let mut lines = BufReader::new(stream.try_clone()?);
        loop {
            let mut line = String::new();
            if lines.read_line(&mut line)? == 0 {
                return Ok(Vec::new());
            }
            if line.starts_with("EHLO") {
                plain.write_all(b"250-sink\r\n250 STARTTLS\r\n")?;
            } else if line.starts_with("STARTTLS") {
                plain.write_all(b"220 go\r\n")?;
                return talk(&mut tls(stream), false, log);
            } else {
                plain.write_all(b"530 TLS first\r\n")?;
            }
        }
    }
    talk(&mut tls(stream), true, log)
}

fn talk(stream: &mut dyn Talk, greets: bool, log: &Mutex<Vec<String>>) -> std::io::Result<Vec<Mail>> {
    let (mut mails, mut mail) = (Vec::new(), Mail::default());
    if greets {
        stream.write_all(b"220 sink\r\n")?;
    }
    loop {
        let line = line(stream)?;
        log.lock().expect("nobody panics with it").push(line.clone());
        let between = |text: &str| {
            text.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map(|(inner, _)| inner.to_owned())
        };
        let answer: &[u8] = match line.split(' ').next().unwrap_or_default() {
            "EHLO" => b"250-sink\r\n250 AUTH PLAIN\r\n",
            "AUTH" => {
                let secret = line.rsplit(' ').next().unwrap_or_default();
                let bytes = base64::engine::general_purpose::STANDARD.decode(secret).unwrap_or_default();
                mail.login = String::from_utf8_lossy(&bytes).into_owned();
                b"235 welcome\r\n"
            }
            "RCPT" if line.contains("<gone@") => b"550 5.1.1 no such user\r\n",
            "RCPT" if line.contains("<later@") => b"450 4.2.1 come back later\r\n",
            "RCPT" => {
                mail.recipients.extend(between(&line));
                b"250 ok\r\n"
            }
            "DATA" => {
                stream.write_all(b"354 go\r\n")?;
                let mut is_body = false;
                loop {
                    let line = self::line(stream)?;
                    match line.as_str() {
                        "." => break,
                        "" => is_body = true,
                        _ => {}
                    }
                    let part = if is_body { &mut mail.text } else { &mut mail.headers };
                    // Quoted-printable folds long lines with a sign at their end.
                    match line.strip_suffix('=').filter(|_| is_body) {
                        Some(begins) => part.push_str(begins),
                        None => {
                            part.push_str(&line);
                            part.push('\n');
                        }
                    }
                }
                mails.push(mail.clone());
                b"250 taken\r\n"
            }
            "QUIT" | "" => {
                let _ = stream.write_all(b"221 bye\r\n");
                return Ok(mails);
            }
            _ => b"250 ok\r\n",
        };
        stream.write_all(answer)?;
        stream.flush()?;
    }
}

/// One line without its end; nothing at the end of everything.
fn line(stream: &mut dyn Talk) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    let mut byte = [0];
    loop {
        if stream.read(&mut byte).unwrap_or(0) == 0 || byte[0] == b'\n' {
            break;
        }
        bytes.push(byte[0]);
    }
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.trim_end_matches('\r').to_owned())
}
