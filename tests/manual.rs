//! Man page, generated from the command line. `UPDATE_GOLDEN=1 cargo test --test manual` rewrites it.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use argh::{ArgsInfo as _, CommandInfoWithArgs, FlagInfo, FlagInfoKind, Optionality, PositionalInfo};
use wg_portals::cli::Cli;

const FILES: &[(&str, &str)] = &[
    ("network.toml", "The network: the same file on every site."),
    ("private.key", "This site's private key, mode 0600."),
    ("private.key.next", "Its new private key, mode 0600; only while `portals rotate` is at work."),
    (
        "admin.key",
        "Signs the network file, mode 0600; made with the first file. It may be kept on another machine.",
    ),
    (
        "network.secret",
        "Optional, mode 0600, the same on every site: a pre-shared key for each link is derived from it.",
    ),
    ("phones/NAME.key", "Keys of phones that were added with `--keep-key`, mode 0600."),
    ("network.toml.invites", "Tokens of `portals invite`, mode 0600."),
    ("network.toml.relays", "Links of other sites that this site relays, mode 0600."),
    (
        "network.toml.confirmed, .unconfirmed, .undone",
        "The file in force, one that waits to be confirmed, and one that was undone, mode 0600.",
    ),
    ("network.toml.clock", "The time of day that was last known to be right."),
    ("network.toml.lock", "Empty: commands that change the file wait for each other."),
];

const STATUS: &[(&str, &str)] = &[
    ("0", "Done."),
    ("1", "The command failed, and its changes were undone."),
    ("2", "The network file or the command line is wrong."),
    ("3", "portals plan --check found a difference."),
];

#[test]
fn the_man_page_matches_the_command_line() {
    let made = man_page(&Cli::get_args_info());
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/portals.8");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&file, &made).unwrap();
    }
    assert!(
        fs::read_to_string(&file).unwrap_or_default() == made,
        "docs/portals.8 is out of date: UPDATE_GOLDEN=1 cargo test --test manual rewrites it"
    );
}

/// Returns the whole page, in the macros of man(7).
fn man_page(program: &CommandInfoWithArgs) -> String {
    let mut page = format!(
        ".TH PORTALS 8 \"\" \"portals {}\" \"System administration\"\n\
         .SH NAME\nportals \\- traffic goes in at one site and comes out at another\n\
         .SH SYNOPSIS\n.B portals\n[\\fB\\-\\-config\\fR \\fIFILE\\fR] [\\fB\\-\\-verbose\\fR] \
         \\fICOMMAND\\fR [\\fIARGUMENT\\fR ...]\n\
         .SH DESCRIPTION\n{}\n.SH OPTIONS\n",
        env!("CARGO_PKG_VERSION"),
        escaped(program.description)
    );
    options(&mut page, program.flags);
    page.push_str(".SH COMMANDS\n");
    for command in &program.commands {
        section(&mut page, command.name, &command.command);
    }
    page.push_str(
        ".SH FILES\nIn /etc/portals; on EdgeOS in /config/portals, on UniFi OS in /data/portals.\n",
    );
    for (name, what) in FILES {
        item(&mut page, &format!("\\fB{}\\fR", escaped(name)), what);
    }
    page.push_str(".SH EXIT STATUS\n");
    for (status, what) in STATUS {
        item(&mut page, &format!("\\fB{status}\\fR"), what);
    }
    page.push_str(".SH SEE ALSO\n.BR wg (8),\n.BR ip\\-rule (8),\n.BR nft (8)\n");
    page
}

/// Writes the section of a command, or of each of its subcommands.
fn section(page: &mut String, name: &str, command: &CommandInfoWithArgs) {
    if !command.commands.is_empty() {
        for below in &command.commands {
            section(page, &format!("{name} {}", below.name), &below.command);
        }
        return;
    }
    write!(page, ".SS \"portals {}", escaped(name)).unwrap();
    for positional in command.positionals {
        write!(page, " {}", positional_name(positional)).unwrap();
    }
    writeln!(page, "\"\n{}", escaped(command.description)).unwrap();
    for positional in command.positionals.iter().filter(|positional| !positional.description.is_empty()) {
        item(page, &positional_name(positional), positional.description);
    }
    options(page, command.flags);
    for note in command.notes {
        writeln!(page, ".PP\n{}", escaped(note)).unwrap();
    }
    for status in command.error_codes {
        writeln!(page, ".PP\nExit status {}: {}.", status.code, escaped(status.description)).unwrap();
    }
    for example in command.examples {
        writeln!(page, ".PP\n.EX\n{}\n.EE", escaped(example)).unwrap();
    }
}

fn options(page: &mut String, flags: &[FlagInfo]) {
    for flag in flags.iter().filter(|flag| !flag.hidden && flag.long != "--help") {
        let short = flag.short.map(|letter| format!("\\fB\\-{letter}\\fR, ")).unwrap_or_default();
        let value = match flag.kind {
            FlagInfoKind::Switch => String::new(),
            FlagInfoKind::Option { arg_name } => format!(" \\fI{}\\fR", escaped(arg_name)),
        };
        item(page, &format!("{short}\\fB{}\\fR{value}", escaped(flag.long)), flag.description);
    }
}

fn positional_name(positional: &PositionalInfo) -> String {
    let name = format!("\\fI{}\\fR", escaped(positional.name));
    match positional.optionality {
        Optionality::Optional => format!("[{name}]"),
        Optionality::Repeating | Optionality::Greedy => format!("[{name} ...]"),
        Optionality::Required => name,
    }
}

fn item(page: &mut String, what: &str, description: &str) {
    writeln!(page, ".TP\n{what}\n{}", escaped(description)).unwrap();
}

/// Escapes text for troff: code in bold, hyphens that can be copied as minus signs, and no line that begins
/// like a request.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    let parts = text.split('`').enumerate();
    let text: String = parts
        .map(|(at, part)| if at % 2 == 1 { format!("\\fB{part}\\fR") } else { part.to_owned() })
        .collect();
    let line =
        |line: &str| if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line.to_owned() };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}
