//! Where a request comes from.

use aggregator_core::network::Network;
use axum::extract::ConnectInfo;
use axum::http::HeaderName;
use axum::http::request::Parts;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// A site has at least as much of IPv6 to itself, so that a limit on one address would be none.
const SITE_BITS: u32 = 64;

/// Whoever sent a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Client {
    address: Option<IpAddr>,
}

impl Client {
    /// The other end of the connection. If that is a trusted proxy, the last address in `X-Forwarded-For` that is none: those
    /// before it were written by whoever that is, and may say anything.
    pub fn of(parts: &Parts, trusted: &[Network]) -> Self {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| address.ip());
        let lines = parts.headers.get_all(FORWARDED_FOR).iter().filter_map(|line| line.to_str().ok());
        let hops: Vec<&str> = lines.flat_map(|line| line.split(',')).map(str::trim).collect();
        let mut address = peer.map(|peer| peer.to_canonical());
        let mut hops = hops.into_iter().rev();
        while let Some(hop) = address.filter(|hop| trusted.iter().any(|network| network.has(*hop))) {
            // What cannot be read ends what is known.
            address = Some(hops.next().and_then(read).unwrap_or(hop));
            if address == Some(hop) {
                break;
            }
        }
        Self { address }
    }

    /// For people.
    pub fn address(&self) -> String {
        self.address.map_or_else(|| "unknown".to_owned(), |address| address.to_string())
    }

    /// For limits: all of a site in IPv6 is one.
    pub fn site(&self) -> String {
        match self.address {
            Some(IpAddr::V6(address)) => {
                let site = address.to_bits() >> (128 - SITE_BITS) << (128 - SITE_BITS);
                format!("{}/{SITE_BITS}", Ipv6Addr::from_bits(site))
            }
            Some(IpAddr::V4(_)) | None => self.address(),
        }
    }
}

/// An address as proxies write it, with a port or without.
fn read(hop: &str) -> Option<IpAddr> {
    let address = hop.parse().or_else(|_| hop.parse::<SocketAddr>().map(|address| address.ip()));
    address
        .or_else(|_| hop.trim_start_matches('[').trim_end_matches(']').parse())
        .ok()
        .map(|ip: IpAddr| ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, forwarded: &[&str], trusted: &[&str]) -> Client {
        let mut request = axum::http::Request::builder();
        for line in forwarded {
            request = request.header(FORWARDED_FOR, *line);
        }
        let (mut parts, ()) = request.body(()).expect("valid").into_parts();
        let peer = SocketAddr::new(peer.parse().expect("an address"), 1);
        parts.extensions.insert(ConnectInfo(peer));
        let trusted: Vec<Network> = trusted.iter().map(|text| text.parse().expect("a network")).collect();
        Client::of(&parts, &trusted)
    }

    #[test]
    fn only_a_trusted_proxy_says_for_whom_it_asks() {
        for (peer, forwarded, trusted, expected) in [
            ("192.0.2.1", ["198.51.100.7"].as_slice(), [].as_slice(), "192.0.2.1"),
            ("192.0.2.1", &["198.51.100.7"], &["10.0.0.0/8"], "192.0.2.1"),
            ("10.1.2.3", &["198.51.100.7"], &["10.0.0.0/8"], "198.51.100.7"),
            ("10.1.2.3", &["1.2.3.4, 198.51.100.7"], &["10.0.0.0/8"], "198.51.100.7"),
            ("10.1.2.3", &["198.51.100.7, 10.9.9.9"], &["10.0.0.0/8"], "198.51.100.7"),
            ("10.1.2.3", &["1.2.3.4", "198.51.100.7:55, 10.9.9.9"], &["10.0.0.0/8"], "198.51.100.7"),
            ("10.1.2.3", &["nonsense"], &["10.0.0.0/8"], "10.1.2.3"),
            ("10.1.2.3", &["1.2.3.4, nonsense, 10.9.9.9"], &["10.0.0.0/8"], "10.9.9.9"),
            ("10.1.2.3", &[], &["10.0.0.0/8"], "10.1.2.3"),
            ("::ffff:10.1.2.3", &["2001:db8::7"], &["10.0.0.0/8"], "2001:db8::7"),
            ("fd00::1", &["[2001:db8::7]:99"], &["fd00::/8"], "2001:db8::7"),
            ("127.0.0.1", &["198.51.100.7"], &["127.0.0.1"], "198.51.100.7"),
            ("127.0.0.2", &["198.51.100.7"], &["127.0.0.1"], "127.0.0.2"),
            ("9.9.9.9", &["198.51.100.7"], &["0.0.0.0/0"], "198.51.100.7"),
        ] {
            assert_eq!(client(peer, forwarded, trusted).address(), expected, "{peer} {forwarded:?} {trusted:?}");
        }
    }

    #[test]
    fn a_site_is_limited_as_one() {
        assert_eq!(client("192.0.2.1", &[], &[]).site(), "192.0.2.1");
        assert_eq!(client("2001:db8:1:2:3:4:5:6", &[], &[]).site(), "2001:db8:1:2::/64");
        assert_eq!(client("::ffff:192.0.2.1", &[], &[]).site(), "192.0.2.1");
    }
}
