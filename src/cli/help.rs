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
    flow(&mut text, 0, line.about);
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
                flow(&mut text, 2, line);
            }
        }
    }
    if let Some((status, meaning)) = line.status {
        let _ = write!(text, "\n\nError codes:\n  {status}");
        flow(&mut text, 4, meaning);
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

/// Writes a name and its description.
fn describe(text: &mut String, name: &str, description: &str) {
    text.push_str("\n  ");
    text.push_str(name);
    text.push_str(&" ".repeat(INDENT.saturating_sub(2 + name.len()).max(1)));
    flow(text, INDENT, description);
}

/// Writes words behind the last line of a text, and breaks lines at [`WIDTH`] characters. Further lines begin
/// in the column `indent`.
fn flow(text: &mut String, indent: usize, words: &str) {
    let start = text.rfind('\n').map_or(0, |end| end + 1);
    let mut width = text.len() - start;
    for word in words.split_ascii_whitespace() {
        let length = word.chars().count();
        if width + 1 + length > WIDTH {
            text.push('\n');
            text.push_str(&" ".repeat(indent));
            width = indent;
        } else if !text.ends_with(char::is_whitespace) {
            text.push(' ');
            width += 1;
        }
        text.push_str(word);
        width += length;
    }
}
