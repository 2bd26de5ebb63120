//! Command lines of portals in the documentation: the program's own parser takes each of them.

use std::collections::{BTreeMap, BTreeSet};

use wg_portals::cli::{CLI, Cli, EarlyExit};

use crate::lines::{arguments_of_portals, commands};
use crate::pages::{Block, Page, pages};

/// Words that stand for a value, with a value.
const PLACEHOLDERS: [(&str, &str); 23] = [
    ("ADDRESS", "192.0.2.1"),
    ("ANSWER", "a1.x"),
    ("COMMAND", "status"),
    ("DEVICE", "192.168.1.50"),
    ("DIR", "image"),
    ("EXIT", "paris"),
    ("FILE", "file"),
    ("FOLDER", "folder"),
    ("FROM", "tv"),
    ("HOST", "rome.example.net"),
    ("INTERFACE", "eth1"),
    ("KEY", KEY),
    ("N", "7"),
    ("NAME", "rome"),
    ("NETWORK", "192.168.7.0/24"),
    ("PORT", "443"),
    ("PORTAL", "tv"),
    ("SECONDS", "60"),
    ("SHELL", "bash"),
    ("SITE", "nyc"),
    ("SITES", "nyc,paris"),
    ("TO", "1.1.1.1"),
    ("TOKEN", "p1.x"),
];

/// Public key.
const KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

#[test]
fn the_program_knows_every_command_in_a_block() {
    let (mut wrong, mut count) = (Vec::new(), 0);
    for page in pages() {
        for block in page.blocks() {
            if has_no_language(&block) {
                wrong.push(format!("{}:{}: begin the block with ```sh", page.name, block.line));
            }
            for line in block.commands() {
                for command in commands(&line) {
                    let Some(arguments) = arguments_of_portals(&command) else { continue };
                    count += 1;
                    // Output of another command stands for a value.
                    let words = arguments.iter().map(|word| if word.starts_with("$(") { KEY } else { word });
                    let fault = parse(&words.collect::<Vec<_>>()).err();
                    wrong.extend(fault.map(|text| format!("{}:{}: {line}: {text}", page.name, block.line)));
                }
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new(), "commands that the program does not know");
    assert!(count > 50, "{count} commands");
}

#[test]
fn the_program_knows_every_command_in_a_sentence() {
    let (mut wrong, mut count) = (Vec::new(), 0);
    for page in pages() {
        for (line, span) in page.spans() {
            for command in commands(&with_values(&span)) {
                let Some(words) = arguments_of_portals(&command).filter(|words| !words.is_empty()) else {
                    continue;
                };
                count += 1;
                let fault = if names_a_command(&words) { None } else { parse(&words).err() };
                wrong.extend(fault.map(|text| format!("{}:{line}: {span}: {text}", page.name)));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new(), "commands that the program does not know");
    assert!(count > 200, "{count} commands");
}

#[test]
fn the_page_of_commands_names_every_option() {
    let page = Page::read("docs/commands.md");
    let mut named: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (_, span) in page.spans() {
        let words: Vec<&str> = span.split([' ', '[', ']']).filter(|word| !word.is_empty()).collect();
        if let ["portals", rest @ ..] = words.as_slice() {
            let (path, _) = command_of(rest);
            let options = rest.iter().filter(|word| word.starts_with("--")).map(|word| (*word).to_owned());
            named.entry(path).or_default().extend(options);
        }
    }
    let mut missing = Vec::new();
    let mut open = vec![(String::new(), CLI)];
    while let Some((path, line)) = open.pop() {
        let is_there = named.get(&path);
        if line.commands.is_empty() && is_there.is_none() {
            missing.push(format!("portals {path}"));
        }
        for argument in line.arguments.iter().filter(|argument| argument.is_option() && line.name != CLI.name)
        {
            if !is_there.is_some_and(|options| options.contains(argument.name())) {
                missing.push(format!("portals {path} {}", argument.name()));
            }
        }
        for command in line.commands {
            open.push((format!("{path} {}", command.name).trim().to_owned(), command));
        }
    }
    missing.sort();
    assert_eq!(missing, Vec::<String>::new(), "commands and options that docs/commands.md does not name");
}

#[test]
fn unknown_commands_and_options_are_found() {
    for wrong in ["portals dance", "portals plan --chekc", "portals invite NAME [--uses]", "portals apply 5"]
    {
        let commands = commands(&with_values(wrong));
        let words = arguments_of_portals(&commands[0]).unwrap();
        assert!(!names_a_command(&words) && parse(&words).is_err(), "{wrong}");
    }
}

/// Parses the arguments of a command line, which may ask for help.
fn parse(words: &[&str]) -> Result<(), String> {
    match Cli::parse(words) {
        Ok(_) | Err(EarlyExit::Help(_)) => Ok(()),
        Err(EarlyExit::Wrong(text)) => Err(text),
    }
}

/// Reports whether words are a command and nothing else, as where a sentence names the command.
fn names_a_command(words: &[&str]) -> bool {
    command_of(words).1 == words.len()
}

/// Returns the command at the beginning of words, such as `phone add`, and the number of its words.
fn command_of(words: &[&str]) -> (String, usize) {
    let (mut line, mut count) = (CLI, 0);
    for word in words {
        let Some(command) = line.commands.iter().find(|command| command.name == *word) else { break };
        (line, count) = (command, count + 1);
    }
    (words[..count].join(" "), count)
}

/// Returns a command line with values in place of the words that stand for one, and without the brackets of
/// what may be left out.
fn with_values(span: &str) -> String {
    let (mut line, mut name) = (String::new(), String::new());
    let span = span.replace("FILE…", "FILE");
    for character in span.chars().chain(['\n']) {
        if character.is_ascii_alphanumeric() || character == '_' {
            name.push(character);
            continue;
        }
        let value = PLACEHOLDERS.iter().find(|(placeholder, _)| *placeholder == name);
        line += value.map_or(name.as_str(), |(_, value)| value);
        name.clear();
        if !['[', ']', '\n'].contains(&character) {
            line.push(character);
        }
    }
    line
}

/// Reports whether a block has command lines and no language: this test cannot tell them from output.
fn has_no_language(block: &Block) -> bool {
    let is_command = |line: &String| line.starts_with("portals ") || line.starts_with("sudo ");
    block.language.is_empty() && block.lines.iter().any(is_command)
}
