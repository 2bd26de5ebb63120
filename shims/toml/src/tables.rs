//! The tables of a document. Each rule is that of the crate toml.

use std::ops::Range;

use crate::{DeArray, DeTable, DeValue, Error, Key, Spanned};

/// Fault of a key that appears a second time.
const DUPLICATE: &str = "duplicate key";

/// The faults found so far.
pub(super) struct Errors(pub(super) Vec<Error>);

impl Errors {
    pub(super) fn add(&mut self, message: impl Into<String>, span: &Range<usize>) {
        self.0.push(Error { message: message.into(), span: Some(span.clone()) });
    }
}

/// The header of a table: `[site.nyc]`, or one in double brackets.
pub(super) struct Header<'a> {
    /// The keys; empty if there are none, or too many.
    pub(super) path: Vec<Key<'a>>,
    pub(super) span: Range<usize>,
    pub(super) is_array: bool,
}

/// A document up to the present line.
#[derive(Default)]
pub(super) struct Document<'a> {
    pub(super) root: DeTable<'a>,
    /// The table of the last header, which is not in the root yet.
    pub(super) current: DeTable<'a>,
    header: Option<Header<'a>>,
}

impl<'a> Document<'a> {
    /// Puts the present table into the root.
    pub(super) fn finish(&mut self, errors: &mut Errors) {
        let table = std::mem::take(&mut self.current);
        let Some(Header { mut path, span, is_array }) = self.header.take() else {
            self.root = table;
            return;
        };
        let Some(key) = path.pop() else { return };
        let Some(parent) = descend(&mut self.root, &path, false, false, errors) else { return };
        let table = Spanned { span: span.clone(), value: DeValue::Table(table) };
        let at = match parent.find(&key.value) {
            Ok(at) if !is_array => {
                parent.entries[at].1 = table;
                return;
            }
            Err(at) if !is_array => {
                parent.entries.insert(at, (key, table));
                return;
            }
            Ok(at) => at,
            Err(at) => {
                let list = DeValue::Array(DeArray { items: Vec::new(), has_headers: true });
                parent.entries.insert(at, (key.clone(), Spanned { span, value: list }));
                at
            }
        };
        match &mut parent.entries[at].1.value {
            DeValue::Array(list) if list.has_headers => list.items.push(table),
            _ => errors.add(DUPLICATE, &key.span),
        }
    }

    /// Begins the table of a header. Tables inside it may have been defined before.
    pub(super) fn start(&mut self, header: Header<'a>, errors: &mut Errors) {
        if !header.is_array
            && let Some((key, path)) = header.path.split_last()
            && let Some(parent) = descend(&mut self.root, path, false, false, errors)
            && let Ok(at) = parent.find(&key.value)
        {
            let known = parent.entries.remove(at).1.value;
            if !matches!(&known, DeValue::Table(table) if table.is_implicit && !table.is_dotted) {
                errors.add(DUPLICATE, &key.span);
            }
            if let DeValue::Table(table) = known {
                self.current = table;
            }
        }
        self.current.is_implicit = false;
        self.current.is_dotted = false;
        self.header = Some(header);
    }
}

/// Sets the value of a key, at a path inside a table.
pub(super) fn put<'a>(
    table: &mut DeTable<'a>,
    path: &[Key<'a>],
    key: Key<'a>,
    value: Spanned<DeValue<'a>>,
    is_inline: bool,
    errors: &mut Errors,
) {
    let is_dotted = !path.is_empty();
    let Some(table) = descend(table, path, is_dotted, is_inline, errors) else { return };
    // A key with dots adds nothing to a table that has its own braces or header.
    let is_closed = if is_inline { table.is_dotted != is_dotted } else { is_dotted && !table.is_implicit };
    match table.find(&key.value) {
        Err(at) if !is_closed => table.entries.insert(at, (key, value)),
        _ => errors.add(DUPLICATE, &key.span),
    }
}

/// Returns the table at a path. Missing tables on the way are made.
fn descend<'t, 'a>(
    mut table: &'t mut DeTable<'a>,
    path: &[Key<'a>],
    is_dotted: bool,
    is_inline: bool,
    errors: &mut Errors,
) -> Option<&'t mut DeTable<'a>> {
    for key in path {
        let at = table.find(&key.value).unwrap_or_else(|at| {
            let new = DeTable { is_implicit: true, is_dotted, is_inline, ..DeTable::default() };
            let value = Spanned { span: key.span(), value: DeValue::Table(new) };
            table.entries.insert(at, (key.clone(), value));
            at
        });
        let value = &mut table.entries[at].1.value;
        let name = type_name(value);
        table = match value {
            DeValue::Table(inner) if inner.is_inline && !is_inline => {
                errors.add("cannot extend value of type inline table with a dotted key", &key.span);
                return None;
            }
            DeValue::Table(inner) if is_dotted && !inner.is_implicit => {
                errors.add(DUPLICATE, &key.span);
                return None;
            }
            DeValue::Table(inner) => {
                inner.is_dotted |= is_dotted;
                inner
            }
            DeValue::Array(list) if list.has_headers => match &mut list.items.last_mut()?.value {
                DeValue::Table(inner) => inner,
                _ => return None,
            },
            _ => {
                errors.add(format!("cannot extend value of type {name} with a dotted key"), &key.span);
                return None;
            }
        };
    }
    Some(table)
}

fn type_name(value: &DeValue) -> &'static str {
    match value {
        DeValue::String(_) => "string",
        DeValue::Integer(_) => "integer",
        DeValue::Float(_) => "float",
        DeValue::Boolean(_) => "boolean",
        DeValue::Datetime(_) => "datetime",
        DeValue::Array(_) => "array",
        DeValue::Table(_) => "table",
    }
}
