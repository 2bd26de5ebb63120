//! Changes of the text of a network file that keep comments, order and all other bytes. Each change drops
//! the signature, which the new text needs anew.
//!
//! A change finds its place by the spans of the TOML tree, and reads the new text again before it returns the
//! text. A layout that a change cannot keep, such as a site in an inline table, is an error that names the
//! line.

#[cfg(test)]
mod tests;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::{Lines, Span};
use crate::base::error::{Error, Result};
use crate::signed::unsigned;

/// Sets a key of a table that has a header. `value` is TOML.
pub fn set(text: &str, table: &[&str], key: &str, value: &str) -> Result<String> {
    let text = unsigned(text);
    let root = read(text)?;
    let found = find(text, &root, table)?;
    if let Some(old) = found.entries.get(key) {
        return replaced(text, old.span(), value);
    }
    let end = line_end(text, last_entry(text, &found).unwrap_or(found.header.end));
    let above = &text[line_start(text, end)..end];
    let column = above.find('=').filter(|_| !above.starts_with('[')).unwrap_or_default();
    let width = column.saturating_sub(1);
    let newline = if text[..end].ends_with('\r') { "\r\n" } else { "\n" };
    if end == text.len() {
        return replaced(text, end..end, &format!("{newline}{key:width$} = {value}{newline}"));
    }
    replaced(text, end + 1..end + 1, &format!("{key:width$} = {value}{newline}"))
}

/// Adds a text to the list of a key, unless the list has it. A list that is missing is created.
pub fn add_to_list(text: &str, table: &[&str], key: &str, item: &str) -> Result<String> {
    let text = unsigned(text);
    let root = read(text)?;
    let found = find(text, &root, table)?;
    let Some(old) = found.entries.get(key) else { return set(text, table, key, &format!("[\"{item}\"]")) };
    let Some(items) = old.get_ref().as_array() else { return Err(unusual(text, &old.span())) };
    if items.iter().any(|known| known.get_ref().as_str() == Some(item)) {
        return Ok(text.to_owned());
    }
    let (place, separator) = match items.last() {
        Some(last) => (last.span().end, ", "),
        None => (old.span().start + 1, ""),
    };
    replaced(text, place..place, &format!("{separator}\"{item}\""))
}

/// Removes a text from the list of a key, if the list has it.
pub fn remove_from_list(text: &str, table: &[&str], key: &str, item: &str) -> Result<String> {
    let text = unsigned(text);
    let root = read(text)?;
    let found = find(text, &root, table)?;
    let list = found.entries.get(key).and_then(|old| old.get_ref().as_array());
    let is_it = |known: &&Spanned<DeValue>| known.get_ref().as_str() == Some(item);
    let Some(known) = list.and_then(|list| list.iter().find(is_it)) else { return Ok(text.to_owned()) };
    let Span { mut start, mut end } = known.span();
    let rest = text[end..].trim_start();
    if let Some(behind) = rest.strip_prefix(',') {
        end = text.len() - behind.trim_start_matches(' ').len();
    } else {
        let before = text[..start].trim_end();
        start = before.strip_suffix(',').unwrap_or(before).len();
    }
    replaced(text, start..end, "")
}

/// Appends a section, with an empty line before it.
pub fn append(text: &str, section: &str) -> String {
    let text = unsigned(text).trim_end();
    if text.is_empty() { section.to_owned() } else { format!("{text}\n\n{section}") }
}

/// Removes a table that has a header, with the tables inside it and the comments directly above them.
pub fn remove(text: &str, table: &[&str]) -> Result<String> {
    let text = unsigned(text);
    let root = read(text)?;
    find(text, &root, table)?;
    let mut blocks = Vec::new();
    let outer = walk(&root, table).expect("a table that was found");
    add_blocks(text, outer, &mut blocks)?;
    blocks.sort_unstable_by_key(|block| block.start);
    let mut kept = text.to_owned();
    for block in blocks.into_iter().rev() {
        kept.replace_range(block, "");
    }
    let kept = kept.trim_end().to_owned() + "\n";
    read(&kept).map_err(|_| unusual(text, &(0..0)))?;
    Ok(kept)
}

