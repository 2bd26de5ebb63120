//! `portals down`: removes everything that portals has made on this machine.

use std::path::Path;

use super::{ExitStatus, lock};
use crate::base::error::{Error, Errors};
use crate::cli::output::{print_fault, say};
use crate::engine::apply::remove_all;
use crate::engine::commit_confirmed::CommitConfirmed;
use crate::engine::journal::Journal;
use crate::kernel::linux::Linux;
use crate::kernel::nftables::trace;
use crate::services::Supervisor;
use crate::state::words::count;
use crate::system::port_mapping;

/// Removes everything that portals has set up, without the network file or the keys, which may be gone. A
/// change that waits to be confirmed is undone as well, so that no later start returns to it.
pub(super) fn run(file: &Path) -> Result<ExitStatus, Errors> {
    let journal = Journal::open()?;
    if journal.has_agent()? {
        let agent = journal.agent_in_the_way();
        return Err(Error::failed([&agent, "; it would put everything back"].concat()).into());
    }
    let _lock = lock(&journal)?;
    // A file that cannot be written must not keep the rest from being removed.
    if let Err(error) = CommitConfirmed::of(file).undo() {
        print_fault(&error.to_string());
    }
    port_mapping::give_back(journal.folder());
    let services = Supervisor::open(journal.folder()).and_then(|mut left| left.clear());
    let steps = remove_all(&mut Linux::open()?, &journal)?;
    services?;
    trace::remove_leftover();
    match steps.len() {
        0 => say!("nothing to do: portals has set up nothing on this machine"),
        number => say!("removed everything that portals had set up: {}", count(number, "change")),
    }
    Ok(ExitStatus::Done)
}
