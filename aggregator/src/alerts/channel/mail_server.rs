//! The conversation with a mail server: who may be called, and how much it may say.
//!
//! The library reads a line of any length, so that a server which never ends one would fill the memory. It is given a connection
//! that ends instead.

use super::super::outside::Outside;
use super::{MailSettings, Security};
use aggregator_core::alert::retry::Outcome;
use futures::io::{AsyncRead as _, AsyncWrite as _};
use lettre::address::{Address, Envelope};
use lettre::message::Message;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
// The library's name for a connection with TLS is deprecated because it may be hidden one day; there is no other way to TLS from
// the beginning over a connection of ours.
#[expect(deprecated, reason = "see above")]
use lettre::transport::smtp::client::AsyncNetworkStream;
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream, Certificate, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailParameter};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// How long a connection may take to be made.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// How long each step of the conversation may take.
const STEP_MAX: Duration = Duration::from_secs(10);
/// How long the goodbye may take; the mail is taken by then.
const QUIT_MAX: Duration = Duration::from_secs(1);
/// Most that a server may say in one conversation, certificates included. A chatty one says some 8 KiB.
const SAID_BYTES_MAX: usize = 64 * 1024;

/// Hands a mail over.
pub(super) async fn hand_over(
    outside: &Outside,
    settings: &MailSettings,
    password: Option<&str>,
    message: &Message,
) -> Outcome {
    match converse(outside, settings, password, message).await {
        Ok(None) => Outcome::Sent(None),
        Ok(Some(why)) => Outcome::SentToSome(why),
        Err(outcome) => outcome,
    }
}

async fn converse(
    outside: &Outside,
    settings: &MailSettings,
    password: Option<&str>,
    message: &Message,
) -> Result<Option<String>, Outcome> {
    let parameters = match settings.security {
        Security::Tls | Security::Starttls => Some(parameters(settings).map_err(Outcome::Refused)?),
        Security::None => None,
    };
    let stream = connect(outside, settings).await.map_err(Outcome::Failed)?;
    let (hello, is_tls) = (ClientId::default(), settings.security == Security::Tls);
    let stream: Box<dyn AsyncTokioStream> = match &parameters {
        Some(parameters) if is_tls => Box::new(step(Encrypted::begin(stream, parameters.clone())).await?),
        Some(_) | None => Box::new(stream),
    };
    let greeted = tokio::time::timeout(STEP_MAX, AsyncSmtpConnection::connect_with_transport(stream, &hello)).await;
    // Whatever listens there may be no mail server, and what it says nobody's business.
    let mut connection = greeted.map_err(|_| late())?.map_err(|error| match error.status() {
        Some(code) => ended(&error, format!("the mail server does not greet, but says {code}")),
        None => failed(&error),
    })?;
    if let Some(parameters) = parameters.filter(|_| !is_tls) {
        step(connection.starttls(parameters, &hello)).await?;
    }
    if let (Some(user), Some(password)) = (&settings.user, password) {
        let credentials = Credentials::new(user.clone(), password.to_owned());
        step(connection.auth(DEFAULT_MECHANISMS, &credentials)).await?;
    }
    let not_taken = give(&mut connection, message.envelope(), &message.formatted()).await?;
    let _ = tokio::time::timeout(QUIT_MAX, connection.quit()).await;
    Ok(not_taken)
}

/// Gives it to everybody whom the server takes: one mailbox that is gone must not keep the others from being told, as it would with
/// the library's own way. Returns what was said of those whom it does not take. They are not tried again: the others would get it
/// twice.
async fn give(
    connection: &mut AsyncSmtpConnection,
    envelope: &Envelope,
    mail: &[u8],
) -> Result<Option<String>, Outcome> {
    let mut parameters = Vec::new();
    let is_ascii = |address: &Address| AsRef::<str>::as_ref(address).is_ascii();
    if !envelope.from().into_iter().chain(envelope.to()).all(is_ascii) {
        if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
            let why = "an address has letters outside ASCII, for which the mail server would need SMTPUTF8";
            return Err(Outcome::Refused(why.to_owned()));
        }
        parameters.push(MailParameter::SmtpUtfEight);
    }
    step(connection.command(Mail::new(envelope.from().cloned(), parameters))).await?;
    let mut refused = Vec::new();
    for to in envelope.to() {
        let asked = tokio::time::timeout(STEP_MAX, connection.command(Rcpt::new(to.clone(), Vec::new()))).await;
        match asked.map_err(|_| late())? {
            Ok(_) => {}
            // Not if the connection broke.
            Err(error) if error.status().is_some() => refused.push((to, error)),
            Err(error) => return Err(failed(&error)),
        }
    }
    let said: Vec<String> = refused.iter().map(|(to, error)| format!("{to}: {}", words(error))).collect();
    if refused.len() == envelope.to().len() {
        let is_final = refused.iter().all(|(_, error)| error.is_permanent());
        let why = said.join("; ");
        return Err(if is_final { Outcome::Refused(why) } else { Outcome::Failed(why) });
    }
    step(connection.command(Data)).await?;
    step(connection.message(mail)).await?;
    Ok((!said.is_empty()).then(|| format!("not taken: {}", said.join("; "))))
}

