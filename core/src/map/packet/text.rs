//! Way of a packet as text for a terminal of 80 columns.

use super::PacketPath;
use crate::base::text::push_all;
use crate::map::fill;

/// Column of the places, and of the rules.
const PLACE: usize = 14;
const RULE: usize = 16;

const WIDTH: usize = 80;

/// Indentation of further parts of a rule.
const INDENT: &str = "    ";

/// Returns the way from top to bottom: on the left the hooks, beside them the places with their rules.
pub fn text(path: &PacketPath) -> String {
    let mut text = [&path.title, "\n\n"].concat();
    let mut hook = "";
    for stage in &path.stages {
        let is_first = stage.hook != hook;
        if is_first && !hook.is_empty() {
            text.push_str("     ▼\n");
        }
        hook = stage.hook;
        let mut line = (if is_first { hook } else { "     │" }).to_owned();
        fill(&mut line, PLACE, ' ');
        let name = stage.kind.0;
        let gap = if name.is_empty() { "" } else { " " };
        push_all(&mut text, &[&line, name, gap, &stage.place, "\n"]);
        for line in wrapped(&stage.lines, WIDTH - RULE - INDENT.len()) {
            push_all(&mut text, &["     │          ", &line, "\n"]);
        }
    }
    text
}

/// Returns lines in parts of at most `width` characters, divided at blanks. Further parts are indented.
pub(super) fn wrapped(lines: &str, width: usize) -> Vec<String> {
    let mut parts = Vec::new();
    for line in lines.lines() {
        let words = line.trim_start();
        let mut part = line[..line.len() - words.len()].to_owned();
        let mut room = width;
        for word in words.split(' ') {
            if part.len() + word.len() >= room {
                parts.push(part);
                part = String::from(INDENT);
                room = width + INDENT.len();
            } else if !part.trim_start().is_empty() {
                part.push(' ');
            }
            part.push_str(word);
        }
        parts.push(part);
    }
    parts
}
