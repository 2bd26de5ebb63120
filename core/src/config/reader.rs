//! Typed getters for the TOML tree. The getters record every fault and leave the faulty value out.

use std::fmt::Arguments;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::{At, FaultWords, Findings, Span, Words};
use super::suggest::suggest;
use crate::base::sorted::order;

/// The fault of a single value.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ValueFault {
    /// The value must be of this type.
    Type(ValueType),
    /// Words with a message as it follows the key in a sentence ("has host bits set").
    Value(FaultWords),
    /// The list has the value already.
    Second,
}

/// Shape of what a key takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// One value, which must be there.
    Required,
    Single,
    List,
    SingleOrList,
}

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
pub(super) fn wrong<T>(message: impl Words, help: impl Words) -> Result<T, ValueFault> {
    Err(ValueFault::Value(FaultWords::new(message, help)))
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
            found.add(&key.span(), format_args!("unknown key `{}` in {}", key.get_ref(), self.label), help);
        }
        all
    }

    /// Records a fault if `key` is missing.
    pub(super) fn must_have(&self, key: &str, example: &str, found: &mut Findings) {
        if !self.has(key) {
            found.add(
                &self.span,
                format_args!("{} has no `{key}`", self.label),
                format_args!("add `{key} = {example}`"),
            );
        }
    }

    /// Records a fault if `key` is an empty list.
    pub(super) fn must_list(&self, key: &str, example: &str, found: &mut Findings) {
        let Some(value) = self.table.get(key) else { return };
        if value.get_ref().as_array().is_some_and(|list| list.is_empty()) {
            found.add(
                &value.span(),
                format_args!("`{key}` is an empty list"),
                format_args!("write `{key} = [{example}]`"),
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
        self.single(key, example, Shape::Required, read, found)
    }

    /// Returns the value of `key`, read by `read`, if the section has it. `example` is a valid value in TOML.
    pub(super) fn optional<T>(
        &self,
        key: &str,
        example: &str,
        read: &Read<T>,
        found: &mut Findings,
    ) -> Option<At<T>> {
        self.single(key, example, Shape::Single, read, found)
    }

    fn single<T>(
        &self,
        key: &str,
        example: &str,
        shape: Shape,
        read: &Read<T>,
        found: &mut Findings,
    ) -> Option<At<T>> {
        let mut taken = None;
        let mut take = |value: &Spanned<DeValue<'_>>| {
            taken = Some(At { value: read(value.get_ref())?, span: value.span() });
            Ok(())
        };
        self.each_value(key, example, shape, &mut take, found);
        taken
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
        self.values(key, example, Shape::List, read, found)
    }

    /// Returns the values of `key` as [`Self::list`] does; a single value may replace a list of one.
    pub(super) fn one_or_list<T: PartialEq>(
        &self,
        key: &str,
        example: &str,
        read: &Read<T>,
        found: &mut Findings,
    ) -> Vec<At<T>> {
        self.values(key, example, Shape::SingleOrList, read, found)
    }

    fn values<T: PartialEq>(
        &self,
        key: &str,
        example: &str,
        shape: Shape,
        read: &Read<T>,
        found: &mut Findings,
    ) -> Vec<At<T>> {
        let mut list: Vec<At<T>> = Vec::new();
        let mut take = |item: &Spanned<DeValue<'_>>| {
            let value = read(item.get_ref())?;
            if list.iter().any(|earlier| earlier.value == value) {
                return Err(ValueFault::Second);
            }
            list.push(At { value, span: item.span() });
            Ok(())
        };
        self.each_value(key, example, shape, &mut take, found);
        list
    }

    /// Passes each value of `key` to `take`, and records the faults that `take` returns.
    fn each_value(
        &self,
        key: &str,
        example: &str,
        shape: Shape,
        take: &mut dyn FnMut(&Spanned<DeValue<'_>>) -> Result<(), ValueFault>,
        found: &mut Findings,
    ) {
        if shape == Shape::Required {
            self.must_have(key, example, found);
        }
        let Some(value) = self.table.get(key) else { return };
        match value.get_ref() {
            DeValue::Array(array) if matches!(shape, Shape::List | Shape::SingleOrList) => {
                for item in array {
                    if let Err(fault) = take(item) {
                        record(fault, key, format_args!("write `{key} = [{example}]`"), item, found);
                    }
                }
            }
            _ if shape == Shape::List => {
                refuse_single(key, example, value, found);
                // The meaning is clear all the same, and other parts of the file may refer to this value.
                let _ = take(value);
            }
            _ => {
                if let Err(fault) = take(value) {
                    record(fault, key, format_args!("write `{key} = {example}`"), value, found);
                }
            }
        }
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
        read: fn(At<String>, &Section<'a>, &mut Findings) -> T,
        found: &mut Findings,
    ) -> Vec<T> {
        let mut all = Vec::new();
        self.each_section(
            key,
            example,
            &mut |name, section, found| all.push(read(name, section, found)),
            found,
        );
        all
    }

    /// Passes the tables inside the table `key` to `read`, as [`Self::each`] does, with their names.
    fn each_section(
        &self,
        key: &str,
        example: &str,
        read: &mut dyn FnMut(At<String>, &Section<'a>, &mut Findings),
        found: &mut Findings,
    ) {
        let Some(value) = self.table.get(key) else { return };
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
        let Some(outer) = section(format!("[{path}]"), key, value, &help, found) else { return };
        let entries: Vec<_> = outer.table.iter().collect();
        let places: Vec<_> = entries.iter().map(|(name, _)| (name.span().start, 0)).collect();
        for at in order(&places) {
            let (name, value) = entries[at];
            let name = At { value: name.get_ref().to_string(), span: name.span() };
            let label = format!("[{path}.{}]", name.value);
            let help = match value.get_ref() {
                DeValue::Array(_) => format!("write `{label}`, with single brackets"),
                _ => help.clone(),
            };
            if let Some(section) = section(label, &name.value, value, &help, found) {
                read(name, &section, found);
            }
        }
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
            found.add(&value.span(), format_args!("`{key}` must be a table, not {}", kind(other)), help);
            None
        }
    }
}

/// Records a fault: a single value where a list must be.
fn refuse_single(key: &str, example: &str, value: &Spanned<DeValue<'_>>, found: &mut Findings) {
    let help = match value.get_ref() {
        DeValue::String(text) => format!("write `{key} = [\"{text}\"]`"),
        _ => format!("write `{key} = [{example}]`"),
    };
    found.add(&value.span(), format_args!("`{key}` must be a list, not {}", kind(value.get_ref())), help);
}

/// Records the fault of a value. `help` names the right form of a value of the wrong type.
fn record(
    wrong: ValueFault,
    key: &str,
    help: Arguments<'_>,
    value: &Spanned<DeValue<'_>>,
    found: &mut Findings,
) {
    let span = &value.span();
    match wrong {
        ValueFault::Value(words) => {
            found.add(span, format_args!("`{key}` {}", words.message()), words.help());
        }
        ValueFault::Second => {
            found.add(span, format_args!("`{key}` lists this value twice"), "remove one of the two");
        }
        ValueFault::Type(wanted) => {
            let message = format_args!("`{key}` must be {}, not {}", wanted.words(), kind(value.get_ref()));
            match wanted.requoted(value.get_ref()) {
                Some(right) => found.add(span, message, format_args!("write `{right}`")),
                None => found.add(span, message, help),
            }
        }
    }
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
