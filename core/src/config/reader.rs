//! Typed getters for the TOML tree. The getters record every fault and leave the faulty value out.

use std::borrow::Cow;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::{At, Findings, Span};
use super::suggest::suggest;

/// The fault of a single value.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ValueFault {
    /// The value must be of this type.
    Type(ValueType),
    /// Message, as it follows the key in a sentence ("has host bits set"), and help: the text to write
    /// instead.
    Value(Words, Words),
}

/// Part of a message, often constant.
pub(super) type Words = Cow<'static, str>;

/// The types of single values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ValueType {
    Number,
    Text,
    Flag,
}

impl ValueType {
    fn words(self) -> &'static str {
        match self {
            Self::Number => "a whole number",
            Self::Text => "text in quotes",
            Self::Flag => "true or false",
        }
    }

    /// Returns the value in the right notation for this type, where only the quotes are wrong.
    fn requoted(self, value: &DeValue<'_>) -> Option<String> {
        match (self, value) {
            (Self::Number, DeValue::String(text)) => {
                text.parse::<u32>().ok().map(|number| number.to_string())
            }
            (Self::Flag, DeValue::String(text)) => text.parse::<bool>().ok().map(|flag| flag.to_string()),
            (Self::Text, DeValue::Integer(number)) => Some(format!("\"{number}\"")),
            _ => None,
        }
    }
}

/// Returns the fault of a value: the message, as it follows the key in a sentence, and the text to write
/// instead.
pub(super) fn wrong<T>(message: impl Into<Words>, help: impl Into<Words>) -> Result<T, ValueFault> {
    Err(ValueFault::Value(message.into(), help.into()))
}

/// A function that reads a value from TOML. Getters take it by reference: the compiler then makes one getter
/// per type of value instead of one per function.
pub(super) type Read<'r, T> = dyn Fn(&DeValue<'_>) -> Result<T, ValueFault> + 'r;

/// A table of the file and its name in messages.
pub(super) struct Section<'a> {
    /// `[site.nyc]`, or `` `vlan` ``.
    pub label: String,
    /// Place of the header, or of the table itself if it has no header.
    pub span: Span,
    table: &'a DeTable<'a>,
}

impl<'a> Section<'a> {
    /// Returns the file itself as a section.
    pub(super) fn root(table: &'a DeTable<'a>) -> Self {
        Self { label: "the network file".to_owned(), span: 0..0, table }
    }

    /// Reports whether the section has `key`, with a right or a wrong value.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Returns the place of `key`, if the section has it.
    pub(super) fn key_span(&self, key: &str) -> Option<Span> {
        self.table.get_key_value(key).map(|(key, _)| key.span())
    }

    /// Returns the place of the value of `key`, if the section has it.
    pub(super) fn value_span(&self, key: &str) -> Option<Span> {
        self.table.get(key).map(Spanned::span)
    }

    /// Reports whether `known` contains all keys of the section; records each unknown key.
    pub(super) fn only(&self, known: &[&str], found: &mut Findings) -> bool {
        let mut all = true;
        for (key, _) in self.table.iter().filter(|(key, _)| !known.contains(&key.get_ref().as_ref())) {
            all = false;
            let help = match key.get_ref().as_ref() {
                "private_key" => "remove it: the key belongs in `private.key`, next to this file".to_owned(),
                name => suggest(name, known),
            };
            found.add(&key.span(), format!("unknown key `{}` in {}", key.get_ref(), self.label), help);
        }
        all
    }

    /// Records a fault if `key` is missing.
    pub(super) fn must_have(&self, key: &str, example: &str, found: &mut Findings) {
        if !self.has(key) {
            found.add(
                &self.span,
                format!("{} has no `{key}`", self.label),
                format!("add `{key} = {example}`"),
            );
        }
    }

    /// Records a fault if `key` is an empty list.
    pub(super) fn must_list(&self, key: &str, example: &str, found: &mut Findings) {
        let Some(value) = self.table.get(key) else { return };
        if value.get_ref().as_array().is_some_and(|list| list.is_empty()) {
            found.add(
                &value.span(),
                format!("`{key}` is an empty list"),
                format!("write `{key} = [{example}]`"),
            );
        }
    }

    /// Returns the value of `key`, read by `read`; records a fault if `key` is missing. `example` is a valid
    /// value in TOML.
    pub(super) fn required<T>(
        &self,
        key: &str,
        example: &str,
        read: &Read<T>,
        found: &mut Findings,
    ) -> Option<At<T>> {
        self.must_have(key, example, found);
        self.optional(key, example, read, found)
    }

