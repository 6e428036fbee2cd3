//! What is asked of the server of the releases: the list by the crate `self_update`, the archive by our own hand, both with one client
//! that does not follow everywhere.

use crate::Offer;
use crate::Program;
use crate::decide::{ARCHIVE_BYTES_MAX, Release};
use crate::error::UpdateError;
use crate::settings::{Settings, may_lead};
use reqwest::blocking::{Client, Response};
use reqwest::redirect::Policy;
use self_update::backends::github;
use semver::Version;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;
use url::Url;

/// A list of releases comes by then or not at all.
const LIST_TIME_MAX: Duration = Duration::from_secs(30);
/// An archive does; 64 MiB in it are less than a megabit a second.
const ARCHIVE_TIME_MAX: Duration = Duration::from_secs(900);

/// What is read at once.
const PART_BYTES: usize = 64 * 1024;
/// GitHub answers nobody who does not say who asks.
const USER_AGENT: &str = concat!("everypath-update/", env!("CARGO_PKG_VERSION"));
/// Times that an answer may send us on. GitHub does once, to where its files are.
const HOPS_MAX: usize = 5;

/// Goes on to another address only where the first one might have been.
fn client() -> Result<Client, UpdateError> {
    let policy = Policy::custom(|attempt| {
        let to = attempt.url().clone();
        if attempt.previous().len() > HOPS_MAX {
            return attempt.error(format!("it is sent on more than {HOPS_MAX} times"));
        }
        if attempt.previous().last().is_some_and(|from| may_lead(from, &to)) {
            return attempt.follow();
        }
        attempt.error(format!("it is sent on to {to}, which is not asked: {WAYS}"))
    });
    let built = Client::builder().user_agent(USER_AGENT).redirect(policy).build();
    built.map_err(|why| UpdateError::Answer(format!("no client can be made: {why}")))
}

/// The rule, for the sentence that says it was broken.
const WAYS: &str = "only https:// is, and http:// on loopback where the address before was such a one";

/// The newest release, or the one of version `asked`.
pub(crate) fn release(program: &Program, settings: &Settings, asked: Option<&Version>) -> Result<Release, UpdateError> {
    let (owner, name) = settings.repository.clone().ok_or(UpdateError::NoRepository)?;
    let current = program.version.to_string();
    let source = github::Update::configure()
        .repo_owner(owner)
        .repo_name(name)
        .api_base_url(settings.api.clone())
        .bin_name(program.name)
        .current_version(current)
        .timeout(LIST_TIME_MAX)
        .reqwest_client(client()?)
        .build()
        .map_err(|why| answer(&why))?;
    let found = match asked {
        Some(asked) => source.get_release_version(&format!("v{asked}")),
        None => source.get_latest_release().map(|found| found.latest().cloned()).and_then(|latest| {
            latest.ok_or_else(|| self_update::errors::Error::Io(std::io::Error::other("it tells of no release")))
        }),
    };
    let found = found.map_err(|why| match (asked, &why) {
        (Some(asked), self_update::errors::Error::NotFound { .. }) => UpdateError::NoRelease(asked.clone()),
        _ => answer(&why),
    })?;
    let files = found.assets().iter().map(|asset| (asset.name().to_owned(), asset.download_url().to_owned()));
    Ok(Release { version: found.version().to_owned(), files: files.collect() })
}

/// Puts the archive into `folder`, under the name that it must be signed for, whatever the server calls it.
pub(crate) fn archive(settings: &Settings, offer: &Offer, folder: &Path) -> Result<PathBuf, UpdateError> {
    let led = Url::parse(&settings.api).ok().zip(Url::parse(&offer.url).ok());
    if !led.is_some_and(|(from, to)| may_lead(&from, &to)) {
        let place = offer.url.escape_debug();
        return Err(UpdateError::Answer(format!("the archive is said to be at {place}, which is not asked: {WAYS}")));
    }
    let path = folder.join(&offer.archive);
    let mut file = File::create_new(&path).map_err(|why| UpdateError::io("making", &path, why))?;
    // Without the header the API answers with what it knows of the file, not with the file.
    let request = client()?.get(&offer.url).header("accept", "application/octet-stream").timeout(ARCHIVE_TIME_MAX);
    let response = request.send().and_then(Response::error_for_status).map_err(|why| answer(&why))?;
    let mut bytes = response.take(ARCHIVE_BYTES_MAX + 1);
    let mut part = vec![0; PART_BYTES];
    loop {
        let length = bytes.read(&mut part).map_err(|why| answer(&why))?;
        if length == 0 {
            break;
        }
        let read = part.get(..length).unwrap_or_default();
        file.write_all(read).map_err(|why| UpdateError::io("writing", &path, why))?;
    }
    if bytes.limit() == 0 {
        return Err(UpdateError::TooLarge { archive: offer.archive.clone() });
    }
    Ok(path)
}

fn answer(why: &dyn std::error::Error) -> UpdateError {
    let mut text = why.to_string();
    let mut source = why.source();
    while let Some(below) = source {
        let more = below.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = below.source();
    }
    UpdateError::Answer(text)
}
