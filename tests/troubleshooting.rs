//! Page of faults, and of the words with which a command names them. The scenarios make each of these faults
//! for real. `UPDATE_GOLDEN=1 cargo test --test troubleshooting` rewrites the page.

#[path = "support/generated.rs"]
mod generated;
#[allow(dead_code, reason = "the scenarios make the faults")]
#[path = "support/troubles/mod.rs"]
mod troubles;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use troubles::{ALL, Trouble};

const HEAD: &str = "\
# Troubleshooting

`portals doctor` checks the network file, this machine and its links, and names what is wrong: `✗` is a fault,
`!` a fact to know, `-` something that could not be checked. `portals trace` follows one flow, and says where
it stops; with `--both`, it says at which of two sites. [Find a fault](diagnosis.md) leads from a symptom to a
command, and has the messages of other commands.

The tests make every fault in these tables for real, and compare the words. `⟨…⟩` stands for text that
differs, and `⋮` for more lines.
";

#[test]
fn the_page_has_the_words_of_the_table() {
    generated::compare("docs/troubleshooting.md", &page(), "troubleshooting");
}

#[test]
fn every_fault_is_there_once() {
    let mut faults = BTreeSet::new();
    for Trouble { fault, words, command, .. } in ALL.iter().flat_map(|(_, rows)| rows.iter()) {
        assert!(faults.insert(*fault), "{fault}");
        assert!(!words.is_empty() && command.starts_with("portals "), "{fault}");
    }
    assert!(faults.len() >= 40, "{} faults", faults.len());
}

fn page() -> String {
    let mut page = HEAD.to_owned();
    for (heading, rows) in ALL {
        let _ = write!(page, "\n## {heading}\n\n| fault | command | words |\n|---|---|---|\n");
        for Trouble { fault, command, words, .. } in *rows {
            let _ = writeln!(page, "| {fault} | `{command}` | {} |", cell(words));
        }
    }
    page
}

/// Returns lines as the content of a cell: code, one line below the other.
fn cell(words: &str) -> String {
    let lines = words.lines().map(|line| {
        let line = line
            .trim_start()
            .replace(" --config /run/demo/network.toml", "")
            .replace("/run/demo", "/etc/portals")
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;");
        format!("<code>{}</code>", line.replace('|', "&#124;").replace('*', "&#42;").replace('`', "&#96;"))
    });
    lines.collect::<Vec<_>>().join("<br>")
}
