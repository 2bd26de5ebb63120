//! Changes of the text of a network file that keep comments, order and all other bytes. Each change drops
//! the signature, which the new text needs anew.
//!
//! A change finds its place by the spans of the TOML tree, and reads the new text again before it returns the
//! text. A layout that a change cannot keep, such as a site in an inline table, is an error that names the
//! line.
//!
//! A comment directly above a table or an entry belongs to it. So does a comment directly below, if an empty
//! line follows. Comments that empty lines set apart belong to nobody, and stay.

#[cfg(test)]
mod tests;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::fault::{Lines, Span};
use crate::base::error::{Error, Result};
use crate::base::json::Json;
use crate::signed::{newline, unsigned};

/// Sets a key of a table. `value` is TOML. A table gets a new key only if it has a header.
pub fn set(text: &str, table: &[&str], key: &str, value: &str) -> Result<String> {
    let text = unsigned(text);
    let root = read(text)?;
    let Some(found) = walk(&root, table) else { return Err(missing(table)) };
    let span = found.span();
    let Some(entries) = found.get_ref().as_table() else { return Err(unusual(text, span.start)) };
    if let Some((key, old)) = entries.get_key_value(key) {
        return if is_entry(key, old) {
            replaced(text, vec![old.span()], value)
        } else {
            Err(unusual(text, span.start))
        };
    }
    if !has_header(text, found) {
        return Err(unusual(text, span.start));
    }
    let mut last = span.end;
    for (key, value) in entries {
        if is_entry(key, value) {
            last = last.max(value.span().end);
        }
    }
    let end = line_end(text, last);
    let above = &text[line_start(text, end)..end];
    let column = above.find('=').filter(|_| !above.starts_with('[')).unwrap_or_default();
    let width = column.saturating_sub(1);
    let newline = newline(text);
    let lead = if end == text.len() { newline } else { "" };
    let end = next_line(text, end);
    let place = end..end;
    replaced(text, vec![place], &format!("{lead}{key:width$} = {value}{newline}"))
}

/// Adds a text to the list of a key, unless the list has it. A list that is missing is created.
pub fn add_to_list(text: &str, table: &[&str], key: &str, item: &str) -> Result<String> {
    let text = unsigned(text);
    let root = read(text)?;
    let quoted = Json::text(item);
    let Some(old) = entry(&root, table, key) else { return set(text, table, key, &format!("[{quoted}]")) };
    let Some(items) = old.get_ref().as_array() else { return Err(unusual(text, old.span().start)) };
    if items.iter().any(|known| known.get_ref().as_str() == Some(item)) {
        return Ok(text.to_owned());
    }
    let (end, separator) = match items.last() {
        Some(last) => (last.span().end, ", "),
        None => (old.span().start + 1, ""),
    };
    let place = end..end;
    replaced(text, vec![place], &format!("{separator}{quoted}"))
}

/// Removes a text from the list of a key, if the list has it. An item that has a line for itself goes with
/// the comment in this line.
pub fn remove_from_list(text: &str, table: &[&str], key: &str, item: &str) -> Result<String> {
    let text = unsigned(text);
    let root = read(text)?;
    let Some(old) = entry(&root, table, key) else { return Ok(text.to_owned()) };
    let Some(items) = old.get_ref().as_array() else { return Ok(text.to_owned()) };
    let is_it = |known: &Spanned<DeValue>| known.get_ref().as_str() == Some(item);
    let Some(index) = items.iter().position(is_it) else { return Ok(text.to_owned()) };
    let Span { mut start, mut end } = items[index].span();
    let next = items.get(index + 1).map_or(old.span().end, |next| next.span().start);
    let before = index.checked_sub(1).and_then(|last| comma(text, items[last].span().end, start));
    let behind = comma(text, end, next);
    let mut cuts = Vec::new();
    match (before, behind) {
        (Some(comma), _) if skip_blanks(text, comma + 1) == start => start = comma,
        (_, Some(comma)) if skip_blanks(text, end) == comma => end = skip_blanks(text, comma + 1),
        (_, Some(comma)) | (Some(comma), None) => cuts.push(comma..comma + 1),
        (None, None) => {}
    }
    let line = line_start(text, start);
    let is_last = matches!(text.as_bytes()[skip_blanks(text, end)], b'#' | b'\r' | b'\n');
    if is_last && skip_blanks(text, line) == start {
        (start, end) = (line, next_line(text, end));
    }
    cuts.push(start..end);
    replaced(text, cuts, "")
}

/// Appends a section, with an empty line before it. The section gets the line ends of the text.
pub fn append(text: &str, section: &str) -> String {
    let newline = newline(text);
    let mut longer = unsigned(text).trim_end().to_owned();
    if !longer.is_empty() {
        longer.push_str(newline);
        longer.push_str(newline);
    }
    for line in section.lines() {
        longer.push_str(line);
        longer.push_str(newline);
    }
    longer
}

