//! Keys, and archives that are signed with them.

use crate::archive_name;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use semver::Version;
use std::io::Cursor;
use zipsign_api::SigningKey;

/// A key to sign with.
#[derive(Debug)]
pub struct Signer(SigningKey);

impl Signer {
    /// The key with this seed.
    pub fn new(seed: u8) -> Self {
        Self(SigningKey::from_bytes(&[seed; 32]))
    }

    /// Its public half, as it is written in a configuration.
    pub fn public(&self) -> String {
        BASE64_STANDARD.encode(self.0.verifying_key().as_bytes())
    }

    /// The archive, signed under this name.
    ///
    /// # Panics
    /// If it cannot be signed, which memory does not refuse.
    pub fn sign(&self, archive: &[u8], name: &str) -> Vec<u8> {
        let mut signed = Cursor::new(Vec::new());
        let keys = std::slice::from_ref(&self.0);
        zipsign_api::sign::copy_and_sign_tar(&mut Cursor::new(archive), &mut signed, keys, Some(name.as_bytes()))
            .expect("memory can be signed");
        signed.into_inner()
    }
}

/// Files as an archive.
///
/// # Panics
/// If a name does not fit into an archive.
pub fn pack(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o755);
        // As it stands: what no honest archive has must get in, too.
        let field = &mut header.as_old_mut().name;
        field.get_mut(..name.len()).expect("a short name").copy_from_slice(name.as_bytes());
        header.set_cksum();
        archive.append(&header, *bytes).expect("memory can be written");
    }
    archive.into_inner().and_then(GzEncoder::finish).expect("memory can be written")
}

/// A program that says this version, in place of a real one.
pub fn script(program: &str, says: &str) -> Vec<u8> {
    format!("#!/bin/sh\necho '{program} {says}'\n").into_bytes()
}

/// A whole release archive of `program` in `version` for this host, with what lies beside the program.
pub fn release_of(program: &str, version: &str) -> Vec<u8> {
    pack(&[("CHANGELOG.md", b"news"), (program, &script(program, version))])
}

/// The name of the archive of `program` in `version` for this host.
///
/// # Panics
/// If `version` is none.
pub fn name_here(program: &str, version: &str) -> String {
    archive_name(program, &Version::parse(version).expect("a version"), self_update::get_target())
}
