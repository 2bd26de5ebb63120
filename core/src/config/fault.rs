//! A fault of the network file, and how a person is shown it.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::Path;

use super::model::Position;

/// Bytes of the file.
pub(crate) type Span = Range<usize>;

/// A value, and where the file says it.
#[derive(Debug, Clone)]
pub(crate) struct At<T> {
    pub value: T,
    pub span: Span,
}

/// Takes down what is found to be wrong, in any order.
#[derive(Debug, Default)]
pub(crate) struct Findings(Vec<Finding>);

#[derive(Debug, PartialEq, Eq)]
struct Finding {
    span: Span,
    message: String,
    help: String,
}

impl Findings {
    /// `message` says what is wrong, `help` what to write instead; neither ends in a full stop.
    pub(crate) fn add(&mut self, span: &Span, message: impl Into<String>, help: impl Into<String>) {
        self.0.push(Finding { span: span.clone(), message: message.into(), help: help.into() });
    }

    /// Forgets all that was found inside of or around one of `spans`.
    pub(crate) fn leave_out(&mut self, spans: &[Span]) {
        let touches = |a: &Span, b: &Span| a.start <= b.end && b.start <= a.end;
        self.0.retain(|finding| !spans.iter().any(|span| touches(span, &finding.span)));
    }

    /// Everything that both have found.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// The faults of `text`, in the order of the file; those of one place in the order in which they were found.
    pub(crate) fn faults(mut self, text: &str) -> Vec<Fault> {
        if self.0.is_empty() {
            return Vec::new();
        }
        self.0.sort_by_key(|finding| (finding.span.start, finding.span.end));
        let lines = Lines::of(text);
        self.0.into_iter().map(|finding| Fault::new(&lines, &finding)).collect()
    }
}

/// The fault of a file that is no text from byte `valid` on.
pub(crate) fn not_utf8(bytes: &[u8], valid: usize) -> Vec<Fault> {
    let mut found = Findings::default();
    found.add(&(valid..valid + 1), "this is not UTF-8 text", "save the file as UTF-8");
    found.faults(&String::from_utf8_lossy(bytes))
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
    fn new(lines: &Lines, finding: &Finding) -> Self {
        let text = lines.text;
        let start = floor(text, finding.span.start);
        let end = floor(text, finding.span.end).max(start);
        let place = text[start..end].lines().next().unwrap_or_default().trim_end();
        let line_start = lines.start_of(start);
        let line = text[line_start..].lines().next().unwrap_or_default();
        let secret = secret_in(line);
        let is_secret = secret.is_some_and(|secret| start >= line_start + secret) && !place.is_empty();
        let say =
            |words: &str| printable(&if is_secret { words.replace(place, "…") } else { words.to_owned() });
        Self {
            at: lines.position(start),
            message: say(&finding.message),
            help: say(&finding.help),
            line: secret.map_or_else(|| printable(line), |secret| printable(&line[..secret]) + " …"),
            width: place.chars().count().max(1),
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

/// A text, and where its lines begin.
pub(crate) struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    pub(crate) fn of(text: &'t str) -> Self {
        let behind_newlines = text.match_indices('\n').map(|(newline, _)| newline + 1);
        Self { text, starts: std::iter::once(0).chain(behind_newlines).collect() }
    }

    /// Line and column of a byte.
    pub(crate) fn position(&self, byte: usize) -> Position {
        let byte = floor(self.text, byte);
        let line = self.number_of(byte);
        Position { line, column: self.text[self.starts[line - 1]..byte].chars().count() + 1 }
    }

    /// Where the line of a byte begins.
    fn start_of(&self, byte: usize) -> usize {
        self.starts[self.number_of(byte) - 1]
    }

    /// Counted from 1.
    fn number_of(&self, byte: usize) -> usize {
        self.starts.partition_point(|start| *start <= byte)
    }
}

/// The nearest character boundary at or before `byte`.
fn floor(text: &str, byte: usize) -> usize {
    text.floor_char_boundary(byte.min(text.len()))
}

/// A file may come from elsewhere: what a terminal would obey is not sent to it.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\t' { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// Where the value of the first key begins whose name speaks of a secret, or what looks like a key of WireGuard and is not
/// said to be a public one. Nothing secret belongs into the network file, but people do put it there; then it shall not
/// reach a log.
fn secret_in(line: &str) -> Option<usize> {
    const WORDS: [&str; 6] = ["private", "preshared", "passphrase", "password", "psk", "secret"];
    let lower = line.to_ascii_lowercase();
    let value = |(start, word): (usize, &str)| {
        let behind = start + word.len();
        let equals = behind + lower[behind..].find('=')?;
        (!lower[behind..].starts_with("_file")).then_some(equals + 1)
    };
    let named = WORDS.iter().flat_map(|word| lower.match_indices(word)).filter_map(value).min();
    named.into_iter().chain(key_in(line).filter(|_| !lower.contains("public"))).min()
}

/// Where the first word of base64 begins that is about as long as a key, which has 43 characters and `=`.
fn key_in(line: &str) -> Option<usize> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '+' || c == '/';
    let words = line.split(|c: char| !is_part(c));
    words.filter(|word| word.len() >= 40).map(|word| word.as_ptr() as usize - line.as_ptr() as usize).min()
}
