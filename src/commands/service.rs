//! `portals start`, `stop`, `restart` and `logs`: orders to the service manager of this platform.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use super::ExitStatus;
use super::install::{InstallTarget, need_root};
use crate::base::error::{Context as _, Error, Errors, Result};
use crate::cli::LogsCommand;
use crate::cli::output::{self, say};
use crate::engine::journal::Journal;
use crate::system::platform::{self, LogReader, ServiceAction};

/// Starts or ends the agent that is installed.
pub(super) fn order(order: ServiceAction) -> Result<ExitStatus, Errors> {
    need_root()?;
    let target = installed()?;
    if order == ServiceAction::Start && Journal::open()?.has_agent()? {
        say!("nothing to do: the agent runs");
        return Ok(ExitStatus::Done);
    }
    if order != ServiceAction::Stop && !target.has_network_file() {
        return Err(Error::failed(target.no_network()).into());
    }
    say!("{}", target.give_order(order)?);
    if order == ServiceAction::Stop {
        say!(
            "the kernel keeps the portals as they are, and nothing repairs them (the built-in WireGuard has closed \
             them); to remove them: portals down"
        );
    }
    Ok(ExitStatus::Done)
}

/// Shows the log of the agent that is installed.
pub(super) fn logs(options: &LogsCommand) -> Result<ExitStatus, Errors> {
    let &LogReader { show, follow, has_others } = installed()?.layout.log;
    let words = if options.follow { follow } else { show };
    let cannot_run = || ["cannot run ", words[0]].concat();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]);
    if !options.follow || !has_others {
        // It takes the place of this process.
        return Err(Error::failed(cannot_run()).because(command.exec()).into());
    }
    let mut reader = command.stdout(Stdio::piped()).spawn().context(cannot_run)?;
    let mut lines = BufReader::new(reader.stdout.take().expect("its output is a pipe"));
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).context(cannot_run)? > 0 {
        let text = String::from_utf8_lossy(&line);
        if text.contains("portals") {
            output::print(format_args!("{text}"));
            if !output::flush() {
                break;
            }
        }
        line.clear();
    }
    let _ = reader.kill();
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
