//! What can be configured, and the checks that a value must pass.

use crate::seal::SealKey;
use aggregator_core::alert::address::NETWORKS_MAX;
use aggregator_core::network::Network;
use anyhow::Context as _;
use everypath_config::{Invalid, Key, Schema, Sources, Values};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Every key of the aggregator.
pub const SCHEMA: Schema = Schema {
    program: "aggregator",
    prefix: "EVERYPATH_AGGREGATOR_",
    keys: &[
        Key {
            name: "data_dir",
            default: "./everypath-data",
            doc: "Where the database, the keys of the mesh and the TLS certificate are kept. Back it up; keep it private.",
        },
        Key {
            name: "server.listen",
            default: "0.0.0.0:8443",
            doc: "Address of the TLS listener, for agents and browsers. Port 0 takes any free one.",
        },
        Key {
            name: "server.http",
            default: "127.0.0.1:8080",
            doc: "Address of the plain listener, for the browser on this host, for health checks and for /metrics.\nMust be a loopback address.",
        },
        Key {
            name: "server.advertise",
            default: "",
            doc: "Addresses under which agents reach this aggregator, as a list of https://host:port. They go into join tokens.\nEmpty: https:// and an address of this host.",
        },
        Key {
            name: "http.trusted_proxies",
            default: "",
            doc: "Networks of reverse proxies, as a list such as 10.0.0.0/8. Their X-Forwarded-For says where a request comes from,\nfor the limits of logins and for the audit log. Empty: the header is ignored.",
        },
        Key {
            name: "tls.certificate",
            default: "",
            doc: "File with the TLS certificate chain (PEM). Empty: a self-signed one is made, which agents check by its hash.",
        },
        Key { name: "tls.key", default: "", doc: "File with the private key of the certificate (PEM)." },
        Key {
            name: "database.url",
            default: "",
            doc: "postgres://user:password@host/database for PostgreSQL or TimescaleDB, which several replicas may share.\nEmpty: SQLite, a file in data_dir.",
        },
        Key {
            name: "database.key_file",
            default: "",
            doc: "File with the key that seals what replicas share in the database, made by `aggregator keygen`.\nNeeded with database.url, the same for every replica.",
        },
        Key {
            name: "database.connections",
            default: "10",
            doc: "Most connections of this replica to PostgreSQL, from 4 to 100.",
        },
        Key {
            name: "database.migrate",
            default: "true",
            doc: "Whether `serve` brings the schema up to date. false: `aggregator migrate` does it before.",
        },
        Key {
            name: "keep.samples",
            default: "7d",
            doc: "How long samples are kept until it is set by the API. docs/guide/storage.md says what that takes. At least 1h.",
        },
        Key {
            name: "ingest.sync_interval",
            default: "1s",
            doc: "How long agents are asked to wait between two batches. From 100ms to 60s.",
        },
        Key {
            name: "alerts.allow_networks",
            default: "",
            doc: "Networks inside that webhooks may be sent to, as a list such as 10.1.0.0/16. Without it they reach public addresses only.",
        },
        everypath_update::ENABLED_KEY,
        Key {
            name: "update.check_every",
            default: "",
            doc: "How often `serve` looks whether there is a newer release, such as 1d, to show it on the system page; at least 1h.\nNeeds update.enabled. Empty: never. Nothing is ever replaced by itself.",
        },
        everypath_update::REPOSITORY_KEY,
        everypath_update::API_KEY,
        everypath_update::KEYS_KEY,
    ],
};

/// Keys whose values nobody else may see: the URL has the password in it.
pub const SECRET_KEYS: [&str; 1] = ["database.url"];

/// The checked configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where everything is kept.
    pub data_dir: PathBuf,
    /// TLS listener.
    pub listen: SocketAddr,
    /// Loopback listener.
    pub http: SocketAddr,
    /// URLs in tokens; empty is "find out".
    pub advertise: Vec<String>,
    /// Whose X-Forwarded-For is believed.
    pub trusted_proxies: Vec<Network>,
    /// Certificate chain and private key.
    pub tls_files: Option<(PathBuf, PathBuf)>,
    /// PostgreSQL, if it is not SQLite.
    pub database: Option<Database>,
    /// Age at which samples are deleted, until it is set by the API.
    pub keep_samples: Duration,
    /// Told to agents in every answer.
    pub sync_interval: Duration,
    /// Where webhooks and mail may go beside public addresses.
    pub alert_networks: Vec<Network>,
    /// Where newer releases of this program are.
    pub update: everypath_update::Settings,
    /// How often to look for one; never without it.
    pub update_check_every: Option<Duration>,
}

