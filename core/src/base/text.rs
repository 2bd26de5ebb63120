//! Texts that grow. None of these functions is inlined: their callers are many.

use std::fmt::{Display, Write as _};

/// Adds several parts to a text.
#[inline(never)]
pub fn push_all(text: &mut String, parts: &[&str]) {
    for part in parts {
        text.push_str(part);
    }
}

/// Adds a text to markup of XML or HTML. The text stays a text, also as the value of an attribute in double
/// quotes; its control characters, which XML forbids, become blanks.
#[inline(never)]
pub fn push_escaped(markup: &mut String, text: &str) {
    for letter in text.chars() {
        match letter {
            '&' => markup.push_str("&amp;"),
            '<' => markup.push_str("&lt;"),
            '>' => markup.push_str("&gt;"),
            '"' => markup.push_str("&quot;"),
            letter if letter.is_control() => markup.push(' '),
            letter => markup.push(letter),
        }
    }
}

/// Adds an item to a list with commas.
#[inline(never)]
pub fn append(list: &mut String, item: &dyn Display) {
    let _ = write!(list, "{}{item}", if list.is_empty() { "" } else { ", " });
}

/// Returns a text of others without control characters, which a terminal would obey. Its lines stay.
#[inline(never)]
pub fn printable(text: &str) -> String {
    text.replace(|letter: char| letter.is_control() && letter != '\n', "\u{fffd}")
}

/// Returns a text of others as one line without control characters.
pub fn printable_line(text: &str) -> String {
    printable(&text.replace('\n', "\u{fffd}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_others_are_safe_to_print() {
        assert_eq!(printable("a\u{1b}[2J\rb\n\u{9b}c\n"), "a\u{fffd}[2J\u{fffd}b\n\u{fffd}c\n");
        assert_eq!(printable_line("tv\n✓ links\u{7}"), "tv\u{fffd}✓ links\u{fffd}");
    }
}
