//! Commit confirmed: a change of the network file that is undone unless a person confirms it in time. The
//! agent and the commands share this one state machine:
//!
//! | state | transition | next state | on disk |
//! |---|---|---|---|
//! | settled | [`begin`] with a time | waiting | the copy of the new file is written |
//! | waiting | [`begin`] with a time | waiting, with a new deadline | the copy of the new file is replaced |
//! | either | [`begin`] for good, [`is_in_force`] | settled | the confirmed copy is written |
//! | waiting | [`confirm`] | settled | the copy of the new file becomes the confirmed one |
//! | waiting | [`failed`] | settled | the copy of the new file is removed |
//! | waiting | [`undo`], [`go_back`], [`settle`] | settled | the confirmed copy becomes the network file |
//!
//! The agent keeps the deadline in its poll loop. Without an agent, a process that `portals apply` leaves
//! behind keeps the deadline, and holds a [`CopyWatch`].
//!
//! [`begin`]: CommitConfirmed::begin
//! [`is_in_force`]: CommitConfirmed::is_in_force
//! [`confirm`]: CommitConfirmed::confirm
//! [`failed`]: CommitConfirmed::failed
//! [`undo`]: CommitConfirmed::undo
//! [`go_back`]: CommitConfirmed::go_back
//! [`settle`]: CommitConfirmed::settle

mod copies;
#[cfg(test)]
mod tests;
mod watch;

use std::mem;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::base::error::{Error, Result};
use crate::base::moment::after;
use crate::system::logging as log;
use copies::Copies;
pub use copies::UndoOutcome;
pub use watch::CopyWatch;

/// Version of the network file that can come into force again.
pub trait Version: Clone {
    /// Returns the text of the network file, if it is known here.
    fn text(&self) -> Option<&str>;
}

/// Version that only the copies on disk know.
impl Version for () {
    fn text(&self) -> Option<&str> {
        None
    }
}

/// Network file in force, for good or until a change is confirmed. `V` is the version that comes into force
/// again after an undo.
#[derive(Debug)]
pub struct CommitConfirmed<V = ()> {
    copies: Copies,
    state: CommitState<V>,
}

#[derive(Debug)]
enum CommitState<V> {
    /// The network file is in force for good.
    Settled {
        /// Set if the confirmed copy on disk is the file in force, or cannot be written.
        is_kept: bool,
    },
    /// The network file is in force until the deadline, unless it is confirmed.
    Waiting {
        /// End of the wait; none if another process keeps the deadline.
        deadline: Option<Instant>,
        /// Version that was in force before.
        before: V,
        /// Set if no other change waited when this one began.
        is_first: bool,
    },
}

impl CommitConfirmed {
    /// Reads the state on disk, for a command. The deadline of a waiting change is known only to the process
    /// that keeps it.
    pub fn of(file: &Path) -> Self {
        let copies = Copies::of(file);
        let state = if copies.is_unconfirmed() {
            CommitState::Waiting { deadline: None, before: (), is_first: false }
        } else {
            CommitState::Settled { is_kept: false }
        };
        Self { copies, state }
    }

    /// Undoes a waiting change that was cut short, for example by a power cut, so that no process keeps its
    /// deadline any more.
    pub fn undo_if_unwatched(&mut self) -> Result<()> {
        if !watch::is_watched(&self.copies.unconfirmed()) {
            self.undo()?;
        }
        Ok(())
    }

    /// Takes over the deadline of the waiting change.
    pub fn watch(&self) -> Result<CopyWatch> {
        CopyWatch::open(self.copies.unconfirmed())
    }

    /// Undoes the waiting change.
    ///
    /// # Errors
    /// If the files cannot be written: the change is still to be undone then.
    pub fn undo(&mut self) -> Result<UndoOutcome> {
        let undone = self.copies.undo()?;
        self.state = CommitState::Settled { is_kept: false };
        Ok(undone)
    }
}

impl<V: Version> CommitConfirmed<V> {
    /// Begins at the start of an agent: undoes a change that an earlier agent, or this machine before a power
    /// cut, was waiting for. Returns the file in force as [`settle`](Self::settle) does.
    pub fn open(file: &Path) -> (Self, PathBuf) {
        let mut change = Self { copies: Copies::of(file), state: CommitState::Settled { is_kept: false } };
        let (_, in_force) = change.settle();
        (change, in_force)
    }

