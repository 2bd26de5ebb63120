//! What can be typed.

mod files;
pub mod output;
mod phone;
pub mod style;

use std::path::{Path, PathBuf};
use std::time::Duration;

use argh::{ArgsInfo, FromArgs};

use crate::base::net::Cidr;
use crate::config::model;
pub use files::{Export, Import};
pub use phone::{Phone, PhoneAdd, PhoneCommand, PhoneShow};

/// Traffic goes in at one site and comes out at another. `--config` and `--verbose` may stand before or behind the command.
#[derive(FromArgs, ArgsInfo, Debug)]
pub struct Cli {
    /// the network file (default: network.toml in /etc/portals, /config/portals on EdgeOS, /data/portals on UniFi OS)
    #[argh(option, short = 'c', arg_name = "file")]
    pub config: Option<PathBuf>,

    /// show each change as it is made
    #[argh(switch, short = 'v')]
    pub verbose: bool,

    /// print the version and exit
    #[argh(switch, short = 'V')]
    pub version: bool,

    /// what to do
    #[argh(subcommand)]
    pub command: Option<Command>,
}

/// What to do.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
pub enum Command {
    /// `portals demo`
    Demo(Demo),
    /// `portals init`
    Init(Init),
    /// `portals plan`
    Plan(Plan),
    /// `portals apply`
    Apply(Apply),
    /// `portals confirm`
    Confirm(Confirm),
    /// `portals run`
    Run(Run),
    /// `portals guard`
    Guard(Guard),
    /// `portals reload`
    Reload(Reload),
    /// `portals exit`
    Exit(Exit),
    /// `portals phone`
    Phone(Phone),
    /// `portals import`
    Import(Import),
    /// `portals export`
    Export(Export),
    /// `portals down`
    Down(Down),
    /// `portals status`
    Status(Status),
    /// `portals install`
    Install(Install),
    /// `portals uninstall`
    Uninstall(Uninstall),
}

/// See it work: two sites, an internet and clients in namespaces of this machine. Needs no root, touches nothing.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "demo")]
pub struct Demo {
    /// leave it running, with the commands to look around, until Ctrl-C
    #[argh(switch)]
    pub keep: bool,
}

/// Make this site's key and a first network file.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "init",
    example = "portals init --site nyc --id 1 --endpoint nyc.example.net",
    note = "An existing network file or key is never overwritten. With an existing network file only the missing key is made."
)]
pub struct Init {
    /// name of the network (default: home)
    #[argh(option, default = "String::from(\"home\")")]
    pub network: String,

    /// name of this site, up to 12 of a-z 0-9 - (default: this host's name)
    #[argh(option)]
    pub site: Option<String>,

    /// number of this site, 1 to 250, unique in the network (default: 1)
    #[argh(option, default = "1")]
    pub id: u8,

    /// private IPv4 network for tunnels and portal LANs (default: 10.77.0.0/16)
    #[argh(option, default = "\"10.77.0.0/16\".parse().expect(\"a network\")")]
    pub subnet: Cidr,

    /// host name or address under which other sites reach this one; leave it out behind NAT
    #[argh(option)]
    pub endpoint: Option<String>,
}

/// Show what apply would change, one line each. Changes nothing.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "plan", error_code(3, "with --check: something would change"))]
pub struct Plan {
    /// print it as a shell script of ip, wg, nft and sysctl lines that does the same by hand
    #[argh(switch)]
    pub commands: bool,

    /// exit with status 3 if anything would change
    #[argh(switch)]
    pub check: bool,
}

/// Make the kernel match the network file, once: all of it, or nothing.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "apply",
    note = "Without --confirm, a change that still waits to be confirmed is confirmed by this one."
)]
pub struct Apply {
    /// go back to what was in force unless `portals confirm` comes within SECONDS, 1 to 86400; also if this shell ends or the
    /// machine starts again before
    #[argh(option, arg_name = "seconds", from_str_fn(confirmation_time))]
    pub confirm: Option<Duration>,
}

/// Keep what `apply --confirm` has changed.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "confirm",
    error_code(1, "nothing waits to be confirmed: it may have been too late")
)]
pub struct Confirm {
    /// do not confirm, but wait so many seconds for somebody who does, and undo the change if nobody comes: what `apply
    /// --confirm` leaves behind where no agent runs
    #[argh(option, arg_name = "seconds", from_str_fn(confirmation_time))]
    pub wait: Option<Duration>,
}

