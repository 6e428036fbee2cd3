//! Exchanging the files. Until the one rename that counts, the old program is where it was; after it, it is beside the new one.

use crate::Program;
use crate::binary::{Binary, UpdateLock, stage_prefix};
use crate::decide::check_said;
use crate::error::UpdateError;
use rustix::fs::{XattrFlags, getxattr, setxattr};
use rustix::io::Errno;
use semver::Version;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::Command;

/// What the file of the old program is called behind its name.
pub const OLD_SUFFIX: &str = ".old";
/// A program says its version at once.
const TRIAL_TIME_MAX: Duration = Duration::from_secs(20);
/// Somebody else's new process may hold the file open for writing for a moment, from before it became another program.
const TRIALS_MAX: u32 = 20;
const TRIAL_PAUSE: Duration = Duration::from_millis(50);
/// A right to raw sockets lies here, where the operator has given it to the file.
const CAPABILITIES: &str = "security.capability";

/// A folder for what comes, beside the program: what is renamed must be on one file system. Made first, so that whoever may not
/// replace the program hears so before anything is fetched.
#[derive(Debug)]
pub(crate) struct Stage {
    // Deleted before the lock ends, as they stand here: nobody may take it for that of a killed update.
    folder: TempDir,
    _lock: UpdateLock,
}

impl Stage {
    /// Takes the lock of `binary`, and makes the folder.
    pub(crate) fn make(program: &Program, binary: &Binary) -> Result<Self, UpdateError> {
        let lock = UpdateLock::take(program, binary)?;
        // An update that has just ended may have put a newer one there than the one that was offered.
        binary.check()?;
        let folder = tempfile::Builder::new().prefix(&stage_prefix(program.name)).tempdir_in(binary.folder());
        let folder = folder.map_err(|why| UpdateError::NotWritable {
            path: binary.folder().to_owned(),
            why: why.kind().to_string(),
        })?;
        Ok(Self { folder, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// A program that was checked and tried, and lies beside the one that it is to replace. Dropped, it is deleted.
#[derive(Debug)]
pub struct Prepared {
    name: &'static str,
    before: Version,
    version: Version,
    binary: Binary,
    /// Holds `fresh`.
    stage: Stage,
    fresh: PathBuf,
}

/// What was done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Installed {
    /// The new version.
    pub version: Version,
    /// The one before.
    pub before: Version,
    /// Where the new one is.
    pub binary: PathBuf,
    /// Where the old one is.
    pub old: PathBuf,
}

impl Prepared {
    /// Gives the new file owner, mode and capabilities of the old one.
    pub(crate) fn new(
        program: &Program,
        version: Version,
        binary: Binary,
        stage: Stage,
        fresh: PathBuf,
    ) -> Result<Self, UpdateError> {
        let like_the_old = |why| UpdateError::io("giving the rights of the old program to", &fresh, why);
        let (old, new) = (fs::metadata(binary.path()), fs::metadata(&fresh));
        let (old, new) = (old.map_err(like_the_old)?, new.map_err(like_the_old)?);
        if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
            chown(&fresh, Some(old.uid()), Some(old.gid())).map_err(like_the_old)?;
        }
        // A release says nothing of who may run it; and nobody's identity is lent.
        let mode = fs::Permissions::from_mode(old.mode() & 0o755 | 0o500);
        fs::set_permissions(&fresh, mode).map_err(like_the_old)?;
        copy_capabilities(binary.path(), &fresh).map_err(like_the_old)?;
        Ok(Self { name: program.name, before: program.version.clone(), version, binary, stage, fresh })
    }

    /// Which version waits.
    pub const fn version(&self) -> &Version {
        &self.version
    }

    /// Asks the new program for its version: one for another processor, or for newer libraries than there are, cannot say it.
    pub(crate) async fn try_out(&self) -> Result<(), UpdateError> {
        let trial = |why: String| UpdateError::Trial(why);
        let mut tries = 0;
        let child = loop {
            let mut command = Command::new(&self.fresh);
            command.arg("--version").env_clear().current_dir("/").kill_on_drop(true);
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            match command.spawn() {
                Ok(child) => break child,
                Err(why) if why.kind() == io::ErrorKind::ExecutableFileBusy && tries < TRIALS_MAX => tries += 1,
                Err(why) => return Err(trial(format!("it cannot be started: {why}"))),
            }
            tokio::time::sleep(TRIAL_PAUSE).await;
        };
        let output = tokio::time::timeout(TRIAL_TIME_MAX, child.wait_with_output()).await;
        let output = output.map_err(|_| trial("it does not say its version in time".to_owned()))?;
        let output = output.map_err(|why| trial(why.to_string()))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let said: String = said.lines().next().unwrap_or_default().chars().take(200).collect();
            return Err(trial(format!("asked for its version it ends with {}: {said}", output.status)));
        }
        check_said(self.name, &self.version, &String::from_utf8_lossy(&output.stdout))
    }

    /// Puts the new program in the place of the old one, which stays beside it under [`OLD_SUFFIX`].
    ///
    /// # Errors
    /// [`UpdateError::Io`]; the old program is in place then. [`UpdateError::Replaced`]; then what somebody else put there is.
    pub fn install(self) -> Result<Installed, UpdateError> {
        let Self { before, version, binary, stage, fresh, .. } = self;
        // A package or a person takes no lock.
        binary.check()?;
        let binary = binary.path().to_owned();
        let mut old = binary.clone().into_os_string();
        old.push(OLD_SUFFIX);
        let old = PathBuf::from(old);
        let kept = stage.path().join("kept");
        // A name more for the same file; where the file system has none, a copy.
        let keep = || match fs::hard_link(&binary, &kept) {
            Ok(()) => Ok(()),
            Err(_) => fs::copy(&binary, &kept).and_then(|_| File::open(&kept)?.sync_all()),
        };
        keep()
            .and_then(|()| fs::rename(&kept, &old))
            .map_err(|why| UpdateError::io("keeping the old program as", &old, why))?;
        fs::rename(&fresh, &binary).map_err(|why| UpdateError::io("replacing", &binary, why))?;
        if let Some(folder) = binary.parent() {
            // It is replaced. If the power fails before this is done, one of the two is there, whole.
            let _ = File::open(folder).and_then(|folder| folder.sync_all());
        }
        Ok(Installed { version, before, binary, old })
    }
}

fn copy_capabilities(from: &Path, to: &Path) -> io::Result<()> {
    let mut bytes = [0; 64];
    match getxattr(from, CAPABILITIES, &mut bytes[..]) {
        Ok(length) => {
            let value = bytes.get(..length).unwrap_or_default();
            setxattr(to, CAPABILITIES, value, XattrFlags::empty()).map_err(io::Error::from)
        }
        Err(Errno::NODATA | Errno::NOTSUP) => Ok(()),
        Err(why) => Err(why.into()),
    }
}
