//! Signals to the agent, as input of a descriptor.

use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use super::source::{Source, Task, Turn};
use crate::base::error::{Context as _, Result};

/// SIGHUP, SIGTERM, SIGINT and SIGCHLD of this process.
pub(super) struct Signals(SignalFd);

impl Signals {
    /// Blocks the signals and opens a descriptor for them. Called while the process has one thread, so that
    /// all later threads inherit the mask: a signal must not end the threads of the built-in WireGuard.
    pub(super) fn open() -> Result<Self> {
        let mut set = SigSet::empty();
        for signal in [Signal::SIGHUP, Signal::SIGTERM, Signal::SIGINT, Signal::SIGCHLD] {
            set.add(signal);
        }
        let context = || "cannot watch for signals".to_owned();
        set.thread_block().context(context)?;
        SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).context(context).map(Self)
    }

    /// Returns the next signal, if one has come in.
    pub(super) fn next(&self) -> Result<Option<Signal>> {
        let signal = self.0.read_signal().context(|| "cannot read a signal".to_owned())?;
        let number = signal.and_then(|signal| i32::try_from(signal.ssi_signo).ok());
        Ok(number.and_then(|number| Signal::try_from(number).ok()))
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Source for Signals {
    fn descriptors<'a>(&'a self, all: &mut Vec<BorrowedFd<'a>>) {
        all.push(self.as_fd());
    }

    fn turn(&mut self, turn: Turn) -> Result<Task> {
        if !turn.has_input {
            return Ok(Task::Nothing);
        }
        Ok(match self.next()? {
            Some(Signal::SIGHUP) => Task::Reload,
            // A call of the hook has ended, or a service: their own turns see to it.
            Some(Signal::SIGCHLD) | None => Task::Nothing,
            Some(_) => Task::End,
        })
    }
}
