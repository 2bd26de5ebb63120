//! Command line of `portals`, as tables and types.

pub mod amounts;
mod fields;
mod files;
mod help;
mod init;
pub mod input;
mod join;
mod line;
pub mod output;
mod parse;
mod phone;
mod site;
pub mod style;
mod trace;

use std::path::{Path, PathBuf};
use std::time::Duration;

use fields::{FromWords as _, Slot, command, commands};
pub use files::{ExportCommand, ImportCommand};
pub use init::InitCommand;
pub use join::{AcceptCommand, InviteCommand, InvitesCommand, JoinCommand};
pub use line::{Argument, CommandLine, Count};
pub use parse::EarlyExit;
use parse::Words;
pub use phone::{PhoneAction, PhoneAdd, PhoneList, PhoneRemove, PhoneShow};
pub use site::{
    PullCommand, PushCommand, RotateCommand, SignCommand, SiteAction, SiteAdd, SiteList, SiteRemove,
};
pub use trace::TraceCommand;

/// Parsed command line.
#[derive(Debug)]
pub struct Cli {
    /// Network file, if it is given.
    pub config: Option<PathBuf>,
    /// Set if each change is shown.
    pub verbose: bool,
    /// Set if only the version is printed.
    pub version: bool,
    /// Command to run.
    pub command: Option<Command>,
}

/// Table of the whole command line.
pub const CLI: &CommandLine = &CommandLine {
    name: "portals",
    about: Command::LINE.about,
    arguments: &[
        Argument {
            usage: "-c <file>",
            other_name: "--config",
            help: "the network file (default: network.toml in /etc/portals, /config/portals on EdgeOS, \
                   /data/portals on UniFi OS)",
            count: Count::Optional,
        },
        Argument {
            usage: "-v",
            other_name: "--verbose",
            help: "show each change as it is made",
            count: Count::Switch,
        },
        Argument {
            usage: "-V",
            other_name: "--version",
            help: "print the version and exit",
            count: Count::Switch,
        },
    ],
    ..*Command::LINE
};

commands! {
    /// Traffic goes in at one site and comes out at another. `--config` and `--verbose` may come before or
    /// after the command.
    pub enum Command = "portals" {
        /// `portals demo`
        Demo(DemoCommand),
        /// `portals init`
        Init(InitCommand),
        /// `portals invite`
        Invite(InviteCommand),
        /// `portals invites`
        Invites(InvitesCommand),
        /// `portals join`
        Join(JoinCommand),
        /// `portals accept`
        Accept(AcceptCommand),
        /// `portals plan`
        Plan(PlanCommand),
        /// `portals apply`
        Apply(ApplyCommand),
        /// `portals confirm`
        Confirm(ConfirmCommand),
        /// `portals run`
        Run(RunCommand),
        /// `portals guard`
        Guard(GuardCommand),
        /// `portals reload`
        Reload(ReloadCommand),
        /// `portals exit`
        Exit(ExitCommand),
        /// `portals phone`
        Phone(PhoneAction),
        /// `portals site`
        Site(SiteAction),
        /// `portals sign`
        Sign(SignCommand),
        /// `portals push`
        Push(PushCommand),
        /// `portals pull`
        Pull(PullCommand),
        /// `portals rotate`
        Rotate(RotateCommand),
        /// `portals import`
        Import(ImportCommand),
        /// `portals export`
        Export(ExportCommand),
        /// `portals down`
        Down(DownCommand),
        /// `portals status`
        Status(StatusCommand),
        /// `portals doctor`
        Doctor(DoctorCommand),
        /// `portals trace`
        Trace(TraceCommand),
        /// `portals install`
        Install(InstallCommand),
        /// `portals uninstall`
        Uninstall(UninstallCommand),
    }
}

