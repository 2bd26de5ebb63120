//! `portals start`, `stop`, `restart` and `logs`, and `install` for the program of a package: orders to the
//! service manager of this platform.

use super::install::{self, InstallTarget, need_root, run_program};
use super::{ExitStatus, has_agent, this_program};
use crate::base::error::{Error, Errors, Result};
use crate::cli::output::say;
use crate::cli::{InstallCommand, LogsCommand};
use crate::engine::journal::Journal;
use crate::system::packages;
use crate::system::platform::{self, Layout, ServiceAction};

/// Installs this program and starts the agent. A package has installed its program already: only its boot
/// hook may be off.
pub(super) fn install(options: &InstallCommand) -> Result<ExitStatus, Errors> {
    let is_packaged = || this_program().is_ok_and(|program| packages::has_brought(&program));
    if options.root.is_some() || !is_packaged() {
        return install::run(options);
    }
    need_root()?;
    if !options.no_start {
        order(ServiceAction::Start)?;
    }
    enable(&InstallTarget::find(None)?)?;
    Ok(ExitStatus::Done)
}

/// Makes the init start the agent of a package at boot, as the package itself did unless somebody has
/// disabled its boot hook.
fn enable(target: &InstallTarget) -> Result<()> {
    let Layout { platform, keeper, .. } = &target.layout;
    let commands = keeper.enabling();
    if commands.is_empty() {
        return Err(Error::failed(["no package of portals has a boot hook for ", platform].concat()));
    }
    for command in commands {
        run_program(command)?;
    }
    say!("enabled: the agent starts at each boot");
    Ok(())
}

/// Starts or ends the agent that is installed.
pub(super) fn order(order: ServiceAction) -> Result<ExitStatus, Errors> {
    need_root()?;
    let target = installed()?;
    if order == ServiceAction::Start && has_agent()? {
        say!("nothing to do: the agent runs");
        return Ok(ExitStatus::Done);
    }
    if order != ServiceAction::Stop && !target.has_network_file() {
        return Err(Error::failed(target.no_network()).into());
    }
    say!("{}", target.give_order(order)?);
    if order == ServiceAction::Stop {
        say!(
            "the kernel keeps the portals as they are, and nothing repairs them (the built-in WireGuard has \
             closed them); to remove them: portals down"
        );
    }
    Ok(ExitStatus::Done)
}

/// Shows the log of the agent that is installed.
pub(super) fn logs(options: &LogsCommand) -> Result<ExitStatus, Errors> {
    let log = installed()?.layout.log;
    run_program(if options.follow { log.follow } else { log.show })?;
    Ok(ExitStatus::Done)
}

/// Returns this machine, on which portals must be installed.
fn installed() -> Result<InstallTarget> {
    let target = InstallTarget::find(None)?;
    if platform::is_installed(&target.layout) {
        return Ok(target);
    }
    let journal = Journal::open()?;
    Err(Error::failed(if journal.has_agent()? {
        ["portals is not installed here, but ", &journal.agent_in_the_way()].concat()
    } else {
        "portals is not installed here: `portals install` makes this machine start it, now and at every boot"
            .to_owned()
    }))
}
