//! Man pages: portals(8) is generated from the command line, portals.toml(5) from docs/configuration.md.
//! `UPDATE_GOLDEN=1 cargo test --test manual` rewrites both.

mod commands;
mod network_file;
mod roff;

use std::fs;
use std::path::Path;

use wg_portals::cli::{CLI, CommandLine};

fn read(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap_or_default()
}

/// Compares a man page with its file, or writes the file.
fn compare(file: &str, page: &str) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join(file), page).unwrap();
    }
    assert!(
        read(file) == page,
        "{file} is out of date: UPDATE_GOLDEN=1 cargo test --test manual rewrites it"
    );
}

#[test]
fn the_man_page_matches_the_command_line() {
    compare("docs/portals.8", &commands::man_page(CLI));
}

#[test]
fn the_man_page_of_the_network_file_matches_its_description() {
    compare("docs/portals.toml.5", &network_file::man_page(&read("docs/configuration.md")));
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
