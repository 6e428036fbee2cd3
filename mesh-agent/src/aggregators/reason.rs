//! Why an aggregator was not reached, in words that a person can act on.

use rustls::{CertificateError, InvalidMessage};
use std::error::Error;
use std::io;

/// The innermost reason is the one that counts; the outer ones say only that there was one. What the TLS library says is put into
/// words of ours, and stands behind them for whoever looks for it.
pub(super) fn of(error: &reqwest::Error) -> String {
    if let Some(why) = of_tls(error) {
        return told(why);
    }
    let mut cause: &dyn Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// What the TLS library said, if it was that. It comes inside an error of the operating system's type, which hides it from `source`.
fn of_tls<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner as &(dyn Error + 'static)),
            None => error.source(),
        };
    }
    None
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the library's, which has many and may add more")]
fn told(why: &rustls::Error) -> String {
    match why {
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            format!("what answers at this port does not speak HTTPS ({why}); compare the port")
        }
        rustls::Error::InvalidCertificate(certificate) => of_certificate(certificate, why),
        other => format!(
            "TLS with it fails ({other}); something between here and there may be in the way, or one of the two programs is too old"
        ),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the library's, which has many and may add more")]
fn of_certificate(certificate: &CertificateError, why: &rustls::Error) -> String {
    match certificate {
        // Ours: see `tls::pinned`.
        CertificateError::ApplicationVerificationFailure => {
            "its TLS certificate is not the one that was pinned by the join token. If the aggregator was given a new certificate, \
             join again with a new token; if not, somebody else answers at this address"
                .to_owned()
        }
        CertificateError::UnknownIssuer => format!(
            "nobody whom this host trusts has signed its TLS certificate, and the join token does not pin it ({why}). If the aggregator \
             made the certificate itself, join with a new token from it; if an authority of yours signed it, make this host trust that \
             one; if neither, somebody else answers at this address"
        ),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!("its TLS certificate has expired ({why}); renew it, or set the clock of this host if that is wrong")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            format!("its TLS certificate is not valid yet ({why}); compare the clocks of this host and of the aggregator")
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => format!(
            "its TLS certificate is for another name than this address ({why}). Make a join token with an address that the certificate \
             names, or give the aggregator a certificate that names this one"
        ),
        _ => format!(
            "its TLS certificate cannot be accepted ({why}); look at `tls.certificate` of the aggregator, and at what is between \
             it and this host"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("client error (Connect)")]
    struct Outer(#[source] io::Error);

    fn said(why: CertificateError) -> String {
        let hidden = Outer(io::Error::other(io::Error::other(rustls::Error::InvalidCertificate(why))));
        told(of_tls(&hidden).expect("it is in there"))
    }

    /// "invalid peer certificate: UnknownIssuer" was all that a person was told.
    #[test]
    fn what_is_wrong_with_a_certificate_is_told_with_what_to_do() {
        for (why, parts) in [
            (
                CertificateError::ApplicationVerificationFailure,
                ["pinned by the join token", "join again with a new token"],
            ),
            (
                CertificateError::UnknownIssuer,
                ["does not pin it (invalid peer certificate: UnknownIssuer)", "a new token"],
            ),
            (CertificateError::Expired, ["has expired", "renew it"]),
            (CertificateError::NotValidYet, ["not valid yet", "compare the clocks"]),
            (CertificateError::NotValidForName, ["another name", "names this one"]),
            (CertificateError::BadSignature, ["cannot be accepted (", "tls.certificate"]),
        ] {
            let said = said(why);
            assert!(parts.iter().all(|part| said.contains(part)), "{said}");
        }
        assert_eq!(of_tls(&io::Error::other("no TLS")), None);
    }
}