    /// Returns the time at which the agent must [`go_back`](Self::go_back); none if no change waits.
    pub fn deadline(&self) -> Option<Instant> {
        match self.state {
            CommitState::Settled { .. } => None,
            CommitState::Waiting { deadline, .. } => deadline,
        }
    }

    /// Reports whether the network file on disk is in force for good, for the next start, too.
    pub fn is_settled(&self) -> bool {
        matches!(self.state, CommitState::Settled { .. }) && !self.copies.is_unconfirmed()
    }

    /// Takes note that the network file `next` is about to come into force in the place of `now`: for `time`,
    /// or for good.
    ///
    /// # Errors
    /// If the copies cannot be written: the change must not begin then, because it could not be undone.
    pub fn begin(&mut self, now: &V, next: &str, time: Option<Duration>) -> Result<()> {
        let is_first = matches!(self.state, CommitState::Settled { .. });
        if is_first || time.is_none() {
            self.state = CommitState::Settled { is_kept: false };
        }
        let Some(time) = time else { return Ok(()) };
        if let Some(text) = now.text().filter(|_| is_first) {
            self.copies.keep(text)?;
        }
        self.copies.begin(next)?;
        let before = match mem::replace(&mut self.state, CommitState::Settled { is_kept: false }) {
            CommitState::Settled { .. } => now.clone(),
            CommitState::Waiting { before, .. } => before,
        };
        self.state = CommitState::Waiting { deadline: Some(after(Instant::now(), time)), before, is_first };
        Ok(())
    }

    /// Takes note that the network file with this text is in force. Unless it waits to be confirmed, keeps a
    /// copy of it.
    pub fn is_in_force(&mut self, text: &str) {
        if let CommitState::Settled { is_kept: is_kept @ false } = &mut self.state {
            // Once for each file: a folder that cannot be written stays so.
            *is_kept = true;
            if let Err(error) = self.copies.keep(text) {
                log::warn!("{error}");
            }
        }
    }

    /// Takes note that the change that has begun could not be applied. If it is the only one that waits,
    /// nothing of it is in force: it ends, and the version before it is returned. A change that has replaced
    /// another waiting one still has to be undone.
    pub fn failed(&mut self) -> Option<V> {
        match self.state {
            CommitState::Waiting { is_first: true, .. } => self.end(Copies::give_up),
            _ => None,
        }
    }

    /// Puts the waiting change in force for good.
    ///
    /// # Errors
    /// If no change waits, or the copy cannot be renamed.
    pub fn confirm(&mut self) -> Result<()> {
        if matches!(self.state, CommitState::Settled { .. }) {
            return Err(nothing_waits());
        }
        self.copies.confirm()?;
        self.state = CommitState::Settled { is_kept: true };
        Ok(())
    }

    /// Undoes the waiting change, and returns the version before it.
    pub fn go_back(&mut self) -> Option<V> {
        self.end(|copies| copies.undo().map(drop))
    }

    /// Undoes the waiting change. Returns the file in force: the network file or, if that cannot be written,
    /// the confirmed copy. The machine goes back in either case.
    pub fn settle(&mut self) -> (UndoOutcome, PathBuf) {
        let (undone, in_force) = self.copies.settle();
        // A copy that cannot be written stays as it is.
        self.state = CommitState::Settled { is_kept: in_force != self.copies.file() };
        (undone, in_force)
    }

    /// Returns the path of the confirmed copy.
    pub fn confirmed(&self) -> PathBuf {
        self.copies.confirmed()
    }

    /// Ends the wait. If the files cannot be written, the machine goes back all the same, and the next start
    /// finds the files as they are.
    fn end(&mut self, on_disk: fn(&Copies) -> Result<()>) -> Option<V> {
        match mem::replace(&mut self.state, CommitState::Settled { is_kept: false }) {
            CommitState::Waiting { before, .. } => {
                let is_kept = on_disk(&self.copies).inspect_err(|error| log::error!("{error}")).is_err();
                self.state = CommitState::Settled { is_kept };
                Some(before)
            }
            settled @ CommitState::Settled { .. } => {
                self.state = settled;
                None
            }
        }
    }
}

/// Returns the note for a person who has begun a change that waits for its confirmation.
pub fn must_confirm(time: Duration) -> String {
    format!("this is undone in {} s, unless you confirm it: portals confirm", time.as_secs())
}

fn nothing_waits() -> Error {
    Error::failed(
        "nothing waits to be confirmed: no change was made with --confirm, or the change was undone because \
         it was not confirmed in time",
    )
}
