//! `portals confirm`: keeps the change of `apply --confirm`; and, where no agent runs, the process that waits
//! for the confirmation.

use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::time::Duration;

use nix::unistd::setsid;

use super::{ExitStatus, THIS_PROGRAM, lock};
use crate::base::error::{Context as _, Error, Errors, Result};
use crate::cli::ConfirmCommand;
use crate::cli::output::say;
use crate::control::{ControlRequest, ask};
use crate::engine::apply::{OnFailure, remove_all};
use crate::engine::commit_confirmed::{CommitConfirmed, UndoOutcome};
use crate::engine::converge::{Moved, converge};
use crate::engine::here::Here;
use crate::engine::journal::Journal;
use crate::engine::load::Files;
use crate::kernel::linux::Linux;
use crate::system::command::Command;
use crate::system::disk;

/// Confirms the waiting change, or waits for its confirmation.
pub(super) fn run(file: &Path, options: &ConfirmCommand) -> Result<ExitStatus, Errors> {
    if let Some(time) = options.wait {
        return wait(file, time);
    }
    let journal = Journal::open()?;
    if journal.has_agent()? {
        ask(&ControlRequest::Confirm)?;
    } else {
        // The process that undoes the change takes the lock, too: only one of the two can happen.
        let _lock = lock(&journal)?;
        CommitConfirmed::of(file).confirm()?;
    }
    say!("confirmed: the change stays");
    Ok(ExitStatus::Done)
}

/// Leaves a process behind that undoes the change unless it is confirmed. The process does not end with the
/// shell.
pub(super) fn leave_watcher(file: &Path, time: Duration) -> Result<()> {
    let context = || {
        "the change is not begun, because no process would undo it: cannot start a process for that"
            .to_owned()
    };
    let mut command = Command::new(THIS_PROGRAM);
    command.args(&["confirm", "--wait", &time.as_secs().to_string(), "--config"]).arg(disk::absolute(file)?);
    let (mut reader, writer) = io::pipe().context(context)?;
    command.current_dir(c"/").stdout(writer.as_fd()).spawn().context(context)?;
    drop(writer);
    let is_ready = reader.read(&mut [0]).context(context)? == 1;
    if is_ready { Ok(()) } else { Err(Error::failed(context())) }
}

/// Waits for the confirmation, and undoes the change if none comes in time.
fn wait(file: &Path, time: Duration) -> Result<ExitStatus, Errors> {
    // A signal that ends the shell and the shell's processes must not end this one.
    setsid().context(|| "cannot leave the shell".to_owned())?;
    let mut change = CommitConfirmed::of(file);
    let watch = change.watch()?;
    say!("waiting");
    if !watch.wait(time)? {
        return Ok(ExitStatus::Done);
    }
    let journal = Journal::open()?;
    let _lock = lock(&journal)?;
    if watch.is_there() {
        undo(&mut change, file, &journal)?;
    }
    Ok(ExitStatus::Done)
}

fn undo(change: &mut CommitConfirmed, file: &Path, journal: &Journal) -> Result<(), Errors> {
    match change.settle() {
        (UndoOutcome::Nothing, _) => {}
        (UndoOutcome::Everything, _) => drop(remove_all(&mut Linux::open()?, journal)?),
        (UndoOutcome::Change, in_force) => {
            let files = Files::read_copy(file, &in_force)?;
            let resolved = files.resolved()?;
            let Here { kernel, site, .. } = &mut *Here::with(files, &resolved)?;
            converge(kernel, journal, site, None, Moved::default(), OnFailure::Undo)?;
        }
    }
    Ok(())
}
