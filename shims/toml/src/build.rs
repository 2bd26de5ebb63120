//! The values, keys and headers from the events of the parser. Faults are treated as by the crate toml.

use std::borrow::Cow;
use std::ops::Range;
use std::slice;

use toml_parser::decoder::ScalarKind;
use toml_parser::parser::{Event, EventKind, RecursionGuard, ValidateWhitespace, parse_document};
use toml_parser::{ErrorSink, ParseError, Source, Span};

use crate::tables::{Document, Errors, Header, put};
use crate::{DeArray, DeInteger, DeTable, DeValue, Error, Key, Spanned};

/// Largest depth of lists and tables.
const LIMIT: u32 = 80;

/// Reads a text.
pub(super) fn document(text: &str) -> (Spanned<DeTable<'_>>, Vec<Error>) {
    let source = Source::new(text);
    let tokens = source.lex().into_vec();
    let (mut events, mut errors) = (Vec::with_capacity(tokens.len()), Errors(Vec::new()));
    let mut receiver = ValidateWhitespace::new(&mut events, source);
    parse_document(&tokens, &mut RecursionGuard::new(&mut receiver, LIMIT), &mut errors);
    let mut reader = Reader { source, events: events.iter(), errors };
    let table = reader.document();
    (Spanned { span: 0..0, value: table }, reader.errors.0)
}

impl ErrorSink for Errors {
    fn report_error(&mut self, error: ParseError) {
        self.0.push(Error {
            message: error.description().to_owned(),
            span: error.unexpected().map(|span| range(&span)),
        });
    }
}

fn range(span: &Span) -> Range<usize> {
    span.start()..span.end()
}

struct Reader<'a, 'e> {
    source: Source<'a>,
    events: slice::Iter<'e, Event>,
    errors: Errors,
}

