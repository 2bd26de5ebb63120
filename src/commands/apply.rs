//! `portals apply`: make the kernel match the network file, once.

use std::path::Path;
use std::time::Duration;

use super::confirm::leave_watcher;
use super::{Status, absolute, lock, show_done, ssh};
use crate::base::error::{Error, Errors};
use crate::base::sorted::SortedMap;
use crate::cli::Apply;
use crate::config::model::Mtu;
use crate::control::{Done, Question, ask};
use crate::engine::apply::OnFailure;
use crate::engine::converge::converge;
use crate::engine::journal::Journal;
use crate::engine::load::Files;
use crate::engine::trial::{Trial, must_confirm};
use crate::kernel::linux::Linux;
use crate::plan::closing;
use crate::services::{self, Program};
use crate::site::Site;
use crate::state::Backend;
use crate::state::words::count;

/// Applies all of it, or nothing. Where an agent runs it does that: it would otherwise put back what it knows.
pub(super) fn run(file: &Path, options: &Apply) -> Result<Status, Errors> {
    let confirm = options.confirm;
    let journal = Journal::open()?;
    let done = if journal.has_agent()? {
        // Faults are shown with the path that was typed.
        let files = Files::read(file)?;
        let mut kernel = Linux::open_for_one_look()?;
        if let Ok(site) = files.site(&mut kernel, &SortedMap::new()) {
            ssh::warn(&site, &mut kernel);
        }
        Done::from_fields(ask(&Question::Apply { file: absolute(file)?, confirm })?)?
    } else {
        apply_here(file, &journal, confirm)?
    };
    show_done(&done, file);
    Ok(Status::Done)
}

fn apply_here(file: &Path, journal: &Journal, confirm: Option<Duration>) -> Result<Done, Errors> {
    let trial = Trial::of(file);
    // One that nobody watches over was cut short, by a power cut for one.
    if !trial.is_watched() {
        trial.undo()?;
    }
    let files = Files::read(file)?;
    let resolved = files.resolved()?;
    // Before looking at the host, which others may be changing.
    let _lock = lock(journal)?;
    let mut kernel = Linux::open_for_one_look()?;
    let site = files.site(&mut kernel, &resolved)?;
    ssh::warn(&site, &mut kernel);
    if site.backend == Backend::BuiltIn && !site.tunnels.is_empty() {
        return Err(needs_agent().into());
    }
    // One that is waited for already, and that this one takes the place of, has to be undone also if this one fails.
    let is_first = !trial.is_watched();
    let begun = confirm.map_or(Ok(()), |time| {
        trial.begin(&files.text)?;
        leave_watcher(file, time)
    });
    let steps = begun.and_then(|()| converge(&mut kernel, journal, &site, OnFailure::Undo));
    if steps.is_err() && confirm.is_some() && is_first {
        trial.give_up()?;
    }
    let steps = steps?;
    if confirm.is_none() {
        trial.keep(&files.text).unwrap_or_else(|error| log::warn!("{error}"));
    }
    let note = confirm.map(must_confirm);
    let without_agent =
        without_failover(&site).into_iter().chain(without_measuring(&site)).chain(without_services(&site));
    let closing = closing(&site, &steps).into_iter();
    let notes = site.notes.iter().cloned().chain(closing).chain(without_agent).chain(note);
    Ok(Done { changes: steps.len(), notes: notes.collect() })
}

/// Nobody looks whether exits answer where no agent runs.
fn without_failover(site: &Site) -> Option<String> {
    let several = site.portals.iter().filter(|portal| portal.can_fail_over()).count();
    (several > 0).then(|| {
        let portals = count(several, "portal");
        format!("no agent runs, and without it the first exit of a list is used, be it up or not ({portals})")
    })
}

/// Nobody measures links where no agent runs.
fn without_measuring(site: &Site) -> Option<String> {
    let most = site.mtu.most();
    (site.mtu == Mtu::Measured).then(|| {
        format!(
            "no agent runs, and without it `mtu = \"auto\"` is {most}: nobody measures what links let pass"
        )
    })
}

/// Nobody keeps programs running where no agent runs.
fn without_services(site: &Site) -> Vec<String> {
    let counted =
        |(program, number): (&Program, usize)| format!("{} ({number} {})", program.purpose, program.name);
    let counted: Vec<String> = services::programs(site).map(counted).collect();
    let note = (!counted.is_empty()).then(|| {
        let counted = counted.join(", ");
        format!(
            "no agent runs, and without it there is no {counted}: start it with `portals run`, or at each boot with `portals install`"
        )
    });
    note.into_iter().chain(services::programs(site).filter_map(|(program, _)| program.missing())).collect()
}

fn needs_agent() -> Error {
    Error::failed(
        "the built-in WireGuard, which this site uses, lives only as long as the agent: use `portals run` (or load the kernel's \
         module: modprobe wireguard)",
    )
}
