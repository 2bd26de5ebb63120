//! Keeper of one service: starts, restarts and ends its process.

use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::Service;
use super::process::{Process, ProgramHelp};
use crate::base::moment::{after, doubled};
use crate::control::{AnsweringEnd, PageRequest};
use crate::system::logging as log;

/// Wait after the first failure. It doubles with each failure up to the longest.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// Longest wait after a failure.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// Time after which a running process counts as sound: if it ends later, that is a new failure, with the
/// first wait.
const HELD: Duration = Duration::from_mins(1);

/// Condition of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ServiceCondition {
    /// Runs.
    Running,
    /// Is about to start.
    Starting,
    /// Cannot run for this reason, and is started again later.
    Failed(String),
    /// Waits for its interface, which does not exist now.
    Waiting,
}

/// Wanted service, and the index of its interface.
pub(super) type Demand = (Service, Option<u32>);

/// Starts of processes in a turn of all keepers: none while the agent applies a file, so that portals open
/// first. No start waits until its program runs: services start side by side.
#[derive(Debug, Default)]
pub(super) struct Starts {
    pub(super) may_start: bool,
    help: Option<ProgramHelp>,
}

/// Keeper of one service.
#[derive(Debug)]
pub(super) struct ServiceKeeper {
    folder: PathBuf,
    /// Set if the network file has the service, even if its interface does not exist now: its folder stays
    /// then.
    pub(super) is_known: bool,
    wanted: Option<Demand>,
    process: Option<Process>,
    /// Set if the process was started for the present demand.
    serves: bool,
    failure: Option<ServiceFailure>,
}

/// Failure: the process could not be started, or has ended by itself.
#[derive(Debug)]
struct ServiceFailure {
    /// Reason, which is logged once.
    why: String,
    /// Wait before the next start.
    wait: Duration,
    /// Time of the next start.
    until: Instant,
}

impl ServiceKeeper {
    /// Returns the keeper of the service with this folder, in which a process may have been left behind.
    pub(super) fn of(folder: PathBuf) -> Self {
        let process = Process::left_behind(&folder);
        Self { folder, is_known: false, wanted: None, process, serves: false, failure: None }
    }

    /// Takes over the demand, which the next [`turn`](Self::turn) meets.
    pub(super) fn follow(&mut self, wanted: Option<Demand>) {
        if self.wanted != wanted {
            self.wanted = wanted;
            self.serves = false;
            // The new demand may not fail.
            self.failure = None;
        }
    }

    /// Reports whether a process runs, wanted or not.
    pub(super) fn has_process(&self) -> bool {
        self.process.is_some()
    }

    /// Returns the condition of the service.
    pub(super) fn condition(&self) -> ServiceCondition {
        match (&self.wanted, &self.failure) {
            (None, _) => ServiceCondition::Waiting,
            (Some(_), Some(failure)) if self.process.is_none() => {
                ServiceCondition::Failed(failure.why.clone())
            }
            // A former process may still be ending.
            _ if self.process.is_some() => ServiceCondition::Running,
            _ => ServiceCondition::Starting,
        }
    }

    /// Returns the folder of the service.
    pub(super) fn folder(&self) -> &PathBuf {
        &self.folder
    }

    /// Adds the descriptors that have input when the process has written something.
    pub(super) fn descriptors<'a>(&'a self, all: &mut Vec<BorrowedFd<'a>>) {
        if let Some(process) = &self.process {
            process.descriptors(all);
        }
    }

    /// Returns the channel on which the process asks for pages, if it has one.
    pub(super) fn channel(&mut self) -> Option<&mut AnsweringEnd> {
        self.process.as_mut().and_then(Process::channel)
    }

    /// Returns the next request on the channel, once it is complete. Never waits.
    pub(super) fn hear(&mut self, now: Instant) -> Option<PageRequest> {
        self.process.as_mut().and_then(|process| process.hear(now))
    }

    /// Returns the time of the next [`turn`](Self::turn) even if nothing happens before.
    pub(super) fn deadline(&self, now: Instant) -> Option<Instant> {
        match &self.process {
            Some(process) => process.deadline(now),
            None if self.wanted.is_none() => None,
            None => Some(self.failure.as_ref().map_or(now, |failure| failure.until)),
        }
    }

    /// Carries out the work that is due. Never waits.
    pub(super) fn turn(&mut self, starts: &mut Starts, now: Instant) {
        if let Some(process) = &mut self.process {
            match process.end_of() {
                None if process.is_ending() || process.is_cut_off() || !self.serves => {
                    return process.end(now);
                }
                None => return,
                Some(why) => {
                    // A process that serves is asked to end only if it has failed.
                    let has_failed = self.serves || !process.is_ending();
                    let has_held = process.age(now) >= HELD;
                    self.process = None;
                    if has_failed {
                        // Another version of the program may know other arguments.
                        starts.help = None;
                        self.failed(why, has_held, now);
                    }
                }
            }
        }
        let is_due = self.failure.as_ref().is_none_or(|failure| failure.until <= now);
        if let (Some((service, _)), true, true) = (&self.wanted, is_due, starts.may_start) {
            match Process::start(service, &self.folder, &mut starts.help, now) {
                Ok(process) => (self.process, self.serves) = (Some(process), true),
                Err(error) => self.failed(error.to_string(), false, now),
            }
        }
    }

    fn failed(&mut self, why: String, has_held: bool, now: Instant) {
        let before = self.failure.take().filter(|_| !has_held);
        let wait =
            before.as_ref().map_or(FIRST_WAIT, |failure| doubled(failure.wait, FIRST_WAIT, LONGEST_WAIT));
        if before.is_none_or(|failure| failure.why != why)
            && let Some((service, _)) = &self.wanted
        {
            log::error!("{} has failed, and will be started again: {why}", service.name);
        }
        self.failure = Some(ServiceFailure { why, wait, until: after(now, wait) });
    }
}
