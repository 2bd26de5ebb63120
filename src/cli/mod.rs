//! Command line of `portals`, in the form that argh parses.

pub mod amounts;
mod files;
mod init;
pub mod input;
mod join;
pub mod output;
mod phone;
mod site;
pub mod style;

use std::path::{Path, PathBuf};
use std::time::Duration;

use argh::{ArgsInfo, FromArgs};

use crate::config::model;
pub use files::{ExportCommand, ImportCommand};
pub use init::InitCommand;
pub use join::{AcceptCommand, InviteCommand, InvitesCommand, JoinCommand};
pub use phone::{PhoneAction, PhoneAdd, PhoneCommand, PhoneList, PhoneRemove, PhoneShow};
pub use site::{
    PullCommand, PushCommand, RotateCommand, SignCommand, SiteAction, SiteAdd, SiteCommand, SiteList,
    SiteRemove,
};

/// Traffic goes in at one site and comes out at another. `--config` and `--verbose` may come before or after
/// the command.
#[derive(FromArgs, ArgsInfo, Debug)]
pub struct Cli {
    /// the network file (default: network.toml in /etc/portals, /config/portals on EdgeOS, /data/portals on
    /// UniFi OS)
    #[argh(option, short = 'c', arg_name = "file")]
    pub config: Option<PathBuf>,

    /// show each change as it is made
    #[argh(switch, short = 'v')]
    pub verbose: bool,

    /// print the version and exit
    #[argh(switch, short = 'V')]
    pub version: bool,

    /// command to run
    #[argh(subcommand)]
    pub command: Option<Command>,
}

/// Command that was typed, with its options.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
pub enum Command {
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
    Phone(PhoneCommand),
    /// `portals site`
    Site(SiteCommand),
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
    /// `portals install`
    Install(InstallCommand),
    /// `portals uninstall`
    Uninstall(UninstallCommand),
}

/// Show portals at work: two sites, an internet and clients in namespaces of this machine. Needs no root and
/// leaves this machine as it is.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "demo")]
pub struct DemoCommand {
    /// keep it running until Ctrl-C, and print commands to look around
    #[argh(switch)]
    pub keep: bool,
    /// give the demo IPv6 as well, and show both address families
    #[argh(switch)]
    pub ipv6: bool,
    /// show two homes behind NAT instead, which find each other with the help of a public site
    #[argh(switch)]
    pub nat: bool,
}

/// Show what `apply` would change, one line per change. Changes nothing itself.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "plan", error_code(3, "with --check: something would change"))]
pub struct PlanCommand {
    /// print the changes as a shell script of ip, wg, nft and sysctl commands that does the same by hand
    #[argh(switch)]
    pub commands: bool,

    /// exit with status 3 if anything would change
    #[argh(switch)]
    pub check: bool,
}

/// Make the kernel match the network file, once: completely, or not at all.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "apply",
    note = "Without --confirm, `portals apply` also confirms an earlier change that still waits for \
            confirmation."
)]
pub struct ApplyCommand {
    /// undo the change unless `portals confirm` follows within SECONDS, 1 to 86400; the change is undone even
    /// if this shell ends or the machine restarts in the meantime
    #[argh(option, arg_name = "seconds", from_str_fn(confirmation_time))]
    pub confirm: Option<Duration>,
}

/// Keep the change that `apply --confirm` has made.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "confirm",
    error_code(1, "no change waits for confirmation: the time may have run out")
)]
pub struct ConfirmCommand {
    /// wait this many seconds for a confirmation instead of confirming, and undo the change if none comes:
    /// `apply --confirm` starts this where no agent runs
    #[argh(option, arg_name = "seconds", from_str_fn(confirmation_time))]
    pub wait: Option<Duration>,
}

/// Close the portals until the agent runs: boot hooks call this before the network is up. Needs no key and no
/// interface, and does nothing where an agent runs.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "guard")]
pub struct GuardCommand {}

/// Run the agent: apply the network file, then stay, watch and repair. SIGHUP makes the agent read the file
/// again; SIGTERM ends the agent and leaves everything in place. An agent that cannot start closes the
/// portals, and tries again when a file changes.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "run")]
pub struct RunCommand {
    /// remove everything again when the agent ends
    #[argh(switch)]
    pub down_on_exit: bool,

    /// write the log to this file instead of standard error; a file of 256 kB is renamed to FILE.1, in place
    /// of an older FILE.1
    #[argh(option, arg_name = "file")]
    pub log: Option<PathBuf>,
}

/// Make the agent read its network file again, as SIGHUP does, and report the result.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "reload")]
pub struct ReloadCommand {}

/// Switch a portal to another exit of its list until the network file is read again.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "exit",
    example = "portals exit guest oslo\nportals exit guest auto",
    note = "The portal stays on that exit even if the exit does not answer: it fails closed."
)]
pub struct ExitCommand {
    /// name of the portal
    #[argh(positional)]
    pub portal: String,

    /// name of an exit of its list, or `auto` to let the agent choose again
    #[argh(positional)]
    pub exit: String,
}

/// Remove everything that portals has set up; kernel settings return to their earlier values.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "down")]
pub struct DownCommand {}

/// Show links, portals and exits: state, age of the last handshake, bytes.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "status")]
pub struct StatusCommand {
    /// print the status as JSON
    #[argh(switch)]
    pub json: bool,

    /// print the status as Prometheus metrics, for example for the textfile collector of the node exporter
    #[argh(switch)]
    pub prometheus: bool,

    /// show the status again every second until Ctrl-C
    #[argh(switch)]
    pub watch: bool,
}

/// Start the agent at every boot: copies this program to a place that firmware upgrades keep, writes the boot
/// hook of this platform (systemd, OpenRC, OpenWrt, EdgeOS, UniFi OS), and starts the agent. To upgrade, run
/// `install` of a newer portals.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "install")]
pub struct InstallCommand {
    /// install into this folder, such as the root of an image, and start nothing
    #[argh(option)]
    pub root: Option<PathBuf>,

    /// leave the agent stopped for now
    #[argh(switch)]
    pub no_start: bool,
}

/// End the agent, remove everything as `down` does, and delete the files that `install` wrote. Network file
/// and keys stay.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "uninstall")]
pub struct UninstallCommand {
    /// uninstall from this folder, such as the root of an image
    #[argh(option)]
    pub root: Option<PathBuf>,
}

impl Cli {
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

/// Parses the seconds of `--confirm`. The key `confirm_reload` of the network file has the same bounds.
fn confirmation_time(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .and_then(model::confirmation_time)
        .ok_or_else(|| "give a number of seconds, 1 to 86400".to_owned())
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
            let parsed = Cli::from_args(&["portals"], &words).map(|cli| cli.command);
            let argument = match parsed.unwrap_or_else(|exit| panic!("{line}: {}", exit.output)) {
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
