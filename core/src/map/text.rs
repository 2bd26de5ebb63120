//! Map as text for a terminal of 80 columns.

use super::cut;
use super::model::{Map, MapLink, MapSite, Row};

/// Width of a box without its borders.
const INNER: usize = 76;

/// Longest text in the column for what enters; a longer one gets its own line.
const ENTRANCE: usize = 18;

/// Returns the map: a box for each site, and below each box the links to the sites that come after it.
pub fn text(map: &Map) -> String {
    let mut text = [map.heading.as_str(), "\n"].concat();
    let mut has_exits = false;
    for (at, site) in map.sites.iter().enumerate() {
        let links = link_lines(map, at, &mut has_exits);
        add_box(&mut text, site, !links.is_empty());
        for (number, line) in links.iter().enumerate() {
            text.push_str(if number + 1 < links.len() { "   ├" } else { "   └" });
            text.push_str(line);
            text.push('\n');
        }
    }
    if !map.links.is_empty() {
        text.push_str(if has_exits { "\n━━▶ leads to an exit" } else { "\n" });
        text.push_str(if has_exits { "   ━━━ access only\n" } else { "━━━ access only\n" });
    }
    text
}

fn add_box(text: &mut String, site: &MapSite, has_links: bool) {
    let own = if site.is_own { "(this site) " } else { "" };
    let title = ["─ ", &site.name, " ", own].concat();
    let place = [" ", &cut(&site.place, 40), " ─"].concat();
    text.push_str("\n┌");
    text.push_str(&title);
    text.push_str(&"─".repeat(INNER + 2 - width(&title) - width(&place)));
    text.push_str(&place);
    text.push_str("┐\n");
    let (mut name, mut entrance) = (0, 0);
    for row in &site.rows {
        name = name.max(width(&row.name));
        entrance = entrance.max(if row.ways.is_empty() { 0 } else { width(&row.entrance).min(ENTRANCE) });
    }
    for row in &site.rows {
        add_row(text, row, [name, entrance]);
    }
    text.push_str(if has_links { "└──┬" } else { "└───" });
    text.push_str(&"─".repeat(INNER - 1));
    text.push_str("┘\n");
}

/// Adds the lines of a row, with columns of these widths: the first with its name and what enters, then a
/// line for each way.
fn add_row(text: &mut String, row: &Row, [name, entrance]: [usize; 2]) {
    let mut start = padded(&row.name, name + 2);
    start.push_str(&padded(&row.entrance, entrance));
    let indent = " ".repeat(name + 2 + entrance);
    if width(&row.entrance) > entrance && !row.ways.is_empty() {
        add_line(text, &start);
        start.clone_from(&indent);
    }
    if row.ways.is_empty() {
        add_line(text, &start);
    }
    for (at, way) in row.ways.iter().enumerate() {
        start.push_str(if at > 0 { " else" } else { "     " });
        for name in way {
            start.push_str(" ━▶ ");
            start.push_str(name);
        }
        start.push_str(" ━▶ internet");
        if at == row.used && !row.state.is_empty() {
            start.push_str(&[" (", row.state, ")"].concat());
        }
        add_line(text, &start);
        start.clone_from(&indent);
    }
}

fn add_line(text: &mut String, line: &str) {
    text.push_str("│ ");
    text.push_str(&padded(&cut(line, INNER), INNER));
    text.push_str(" │\n");
}

/// Returns the lines of the links from a site to the sites after it. Links that look the same share a line.
fn link_lines(map: &Map, at: usize, has_exits: &mut bool) -> Vec<String> {
    let mut groups: Vec<(&'static str, &str, Vec<&str>)> = Vec::new();
    for link in map.links.iter().filter(|link| link.ends[0] == at) {
        let words = link.state.as_ref().map_or("", |state| state.words.as_str());
        let (arrow, name) = (arrow(link), map.sites[link.ends[1]].name.as_str());
        *has_exits |= link.exits != [false, false];
        match groups.iter_mut().find(|(other, state, _)| *other == arrow && *state == words) {
            Some((.., names)) => names.push(name),
            None => groups.push((arrow, words, vec![name])),
        }
    }
    let mut lines = Vec::new();
    for (arrow, words, names) in groups {
        let mut line = [arrow, " "].concat();
        for (at, name) in names.iter().enumerate() {
            let comma = if at + 1 < names.len() { "," } else { "" };
            if width(&line) + width(name) > INNER - 4 {
                lines.push(line);
                line = [arrow, " "].concat();
            }
            line.push_str(&[" ", name, comma].concat());
        }
        if !words.is_empty() {
            line.push_str(&["  ", words].concat());
        }
        lines.push(line);
    }
    lines
}

fn arrow(link: &MapLink) -> &'static str {
    match link.exits {
        [false, false] => "━━━",
        [false, true] => "━━▶",
        [true, false] => "◀━━",
        [true, true] => "◀━▶",
    }
}

fn width(text: &str) -> usize {
    text.chars().count()
}

fn padded(text: &str, to: usize) -> String {
    let mut text = text.to_owned();
    text.push_str(&" ".repeat(to.saturating_sub(width(&text))));
    text
}
