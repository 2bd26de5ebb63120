//! The man page portals(8).

use std::fmt::Write as _;

use wg_portals::cli::{Argument, CommandLine, Count};

use crate::roff::{self, bold, without_requests};

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
    ("network.toml.site", "The site that this machine is, so that a swapped key is noticed."),
    ("network.toml.clock", "The time of day that was last known to be right."),
    ("network.toml.lock", "Empty: commands that change the file wait for each other."),
];

const STATUS: &[(&str, &str)] = &[
    ("0", "Done."),
    ("1", "The command failed, and its changes were undone."),
    ("2", "The network file or the command line is wrong."),
    ("3", "portals plan --check found a difference."),
];

/// Returns the whole page, in the macros of man(7).
pub(crate) fn man_page(program: &CommandLine) -> String {
    let mut page = format!(
        ".TH PORTALS 8 \"\" \"portals {}\" \"System administration\"\n.nh\n\
         .SH NAME\nportals \\- traffic goes in at one site and comes out at another\n\
         .SH SYNOPSIS\n.B portals\n[\\fB\\-\\-config\\fR \\fIFILE\\fR] [\\fB\\-\\-verbose\\fR] \
         \\fICOMMAND\\fR [\\fIARGUMENT\\fR ...]\n\
         .SH DESCRIPTION\n{}\n.SH OPTIONS\n",
        env!("CARGO_PKG_VERSION"),
        escaped(program.about.trim_start())
    );
    options(&mut page, program);
    for (command, group) in program.commands.iter().zip(program.groups) {
        if !group.is_empty() {
            writeln!(page, ".SH COMMANDS: {}", group.to_uppercase()).unwrap();
        }
        section(&mut page, command.name, command);
    }
    page.push_str(
        ".SH FILES\nIn /etc/portals; on EdgeOS in /config/portals, on UniFi OS in /data/portals.\n",
    );
    for (name, what) in FILES {
        item(&mut page, &bold(name), what);
    }
    page.push_str(".SH EXIT STATUS\n");
    for (status, what) in STATUS {
        item(&mut page, &bold(status), what);
    }
    page.push_str(".SH SEE ALSO\n.BR portals.toml (5),\n.BR wg (8),\n.BR ip\\-rule (8),\n.BR nft (8)\n");
    page
}

/// Writes the section of a command, or of each of its subcommands.
fn section(page: &mut String, name: &str, command: &CommandLine) {
    if !command.commands.is_empty() {
        for below in command.commands {
            section(page, &format!("{name} {}", below.name), below);
        }
        return;
    }
    write!(page, ".SS \"portals {}", escaped(name)).unwrap();
    let positionals = || command.arguments.iter().filter(|argument| !argument.is_option());
    for positional in positionals() {
        write!(page, " {}", positional_name(positional)).unwrap();
    }
    writeln!(page, "\"\n{}", escaped(command.about.trim_start())).unwrap();
    for positional in positionals() {
        item(page, &positional_name(positional), positional.help.trim_start());
    }
    options(page, command);
    if !command.note.is_empty() {
        writeln!(page, ".PP\n{}", escaped(command.note)).unwrap();
    }
    if let Some((status, meaning)) = command.status {
        writeln!(page, ".PP\nExit status {status}: {}.", escaped(meaning)).unwrap();
    }
    if !command.example.is_empty() {
        writeln!(page, ".PP\n.EX\n{}\n.EE", escaped(command.example)).unwrap();
    }
}

fn options(page: &mut String, command: &CommandLine) {
    for option in command.arguments.iter().filter(|argument| argument.is_option()) {
        let mut words = bold(option.name());
        if !option.other_name.is_empty() {
            write!(words, ", {}", bold(option.other_name)).unwrap();
        }
        if option.count != Count::Switch {
            write!(words, " \\fI{}\\fR", escaped(option.value())).unwrap();
        }
        item(page, &words, option.help.trim_start());
    }
}

fn positional_name(positional: &Argument) -> String {
    let name = format!("\\fI{}\\fR", escaped(positional.name()));
    match positional.count {
        Count::Optional => format!("[{name}]"),
        Count::Repeating => format!("[{name} ...]"),
        Count::Required | Count::Switch => name,
    }
}

fn item(page: &mut String, what: &str, description: &str) {
    writeln!(page, ".TP\n{what}\n{}", escaped(description)).unwrap();
}

/// Escapes text, with its code in bold.
fn escaped(text: &str) -> String {
    let parts = text.split('`').enumerate();
    let text: String =
        parts.map(|(at, part)| if at % 2 == 1 { bold(part) } else { roff::escaped(part) }).collect();
    without_requests(&text)
}