/// Close the portals until the agent runs: what boot hooks call before the network is up. Needs no key and no interface, and does
/// nothing where an agent runs.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "guard")]
pub struct Guard {}

/// The agent: apply, then stay, watch and repair. SIGHUP reads the file again; SIGTERM ends it and leaves everything in place.
/// If it cannot start, it closes the portals, and tries again when a file changes.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "run")]
pub struct Run {
    /// take everything away again when it ends
    #[argh(switch)]
    pub down_on_exit: bool,

    /// write the log to this file, and not to standard error; at 256 kB it becomes FILE.1, and that is gone
    #[argh(option, arg_name = "file")]
    pub log: Option<PathBuf>,
}

/// Have the agent read its network file again, as SIGHUP does, and tell what came of it.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "reload")]
pub struct Reload {}

/// Have a portal leave at another exit of its list, until the file is read again.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "exit",
    example = "portals exit guest oslo\nportals exit guest auto",
    note = "The portal stays there whether that exit answers or not: it fails closed."
)]
pub struct Exit {
    /// name of the portal
    #[argh(positional)]
    pub portal: String,

    /// name of an exit of its list, or `auto`: the agent chooses again
    #[argh(positional)]
    pub exit: String,
}

/// Take all of it away again; kernel settings go back to what they were.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "down")]
pub struct Down {}

/// Show links, portals and exits: state, age of the handshake, bytes.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "status")]
pub struct Status {
    /// print it as JSON
    #[argh(switch)]
    pub json: bool,

    /// print it as text for Prometheus, such as for the textfile collector of its node exporter
    #[argh(switch)]
    pub prometheus: bool,

    /// show it again every second until Ctrl-C
    #[argh(switch)]
    pub watch: bool,
}

/// Have the agent started at every boot: copies this program to where a firmware upgrade leaves it, writes the boot hook of this
/// platform (systemd, OpenRC, OpenWrt, EdgeOS, UniFi OS), and starts it. Run a newer one again to upgrade.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "install")]
pub struct Install {
    /// install into this folder, such as an image's, and start nothing
    #[argh(option)]
    pub root: Option<PathBuf>,

    /// do not start the agent now
    #[argh(switch)]
    pub no_start: bool,
}

/// End the agent, take all of it away as down does, and remove what install wrote. Network file and keys stay.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "uninstall")]
pub struct Uninstall {
    /// uninstall from this folder, such as an image's
    #[argh(option)]
    pub root: Option<PathBuf>,
}

impl Cli {
    /// Whether this works on unattended, and tells in its log what it does.
    pub fn is_service(&self) -> bool {
        matches!(self.command, Some(Command::Run(_) | Command::Confirm(Confirm { wait: Some(_) })))
    }

    /// The file for the log, if one is named.
    pub fn log_file(&self) -> Option<&Path> {
        match &self.command {
            Some(Command::Run(Run { log, .. })) => log.as_deref(),
            _ => None,
        }
    }
}

/// Seconds of `--confirm`; the network file's `confirm_reload` has the same bounds.
fn confirmation_time(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .and_then(model::confirmation_time)
        .ok_or_else(|| "give a number of seconds, 1 to 86400".to_owned())
}

/// Options that may stand anywhere, moved to the front, where the parser wants them.
pub fn globals_first(arguments: Vec<String>) -> Vec<String> {
    let mut globals = Vec::new();
    let mut rest = Vec::new();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--verbose" | "-v" => globals.push(argument),
            "--config" | "-c" => {
                globals.push(argument);
                globals.extend(arguments.next());
            }
            _ => match argument.strip_prefix("--config=") {
                Some(path) => globals.extend(["--config".to_owned(), path.to_owned()]),
                None => rest.push(argument),
            },
        }
    }
    globals.append(&mut rest);
    globals
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved(line: &str) -> String {
        globals_first(line.split(' ').map(str::to_owned).collect()).join(" ")
    }

    #[test]
    fn global_options_may_stand_anywhere() {
        assert_eq!(moved("plan --config x.toml --check"), "--config x.toml plan --check");
        assert_eq!(moved("apply -v --config=x.toml"), "-v --config x.toml apply");
        assert_eq!(moved("status --json"), "status --json");
        assert_eq!(moved("run --config"), "--config run");
    }
}
