//! Words of the documentation about the keys of the network file.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

/// Tables of keys: a section, the file, and the line before the table or its header.
pub(super) const TABLES: [(&str, &str, &str); 6] = [
    ("network", "docs/configuration.md", "## `[network]`"),
    ("site", "docs/configuration.md", "## `[site.NAME]`"),
    ("portal", "docs/configuration.md", "## `[site.NAME.portal.NAME]`"),
    ("exit", "docs/configuration.md", "## `[site.NAME.exit.NAME]`"),
    ("phone", "docs/configuration.md", "## `[phone.NAME]`"),
    ("wifi", "docs/entrances.md", "| key of `wifi` |"),
];

/// Words on tables of keys and on what is in small tables, which no table of the documentation has.
const OTHERS: [(&str, &str); 7] = [
    ("network", "The network: its name, its addresses, and what holds at all sites"),
    ("site", "The sites: `[site.NAME]`, where NAME has up to 12 of `a-z 0-9 -`"),
    ("phone", "The phones: `[phone.NAME]`; `portals phone add` writes this entry"),
    ("site portal", "The portals of this site: `[site.NAME.portal.NAME]`"),
    ("site exit", "The providers of this site: `[site.NAME.exit.NAME]`"),
    ("vlan parent", "The interface that carries the VLAN"),
    ("vlan id", "The number of the VLAN"),
];

/// Returns the rows of a table of keys: the key, its meaning, and its default.
pub(super) fn rows(file: &str, start: &str) -> Vec<[String; 3]> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let lines = text.lines().skip_while(|line| !line.starts_with(start));
    let table = lines.skip_while(|line| !line.starts_with("|---")).skip(1);
    let rows = table.take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let cells: Vec<String> = row.trim_matches('|').split(" | ").map(plain).collect();
        let key = cells[0].trim_matches('`').split(' ').next().unwrap();
        [key.to_owned(), cells[1].clone(), cells[2].clone()]
    })
    .collect()
}

/// Returns the description of a key: its meaning, and the default that it has.
pub(super) fn description(section: &str, key: &str) -> String {
    let name = [section, key].join(" ").trim().to_owned();
    if let Some((_, words)) = OTHERS.iter().find(|(other, _)| *other == name) {
        return format!("{words}.");
    }
    if section == "failover" {
        return of_failover(key);
    }
    let (_, file, start) = TABLES.iter().find(|(other, ..)| *other == section).unwrap();
    let rows = rows(file, start);
    let [_, meaning, default] = rows.iter().find(|[other, ..]| *other == key).unwrap_or_else(|| {
        panic!("{file} has no `{key}` in the table of [{section}]");
    });
    match default.as_str() {
        "" | "none" | "required" => sentence(meaning),
        default => format!("{} Default: {default}.", sentence(meaning)),
    }
}

/// Returns the words on a key of `failover`, which are in the row of `failover` itself.
fn of_failover(key: &str) -> String {
    let row = description("network", "failover");
    let start = format!("`{key}` is ");
    let words = row.split(". Default: ").next().unwrap().split("; ").find_map(|part| part.split_once(&start));
    sentence(words.unwrap_or_else(|| panic!("no `{key}` in: {row}")).1)
}

fn sentence(words: &str) -> String {
    let mut letters = words.chars();
    let first = letters.next().unwrap().to_uppercase();
    format!("{first}{}.", letters.as_str())
}

/// Returns a cell without links and emphasis.
fn plain(cell: &str) -> String {
    static LINK: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\[([^\]]*)\]\([^)]*\)").unwrap());
    LINK.replace_all(cell.trim(), "$1").replace('*', "")
}
