//! Completions for shells: small functions that ask the program itself, and the words that it answers.

use super::CLI;
use super::line::{CommandLine, HELP};

/// Shells, and the script for each.
const SCRIPTS: [(&str, &str); 3] = [
    ("bash", include_str!("completions/portals.bash")),
    ("zsh", include_str!("completions/portals.zsh")),
    ("fish", include_str!("completions/portals.fish")),
];

/// Returns the script for a shell; `None` for an unknown shell.
pub fn script(shell: &str) -> Option<&'static str> {
    SCRIPTS.iter().find(|(name, _)| *name == shell).map(|(_, script)| *script)
}

/// Returns the words that may replace the last one of a command line, which begins with the name of the
/// program. Each has a line, with a tab and its description. There are none where the name of a file or of
/// something else comes next.
pub fn words(typed: &[String]) -> String {
    let (mut line, mut found) = (CLI, String::new());
    let Some((last, before)) = typed.split_last() else { return found };
    let mut is_value = false;
    for word in before.iter().skip(1) {
        if std::mem::take(&mut is_value) {
            continue;
        }
        is_value = line.takes_value(word) || CLI.takes_value(word);
        if let Some(command) = line.commands.iter().find(|command| command.name == word) {
            line = command;
        }
    }
    if is_value {
        return found;
    }
    if last.starts_with('-') {
        for option in line.arguments.iter().filter(|argument| argument.is_option()) {
            add(&mut found, option.long_name(), option.help);
        }
        add(&mut found, HELP[0], " display usage information");
    } else {
        add_commands(&mut found, line);
    }
    found
}

fn add_commands(found: &mut String, line: &CommandLine) {
    for command in line.commands {
        add(found, command.name, command.about);
    }
}

/// Adds a line with a word and the first sentence of its description.
fn add(found: &mut String, word: &str, description: &str) {
    let sentence = description.split_once(". ").map_or(description, |(sentence, _)| sentence);
    found.push_str(word);
    found.push('\t');
    found.push_str(sentence.trim_start().trim_end_matches('.'));
    found.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the words without their descriptions.
    fn after(line: &str) -> Vec<String> {
        let typed: Vec<String> = line.split(' ').map(str::to_owned).collect();
        words(&typed).lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect()
    }

    #[test]
    fn the_tables_tell_what_may_come_next() {
        assert!(after("portals ").contains(&"status".to_owned()));
        assert_eq!(after("portals phone "), ["add", "show", "list", "remove"]);
        assert_eq!(after("portals help phone "), ["add", "show", "list", "remove"]);
        assert_eq!(after("portals -c site phone x"), ["add", "show", "list", "remove"], "`site` is a file");
        assert_eq!(after("portals plan -"), ["--commands", "--check", "--help"]);
        assert_eq!(after("portals -"), ["--config", "--verbose", "--version", "--help"]);
        assert!(after("portals sign ").is_empty(), "a file");
        assert!(after("portals sign --key -").is_empty(), "a file");
        assert!(after("portals plan --config ").is_empty(), "a file");
        assert_eq!(words(&[]), "");
        let install = words(&["portals".to_owned(), "inst".to_owned()]);
        let line = install.lines().find(|line| line.starts_with("uninstall\t")).unwrap();
        assert!(line.ends_with("and delete the files that `install` wrote"), "{line}");
    }
}
