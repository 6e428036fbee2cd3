//! Why an aggregator that was asked did not answer, for the person who typed its URL.

use rustls::CertificateError;
use std::error::Error;
use std::io;

/// What happened and what to do, to be read behind "while asking URL:". `has_ca`: a certificate was named by --ca.
pub(super) fn reason(error: &reqwest::Error, has_ca: bool) -> String {
    if error.is_timeout() {
        return "it did not answer in time; is it overloaded, or is something between here and there dropping packets?"
            .to_owned();
    }
    let causes = causes(error);
    if let Some(why) = causes.iter().find_map(|cause| cause.downcast_ref::<rustls::Error>()) {
        return of_tls(why, has_ca);
    }
    let is_refused = |cause: &&io::Error| cause.kind() == io::ErrorKind::ConnectionRefused;
    if causes.iter().filter_map(|cause| cause.downcast_ref()).any(|cause| is_refused(&cause)) {
        return "nobody listens there (connection refused). Is the aggregator running? Its `server.listen`, usually port 8443, takes \
                https://; its `server.http`, usually 127.0.0.1:8080, takes http:// on its own host"
            .to_owned();
    }
    let last = causes.last().map_or_else(|| error.to_string(), ToString::to_string);
    format!("{last}; check the host and the port in --url")
}

/// From the outside to the inside. What is in an error of the operating system's type is hidden from `source`.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> Vec<&'a (dyn Error + 'static)> {
    let mut found = vec![error];
    while let Some(next) = inside(found[found.len() - 1]) {
        found.push(next);
    }
    found
}

fn inside<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => Some(inner as &(dyn Error + 'static)),
        None => error.source(),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the library's, which has many and may add more")]
fn of_tls(why: &rustls::Error, has_ca: bool) -> String {
    match why {
        rustls::Error::InvalidMessage(_) => {
            format!(
                "what answers there does not speak HTTPS ({why}); compare the port, or use http:// if it is `server.http` of this host"
            )
        }
        rustls::Error::InvalidCertificate(certificate) => of_certificate(certificate, why, has_ca),
        other => format!("TLS with it fails ({other}); something between here and there may be in the way"),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the library's, which has many and may add more")]
fn of_certificate(certificate: &CertificateError, why: &rustls::Error, has_ca: bool) -> String {
    match certificate {
        // The second: signed by somebody of the same name, as all are that aggregators made by themselves.
        CertificateError::UnknownIssuer | CertificateError::BadSignature if has_ca => format!(
            "its TLS certificate is not the one in --ca, nor signed by it ({why}). Compare the two: either --ca is of another aggregator, \
             or somebody else answers there"
        ),
        CertificateError::UnknownIssuer => format!(
            "nobody whom this host trusts has signed its TLS certificate ({why}). If the aggregator made it by itself, copy \
             `tls-certificate.pem` from its data directory to here and name it by --ca"
        ),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => format!(
            "its TLS certificate is for another name ({why}); use one in --url that it has, or give the aggregator a certificate that has \
             this one"
        ),
        _ => format!(
            "its TLS certificate cannot be accepted ({why}); look at `tls.certificate` of the aggregator, and at the clocks"
        ),
    }
}
