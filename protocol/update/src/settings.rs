//! What the operator sets. Both programs have the same keys.

use crate::error::UpdateError;
use crate::key::{self, ReleaseKey};
use everypath_config::{Key, Schema, Values};
use url::Url;

/// See the text.
pub const ENABLED_KEY: Key = Key {
    name: "update.enabled",
    default: "false",
    doc: "Whether the command `update` may ask for releases and replace this program. Off, nothing is asked of anybody.",
};
/// See the text.
pub const REPOSITORY_KEY: Key = Key {
    name: "update.repository",
    default: match option_env!("EVERYPATH_REPOSITORY") {
        Some(repository) => repository,
        None => "",
    },
    doc: "OWNER/NAME of the repository that publishes releases.",
};
/// See the text.
pub const API_KEY: Key = Key {
    name: "update.api",
    default: "https://api.github.com",
    doc: "Where to ask for releases: GitHub, or a server that answers like its API. Plain http:// only on loopback.",
};
/// See the text.
pub const KEYS_KEY: Key = Key {
    name: "update.keys",
    default: "",
    doc: "Public keys that releases may be signed with, in base64, beside those that this program was built with.",
};

/// What holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Whether anything is done at all.
    pub enabled: bool,
    /// The environment variable that turns it on, for the sentence that says so.
    pub(crate) variable: String,
    /// Owner and name.
    pub(crate) repository: Option<(String, String)>,
    pub(crate) api: String,
    /// Beside those of the build.
    pub(crate) keys: Vec<ReleaseKey>,
}

impl Settings {
    /// Takes the four keys and rejects what cannot be.
    pub fn take(schema: &Schema, values: &mut Values) -> Self {
        let repository: String = values.get(REPOSITORY_KEY.name);
        let repository = match split(&repository) {
            Ok(repository) => repository,
            Err(why) => {
                values.reject(REPOSITORY_KEY.name, format!("`{repository}` {why}"));
                None
            }
        };
        let api: String = values.get(API_KEY.name);
        if !may_ask(&api) {
            values.reject(API_KEY.name, format!("`{api}` must begin with https://; http:// is for loopback only"));
        }
        Self {
            enabled: values.get(ENABLED_KEY.name),
            variable: schema.variable(ENABLED_KEY.name),
            repository,
            api: api.trim_end_matches('/').to_owned(),
            keys: values.get(KEYS_KEY.name),
        }
    }

    /// All keys that count.
    pub(crate) fn all_keys(&self) -> Result<Vec<ReleaseKey>, UpdateError> {
        let keys: Vec<ReleaseKey> = key::compiled_in().into_iter().chain(self.keys.iter().copied()).collect();
        // Without this, "no key" would mean "nothing to check".
        if keys.is_empty() { Err(UpdateError::NoKeys) } else { Ok(keys) }
    }
}

/// Owner and name; nothing if it is empty.
pub(crate) fn split(repository: &str) -> Result<Option<(String, String)>, &'static str> {
    const EXPECTED: &str = "must be OWNER/NAME";
    if repository.is_empty() {
        return Ok(None);
    }
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    let (owner, name) = repository.split_once('/').ok_or(EXPECTED)?;
    if is_name(owner) && is_name(name) { Ok(Some((owner.to_owned(), name.to_owned()))) } else { Err(EXPECTED) }
}

/// Whether this address may be asked. What comes is signed, but what is asked for is nobody else's business.
pub(crate) fn may_ask(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| is_secret(&url))
}

/// Whether the answer of `from` may send us to `to`: the same rule again, and never from a server elsewhere to a port of this host.
pub(crate) fn may_lead(from: &Url, to: &Url) -> bool {
    is_secret(to) && (to.scheme() == "https" || from.scheme() == "http")
}

fn is_secret(url: &Url) -> bool {
    let is_loopback = match url.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    };
    url.scheme() == "https" || (url.scheme() == "http" && is_loopback)
}

#[cfg(test)]
mod tests {
    use super::*;
    use everypath_config::{Invalid, Sources};

    const SCHEMA: Schema =
        Schema { program: "p", prefix: "EVERYPATH_TEST_", keys: &[ENABLED_KEY, REPOSITORY_KEY, API_KEY, KEYS_KEY] };

    fn load(text: &str) -> Result<Settings, Invalid> {
        let mut sources = Sources::default();
        sources.file("p.toml", text);
        let mut values = SCHEMA.load(&sources);
        let settings = Settings::take(&SCHEMA, &mut values);
        values.finish(settings)
    }

    #[test]
    fn it_is_off_until_somebody_turns_it_on_and_says_how() {
        let settings = load("").unwrap();
        let program = crate::Program::new("p", "1.0.0");
        let said = crate::Updater::new(program, settings).unwrap_err().to_string();
        assert!(said.contains("EVERYPATH_TEST_UPDATE__ENABLED=true"), "{said}");
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let text = "[update]\nrepository = \"a\"\napi = \"http://10.0.0.1\"\nkeys = [\"abc\"]\n";
        let said = load(text).unwrap_err().to_string();
        for part in ["OWNER/NAME", "https://", "base64"] {
            assert!(said.contains(part), "{part}\n{said}");
        }
    }

    #[test]
    fn releases_come_by_tls_or_from_this_host() {
        for url in ["https://api.github.com", "http://127.0.0.1:80", "http://[::1]", "http://localhost:8"] {
            assert!(may_ask(url), "{url}");
        }
        for url in ["http://api.github.com", "http://localhost.example", "file:///etc/passwd", "ftp://127.0.0.1", ""] {
            assert!(!may_ask(url), "{url}");
        }
    }

    #[test]
    fn no_server_leads_to_less_than_itself() {
        let lead = |from: &str, to: &str| may_lead(&Url::parse(from).unwrap(), &Url::parse(to).unwrap());
        assert!(lead("https://a.example", "https://b.example") && lead("http://127.0.0.1", "http://localhost:8"));
        assert!(lead("http://127.0.0.1", "https://a.example"));
        for to in ["http://b.example", "http://127.0.0.1:80", "file:///etc/passwd"] {
            assert!(!lead("https://a.example", to), "{to}");
        }
        assert!(!lead("http://127.0.0.1", "http://b.example"));
    }
}
