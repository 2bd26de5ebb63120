//! Command line of `portals`, as tables and types.

mod about;
pub mod amounts;
pub mod completions;
mod diagnose;
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
mod service;
pub mod shell;
mod site;
pub mod style;
mod trace;
mod web;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use about::{CompletionsCommand, VersionCommand};
pub use diagnose::{CheckCommand, DoctorCommand, InterfacesCommand, MapCommand, TestCommand};
use fields::{FromWords as _, Slot, command, commands};
pub use files::{ExportCommand, ImportCommand};
pub use init::InitCommand;
pub use join::{AcceptCommand, InviteCommand, InvitesCommand, JoinCommand};
pub use line::{Argument, CommandLine, Count};
pub use parse::EarlyExit;
use parse::Words;
pub use phone::{PhoneAction, PhoneAdd, PhoneList, PhoneRemove, PhoneShow};
pub use service::{InstallCommand, LogsCommand, RestartCommand, StartCommand, StopCommand, UninstallCommand};
pub use site::{
    PullCommand, PushCommand, RotateCommand, SignCommand, SiteAction, SiteAdd, SiteList, SiteRemove,
};
pub use trace::TraceCommand;
pub use web::WebCommand;

/// Parsed command line.
#[derive(Debug)]
pub struct Cli {
    /// Network file, if it is given.
    pub config: Option<PathBuf>,
    /// Set if each change is shown.
    pub verbose: bool,
    /// Set if only the version is printed.
    pub version: bool,
    /// The command itself, without its arguments, as in `portals phone add`.
    pub path: String,
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
        "Set up":
        /// `portals demo`
        Demo(DemoCommand),
        /// `portals init`
        Init(InitCommand),
        /// `portals join`
        Join(JoinCommand),
        /// `portals import`
        Import(ImportCommand),
        /// `portals install`
        Install(InstallCommand),
        /// `portals uninstall`
        Uninstall(UninstallCommand),
        "Every day":
        /// `portals status`
        Status(StatusCommand),
        /// `portals exit`
        Exit(ExitCommand),
        /// `portals phone`
        Phone(PhoneAction),
        /// `portals web`
        Web(WebCommand),
        /// `portals start`
        Start(StartCommand),
        /// `portals stop`
        Stop(StopCommand),
        /// `portals restart`
        Restart(RestartCommand),
        "The network":
        /// `portals invite`
        Invite(InviteCommand),
        /// `portals invites`
        Invites(InvitesCommand),
        /// `portals accept`
        Accept(AcceptCommand),
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
        /// `portals export`
        Export(ExportCommand),
        /// `portals map`
        Map(MapCommand),
        "When something is wrong":
        /// `portals doctor`
        Doctor(DoctorCommand),
        /// `portals test`
        Test(TestCommand),
        /// `portals trace`
        Trace(TraceCommand),
        /// `portals check`
        Check(CheckCommand),
        /// `portals interfaces`
        Interfaces(InterfacesCommand),
        /// `portals logs`
        Logs(LogsCommand),
        "By hand":
        /// `portals plan`
        Plan(PlanCommand),
        /// `portals apply`
        Apply(ApplyCommand),
        /// `portals confirm`
        Confirm(ConfirmCommand),
        /// `portals reload`
        Reload(ReloadCommand),
        /// `portals run`
        Run(RunCommand),
        /// `portals guard`
        Guard(GuardCommand),
        /// `portals down`
        Down(DownCommand),
        "About portals":
        /// `portals version`
        Version(VersionCommand),
        /// `portals completions`
        Completions(CompletionsCommand),
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
    /// Show each portal and the ports that the router in front of this box must forward, then what `apply`
    /// would change, one line per change. Changes nothing itself.
    pub struct PlanCommand = "plan",
        status 3 "with --check: something would change"
    {
        /// print the changes as a shell script of ip, wg, nft and sysctl commands that does the same by hand
        pub commands: bool = "--commands";

        /// show the changes only, and exit with status 3 if anything would change
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

impl Cli {
    /// Parses the words of the command line, without the name of the program. The result lives as long as the
    /// process.
    pub fn parse(words: &[&str]) -> Result<&'static Self, EarlyExit> {
        let mut words = Words::of(words)?;
        let cli = Box::leak(Box::new(Self {
            config: Slot::take(&mut words),
            verbose: Slot::take(&mut words),
            version: Slot::take(&mut words),
            path: words.path().to_owned(),
            command: words.below(Command::of),
        }));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> &'static Cli {
        let words: Vec<&str> = line.split(' ').collect();
        Cli::parse(&words).unwrap_or_else(|exit| panic!("{line}: {exit:?}"))
    }

    #[test]
    fn global_options_may_come_anywhere() {
        for line in [
            "-v --config x.toml plan --check",
            "plan --config x.toml --check -v",
            "plan --check --config=x.toml --verbose",
        ] {
            let cli = parsed(line);
            assert_eq!((&cli.config, cli.verbose), (&Some("x.toml".into()), true), "{line}");
            assert!(matches!(cli.command, Some(Command::Plan(PlanCommand { check: true, .. }))), "{line}");
        }
        assert!(matches!(Cli::parse(&["run", "--config"]), Err(EarlyExit::Wrong(_))));
    }

    #[test]
    fn a_message_names_the_command_and_no_argument() {
        for (line, path) in [
            ("status", "portals status"),
            ("-c x phone add mike --at nyc", "portals phone add"),
            ("join p1.secret", "portals join"),
            ("-v", "portals"),
        ] {
            assert_eq!(parsed(line).path, path);
        }
    }

    #[test]
    fn a_dash_is_an_argument() {
        for line in ["join -", "join - --portal eth1 --config x.toml", "join -- -", "accept -"] {
            let argument = match &parsed(line).command {
                Some(
                    Command::Join(JoinCommand { token: argument, .. })
                    | Command::Accept(AcceptCommand { answer: argument }),
                ) => argument,
                other => panic!("{line}: {other:?}"),
            };
            assert_eq!(argument, "-", "{line}");
        }
        let Some(Command::Sign(sign)) = &parsed("sign -- --config").command else { panic!("no file") };
        assert_eq!(sign.file, Some("--config".into()));
    }
}
