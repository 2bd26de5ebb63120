//! Questions to the parser of the network file: its messages name the keys, types, ranges and words.

use wg_portals::config::Fault;
use wg_portals::config::parse;

/// Word that resembles no key, so that the parser names all keys.
const STRANGER: &str = "qqqqqqqqqqqqqqqqqqqqqqqq";

/// Type of a single value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Number,
    Text,
    Flag,
    Table,
}

/// Form of the value of a key: a single value, a list, or either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Single,
    List,
    SingleOrList,
}

/// Returns the faults of the lines below the header of `section`; of lines of the file itself if it is empty.
fn faults(section: &str, line: &str) -> Vec<Fault> {
    let header = if section.is_empty() { String::new() } else { format!("[{section}]") };
    let faults = parse(&format!("{header}\n{line}\n")).expect_err("most of the file is missing");
    faults.into_iter().filter(|fault| fault.at.line == 2).collect()
}

/// Reports whether the parser takes a line of `section` as it is; other parts of the file may be missing.
pub(super) fn takes(section: &str, line: &str) -> bool {
    faults(section, line).is_empty()
}

/// Reports whether a flag can only be true.
pub(super) fn is_always_true(section: &str, key: &str) -> bool {
    let faults = faults(section, &format!("{key} = false"));
    faults.iter().any(|fault| fault.message == format!("`{key}` cannot be false"))
}

/// Returns all keys that a section can have.
pub(super) fn keys(section: &str) -> Vec<String> {
    let faults = faults(section, &format!("{STRANGER} = 1"));
    quoted(&faults.iter().find(|fault| fault.message.starts_with("unknown key")).unwrap().help)
}

/// Returns the keys that a section must have.
pub(super) fn required(section: &str) -> Vec<String> {
    let label = section.rsplit('.').next().unwrap();
    let faults = parse(&format!("[{section}]\n")).unwrap_err();
    let of_section = faults.iter().filter_map(|fault| {
        let key = fault.message.split_once(" has no `")?;
        (key.0 == format!("[{section}]") || key.0 == format!("`{label}`")).then_some(key.1)
    });
    of_section.map(|key| key.trim_end_matches('`').to_owned()).collect()
}

/// Returns the keys of a portal of which it must have one.
pub(super) fn entrances() -> Vec<String> {
    let faults = parse("[site.nyc.portal.guest]\n").unwrap_err();
    let none = faults.iter().find(|fault| fault.message.ends_with("has no entrance")).unwrap();
    quoted(&none.help).into_iter().filter(|word| !word.contains('=')).collect()
}

pub(super) fn type_of(section: &str, key: &str) -> (Type, Shape) {
    // No key takes a date.
    let single = wanted(section, key, "1979-05-27");
    let item = wanted(section, key, "[1979-05-27]");
    let (words, shape) = match (single.as_str(), item) {
        ("a list", item) => (item, Shape::List),
        (_, item) if item == single => {
            let refused = faults(section, &format!("{key} = [1979-05-27]"));
            let is_list = refused.iter().any(|fault| fault.message.ends_with("not a date"));
            (single, if is_list { Shape::SingleOrList } else { Shape::Single })
        }
        (_, item) => panic!("`{key}` must be {single} and {item}"),
    };
    let kind = match words.as_str() {
        "a whole number" => Type::Number,
        "text in quotes" => Type::Text,
        "true or false" => Type::Flag,
        "a table" => Type::Table,
        other => panic!("`{key}` must be {other}"),
    };
    (kind, shape)
}

/// Returns the words of the parser on the type of a key that has a value of a wrong type.
fn wanted(section: &str, key: &str, value: &str) -> String {
    let faults = faults(section, &format!("{key} = {value}"));
    let start = format!("`{key}` must be ");
    let words = faults.iter().find_map(|fault| fault.message.strip_prefix(&start));
    words.unwrap().split(", not ").next().unwrap().to_owned()
}

/// Returns the smallest and the largest number that a key takes.
pub(super) fn range(section: &str, key: &str) -> [u64; 2] {
    let faults = faults(section, &format!("{key} = -1"));
    let words = faults.iter().find_map(|fault| fault.help.strip_prefix("write a number from ")).unwrap();
    let (first, last) = words.split_once(" to ").unwrap();
    [first, last].map(|number| number.parse().unwrap())
}

/// Returns the words that a key takes; `None` if it takes more than a few.
pub(super) fn choices(section: &str, key: &str) -> Option<Vec<String>> {
    let faults = faults(section, &format!("{key} = \"{STRANGER}\""));
    let refused = format!("`{key}` cannot be `{STRANGER}`");
    let fault = faults.iter().find(|fault| fault.message == refused)?;
    Some(quoted(fault.help.strip_prefix("write one of ")?))
}

/// Returns the words in backticks.
fn quoted(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}
