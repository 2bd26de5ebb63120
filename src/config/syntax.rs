//! From text to a TOML tree, or to what keeps it from being one.

use toml::de::{DeTable, DeValue};

use super::fault::{Findings, Span};

/// What the text is, as far as it can be read.
pub(super) struct Document<'a> {
    /// The tree; something was guessed where there are faults.
    pub root: DeTable<'a>,
    /// What is not TOML.
    pub faults: Findings,
    /// Values that were guessed.
    pub broken: Vec<Span>,
    /// Whether the tree is as the text means it, broken values aside. One bracket that is never closed
    /// swallows all that follows it, and nothing that is found or missed behind it means anything.
    pub sound: bool,
}

/// Reads the whole of `text`, past its faults.
pub(super) fn read(text: &str) -> Document<'_> {
    let (root, errors) = DeTable::parse_recoverable(text);
    let mut document =
        Document { root: root.into_inner(), faults: Findings::default(), broken: Vec::new(), sound: true };
    let mut errors: Vec<SyntaxError> = errors.iter().map(|error| SyntaxError::new(text, error)).collect();
    errors.sort_by_key(|error| error.span.start);
    for error in errors {
        document.take_down(text, error);
    }
    document
}

struct SyntaxError {
    span: Span,
    message: String,
}

impl SyntaxError {
    fn new(text: &str, error: &toml::de::Error) -> Self {
        let end = text.trim_end().len();
        let span = error.span().unwrap_or(end..end);
        // What was expected instead is said in our own words, with an example.
        let message = error.message().split(", expected").next().unwrap_or_default().to_owned();
        Self { span, message }
    }
}

impl Document<'_> {
    fn take_down(&mut self, text: &str, error: SyntaxError) {
        if self.broken.iter().any(|span| span.start <= error.span.start && error.span.end <= span.end) {
            return; // One fault a value: the others follow from it.
        }
        if error.message == "duplicate key" {
            let help = "a key or [section] stands once: make one of the two, or take one away";
            self.faults.add(&error.span, format!("`{}` is there twice", &text[error.span.clone()]), help);
        } else if let Some((value, span)) = value_around(text, &self.root, &error.span) {
            self.sound &= !text[span.clone()].contains('\n');
            let (place, message, help) = broken_value(text, value, &span, error);
            self.faults.add(&place, message, help);
            self.broken.push(span);
        } else if self.sound {
            self.sound = false;
            let (place, message, help) = broken_line(text, error);
            self.faults.add(&place, message, help);
        }
    }
}

/// The outermost value that is written where `place` is. Tables with a header of their own are not values.
fn value_around<'t, 'a>(text: &str, table: &'t DeTable<'a>, place: &Span) -> Option<(&'t DeValue<'a>, Span)> {
    table.values().find_map(|value| {
        let span = value.span();
        match value.get_ref() {
            DeValue::Table(inner) if !text[span.clone()].starts_with('{') => value_around(text, inner, place),
            value => (span.start <= place.start && place.end <= span.end).then_some((value, span)),
        }
    })
}

/// Place, message and help for a value that TOML does not know.
fn broken_value(text: &str, value: &DeValue, span: &Span, error: SyntaxError) -> (Span, String, String) {
    let written = text[span.clone()].lines().next().unwrap_or_default().trim_end();
    let (message, help) = match value {
        _ if written.is_empty() => ("there is no value".to_owned(), "write one behind the `=`".to_owned()),
        DeValue::Array(_) if text[span.clone()].contains('\n') => {
            ("this list is not closed, or lacks a comma".to_owned(), "write `[\"a\", \"b\"]`".to_owned())
        }
        DeValue::Array(_) => (error.message, "write a list as `[\"a\", \"b\"]`".to_owned()),
        DeValue::Table(_) => {
            let help = "write it on one line, as `{ parent = \"eth0\", id = 30 }`".to_owned();
            (error.message, help)
        }
        DeValue::Boolean(_) => (error.message, "write `true` or `false`, in small letters".to_owned()),
        DeValue::Integer(_) => {
            (error.message, "write a plain number, such as `51820`; text stands in quotes".to_owned())
        }
        _ if written.starts_with(['"', '\'']) => (
            error.message,
            "end the text with the quote that it began with, and write `\\\\` for a `\\`".to_owned(),
        ),
        _ => ("text must stand in quotes".to_owned(), format!("write `\"{}\"`", written.replace('"', ""))),
    };
    (span.clone(), message, help)
}

/// Place, message and help for a line that is neither a header nor a key with its value.
fn broken_line(text: &str, error: SyntaxError) -> (Span, String, String) {
    let help = match error.message.as_str() {
        "unclosed table" => {
            return (unclosed_header(text, &error.span), error.message, "close it with `]`".to_owned());
        }
        "unclosed array table" => "write `[site.nyc]`, with single brackets",
        "unexpected key or value" => "write one `key = value` a line",
        _ => "write `key = value`, `[section]` or `# comment`",
    };
    (error.span, error.message, help.to_owned())
}

/// The parser looks for the bracket up to the end of the file; the person looks for it in the header's line.
fn unclosed_header(text: &str, found_at: &Span) -> Span {
    let before = &text[..found_at.start];
    let mut lines = before.split_inclusive('\n');
    let header = lines.rfind(|line| line.trim_start().starts_with('[') && !line.contains(']'));
    header.map_or(found_at.clone(), |line| {
        let start = line.as_ptr() as usize - text.as_ptr() as usize;
        start..start + line.trim_end().len()
    })
}
