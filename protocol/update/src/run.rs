//! The command `update`, as both programs have it.

use crate::error::UpdateError;
use crate::install::{Installed, OLD_SUFFIX};
use crate::settings::Settings;
use crate::{Binary, Outlook, Program, Updater};
use semver::Version;

/// What was asked on the command line.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Request {
    /// Only say what there is.
    pub check: bool,
    /// This version, and not the newest.
    pub version: Option<Version>,
}

/// Looks, and unless only that was asked, replaces the program of this process. Returns what is to be printed. `may_replace` is
/// asked before anything is fetched, and again right before the exchange.
///
/// # Errors
/// [`UpdateError`]; the program is as it was then.
pub async fn run(
    program: Program,
    settings: Settings,
    request: Request,
    unit: &str,
    may_replace: impl AsyncFn() -> Result<(), String>,
) -> Result<String, UpdateError> {
    let (name, current) = (program.name, program.version.clone());
    let updater = Updater::new(program, settings)?;
    // Before anything is asked: what is offered is compared with the version of this file and no other.
    let binary = Binary::of_this_process()?;
    let offer = match updater.look(request.version).await? {
        Outlook::UpToDate => return Ok(format!("{name} {current} is up to date.\n")),
        Outlook::Newer(offer) => offer,
    };
    if request.check {
        let what_then = match updater.can_believe() {
            Ok(()) => format!("`{name} update` installs it."),
            Err(why) => format!("It cannot be installed yet: {why}."),
        };
        return Ok(format!("{name} {} is available; this is {current}. {what_then}\n", offer.version));
    }
    may_replace().await.map_err(UpdateError::NotNow)?;
    let prepared = updater.prepare(&offer, binary).await?;
    may_replace().await.map_err(UpdateError::NotNow)?;
    Ok(text(name, unit, &prepared.install()?))
}

fn text(name: &str, unit: &str, installed: &Installed) -> String {
    let Installed { version, before, binary, .. } = installed;
    let binary = binary.display();
    format!(
        "{name} {version} is in place of {before}, which is kept as {binary}{OLD_SUFFIX}.\n\
         What runs is {before} until it is restarted: systemctl restart {unit}\n\
         To go back: mv {binary}{OLD_SUFFIX} {binary}, and restart.\n"
    )
}
