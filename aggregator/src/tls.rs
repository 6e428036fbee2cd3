//! The certificate of the TLS listener: the operator's files, or a self-signed one that agents know by its hash.

use crate::files::{self, Reader};
use crate::seal::SealKey;
use crate::store::Store;
use anyhow::Context as _;
use everypath_protocol::sign::sha256;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::Path;
use std::sync::Arc;

const CERTIFICATE_FILE: &str = "tls-certificate.pem";
const KEY_FILE: &str = "tls-key.pem";

/// What the TLS listener needs.
#[derive(Clone, Debug)]
pub struct Tls {
    /// For rustls.
    pub server: Arc<ServerConfig>,
    /// SHA-256 of the certificate that agents must see; `None` where public authorities vouch for it.
    pub pin: Option<[u8; 32]>,
}

/// Makes aws-lc-rs the one provider of cryptography. Must be called once, before anything else uses TLS.
pub fn install_provider() {
    // A second call finds it installed, which is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

impl Tls {
    /// From the operator's files, or self-signed, kept in `data_dir` so that the pin in tokens stays true.
    ///
    /// # Errors
    /// When a file cannot be read or written, or does not hold what it should.
    pub fn load(
        files: Option<&(std::path::PathBuf, std::path::PathBuf)>,
        data_dir: &Path,
        names: &[String],
    ) -> anyhow::Result<Self> {
        if let Some((certificate, key)) = files {
            return Ok(Self { server: server_config(certificate, key)?, pin: None });
        }
        let (certificate, key) = (data_dir.join(CERTIFICATE_FILE), data_dir.join(KEY_FILE));
        if !certificate.exists() {
            make_self_signed(&certificate, &key, names)?;
        }
        let server = server_config(&certificate, &key)?;
        Ok(Self { server, pin: Some(pin_of(&certificate)?) })
    }
}

/// Under which replicas share it.
const SECRET: &str = "tls";

impl Tls {
    /// From the operator's files, or one self-signed certificate for all replicas on `store`, so that the pin in tokens fits
    /// whichever answers.
    ///
    /// # Errors
    /// As [`Tls::load`]; also when the database cannot be asked or was sealed with another key.
    pub async fn shared(
        files: Option<&(std::path::PathBuf, std::path::PathBuf)>,
        data_dir: &Path,
        names: &[String],
        store: &Store,
        key: &SealKey,
    ) -> anyhow::Result<Self> {
        if files.is_some() {
            return Self::load(files, data_dir, names);
        }
        let (certificate, private) = (data_dir.join(CERTIFICATE_FILE), data_dir.join(KEY_FILE));
        if !certificate.exists() {
            make_self_signed(&certificate, &private, names)?;
        }
        let read =
            |path: &Path| std::fs::read_to_string(path).with_context(|| format!("while reading {}", path.display()));
        let own = [read(&certificate)?, read(&private)?].join("\n");
        let text = key.share(store, SECRET, own.as_bytes()).await?;
        Self::from_pem(&text).context("the secret `tls` in the database is not a certificate with its key")
    }

    fn from_pem(text: &[u8]) -> anyhow::Result<Self> {
        let chain = CertificateDer::pem_slice_iter(text).collect::<Result<Vec<_>, _>>()?;
        let pin = sha256(&[chain.first().context("there is no certificate")?]);
        let server = config_of(chain, PrivateKeyDer::from_pem_slice(text)?)?;
        Ok(Self { server, pin: Some(pin) })
    }
}

/// The pin of the certificate that replicas on `store` share; `None` if none was made yet.
///
/// # Errors
/// When the database cannot be asked or was sealed with another key.
pub async fn pin_of_store(store: &Store, key: &SealKey) -> anyhow::Result<Option<[u8; 32]>> {
    if store.stored_secret(SECRET).await?.is_none() {
        return Ok(None);
    }
    let text = key.fetch(store, SECRET).await?;
    Ok(Tls::from_pem(&text)?.pin)
}

/// The pin that tokens must carry, from the files alone.
///
/// # Errors
/// When there is a certificate in `data_dir` but it cannot be read.
pub fn pin_in(data_dir: &Path) -> anyhow::Result<Option<[u8; 32]>> {
    let certificate = data_dir.join(CERTIFICATE_FILE);
    if certificate.exists() { pin_of(&certificate).map(Some) } else { Ok(None) }
}

fn pin_of(certificate: &Path) -> anyhow::Result<[u8; 32]> {
    let der = CertificateDer::from_pem_file(certificate);
    let der = der.with_context(|| format!("{} is not a TLS certificate in PEM format", certificate.display()))?;
    Ok(sha256(&[&der]))
}

fn server_config(certificate: &Path, key: &Path) -> anyhow::Result<Arc<ServerConfig>> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect);
    let chain = chain.with_context(|| format!("while reading the TLS certificate {}", certificate.display()))?;
    let private =
        PrivateKeyDer::from_pem_file(key).with_context(|| format!("while reading the TLS key {}", key.display()))?;
    config_of(chain, private).with_context(|| {
        format!("the TLS key {} does not fit the certificate {}", key.display(), certificate.display())
    })
}

fn config_of(
    chain: Vec<CertificateDer<'static>>,
    private: PrivateKeyDer<'static>,
) -> anyhow::Result<Arc<ServerConfig>> {
    let mut config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, private)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn make_self_signed(certificate: &Path, key: &Path, names: &[String]) -> anyhow::Result<()> {
    let made = rcgen::generate_simple_self_signed(names).context("while making a self-signed TLS certificate")?;
    let write = |path: &Path, text: String, reader| {
        files::write_whole(path, text.as_bytes(), reader).with_context(|| format!("while writing {}", path.display()))
    };
    // The key first: a certificate without its key would be found and kept at the next start.
    write(key, made.signing_key.serialize_pem(), Reader::Owner)?;
    write(certificate, made.cert.pem(), Reader::Everyone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_self_signed_certificate_is_kept_so_that_its_pin_stays() {
        install_provider();
        let folder = tempfile::tempdir().expect("a folder");
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let first = Tls::load(None, folder.path(), &names).expect("made");
        let second = Tls::load(None, folder.path(), &[]).expect("read back");
        assert!(first.pin.is_some());
        assert_eq!(first.pin, second.pin);
        assert_eq!(pin_in(folder.path()).expect("readable"), first.pin);
    }

    #[test]
    fn a_file_that_is_no_certificate_is_named() {
        install_provider();
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("c.pem");
        std::fs::write(&path, "hello").expect("written");
        let error = Tls::load(Some(&(path.clone(), path)), folder.path(), &[]).expect_err("not PEM");
        assert!(format!("{error:#}").contains("c.pem"), "{error:#}");
    }
}