/// Table with a header.
struct Found<'t, 'a> {
    header: Span,
    entries: &'t DeTable<'a>,
}

fn read(text: &str) -> Result<DeTable<'_>> {
    let tree = DeTable::parse(text).map_err(|_| {
        Error::wrong("the network file is not TOML: `portals plan` names its faults; correct them first")
    })?;
    Ok(tree.into_inner())
}

fn walk<'t, 'a>(root: &'t DeTable<'a>, path: &[&str]) -> Option<&'t Spanned<DeValue<'a>>> {
    let (first, rest) = path.split_first()?;
    let value = root.get(*first)?;
    if rest.is_empty() { Some(value) } else { walk(value.get_ref().as_table()?, rest) }
}

fn find<'t, 'a>(text: &str, root: &'t DeTable<'a>, path: &[&str]) -> Result<Found<'t, 'a>> {
    let Some(value) = walk(root, path) else {
        return Err(Error::wrong(format!("the network file has no [{}]: add it first", path.join("."))));
    };
    match value.get_ref() {
        DeValue::Table(entries) if has_header(text, value) => Ok(Found { header: value.span(), entries }),
        _ => Err(unusual(text, &value.span())),
    }
}

fn has_header(text: &str, value: &Spanned<DeValue>) -> bool {
    let span = value.span();
    value.get_ref().is_table()
        && text[span.start..].starts_with('[')
        && text[line_start(text, span.start)..span.start].trim().is_empty()
}

/// Returns the end of the last entry of a table that is not a table with its own header.
fn last_entry(text: &str, found: &Found) -> Option<usize> {
    let mut last = None;
    for value in found.entries.values() {
        let span = value.span();
        let is_inner = value.get_ref().is_table() && !text[span.start..].starts_with('{');
        if !is_inner && span.start > found.header.start {
            last = last.max(Some(span.end));
        }
    }
    last
}

/// Adds the lines of a table, and those of the tables inside it.
fn add_blocks(text: &str, value: &Spanned<DeValue>, blocks: &mut Vec<Span>) -> Result<()> {
    let Some(entries) = value.get_ref().as_table() else { return Ok(()) };
    let span = value.span();
    if has_header(text, value) {
        let found = Found { header: span, entries };
        let last = last_entry(text, &found).unwrap_or(found.header.end);
        blocks.push(block(text, found.header.start, last));
    }
    for inner in entries.values() {
        let is_inner = inner.get_ref().is_table() && !text[inner.span().start..].starts_with('{');
        if is_inner {
            add_blocks(text, inner, blocks)?;
        }
    }
    Ok(())
}

/// Returns the lines from a header to its last entry, with the comments above and below that no empty line
/// parts from them, and the empty lines behind.
fn block(text: &str, header: usize, last: usize) -> Span {
    let mut start = line_start(text, header);
    while start > 0 {
        let above = line_start(text, start - 1);
        if !text[above..start].trim_start().starts_with('#') {
            break;
        }
        start = above;
    }
    let mut end = next_line(text, last);
    let mut is_behind = false;
    while end < text.len() {
        let line = text[end..next_line(text, end)].trim();
        is_behind |= line.is_empty();
        if !line.is_empty() && (is_behind || !line.starts_with('#')) {
            break;
        }
        end = next_line(text, end);
    }
    start..end
}

fn line_start(text: &str, place: usize) -> usize {
    text[..place].rfind('\n').map_or(0, |newline| newline + 1)
}

fn line_end(text: &str, place: usize) -> usize {
    text[place..].find('\n').map_or(text.len(), |newline| place + newline)
}

fn next_line(text: &str, place: usize) -> usize {
    (line_end(text, place) + 1).min(text.len())
}

fn replaced(text: &str, place: Span, with: &str) -> Result<String> {
    let mut changed = text.to_owned();
    changed.replace_range(place.clone(), with);
    read(&changed).map_err(|_| unusual(text, &place))?;
    Ok(changed)
}

fn unusual(text: &str, place: &Span) -> Error {
    let line = Lines::of(text).position(place.start).line;
    Error::wrong(format!(
        "line {line} has a layout that commands cannot change: write tables with a header such as \
         `[site.nyc]`, and lists in one line; or make this change by hand"
    ))
}
