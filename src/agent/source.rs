//! Interface between the poll loop and an event source of the agent.

use std::os::fd::BorrowedFd;
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};

use super::failover::PortalMove;
use crate::base::error::{Context as _, Result};
use crate::base::net::IfName;
use crate::control::{ControlRequest, WaitingClient};
use crate::exchange::WholeFile;
use crate::kernel::Kernel;
use crate::kernel::sockets::HelperPacket;
use crate::system::polling::poll_until;

/// Event source: wakes the agent up, and returns the work that is due.
pub(super) trait Source {
    /// Returns the descriptors to poll for input.
    fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        Vec::new()
    }

    /// Returns the time at which the source needs a turn even if no input has come.
    fn deadline(&self) -> Option<Instant> {
        None
    }

    /// Carries out the source's due work, and returns the work that only the agent can do. Never waits.
    ///
    /// # Errors
    /// If the agent cannot go on. The source logs every other failure itself.
    fn turn(&mut self, turn: Turn) -> Result<Task>;
}

/// Turn of a source: the state of the world when the turn begins.
pub(super) struct Turn<'a> {
    pub(super) kernel: &'a mut dyn Kernel,
    pub(super) now: Instant,
    /// Set if input has come in at a descriptor of the source.
    pub(super) has_input: bool,
}

/// Work that a source leaves to the agent.
#[derive(Debug)]
pub(super) enum Task {
    /// Empty task.
    Nothing,
    /// Read the network file again.
    Reload,
    /// End the agent.
    End,
    /// Wait for the end of a burst of changes that others make, then repair.
    MeetBurst,
    /// Repair the host, unless repairs pause.
    Repair,
    /// Make the host match the site, for this reason.
    Reconcile(&'static str),
    /// Make the host match the site, for this reason, unless repairs pause.
    ReconcileUnlessPaused(&'static str),
    /// Move portals to other exits, and doubt the endpoints of tunnels whose other end no longer answers.
    MovePortals {
        /// Interfaces of the exits that have just gone down.
        lost: Vec<IfName>,
        /// Portals that move.
        moves: Vec<PortalMove>,
    },
    /// Undo a change that was not confirmed in time.
    UndoChange,
    /// Put the network file of a linked site in force, if it may be.
    TakeFile(WholeFile),
    /// Keep the network file of a linked site, which has answered through its tunnel.
    KeepFile,
    /// Take the new key of this site into force: the linked sites have the network file with it.
    ChangeKey,
    /// Answer a request from the control socket.
    Answer(ControlRequest, WaitingClient),
    /// Decide about packets that may be requests of new sites.
    HearRequests(Vec<HelperPacket>),
    /// Send the answers to pasted requests that are due.
    Deliver,
}

/// Waits until a descriptor has input, or until `deadline`. Reports for each descriptor whether it has input.
pub(super) fn wait_for_input(descriptors: &[BorrowedFd], deadline: Option<Instant>) -> Result<Vec<bool>> {
    let mut polled: Vec<PollFd> =
        descriptors.iter().map(|descriptor| PollFd::new(*descriptor, PollFlags::POLLIN)).collect();
    match poll_until(&mut polled, deadline) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(errno) => return Err(errno).context(|| "cannot wait for events".to_owned()),
    }
    Ok(polled.iter().map(|descriptor| descriptor.any().unwrap_or(false)).collect())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::fd::AsFd as _;
    use std::time::Duration;

    use super::*;

    #[test]
    fn input_belongs_to_the_descriptor_that_has_it() {
        let (quiet, _quiet_writer) = std::io::pipe().unwrap();
        let (busy, mut writer) = std::io::pipe().unwrap();
        let inputs = |deadline| wait_for_input(&[quiet.as_fd(), busy.as_fd()], deadline).unwrap();
        assert_eq!(inputs(Some(Instant::now())), [false, false]);
        writer.write_all(b"x").unwrap();
        assert_eq!(inputs(None), [false, true]);
        assert_eq!(inputs(Some(Instant::now() + Duration::from_hours(1))), [false, true]);
    }
}
