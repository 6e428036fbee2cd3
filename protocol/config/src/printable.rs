//! What somebody else wrote, on its way to a terminal.

use std::borrow::Cow;

/// The text, with what a terminal would obey, or would show in another order than it is written, spelled out: `\u{1b}`. Ends of lines
/// and tabs stay.
pub fn printable(text: &str) -> Cow<'_, str> {
    spelled(text, |letter| is_order(letter) && letter != '\n' && letter != '\t')
}

/// The same for what must stay on its line, so that it cannot pass for a line of the program.
pub fn printable_line(text: &str) -> Cow<'_, str> {
    spelled(text, is_order)
}

fn spelled(text: &str, is_spelled: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_spelled) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if is_spelled(letter) { out.extend(letter.escape_debug()) } else { out.push(letter) }
    }
    Cow::Owned(out)
}

/// Control characters, and those by which Unicode turns the direction of what follows or ends a line.
fn is_order(letter: char) -> bool {
    let turns =
        matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    letter.is_control() || turns || matches!(letter, '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_obeys_nothing_of_it_and_the_rest_stays() {
        assert_eq!(printable("plain, grün\n\tnext"), "plain, grün\n\tnext");
        assert_eq!(printable("a\u{1b}[2Jb\r\u{7}\u{9b}\u{202e}c"), "a\\u{1b}[2Jb\\r\\u{7}\\u{9b}\\u{202e}c");
        assert_eq!(printable_line("a\nVersion 9 is in force"), "a\\nVersion 9 is in force");
    }
}
