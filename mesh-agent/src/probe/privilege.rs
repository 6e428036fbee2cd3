//! What this host allows, in words that say what to do.

use serde::Serialize;

/// How ICMP can be sent in one address family.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
#[serde(rename_all = "snake_case", tag = "mode", content = "why")]
pub enum Mode {
    /// Nothing was probed yet.
    #[default]
    NotTried,
    /// Unprivileged datagram sockets: the kernel sorts the replies.
    Datagram,
    /// Raw sockets: every reply of the host is seen and sorted here.
    Raw,
    /// The host forbids both.
    NotPermitted,
    /// The host cannot do this family at all.
    Unavailable(String),
}

impl Mode {
    /// The word for people.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::NotTried => "not tried yet",
            Self::Datagram => "allowed (datagram socket)",
            Self::Raw => "allowed (raw socket)",
            Self::NotPermitted => "NOT PERMITTED",
            Self::Unavailable(_) => "unavailable on this host",
        }
    }
}

/// What this host allows.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Privileges {
    /// ICMP over IPv4.
    pub icmp_v4: Mode,
    /// ICMP over IPv6.
    pub icmp_v6: Mode,
}

/// The command that allows unprivileged ICMP until the next start of the host. The IPv4 setting governs IPv6, too.
pub const ALLOW_COMMAND: &str = "sysctl -w net.ipv4.ping_group_range=\"0 2147483647\"";

impl Privileges {
    /// What to do, if something is forbidden.
    pub fn advice(&self) -> Option<String> {
        let forbidden = |mode: &Mode| *mode == Mode::NotPermitted;
        (forbidden(&self.icmp_v4) || forbidden(&self.icmp_v6)).then(|| {
            format!(
                "this host does not allow the agent to send ICMP echo requests, so nothing is measured from here. \
                 Allow it with: {ALLOW_COMMAND} (or give the program CAP_NET_RAW). The agent notices by itself."
            )
        })
    }
}
