//! Help of a command, made from its table.

use std::fmt::Write as _;

use super::line::{Argument, CommandLine, Count, HELP};

/// Column in which descriptions begin.
const INDENT: usize = 20;

/// Longest line of a list.
const WIDTH: usize = 80;

/// Returns the help of a command. `path` is the command itself, as in `portals phone add`.
pub(super) fn text(line: &CommandLine, path: &str) -> String {
    let mut text = usage(line, path);
    text.push_str("\n\n");
    text.push_str(line.about.trim_start());
    if !line.arguments.iter().all(Argument::is_option) {
        text.push_str("\n\nPositional Arguments:");
        list(&mut text, line, false);
    }
    text.push_str("\n\nOptions:");
    list(&mut text, line, true);
    describe(&mut text, &HELP.join(", "), "display usage information");
    text.push_str(&of_commands(line));
    for (heading, lines) in [("\n\nExamples:", line.example), ("\n\nNotes:", line.note)] {
        if !lines.is_empty() {
            text.push_str(heading);
            for line in lines.lines() {
                text.push_str("\n  ");
                text.push_str(line);
            }
        }
    }
    if let Some((status, meaning)) = line.status {
        let _ = write!(text, "\n\nError codes:\n  {status} {meaning}");
    }
    text.push('\n');
    text
}

/// Returns the list of commands below a command, in groups.
pub(super) fn of_commands(line: &CommandLine) -> String {
    let mut text = String::new();
    for (command, group) in line.commands.iter().zip(line.groups) {
        if !group.is_empty() {
            let _ = write!(text, "\n\n{group}:");
        }
        describe(&mut text, command.name, command.about);
    }
    text
}

/// Returns an argument and its description, on one line.
pub(super) fn of_argument(argument: &Argument) -> String {
    format!("  {}:{}", argument.name(), argument.help)
}

/// Returns the first line: options, then positional arguments, then the command.
pub(super) fn usage(line: &CommandLine, path: &str) -> String {
    let mut text = ["Usage: ", path].concat();
    for are_options in [true, false] {
        let mut is_first = !are_options;
        for argument in line.arguments.iter().filter(|argument| argument.is_option() == are_options) {
            if std::mem::take(&mut is_first) {
                text.push_str(" [--]");
            }
            let (open, close) = if argument.count == Count::Required { (" ", "") } else { (" [", "]") };
            let _ = write!(text, "{open}{}{close}", argument.usage);
        }
    }
    if !line.commands.is_empty() {
        text.push_str(if line.arguments.is_empty() {
            " <command> [<args>]"
        } else {
            " [<command>] [<args>]"
        });
    }
    text
}

fn list(text: &mut String, line: &CommandLine, are_options: bool) {
    for argument in line.arguments.iter().filter(|argument| argument.is_option() == are_options) {
        let comma = if argument.other_name.is_empty() { "" } else { ", " };
        describe(text, &[argument.name(), comma, argument.other_name].concat(), argument.help);
    }
}

/// Writes a name and its description, in lines of at most [`WIDTH`] characters.
fn describe(text: &mut String, name: &str, description: &str) {
    let mut width = 2 + name.len();
    text.push_str("\n  ");
    text.push_str(name);
    for word in description.split_ascii_whitespace() {
        let length = word.chars().count();
        if width < INDENT {
            text.push_str(&" ".repeat(INDENT - width));
            width = INDENT;
        } else if width + 1 + length > WIDTH {
            text.push('\n');
            text.push_str(&" ".repeat(INDENT));
            width = INDENT;
        } else {
            text.push(' ');
            width += 1;
        }
        text.push_str(word);
        width += length;
    }
}
