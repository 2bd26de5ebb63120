//! Man pages: portals(8) is generated from the command line, portals.toml(5) from docs/configuration.md.
//! `UPDATE_GOLDEN=1 cargo test --test manual` rewrites both.

mod commands;
#[path = "../support/generated.rs"]
mod generated;
mod network_file;
mod roff;

use wg_portals::cli::{CLI, CommandLine};

#[test]
fn the_man_page_matches_the_command_line() {
    generated::compare("docs/portals.8", &commands::man_page(CLI), "manual");
}

#[test]
fn the_man_page_of_the_network_file_matches_its_description() {
    let page = network_file::man_page(include_str!("../../docs/configuration.md"));
    generated::compare("docs/portals.toml.5", &page, "manual");
}

#[test]
#[should_panic(expected = "the man page has no form for BlockQuote")]
fn other_markdown_is_refused() {
    network_file::man_page("> A quotation\n");
}

#[test]
fn a_shell_takes_examples_as_they_are_meant() {
    let mut count = 0;
    let mut open: Vec<&CommandLine> = vec![CLI];
    while let Some(command) = open.pop() {
        open.extend(command.commands);
        for line in command.example.lines() {
            count += 1;
            for word in line.split(' ').filter(|word| !matches!(*word, ">" | "|")) {
                assert!(!word.contains(['<', '>', '|', '&', ';', '$', '*', '?']), "`{word}` in `{line}`");
            }
        }
    }
    assert!(count > 30, "{count} examples");
}
