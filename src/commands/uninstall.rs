//! `portals uninstall`: what `portals install` put here, away again.

use super::Status;
use super::install::Place;
use crate::base::error::Errors;
use crate::cli::Uninstall;
use crate::cli::output::say;
use crate::system::platform;

/// Ends the agent, closes its portals, and removes hook and program; network file and keys stay.
pub(super) fn run(options: &Uninstall) -> Result<Status, Errors> {
    let place = Place::open(options.root.as_deref())?;
    let found = place.look(&[], true)?;
    let steps = platform::uninstall(&place.layout, &found);
    place.carry_out(&steps, &[])?;
    let folder = place.layout.folder;
    if steps.is_empty() {
        say!("nothing to do: portals is not installed here");
    } else {
        say!("kept {folder} with the network file and the keys; to remove them too: rm -r {folder}");
    }
    Ok(Status::Done)
}
