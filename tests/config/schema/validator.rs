//! Validator of JSON Schema (draft 07) for the keywords that the schema of the network file has. It stops at
//! any other keyword: crates that know all keywords bring some fifty others, and second versions of some.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use regex::Regex;
use toml::de::{DeTable, DeValue};

use super::json::Json;

/// Returns the faults of a TOML text, each with the path of its value.
pub(super) fn faults(schema: &Json, text: &str) -> Vec<String> {
    let root = DeTable::parse(text).unwrap_or_else(|error| panic!("{error}\n{text}")).into_inner();
    let mut found = Vec::new();
    validate(schema, &DeValue::Table(root), "", &mut found);
    found
}

fn fits(schema: &Json, value: &DeValue<'_>) -> bool {
    let mut found = Vec::new();
    validate(schema, value, "", &mut found);
    found.is_empty()
}

fn validate(schema: &Json, value: &DeValue<'_>, path: &str, found: &mut Vec<String>) {
    for (keyword, wanted) in schema.entries() {
        let fitting = || wanted.items().iter().filter(|schema| fits(schema, value)).count();
        let right = match keyword.as_str() {
            "$schema" | "title" | "description" => true,
            "type" => has_type(wanted.text(), value),
            "const" => is(wanted, value),
            "enum" => wanted.items().iter().any(|wanted| is(wanted, value)),
            "anyOf" => fitting() > 0,
            "oneOf" => fitting() == 1,
            "not" => !fits(wanted, value),
            "minimum" => number(value).is_none_or(|number| number >= wanted.number().into()),
            "maximum" => number(value).is_none_or(|number| number <= wanted.number().into()),
            "maxLength" => value.as_str().is_none_or(|text| text.chars().count() as u64 <= wanted.number()),
            "pattern" => value.as_str().is_none_or(|text| matches(wanted.text(), text)),
            "minItems" => value.as_array().is_none_or(|list| list.len() as u64 >= wanted.number()),
            "maxItems" => value.as_array().is_none_or(|list| list.len() as u64 <= wanted.number()),
            "uniqueItems" => value.as_array().is_none_or(|list| {
                let mut texts: Vec<_> = list.iter().map(|item| item.get_ref().as_str()).collect();
                texts.sort_unstable();
                texts.windows(2).all(|pair| pair[0] != pair[1])
            }),
            "items" => {
                for item in value.as_array().into_iter().flatten() {
                    validate(wanted, item.get_ref(), path, found);
                }
                true
            }
            "required" => value
                .as_table()
                .is_none_or(|table| wanted.items().iter().all(|key| table.contains_key(key.text()))),
            "propertyNames" => value.as_table().is_none_or(|table| {
                table.iter().all(|(key, _)| fits(wanted, &DeValue::String(key.get_ref().clone())))
            }),
            "dependencies" => value.as_table().is_none_or(|table| {
                let mut given = wanted.entries().iter().filter(|(key, _)| table.contains_key(key.as_str()));
                given.all(|(_, needed)| match needed {
                    Json::List(keys) => keys.iter().all(|key| table.contains_key(key.text())),
                    schema => fits(schema, value),
                })
            }),
            "properties" if schema.get("additionalProperties").is_none() => {
                properties(schema, value, path, found);
                true
            }
            // With the keyword for all other properties, which is next to these.
            "properties" | "patternProperties" => schema.get("additionalProperties").is_some(),
            "additionalProperties" => {
                properties(schema, value, path, found);
                *wanted == Json::Flag(false)
            }
            other => panic!("the validator does not know {other}"),
        };
        if !right {
            found.push(format!("{path}: {keyword} {wanted}"));
        }
    }
}

/// Validates the values of a table. A schema that says so allows no other properties than its own.
fn properties(schema: &Json, value: &DeValue<'_>, path: &str, found: &mut Vec<String>) {
    for (key, value) in value.as_table().into_iter().flatten() {
        let (key, value) = (key.get_ref().as_ref(), value.get_ref());
        let path = format!("{path}/{key}");
        let named = schema.get("properties").and_then(|properties| properties.get(key));
        let patterns = schema.get("patternProperties").map_or(&[][..], Json::entries);
        let matching = patterns.iter().find(|(pattern, _)| matches(pattern, key));
        match named.or(matching.map(|(_, schema)| schema)) {
            Some(schema) => validate(schema, value, &path, found),
            None if schema.get("additionalProperties").is_none() => {}
            None => found.push(format!("{path}: no such property")),
        }
    }
}

fn matches(pattern: &str, text: &str) -> bool {
    /// Each pattern is compiled once: that is slow without optimisation.
    static COMPILED: LazyLock<Mutex<BTreeMap<String, Regex>>> = LazyLock::new(Mutex::default);
    let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    let compiled = compiled.entry(pattern.to_owned()).or_insert_with(|| Regex::new(pattern).unwrap());
    compiled.is_match(text)
}

fn has_type(name: &str, value: &DeValue<'_>) -> bool {
    match name {
        "string" => value.is_str(),
        "integer" => value.is_integer(),
        "boolean" => value.is_bool(),
        "array" => value.is_array(),
        "object" => value.is_table(),
        other => panic!("the validator does not know the type {other}"),
    }
}

fn is(wanted: &Json, value: &DeValue<'_>) -> bool {
    match wanted {
        Json::Text(text) => value.as_str() == Some(text),
        Json::Number(wanted) => number(value) == Some((*wanted).into()),
        Json::Flag(flag) => value.as_bool() == Some(*flag),
        other => panic!("the validator does not compare {other}"),
    }
}

fn number(value: &DeValue<'_>) -> Option<i128> {
    let digits = value.as_integer()?;
    i128::from_str_radix(digits.as_str(), digits.radix()).ok()
}
