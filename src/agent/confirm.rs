//! Changes of the network file: applied, and undone if a change needs a confirmation that does not come in
//! time.

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::reconcile::Applied;
use super::rotate::CHANGED;
use super::source::{Source, Task, Turn};
use super::{Agent, log_errors};
use crate::base::error::{Errors, Result};
use crate::base::moment::is_due;
use crate::engine::apply::OnFailure;
use crate::engine::commit_confirmed::{CommitConfirmed, Version, must_confirm};
use crate::engine::load::Files;
use crate::site::{self, Site};
use crate::system::logging as log;

/// Demand for a confirmation of a network file that is read again.
#[derive(Debug, Clone, Copy)]
pub(super) enum Confirmation {
    /// The file is in force for good, even if it replaces a change that waits to be confirmed.
    NotNeeded,
    /// The file is undone after this time, unless it is confirmed.
    Within(Duration),
    /// The file is undone after a time if it, or the file before it, says so, or if the file before it waits
    /// to be confirmed.
    AsTheFileSays,
}

impl Version for Rc<Files> {
    fn text(&self) -> Option<&str> {
        Some(&self.text)
    }
}

impl Source for CommitConfirmed<Rc<Files>> {
    fn deadline(&self) -> Option<Instant> {
        self.deadline()
    }

    fn turn(&mut self, turn: Turn) -> Result<Task> {
        Ok(if is_due(self.deadline(), turn.now) { Task::UndoChange } else { Task::Nothing })
    }
}

impl Agent {
    /// Reads the network file again, and makes the host match it. If the file is refused, the file in force
    /// stays in force.
    pub(super) fn reload(&mut self, confirmation: Confirmation) -> Result<Applied, Errors> {
        log::info!("reloading {}", self.file.display());
        self.kernel.look_for_wireguard()?;
        let (site, time) = self.read_again(confirmation).inspect_err(|_| {
            log::error!("{} cannot be used; the network file before it stays in force:", self.file.display());
        })?;
        let result = self.apply(site, "the network file was read again", OnFailure::Undo);
        if result.is_err()
            && let Some(before) = self.sources.confirmation.failed()
        {
            // Nothing of the failed change is in force, and nothing is left to be confirmed or tried again.
            log_errors(&self.return_to(before));
            return result;
        }
        let mut applied = self.or_retry(result)?;
        if let Some(time) = time {
            let note = must_confirm(time);
            log::warn!("{note}");
            applied.notes.push(note);
        }
        Ok(applied)
    }

    /// Keeps the change that waits to be confirmed.
    pub(super) fn confirm(&mut self) -> Result<Applied, Errors> {
        self.sources.confirmation.confirm()?;
        log::info!("confirmed: {} stays in force", self.file.display());
        self.settle_key();
        if let Some(machine) = self.sources.helper_ports.exchange.machine() {
            machine.settle(Instant::now());
        }
        Ok(Applied::default())
    }

    /// Undoes the change that was not confirmed in time.
    pub(super) fn undo_change(&mut self) {
        if let Some(before) = self.sources.confirmation.go_back() {
            let problem = self.give_up_file(&before);
            log_errors(&self.return_to(before));
            if let Some(problem) = problem {
                self.sources.helper_ports.exchange.report(problem);
            }
        }
    }

    fn return_to(&mut self, before: Rc<Files>) -> Result<Applied, Errors> {
        self.go_by(before)?;
        self.attempt("a change of the network file was undone")
    }

    /// Reads the network file, and puts it in force. Returns the time in which it must be confirmed, if any.
    /// A file that is refused, even if only on this host, does not replace the one in force.
    fn read_again(&mut self, confirmation: Confirmation) -> Result<(Site, Option<Duration>), Errors> {
        let files = Files::read(&self.file)?;
        self.sources.tables.begin(&mut *self.kernel)?;
        let site = self.view(&files)?;
        let time = match confirmation {
            Confirmation::NotNeeded => None,
            Confirmation::Within(time) => Some(time),
            Confirmation::AsTheFileSays => {
                let left = self.sources.confirmation.deadline().map(|until| until - Instant::now());
                let is_other = files.text != self.files.text;
                let asked = confirm_reload(&files).or(confirm_reload(&self.files));
                asked.filter(|_| is_other).or(left)
            }
        };
        self.sources.confirmation.begin(&self.files, &files.text, time)?;
        self.go_by(Rc::new(files))?;
        Ok((site, time))
    }

    /// Puts these files in force.
    pub(super) fn go_by(&mut self, files: Rc<Files>) -> Result<(), Errors> {
        if files.text != self.files.text && self.sources.helper_ports.exchange.take_staged().is_some() {
            self.give_up_key(CHANGED);
        }
        self.sources.names.ask(files.names()?, Instant::now());
        self.sources.exits.forget_chosen_by_hand();
        self.files = files;
        Ok(())
    }
}

fn confirm_reload(files: &Files) -> Option<Duration> {
    let own = site::own_name(&files.network, files.public_key).ok()?;
    files.network.sites[own].confirm_reload
}
