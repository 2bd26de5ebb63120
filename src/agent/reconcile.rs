//! Attempts to make the host match the site: observe, apply, repair, and try again after a failure.

use std::rc::Rc;
use std::time::Instant;

use super::{Agent, log_errors};
use crate::base::error::{Error, Errors, Result};
use crate::control::ChangeReport;
use crate::engine::apply::OnFailure;
use crate::engine::converge::{Moved, converge};
use crate::engine::load::Files;
use crate::plan::lockout_warnings;
use crate::services;
use crate::site::{Site, UNRESOLVED};
use crate::state::step::{FirewallStep, RoutingStep, Step};
use crate::state::words::count;
use crate::state::{RuleAction, WireGuardBackend};
use crate::system::logging as log;
use crate::system::open_files;

/// Outcome of an attempt.
#[derive(Default)]
pub(super) struct Applied {
    pub(super) steps: Vec<Step>,
    pub(super) notes: Vec<String>,
}

impl From<Applied> for ChangeReport {
    fn from(Applied { steps, notes }: Applied) -> Self {
        Self { changes: steps.len(), notes }
    }
}

/// Returns in words the rules that keep portals closed, if a repair had to add them; `None` if it has only
/// followed a change of the host.
fn put_back(steps: &[Step]) -> Option<String> {
    let (mut rules, mut is_closed) = (0, false);
    for step in steps {
        match step {
            Step::Routing(RoutingStep::AddRule(rule)) => {
                rules += 1;
                is_closed |= rule.action == RuleAction::Unreachable;
            }
            Step::Firewall(FirewallStep::ChangeFirewall { from: None, .. }) => {
                return Some("the firewall table".to_owned());
            }
            _ => {}
        }
    }
    is_closed.then(|| count(rules, "policy rule"))
}

impl Agent {
    /// Puts back the state that other programs have taken away, unless repairs pause.
    pub(super) fn repair(&mut self) {
        if !self.sources.may_repair() {
            return;
        }
        let applied = self.attempt("another program had changed something").unwrap_or_default();
        let now = Instant::now();
        let flapping = self.sources.flap_damping.repaired(&applied.steps, now);
        let culprit = self.sources.monitor.take_culprit().unwrap_or_else(|| "another program".to_owned());
        if let Some(things) = put_back(&applied.steps) {
            self.put_back = Some((now, [&things, " that ", &culprit, " had removed"].concat()));
        }
        if let Some(repair) = flapping {
            log::warn!(
                "{culprit} undoes a repair again and again: {repair}; from now on it is repaired once a \
                 second"
            );
        }
    }

    /// Makes the host match the site, for this reason. A failure is logged once, and tried again later.
    pub(super) fn attempt(&mut self, reason: &str) -> Result<Applied, Errors> {
        let result = self.reconcile(reason, OnFailure::StayClosed);
        let complaint = result.as_ref().err().map(|errors| errors.iter().map(Error::to_string).collect());
        if self.complaint != complaint {
            log_errors(&result);
            self.complaint = complaint;
        }
        self.or_retry(result)
    }

    /// Schedules another attempt if this one has failed.
    pub(super) fn or_retry(&mut self, result: Result<Applied, Errors>) -> Result<Applied, Errors> {
        self.sources.retry.attempted(result.is_err(), Instant::now());
        result
    }

    /// Makes the host, as it is now, match the network file.
    pub(super) fn reconcile(&mut self, reason: &str, on_failure: OnFailure) -> Result<Applied, Errors> {
        // The monitor forgets before the host is observed, not after: changes that others make meanwhile wake
        // the agent again. So do the agent's own changes; then a second look finds nothing to do.
        self.sources.monitor.forget();
        self.sources.tables.begin(&mut *self.kernel)?;
        let files = Rc::clone(&self.files);
        let site = self.view(&files)?;
        self.apply(site, reason, on_failure)
    }

    /// Returns the view of this site on the host as it is now.
    pub(super) fn view(&mut self, files: &Files) -> Result<Site, Errors> {
        let links = self.kernel.links()?;
        files.site(&mut *self.kernel, &self.journal, &links, &self.sources.addresses())
    }

    /// Applies a view of the site.
    pub(super) fn apply(
        &mut self,
        mut site: Site,
        reason: &str,
        on_failure: OnFailure,
    ) -> Result<Applied, Errors> {
        self.show_to_sources(&mut site);
        if site.host.wireguard == WireGuardBackend::BuiltIn {
            open_files::check_room(site.tunnels.len())?;
        }
        let _lock = self.lock()?;
        let moved = Moved::portals(&site, self.moves.portals());
        let steps = converge(&mut *self.kernel, &self.journal, &site, None, moved, on_failure);
        // Services run even if another part has failed: the parts that were applied can be used.
        let services = services::plan(&site, self.journal.folder());
        site.notes.extend(services::missing(&services));
        self.sources.services.follow(services, Instant::now());
        let steps = steps?;
        // Pages tell of exits in force.
        self.pages.follow(&site);
        self.sources.sessions.dial_moved(&mut *self.kernel, &site);
        self.sources.helper_ports.has_applied(&mut *self.kernel, &site)?;
        if on_failure == OnFailure::Undo {
            // A repair closes only portals that were closed before.
            site.notes.extend(lockout_warnings(&site, &steps));
        }
        self.sources.confirmation.is_in_force(&self.files.text);
        log_errors(&self.files.keep_site().map_err(Into::into));
        self.settle_key();
        self.tell_hook();
        self.sources.tables.follow(&mut *self.kernel, steps.is_empty(), Instant::now())?;
        self.log_notes(&site.notes);
        if !steps.is_empty() {
            log::info!("applied {}: {reason}", count(steps.len(), "change"));
        }
        Ok(Applied { steps, notes: site.notes })
    }

    /// Shows the site to the sources, and sets its exits and tunnel MTUs to their decisions.
    fn show_to_sources(&mut self, site: &mut Site) {
        self.sources.names.follow(site);
        // Before the searches set other endpoints than those of the file.
        self.sources.sessions.follow(site);
        // A failure here keeps nothing else from being right.
        if let Err(error) = self.sources.devices.follow(&mut *self.kernel, site) {
            log::error!("{error}");
        }
        let now = Instant::now();
        self.sources.link_paths.follow(&mut *self.kernel, site, now);
        let is_on_trial = self.sources.confirmation.deadline().is_some();
        self.sources.helper_ports.exchange.follow(&self.files, is_on_trial, site, now);
        self.sources.helper_ports.follow(&mut *self.kernel, site, now);
        let moves = self.sources.exits.follow(site);
        self.sources.path_mtus.follow(site, now);
        self.take_note(moves);
    }

    /// Logs the notes that the last attempt did not have.
    fn log_notes(&mut self, notes: &[String]) {
        for note in notes.iter().filter(|note| !self.notes.contains(note) && !note.starts_with(UNRESOLVED)) {
            log::warn!("{note}");
        }
        self.notes = notes.to_vec();
    }
}
