//! What messages go through: one file for each kind.

mod discord;
mod mail;
mod mail_server;
mod webhook;

use super::outside::Outside;
use aggregator_core::alert::Notice;
use aggregator_core::alert::retry::Outcome;
use aggregator_core::alert::rule::{NAME_RULE, is_name};
use aggregator_core::alert::tell::Policy;
use everypath_protocol::fault::Fault;
use everypath_protocol::time::{Span, UnixTime};
use reqwest::Url;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use mail::RECIPIENTS_MAX;

/// Most channels.
pub const CHANNELS_MAX: u32 = 64;
/// Longest address of a webhook, key or password.
const SECRET_BYTES_MAX: usize = 2_048;
/// Shortest key that signs: 128 bits as hexadecimal digits.
const KEY_BYTES_MIN: usize = 32;
/// Between two changes of one message.
const EDIT_EVERY: Span = Span::seconds(30);
/// Between two mails about changes of one incident.
const MAIL_EVERY: Span = Span::seconds(300);
/// Longest time after which an incident may be told again: a week.
const REPEAT_MAX_S: u64 = 7 * 24 * 3_600;
/// Shortest: ten minutes.
const REPEAT_MIN_S: u64 = 600;

/// How a connection to a mail server is kept private.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(example = json!("tls"))]
pub enum Security {
    /// TLS from the beginning, usually port 465.
    Tls,
    /// TLS after STARTTLS, usually port 587; without it nothing is sent.
    Starttls,
    /// None. Only to a server on this host.
    None,
}

/// A mail server, and whom it is to tell.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"host": "mail.example.org", "port": 465, "security": "tls", "user": "everypath",
    "from": "Everypath <everypath@example.org>", "to": ["ops@example.org"], "ca": null}))]
pub struct MailSettings {
    /// Name or address of the server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is kept private.
    pub security: Security,
    /// Who logs in; nobody if it is `null`.
    #[serde(default)]
    pub user: Option<String>,
    /// Sender, such as `Everypath <everypath@example.org>`.
    pub from: String,
    /// Recipients, 1 to 32.
    pub to: Vec<String>,
    /// Certificate of an authority that signs the server's, in PEM, beside those that this host trusts.
    #[serde(default)]
    pub ca: Option<String>,
}

/// Where a channel leads, with secrets. A secret that is `null` stays what it was.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[schema(example = json!({"kind": "discord", "url": "https://discord.com/api/webhooks/123/abc"}))]
pub enum TargetBody {
    /// A webhook of Discord.
    Discord {
        /// As Discord shows it. Secret.
        #[serde(default)]
        url: Option<String>,
    },
    /// Anything that takes our JSON.
    Webhook {
        /// Secret.
        #[serde(default)]
        url: Option<String>,
        /// Signs what is sent, 32 characters at least. Secret.
        #[serde(default)]
        key: Option<String>,
    },
    /// Mail.
    Mail {
        /// Server and recipients.
        settings: MailSettings,
        /// Secret.
        #[serde(default)]
        password: Option<String>,
    },
}

impl std::fmt::Debug for TargetBody {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Discord { .. } => "Discord",
            Self::Webhook { .. } => "Webhook",
            Self::Mail { .. } => "Mail",
        })
    }
}

/// What is kept of a target in the open.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[schema(example = json!({"kind": "discord", "origin": "https://discord.com"}))]
pub enum Settings {
    /// A webhook of Discord.
    Discord {
        /// Scheme, host and port of its address.
        origin: String,
    },
    /// Anything that takes our JSON.
    Webhook {
        /// Scheme, host and port of its address.
        origin: String,
    },
    /// Mail.
    Mail {
        /// Server and recipients.
        settings: MailSettings,
        /// Whether a password is kept.
        has_password: bool,
    },
}

/// What is kept sealed.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Secrets {
    #[serde(default)]
    url: Option<String>,
    #[serde(default)]
    key: Option<String>,
    #[serde(default)]
    password: Option<String>,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Secrets")
    }
}

/// What is kept in the definition of a channel.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Definition {
    /// Where it leads.
    pub target: Settings,
    /// After so many seconds an incident that nobody acknowledged is told again; 0 is never.
    #[serde(default)]
    pub repeat_s: u64,
}

impl Definition {
    /// How the channel wants to be told.
    pub fn policy(&self) -> Policy {
        let (edits, every) = match self.target {
            Settings::Discord { .. } => (true, EDIT_EVERY),
            // Programs want what happened, not every number.
            Settings::Webhook { .. } => (false, EDIT_EVERY),
            Settings::Mail { .. } => (false, MAIL_EVERY),
        };
        Policy { edits, every, repeat: (self.repeat_s > 0).then_some(Span::seconds(self.repeat_s)) }
    }
}

/// Everything that is wrong with name and repetition.
pub fn faults(name: &str, repeat_s: u64) -> Vec<Fault> {
    let mut faults = Vec::new();
    if !is_name(name) {
        faults.push(Fault::new("name", NAME_RULE));
    }
    if repeat_s != 0 && !(REPEAT_MIN_S..=REPEAT_MAX_S).contains(&repeat_s) {
        faults.push(Fault::new("repeat_s", format!("must be 0, or from {REPEAT_MIN_S} to {REPEAT_MAX_S}")));
    }
    faults
}