impl<'a> Reader<'a, '_> {
    fn document(&mut self) -> DeTable<'a> {
        let mut document = Document::default();
        while let Some(event) = self.events.next() {
            match event.kind() {
                EventKind::StdTableOpen | EventKind::ArrayTableOpen => {
                    document.finish(&mut self.errors);
                    let header = self.header(event);
                    document.start(header, &mut self.errors);
                }
                EventKind::SimpleKey => {
                    let mut path = self.keys(event);
                    let Some(key) = path.pop() else { break };
                    self.skip_whitespace();
                    if self.events.next().is_none_or(|event| event.kind() != EventKind::KeyValSep) {
                        break;
                    }
                    self.skip_whitespace();
                    let value = self.value();
                    put(&mut document.current, &path, key, value, false, &mut self.errors);
                }
                _ => {}
            }
        }
        document.finish(&mut self.errors);
        document.root
    }

    fn kind_at(&self, place: usize) -> Option<EventKind> {
        self.events.as_slice().get(place).map(Event::kind)
    }

    fn skip_whitespace(&mut self) {
        if self.kind_at(0) == Some(EventKind::Whitespace) {
            self.events.next();
        }
    }

    /// Reads a header behind its opening bracket.
    fn header(&mut self, open: &Event) -> Header<'a> {
        let mut header = Header {
            path: Vec::new(),
            span: range(&open.span()),
            is_array: open.kind() == EventKind::ArrayTableOpen,
        };
        while let Some(event) = self.events.next() {
            match event.kind() {
                EventKind::SimpleKey => header.path = self.keys(event),
                EventKind::StdTableClose | EventKind::ArrayTableClose => {
                    header.span.end = event.span().end();
                    break;
                }
                _ => {}
            }
        }
        header
    }

    /// Reads keys with dots between them; none if there are too many.
    fn keys(&mut self, first: &Event) -> Vec<Key<'a>> {
        let mut keys = Vec::new();
        let mut current = Some(*first);
        let mut goes_on = self.has_more_keys();
        while goes_on && let Some(event) = self.events.next() {
            match event.kind() {
                EventKind::SimpleKey => {
                    current = Some(*event);
                    goes_on = self.has_more_keys();
                }
                EventKind::KeySep => keys.extend(current.take().map(|event| self.key(&event))),
                _ => {}
            }
        }
        keys.extend(current.map(|event| self.key(&event)));
        if keys.len() > LIMIT as usize {
            self.errors.report_error(ParseError::new("recursion limit"));
            keys.clear();
        }
        keys
    }

    fn has_more_keys(&self) -> bool {
        match self.kind_at(0) {
            Some(EventKind::Whitespace) => self.kind_at(1) == Some(EventKind::KeySep),
            next => next == Some(EventKind::KeySep),
        }
    }

    fn key(&mut self, event: &Event) -> Key<'a> {
        let mut key = Cow::Borrowed("");
        if let Some(raw) = self.source.get(event) {
            raw.decode_key(&mut key, &mut self.errors);
        }
        Spanned { span: range(&event.span()), value: key }
    }

    fn value(&mut self) -> Spanned<DeValue<'a>> {
        let value = self.events.next().and_then(|event| self.value_at(event));
        value.unwrap_or(Spanned {
            span: 0..0,
            value: DeValue::Integer(DeInteger { digits: Cow::Borrowed("0"), radix: 10 }),
        })
    }

    /// Reads the value that begins with an event; `None` if no value does.
    fn value_at(&mut self, event: &Event) -> Option<Spanned<DeValue<'a>>> {
        match event.kind() {
            EventKind::InlineTableOpen => Some(self.inline_table(event)),
            EventKind::ArrayOpen => Some(self.array(event)),
            EventKind::Scalar => Some(self.scalar(event)),
            _ => None,
        }
    }

    fn scalar(&mut self, event: &Event) -> Spanned<DeValue<'a>> {
        let (mut text, span) = (Cow::Borrowed(""), range(&event.span()));
        let kind = match self.source.get(event) {
            Some(raw) => raw.decode_scalar(&mut text, &mut self.errors),
            None => ScalarKind::String,
        };
        let value = match kind {
            ScalarKind::String => DeValue::String(text),
            ScalarKind::Boolean(is_true) => DeValue::Boolean(is_true),
            ScalarKind::Float => DeValue::Float(text),
            ScalarKind::Integer(radix) => DeValue::Integer(DeInteger { digits: text, radix: radix.value() }),
            ScalarKind::DateTime => {
                if !begins_with_date(&text) {
                    self.errors.add("invalid datetime", &span);
                }
                DeValue::Datetime(text)
            }
        };
        Spanned { span, value }
    }

    /// Reads a list behind its opening bracket.
    fn array(&mut self, open: &Event) -> Spanned<DeValue<'a>> {
        let mut array = DeArray::default();
        let (mut current, mut end) = (None, open.span().end());
        while let Some(event) = self.events.next() {
            end = event.span().end();
            match event.kind() {
                EventKind::ValueSep => array.items.extend(current.take()),
                EventKind::ArrayClose => {
                    array.items.extend(current.take());
                    break;
                }
                kind if is_filler(kind) => {}
                _ => match self.value_at(event) {
                    Some(value) => current = Some(value),
                    None => break,
                },
            }
        }
        Spanned { span: open.span().start()..end, value: DeValue::Array(array) }
    }

    /// Reads a table behind its opening brace.
    fn inline_table(&mut self, open: &Event) -> Spanned<DeValue<'a>> {
        let mut table = DeTable { is_inline: true, ..DeTable::default() };
        let (mut path, mut current, mut end) = (Vec::new(), None, open.span().end());
        while let Some(event) = self.events.next() {
            end = event.span().end();
            match event.kind() {
                EventKind::SimpleKey => {
                    let keys = self.keys(event);
                    if !keys.is_empty() {
                        path = keys;
                    }
                }
                kind @ (EventKind::ValueSep | EventKind::InlineTableClose) => {
                    let value = current.take();
                    if let (Some(key), Some(value)) = (path.pop(), value) {
                        put(&mut table, &path, key, value, true, &mut self.errors);
                    }
                    path.clear();
                    if kind == EventKind::InlineTableClose {
                        break;
                    }
                }
                EventKind::KeyValSep => {}
                kind if is_filler(kind) => {}
                _ => match self.value_at(event) {
                    Some(value) => current = Some(value),
                    None => break,
                },
            }
        }
        Spanned { span: open.span().start()..end, value: DeValue::Table(table) }
    }
}

fn is_filler(kind: EventKind) -> bool {
    matches!(kind, EventKind::Whitespace | EventKind::Comment | EventKind::Newline | EventKind::Error)
}

/// Reports whether a text begins with a date such as `2026-11-27`.
fn begins_with_date(text: &str) -> bool {
    let shape: Vec<u8> =
        text.bytes().take(10).map(|byte| if byte.is_ascii_digit() { b'0' } else { byte }).collect();
    shape == b"0000-00-00" && text.as_bytes().get(10).is_none_or(|next| b"Tt ".contains(next))
}
