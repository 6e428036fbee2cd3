//! Files that must be whole after a power cut, and files that only their owner may read.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// What went wrong with which file.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The operating system refused.
    #[error("cannot {action} {}: {why}{}", path.display(), advice(why.kind()))]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the operating system said.
        why: io::Error,
    },
    /// Others can read a file that must be private.
    #[error("{} can be read by others (mode {mode:o}). If that was a mistake, mend it with: chmod {wanted:o} {}", path.display(), path.display())]
    TooOpen {
        /// Which.
        path: PathBuf,
        /// Its mode.
        mode: u32,
        /// The mode it should have.
        wanted: u32,
    },
    /// Larger than such a file ever is.
    #[error("{} is larger than {bytes_max} bytes, so it is not the file that is expected there", path.display())]
    TooLong {
        /// Which.
        path: PathBuf,
        /// The limit.
        bytes_max: u64,
    },
}

impl FileError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |why| Self::Io { action, path, why }
    }
}

/// What to do, where the operating system's words alone do not say it. All these files lie in the data directory.
#[expect(clippy::wildcard_enum_match_arm, reason = "the operating system has many more words, and new ones come")]
pub(crate) const fn advice(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::PermissionDenied => ". Do this as the user whom the data directory belongs to, or as root",
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            ". A file has this name, or one of the directories above it; name another directory with --data-dir"
        }
        io::ErrorKind::IsADirectory => ". A directory has this name, where a file belongs; move it away",
        io::ErrorKind::ReadOnlyFilesystem => ". Name a directory that can be written with --data-dir",
        io::ErrorKind::StorageFull => ". Make room on the disk",
        _ => "",
    }
}

/// Makes a directory that only its owner can enter, with all its parents; checks one that exists.
///
/// # Errors
/// [`FileError::TooOpen`] for an existing one that others can enter, [`FileError::Io`] otherwise.
pub fn private_dir(path: &Path) -> Result<(), FileError> {
    let existed = path.is_dir();
    if !existed {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(FileError::io("create the directory", path))?;
    }
    let metadata = fs::metadata(path).map_err(FileError::io("look at", path))?;
    // An empty directory, as packages and mounts make them, holds no secret yet: take it.
    let is_empty = || fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none());
    if metadata.mode() & 0o077 != 0 && existed && is_empty() {
        return fs::set_permissions(path, fs::Permissions::from_mode(0o700))
            .map_err(FileError::io("make private", path));
    }
    check_mode(path, metadata.mode(), 0o700)
}

fn check_mode(path: &Path, mode: u32, wanted: u32) -> Result<(), FileError> {
    if mode & 0o077 == 0 {
        Ok(())
    } else {
        Err(FileError::TooOpen { path: path.to_owned(), mode: mode & 0o777, wanted })
    }
}

/// Writes a file so that after a power cut either the old or the new content is there, whole.
///
/// # Errors
/// [`FileError::Io`]; the old content is then still there.
pub fn write_whole(path: &Path, bytes: &[u8], mode: u32) -> Result<(), FileError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".tmp");
    let tmp = path.with_file_name(name);
    let _ = fs::remove_file(&tmp);
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(mode).open(&tmp).map_err(FileError::io("create", &tmp))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(FileError::io("write", &tmp))?;
    rename_durably(&tmp, path)
}

/// Renames within a directory and makes the new name survive a power cut.
///
/// # Errors
/// [`FileError::Io`].
pub fn rename_durably(from: &Path, to: &Path) -> Result<(), FileError> {
    fs::rename(from, to).map_err(FileError::io("rename", from))?;
    let dir = to.parent().unwrap_or_else(|| Path::new("."));
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(FileError::io("sync the directory", dir))
}

/// Reads a file of at most `bytes_max` bytes; `None` if it does not exist.
///
/// # Errors
/// [`FileError::Io`] or [`FileError::TooLong`].
pub fn read_bounded(path: &Path, bytes_max: u64) -> Result<Option<Vec<u8>>, FileError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(why) => return Err(FileError::io("open", path)(why)),
    };
    let mut bytes = Vec::new();
    file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(FileError::io("read", path))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > bytes_max {
        return Err(FileError::TooLong { path: path.to_owned(), bytes_max });
    }
    Ok(Some(bytes))
}

/// As [`read_bounded`], for a file that others must not be able to read.
///
/// # Errors
/// As [`read_bounded`], and [`FileError::TooOpen`].
pub fn read_private(path: &Path, bytes_max: u64) -> Result<Option<Vec<u8>>, FileError> {
    if let Ok(metadata) = fs::metadata(path) {
        if metadata.is_dir() {
            return Err(FileError::io("read", path)(io::ErrorKind::IsADirectory.into()));
        }
        check_mode(path, metadata.mode(), 0o600)?;
    }
    read_bounded(path, bytes_max)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file where the data directory belongs was "File exists (os error 17): File exists (os error 17)".
    #[test]
    fn a_file_where_a_directory_belongs_and_the_other_way_round_are_told_once_with_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        for refused in [private_dir(&file), private_dir(&file.join("below"))] {
            let said = crate::text::chain(&refused.unwrap_err());
            assert!(said.contains("--data-dir") && said.matches("os error").count() == 1, "{said}");
        }
        // The mode of the directory was complained of, and making it 600 would have made it no file.
        let said = read_private(dir.path(), 10).unwrap_err().to_string();
        assert!(said.contains("move it away") && !said.contains("chmod"), "{said}");
    }
}
