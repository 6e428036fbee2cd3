//! The archive of a release: whether it is believed, and the program in it.

use crate::decide::{Head, UNPACKED_BYTES_MAX, check_file};
use crate::error::UpdateError;
use crate::key::ReleaseKey;
use flate2::read::GzDecoder;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Whether one of the keys has signed the file under `name`. The file must lie under that name.
pub(crate) fn verify(path: &Path, name: &str, keys: &[ReleaseKey]) -> Result<(), UpdateError> {
    let refused = || UpdateError::Signature { archive: name.to_owned() };
    // The library would take "no key" for "nothing to check".
    if keys.is_empty() || path.file_name().is_none_or(|own| own != name) {
        return Err(refused());
    }
    let keys: Vec<self_update::VerifyingKey> = keys.iter().map(|key| key.0).collect();
    self_update::verify_signature(path, &keys).map_err(|_| refused())
}

/// Takes the file `program` out of the archive, as `fresh` in `folder`. Everything else in it is looked at, too.
pub(crate) fn unpack(path: &Path, program: &str, folder: &Path) -> Result<PathBuf, UpdateError> {
    let broken = |why: io::Error| UpdateError::Archive(format!("it cannot be read: {why}"));
    let file = File::open(path).map_err(|why| UpdateError::io("opening", path, why))?;
    // What entries are filled up with, and their heads, come on top of what they say.
    let bytes = GzDecoder::new(file).take(2 * UNPACKED_BYTES_MAX);
    let mut archive = tar::Archive::new(bytes);
    let fresh = folder.join("fresh");
    let (mut files, mut total, mut is_there) = (0, 0, false);
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let name = entry.path().map_err(broken)?.into_owned();
        let is_file = entry.header().entry_type() == tar::EntryType::Regular;
        check_file(Head { path: &name, is_file, bytes: entry.size() }, files, total)?;
        files += 1;
        total += entry.size();
        if name != Path::new(program) {
            continue;
        }
        let written = |why| UpdateError::io("writing", &fresh, why);
        let mut out = OpenOptions::new().write(true).create_new(true).mode(0o755).open(&fresh).map_err(|why| {
            let is_second = why.kind() == io::ErrorKind::AlreadyExists;
            if is_second { UpdateError::Archive(format!("it has `{program}` twice")) } else { written(why) }
        })?;
        let expected = entry.size();
        let copied = io::copy(&mut entry, &mut out).map_err(broken)?;
        if copied != expected {
            return Err(UpdateError::Archive(format!("`{program}` is cut off")));
        }
        out.sync_all().map_err(written)?;
        is_there = true;
    }
    if is_there { Ok(fresh) } else { Err(UpdateError::Archive(format!("there is no `{program}` in it"))) }
}
