//! A fault of the network file, and how a person is shown it.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::Path;

use super::model::Position;

/// Bytes of the file.
pub(super) type Span = Range<usize>;

/// A value, and where the file says it.
#[derive(Debug, Clone)]
pub(super) struct At<T> {
    pub value: T,
    pub span: Span,
}

/// Takes down what is found to be wrong, in any order.
#[derive(Debug, Default)]
pub(super) struct Findings(Vec<Finding>);

#[derive(Debug, PartialEq, Eq)]
struct Finding {
    span: Span,
    message: String,
    help: String,
}

impl Findings {
    /// `message` says what is wrong, `help` what to write instead; neither ends in a full stop.
    pub(super) fn add(&mut self, span: &Span, message: impl Into<String>, help: impl Into<String>) {
        self.0.push(Finding { span: span.clone(), message: message.into(), help: help.into() });
    }

    /// Forgets all that was found inside of or around one of `spans`.
    pub(super) fn leave_out(&mut self, spans: &[Span]) {
        let touches = |a: &Span, b: &Span| a.start <= b.end && b.start <= a.end;
        self.0.retain(|finding| !spans.iter().any(|span| touches(span, &finding.span)));
    }

    /// Everything that both have found.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// The faults of `text`, in the order of the file, none twice.
    pub(super) fn faults(mut self, text: &str) -> Vec<Fault> {
        self.0.sort_by(|a, b| {
            (a.span.start, a.span.end, &a.message).cmp(&(b.span.start, b.span.end, &b.message))
        });
        self.0.dedup();
        self.0.into_iter().map(|finding| Fault::new(text, finding)).collect()
    }
}

/// What is wrong at one place of the file, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where it begins.
    pub at: Position,
    /// What is wrong, without a full stop.
    pub message: String,
    /// What to write instead, without a full stop.
    pub help: String,
    /// The line of the file, less what may be a secret.
    line: String,
    /// How many characters of it are meant, at least one.
    width: usize,
}

impl Fault {
    fn new(text: &str, finding: Finding) -> Self {
        let start = floor(text, finding.span.start);
        let end = floor(text, finding.span.end).max(start);
        let rest = text[start..end].lines().next().unwrap_or_default();
        Self {
            at: position(text, start),
            message: printable(&finding.message),
            help: printable(&finding.help),
            line: without_secret(&printable(line_around(text, start))),
            width: rest.chars().count().max(1),
        }
    }

    /// The fault as a person sees it: `path:line:column: message`, the line of the file, and the help under the place.
    pub fn render(&self, path: &Path) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{}:{}: {}", path.display(), self.at, self.message);
        let _ = writeln!(out, "{:5} | {}", self.at.line, self.line);
        let _ = write!(out, "      | {}{} {}", self.indent(), "^".repeat(self.width()), self.help);
        out
    }

    /// What stands before the place, as blanks; tabs stay, so that the place is met whatever their width.
    fn indent(&self) -> String {
        let before = self.line.chars().take(self.at.column - 1);
        before.map(|c| if c == '\t' { '\t' } else { ' ' }).collect()
    }

    /// The line may be shorter than the place, where its end is hidden.
    fn width(&self) -> usize {
        let behind = self.line.chars().count().saturating_sub(self.at.column - 1);
        self.width.min(behind).max(1)
    }
}

/// Line and column of a byte of `text`.
pub(super) fn position(text: &str, byte: usize) -> Position {
    let before = &text[..floor(text, byte)];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    Position { line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1 }
}

/// The nearest character boundary at or before `byte`.
fn floor(text: &str, byte: usize) -> usize {
    text.floor_char_boundary(byte.min(text.len()))
}

fn line_around(text: &str, byte: usize) -> &str {
    let start = text[..byte].rfind('\n').map_or(0, |newline| newline + 1);
    text[start..].lines().next().unwrap_or_default()
}

/// A file may come from elsewhere: what a terminal would obey is not sent to it.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\t' { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// Nothing secret belongs into the network file, but people do put it there; then it shall not reach a log.
fn without_secret(line: &str) -> String {
    const WORDS: [&str; 6] = ["private", "preshared", "passphrase", "password", "psk", "secret"];
    let lower = line.to_ascii_lowercase();
    let secret = |(start, word): (usize, &str)| {
        let behind = &lower[start + word.len()..];
        let equals = start + word.len() + behind.find('=')?;
        (!behind.starts_with("_file")).then_some(equals + 1)
    };
    let ends = WORDS.iter().flat_map(|word| lower.match_indices(word)).filter_map(secret);
    match ends.min() {
        Some(end) => format!("{} …", &line[..end]),
        None => line.to_owned(),
    }
}
