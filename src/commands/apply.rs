//! `portals apply`: make the kernel match the network file, once.

use std::path::{Path, PathBuf};

use super::{Status, show_notes};
use crate::apply::OnFailure;
use crate::control::{Done, Question, ask};
use crate::converge::converge;
use crate::describe::count;
use crate::error::{Context as _, Error, Errors, Result};
use crate::journal::Journal;
use crate::kernel::linux::Linux;
use crate::load::Files;
use crate::site::{Portal, Site};
use crate::state::Backend;

/// Applies all of it, or nothing. Where an agent runs it does that: it would otherwise put back what it knows.
pub(super) fn run(file: &Path) -> Result<Status, Errors> {
    let files = Files::read(file)?;
    let journal = Journal::open()?;
    let Done { changes, notes } = if journal.has_agent()? {
        ask(&Question::Apply(absolute(file)?))?
    } else {
        apply_here(&files, &journal)?
    };
    show_notes(&notes);
    match changes {
        0 => println!("nothing to do: this machine is as {} says", file.display()),
        number => println!("done: {}", count(number, "change")),
    }
    Ok(Status::Done)
}

/// The agent has a working folder of its own.
fn absolute(file: &Path) -> Result<PathBuf> {
    std::path::absolute(file).doing(|| format!("cannot tell where {} is", file.display()))
}

fn apply_here(files: &Files, journal: &Journal) -> Result<Done, Errors> {
    let resolved = files.resolved()?;
    let mut kernel = Linux::open()?;
    let site = files.site(&mut kernel, &resolved)?;
    if site.backend == Backend::BuiltIn && !site.tunnels.is_empty() {
        return Err(needs_agent().into());
    }
    let _lock = journal.lock(|| eprintln!("another portals is changing this machine; waiting for it"))?;
    let changes = converge(&mut kernel, journal, &site, OnFailure::Undo)?.len();
    let notes = [site.notes.clone(), without_failover(&site).into_iter().collect()].concat();
    Ok(Done { changes, notes })
}

/// Nobody looks whether exits answer where no agent runs.
fn without_failover(site: &Site) -> Option<String> {
    let several = site.portals.iter().filter(|portal| portal.can_fail_over());
    let names: Vec<String> = several.map(|Portal { name, exit, .. }| format!("`{name}` at {exit}")).collect();
    (!names.is_empty()).then(|| {
        let names = names.join(", ");
        format!(
            "without the agent (`portals run`) a portal leaves at the first exit of its list alone: {names}"
        )
    })
}

fn needs_agent() -> Error {
    Error::failed(
        "the built-in WireGuard, which this site uses, lives only as long as the agent: use `portals run` (or load the kernel's \
         module: modprobe wireguard)",
    )
}
