//! `portals confirm`: keep what `apply --confirm` has changed; and the waiting for it where no agent runs.

use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::unistd::setsid;

use super::{Status, absolute, lock};
use crate::base::error::{Context as _, Error, Errors, Result};
use crate::cli::Confirm;
use crate::cli::output::say;
use crate::control::{Question, ask};
use crate::engine::apply::{OnFailure, remove_all};
use crate::engine::converge::converge;
use crate::engine::journal::Journal;
use crate::engine::load::Files;
use crate::engine::trial::{Trial, Undone};
use crate::kernel::linux::Linux;

/// This program, also if its file has been replaced meanwhile.
const OURSELVES: &str = "/proc/self/exe";

/// Confirms, or waits for somebody who does.
pub(super) fn run(file: &Path, options: &Confirm) -> Result<Status, Errors> {
    if let Some(time) = options.wait {
        return wait(file, time);
    }
    let journal = Journal::open()?;
    if journal.has_agent()? {
        ask(&Question::Confirm)?;
    } else {
        // Who undoes holds it, too: both cannot be.
        let _lock = lock(&journal)?;
        Trial::of(file).confirm()?;
    }
    say!("confirmed: it stays");
    Ok(Status::Done)
}

/// Leaves a process behind that undoes the change unless it is confirmed; it is no child of the shell, whose end does not end it.
pub(super) fn leave_watcher(file: &Path, time: Duration) -> Result<()> {
    let doing =
        || "the change is not begun, since nobody would undo it: cannot start a process for that".to_owned();
    let mut command = Command::new(OURSELVES);
    command.arg("confirm").arg("--wait").arg(time.as_secs().to_string()).arg("--config").arg(absolute(file)?);
    command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut watcher = command.spawn().doing(doing)?;
    let mut ready = [0];
    let is_ready = watcher.stdout.take().map_or(Ok(0), |mut pipe| pipe.read(&mut ready)).doing(doing)? == 1;
    if is_ready { Ok(()) } else { Err(Error::failed(doing())) }
}

/// Waits, and undoes what nobody has confirmed.
fn wait(file: &Path, time: Duration) -> Result<Status, Errors> {
    // Nothing that ends the shell and what it has started shall end this.
    setsid().doing(|| "cannot leave the shell".to_owned())?;
    let trial = Trial::of(file);
    let watch = trial.watch()?;
    say!("waiting");
    if !watch.wait(time)? {
        return Ok(Status::Done);
    }
    let journal = Journal::open()?;
    let _lock = lock(&journal)?;
    if watch.is_there() {
        undo(&trial, file, &journal)?;
    }
    Ok(Status::Done)
}

fn undo(trial: &Trial, file: &Path, journal: &Journal) -> Result<(), Errors> {
    let mut kernel = Linux::open()?;
    match trial.settle() {
        (Undone::Nothing, _) => {}
        (Undone::Everything, _) => drop(remove_all(&mut kernel, journal)?),
        (Undone::Change, in_force) => {
            let files = Files::read_copy(file, &in_force)?;
            let site = files.site(&mut kernel, &files.resolved()?)?;
            converge(&mut kernel, journal, &site, OnFailure::Undo)?;
        }
    }
    Ok(())
}
