//! Map as text for a terminal of 80 columns.

use super::model::{Map, MapLink, Row, hops};
use super::{cut, fill};
use crate::base::text::push_all;

/// Width of a box without its borders.
const INNER: usize = 76;

/// Longest text in the column for what enters; a longer one gets its own line.
const ENTRANCE: usize = 18;

/// Returns the map: a box for each site, and below each box the links to the sites that come after it.
pub fn text(map: &Map) -> String {
    let mut text = [&map.heading, "\n"].concat();
    for (at, site) in map.sites.iter().enumerate() {
        let own = if map.own == Some(at) { " (this site) " } else { " " };
        let mut line = ["┌─ ", site.name, own].concat();
        let mut place = site.place.clone();
        cut(&mut place, 40);
        fill(&mut line, INNER - width(&place), '─');
        push_all(&mut text, &["\n", &line, " ", &place, " ─┐\n"]);
        add_rows(&mut text, &site.rows);
        let links = link_lines(map, at);
        line.clear();
        line.push_str(if links.is_empty() { "└" } else { "└──┬" });
        fill(&mut line, INNER + 3, '─');
        push_all(&mut text, &[&line, "┘\n"]);
        for (number, line) in links.iter().enumerate() {
            let branch = if number + 1 < links.len() { "   ├" } else { "   └" };
            push_all(&mut text, &[branch, line, "\n"]);
        }
    }
    if !map.links.is_empty() {
        let has_exits = map.links.iter().any(|link| link.exits != [false, false]);
        let exits = if has_exits { "━━▶ leads to an exit   " } else { "" };
        push_all(&mut text, &["\n", exits, "━━━ access only\n"]);
    }
    text
}

/// Adds the lines of rows: a column with the names, then one for what enters, and a line for each way.
fn add_rows(text: &mut String, rows: &[Row]) {
    let (mut name, mut entrance) = (0, 0);
    for row in rows {
        name = name.max(width(row.name));
        if !row.exits.is_empty() {
            entrance = entrance.max(width(&row.entrance).min(ENTRANCE));
        }
    }
    let indent = name + 2 + entrance;
    for row in rows {
        let mut line = row.name.to_owned();
        fill(&mut line, name + 2, ' ');
        line.push_str(&row.entrance);
        if row.exits.is_empty() || width(&row.entrance) > entrance {
            add_line(text, &mut line);
        }
        for (at, exit) in row.exits.iter().enumerate() {
            fill(&mut line, indent, ' ');
            line.push_str(if at > 0 { " else" } else { "     " });
            for name in hops(exit) {
                push_all(&mut line, &[" ━▶ ", name]);
            }
            line.push_str(" ━▶ internet");
            if at == row.used && !row.state.is_empty() {
                push_all(&mut line, &[" (", row.state, ")"]);
            }
            add_line(text, &mut line);
        }
    }
}

/// Moves a line into the text, between the borders of a box.
fn add_line(text: &mut String, line: &mut String) {
    cut(line, INNER);
    fill(line, INNER, ' ');
    push_all(text, &["│ ", line, " │\n"]);
    line.clear();
}

/// Returns the lines of the links from a site to the sites after it. Links that look the same share a line.
fn link_lines(map: &Map, at: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for (number, link) in map.links.iter().enumerate() {
        let looks_same =
            |other: &MapLink| other.ends[0] == at && other.exits == link.exits && other.state == link.state;
        if link.ends[0] != at || map.links[..number].iter().any(looks_same) {
            continue;
        }
        let start = match link.exits {
            [false, false] => "━━━ ",
            [false, true] => "━━▶ ",
            [true, false] => "◀━━ ",
            [true, true] => "◀━▶ ",
        };
        let mut line = String::from(start);
        for other in &map.links[number..] {
            if !looks_same(other) {
                continue;
            }
            let name = map.sites[other.ends[1]].name;
            if other.ends != link.ends {
                line.push(',');
            }
            if width(&line) + width(name) > INNER - 4 {
                lines.push(line);
                line = String::from(start);
            }
            push_all(&mut line, &[" ", name]);
        }
        if !link.state.is_empty() {
            push_all(&mut line, &["  ", &link.state]);
        }
        lines.push(line);
    }
    lines
}

fn width(text: &str) -> usize {
    text.chars().count()
}
