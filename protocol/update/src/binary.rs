//! The file that is to be replaced, and the lock on doing so: one update at a time, and only of the file that was looked at.

use crate::Program;
use crate::error::UpdateError;
use std::fs::{self, File, TryLockError};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// How often the lock is asked for anew: each time its file was taken away by whoever held it before.
const LOCK_TRIES_MAX: u32 = 8;

/// The file of a program: where it is, and which one that was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Binary {
    path: PathBuf,
    /// Device and inode.
    file: (u64, u64),
}

impl Binary {
    /// Of the program that runs in this process, even if another file has its place by now.
    ///
    /// # Errors
    /// When the system does not say where it is.
    pub fn of_this_process() -> Result<Self, UpdateError> {
        let link = Path::new("/proc/self/exe");
        let unknown = |why| UpdateError::io("finding the file of this program", link, why);
        let path = std::env::current_exe().map_err(unknown)?;
        Ok(Self { path, file: which(&fs::metadata(link).map_err(unknown)?) })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The folder that it lies in.
    pub(crate) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or_else(|| Path::new("/"))
    }

    /// Whether it still has its place. Another file there may be newer than what was offered to this one.
    pub(crate) fn check(&self) -> Result<(), UpdateError> {
        match fs::metadata(&self.path) {
            Ok(there) if which(&there) == self.file => Ok(()),
            Ok(_) | Err(_) => Err(UpdateError::Replaced { path: self.path.clone() }),
        }
    }
}

fn which(file: &fs::Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

/// What folders for downloads begin with.
pub(crate) fn stage_prefix(program: &str) -> String {
    format!(".{program}-update-")
}

/// Held while a program is replaced. The lock is the system's and ends with the process, however that ends; the file is taken away
/// with it, so that nothing is left beside the program.
#[derive(Debug)]
pub(crate) struct UpdateLock {
    _file: File,
    path: PathBuf,
}

impl UpdateLock {
    /// Takes the lock beside `binary`, and deletes what updates that were killed have left there.
    pub(crate) fn take(program: &Program, binary: &Binary) -> Result<Self, UpdateError> {
        let path = binary.folder().join(format!(".{}-update.lock", program.name));
        let not_writable = |why: std::io::Error| UpdateError::NotWritable {
            path: binary.folder().to_owned(),
            why: why.kind().to_string(),
        };
        for _ in 0..LOCK_TRIES_MAX {
            // Nobody else may open it: whoever can, can lock it, and hold every update up.
            let open = File::options().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
            let file = open.map_err(not_writable)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(UpdateError::UnderWay { path: binary.path.clone() }),
                Err(TryLockError::Error(why)) => return Err(UpdateError::io("locking", &path, why)),
            }
            let locked = file.metadata().map_err(|why| UpdateError::io("looking at", &path, why))?;
            // Between opening and locking its holder may have taken it away; then this lock holds nobody up.
            if fs::metadata(&path).is_ok_and(|there| which(&there) == which(&locked)) {
                remove_stages(program, binary.folder());
                return Ok(Self { _file: file, path });
            }
        }
        Err(UpdateError::UnderWay { path: binary.path.clone() })
    }
}

impl Drop for UpdateLock {
    fn drop(&mut self) {
        // The lock itself is given up afterwards, when the file is closed. One that stays is in nobody's way.
        let _ = fs::remove_file(&self.path);
    }
}

/// Whoever holds the lock has made none yet, and nobody else has one under way. What cannot be deleted does not matter.
fn remove_stages(program: &Program, folder: &Path) {
    let prefix = stage_prefix(program.name);
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_folder && entry.file_name().to_string_lossy().starts_with(&prefix) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_update_at_a_time_clears_up_after_killed_ones_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p");
        fs::write(&path, "").unwrap();
        let binary = Binary { file: which(&fs::metadata(&path).unwrap()), path: path.clone() };
        let program = Program::new("p", "1.0.0");
        fs::create_dir(folder.path().join(".p-update-abc")).unwrap();
        fs::write(folder.path().join(".p-update-abc/fresh"), "half").unwrap();
        fs::create_dir(folder.path().join(".q-update-abc")).unwrap();
        let lock = UpdateLock::take(&program, &binary).unwrap();
        assert!(!folder.path().join(".p-update-abc").exists() && folder.path().join(".q-update-abc").exists());
        let said = UpdateLock::take(&program, &binary).unwrap_err().to_string();
        assert!(said.contains("another update of") && said.contains("is under way"), "{said}");
        drop(lock);
        drop(UpdateLock::take(&program, &binary).unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "the program, and the folder of another one");
        assert!(binary.check().is_ok());
        fs::write(folder.path().join("new"), "").unwrap();
        fs::rename(folder.path().join("new"), &path).unwrap();
        let said = binary.check().unwrap_err().to_string();
        assert!(said.contains("was replaced"), "{said}");
    }
}
