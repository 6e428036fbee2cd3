//! Why a port cannot be had, in words that say what to do.

use std::io;
use std::net::SocketAddr;

/// What to do about it; `flag` is the one that chooses another address.
#[expect(clippy::wildcard_enum_match_arm, reason = "the operating system has many more words, and new ones come")]
pub fn advice(kind: io::ErrorKind, address: SocketAddr, flag: &str) -> String {
    let port = address.port();
    match kind {
        io::ErrorKind::AddrInUse => format!(
            "Another program has this port; find it with: ss -lntup 'sport = :{port}'. Stop it, or choose another port with {flag}"
        ),
        io::ErrorKind::AddrNotAvailable => {
            format!(
                "No interface of this host has this address; list them with: ip address. Choose one of them with {flag}"
            )
        }
        io::ErrorKind::PermissionDenied => {
            format!("Low ports need a privilege (CAP_NET_BIND_SERVICE); choose one from 1024 on with {flag}")
        }
        _ => format!("Choose another address with {flag}"),
    }
}

#[cfg(test)]
mod tests {
    use crate::status;
    use std::net::SocketAddr;

    /// The status page's refusal named the cause twice, and said "another port" of an address that this host does not have.
    #[tokio::test]
    async fn a_status_page_without_a_socket_says_once_why_where_and_what_to_do() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let said = crate::text::chain(&status::bind(address).await.unwrap_err());
        assert_eq!(said.matches("Address already in use").count(), 1, "{said}");
        let port = address.port();
        for part in [address.to_string(), format!("ss -lntup 'sport = :{port}'"), "--status".to_owned()] {
            assert!(said.contains(&part), "{part:?} is not in: {said}");
        }
    }

    #[test]
    fn each_kind_of_refusal_has_its_own_advice() {
        let address: SocketAddr = "192.0.2.1:81".parse().unwrap();
        let said = |number| super::advice(std::io::Error::from_raw_os_error(number).kind(), address, "--listen");
        // EADDRINUSE, EADDRNOTAVAIL, EACCES.
        for (number, part) in [(98, "'sport = :81'"), (99, "ip address"), (13, "CAP_NET_BIND_SERVICE")] {
            assert!(said(number).contains(part) && said(number).contains("--listen"), "{}", said(number));
        }
    }
}