    /// Returns the value of `key`, read by `read`, if the section has it. `example` is a valid value in TOML.
    pub(super) fn optional<T>(
        &self,
        key: &str,
        example: &str,
        read: &Read<T>,
        found: &mut Findings,
    ) -> Option<At<T>> {
        take(key, &|| format!("write `{key} = {example}`"), self.table.get(key)?, read, found)
    }

    /// Returns the values of the list `key`, read by `read`, without duplicates; empty if there is no such
    /// key.
    pub(super) fn list<T: PartialEq>(
        &self,
        key: &str,
        example: &str,
        read: &Read<T>,
        found: &mut Findings,
    ) -> Vec<At<T>> {
        let Some(value) = self.table.get(key) else { return Vec::new() };
        if value.get_ref().is_array() {
            return self.one_or_list(key, example, read, found);
        }
        refuse_single(key, example, value, found);
        // The meaning is clear all the same, and other parts of the file may refer to this value.
        read(value.get_ref()).map_or_else(|_| Vec::new(), |one| vec![At { value: one, span: value.span() }])
    }

    /// Returns the values of `key` as [`Self::list`] does; a single value may replace a list of one.
    pub(super) fn one_or_list<T: PartialEq>(
        &self,
        key: &str,
        example: &str,
        read: &Read<T>,
        found: &mut Findings,
    ) -> Vec<At<T>> {
        let Some(value) = self.table.get(key) else { return Vec::new() };
        let DeValue::Array(array) = value.get_ref() else {
            let help = || format!("write `{key} = {example}`");
            return take(key, &help, value, read, found).map_or_else(Vec::new, |one| vec![one]);
        };
        let mut list: Vec<At<T>> = Vec::new();
        for item in array {
            let help = || format!("write `{key} = [{example}]`");
            let Some(item) = take(key, &help, item, read, found) else { continue };
            if list.iter().any(|earlier| earlier.value == item.value) {
                refuse_second(key, &item.span, found);
            } else {
                list.push(item);
            }
        }
        list
    }

    /// Returns the table `key`, if the section has it. `example` is the table in TOML.
    pub(super) fn table(&self, key: &str, example: &str, found: &mut Findings) -> Option<Section<'a>> {
        let (key, value) = self.table.get_key_value(key)?;
        let label = if example.starts_with('[') {
            format!("[{}]", key.get_ref())
        } else {
            format!("`{}`", key.get_ref())
        };
        section(label, key.get_ref(), value, &format!("write `{example}`"), found)
    }

    /// Returns the result of `read` for each table inside the table `key`, in the order of the file:
    /// `[site.nyc]` is the table `nyc` inside `site`. `example` is the name of such a table.
    pub(super) fn each<T>(
        &self,
        key: &str,
        example: &str,
        read: impl Fn(At<String>, &Section<'a>, &mut Findings) -> T,
        found: &mut Findings,
    ) -> Vec<T> {
        let mut all = Vec::new();
        for (name, section) in self.sections(key, example, found) {
            all.push(read(name, &section, found));
        }
        all
    }

    /// Returns the tables inside the table `key`, as [`Self::each`] reads them, with their names.
    fn sections(&self, key: &str, example: &str, found: &mut Findings) -> Vec<(At<String>, Section<'a>)> {
        let Some(value) = self.table.get(key) else { return Vec::new() };
        let path = match self.label.strip_prefix('[').and_then(|label| label.strip_suffix(']')) {
            Some(outer) => format!("{outer}.{key}"),
            None => key.to_owned(),
        };
        let help = match value.get_ref() {
            DeValue::String(exit) if key == "exit" => {
                format!("did you mean `exits`? Write `exits = [\"{exit}\"]`")
            }
            DeValue::Array(_) if key == "exit" => "did you mean `exits`?".to_owned(),
            _ => format!("write `[{path}.{example}]`, and its keys below this line"),
        };
        let outer = section(format!("[{path}]"), key, value, &help, found);
        let mut entries: Vec<_> = outer.iter().flat_map(|outer| outer.table.iter()).collect();
        entries.sort_unstable_by_key(|(name, _)| name.span().start);
        let mut sections = Vec::new();
        for (name, value) in entries {
            let name = At { value: name.get_ref().to_string(), span: name.span() };
            let label = format!("[{path}.{}]", name.value);
            let help = match value.get_ref() {
                DeValue::Array(_) => format!("write `{label}`, with single brackets"),
                _ => help.clone(),
            };
            if let Some(section) = section(label, &name.value, value, &help, found) {
                sections.push((name, section));
            }
        }
        sections
    }
}

