//! `portals guard`: closes the portals from the start of the machine to the start of the agent.

use std::path::Path;

use super::ExitStatus;
use crate::base::error::Errors;
use crate::cli::output::say;
use crate::engine::close_portals::close_by_file;
use crate::engine::journal::Journal;
use crate::system::clock::LastKnown;

/// Closes the portals of the network file or, if that cannot be used, of the last confirmed one. A failure
/// does not stop it.
pub(super) fn run(file: &Path) -> Result<ExitStatus, Errors> {
    if Journal::open().and_then(|journal| journal.has_agent()).unwrap_or(false) {
        say!("nothing to do: the agent is at work");
        return Ok(ExitStatus::Done);
    }
    // The clock must be set before the agent's first handshake, and the unit of the agent may not set it.
    LastKnown::next_to(file).go_on();
    match close_by_file(file) {
        None => say!("nothing to close: {} has no portals of this site", file.display()),
        Some(closed) => say!("closed until the agent runs: the portals of {}", closed?.display()),
    }
    Ok(ExitStatus::Done)
}
