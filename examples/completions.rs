//! Shell completions: `cargo run --example completions bash` prints those for bash; fish and zsh work, too.

use argh::{CommandInfoWithArgs, FlagInfo, FlagInfoKind, Optionality, PositionalInfo, SubCommandInfo};
use argh_complete::Generator as _;
use argh_complete::bash::Bash;
use argh_complete::fish::Fish;
use argh_complete::zsh::Zsh;
use wg_portals::cli::{Argument, CLI, CommandLine, Count};

fn main() {
    let generate = match std::env::args().nth(1).as_deref() {
        Some("bash") => Bash::generate,
        Some("fish") => Fish::generate,
        Some("zsh") => Zsh::generate,
        _ => panic!("name a shell: bash, fish or zsh"),
    };
    print!("{}", generate("portals", &info(CLI)));
}

/// Returns the table of a command in the form of `argh_complete`.
fn info(line: &'static CommandLine) -> CommandInfoWithArgs {
    let mut flags = vec![FlagInfo {
        long: "--help",
        description: "display usage information",
        optionality: Optionality::Optional,
        ..FlagInfo::default()
    }];
    let mut positionals = Vec::new();
    for argument in line.arguments {
        let description = argument.help.trim_start();
        let optionality = optionality(argument);
        if argument.is_option() {
            let short = !argument.other_name.is_empty();
            flags.push(FlagInfo {
                kind: match argument.count {
                    Count::Switch => FlagInfoKind::Switch,
                    _ => FlagInfoKind::Option { arg_name: argument.value() },
                },
                optionality,
                long: if short { argument.other_name } else { argument.name() },
                short: if short { argument.name().chars().nth(1) } else { None },
                description,
                hidden: false,
            });
        } else {
            positionals.push(PositionalInfo {
                name: argument.name(),
                description,
                optionality,
                hidden: false,
            });
        }
    }
    let below = |line: &&'static CommandLine| SubCommandInfo { name: line.name, command: info(line) };
    CommandInfoWithArgs {
        name: line.name,
        description: line.about.trim_start(),
        flags: flags.leak(),
        positionals: positionals.leak(),
        commands: line.commands.iter().map(below).collect(),
        ..CommandInfoWithArgs::default()
    }
}

fn optionality(argument: &Argument) -> Optionality {
    match argument.count {
        Count::Required => Optionality::Required,
        Count::Optional | Count::Switch => Optionality::Optional,
        Count::Repeating => Optionality::Repeating,
    }
}