impl TargetBody {
    /// What is kept of it in the open, and sealed. `before` is what was kept of it.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn split(
        self,
        before: Option<(&Settings, Secrets)>,
        outside: &Outside,
    ) -> Result<(Settings, Secrets), Vec<Fault>> {
        let (known, secrets) =
            before.map_or_else(|| (None, Secrets::default()), |(settings, secrets)| (Some(settings), secrets));
        let mut faults = Vec::new();
        let settings = match self {
            Self::Discord { url } => {
                let secrets = Secrets { url: url.or(secrets.url), ..Secrets::default() };
                let origin = origin(secrets.url.as_deref(), outside, &mut faults);
                if let Some(url) = secrets.url.as_deref().filter(|_| faults.is_empty()) {
                    faults.extend(discord::faults(url));
                }
                (Settings::Discord { origin }, secrets)
            }
            Self::Webhook { url, key } => {
                let secrets = Secrets { url: url.or(secrets.url), key: key.or(secrets.key), password: None };
                let origin = origin(secrets.url.as_deref(), outside, &mut faults);
                let length = secrets.key.as_ref().map_or(0, String::len);
                if !(KEY_BYTES_MIN..=SECRET_BYTES_MAX).contains(&length) {
                    let message = format!("must be {KEY_BYTES_MIN} to {SECRET_BYTES_MAX} bytes; it signs what is sent");
                    faults.push(Fault::new("target.key", message));
                }
                (Settings::Webhook { origin }, secrets)
            }
            Self::Mail { settings, password } => {
                // Else whoever may change the host reads the password at a host of their own.
                let same_place = match known {
                    Some(Settings::Mail { settings: known, .. }) => {
                        (&known.host, known.port, known.security) == (&settings.host, settings.port, settings.security)
                    }
                    Some(Settings::Discord { .. } | Settings::Webhook { .. }) | None => true,
                };
                if settings.user.is_none() && password.is_some() {
                    let message = "is missing; a password without a user is of no use";
                    faults.push(Fault::new("target.settings.user", message));
                }
                let secrets = Secrets {
                    password: password.or_else(|| secrets.password.filter(|_| same_place)),
                    ..Secrets::default()
                };
                faults.extend(mail::faults(&settings, secrets.password.as_deref(), same_place, outside));
                (Settings::Mail { has_password: secrets.password.is_some(), settings }, secrets)
            }
        };
        if faults.is_empty() { Ok(settings) } else { Err(faults) }
    }
}

/// Scheme, host and port of an address, which is all that is shown of it.
fn origin(url: Option<&str>, outside: &Outside, faults: &mut Vec<Fault>) -> String {
    let mut wrong = |message: String| faults.push(Fault::new("target.url", message));
    let Some(url) = url else {
        wrong("is missing".to_owned());
        return String::new();
    };
    if url.len() > SECRET_BYTES_MAX {
        wrong(format!("must be at most {SECRET_BYTES_MAX} bytes"));
    }
    match Url::parse(url) {
        Ok(url) => {
            if let Err(why) = outside.check(&url) {
                wrong(why);
            }
            url.origin().ascii_serialization()
        }
        Err(why) => {
            wrong(format!("cannot be read: {why}"));
            String::new()
        }
    }
}

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub struct Parcel<'a> {
    /// Number of the channel.
    pub channel: i64,
    /// What to say.
    pub notice: &'a Notice,
    /// Grows with each message about this incident, from 1.
    pub number: u64,
    /// The provider's name of the message that is to be changed; nothing for a new one.
    pub edits: Option<&'a str>,
    /// Now.
    pub now: UnixTime,
}

/// Sends one message. Ends within [`super::outside::SEND_MAX`].
pub async fn send(outside: &Outside, settings: &Settings, secrets: &Secrets, parcel: &Parcel<'_>) -> Outcome {
    let sending = async {
        match (settings, secrets) {
            (Settings::Discord { .. }, Secrets { url: Some(url), .. }) => discord::send(outside, url, parcel).await,
            (Settings::Webhook { .. }, Secrets { url: Some(url), key: Some(key), .. }) => {
                webhook::send(outside, url, key, parcel).await
            }
            (Settings::Mail { settings, .. }, secrets) => {
                mail::send(outside, settings, secrets.password.as_deref(), parcel).await
            }
            (Settings::Discord { .. } | Settings::Webhook { .. }, _) => {
                Outcome::Refused("the address or the key is not there; give it again".to_owned())
            }
        }
    };
    let ended = tokio::time::timeout(super::outside::SEND_MAX, sending).await;
    ended.unwrap_or_else(|_| Outcome::Failed("nobody answered in time".to_owned()))
}

/// A mail that is about no incident.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Letter {
    /// One line.
    pub subject: String,
    /// Plain text.
    pub body: String,
    /// Its name before the `@`, the same if it is sent once more.
    pub name: String,
    /// Names and contents of files in CSV.
    pub tables: Vec<(String, String)>,
}

/// Sends a letter. Ends within [`super::outside::SEND_MAX`].
pub async fn post(outside: &Outside, settings: &Settings, secrets: &Secrets, letter: &Letter) -> Outcome {
    let Settings::Mail { settings, .. } = settings else {
        return Outcome::Refused("its channel is not one for mail".to_owned());
    };
    let sending = mail::post(outside, settings, secrets.password.as_deref(), letter);
    let ended = tokio::time::timeout(super::outside::SEND_MAX, sending).await;
    ended.unwrap_or_else(|_| Outcome::Failed("nobody answered in time".to_owned()))
}

/// The beginning of what a provider said, in one line.
fn said(body: &[u8]) -> String {
    const CHARACTERS_MAX: usize = 300;
    let text = String::from_utf8_lossy(body);
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).take(CHARACTERS_MAX).collect()
}
