//! A value of JSON, in the order in which it is written.

use std::fmt::{self, Write as _};

use wg_portals::base::json::Json as Text;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Json {
    Text(String),
    Number(u64),
    Flag(bool),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    /// An object of these keys and values.
    pub(super) fn object<const N: usize>(entries: [(&str, Json); N]) -> Self {
        Self::Object(entries.map(|(key, value)| (key.to_owned(), value)).into())
    }

    /// A list of texts.
    pub(super) fn texts<T: AsRef<str>>(texts: &[T]) -> Self {
        Self::List(texts.iter().map(|text| text.as_ref().into()).collect())
    }

    /// The value of a key of an object.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        self.entries().iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// The keys and values of an object.
    pub(super) fn entries(&self) -> &[(String, Self)] {
        if let Self::Object(entries) = self { entries } else { panic!("no object: {self:?}") }
    }

    /// The values of a list.
    pub(super) fn items(&self) -> &[Self] {
        if let Self::List(items) = self { items } else { panic!("no list: {self:?}") }
    }

    pub(super) fn text(&self) -> &str {
        if let Self::Text(text) = self { text } else { panic!("no text: {self:?}") }
    }

    pub(super) fn number(&self) -> u64 {
        if let Self::Number(number) = self { *number } else { panic!("no number: {self:?}") }
    }

    /// Adds keys to an object.
    pub(super) fn with<const N: usize>(mut self, more: [(&str, Self); N]) -> Self {
        let Self::Object(entries) = &mut self else { panic!("no object: {self:?}") };
        entries.extend(more.map(|(key, value)| (key.to_owned(), value)));
        self
    }

    fn write(&self, to: &mut String, indent: usize) {
        let (brackets, count) = match self {
            Self::Text(text) => return write!(to, "{}", Text::text(text)).unwrap(),
            Self::Number(number) => return write!(to, "{number}").unwrap(),
            Self::Flag(flag) => return write!(to, "{flag}").unwrap(),
            Self::List(items) => (["[", "]"], items.len()),
            Self::Object(entries) => (["{", "}"], entries.len()),
        };
        let (inner, outer) = ("  ".repeat(indent + 1), "  ".repeat(indent));
        // Lists of words and numbers take one line.
        let is_plain = |item: &Self| !matches!(item, Self::List(_) | Self::Object(_));
        let one_line = matches!(self, Self::List(items) if items.iter().all(is_plain));
        to.push_str(brackets[0]);
        for at in 0..count {
            match (one_line, at) {
                (true, 0) => {}
                (true, _) => to.push_str(", "),
                (false, 0) => write!(to, "\n{inner}").unwrap(),
                (false, _) => write!(to, ",\n{inner}").unwrap(),
            }
            match self {
                Self::Object(entries) => {
                    let (key, value) = &entries[at];
                    write!(to, "{}: ", Text::text(key)).unwrap();
                    value.write(to, indent + 1);
                }
                _ => self.items()[at].write(to, indent + 1),
            }
        }
        if !one_line && count > 0 {
            write!(to, "\n{outer}").unwrap();
        }
        to.push_str(brackets[1]);
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Json {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.write(&mut text, 0);
        f.write_str(&text)
    }
}
