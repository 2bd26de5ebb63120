//! `portals apply`: make the kernel match the network file, once.

use std::path::Path;

use super::{Status, show_notes};
use crate::apply::apply;
use crate::describe::count;
use crate::error::{Error, Errors};
use crate::journal::Journal;
use crate::kernel::linux::Linux;
use crate::load::{Files, resolve};
use crate::plan::plan;
use crate::state::Backend;

/// Applies all of it, or nothing.
pub(super) fn run(file: &Path) -> Result<Status, Errors> {
    let files = Files::read(file)?;
    let journal = Journal::open()?;
    let site = files.site(&resolve(files.names()?))?;
    if site.backend == Backend::BuiltIn && !site.tunnels.is_empty() && !journal.has_agent()? {
        return Err(Error::failed(
            "the built-in WireGuard, which this site uses, lives only as long as the agent: use `portals run` (or load the \
             kernel's module: modprobe wireguard)",
        )
        .into());
    }
    let _lock = journal.lock(|| eprintln!("another portals is changing this machine; waiting for it"))?;
    let steps = apply(&mut Linux::open()?, &journal, &plan(&site))?;
    show_notes(&site.notes);
    match steps.len() {
        0 => println!("nothing to do: this machine is as {} says", file.display()),
        number => println!("done: {}", count(number, "change")),
    }
    Ok(Status::Done)
}
