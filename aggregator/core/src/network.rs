//! Addresses that begin alike: where proxies are believed, and where webhooks may go although it is inside.

use core::fmt;
use core::net::IpAddr;
use core::str::FromStr;

/// A network: an address and how many of its first bits count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    /// Whether `address` is in it. An IPv4 address that is mapped into IPv6 is the IPv4 address.
    pub fn has(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let differ = own.to_bits() ^ other.to_bits();
                differ.checked_shr(32 - self.bits).unwrap_or(0) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let differ = own.to_bits() ^ other.to_bits();
                differ.checked_shr(128 - self.bits).unwrap_or(0) == 0
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl FromStr for Network {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        const EXPECTED: &str = "is no network; write one like 10.0.0.0/8, fd00::/8 or 192.0.2.7";
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| EXPECTED)?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(longest), str::parse).map_err(|_| EXPECTED)?;
        if bits > longest { Err(EXPECTED) } else { Ok(Self { address, bits }) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.address, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString as _;

    fn has(network: &str, address: &str) -> bool {
        network.parse::<Network>().expect("a network").has(address.parse().expect("an address"))
    }

    #[test]
    fn what_begins_alike_is_in_it() {
        assert!(has("10.1.0.0/16", "10.1.2.3") && !has("10.1.0.0/16", "10.2.0.1"));
        assert!(has("10.1.0.0/16", "::ffff:10.1.2.3") && !has("::/0", "10.1.2.3"));
        assert!(has("127.0.0.1", "127.0.0.1") && !has("127.0.0.1", "127.0.0.2"));
        assert!(has("fd00::/8", "fd12::1") && !has("fd00::/8", "fc00::1"));
        assert!(has("0.0.0.0/0", "127.0.0.1") && has("::/0", "2001:db8::1"));
        assert!(has("2001:db8::1", "2001:db8::1") && !has("2001:db8::1", "2001:db8::2"));
        assert_eq!("10.1.0.0/16".parse::<Network>().map(|network| network.to_string()), Ok("10.1.0.0/16".to_string()));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        let wrong = ["", "10.0.0.0/33", "10.0.0/8", "::/129", "a", "1.2.3.4/-1", "1.2.3.4/", "10.0.0.0/x", "/8"];
        assert!(wrong.iter().all(|text| text.parse::<Network>().is_err()));
    }
}
