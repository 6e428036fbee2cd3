//! Where this host can be reached, as it tells others.

use crate::net::peer_of;
use everypath_protocol::id::AgentId;
use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Interfaces of container engines: their addresses mean another host everywhere else.
const LOCAL_ONLY: [&str; 2] = ["docker0", "cni0"];

/// The QUIC and the TCP address of a socket address. QUIC comes first wherever addresses are tried in order.
pub fn both_of(listen: SocketAddr) -> [Multiaddr; 2] {
    let ip = || Multiaddr::from(listen.ip());
    [ip().with(Protocol::Udp(listen.port())).with(Protocol::QuicV1), ip().with(Protocol::Tcp(listen.port()))]
}

/// Where to call `agent`, for tokens: each address names it, so that nobody else can answer for it.
pub fn bootstrap_of(agent: &AgentId, ips: &[IpAddr], port: u16) -> Vec<String> {
    let Some(peer) = peer_of(agent) else { return Vec::new() };
    let all: Vec<Multiaddr> = ips.iter().flat_map(|ip| both_of(SocketAddr::new(*ip, port))).collect();
    let told = advertised(&all, &OwnBridges::of_host());
    told.into_iter().map(|address| address.with(Protocol::P2p(peer)).to_string()).collect()
}

/// The IP address in a multiaddress of the mesh.
pub fn ip_of(address: &Multiaddr) -> Option<IpAddr> {
    address.iter().find_map(|part| {
        if let Protocol::Ip4(ip) = part {
            return Some(IpAddr::V4(ip));
        }
        if let Protocol::Ip6(ip) = part { Some(IpAddr::V6(ip)) } else { None }
    })
}

/// The socket address in a multiaddress of the mesh, and `UDP` or `TCP`.
pub fn socket_of(address: &Multiaddr) -> Option<(SocketAddr, &'static str)> {
    let (port, protocol) = address.iter().find_map(|part| {
        if let Protocol::Udp(port) = part {
            return Some((port, "UDP"));
        }
        if let Protocol::Tcp(port) = part { Some((port, "TCP")) } else { None }
    })?;
    Some((SocketAddr::new(ip_of(address)?, port), protocol))
}

/// What to tell others of the addresses that the sockets listen on: no loopback unless there is nothing else, nothing
/// that only this host can reach.
pub fn advertised(listening: &[Multiaddr], own_bridges: &OwnBridges) -> Vec<Multiaddr> {
    let useful = |ip: IpAddr| !ip.is_loopback() && !is_link_local(ip) && !own_bridges.contain(ip);
    let of_use = |address: &&Multiaddr| ip_of(address).is_some_and(useful);
    let mut told: Vec<Multiaddr> = listening.iter().filter(of_use).cloned().collect();
    if told.is_empty() {
        told = listening.to_vec();
    }
    // QUIC first, and an order that does not change from one start to the next.
    told.sort_by_key(|address| (!is_quic(address), address.to_string()));
    told.dedup();
    told
}

/// Where to be probed: the IP addresses of `told`, each once.
pub fn probe_addresses(told: &[Multiaddr]) -> Vec<IpAddr> {
    let mut all: Vec<IpAddr> = told.iter().filter_map(ip_of).collect();
    all.sort();
    all.dedup();
    all
}

/// Whether it is a QUIC address.
pub fn is_quic(address: &Multiaddr) -> bool {
    address.iter().any(|part| matches!(part, Protocol::QuicV1))
}

/// `address` with the port of `bound`, which is of the same kind.
pub fn with_port_of(address: &Multiaddr, bound: &Multiaddr) -> Multiaddr {
    let is_port = |part: &Protocol<'_>| matches!(part, Protocol::Udp(_) | Protocol::Tcp(_));
    let port = bound.iter().find(is_port);
    address.iter().map(|part| port.clone().filter(|_| is_port(&part)).unwrap_or(part)).collect()
}

/// `address` at another IP address.
pub fn with_ip(address: &Multiaddr, ip: IpAddr) -> Multiaddr {
    let is_ip = |part: &Protocol<'_>| matches!(part, Protocol::Ip4(_) | Protocol::Ip6(_));
    address.iter().map(|part| if is_ip(&part) { Protocol::from(ip) } else { part }).collect()
}

fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

/// The networks of this host's container bridges.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct OwnBridges {
    v4: Vec<(u32, u32)>,
    v6: Vec<Ipv6Addr>,
}

impl OwnBridges {
    /// As Linux tells them; none on other systems.
    pub fn of_host() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        Self::parse(&read("/proc/net/route"), &read("/proc/net/if_inet6"))
    }

    fn parse(routes: &str, v6: &str) -> Self {
        // Numbers in this table are in the host's own byte order, as the C library prints them.
        let number = |text: &str| u32::from_str_radix(text, 16).ok().map(|raw| u32::from_be_bytes(bytes_of(raw)));
        let route = |line: &str| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let [interface, network, _, _, _, _, _, mask, ..] = fields[..] else { return None };
            LOCAL_ONLY.contains(&interface).then_some((number(network)?, number(mask)?))
        };
        let address = |line: &str| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let [digits, .., interface] = fields[..] else { return None };
            let ip = u128::from_str_radix(digits, 16).ok()?;
            LOCAL_ONLY.contains(&interface).then_some(Ipv6Addr::from(ip))
        };
        let v4 = routes.lines().filter_map(route).filter(|(_, mask)| *mask != 0).collect();
        Self { v4, v6: v6.lines().filter_map(address).collect() }
    }

    fn contain(&self, ip: IpAddr) -> bool {
        match ip {
            IpAddr::V4(ip) => self.v4.iter().any(|(network, mask)| u32::from(ip) & mask == *network),
            IpAddr::V6(ip) => self.v6.contains(&ip),
        }
    }
}

#[expect(clippy::host_endian_bytes, reason = "the kernel prints these numbers in the host's byte order")]
const fn bytes_of(raw: u32) -> [u8; 4] {
    raw.to_ne_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<Multiaddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn loopback_and_bridges_are_not_told_to_others() {
        let routes = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
            eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
            docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n";
        let v6 = "00000000000000000000000000000001 01 80 10 80       lo\n\
            fd000000000000000000000000000009 03 40 00 80  docker0\n";
        let bridges = OwnBridges::parse(routes, v6);
        let listening = addresses(&[
            "/ip4/127.0.0.1/udp/1/quic-v1",
            "/ip4/172.17.0.1/udp/1/quic-v1",
            "/ip4/192.0.2.2/tcp/1",
            "/ip4/192.0.2.2/udp/1/quic-v1",
            "/ip6/fe80::1/udp/1/quic-v1",
            "/ip6/fd00::9/udp/1/quic-v1",
            "/ip6/fd00::2/udp/1/quic-v1",
        ]);
        let told = advertised(&listening, &bridges);
        let expected =
            addresses(&["/ip4/192.0.2.2/udp/1/quic-v1", "/ip6/fd00::2/udp/1/quic-v1", "/ip4/192.0.2.2/tcp/1"]);
        assert_eq!(told, expected);
        assert_eq!(probe_addresses(&told), ["192.0.2.2".parse::<IpAddr>().unwrap(), "fd00::2".parse().unwrap()]);
    }

    #[test]
    fn a_host_with_nothing_but_loopback_tells_that() {
        let listening = addresses(&["/ip4/127.0.0.1/tcp/1"]);
        assert_eq!(advertised(&listening, &OwnBridges::default()), listening);
    }
}
