//! `portals apply`: makes the host match the network file, once.

use std::path::Path;
use std::time::Duration;

use super::confirm::leave_watcher;
use super::{ExitStatus, lock, show_done, ssh};
use crate::base::error::{Error, Errors};
use crate::base::sorted::SortedMap;
use crate::base::text::append;
use crate::cli::ApplyCommand;
use crate::config::model::Mtu;
use crate::control::{ChangeReport, ControlRequest, ask};
use crate::engine::apply::OnFailure;
use crate::engine::commit_confirmed::{CommitConfirmed, must_confirm};
use crate::engine::converge::{Moved, converge};
use crate::engine::here::Here;
use crate::engine::journal::Journal;
use crate::engine::load::Files;
use crate::plan::lockout_warnings;
use crate::services;
use crate::site::Site;
use crate::state::WireGuardBackend;
use crate::state::step::Step;
use crate::state::words::count;
use crate::system::disk;

/// Applies all of the network file, or nothing. If an agent runs, the agent applies the file: otherwise, the
/// agent would restore the file that it knows.
pub(super) fn run(file: &Path, options: &ApplyCommand) -> Result<ExitStatus, Errors> {
    let confirm = options.confirm;
    let journal = Journal::open()?;
    let done = if journal.has_agent()? {
        // Read here as well, so that faults are shown with the path that the person typed.
        if let Ok(mut here) = Here::with(Files::read(file)?, &SortedMap::new()) {
            ssh::warn(&mut here);
        }
        ChangeReport::from_fields(ask(&ControlRequest::Apply { file: disk::absolute(file)?, confirm })?)?
    } else {
        apply_here(file, &journal, confirm)?
    };
    show_done(&done, file);
    Ok(ExitStatus::Done)
}

fn apply_here(file: &Path, journal: &Journal, confirm: Option<Duration>) -> Result<ChangeReport, Errors> {
    CommitConfirmed::of(file).undo_if_unwatched()?;
    let files = Files::read(file)?;
    let resolved = files.resolved()?;
    // The lock comes before the look at the host, which another portals process may be changing.
    let _lock = lock(journal)?;
    let mut here = Here::with(files, &resolved)?;
    ssh::warn(&mut here);
    let Here { files, kernel, links, site, .. } = &mut *here;
    if site.host.wireguard == WireGuardBackend::BuiltIn && !site.tunnels.is_empty() {
        return Err(needs_agent().into());
    }
    let mut change = CommitConfirmed::of(file);
    let begun = change.begin(&(), &files.text, confirm);
    let begun = begun.and_then(|()| confirm.map_or(Ok(()), |time| leave_watcher(file, time)));
    let steps =
        begun.and_then(|()| converge(kernel, journal, site, Some(links), Moved::default(), OnFailure::Undo));
    if steps.is_err() {
        change.failed();
    }
    let steps = steps?;
    change.is_in_force(&files.text);
    files.keep_site()?;
    Ok(ChangeReport { changes: steps.len(), notes: notes(site, &steps, confirm) })
}

/// Returns the notes for the person who has applied the network file without an agent.
fn notes(site: &Site, steps: &[Step], confirm: Option<Duration>) -> Vec<String> {
    let mut notes = site.notes.clone();
    notes.extend(lockout_warnings(site, steps));
    notes.extend(without_failover(site));
    notes.extend(without_measuring(site));
    notes.extend(without_services(site));
    notes.extend(confirm.map(must_confirm));
    notes
}

/// Returns a note if a portal has several exits: without an agent, no exit is probed.
fn without_failover(site: &Site) -> Option<String> {
    let several = site.portals.iter().filter(|portal| portal.can_fail_over()).count();
    (several > 0).then(|| {
        let portals = count(several, "portal");
        format!(
            "no agent runs, and without it the first exit of a list is used, even if it is down ({portals})"
        )
    })
}

/// Returns a note if the MTU follows measurements: without an agent, no link is measured.
fn without_measuring(site: &Site) -> Option<String> {
    let most = site.mtu.most();
    (site.mtu == Mtu::Measured)
        .then(|| format!("no agent runs, and without it `mtu = \"auto\"` is {most}: no path MTU is measured"))
}

/// Returns notes if the site needs services: without an agent, none runs.
fn without_services(site: &Site) -> Vec<String> {
    let (mut counted, mut notes) = (String::new(), Vec::new());
    for (program, number) in services::programs(site) {
        append(&mut counted, &format_args!("{} ({number} {})", program.purpose, program.name));
        notes.extend(program.missing());
    }
    if !counted.is_empty() {
        let note = format!(
            "no agent runs, and without it there is no {counted}: start it with `portals run`, or at each \
             boot with `portals install`"
        );
        notes.insert(0, note);
    }
    notes
}

fn needs_agent() -> Error {
    Error::failed(
        "the built-in WireGuard, which this site uses, lives only as long as the agent: use `portals run` \
         (or load the kernel's module: modprobe wireguard)",
    )
}
