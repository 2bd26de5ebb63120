//! Faults of the network file, and their presentation to a person.

use std::fmt::{self, Arguments, Write as _};
use std::ops::Range;
use std::path::Path;

use super::model::Position;
use crate::base::error::{Error, Place};
use crate::base::sorted::order;

/// Range of bytes in the file.
pub(crate) type Span = Range<usize>;

/// A value and its place in the file.
#[derive(Debug, Clone)]
pub(crate) struct At<T> {
    pub value: T,
    pub span: Span,
}

/// The faults found so far, in any order.
#[derive(Debug, Default)]
pub(crate) struct Findings(Vec<Finding>);

#[derive(Debug)]
struct Finding {
    span: Span,
    words: FaultWords,
}

/// Words on a fault: a message that names the fault, and help, advice on what to write instead. Neither ends
/// in a full stop. The size of a pointer keeps the results of readers small.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FaultWords(Box<[String; 2]>);

impl FaultWords {
    // Never inlined: otherwise each fault would get its own copy.
    #[inline(never)]
    pub(crate) fn new(message: impl Words, help: impl Words) -> Self {
        Self(Box::new([message.text(), help.text()]))
    }

    pub(crate) fn message(&self) -> &str {
        &self.0[0]
    }

    pub(crate) fn help(&self) -> &str {
        &self.0[1]
    }
}

/// Words of a message. Callers pass formatted words as [`Arguments`], so that only [`FaultWords`] makes
/// strings of them.
pub(crate) trait Words {
    /// Returns the words as a string.
    fn text(self) -> String;
}

impl Words for String {
    fn text(self) -> String {
        self
    }
}

impl Words for &str {
    fn text(self) -> String {
        self.to_owned()
    }
}

impl Words for Arguments<'_> {
    fn text(self) -> String {
        fmt::format(self)
    }
}

impl Findings {
    /// Records a fault: `message` names the fault, `help` advises what to write instead. Neither ends in a
    /// full stop.
    pub(crate) fn add(&mut self, span: &Span, message: impl Words, help: impl Words) {
        self.record(span, FaultWords::new(message, help));
    }

    /// Records a fault.
    pub(crate) fn record(&mut self, span: &Span, words: FaultWords) {
        self.0.push(Finding { span: span.clone(), words });
    }

    /// Forgets all faults that touch one of `spans`.
    pub(crate) fn leave_out(&mut self, spans: &[Span]) {
        let touches = |a: &Span, b: &Span| a.start <= b.end && b.start <= a.end;
        self.0.retain(|finding| !spans.iter().any(|span| touches(span, &finding.span)));
    }

    /// Adds the findings of `other`.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Returns the faults of `text` in the order of the file; faults at one place stay in the order of
    /// discovery.
    pub(crate) fn faults(self, text: &str) -> Vec<Fault> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let lines = Lines::of(text);
        let places: Vec<_> = self.0.iter().map(|finding| (finding.span.start, finding.span.end)).collect();
        order(&places).into_iter().map(|at| Fault::new(&lines, &self.0[at])).collect()
    }
}

/// Returns the fault of a file that is not UTF-8 from byte `valid` on.
pub(crate) fn not_utf8(bytes: &[u8], valid: usize) -> Vec<Fault> {
    let mut found = Findings::default();
    found.add(&(valid..valid + 1), "this is not UTF-8 text", "save the file as UTF-8");
    found.faults(&String::from_utf8_lossy(bytes))
}

/// A fault at one place in the file, with the correction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Start of the faulty text.
    pub at: Position,
    /// Description of the fault, without a full stop.
    pub message: String,
    /// Text to write instead, without a full stop.
    pub help: String,
    /// The line of the file, without anything that may be a secret.
    line: String,
    /// Number of faulty characters, at least 1.
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
            message: say(finding.words.message()),
            help: say(finding.words.help()),
            line: secret.map_or_else(|| printable(line), |secret| printable(&line[..secret]) + " …"),
            width: place.chars().count().max(1),
        }
    }

    /// Renders the fault for a person: `path:line:column: message`, the line of the file, and the help under
    /// the faulty text.
    pub fn render(&self, path: &Path) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{}:{}: {}", path.display(), self.at, self.message);
        let _ = writeln!(out, "{:5} | {}", self.at.line, self.line);
        let _ = write!(out, "      | {}{} {}", self.indent(), "^".repeat(self.width()), self.help);
        out
    }

    /// Returns the error for this fault of the file at `path`.
    pub(crate) fn error(&self, path: &Path) -> Error {
        Error::wrong(self.render(path)).at(Place {
            file: path.display().to_string(),
            line: self.at.line,
            column: Some(self.at.column),
            message: self.message.clone(),
            help: self.help.clone(),
        })
    }

    /// Returns the text before the fault as spaces. Tabs stay, so that the marker lines up at any tab width.
    fn indent(&self) -> String {
        let before = self.line.chars().take(self.at.column - 1);
        before.map(|c| if c == '\t' { '\t' } else { ' ' }).collect()
    }

    /// Returns the width of the marker. The shown line may end before the fault does, where a secret is
    /// hidden.
    fn width(&self) -> usize {
        let behind = self.line.chars().count().saturating_sub(self.at.column - 1);
        self.width.min(behind).max(1)
    }
}

/// A text and the starts of its lines.
pub(crate) struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    pub(crate) fn of(text: &'t str) -> Self {
        let behind_newlines = text.match_indices('\n').map(|(newline, _)| newline + 1);
        Self { text, starts: std::iter::once(0).chain(behind_newlines).collect() }
    }

    /// Returns the line and column of a byte.
    pub(crate) fn position(&self, byte: usize) -> Position {
        let byte = floor(self.text, byte);
        let line = self.number_of(byte);
        Position { line, column: self.text[self.starts[line - 1]..byte].chars().count() + 1 }
    }

    /// Returns the first byte of the line that contains `byte`.
    fn start_of(&self, byte: usize) -> usize {
        self.starts[self.number_of(byte) - 1]
    }

    /// Returns the number of the line that contains `byte`, counted from 1.
    fn number_of(&self, byte: usize) -> usize {
        self.starts.partition_point(|start| *start <= byte)
    }
}

/// Returns the nearest character boundary at or before `byte`.
fn floor(text: &str, byte: usize) -> usize {
    text.floor_char_boundary(byte.min(text.len()))
}

/// Replaces control characters: a file may come from elsewhere, and a terminal would obey them.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\t' { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// Returns the start of the first secret in the line: the value of a key whose name suggests a secret, or
/// text that looks like a WireGuard key and is not labelled as public. No secret belongs in the network file,
/// but people do put secrets there, and a secret must not reach a log.
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

/// Returns the start of the first base64 word that is about as long as a key (43 characters and `=`).
fn key_in(line: &str) -> Option<usize> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '+' || c == '/';
    let words = line.split(|c: char| !is_part(c));
    words.filter(|word| word.len() >= 40).map(|word| word.as_ptr() as usize - line.as_ptr() as usize).min()
}
