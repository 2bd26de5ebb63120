//! Changes of the network file: taken over, and undone if they had to be confirmed and nobody has.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{Agent, Applied, log_errors};
use crate::base::error::{Errors, Result};
use crate::engine::apply::OnFailure;
use crate::engine::load::Files;
use crate::engine::trial::{Trial, must_confirm, nothing_waits};
use crate::site::{self, Site};

/// Whether a file that is read again has to be confirmed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Test {
    /// It is in force for good, and what waited to be confirmed is replaced by it.
    Passed,
    /// Within this time.
    For(Duration),
    /// If it, or the one before it, says so; and if the one before it has to be confirmed.
    AsTheFileSays,
}

/// Whether what is in force is to stay.
#[derive(Debug)]
pub(super) struct Confirmation {
    trial: Trial,
    /// Until when it can be confirmed, and what was in force before.
    waiting: Option<(Instant, Files)>,
    /// The copy on disk is known to be what is in force.
    is_kept: bool,
}

impl Confirmation {
    /// Begins by undoing what an earlier agent, or this machine before it started again, was waiting for. Names the file that is in
    /// force: the network file, or its confirmed copy where nothing can be written.
    pub(super) fn open(file: &Path) -> (Self, PathBuf) {
        let trial = Trial::of(file);
        let (_, in_force) = trial.settle();
        // A copy that cannot be written stays as it is.
        let is_kept = in_force != file;
        (Self { trial, waiting: None, is_kept }, in_force)
    }

    /// Until when what is in force can be confirmed.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.waiting.as_ref().map(|(until, _)| *until)
    }

    /// What is in force has stood the test of the kernel: unless it waits to be confirmed, it is kept.
    pub(super) fn is_in_force(&mut self, files: &Files) {
        if self.waiting.is_none() && !self.is_kept {
            // Once for each file: a folder that cannot be written stays so.
            self.is_kept = true;
            if let Err(error) = self.trial.keep(&files.text) {
                log::warn!("{error}");
            }
        }
    }

    /// Another file is about to be in force.
    fn begin(&mut self, now: &Files, next: &Files, time: Option<Duration>) -> Result<()> {
        self.is_kept = false;
        let Some(time) = time else {
            self.waiting = None;
            return Ok(());
        };
        if self.waiting.is_none() {
            self.trial.keep(&now.text)?;
        }
        self.trial.begin(&next.text)?;
        let before = self.waiting.take().map_or_else(|| now.clone(), |(_, before)| before);
        self.waiting = Some((Instant::now() + time, before));
        Ok(())
    }

    /// It stays.
    fn confirm(&mut self) -> Result<()> {
        self.waiting.as_ref().ok_or_else(nothing_waits)?;
        self.trial.confirm()?;
        self.waiting = None;
        self.is_kept = true;
        Ok(())
    }
}

impl Agent {
    /// Reads the files again, and makes the machine match. If they are refused, what stands goes on.
    pub(super) fn reload(&mut self, test: Test) -> Result<Applied, Errors> {
        log::info!("reloading {}", self.file.display());
        self.kernel.look_for_wireguard()?;
        let is_first = self.confirmation.waiting.is_none();
        let (site, time) = self.read_again(test).inspect_err(|_| {
            log::error!("{} cannot be used; what stood before goes on:", self.file.display());
        })?;
        let result = self.apply(site, "the file was read again", OnFailure::Undo);
        if result.is_err() && time.is_some() && is_first {
            // Of what failed nothing stands; nothing is left to be confirmed, or to be tried again.
            log_errors(&self.go_back(Trial::give_up));
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

    /// Keeps what waits to be confirmed.
    pub(super) fn confirm(&mut self) -> Result<Applied, Errors> {
        self.confirmation.confirm()?;
        log::info!("confirmed: {} stays in force", self.file.display());
        Ok(Applied::default())
    }

    /// Undoes what nobody has confirmed in time.
    pub(super) fn look_at_confirmation(&mut self) {
        if self.confirmation.deadline().is_some_and(|until| until <= Instant::now()) {
            log_errors(&self.go_back(|trial| trial.undo().map(drop)));
        }
    }

    /// Has what was in force before in force again, here and, by `on_disk`, at the next start.
    fn go_back(&mut self, on_disk: impl FnOnce(&Trial) -> Result<()>) -> Result<Applied, Errors> {
        let Some((_, before)) = self.confirmation.waiting.take() else { return Ok(Applied::default()) };
        if let Err(error) = on_disk(&self.confirmation.trial) {
            // The machine goes back all the same; what is on the disk is left for the next start.
            log::error!("{error}");
            self.confirmation.is_kept = true;
        }
        self.take(before)?;
        self.attempt("a change was undone")
    }

    /// What is refused, be it only in view of this host, does not take the place of what works. For how long it is taken, if not for
    /// good.
    fn read_again(&mut self, test: Test) -> Result<(Site, Option<Duration>), Errors> {
        let files = Files::read(&self.file)?;
        self.tables.begin()?;
        let site = files.site(&mut self.kernel, &self.names.addresses())?;
        let time = match test {
            Test::Passed => None,
            Test::For(time) => Some(time),
            Test::AsTheFileSays => {
                let left = self.confirmation.deadline().map(|until| until - Instant::now());
                let is_other = files.text != self.files.text;
                let asked = confirm_reload(&files).or(confirm_reload(&self.files));
                asked.filter(|_| is_other).or(left)
            }
        };
        self.confirmation.begin(&self.files, &files, time)?;
        self.take(files)?;
        Ok((site, time))
    }

    /// From now on these files count.
    fn take(&mut self, files: Files) -> Result<(), Errors> {
        self.names.ask(files.names()?, Instant::now());
        self.exits.let_go();
        self.files = files;
        Ok(())
    }
}

fn confirm_reload(files: &Files) -> Option<Duration> {
    let own = site::own_name(&files.network, files.public_key).ok()?;
    files.network.sites[own].confirm_reload
}