command! {
    /// Show portals at work: two sites, an internet and clients in namespaces of this machine. Needs no root
    /// and leaves this machine as it is.
    pub struct DemoCommand = "demo" {
        /// keep it running until Ctrl-C, and print commands to look around
        pub keep: bool = "--keep";

        /// give the demo IPv6 as well, and show both address families
        pub ipv6: bool = "--ipv6";

        /// show two homes behind NAT instead, which find each other with the help of a public site
        pub nat: bool = "--nat";
    }
}

command! {
    /// Show what `apply` would change, one line per change. Changes nothing itself.
    pub struct PlanCommand = "plan",
        status 3 "with --check: something would change"
    {
        /// print the changes as a shell script of ip, wg, nft and sysctl commands that does the same by hand
        pub commands: bool = "--commands";

        /// exit with status 3 if anything would change
        pub check: bool = "--check";
    }
}

command! {
    /// Make the kernel match the network file, once: completely, or not at all.
    pub struct ApplyCommand = "apply",
        note "Without --confirm, `portals apply` also confirms an earlier change that still waits for \
            confirmation."
    {
        /// undo the change unless `portals confirm` follows within SECONDS, 1 to 86400; the change is undone
        /// even if this shell ends or the machine restarts in the meantime
        pub confirm: Option<Duration> = "--confirm <seconds>";
    }
}

command! {
    /// Keep the change that `apply --confirm` has made.
    pub struct ConfirmCommand = "confirm",
        status 1 "no change waits for confirmation: the time may have run out"
    {
        /// wait this many seconds for a confirmation instead of confirming, and undo the change if none
        /// comes: `apply --confirm` starts this where no agent runs
        pub wait: Option<Duration> = "--wait <seconds>";
    }
}

command! {
    /// Close the portals until the agent runs: boot hooks call this before the network is up. Needs no key
    /// and no interface, and does nothing where an agent runs.
    pub struct GuardCommand = "guard" {}
}

command! {
    /// Run the agent: apply the network file, then stay, watch and repair. SIGHUP makes the agent read the
    /// file again; SIGTERM ends the agent and leaves everything in place. An agent that cannot start closes
    /// the portals, and tries again when a file changes.
    pub struct RunCommand = "run" {
        /// remove everything again when the agent ends
        pub down_on_exit: bool = "--down-on-exit";

        /// write the log to this file instead of standard error; a file of 256 kB is renamed to FILE.1, in
        /// place of an older FILE.1
        pub log: Option<PathBuf> = "--log <file>";
    }
}

command! {
    /// Make the agent read its network file again, as SIGHUP does, and report the result.
    pub struct ReloadCommand = "reload" {}
}

command! {
    /// Switch a portal to another exit of its list until the network file is read again.
    pub struct ExitCommand = "exit",
        example "portals exit guest oslo\nportals exit guest auto",
        note "The portal stays on that exit even if the exit does not answer: it fails closed."
    {
        /// name of the portal
        pub portal: String = "<portal>";

        /// name of an exit of its list, or `auto` to let the agent choose again
        pub exit: String = "<exit>";
    }
}

command! {
    /// Remove everything that portals has set up; kernel settings return to their earlier values.
    pub struct DownCommand = "down" {}
}

command! {
    /// Show links, portals and exits: state, age of the last handshake, bytes.
    pub struct StatusCommand = "status" {
        /// print the status as JSON
        pub json: bool = "--json";

        /// print the status as Prometheus metrics, for example for the textfile collector of the node
        /// exporter
        pub prometheus: bool = "--prometheus";

        /// show the status again every second until Ctrl-C
        pub watch: bool = "--watch";
    }
}

command! {
    /// Find out what is wrong, and what to do: checks the network file, this machine and its links. Changes
    /// nothing, needs no agent, and checks without root as much as it can.
    pub struct DoctorCommand = "doctor",
        status 1 "something is wrong"
    {
        /// print the findings as JSON
        pub json: bool = "--json";

        /// check this network file only, for example on a laptop
        pub file: Option<PathBuf> = "--file <file>";
    }
}

