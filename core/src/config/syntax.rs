//! Parser: from text to a TOML tree, or to the faults that prevent it.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::{FaultWords, Findings, Span};
use crate::base::sorted::order;

/// The text as TOML.
pub(super) struct Tree<'a> {
    /// The tables and values of the file; the parser guesses a value where the text is broken.
    pub root: DeTable<'a>,
    /// The places that are not TOML.
    pub faults: Findings,
    /// The places of guessed values.
    pub broken: Vec<Span>,
}

/// Reads all of `text`, past its faults. Returns only the faults if the parser lost a line: a tree that lacks
/// lines would cause false faults later.
pub(super) fn read(text: &str) -> Result<Tree<'_>, Findings> {
    let first = Pass::over(text);
    if first.swallowed {
        return Err(first.of_lines.and(first.of_values));
    }
    if first.lost.is_empty() {
        return Ok(Tree { root: first.root, faults: first.of_values, broken: first.broken });
    }
    // The parser does not report values after a lost line. With that line blanked, it does.
    let rest = without(text, &first.lost);
    let second = Pass::over(&rest);
    Err(first.of_lines.and(second.of_lines).and(second.of_values))
}

fn without(text: &str, lines: &[Span]) -> String {
    let mut rest = text.to_owned();
    for line in lines {
        rest.replace_range(line.clone(), &" ".repeat(line.len()));
    }
    rest
}

/// Result of one pass of the parser.
struct Pass<'a> {
    root: DeTable<'a>,
    of_values: Findings,
    of_lines: Findings,
    /// Places of guessed values.
    broken: Vec<Span>,
    /// Lines without a meaning.
    lost: Vec<Span>,
    /// A header is malformed, or a bracket or quote is never closed: the parser misread the text that
    /// follows.
    swallowed: bool,
}

struct SyntaxError {
    span: Span,
    message: String,
}

impl SyntaxError {
    fn new(text: &str, error: &toml::de::Error) -> Self {
        let end = text.trim_end().len();
        let span = error.span().unwrap_or(end..end);
        // Our own help says what was expected, with an example.
        let message = error.message().split(", expected").next().unwrap_or_default().to_owned();
        Self { span, message }
    }
}

impl<'a> Pass<'a> {
    fn over(text: &'a str) -> Self {
        let (root, errors) = DeTable::parse_recoverable(text);
        let mut pass = Self {
            root: root.into_inner(),
            of_values: Findings::default(),
            of_lines: Findings::default(),
            broken: Vec::new(),
            lost: Vec::new(),
            swallowed: false,
        };
        let mut places = Vec::new();
        for error in &errors {
            places.push((error.span().map_or(text.len(), |span| span.start), 0));
        }
        let errors: Vec<_> =
            order(&places).into_iter().map(|at| SyntaxError::new(text, &errors[at])).collect();
        for (index, error) in errors.iter().enumerate() {
            pass.record(text, error, &errors[index..]);
            if pass.swallowed {
                break;
            }
        }
        pass
    }

    /// Records `error`. `errors` starts with `error` and continues with the later errors.
    fn record(&mut self, text: &str, error: &SyntaxError, errors: &[SyntaxError]) {
        if self.broken.iter().chain(&self.lost).any(|span| within(&error.span, span)) {
            return; // One fault per value or line: the other errors follow from it.
        }
        if error.message == "duplicate key" {
            let help = "a key or [section] may appear only once: merge the two, or remove one";
            self.of_values.add(
                &error.span,
                format_args!("`{}` appears twice", &text[error.span.clone()]),
                help,
            );
        } else if let Some((value, span)) = value_around(text, &self.root, &error.span) {
            let unclosed =
                |error: &SyntaxError| within(&error.span, &span) && error.message.starts_with("unclosed");
            let over_lines = text[span.clone()].contains('\n');
            self.swallowed = over_lines && (!value.is_array() || errors.iter().any(unclosed));
            let (words, place) = broken_value(text, value, &span, error, self.swallowed);
            self.of_values.record(&place, words);
            self.broken.push(span);
        } else {
            let (words, place) = broken_line(text, error);
            let line = line_of(text, &place);
            self.swallowed = text[line.clone()].trim_start().starts_with('[');
            self.of_lines.record(&place, words);
            self.lost.push(line);
        }
    }
}

fn within(inner: &Span, outer: &Span) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}

/// Returns the outermost value that contains `place`. Tables with their own header are not values.
fn value_around<'t, 'a>(text: &str, table: &'t DeTable<'a>, place: &Span) -> Option<(&'t DeValue<'a>, Span)> {
    table.values().find_map(|value| {
        let span = value.span();
        match value.get_ref() {
            DeValue::Table(inner) if !text[span.clone()].starts_with('{') => value_around(text, inner, place),
            value => (span.start <= place.start && place.end <= span.end).then_some((value, span)),
        }
    })
}

