//! Way of a packet as text for a terminal of 80 columns.

use super::PacketPath;

/// Column of the places, and of the rules.
const PLACE: usize = 14;
const RULE: usize = 16;

const WIDTH: usize = 80;

/// Returns the way from top to bottom: on the left the hooks, beside them the places with their rules.
pub fn text(path: &PacketPath) -> String {
    let mut text = [path.title.as_str(), "\n\n"].concat();
    let mut hook = "";
    for stage in &path.stages {
        let is_first = stage.hook != hook;
        if is_first && !hook.is_empty() {
            text.push_str("     ▼\n");
        }
        hook = stage.hook;
        let mut line = if is_first { hook.to_owned() } else { "     │".to_owned() };
        line.push_str(&" ".repeat(PLACE - line.chars().count()));
        let (bold, plain) = stage.words();
        line.push_str(&[bold, " ", plain].concat());
        text.push_str(line.trim_end());
        text.push('\n');
        for rule in &stage.lines {
            for (at, part) in wrapped(rule, WIDTH - RULE - 4).iter().enumerate() {
                text.push_str("     │");
                text.push_str(&" ".repeat(RULE - 6 + if at > 0 { 4 } else { 0 }));
                text.push_str(part);
                text.push('\n');
            }
        }
    }
    text
}

/// Returns a line in parts of at most `width` characters, divided at blanks.
pub(super) fn wrapped(line: &str, width: usize) -> Vec<String> {
    let mut parts = Vec::new();
    let start = line.len() - line.trim_start().len();
    let mut part = line[..start].to_owned();
    for word in line.split_whitespace() {
        if part.len() > start && part.len() + 1 + word.len() > width {
            parts.push(part);
            part = String::new();
        }
        if !part.trim_start().is_empty() {
            part.push(' ');
        }
        part.push_str(word);
    }
    parts.push(part);
    parts
}
