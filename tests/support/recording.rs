//! The recording of `portals demo` in the documentation.

use toml::de::DeTable;

/// An asciicast: a line with its header, and one with an array for each piece of output.
const CAST: &str = include_str!("../../docs/demo.cast");

/// Returns the lines of the terminal without their colours: the command, and its output.
pub(crate) fn lines() -> Vec<String> {
    // An array of numbers and strings is the same in JSON and in TOML.
    let piece = |line: &str| {
        let table = format!("piece = {line}");
        let table = DeTable::parse(&table).unwrap();
        let piece = table.get_ref()["piece"].get_ref().as_array().unwrap();
        piece[2].get_ref().as_str().unwrap().to_owned()
    };
    let output: String = CAST.lines().skip(1).map(piece).collect();
    output.lines().map(without_colours).collect()
}

fn without_colours(line: &str) -> String {
    let mut parts = line.split("\x1b[");
    let first = parts.next().unwrap_or_default();
    let rest = parts.map(|part| part.split_once('m').expect("the code of a colour").1);
    [first].into_iter().chain(rest).collect()
}
