//! `portals guard`: nothing that enters a portal leaves between the start of the machine and that of the agent.

use std::path::Path;

use super::Status;
use crate::base::error::Errors;
use crate::cli::output::say;
use crate::engine::closing::close_by_file;
use crate::engine::journal::Journal;
use crate::system::clock::LastKnown;

/// Closes the portals of the network file, or of the one that was in force before, past what fails.
pub(super) fn run(file: &Path) -> Result<Status, Errors> {
    if Journal::open().and_then(|journal| journal.has_agent()).unwrap_or(false) {
        say!("nothing to do: the agent is at work");
        return Ok(Status::Done);
    }
    // The agent's first handshake comes later, and the unit of the agent may not set the clock.
    LastKnown::beside(file).go_on();
    match close_by_file(file) {
        None => say!("nothing to close: {} has no portals of this site", file.display()),
        Some(closed) => say!("closed until the agent runs: the portals of {}", closed?.display()),
    }
    Ok(Status::Done)
}
