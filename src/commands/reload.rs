//! `portals reload` and `portals exit`: requests to the agent.

use std::path::Path;

use super::{ExitStatus, need_agent, show_done};
use crate::base::error::Errors;
use crate::cli::ExitCommand;
use crate::cli::output::say;
use crate::control::{ChangeReport, ControlRequest, ask};

/// Makes the agent read its network file again.
pub(super) fn reload(file: &Path) -> Result<ExitStatus, Errors> {
    show_done(&ask_agent(&ControlRequest::Reload)?, file);
    Ok(ExitStatus::Done)
}

/// Makes the agent move a portal to another exit.
pub(super) fn exit(options: &ExitCommand) -> Result<ExitStatus, Errors> {
    let ExitCommand { portal, exit } = options;
    let chosen = (exit != AUTO).then(|| exit.clone());
    let done = ask_agent(&ControlRequest::Exit { portal: portal.clone(), exit: chosen.clone() })?;
    match (chosen, done.changes) {
        (None, _) => say!("the agent chooses the exit of {portal} again"),
        (Some(exit), 0) => say!("{portal} leaves at {exit} already, and stays there"),
        (Some(exit), _) => say!("{portal} leaves at {exit} until the network file is read again"),
    }
    Ok(ExitStatus::Done)
}

/// Word in place of an exit: the agent chooses.
const AUTO: &str = "auto";

fn ask_agent(request: &ControlRequest) -> Result<ChangeReport, Errors> {
    need_agent()?;
    Ok(ChangeReport::from_fields(ask(request)?)?)
}
