//! What can be configured, and its check.

use everypath_config::{Invalid, Key, Place, Schema, Sources};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The file that is read from the data directory when no other is named.
pub const CONFIG_FILE: &str = "agent.toml";
/// Where the mesh listens if nobody says otherwise.
pub const LISTEN_DEFAULT: &str = "0.0.0.0:7117";

/// All keys.
pub const SCHEMA: Schema = Schema {
    program: "mesh-agent",
    prefix: "EVERYPATH_AGENT_",
    keys: &[
        Key {
            name: "data_dir",
            default: "/var/lib/everypath-agent",
            doc: "Where the agent keeps its key, its membership and the results that wait for an aggregator. Only the\nagent may be able to read it.",
        },
        Key {
            name: "listen",
            default: LISTEN_DEFAULT,
            doc: "Address and port of the mesh, for QUIC (UDP) and TCP alike. Open this port to the other agents.\nPort 0 lets the system choose.",
        },
        Key {
            name: "advertise",
            default: "",
            doc: "IP addresses to tell other agents, in place of those of the interfaces. For hosts behind NAT.",
        },
        Key {
            name: "status",
            default: "127.0.0.1:9117",
            doc: "Where the agent shows its state, metrics and matrix. Loopback only.",
        },
        Key {
            name: "log",
            default: "info",
            doc: "What is logged: error, warn, info, debug, trace of the agent itself and warnings of its libraries; or a list as in \"info,mesh_agent=debug\", which holds for all.",
        },
        Key {
            name: "probe.interval",
            default: "5s",
            doc: "Time between two probes of one target, 1s to 60s. What is set here wins over the configuration of the\nmesh; leave it out to follow that.",
        },
        Key {
            name: "probe.timeout",
            default: "1s",
            doc: "Without a reply for this long a probe is lost, 100ms up to the interval. Wins over the configuration of the\nmesh, as above.",
        },
        Key {
            name: "buffer.bytes_max",
            default: "64MiB",
            doc: "Most bytes of results that wait for an aggregator, 1MiB to 16GiB. 64MiB hold 7 days of 64 targets.",
        },
        everypath_update::ENABLED_KEY,
        everypath_update::REPOSITORY_KEY,
        everypath_update::API_KEY,
        everypath_update::KEYS_KEY,
    ],
};

/// Keys that the configuration of the mesh has, too.
pub const MESH_KEYS: [&str; 2] = ["probe.interval", "probe.timeout"];

/// The checked configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// See [`SCHEMA`].
    pub data_dir: PathBuf,
    /// See [`SCHEMA`].
    pub listen: SocketAddr,
    /// See [`SCHEMA`].
    pub advertise: Vec<IpAddr>,
    /// See [`SCHEMA`].
    pub status: SocketAddr,
    /// See [`SCHEMA`].
    pub log: String,
    /// See [`SCHEMA`].
    pub probe_interval: Duration,
    /// See [`SCHEMA`].
    pub probe_timeout: Duration,
    /// See [`SCHEMA`].
    pub buffer_bytes_max: u64,
    /// See [`SCHEMA`].
    pub update: everypath_update::Settings,
    /// Keys that the operator set although the mesh's configuration has them too, and where.
    pub overrides: BTreeMap<&'static str, String>,
}

