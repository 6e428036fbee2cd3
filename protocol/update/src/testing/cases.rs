//! What a server may offer that must be refused.

use super::archive::{Signer, name_here, pack, release_of, script};
use crate::decide::ARCHIVE_BYTES_MAX;

/// A version that is newer than any of ours.
pub const NEWER: &str = "99.0.0";
const OLDER: &str = "0.0.1";

/// Something that a server offers, and what must come of it.
pub(super) struct Case {
    pub(super) title: &'static str,
    pub(super) release: &'static str,
    pub(super) name: String,
    /// Where whoever asks for the file is sent on to.
    pub(super) elsewhere: Option<String>,
    pub(super) bytes: Vec<u8>,
    pub(super) arguments: &'static [&'static str],
    /// Part of what is said; a refusal if it is not the beginning of standard output.
    pub(super) says: &'static str,
    pub(super) is_refused: bool,
}

pub(super) fn cases(program: &str, good: &Signer) -> Vec<Case> {
    let name = name_here(program, NEWER);
    let whole = release_of(program, NEWER);
    let refused = |title, bytes: Vec<u8>, says| Case {
        title,
        release: NEWER,
        name: name.clone(),
        elsewhere: None,
        bytes,
        arguments: &[],
        says,
        is_refused: true,
    };
    let told = |title, release, arguments, says| Case {
        title,
        release,
        name: name_here(program, release),
        elsewhere: None,
        bytes: good.sign(&release_of(program, release), &name_here(program, release)),
        arguments,
        says,
        is_refused: false,
    };
    let signed = |archive: &[u8]| good.sign(archive, &name);
    let not_signed = "is not signed under this name";
    let mut cut = signed(&whole);
    cut.truncate(cut.len() / 2);
    let mut changed = signed(&whole);
    changed[20] ^= 1;
    let fresh = script(program, NEWER);
    let elsewhere = format!("{program}-{NEWER}-riscv64gc-unknown-none-elf.tar.gz");
    vec![
        refused("a key that nobody knows", Signer::new(9).sign(&whole, &name), not_signed),
        refused("no signature", whole.clone(), not_signed),
        refused("another version's archive", good.sign(&whole, &name_here(program, OLDER)), not_signed),
        refused("another target's archive", good.sign(&whole, &elsewhere), not_signed),
        refused("another program's archive", good.sign(&whole, &name_here("other", NEWER)), not_signed),
        refused("cut off", cut, not_signed),
        refused("a bit is another one", changed, not_signed),
        refused("too large", vec![0; usize::try_from(ARCHIVE_BYTES_MAX).unwrap_or(0) + 1], "is larger than"),
        refused("no program in it", signed(&pack(&[("LICENSE", b"")])), "there is no"),
        refused("the program elsewhere", signed(&pack(&[(&format!("bin/{program}"), &fresh)])), "is not a plain name"),
        refused("a way out", signed(&pack(&[(program, &fresh), ("../x", b"")])), "is not a plain name"),
        refused("twice", signed(&pack(&[(program, &fresh), (program, &fresh)])), "twice"),
        refused("another version inside", signed(&release_of(program, "99.0.1")), "does not run on this host"),
        refused(
            "no program of this host",
            signed(&pack(&[(program, b"\x7fELF of elsewhere")])),
            "does not run on this host",
        ),
        Case {
            name: elsewhere.clone(),
            ..refused("only for other hosts", good.sign(&whole, &elsewhere), "was not made for this kind of host")
        },
        Case {
            elsewhere: Some("http://192.0.2.1/a".to_owned()),
            ..refused("sent on to where nobody is asked", signed(&whole), "192.0.2.1/a, which is not asked")
        },
        Case {
            elsewhere: Some(format!("/files/{NEWER}/{name}")),
            ..refused("sent round in a circle", signed(&whole), "sent on more than 5 times")
        },
        Case { is_refused: true, ..told("an older one by name", OLDER, &["--version", OLDER], "is older than") },
        Case {
            is_refused: true,
            ..told("one that is not there", NEWER, &["--version", "98.0.0"], "no release of this")
        },
        told("an older one is the newest", OLDER, &[], "is up to date"),
        told("only asked", NEWER, &["--check"], "99.0.0 is available"),
    ]
}
