//! Properties of edits of the network file: each does to the text just what it does to the content.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use wg_portals::base::error::Result;
use wg_portals::base::net::Secret;
use wg_portals::config::edit;
use wg_portals::signed::sign;

use super::draft::NAMES;
use super::layout::{Draws, draws, layouts, owner, owner_of_item};

/// Values of a file by their paths.
type Content = BTreeMap<String, Value>;

#[derive(Debug, Clone, PartialEq)]
enum Value {
    Single(String),
    List(Vec<String>),
}

fn content(text: &str) -> Content {
    let root = DeTable::parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let mut content = Content::new();
    add_content(root.get_ref(), "", &mut content);
    content
}

fn add_content(table: &DeTable, path: &str, content: &mut Content) {
    for (key, value) in table {
        let path = format!("{path}{}", key.get_ref());
        let value = match value.get_ref() {
            DeValue::Table(inner) => {
                add_content(inner, &format!("{path}."), content);
                continue;
            }
            DeValue::Array(list) => Value::List(list.iter().map(written).collect()),
            _ => Value::Single(written(value)),
        };
        content.insert(path, value);
    }
}

fn written(value: &Spanned<DeValue>) -> String {
    match value.get_ref() {
        DeValue::String(text) => format!("{text:?}"),
        DeValue::Integer(number) => number.as_str().to_owned(),
        DeValue::Boolean(flag) => flag.to_string(),
        other => panic!("{other:?}"),
    }
}

/// Paths of all tables that an edit may be about.
fn tables(content: &Content) -> Vec<String> {
    let mut tables = BTreeSet::new();
    for path in content.keys() {
        let parts: Vec<&str> = path.split('.').collect();
        tables.insert(parts[..parts.len().min(3) - 1].join("."));
        tables.insert(parts[..parts.len() - 1].join("."));
    }
    tables.into_iter().collect()
}

/// Edit of a table, and of one of its keys.
#[derive(Debug)]
struct Edit {
    table: String,
    key: &'static str,
    change: Change,
}

#[derive(Debug)]
enum Change {
    Set(usize),
    Add(String),
    RemoveItem(String),
    Append(String),
    Remove,
}

impl Edit {
    fn drawn(draws: &mut Draws, content: &Content, number: usize) -> Self {
        let mut tables = tables(content);
        let site = format!("site.new-{number}");
        let section = format!("[{site}]\nid = 9\n\n[{site}.portal.a]\nexit = [\"b\"]\n");
        if tables.is_empty() {
            return Self { table: site, key: "", change: Change::Append(section) };
        }
        let table = tables.swap_remove(draws.below(tables.len()));
        let key = ["exits", "links", "lan", "exit", "from"][draws.below(5)];
        let others = ["odd\", #]\\\n\r\u{7f}", "172.20.0.0/28", "192.168.1.0/24"];
        let items = [&NAMES[..], &others[..]].concat();
        let item = items[draws.below(items.len())].to_owned();
        let path = format!("{table}.{key}");
        let is_list = match content.get(&path) {
            None => !content.keys().any(|other| other.starts_with(&path)),
            Some(value) => matches!(value, Value::List(_)),
        };
        let change = match draws.below(5) {
            0 => Change::Append(section),
            1 => Change::Remove,
            2 if is_list => Change::Add(item),
            3 if is_list => Change::RemoveItem(item),
            _ => return Self { table, key: ["id", "port"][draws.below(2)], change: Change::Set(number) },
        };
        Self { table, key, change }
    }

    fn path(&self) -> String {
        format!("{}.{}", self.table, self.key)
    }

    fn of_text(&self, text: &str) -> Result<String> {
        let table: Vec<&str> = self.table.split('.').collect();
        match &self.change {
            Change::Set(value) => edit::set(text, &table, self.key, &value.to_string()),
            Change::Add(item) => edit::add_to_list(text, &table, self.key, item),
            Change::RemoveItem(item) => edit::remove_from_list(text, &table, self.key, item),
            Change::Append(section) => Ok(edit::append(text, section)),
            Change::Remove => edit::remove(text, &table),
        }
    }

    fn of_content(&self, content: &mut Content) {
        match &self.change {
            Change::Set(value) => {
                content.insert(self.path(), Value::Single(value.to_string()));
            }
            Change::Add(item) => {
                let list = content.entry(self.path()).or_insert_with(|| Value::List(Vec::new()));
                let Value::List(list) = list else { panic!("no list: {list:?}") };
                if !list.contains(&format!("{item:?}")) {
                    list.push(format!("{item:?}"));
                }
            }
            Change::RemoveItem(item) => {
                if let Some(Value::List(list)) = content.get_mut(&self.path()) {
                    list.retain(|known| *known != format!("{item:?}"));
                }
            }
            Change::Append(section) => content.extend(self::content(section)),
            Change::Remove => content.retain(|path, _| !path.starts_with(&format!("{}.", self.table))),
        }
    }

    /// Reports whether the file has no place for the change: a new key in a table without a header.
    fn is_refused(&self, text: &str, content: &Content) -> bool {
        let header = format!("[{}]", self.table);
        matches!(self.change, Change::Set(_) | Change::Add(_))
            && !content.contains_key(&self.path())
            && !text.lines().any(|line| line.starts_with(&header))
    }

    /// Reports whether a comment with this owner goes.
    fn takes(&self, owner: &str) -> bool {
        let owner = owner.trim_end_matches('?');
        match &self.change {
            Change::Remove => format!("{owner}.").starts_with(&format!("{}.", self.table)),
            Change::RemoveItem(item) => owner == owner_of_item(&self.path(), item),
            Change::Set(_) | Change::Add(_) | Change::Append(_) => false,
        }
    }
}

/// Comments of a file in their order.
fn comments(text: &str) -> Vec<&str> {
    let ours = text.lines().filter(|line| line.ends_with("[#] ="));
    ours.map(|line| &line[line.find("# ").unwrap()..]).collect()
}

fn has_uniform_ends(text: &str) -> bool {
    let returns = text.matches('\r').count();
    returns == text.matches("\r\n").count() && (returns == 0 || returns == text.matches('\n').count())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_edit_changes_the_text_as_it_changes_the_content(
        (plain, mut text) in layouts(),
        mut draws in draws(),
        is_signed: bool,
    ) {
        let mut content = content(&text);
        prop_assert_eq!(&content, &self::content(&plain));
        if is_signed {
            text = sign(&text, &Secret::new([7; 32]));
        }
        for number in 1..12 {
            let edit = Edit::drawn(&mut draws, &content, number);
            let result = edit.of_text(&text);
            if edit.is_refused(&text, &content) {
                prop_assert!(result.unwrap_err().to_string().contains("by hand"));
                continue;
            }
            let after = result.unwrap_or_else(|error| panic!("{edit:?}: {error}\n{text}"));
            edit.of_content(&mut content);
            prop_assert_eq!(&self::content(&after), &content, "{:?}\n{}\n{}", edit, text, after);
            prop_assert!(has_uniform_ends(&after), "{edit:?}: {after:?}");
            prop_assert!(!after.contains("# signature"));
            let left = comments(&after);
            let mut kept = comments(&text);
            // An item leaves its comment behind if its line has got other items.
            let is_whole = matches!(edit.change, Change::Remove);
            let may_stay = |one: &&str| !is_whole || owner(one).ends_with('?');
            kept.retain(|one| !edit.takes(owner(one)) || may_stay(one) && left.contains(one));
            prop_assert_eq!(kept, left, "{:?}\n{}\n{}", edit, text, after);
            text = after;
        }
    }
}
