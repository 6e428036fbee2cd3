//! Why a program was not replaced. Every one of them leaves the old one where it is.

use crate::decide::ARCHIVE_BYTES_MAX;
use semver::Version;
use std::io;
use std::path::{Path, PathBuf};

/// Why nothing was replaced, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError {
    /// Nobody turned it on.
    #[error(
        "updating is off, so nothing was asked and nothing was changed. To turn it on, set `enabled = true` under [update] in the configuration file, or {variable}=true in the environment"
    )]
    Off {
        /// The variable for the environment.
        variable: String,
    },
    /// The program itself must not be replaced now.
    #[error("{0}")]
    NotNow(String),
    /// A second call.
    #[error(
        "another update of {} is under way, so this one did nothing. Wait until that one has ended, and ask again if it is still needed",
        path.display()
    )]
    UnderWay {
        /// The program.
        path: PathBuf,
    },
    /// By another update, a package, or a person.
    #[error(
        "{} was replaced since this program was started, so it was left alone: what is there now may be newer. Ask again, and what is there now decides",
        path.display()
    )]
    Replaced {
        /// The program.
        path: PathBuf,
    },
    /// This build knows no source of releases.
    #[error(
        "it is not known where releases are: set `update.repository` to OWNER/NAME of the repository that publishes them"
    )]
    NoRepository,
    /// This build knows no key.
    #[error(
        "no key is known that releases are signed with, so none can be believed: this program was built without one, and `update.keys` names none"
    )]
    NoKeys,
    /// The server, or the way to it.
    #[error("the server of the releases could not be asked, or gives no usable answer: {0}")]
    Answer(String),
    /// There is no such release.
    #[error("there is no release of this version: {0}")]
    NoRelease(Version),
    /// Somebody wants to go back.
    #[error(
        "{asked} is older than {current}, which runs: an update never goes back. To go back, put the file that ends in .old in place by hand"
    )]
    Older {
        /// What is wanted.
        asked: Version,
        /// What runs.
        current: Version,
    },
    /// Not for this kind of host.
    #[error("release {version} has no {archive}: it was not made for this kind of host")]
    NoArchive {
        /// Of the release.
        version: Version,
        /// What was looked for.
        archive: String,
    },
    /// Not even read to the end.
    #[error("{archive} is larger than {ARCHIVE_BYTES_MAX} bytes, which no release is")]
    TooLarge {
        /// Its name.
        archive: String,
    },
    /// Forged, cut off, or another file under this name.
    #[error(
        "{archive} is not signed under this name by any known key: it was changed, cut off, or is another file. It was deleted; nothing was changed"
    )]
    Signature {
        /// Its name.
        archive: String,
    },
    /// Signed, and yet not what a release is.
    #[error("the archive of the release is not as it should be: {0}")]
    Archive(String),
    /// It does not run here.
    #[error("the program of the release does not run on this host: {0}")]
    Trial(String),
    /// A package, an image, or another user.
    #[error(
        "{} cannot be replaced by this user ({why}). Run the command as the user that the program belongs to, usually root; what comes from a container image or a package is updated by a newer image or package",
        path.display()
    )]
    NotWritable {
        /// The folder of the program.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// The disk.
    #[error("while {doing} {}: {why}", path.display())]
    Io {
        /// What was done.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system said.
        why: io::Error,
    },
}

impl UpdateError {
    pub(crate) fn io(doing: &'static str, path: &Path, why: io::Error) -> Self {
        Self::Io { doing, path: path.to_owned(), why }
    }
}
