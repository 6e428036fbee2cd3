//! Files that must be whole or not there at all.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use tempfile::NamedTempFile;

/// Who may read a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reader {
    /// Its owner alone.
    Owner,
    /// Everyone who may enter the folder.
    Everyone,
}

/// Writes a file by way of a temporary one beside it, so that a crash leaves the old content or the new, never half of one.
///
/// # Errors
/// As the file system says.
pub fn write_whole(path: &Path, content: &[u8], reader: Reader) -> io::Result<()> {
    temporary(path, content, reader)?.persist(path).map_err(|error| error.error)?;
    File::open(folder_of(path))?.sync_all()
}

/// The same for a file that must not be there yet. Of two that do it at once, one does.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] if it is there, else as the file system says.
pub fn write_new(path: &Path, content: &[u8], reader: Reader) -> io::Result<()> {
    temporary(path, content, reader)?.persist_noclobber(path).map_err(|error| error.error)?;
    File::open(folder_of(path))?.sync_all()
}

fn temporary(path: &Path, content: &[u8], reader: Reader) -> io::Result<NamedTempFile> {
    let mut temporary = tempfile::Builder::new().permissions(mode(reader)).tempfile_in(folder_of(path))?;
    temporary.write_all(content)?;
    temporary.as_file().sync_all()?;
    Ok(temporary)
}

/// The parent of a name alone is empty, and no folder.
fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

/// Makes a folder that only its owner may enter, unless it exists.
///
/// # Errors
/// As the file system says.
pub fn make_private_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))
}

/// Makes an empty file that only its owner may read, unless it exists. Whatever opens it later leaves that as it is.
///
/// # Errors
/// As the file system says.
pub fn make_private_file(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    match File::options().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        Ok(_) | Err(_) => Ok(()),
    }
}

fn mode(reader: Reader) -> fs::Permissions {
    fs::Permissions::from_mode(match reader {
        Reader::Owner => 0o600,
        Reader::Everyone => 0o644,
    })
}
