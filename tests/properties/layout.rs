//! Network files as people write them: with comments, lists over several lines, dotted keys instead of
//! headers, and line ends of other systems. Each comment names its owner, the part of the file with which it
//! goes.

use std::fmt;

use proptest::prelude::*;

use super::draft::texts;

/// Random numbers, drawn in advance.
#[derive(Clone)]
pub(crate) struct Draws {
    bytes: Vec<u8>,
    place: usize,
}

/// The file that they lead to tells more than the numbers.
impl fmt::Debug for Draws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl Draws {
    /// Returns a number below `limit`, and starts again behind the last one.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.place += 1;
        usize::from(self.bytes[self.place % self.bytes.len()]) % limit
    }

    fn is_chosen(&mut self) -> bool {
        self.below(4) == 0
    }
}

pub(crate) fn draws() -> impl Strategy<Value = Draws> {
    // No power of two: the numbers repeat at other places.
    prop::collection::vec(any::<u8>(), 251).prop_map(|bytes| Draws { bytes, place: 0 })
}

/// Network files in two layouts: with one header for each table, and as a person may write them.
pub(crate) fn layouts() -> impl Strategy<Value = (String, String)> {
    (texts(), draws()).prop_map(|(text, mut draws)| {
        let style = Style::ALL[draws.below(Style::ALL.len())];
        let tables = arranged(&text, style, &mut draws);
        let mut writer = Writer { draws, text: String::new(), comments: 0 };
        for table in &tables {
            writer.table(table);
        }
        let mut written = writer.text;
        if writer.draws.is_chosen() {
            written.truncate(written.trim_end().len());
        }
        if writer.draws.below(2) == 0 {
            written = written.replace('\n', "\r\n");
        }
        (text, written)
    })
}

/// Owner of a comment in such a file; empty if the comment has none. A question mark follows the header that
/// a loose comment is under: entries below it may go before their table, and then it belongs to nobody.
pub(crate) fn owner(comment: &str) -> &str {
    comment.split(' ').nth(2).expect("a comment of ours")
}

/// Owner of comments next to an item that has a line for itself.
pub(crate) fn owner_of_item(entry: &str, item: &str) -> String {
    format!("{entry}|{}", item.trim_matches('"').replace(' ', "_"))
}

/// Tables that have a header.
#[derive(Debug, Clone, Copy)]
enum Style {
    All,
    /// Sites, but not all tables in them.
    Sites,
    /// All sites together.
    Kinds,
    None,
}

impl Style {
    const ALL: [Self; 4] = [Self::All, Self::Sites, Self::Kinds, Self::None];
}

/// Table with one header, which is empty for keys before the first header.
struct Table {
    header: String,
    entries: Vec<Entry>,
}

struct Entry {
    /// Path from the root of the file.
    path: String,
    value: String,
}

fn arranged(text: &str, style: Style, draws: &mut Draws) -> Vec<Table> {
    let (mut tables, mut path, mut header) = (Vec::<Table>::new(), "", String::new());
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some((key, value)) = line.split_once(" = ") {
            let table = tables.iter_mut().find(|table| table.header == header).unwrap();
            table.entries.push(Entry { path: format!("{path}.{key}"), value: value.to_owned() });
            continue;
        }
        path = line.trim_matches(['[', ']']);
        let depth = match style {
            Style::Sites if draws.below(2) == 0 => 2,
            Style::All | Style::Sites => 4,
            Style::Kinds => 1,
            Style::None => 0,
        };
        header = path.split('.').take(depth).collect::<Vec<_>>().join(".");
        if tables.iter().all(|table| table.header != header) {
            tables.push(Table { header: header.clone(), entries: Vec::new() });
        }
    }
    tables
}

struct Writer {
    draws: Draws,
    text: String,
    comments: usize,
}

impl Writer {
    fn table(&mut self, table: &Table) {
        if self.draws.is_chosen() {
            self.loose_comment("");
        }
        if !self.draws.is_chosen() {
            self.text += "\n";
        }
        let header = table.header.as_str();
        if !header.is_empty() {
            self.comment_above(header);
            self.put(&format!("[{header}]"));
            self.end_of_line(header);
        }
        for (number, entry) in table.entries.iter().enumerate() {
            if number > 0 && self.draws.below(16) == 0 {
                self.loose_comment(&format!("{header}?"));
            }
            self.comment_above(&entry.path);
            self.entry(header, entry);
        }
        if self.draws.is_chosen() {
            let last = table.entries.last().map_or(header, |entry| &entry.path);
            self.comment(last);
            self.text += "\n\n";
        }
    }

    fn entry(&mut self, header: &str, Entry { path, value }: &Entry) {
        let indent = ["", "  "][self.draws.below(2)];
        let key = path.strip_prefix(header).unwrap().trim_start_matches('.');
        self.put(&format!("{indent}{key:11} = "));
        match value.strip_prefix('[').and_then(|list| list.strip_suffix(']')) {
            Some(list) => {
                self.list(path, &list.split(", ").filter(|item| !item.is_empty()).collect::<Vec<_>>());
            }
            None => self.text += value,
        }
        self.end_of_line(path);
    }

    fn list(&mut self, path: &str, items: &[&str]) {
        match self.draws.below(4) {
            0 => {
                self.text += "[\n";
                for (number, item) in items.iter().enumerate() {
                    self.comment_above(path);
                    let is_last = number + 1 == items.len();
                    let comma = if is_last && self.draws.below(2) == 0 { "" } else { "," };
                    self.put(&format!("\t{item}{comma}"));
                    self.end_of_line(&owner_of_item(path, item));
                }
                self.comment_above(path);
            }
            1 => {
                self.text += "[\n";
                for (number, item) in items.iter().enumerate() {
                    self.put(&format!("  {}{item}", if number > 0 { ", " } else { "" }));
                    self.end_of_line(&owner_of_item(path, item));
                }
            }
            2 => {
                self.text += "[ ";
                for (number, item) in items.iter().enumerate() {
                    self.put(&format!("{item}{}", if number + 1 < items.len() { ", " } else { " " }));
                    if number == 0 {
                        self.end_of_line(path);
                    }
                }
            }
            _ => self.put(&format!("[{}", items.join(", "))),
        }
        self.text += "]";
    }

    fn put(&mut self, text: &str) {
        self.text.push_str(text);
    }

    fn loose_comment(&mut self, owner: &str) {
        self.text += "\n";
        self.comment(owner);
        self.text += "\n\n";
    }

    fn comment_above(&mut self, owner: &str) {
        if self.draws.is_chosen() {
            self.comment(owner);
            self.text += "\n";
        }
    }

    fn end_of_line(&mut self, owner: &str) {
        if self.draws.is_chosen() {
            self.text += " ";
            self.comment(owner);
        }
        self.text += "\n";
    }

    fn comment(&mut self, owner: &str) {
        self.comments += 1;
        self.put(&format!("# {}, {owner} \", [#] =", self.comments));
    }
}
