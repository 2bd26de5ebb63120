//! `portals uninstall`: removes the files that `portals install` wrote.

use super::ExitStatus;
use super::install::InstallTarget;
use crate::base::error::Errors;
use crate::cli::UninstallCommand;
use crate::cli::output::say;
use crate::system::platform;

/// Ends the agent, removes its portals, and deletes hook and program. Network file and keys stay.
pub(super) fn run(options: &UninstallCommand) -> Result<ExitStatus, Errors> {
    let target = InstallTarget::open(options.root.as_deref())?;
    let found = target.compare(&[], true)?;
    let steps = platform::uninstall(&target.layout, &found);
    target.carry_out(&steps, &[])?;
    let folder = target.path(target.layout.folder);
    let folder = folder.display();
    if steps.is_empty() {
        match &options.root {
            Some(root) => say!("nothing to do: portals is not installed in {}", root.display()),
            None => say!("nothing to do: portals is not installed here"),
        }
    } else {
        say!("kept {folder} with the network file and the keys; to remove them as well: rm -r {folder}");
    }
    Ok(ExitStatus::Done)
}