/// Removes a table, with the tables inside it, and the comments that belong to them.
pub fn remove(text: &str, table: &[&str]) -> Result<String> {
    let text = unsigned(text);
    let root = read(text)?;
    let mut blocks = Vec::new();
    add_blocks(text, &root, table, None, &mut blocks)?;
    if blocks.is_empty() {
        return Err(missing(table));
    }
    for block in &mut blocks {
        *block = with_comments(text, block);
    }
    let mut kept = replaced(text, blocks, "")?;
    kept.truncate(kept.trim_end().len());
    kept.push_str(newline(text));
    Ok(kept)
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

fn entry<'t, 'a>(root: &'t DeTable<'a>, table: &[&str], key: &str) -> Option<&'t Spanned<DeValue<'a>>> {
    walk(root, table)?.get_ref().as_table()?.get(key)
}

/// Reports whether a value is written as `key = value`: it is no table with a header, none that only dotted
/// keys make, and no list of tables with headers. The span of such a table contains the key.
fn is_entry(key: &Spanned<DeString>, value: &Spanned<DeValue>) -> bool {
    key.span().end <= value.span().start
}

fn has_header(text: &str, table: &Spanned<DeValue>) -> bool {
    text[table.span().start..].starts_with('[')
}

/// Adds the places of all that a table contains at this path: from each header to the last entry below it,
/// and the entries that are elsewhere, because they have dotted keys. `header` is the block of the table.
fn add_blocks(
    text: &str,
    table: &DeTable,
    path: &[&str],
    header: Option<usize>,
    blocks: &mut Vec<Span>,
) -> Result<()> {
    for (key, value) in table {
        if path.first().is_some_and(|first| *first != key.get_ref()) {
            continue;
        }
        let path = path.get(1..).unwrap_or_default();
        let span = value.span();
        if is_entry(key, value) && path.is_empty() {
            match header {
                Some(header) => blocks[header].end = blocks[header].end.max(span.end),
                None => blocks.push(key.span().start..span.end),
            }
            continue;
        }
        let DeValue::Table(inner) = value.get_ref() else { return Err(unusual(text, span.start)) };
        if is_entry(key, value) {
            return Err(unusual(text, span.start));
        }
        let mut header = header;
        if path.is_empty() && has_header(text, value) {
            header = Some(blocks.len());
            blocks.push(span);
        }
        add_blocks(text, inner, path, header, blocks)?;
    }
    Ok(())
}

/// Returns the lines of a block, with its comments. If the block has empty lines before and behind it, those
/// behind belong to it.
fn with_comments(text: &str, block: &Span) -> Span {
    let mut start = line_start(text, block.start);
    let mut is_apart = true;
    while start > 0 {
        let above = line_start(text, start - 1);
        is_apart = is_empty(text, above);
        if !is_comment(text, above) {
            break;
        }
        start = above;
    }
    let mut end = next_line(text, block.end);
    let mut below = end;
    while is_comment(text, below) {
        below = next_line(text, below);
    }
    if is_empty(text, below) {
        end = below;
    }
    while is_apart && end < text.len() && is_empty(text, end) {
        end = next_line(text, end);
    }
    start..end
}

fn is_comment(text: &str, line: usize) -> bool {
    text[skip_blanks(text, line)..].starts_with('#')
}

fn is_empty(text: &str, line: usize) -> bool {
    text[line..line_end(text, line)].trim().is_empty()
}

/// Returns the place of the comma between two places of a list.
fn comma(text: &str, from: usize, to: usize) -> Option<usize> {
    let mut is_comment = false;
    for place in from..to {
        match text.as_bytes()[place] {
            b',' if !is_comment => return Some(place),
            b'#' => is_comment = true,
            b'\n' => is_comment = false,
            _ => {}
        }
    }
    None
}

/// Returns the first place that has neither a space nor a tab.
fn skip_blanks(text: &str, mut place: usize) -> usize {
    while matches!(text.as_bytes().get(place), Some(b' ' | b'\t')) {
        place += 1;
    }
    place
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

/// Puts a text in each of these places, which do not overlap.
fn replaced(text: &str, mut places: Vec<Span>, with: &str) -> Result<String> {
    let (mut changed, start) = (text.to_owned(), places[0].start);
    // From the last to the first: the places before stay valid.
    while let Some(last) = (0..places.len()).max_by_key(|index| places[*index].start) {
        changed.replace_range(places.swap_remove(last), with);
    }
    read(&changed).map_err(|_| unusual(text, start))?;
    Ok(changed)
}

fn missing(table: &[&str]) -> Error {
    Error::wrong(format!("the network file has no [{}]: add it first", table.join(".")))
}

fn unusual(text: &str, place: usize) -> Error {
    let line = Lines::of(text).position(place).line;
    Error::wrong(format!(
        "line {line} has a layout that commands cannot change: write tables with a header such as \
         `[site.nyc]`; or make this change by hand"
    ))
}
