//! Where a webhook or a mail may go. Whoever may name an address must not reach through the aggregator what it could not reach itself:
//! the host's own services, the network behind it, the metadata service of a cloud.

use crate::network::Network;
use alloc::string::String;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Most networks that an operator may name.
pub const NETWORKS_MAX: usize = 64;

/// Whether something may be sent to `address`.
///
/// # Errors
/// What kind of address it is, as the end of a sentence.
pub fn check(address: IpAddr, allowed: &[Network]) -> Result<(), &'static str> {
    if allowed.iter().any(|network| network.has(plain(address))) {
        return Ok(());
    }
    match plain(address) {
        IpAddr::V4(address) => check_v4(address),
        IpAddr::V6(address) => check_v6(address),
    }
}

/// An address in another one's clothes is that address: mapped (RFC 4291), compatible, NAT64 (RFC 6052), 6to4 (RFC 3056).
fn plain(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let four = |high: u16, low: u16| IpAddr::V4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
    match v6.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => four(high, low),
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => four(high, low),
        [0x2002, high, low, ..] => four(high, low),
        _ => address,
    }
}

fn check_v4(address: Ipv4Addr) -> Result<(), &'static str> {
    let [first, second, third, _] = address.octets();
    let why = match (first, second, third) {
        (0, ..) => "is of this network (RFC 1122)",
        (127, ..) => "is this host's own (loopback)",
        (10, ..) | (192, 168, _) => "is private (RFC 1918)",
        (172, 16..=31, _) => "is private (RFC 1918)",
        (100, 64..=127, _) => "is shared by customers of a provider (RFC 6598)",
        (169, 254, _) => "is link-local, where clouds have their metadata (RFC 3927)",
        (192, 0, 0) => "is for protocols (RFC 6890)",
        (192, 0, 2) | (198, 51, 100) | (203, 0, 113) => "is for documentation (RFC 5737)",
        (192, 88, 99) => "is of relays that are given up (RFC 7526)",
        (198, 18..=19, _) => "is for benchmarks (RFC 2544)",
        (224..=239, ..) => "is multicast",
        (240..=255, ..) => "is reserved or broadcast",
        _ => return Ok(()),
    };
    Err(why)
}

fn check_v6(address: Ipv6Addr) -> Result<(), &'static str> {
    let why = match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => "is this host's own (loopback)",
        [0, 0, 0, 0, 0, 0, ..] => "is of this network",
        [0xfe80..=0xfebf, ..] => "is link-local (RFC 4291)",
        [0xfec0..=0xfeff, ..] => "is site-local (RFC 3879)",
        [0xfc00..=0xfdff, ..] => "is private, where clouds have their metadata (RFC 4193)",
        [0xff00..=0xffff, ..] => "is multicast",
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => "is for documentation (RFC 3849, RFC 9637)",
        [0x2001, 0..=0x1ff, ..] => "is for protocols and tunnels (RFC 2928)",
        [0x64, 0xff9b, ..] => "is translated to another network (RFC 8215)",
        [0x2000..=0x3fff, ..] => return Ok(()),
        _ => "is not given out (RFC 3513)",
    };
    Err(why)
}

/// A refusal in one sentence.
pub fn refusal(address: IpAddr, why: &str) -> String {
    alloc::format!("is {address}, which {why}; name its network in `alerts.allow_networks` if that is meant")
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn is_refused(address: &str) -> bool {
        check(address.parse().expect("an address"), &[]).is_err()
    }

    #[test]
    fn nothing_inside_is_reached() {
        for address in [
            "127.0.0.1",
            "127.255.255.254",
            "0.0.0.0",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.100.100.200",
            "192.0.0.192",
            "192.88.99.1",
            "224.0.0.1",
            "255.255.255.255",
            "240.0.0.1",
            "198.18.0.1",
            "::",
            "::1",
            "fe80::1",
            "fec0::1",
            "fd00:ec2::254",
            "fc00::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "4000::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::a00:1",
            "2002:7f00:1::",
            "2002:a9fe:a9fe::1",
        ] {
            assert!(is_refused(address), "{address}");
        }
    }

    #[test]
    fn what_is_outside_is() {
        for address in
            ["1.1.1.1", "8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:1.1.1.1", "2002:101:101::"]
        {
            assert!(!is_refused(address), "{address}");
        }
    }

    #[test]
    fn a_network_that_is_named_is_meant() {
        let networks: Vec<Network> =
            ["10.1.0.0/16", "fd00::/8", "127.0.0.1"].into_iter().map(|text| text.parse().expect("a network")).collect();
        let may = |address: &str| check(address.parse().expect("an address"), &networks).is_ok();
        for address in ["10.1.2.3", "::ffff:10.1.2.3", "fd12::1", "127.0.0.1", "1.1.1.1"] {
            assert!(may(address), "{address}");
        }
        for address in ["10.2.0.1", "127.0.0.2", "fc00::1", "169.254.169.254"] {
            assert!(!may(address), "{address}");
        }
    }
}