command! {
    /// Start the agent at every boot: copies this program to a place that firmware upgrades keep, writes the
    /// boot hook of this platform (systemd, OpenRC, OpenWrt, EdgeOS, UniFi OS), and starts the agent. To
    /// upgrade, run `install` of a newer portals.
    pub struct InstallCommand = "install" {
        /// install into this folder, such as the root of an image, and start nothing
        pub root: Option<PathBuf> = "--root <root>";

        /// leave the agent stopped for now
        pub no_start: bool = "--no-start";
    }
}

command! {
    /// End the agent, remove everything as `down` does, and delete the files that `install` wrote. Network
    /// file and keys stay.
    pub struct UninstallCommand = "uninstall" {
        /// uninstall from this folder, such as the root of an image
        pub root: Option<PathBuf> = "--root <root>";
    }
}

impl Cli {
    /// Parses the words of the command line, without the name of the program.
    pub fn parse(words: &[&str]) -> Result<Self, EarlyExit> {
        let mut words = Words::sort(CLI, CLI.name, words, false)?;
        let cli = Self {
            config: Slot::take(&mut words),
            verbose: Slot::take(&mut words),
            version: Slot::take(&mut words),
            command: words.below(Command::of),
        };
        words.fault().map_or(Ok(cli), Err)
    }

    /// Reports whether this command runs unattended, and therefore logs its work.
    pub fn is_service(&self) -> bool {
        matches!(self.command, Some(Command::Run(_) | Command::Confirm(ConfirmCommand { wait: Some(_) })))
    }

    /// Returns the log file, if the command line names one.
    pub fn log_file(&self) -> Option<&Path> {
        match &self.command {
            Some(Command::Run(RunCommand { log, .. })) => log.as_deref(),
            _ => None,
        }
    }
}

/// Moves the global options, which may come anywhere, to the front, where the parser expects them, and a `-`,
/// which stands for standard input, behind all options, because the parser takes it for one.
pub fn globals_first(arguments: Vec<String>) -> Vec<String> {
    let mut globals = Vec::new();
    let mut rest = Vec::new();
    let mut has_dash = false;
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--verbose" | "-v" => globals.push(argument),
            "--config" | "-c" => {
                globals.push(argument);
                globals.extend(arguments.next());
            }
            "-" => has_dash = true,
            // An arrow between two names is for the eye.
            "->" | "→" => {}
            "--" => {
                rest.push(argument);
                rest.extend(arguments.by_ref());
            }
            _ => match argument.strip_prefix("--config=") {
                Some(path) => globals.extend(["--config".to_owned(), path.to_owned()]),
                None => rest.push(argument),
            },
        }
    }
    globals.append(&mut rest);
    if has_dash {
        globals.extend(["--".to_owned(), "-".to_owned()]);
    }
    globals
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved(line: &str) -> String {
        globals_first(line.split(' ').map(str::to_owned).collect()).join(" ")
    }

    #[test]
    fn global_options_may_come_anywhere() {
        assert_eq!(moved("plan --config x.toml --check"), "--config x.toml plan --check");
        assert_eq!(moved("apply -v --config=x.toml"), "-v --config x.toml apply");
        assert_eq!(moved("status --json"), "status --json");
        assert_eq!(moved("run --config"), "--config run");
    }

    #[test]
    fn a_dash_is_an_argument() {
        for line in ["join -", "join - --portal eth1 --config x.toml", "join -- -", "accept -"] {
            let words = globals_first(line.split(' ').map(str::to_owned).collect());
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let parsed = Cli::parse(&words).map(|cli| cli.command);
            let argument = match parsed.unwrap_or_else(|exit| panic!("{line}: {exit:?}")) {
                Some(
                    Command::Join(JoinCommand { token: argument, .. })
                    | Command::Accept(AcceptCommand { answer: argument }),
                ) => argument,
                other => panic!("{line}: {other:?}"),
            };
            assert_eq!(argument, "-", "{line}");
        }
        assert_eq!(moved("sign -- --config x"), "sign -- --config x");
    }
}
