//! One process on a data directory. A second one would share the SQLite file, hand out leases to itself, and write its own
//! `addresses.json` over that of the first, so that every token made from then on leads to the wrong place.
//!
//! The lock is the system's and ends with the process, however that ends: nobody ever has to delete a file.

use anyhow::Context as _;
use std::fs::{File, TryLockError};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Holds the number of the process, for whoever finds it locked.
const FILE: &str = "aggregator.lock";
/// Digits of the largest number of a process, and room to spare.
const PID_BYTES_MAX: u64 = 32;

/// Held as long as it lives.
#[derive(Debug)]
pub struct DataLock {
    _file: File,
}

impl DataLock {
    /// Takes the lock of a data directory that exists.
    ///
    /// # Errors
    /// When another process holds it, or the file system has no locks.
    pub fn take(data_dir: &Path) -> anyhow::Result<Self> {
        let path = data_dir.join(FILE);
        let open = File::options().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let mut file = open.with_context(|| {
            format!("cannot open {}; this user must be able to write to the data directory", path.display())
        })?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = pid(&file).map_or_else(String::new, |pid| format!(" (process {pid})"));
                anyhow::bail!(
                    "another aggregator{holder} uses the data directory {}; stop that one first, or give this one a \
                     directory of its own by --data-dir",
                    data_dir.display()
                );
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| {
                    format!(
                        "cannot lock {}; the data directory must be on a file system with locks, such as a local disk",
                        path.display()
                    )
                });
            }
        }
        let written = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        written.with_context(|| format!("while writing {}; is the disk full?", path.display()))?;
        Ok(Self { _file: file })
    }
}

/// Who wrote it; nothing while that is being written.
fn pid(file: &File) -> Option<u32> {
    let mut text = String::new();
    file.take(PID_BYTES_MAX).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_one_is_told_who_and_where_and_the_lock_ends_with_its_holder() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = DataLock::take(folder.path()).expect("free");
        let said = format!("{:#}", DataLock::take(folder.path()).expect_err("held"));
        let (pid, place) = (format!("(process {})", std::process::id()), folder.path().display().to_string());
        assert!(said.contains(&pid) && said.contains(&place) && said.contains("--data-dir"), "{said}");
        drop(first);
        drop(DataLock::take(folder.path()).expect("free again"));
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let said = format!("{:#}", DataLock::take(Path::new("/nowhere/at/all")).expect_err("no folder"));
        assert!(said.contains("/nowhere/at/all/aggregator.lock"), "{said}");
    }
}
