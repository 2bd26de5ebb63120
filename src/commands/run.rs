//! `portals run`: runs the agent.

use std::path::Path;

use super::ExitStatus;
use crate::agent::Agent;
use crate::base::error::Errors;
use crate::cli::RunCommand;
use crate::kernel::nftables::trace;
use crate::system::logging as log;
use crate::system::notify;
use crate::system::open_files;

/// Runs the agent until SIGTERM or SIGINT. If the agent cannot start, the portals are closed until it can.
pub(super) fn run(file: &Path, options: &RunCommand) -> Result<ExitStatus, Errors> {
    if let Err(error) = open_files::raise_limit() {
        log::warn!("{error}");
    }
    trace::remove_leftover();
    let agent = Agent::start_or_close(file)?;
    if let Some(mut agent) = agent {
        agent.stay()?;
        notify::tell(notify::STOPPING);
        if options.down_on_exit {
            agent.remove_all()?;
        }
    } else if options.down_on_exit {
        super::down::run(file)?;
    }
    Ok(ExitStatus::Done)
}
