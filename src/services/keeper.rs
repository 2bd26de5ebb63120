//! One service and the process that it has: starts, restarts and ends it.

use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::Service;
use super::process::Process;
use super::supervisor::Condition;

/// The wait for the first start after a failure; it doubles up to the longest.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// One that has run for so long has held: what ends it then is a new failure.
const HELD: Duration = Duration::from_mins(1);

/// A service as it is wanted now, and the number of the interface that it is for.
pub(super) type Demand = (Service, Option<u32>);

/// What becomes of one service.
#[derive(Debug)]
pub(super) struct Keeper {
    folder: PathBuf,
    /// Whether the network file still knows it, though its interface may be away: then its folder stays.
    pub(super) is_known: bool,
    wanted: Option<Demand>,
    process: Option<Process>,
    /// What the process was started for; none for one that was left behind.
    serves: Option<Demand>,
    failure: Option<Failure>,
}

/// It could not be started, or has ended by itself.
#[derive(Debug)]
struct Failure {
    /// Said once.
    why: String,
    wait: Duration,
    /// When it is started again.
    until: Instant,
}

impl Keeper {
    /// The keeper of what may run in that folder already.
    pub(super) fn of(folder: PathBuf) -> Self {
        let process = Process::left_behind(&folder);
        Self { folder, is_known: false, wanted: None, process, serves: None, failure: None }
    }

    /// Has it become what is wanted now.
    pub(super) fn follow(&mut self, wanted: Option<Demand>) {
        if self.wanted != wanted {
            self.wanted = wanted;
            // What failed may work now.
            self.failure = None;
        }
    }

    /// Whether a process is there, wanted or not.
    pub(super) fn has_process(&self) -> bool {
        self.process.is_some()
    }

    /// Whether it runs, and if not why.
    pub(super) fn condition(&self) -> Condition {
        match (&self.wanted, &self.failure) {
            (None, _) => Condition::Waiting,
            (Some(_), Some(failure)) if self.process.is_none() => Condition::Failed(failure.why.clone()),
            (Some(_), _) => Condition::Running,
        }
    }

    /// Where the process is.
    pub(super) fn folder(&self) -> &PathBuf {
        &self.folder
    }

    /// Readable when the process has said something.
    pub(super) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.process.as_ref().and_then(Process::descriptor)
    }

    /// When to take the next [`turn`](Self::turn) though nothing may have happened.
    pub(super) fn deadline(&self, now: Instant) -> Option<Instant> {
        match &self.process {
            Some(process) => process.deadline(now),
            None => self.failure.as_ref().filter(|_| self.wanted.is_some()).map(|failure| failure.until),
        }
    }

    /// Does what is due: never waits.
    pub(super) fn turn(&mut self, now: Instant) {
        if let Some(process) = &mut self.process {
            match process.end_of() {
                None if process.is_ending() || self.wanted.is_none() || self.wanted != self.serves => {
                    return process.end(now);
                }
                None => return,
                Some(why) => {
                    let has_failed = !process.is_ending();
                    let has_held = process.age(now) >= HELD;
                    self.process = None;
                    if has_failed {
                        self.failed(why, has_held, now);
                    }
                }
            }
        }
        let is_due = self.failure.as_ref().is_none_or(|failure| failure.until <= now);
        if let (Some(demand), true) = (&self.wanted, is_due) {
            match Process::start(&demand.0, &self.folder, now) {
                Ok(process) => {
                    self.serves = self.wanted.clone();
                    self.process = Some(process);
                }
                Err(error) => self.failed(error.to_string(), false, now),
            }
        }
    }

    fn failed(&mut self, why: String, has_held: bool, now: Instant) {
        let before = self.failure.take().filter(|_| !has_held);
        let wait = before.as_ref().map_or(FIRST_WAIT, |failure| (failure.wait * 2).min(LONGEST_WAIT));
        if before.is_none_or(|failure| failure.why != why)
            && let Some((service, _)) = &self.wanted
        {
            log::error!("{} has failed, and is started again: {why}", service.name);
        }
        self.failure = Some(Failure { why, wait, until: now + wait });
    }
}
