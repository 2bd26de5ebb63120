//! Interface between the poll loop and an event source of the agent.

use std::os::fd::BorrowedFd;
use std::time::Instant;

use super::failover::PortalMove;
use crate::base::error::Result;
use crate::base::net::IfName;
use crate::control::{ControlRequest, PageRequest, WaitingClient};
use crate::exchange::WholeFile;
use crate::kernel::Kernel;
use crate::kernel::sockets::HelperPacket;

/// Event source: wakes the agent up, and returns the work that is due.
pub(super) trait Source {
    /// Adds the descriptors to poll for input.
    fn descriptors<'a>(&'a self, _all: &mut Vec<BorrowedFd<'a>>) {}

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
    /// Answer a request of the process that shows the pages.
    AnswerPage(PageRequest),
    /// Decide about packets that may be requests of new sites.
    HearRequests(Vec<HelperPacket>),
    /// Send the answers to pasted requests that are due.
    Deliver,
}
