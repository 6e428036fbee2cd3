//! What is taken and what is not, as functions of what is known.

use crate::error::UpdateError;
use crate::{Offer, Outlook, Program};
use semver::Version;
use std::path::{Component, Path};

/// Most bytes of an archive. Those of a release have some ten million.
pub(crate) const ARCHIVE_BYTES_MAX: u64 = 64 << 20;
/// Most bytes that an archive unpacks to.
pub(crate) const UNPACKED_BYTES_MAX: u64 = 256 << 20;
/// Most files in an archive: the program, its unit, two licences, the changes.
pub(crate) const FILES_MAX: usize = 32;

/// A release as the server tells of it. Nothing in it is believed; what counts is signed, and named by us.
#[derive(Clone, Debug)]
pub(crate) struct Release {
    pub(crate) version: String,
    /// Names and addresses of its files.
    pub(crate) files: Vec<(String, String)>,
}

/// The file of a release for one program, version and kind of host. Its signature holds for this name only.
pub fn archive_name(program: &str, version: &Version, target: &str) -> String {
    format!("{program}-{version}-{target}.tar.gz")
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Newer {
    No,
    Yes,
}

/// Whether `other` is worth taking. Whoever asks for an older one by name is told; that the newest one is older is no mistake of
/// the operator's: a release was withdrawn, or the server shows an old list.
pub(crate) fn newer(current: &Version, other: &Version, by_name: bool) -> Result<Newer, UpdateError> {
    match other.cmp_precedence(current) {
        std::cmp::Ordering::Greater => Ok(Newer::Yes),
        std::cmp::Ordering::Less if by_name => {
            Err(UpdateError::Older { asked: other.clone(), current: current.clone() })
        }
        std::cmp::Ordering::Less | std::cmp::Ordering::Equal => Ok(Newer::No),
    }
}

/// What a release is to this program.
pub(crate) fn outlook(program: &Program, release: &Release, asked: Option<&Version>) -> Result<Outlook, UpdateError> {
    let version = Version::parse(&release.version)
        .map_err(|why| UpdateError::Answer(format!("`{}` is no version: {why}", release.version)))?;
    if let Some(asked) = asked.filter(|asked| **asked != version) {
        return Err(UpdateError::Answer(format!("asked for {asked}, it tells of {version}")));
    }
    if newer(&program.version, &version, asked.is_some())? == Newer::No {
        return Ok(Outlook::UpToDate);
    }
    let archive = archive_name(program.name, &version, program.target);
    match release.files.iter().find(|(name, _)| *name == archive) {
        Some((_, url)) => Ok(Outlook::Newer(Offer { version, archive, url: url.clone() })),
        None => Err(UpdateError::NoArchive { version, archive }),
    }
}

/// One file of an archive, as its head says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head<'a> {
    pub(crate) path: &'a Path,
    pub(crate) is_file: bool,
    pub(crate) bytes: u64,
}

/// Whether an archive may hold such a file: an ordinary one, at the top, and not too many nor too large.
pub(crate) fn check_file(head: Head<'_>, files_before: usize, bytes_before: u64) -> Result<(), UpdateError> {
    let name = head.path.display();
    let refuse = |why: String| Err(UpdateError::Archive(why));
    let mut parts = head.path.components();
    if !(matches!(parts.next(), Some(Component::Normal(_))) && parts.next().is_none()) {
        return refuse(format!("`{name}` is not a plain name"));
    }
    if !head.is_file {
        return refuse(format!("`{name}` is not an ordinary file"));
    }
    if files_before >= FILES_MAX {
        return refuse(format!("it has more than {FILES_MAX} files"));
    }
    if bytes_before.saturating_add(head.bytes) > UNPACKED_BYTES_MAX {
        return refuse(format!("it unpacks to more than {UNPACKED_BYTES_MAX} bytes"));
    }
    Ok(())
}

