//! HTTPS to aggregators, as agents speak it, over certificates that are known by their hash.

use anyhow::Context as _;
use everypath_protocol::batch::{CONTENT_TYPE, IngestAnswer};
use everypath_protocol::sign::sha256;
use reqwest::{Client, StatusCode};
use rustls::DigitallySignedStruct;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use std::sync::Arc;
use std::time::Duration;

/// For one request.
const TIMEOUT: Duration = Duration::from_secs(15);

/// What became of a batch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Sent {
    Acked(IngestAnswer),
    /// 429 or 503, with the wait that was asked for.
    Busy(Duration),
    /// 409 and the number that is expected.
    Gap(u64),
    Refused(StatusCode),
    ServerError(StatusCode),
    Unreachable,
}

/// A client of one aggregator.
#[derive(Clone, Debug)]
pub(crate) struct Wire {
    client: Client,
    url: String,
}

impl Wire {
    pub(crate) fn new(url: &str, pin: Option<[u8; 32]>) -> anyhow::Result<Self> {
        let builder = Client::builder().timeout(TIMEOUT).no_proxy().https_only(true);
        let builder = match pin {
            Some(pin) => builder.tls_backend_preconfigured(pinned(pin)),
            None => builder,
        };
        Ok(Self {
            client: builder.build().context("while preparing HTTPS")?,
            url: url.trim_end_matches('/').to_owned(),
        })
    }

    pub(crate) async fn post(
        &self,
        path: &str,
        kind: &str,
        body: Vec<u8>,
    ) -> Result<(StatusCode, Vec<u8>, Option<u64>), reqwest::Error> {
        let request = self.client.post(format!("{}{path}", self.url)).header("content-type", kind).body(body);
        let answer = request.send().await?;
        let wait = answer.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
        let status = answer.status();
        Ok((status, answer.bytes().await?.to_vec(), wait))
    }

    pub(crate) async fn ingest(&self, body: Vec<u8>) -> Sent {
        let Ok((status, body, wait)) = self.post("/api/v1/ingest", CONTENT_TYPE, body).await else {
            return Sent::Unreachable;
        };
        match status.as_u16() {
            200 => serde_json::from_slice(&body).map_or(Sent::Unreachable, Sent::Acked),
            409 => {
                let problem: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
                problem["expected"].as_u64().map_or(Sent::Refused(status), Sent::Gap)
            }
            429 | 503 => Sent::Busy(Duration::from_secs(wait.unwrap_or(1))),
            500..=599 => Sent::ServerError(status),
            _ => Sent::Refused(status),
        }
    }
}

/// Trusts exactly one certificate.
#[derive(Debug)]
struct Pinned {
    pin: [u8; 32],
    provider: Arc<CryptoProvider>,
}

fn pinned(pin: [u8; 32]) -> rustls::ClientConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = Arc::new(Pinned { pin, provider: Arc::clone(&provider) });
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has them")
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if sha256(&[end_entity]) == self.pin {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(rustls::Error::InvalidCertificate(rustls::CertificateError::ApplicationVerificationFailure))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
