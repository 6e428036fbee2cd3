//! The keys that releases are signed with.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use everypath_config::Value;

/// Those of this build, one a line; see the file.
const COMPILED_IN: &str = include_str!("../release-keys.txt");

/// The public half of a key, Ed25519.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReleaseKey(pub [u8; 32]);

impl Value for ReleaseKey {
    const EXPECTED: &'static str = "a public key in base64: 44 characters, as `base64 -w0 PUBLIC-KEY-FILE` writes it";

    fn parse(text: &str) -> Option<Self> {
        let bytes = BASE64_STANDARD.decode(text).ok()?;
        bytes.try_into().ok().map(Self)
    }
}

/// The keys that were compiled in; none until the project has published one.
pub(crate) fn compiled_in() -> Vec<ReleaseKey> {
    parse_file(COMPILED_IN).unwrap_or_default()
}

/// One key a line; `#` begins a comment.
pub(crate) fn parse_file(text: &str) -> Option<Vec<ReleaseKey>> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    lines.filter(|line| !line.is_empty()).map(ReleaseKey::parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_the_repository_can_be_read() {
        assert!(parse_file(COMPILED_IN).is_some(), "protocol/update/release-keys.txt has a line that is no key");
    }

    #[test]
    fn a_file_has_one_key_a_line() {
        let key = BASE64_STANDARD.encode([7; 32]);
        let text = format!("# comment\n\n{key}  # until 2028\n{key}\n");
        assert_eq!(parse_file(&text), Some(vec![ReleaseKey([7; 32]); 2]));
        assert_eq!(parse_file("abc\n"), None);
        assert_eq!(ReleaseKey::parse(&BASE64_STANDARD.encode([7; 31])), None);
    }
}
