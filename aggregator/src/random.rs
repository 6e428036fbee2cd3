//! Random bytes from the operating system.

/// `N` bytes that nobody can guess.
///
/// # Panics
/// If the operating system has no random source; no key can be made then, and going on would be worse.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system has a random source");
    bytes
}

/// A secret of 256 bits as text for a cookie, a header or a person: base64url without padding.
pub fn secret_text() -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes::<32>())
}
