//! `portals run`: the agent.

use std::path::Path;

use super::Status;
use crate::agent::Agent;
use crate::cli::Run;
use crate::error::Errors;
use crate::notify;

/// Applies, stays, watches and repairs, until SIGTERM or SIGINT.
pub(super) fn run(file: &Path, options: &Run) -> Result<Status, Errors> {
    let mut agent = Agent::start(file)?;
    agent.stay()?;
    notify::tell(notify::STOPPING);
    if options.down_on_exit {
        agent.remove_all()?;
    }
    Ok(Status::Done)
}
