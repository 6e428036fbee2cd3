//! What accounts and API tokens may be called.

/// Behind a name that cannot be one.
pub const NAME_RULE: &str = "must be 1 to 64 letters, digits, '-', '_', '.', '@' or '+'";

/// Whether an account or an API token may have this name: one that is easily typed, stands in a path, and is in no log what it is
/// not.
pub fn is_valid_name(name: &str) -> bool {
    let is_usual = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@+".contains(&byte);
    (1..=64).contains(&name.len()) && name.bytes().all(is_usual) && !name.bytes().all(|byte| byte == b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_easily_typed() {
        let longest = "x".repeat(64);
        for name in ["a", "ada", "ada@example.org", "ci+deploy", "a.b-c_d", longest.as_str()] {
            assert!(is_valid_name(name), "{name}");
        }
        let too_long = "x".repeat(65);
        for name in ["", " ", "a b", "é", "a/b", ".", "..", "a\0", "a\n", too_long.as_str()] {
            assert!(!is_valid_name(name), "{name:?}");
        }
    }
}