/// Whether what a program says of itself when asked for its version is what was wanted.
pub(crate) fn check_said(program: &str, version: &Version, said: &str) -> Result<(), UpdateError> {
    let expected = format!("{program} {version}");
    let first = said.lines().next().unwrap_or_default().trim_end();
    if first == expected {
        return Ok(());
    }
    let heard: String = first.chars().filter(|letter| !letter.is_control()).take(100).collect();
    Err(UpdateError::Trial(format!("asked for its version it says `{heard}` and not `{expected}`")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        Version::parse(text).unwrap()
    }

    fn program() -> Program {
        Program { name: "mesh-agent", version: version("1.2.3"), target: "x86_64-unknown-linux-gnu" }
    }

    fn release(said: &str, files: &[&str]) -> Release {
        let files = files.iter().map(|name| ((*name).to_owned(), format!("https://h/{name}"))).collect();
        Release { version: said.to_owned(), files }
    }

    #[test]
    fn only_what_is_newer_is_taken() {
        let newest = |other| newer(&version("1.2.3"), &version(other), false).unwrap();
        for other in ["1.2.3", "1.2.3+build", "1.2.2", "0.9.0", "1.2.3-rc.1"] {
            assert_eq!(newest(other), Newer::No, "{other}");
        }
        for other in ["1.2.4", "1.10.0", "2.0.0-rc.1"] {
            assert_eq!(newest(other), Newer::Yes, "{other}");
        }
        let said = newer(&version("1.2.3"), &version("1.2.2"), true).unwrap_err().to_string();
        assert!(said.contains("1.2.2 is older than 1.2.3") && said.contains(".old"), "{said}");
    }

    #[test]
    fn the_archive_is_that_of_this_program_version_and_host() {
        let name = "mesh-agent-1.3.0-x86_64-unknown-linux-gnu.tar.gz";
        let others =
            ["aggregator-1.3.0-x86_64-unknown-linux-gnu.tar.gz", "mesh-agent-1.3.0-aarch64-unknown-linux-gnu.tar.gz"];
        let found = outlook(&program(), &release("1.3.0", &[others[0], name]), None).unwrap();
        let Outlook::Newer(offer) = found else { panic!("it is newer") };
        assert_eq!(
            (offer.archive.as_str(), offer.url.as_str()),
            (name, "https://h/mesh-agent-1.3.0-x86_64-unknown-linux-gnu.tar.gz")
        );
        let said = outlook(&program(), &release("1.3.0", &others), None).unwrap_err().to_string();
        assert!(said.contains("not made for this kind of host"), "{said}");
        assert_eq!(outlook(&program(), &release("1.2.3", &[]), None).unwrap(), Outlook::UpToDate);
        assert!(outlook(&program(), &release("../../etc", &[name]), None).is_err());
        assert!(outlook(&program(), &release("1.4.0", &[name]), Some(&version("1.3.0"))).is_err());
    }

    #[test]
    fn an_archive_holds_ordinary_files_at_the_top() {
        let check = |path: &str, is_file, bytes| check_file(Head { path: Path::new(path), is_file, bytes }, 0, 0);
        check("mesh-agent", true, 1).unwrap();
        for path in ["../mesh-agent", "/mesh-agent", "a/mesh-agent", "..", ".", ""] {
            assert!(check(path, true, 1).unwrap_err().to_string().contains("plain name"), "{path}");
        }
        assert!(check("mesh-agent", false, 1).unwrap_err().to_string().contains("ordinary file"));
        assert!(check("mesh-agent", true, u64::MAX).unwrap_err().to_string().contains("unpacks to more"));
        let many = Head { path: Path::new("a"), is_file: true, bytes: 0 };
        assert!(check_file(many, FILES_MAX, 0).unwrap_err().to_string().contains("files"));
    }

    #[test]
    fn a_program_must_say_that_it_is_what_was_wanted() {
        check_said("mesh-agent", &version("1.3.0"), "mesh-agent 1.3.0\nmore\n").unwrap();
        for said in ["", "mesh-agent 1.3.1", "aggregator 1.3.0", "mesh-agent 1.3.0 or so"] {
            assert!(check_said("mesh-agent", &version("1.3.0"), said).is_err(), "{said}");
        }
    }
}
