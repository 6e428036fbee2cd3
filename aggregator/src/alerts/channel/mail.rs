//! Mail over SMTP. All mails of one incident are one thread.

use super::super::outside::Outside;
use super::mail_server;
use super::{Letter, MailSettings, Parcel, Security};
use crate::clock::rfc3339;
use aggregator_core::alert::render::mail;
use aggregator_core::alert::retry::Outcome;
use everypath_protocol::fault::Fault;
use everypath_protocol::time::UnixTime;
use lettre::message::header::ContentType;
use lettre::message::{Attachment, Mailbox, Message, MessageBuilder, MultiPart, SinglePart};
use lettre::transport::smtp::client::Certificate;
use std::net::IpAddr;

/// Most recipients of one channel.
pub const RECIPIENTS_MAX: usize = 32;
/// Longest name of a host.
const HOST_BYTES_MAX: usize = 253;
/// Longest certificate.
const CA_BYTES_MAX: usize = 16 * 1024;

/// Everything that is wrong with it.
pub(super) fn faults(
    settings: &MailSettings,
    password: Option<&str>,
    is_same_place: bool,
    outside: &Outside,
) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut wrong = |field: &str, message: String| faults.push(Fault::new(format!("target.{field}"), message));
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:_".contains(&byte);
    if settings.host.is_empty() || settings.host.len() > HOST_BYTES_MAX || !settings.host.bytes().all(is_host) {
        wrong("settings.host", "must be a name or an address".to_owned());
    }
    if settings.port == 0 {
        wrong("settings.port", "must not be 0".to_owned());
    }
    // Names are looked at when they are resolved.
    if let Ok(address) = settings.host.parse()
        && let Err(why) = outside.check_address(address)
    {
        wrong("settings.host", why);
    }
    let is_local = settings.host == "localhost" || settings.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    if settings.security == Security::None && !is_local {
        let message = "may be `none` only for a server on this host (127.0.0.1, ::1 or localhost)";
        wrong("settings.security", message.to_owned());
    }
    if settings.user.is_some() && password.is_none() {
        let message = if is_same_place {
            "is missing; without one `user` must be null"
        } else {
            "must be given again, because the server is another one"
        };
        wrong("password", message.to_owned());
    }
    if let Err(why) = settings.from.parse::<Mailbox>() {
        wrong("settings.from", format!("`{}`: {why}", settings.from));
    }
    if settings.to.is_empty() || settings.to.len() > RECIPIENTS_MAX {
        wrong("settings.to", format!("must have 1 to {RECIPIENTS_MAX} recipients"));
    }
    for (place, to) in settings.to.iter().take(RECIPIENTS_MAX).enumerate() {
        if let Err(why) = to.parse::<Mailbox>() {
            wrong(&format!("settings.to[{place}]"), format!("`{to}`: {why}"));
        }
    }
    if let Some(ca) = &settings.ca {
        let reads = ca.len() <= CA_BYTES_MAX && ca.contains("BEGIN CERTIFICATE");
        if !reads || Certificate::from_pem(ca.as_bytes()).is_err() {
            wrong("settings.ca", "must be a certificate in PEM".to_owned());
        }
    }
    faults
}

pub(super) async fn send(
    outside: &Outside,
    settings: &MailSettings,
    password: Option<&str>,
    parcel: &Parcel<'_>,
) -> Outcome {
    match message(settings, parcel) {
        Ok(message) => mail_server::hand_over(outside, settings, password, &message).await,
        Err(why) => Outcome::Refused(why),
    }
}

pub(super) async fn post(
    outside: &Outside,
    settings: &MailSettings,
    password: Option<&str>,
    letter: &Letter,
) -> Outcome {
    match letter_message(settings, letter) {
        Ok(message) => mail_server::hand_over(outside, settings, password, &message).await,
        Err(why) => Outcome::Refused(why),
    }
}

fn message(settings: &MailSettings, parcel: &Parcel<'_>) -> Result<Message, String> {
    let (builder, domain) = envelope(settings)?;
    let mail = mail::mail(parcel.notice, parcel.channel, parcel.number, &domain, &whole_seconds);
    let mut builder = builder.subject(mail.subject).message_id(Some(mail.message_id));
    if let Some(first) = mail.in_reply_to {
        builder = builder.in_reply_to(first.clone()).references(first);
    }
    let built = builder.header(ContentType::TEXT_PLAIN).body(mail.body);
    built.map_err(|why| format!("the mail cannot be written: {why}"))
}

fn letter_message(settings: &MailSettings, letter: &Letter) -> Result<Message, String> {
    let (builder, domain) = envelope(settings)?;
    let csv = ContentType::parse("text/csv; charset=utf-8").map_err(|why| format!("the tables have no type: {why}"))?;
    let mut parts = MultiPart::mixed().singlepart(SinglePart::plain(letter.body.clone()));
    for (name, table) in &letter.tables {
        parts = parts.singlepart(Attachment::new(name.clone()).body(table.clone(), csv.clone()));
    }
    let name = format!("<{}@{domain}>", letter.name);
    let built = builder.subject(letter.subject.clone()).message_id(Some(name)).multipart(parts);
    built.map_err(|why| format!("the mail cannot be written: {why}"))
}

/// Who writes to whom, and the right half of the mail's name.
fn envelope(settings: &MailSettings) -> Result<(MessageBuilder, String), String> {
    let from: Mailbox = settings.from.parse().map_err(|why| format!("the sender cannot be read: {why}"))?;
    let domain = from.email.domain().to_owned();
    let mut builder = Message::builder().from(from);
    for to in &settings.to {
        builder = builder.to(to.parse().map_err(|why| format!("a recipient cannot be read: {why}"))?);
    }
    Ok((builder, domain))
}

/// Microseconds are of no use to a person.
fn whole_seconds(time: UnixTime) -> String {
    rfc3339(UnixTime(time.0 - time.0.rem_euclid(1_000_000)))
}
