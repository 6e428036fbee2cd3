//! Replaces a program by a newer release of itself, if the operator has turned that on. A release is taken only if one of the known
//! keys has signed its archive under exactly the name that this program, version and target have; whatever else comes from the
//! server, and whatever goes wrong, leaves the program as it is. The reasons are in ADR 22.
//!
//! [`Updater::look`] says whether there is a newer release, [`Updater::prepare`] puts its program beside the old one and tries it,
//! and [`Prepared::install`] exchanges them. What must not happen meanwhile is up to the program, between the last two.
#![forbid(unsafe_code)]

mod archive;
mod binary;
mod decide;
mod error;
mod fetch;
mod install;
mod key;
mod run;
mod settings;
#[cfg(feature = "testing")]
pub mod testing;

pub use binary::Binary;
pub use decide::archive_name;
pub use error::UpdateError;
pub use install::{Installed, OLD_SUFFIX, Prepared};
pub use key::ReleaseKey;
pub use run::{Request, run};
pub use semver::Version;
pub use settings::{API_KEY, ENABLED_KEY, KEYS_KEY, REPOSITORY_KEY, Settings};

/// What is to be replaced.
#[derive(Clone, Debug)]
pub struct Program {
    /// Of the binary and of its archives.
    pub name: &'static str,
    /// The one that runs.
    pub version: Version,
    /// What it was compiled for.
    pub target: &'static str,
}

impl Program {
    /// The program that was compiled as `name` and `version`, for the target of this build.
    ///
    /// # Panics
    /// If `version` is none; it comes from the manifest, which Cargo has read.
    pub fn new(name: &'static str, version: &str) -> Self {
        let version = Version::parse(version).expect("the version of a package is one");
        Self { name, version, target: self_update::get_target() }
    }
}

/// A newer release.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Offer {
    /// Its version.
    pub version: Version,
    /// Name of the archive for this program and target.
    archive: String,
    /// Where it is.
    url: String,
}

/// What there is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outlook {
    /// Nothing newer than what runs.
    UpToDate,
    /// This.
    Newer(Offer),
}

/// Asks for releases.
#[derive(Clone, Debug)]
pub struct Updater {
    program: Program,
    settings: Settings,
}

impl Updater {
    /// Of `program`, as the operator has set it up.
    ///
    /// # Errors
    /// [`UpdateError::Off`] and [`UpdateError::NoRepository`], which say what to set.
    pub fn new(program: Program, settings: Settings) -> Result<Self, UpdateError> {
        if !settings.enabled {
            return Err(UpdateError::Off { variable: settings.variable });
        }
        if settings.repository.is_none() {
            return Err(UpdateError::NoRepository);
        }
        Ok(Self { program, settings })
    }

    /// Looks for a newer release, or for the one of version `asked`.
    ///
    /// # Errors
    /// [`UpdateError`] when the server gives no usable answer, or when what is asked for is older or not there.
    pub async fn look(&self, asked: Option<Version>) -> Result<Outlook, UpdateError> {
        if let Some(asked) = &asked {
            // Nobody is asked for what would not be taken.
            match decide::newer(&self.program.version, asked, true)? {
                decide::Newer::No => return Ok(Outlook::UpToDate),
                decide::Newer::Yes => {}
            }
        }
        let (program, settings) = (self.program.clone(), self.settings.clone());
        in_background(move || {
            let release = fetch::release(&program, &settings, asked.as_ref())?;
            decide::outlook(&program, &release, asked.as_ref())
        })
        .await
    }

    /// Whether any key is known that a release may be signed with.
    ///
    /// # Errors
    /// [`UpdateError::NoKeys`].
    pub fn can_believe(&self) -> Result<(), UpdateError> {
        self.settings.all_keys().map(|_| ())
    }

    /// Fetches the archive, checks its signature and its contents, and tries the program in it. `binary` is as before. Until the
    /// end of what is returned, no other update of it begins.
    ///
    /// # Errors
    /// [`UpdateError`]; nothing is left behind then.
    pub async fn prepare(&self, offer: &Offer, binary: Binary) -> Result<Prepared, UpdateError> {
        let keys = self.settings.all_keys()?;
        let (program, settings, wanted) = (self.program.clone(), self.settings.clone(), offer.clone());
        let prepared = in_background(move || {
            let stage = install::Stage::make(&program, &binary)?;
            let archive = fetch::archive(&settings, &wanted, stage.path())?;
            archive::verify(&archive, &wanted.archive, &keys)?;
            let fresh = archive::unpack(&archive, program.name, stage.path())?;
            Prepared::new(&program, wanted.version, binary, stage, fresh)
        })
        .await?;
        prepared.try_out().await?;
        Ok(prepared)
    }
}

/// The client of the releases and the disk block.
async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, UpdateError> + Send + 'static,
) -> Result<T, UpdateError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|why| Err(UpdateError::Answer(why.to_string())))
}