/// Where PostgreSQL is.
#[derive(Clone)]
pub struct Database {
    /// With the password: never to be shown.
    pub url: String,
    /// See [`crate::seal`]. Commands that only read need none.
    pub key_file: Option<PathBuf>,
    /// Most connections.
    pub connections: u32,
    /// Whether to bring the schema up to date.
    pub migrate: bool,
}

impl Database {
    /// Reads the key.
    ///
    /// # Errors
    /// When no file is named, or it cannot be read.
    pub fn key(&self) -> anyhow::Result<SealKey> {
        let missing = "`database.key_file` is not set: replicas share keys in the database, sealed with a key from a file; \
                       `aggregator keygen FILE` makes one, and `--key-file` or the configuration names it";
        SealKey::read(self.key_file.as_ref().context(missing)?)
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Database").field("key_file", &self.key_file).finish_non_exhaustive()
    }
}

impl Config {
    /// Reads and checks everything.
    ///
    /// # Errors
    /// [`Invalid`] with all that is wrong.
    pub fn load(sources: &Sources) -> Result<Self, Invalid> {
        Self::read(sources, false)
    }

    /// As [`Self::load`], and there is all that `aggregator serve` needs.
    ///
    /// # Errors
    /// [`Invalid`] with all that is wrong.
    pub fn load_to_serve(sources: &Sources) -> Result<Self, Invalid> {
        Self::read(sources, true)
    }

    fn read(sources: &Sources, is_to_serve: bool) -> Result<Self, Invalid> {
        let mut values = SCHEMA.load(sources);
        let certificate: Option<PathBuf> = values.get("tls.certificate");
        let key: Option<PathBuf> = values.get("tls.key");
        let config = Self {
            data_dir: values.get("data_dir"),
            listen: values.get("server.listen"),
            http: values.get("server.http"),
            advertise: values.get("server.advertise"),
            trusted_proxies: trusted_proxies(&mut values),
            tls_files: certificate.clone().zip(key.clone()),
            database: database(&mut values, is_to_serve),
            keep_samples: values.get("keep.samples"),
            sync_interval: values.get("ingest.sync_interval"),
            alert_networks: alert_networks(&mut values),
            update: everypath_update::Settings::take(&SCHEMA, &mut values),
            update_check_every: values.get("update.check_every"),
        };
        if certificate.is_some() && key.is_none() {
            values.reject("tls.certificate", "a certificate needs its private key; set `tls.key` too");
        }
        if key.is_some() && certificate.is_none() {
            values.reject("tls.key", "a private key needs its certificate; set `tls.certificate` too");
        }
        if !config.http.ip().is_loopback() {
            let message = format!(
                "{} is not a loopback address. This listener has no TLS; use `server.listen` for other hosts, or 127.0.0.1 here",
                config.http
            );
            values.reject("server.http", message);
        }
        for url in &config.advertise {
            if let Err(why) = check_url(url) {
                values.reject("server.advertise", format!("`{url}` {why}"));
            }
        }
        if config.keep_samples < Duration::from_secs(3_600) {
            values.reject("keep.samples", "must be at least 1h; a restart needs the last minutes");
        }
        if !(Duration::from_millis(100)..=Duration::from_secs(60)).contains(&config.sync_interval) {
            values.reject("ingest.sync_interval", "must be from 100ms to 60s");
        }
        if let Some(every) = config.update_check_every {
            if every < Duration::from_secs(3_600) {
                values.reject("update.check_every", "must be at least 1h: the server of the releases is not ours");
            }
            if !config.update.enabled {
                values.reject(
                    "update.check_every",
                    "needs `update.enabled = true`; without it nothing is asked of anybody",
                );
            }
        }
        values.finish(config)
    }
}