impl Config {
    /// Reads and checks everything, and says everything that is wrong at once.
    ///
    /// # Errors
    /// [`Invalid`].
    pub fn load(sources: &Sources) -> Result<Self, Invalid> {
        let mut values = SCHEMA.load(sources);
        let is_set = |key: &&'static str| *values.place(key) != Place::Default;
        let overrides = MESH_KEYS.into_iter().filter(is_set).map(|key| (key, values.place(key).to_string())).collect();
        let config = Self {
            overrides,
            data_dir: values.get("data_dir"),
            listen: values.get("listen"),
            advertise: values.get("advertise"),
            status: values.get("status"),
            log: values.get("log"),
            probe_interval: values.get("probe.interval"),
            probe_timeout: values.get("probe.timeout"),
            buffer_bytes_max: values.get::<everypath_config::ByteSize>("buffer.bytes_max").0,
            update: everypath_update::Settings::take(&SCHEMA, &mut values),
        };
        if !config.status.ip().is_loopback() {
            let text = "the status page shows the whole mesh to anyone who can reach it, so it must be on loopback, like 127.0.0.1:9117. To see it from elsewhere, use: ssh -L 9117:127.0.0.1:9117 HOST";
            values.reject("status", text);
        }
        if config.probe_interval < Duration::from_secs(1) || config.probe_interval > Duration::from_secs(60) {
            values.reject("probe.interval", "must be from 1s to 60s");
        }
        if config.probe_timeout < Duration::from_millis(100) || config.probe_timeout > config.probe_interval {
            values.reject("probe.timeout", "must be from 100ms up to probe.interval");
        }
        if !(1 << 20..=16 << 30).contains(&config.buffer_bytes_max) {
            values.reject("buffer.bytes_max", "must be from 1MiB to 16GiB");
        }
        if config.advertise.iter().any(IpAddr::is_unspecified) {
            values.reject("advertise", "must name addresses that others can reach, not 0.0.0.0 or ::");
        }
        if tracing_subscriber::EnvFilter::try_new(&config.log).is_err() {
            values.reject("log", "is not a level like \"info\" or a list like \"info,mesh_agent=debug\"");
        }
        values.finish(config)
    }
}

/// A level alone is that of our own programs. Libraries speak of sockets and peers, which is noise to whoever wants to know whether
/// the agent is well: they only warn, and the one that warns of each packet that finds no route only of errors.
pub fn log_filter(log: &str) -> String {
    use tracing_subscriber::filter::LevelFilter;
    match log.trim().parse::<LevelFilter>() {
        Ok(level) => {
            let others = level.min(LevelFilter::WARN);
            let loud = level.min(LevelFilter::ERROR);
            format!("{others},quinn_udp={loud},mesh_agent={level},everypath_update={level}")
        }
        Err(_) => log.to_owned(),
    }
}

/// The layers below the flags: the environment and `file`, or the data directory's own file if there is one.
pub fn sources(file: Option<&Path>, data_dir: Option<&Path>) -> Sources {
    let beside = data_dir.map(|dir| dir.join(CONFIG_FILE)).filter(|path| path.is_file());
    let mut sources = Sources::of_process(file.or(beside.as_deref()));
    sources.flag_if("data_dir", data_dir.map(|path| path.display()).as_ref());
    sources
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_alone_is_that_of_the_agent() {
        assert_eq!(log_filter("info"), "warn,quinn_udp=error,mesh_agent=info,everypath_update=info");
        assert_eq!(log_filter("error"), "error,quinn_udp=error,mesh_agent=error,everypath_update=error");
        assert_eq!(log_filter("info,libp2p=debug"), "info,libp2p=debug");
    }

    #[test]
    fn nothing_at_all_is_a_configuration() {
        let config = Config::load(&Sources::default()).unwrap();
        assert_eq!(config.listen.to_string(), LISTEN_DEFAULT);
        assert_eq!(config.probe_interval, Duration::from_secs(5));
        assert!(config.advertise.is_empty());
    }

    #[test]
    fn everything_wrong_is_said_at_once_and_unknown_keys_are_told_the_nearest() {
        let mut sources = Sources::default();
        let text =
            "listn = \"1.2.3.4:5\"\nstatus = \"0.0.0.0:9117\"\n[probe]\ninterval = \"90s\"\ntimeout = \"soon\"\n";
        sources.file("agent.toml", text);
        let said = Config::load(&sources).unwrap_err().to_string();
        for part in
            ["agent.toml:1", "did you mean `listen`", "loopback", "from 1s to 60s", "`soon` is not a length of time"]
        {
            assert!(said.contains(part), "{part:?} is not in:\n{said}");
        }
    }

    #[test]
    fn the_template_can_be_read_back() {
        let mut sources = Sources::default();
        sources.file("agent.toml", SCHEMA.template());
        assert_eq!(Config::load(&sources), Config::load(&Sources::default()));
    }
}
