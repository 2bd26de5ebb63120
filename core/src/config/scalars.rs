//! Readers of single values.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use toml::de::DeValue;

use super::reader::{ValueFault, ValueType, wrong};
use super::suggest::suggest;

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
            format_args!("cannot be {digits}"),
            format_args!("write a number from {} to {}", range.start(), range.end()),
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
        let known: Vec<&str> = words.iter().map(|(known, _)| *known).collect();
        Ok(words[index(word, &known)?].1)
    })
}

fn index(word: &str, known: &[&str]) -> Result<usize, ValueFault> {
    match known.iter().position(|known| *known == word) {
        Some(index) => Ok(index),
        None => wrong(format_args!("cannot be `{word}`"), suggest(word, known)),
    }
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
