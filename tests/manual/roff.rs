//! Text as troff(1) reads it.

use std::fmt::Write as _;

/// Escapes text: hyphens that can be copied as minus signs, and characters beyond ASCII by their numbers,
/// because troff alone reads no UTF-8.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        match character {
            '\\' => escaped.push_str("\\e"),
            '-' => escaped.push_str("\\-"),
            character if character.is_ascii() => escaped.push(character),
            character => write!(escaped, "\\[u{:04X}]", u32::from(character)).unwrap(),
        }
    }
    escaped
}

/// Escapes text that is set in bold.
pub(crate) fn bold(text: &str) -> String {
    format!("\\fB{}\\fR", escaped(text))
}

/// Makes sure that no line begins like a request.
pub(crate) fn without_requests(text: &str) -> String {
    let line =
        |line: &str| if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line.to_owned() };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}
