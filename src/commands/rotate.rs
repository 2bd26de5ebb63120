//! `portals rotate`: a new key for this site.

use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use super::push::{agent_status, signed_network};
use super::{ExitStatus, wait_for_random_numbers};
use crate::base::error::{Error, Errors};
use crate::base::path::folder_of;
use crate::cli::RotateCommand;
use crate::cli::output::{complain, say};
use crate::control::{ControlRequest, ask};
use crate::engine::own_key;

/// Time between two looks at the progress.
const LOOK: Duration = Duration::from_millis(300);

/// Effect of a network without admin keys, and the way out.
const CUT_OFF: &str = "the other sites would not take the new key, and this site would be cut off: make an \
                       admin key with `portals sign --create`, carry the file to each site once, and run \
                       `portals rotate` then";

/// Asks the agent for a new key, and waits until it is in force, or given up.
pub(super) fn run(file: &Path, options: &RotateCommand) -> Result<ExitStatus, Errors> {
    signed_network(file, CUT_OFF)?;
    wait_for_random_numbers();
    let answer = ask(&ControlRequest::Rotate { leaves_behind: options.leave_behind })?;
    let mut fields = answer.into_iter();
    let key = fields.next().unwrap_or_default();
    complain!(
        "the linked sites get the network file with the new key; this takes a minute and a half at most"
    );
    loop {
        let status = agent_status()?;
        if status.is_rotating {
            sleep(LOOK);
            continue;
        }
        let (_, network) = signed_network(file, CUT_OFF)?;
        if own_key::owner(&folder_of(file), &network).is_some_and(|own| own.to_string() == key) {
            break;
        }
        let problem = status.file_problem.unwrap_or_else(|| "this site keeps its old key".to_owned());
        return Err(Error::failed(problem).into());
    }
    say!("this site has a new key:\n  {key}");
    for note in fields {
        complain!("note: {note}");
    }
    Ok(ExitStatus::Done)
}
