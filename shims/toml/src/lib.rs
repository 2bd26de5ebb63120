//! The tree of a TOML text, as the crate toml builds it: with the place of each key and value, past faults.
//!
//! The crate's parser, toml_parser, reads the text. Only the tree is this crate's own: its tables are sorted
//! lists, a date is not read, and an error does not say what the parser expected.

mod build;
mod tables;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;
use std::ops::{Deref, Range};

/// The names of the types in the crate toml.
pub mod de {
    pub use crate::{DeArray, DeInteger, DeString, DeTable, DeValue, Error};
}

/// An object with its place in the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spanned<T> {
    span: Range<usize>,
    value: T,
}

impl<T> Spanned<T> {
    /// Returns the place, in bytes.
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// Returns the object.
    pub fn get_ref(&self) -> &T {
        &self.value
    }

    /// Returns the object without its place.
    pub fn into_inner(self) -> T {
        self.value
    }
}

/// A text without quotes and escapes.
pub type DeString<'a> = Cow<'a, str>;

/// A key of a table.
pub type Key<'a> = Spanned<DeString<'a>>;

/// A key and its value.
type Entry<'a> = (Key<'a>, Spanned<DeValue<'a>>);

/// A table, in the order of the keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeTable<'a> {
    entries: Vec<Entry<'a>>,
    /// Made by a key or a header of a table inside.
    is_implicit: bool,
    /// Made by a key with dots.
    is_dotted: bool,
    is_inline: bool,
}

impl<'a> DeTable<'a> {
    /// Reads a text; returns the first fault if it has one.
    pub fn parse(text: &'a str) -> Result<Spanned<Self>, Error> {
        let (table, errors) = build::document(text);
        errors.into_iter().next().map_or(Ok(table), Err)
    }

    /// Reads a text past its faults. Values are guessed where the text is broken.
    pub fn parse_recoverable(text: &'a str) -> (Spanned<Self>, Vec<Error>) {
        build::document(text)
    }

    /// Returns the value of a key.
    pub fn get<Q: AsRef<str> + ?Sized>(&self, key: &Q) -> Option<&Spanned<DeValue<'a>>> {
        self.get_key_value(key.as_ref()).map(|(_, value)| value)
    }

    /// Returns a key as written, and its value.
    pub fn get_key_value(&self, key: &str) -> Option<(&Key<'a>, &Spanned<DeValue<'a>>)> {
        self.find(key).ok().map(|at| (&self.entries[at].0, &self.entries[at].1))
    }

    /// Reports whether the table has a key.
    pub fn contains_key(&self, key: &str) -> bool {
        self.find(key).is_ok()
    }

    /// Returns the keys and their values.
    pub fn iter(&self) -> Iter<'_, 'a> {
        Iter(self.entries.iter())
    }

    /// Returns the values in the order of their keys.
    pub fn values(&self) -> impl Iterator<Item = &Spanned<DeValue<'a>>> {
        self.entries.iter().map(|(_, value)| value)
    }

    /// Returns the index of a key, or the index at which to insert it.
    fn find(&self, key: &str) -> Result<usize, usize> {
        self.entries.binary_search_by(|(known, _)| known.value.as_ref().cmp(key))
    }
}

impl<'t, 'a> IntoIterator for &'t DeTable<'a> {
    type Item = (&'t Key<'a>, &'t Spanned<DeValue<'a>>);
    type IntoIter = Iter<'t, 'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// The keys of a table and their values.
#[derive(Debug)]
pub struct Iter<'t, 'a>(std::slice::Iter<'t, Entry<'a>>);

impl<'t, 'a> Iterator for Iter<'t, 'a> {
    type Item = (&'t Key<'a>, &'t Spanned<DeValue<'a>>);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(key, value)| (key, value))
    }
}

/// A list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeArray<'a> {
    items: Vec<Spanned<DeValue<'a>>>,
    /// Made by headers with double brackets.
    has_headers: bool,
}

impl<'a> Deref for DeArray<'a> {
    type Target = [Spanned<DeValue<'a>>];

    fn deref(&self) -> &Self::Target {
        &self.items
    }
}

impl<'t, 'a> IntoIterator for &'t DeArray<'a> {
    type Item = &'t Spanned<DeValue<'a>>;
    type IntoIter = std::slice::Iter<'t, Spanned<DeValue<'a>>>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.iter()
    }
}

/// A whole number as written, without the prefix of its radix and without `_`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeInteger<'a> {
    digits: DeString<'a>,
    radix: u32,
}

impl DeInteger<'_> {
    /// Returns the digits, with a sign in front.
    pub fn as_str(&self) -> &str {
        &self.digits
    }

    /// Returns the radix: 2, 8, 10 or 16.
    pub fn radix(&self) -> u32 {
        self.radix
    }
}

impl fmt::Display for DeInteger<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.radix {
            2 => "0b",
            8 => "0o",
            16 => "0x",
            _ => "",
        })?;
        f.write_str(&self.digits)
    }
}

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeValue<'a> {
    /// Text.
    String(DeString<'a>),
    /// A whole number.
    Integer(DeInteger<'a>),
    /// A number with a decimal point, as written.
    Float(DeString<'a>),
    /// `true` or `false`.
    Boolean(bool),
    /// A date, with or without a time, as written.
    Datetime(DeString<'a>),
    /// A list.
    Array(DeArray<'a>),
    /// A table.
    Table(DeTable<'a>),
}

impl<'a> DeValue<'a> {
    /// Returns the text, if the value is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the whole number, if the value is one.
    pub fn as_integer(&self) -> Option<&DeInteger<'a>> {
        match self {
            Self::Integer(number) => Some(number),
            _ => None,
        }
    }

    /// Returns the truth, if the value is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Boolean(is_true) => Some(*is_true),
            _ => None,
        }
    }

    /// Returns the list, if the value is one.
    pub fn as_array(&self) -> Option<&DeArray<'a>> {
        match self {
            Self::Array(array) => Some(array),
            _ => None,
        }
    }

    /// Returns the table, if the value is one.
    pub fn as_table(&self) -> Option<&DeTable<'a>> {
        match self {
            Self::Table(table) => Some(table),
            _ => None,
        }
    }

    /// Reports whether the value is a list.
    pub fn is_array(&self) -> bool {
        self.as_array().is_some()
    }

    /// Reports whether the value is a table.
    pub fn is_table(&self) -> bool {
        self.as_table().is_some()
    }
}

/// A fault of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    message: String,
    span: Option<Range<usize>>,
}

impl Error {
    /// Returns the fault in a few words.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns the place of the fault; `None` at the end of the text.
    pub fn span(&self) -> Option<Range<usize>> {
        self.span.clone()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