fn section<'a>(
    label: String,
    key: &str,
    value: &'a Spanned<DeValue<'a>>,
    help: &str,
    found: &mut Findings,
) -> Option<Section<'a>> {
    match value.get_ref() {
        DeValue::Table(table) => Some(Section { label, span: value.span(), table }),
        other => {
            found.add(&value.span(), format!("`{key}` must be a table, not {}", kind(other)), help);
            None
        }
    }
}

/// Records a fault: a value that the list has already.
fn refuse_second(key: &str, span: &Span, found: &mut Findings) {
    found.add(span, format!("`{key}` lists this value twice"), "remove one of the two");
}

/// Records a fault: a single value where a list must be.
fn refuse_single(key: &str, example: &str, value: &Spanned<DeValue<'_>>, found: &mut Findings) {
    let help = match value.get_ref() {
        DeValue::String(text) => format!("write `{key} = [\"{text}\"]`"),
        _ => format!("write `{key} = [{example}]`"),
    };
    found.add(&value.span(), format!("`{key}` must be a list, not {}", kind(value.get_ref())), help);
}

fn take<T>(
    key: &str,
    help: &dyn Fn() -> String,
    value: &Spanned<DeValue<'_>>,
    read: &Read<T>,
    found: &mut Findings,
) -> Option<At<T>> {
    match read(value.get_ref()) {
        Ok(taken) => Some(At { value: taken, span: value.span() }),
        Err(wrong) => {
            record(wrong, key, help, value, found);
            None
        }
    }
}

fn record(
    wrong: ValueFault,
    key: &str,
    help: &dyn Fn() -> String,
    value: &Spanned<DeValue<'_>>,
    found: &mut Findings,
) {
    let (message, help) = match wrong {
        ValueFault::Value(message, help) => (format!("`{key}` {message}"), help.into_owned()),
        ValueFault::Type(wanted) => (
            format!("`{key}` must be {}, not {}", wanted.words(), kind(value.get_ref())),
            wanted.requoted(value.get_ref()).map_or_else(help, |right| format!("write `{right}`")),
        ),
    };
    found.add(&value.span(), message, help);
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a decimal point",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// Reads `true` or `false`.
pub(super) fn flag(value: &DeValue<'_>) -> Result<bool, ValueFault> {
    value.as_bool().ok_or(ValueFault::Type(ValueType::Flag))
}

/// Reads a whole number in `range`.
pub(super) fn number<T: TryFrom<u64>>(
    range: RangeInclusive<u64>,
) -> impl Fn(&DeValue<'_>) -> Result<T, ValueFault> {
    move |value| {
        let number = whole_number(value, &range)?;
        Ok(T::try_from(number).ok().expect("the range fits into the type"))
    }
}

fn whole_number(value: &DeValue<'_>, range: &RangeInclusive<u64>) -> Result<u64, ValueFault> {
    let digits = value.as_integer().ok_or(ValueFault::Type(ValueType::Number))?;
    match u64::from_str_radix(digits.as_str(), digits.radix()) {
        Ok(number) if range.contains(&number) => Ok(number),
        _ => wrong(
            format!("cannot be {digits}"),
            format!("write a number from {} to {}", range.start(), range.end()),
        ),
    }
}

/// Reads a text and parses it with `parse`.
pub(super) fn text<T>(
    parse: impl Fn(&str) -> Result<T, ValueFault>,
) -> impl Fn(&DeValue<'_>) -> Result<T, ValueFault> {
    move |value| parse(value.as_str().ok_or(ValueFault::Type(ValueType::Text))?)
}

/// Reads a name that a later check looks up.
pub(super) fn reference(value: &DeValue<'_>) -> Result<String, ValueFault> {
    text(|name| Ok(name.to_owned()))(value)
}

/// Reads one of a few words.
pub(super) fn choice<T: Copy>(
    words: &'static [(&'static str, T)],
) -> impl Fn(&DeValue<'_>) -> Result<T, ValueFault> {
    text(move |word| {
        if let Some((_, meaning)) = words.iter().find(|(known, _)| *known == word) {
            return Ok(*meaning);
        }
        let known: Vec<&str> = words.iter().map(|(known, _)| *known).collect();
        wrong(format!("cannot be `{word}`"), suggest(word, &known))
    })
}

/// Reads the path of a file.
pub(super) fn path(value: &DeValue<'_>) -> Result<PathBuf, ValueFault> {
    text(|path| match path {
        "" => wrong("is empty", "write the name of a file next to this one"),
        _ if path.contains(char::is_control) => {
            wrong("contains control characters", "write the name of a file")
        }
        _ => Ok(PathBuf::from(path)),
    })(value)
}