async fn step<T>(step: impl Future<Output = Result<T, Error>>) -> Result<T, Outcome> {
    tokio::time::timeout(STEP_MAX, step).await.map_err(|_| late())?.map_err(|error| failed(&error))
}

fn late() -> Outcome {
    Outcome::Failed("the mail server did not answer in time".to_owned())
}

fn parameters(settings: &MailSettings) -> Result<TlsParameters, String> {
    let mut parameters = TlsParameters::builder(settings.host.clone());
    if let Some(ca) = &settings.ca {
        let ca =
            Certificate::from_pem(ca.as_bytes()).map_err(|why| format!("the certificate cannot be read: {why}"))?;
        parameters = parameters.add_root_certificate(ca);
    }
    parameters.build().map_err(|why| format!("TLS cannot be set up: {why}"))
}

/// Calls exactly the addresses that were looked at.
async fn connect(outside: &Outside, settings: &MailSettings) -> Result<Limited, String> {
    let place = format!("{}:{}", settings.host, settings.port);
    let connecting = async {
        let addresses = outside.resolve(&settings.host, settings.port).await?;
        TcpStream::connect(addresses.as_slice()).await.map_err(|why| {
            if why.kind() == io::ErrorKind::ConnectionRefused {
                format!("{place} refused the connection")
            } else {
                format!("{place} cannot be reached: {why}")
            }
        })
    };
    let connected = tokio::time::timeout(CONNECT_MAX, connecting).await;
    let stream = connected.map_err(|_| format!("{place} cannot be reached in time"))??;
    Ok(Limited { stream, said: 0 })
}

/// A connection that is cut when the server says too much.
#[derive(Debug)]
struct Limited {
    stream: TcpStream,
    said: usize,
}

impl AsyncRead for Limited {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.said <= SAID_BYTES_MAX {
            let before = buffer.filled().len();
            ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
            self.said += buffer.filled().len() - before;
        }
        if self.said > SAID_BYTES_MAX {
            let why = format!("the mail server said more than {} KiB", SAID_BYTES_MAX / 1024);
            return Poll::Ready(Err(io::Error::other(why)));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Limited {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl AsyncTokioStream for Limited {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.stream.peer_addr()
    }
}

/// One with TLS from the beginning.
#[derive(Debug)]
#[expect(deprecated, reason = "see the import")]
struct Encrypted(AsyncNetworkStream);

#[expect(deprecated, reason = "see the import")]
impl Encrypted {
    async fn begin(stream: Limited, parameters: TlsParameters) -> Result<Self, Error> {
        let mut stream = AsyncNetworkStream::use_existing_tokio1(Box::new(stream));
        stream.upgrade_tls(parameters).await?;
        Ok(Self(stream))
    }
}

impl AsyncRead for Encrypted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let bytes = ready!(Pin::new(&mut self.0).poll_read(context, buffer.initialize_unfilled()))?;
        buffer.advance(bytes);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Encrypted {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_close(context)
    }
}

impl AsyncTokioStream for Encrypted {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.peer_addr()
    }
}

fn failed(error: &Error) -> Outcome {
    // Its words would repeat what was said.
    let why = if error.is_response() {
        "what answers there does not speak SMTP, or hung up".to_owned()
    } else {
        words(error)
    };
    ended(error, why)
}

fn ended(error: &Error, why: String) -> Outcome {
    if error.is_permanent() { Outcome::Refused(why) } else { Outcome::Failed(why) }
}

/// With every cause: the outermost says only that the connection failed.
fn words(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(&format!(": {inner_text}"));
        }
        cause = inner;
    }
    super::said(text.as_bytes())
}