/// Returns the innermost value inside `value` that contains `place`; `value` itself if no inner value does.
fn innermost<'t, 'a>(value: &'t DeValue<'a>, span: &Span, place: &Span) -> (&'t DeValue<'a>, Span) {
    let here =
        |inner: &&Spanned<DeValue<'a>>| inner.span().start <= place.start && place.end <= inner.span().end;
    let inner = match value {
        DeValue::Array(list) => list.iter().find(here),
        DeValue::Table(table) => table.values().find(here),
        _ => None,
    };
    match inner {
        Some(inner) => innermost(inner.get_ref(), &inner.span(), place),
        None => (value, span.clone()),
    }
}

fn line_of(text: &str, place: &Span) -> Span {
    let start = text[..place.start].rfind('\n').map_or(0, |newline| newline + 1);
    let end = text[place.start..].find('\n').map_or(text.len(), |newline| place.start + newline);
    start..end
}

/// Returns words and place for a value that is not TOML. `swallowed`: the value has no end, and the
/// parser took the following text as a part of it.
fn broken_value(
    text: &str,
    value: &DeValue<'_>,
    span: &Span,
    error: &SyntaxError,
    swallowed: bool,
) -> (FaultWords, Span) {
    let between = error.message.starts_with("missing comma");
    let (value, place) =
        if swallowed || between { (value, span.clone()) } else { innermost(value, span, &error.span) };
    let written = text[place.clone()].lines().next().unwrap_or_default().trim_end();
    let (message, help) = match value {
        _ if written.is_empty() => ("the value is missing", "write a value after the `=`"),
        DeValue::Array(_) if swallowed => ("this list is not closed", "put a `]` at its end"),
        DeValue::Table(_) if swallowed => ("this table is not closed", "put a `}` at its end"),
        DeValue::Array(_) => (error.message.as_str(), "write a list as `[\"a\", \"b\"]`"),
        DeValue::Table(_) => (error.message.as_str(), "write a table as `{ parent = \"eth0\", id = 30 }`"),
        DeValue::Boolean(_) => (NO_FLAG, "write `true` or `false`, in lower case"),
        DeValue::Integer(_) => {
            (error.message.as_str(), "write a plain number such as `51820`, or put text in quotes")
        }
        _ => return (broken_text(written), place),
    };
    (FaultWords::new(message, help), place)
}

const NO_FLAG: &str = "this is neither true nor false";

/// Returns the words on a value that can only be meant as text.
fn broken_text(written: &str) -> FaultWords {
    if written.starts_with(['"', '\'']) {
        let help = "end the text with the quote that begins it, and write `\\\\` for a `\\`";
        FaultWords::new("this text has no closing quote, or an invalid `\\` in it", help)
    } else if matches!(written, "yes" | "no" | "on" | "off") {
        FaultWords::new(NO_FLAG, "write `true` or `false`")
    } else if written.contains(['"', '\\']) {
        FaultWords::new("text must be in quotes", "write `\"` before and after it, and none inside")
    } else {
        FaultWords::new("text must be in quotes", format_args!("write `\"{written}\"`"))
    }
}

/// Returns words and place for a line that is neither a header nor a key with its value.
fn broken_line(text: &str, error: &SyntaxError) -> (FaultWords, Span) {
    let line = line_of(text, &error.span);
    let (message, help, place) = match error.message.as_str() {
        "unclosed table" if !text[line.clone()].contains(']') => {
            ("this header is not closed", "put a `]` at its end", unclosed_header(text, &error.span))
        }
        _ if text[line.clone()].trim_start().starts_with('[') => {
            ("this is not a valid header", "write it as `[site.nyc]`, with dots and without spaces", line)
        }
        "unexpected key or value" => {
            ("there is more text after the value", "write one `key = value` per line", error.span.clone())
        }
        "key with no value" => ("the value is missing", "write `key = value`", error.span.clone()),
        message => (message, "write `key = value`, `[section]` or `# comment`", error.span.clone()),
    };
    (FaultWords::new(message, help), place)
}

/// Returns the place of the unclosed header. The parser looks for the bracket up to the end of the file; a
/// person looks for it in the line of the header.
fn unclosed_header(text: &str, found_at: &Span) -> Span {
    let before = &text[..found_at.start];
    let mut lines = before.split_inclusive('\n');
    let header = lines.rfind(|line| line.trim_start().starts_with('[') && !line.contains(']'));
    header.map_or(found_at.clone(), |line| {
        let start = line.as_ptr() as usize - text.as_ptr() as usize;
        start..start + line.trim_end().len()
    })
}