/// Networks whose proxies are believed; what is none of them is rejected.
fn trusted_proxies(values: &mut Values) -> Vec<Network> {
    networks(values, "http.trusted_proxies")
}

fn database(values: &mut Values, is_to_serve: bool) -> Option<Database> {
    let url: String = values.get("database.url");
    let key_file: Option<PathBuf> = values.get("database.key_file");
    let connections: u32 = values.get("database.connections");
    let migrate: bool = values.get("database.migrate");
    if !(4..=100).contains(&connections) {
        values.reject("database.connections", "must be from 4 to 100");
    }
    let schemes = ["postgres://", "postgresql://"];
    if !url.is_empty() && !schemes.iter().any(|scheme| url.starts_with(scheme)) {
        values.reject("database.url", "must begin with postgres://; leave it empty for SQLite");
    }
    if url.is_empty() && key_file.is_some() {
        let why = "there is no `database.url`; without it everything is in a SQLite file of this host alone, and nothing is shared";
        values.reject("database.key_file", why);
    }
    if is_to_serve && !url.is_empty() && key_file.is_none() {
        let why = "`database.url` needs `database.key_file`: replicas share keys in the database, sealed with a key from a file; \
                   `aggregator keygen FILE` makes one";
        values.reject("database.url", why);
    }
    (!url.is_empty()).then_some(Database { url, key_file, connections, migrate })
}

/// Networks that webhooks and mail may be sent to; what is none is rejected.
fn alert_networks(values: &mut Values) -> Vec<Network> {
    const KEY: &str = "alerts.allow_networks";
    let networks = networks(values, KEY);
    if networks.len() > NETWORKS_MAX {
        values.reject(KEY, format!("must be at most {NETWORKS_MAX} networks"));
    }
    networks
}

fn networks(values: &mut Values, key: &'static str) -> Vec<Network> {
    let texts: Vec<String> = values.get(key);
    let mut networks = Vec::with_capacity(texts.len());
    for text in texts {
        match text.parse() {
            Ok(network) => networks.push(network),
            Err(why) => values.reject(key, format!("`{text}` {why}")),
        }
    }
    networks
}

/// Whether agents can use `url`: `https://host:port` or `https://host`, and nothing behind it.
///
/// # Errors
/// What is wrong with it, as the end of a sentence.
pub fn check_url(url: &str) -> Result<(), &'static str> {
    const URL_BYTES_MAX: usize = 256;
    let authority = url.strip_prefix("https://").ok_or("must begin with https://")?;
    if authority.is_empty() || authority.contains(['/', '?', '#', '@', ' ', ',']) {
        return Err("must be https://host:port and nothing behind it");
    }
    if url.len() > URL_BYTES_MAX { Err("is longer than 256 bytes") } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_at_all_is_a_configuration() {
        let config = Config::load(&Sources::default()).expect("defaults are valid");
        assert_eq!(config.listen.to_string(), "0.0.0.0:8443");
        assert_eq!(config.http.to_string(), "127.0.0.1:8080");
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let mut sources = Sources::default();
        sources.flag("server.http", "0.0.0.0:8080").flag("server.advertise", "http://a");
        sources.flag("http.trusted_proxies", "10.0.0.0/40");
        sources.flag("alerts.allow_networks", "10.0.0.0/40");
        sources.file("a.toml", "[tls]\nkey = \"k\"\n[keep]\nsamples = \"1m\"\n[ingest]\nsync_intervall = \"1s\"");
        let errors = Config::load(&sources).expect_err("seven things are wrong").to_string();
        for part in [
            "7 errors",
            "--trusted-proxies: `10.0.0.0/40` is no network",
            "--allow-networks: `10.0.0.0/40` is no network",
            "--http: 0.0.0.0:8080 is not a loopback address",
            "`http://a` must begin with https://",
            "a.toml:2: a private key needs its certificate",
            "a.toml:4: must be at least 1h",
            "a.toml:6: unknown key `ingest.sync_intervall`; did you mean `ingest.sync_interval`?",
        ] {
            assert!(errors.contains(part), "{part}\nin\n{errors}");
        }
    }
}
