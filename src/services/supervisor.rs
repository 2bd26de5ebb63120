//! Supervisor of all services: starts wanted services, and ends unwanted ones.

use std::fs;
use std::io::ErrorKind;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::net::if_::if_nametoindex;

use super::keeper::{ServiceCondition, ServiceKeeper, Starts};
use super::{Service, do_not_run, folders};
use crate::base::error::{Context as _, Result};
use crate::base::moment::{after, earlier};
use crate::base::sorted::SortedMap;
use crate::control::{AnsweringEnd, PageRequest};
use crate::system::disk;
use crate::system::logging as log;

/// Longest wait for all services to end, including services that must be killed.
const END_TIMEOUT: Duration = Duration::from_secs(5);

/// Supervisor of services. Its owner calls [`turn`](Self::turn) when a child has ended, when a descriptor has
/// input, and at the deadline.
#[derive(Debug)]
pub struct Supervisor {
    folder: PathBuf,
    /// Keepers by the name of the service.
    keepers: SortedMap<String, ServiceKeeper>,
    starts: Starts,
}

impl Supervisor {
    /// Returns the supervisor of the services below a folder, including processes that a killed agent has
    /// left behind. The caller must hold the agent's place on this machine.
    pub fn open(run_folder: &Path) -> Result<Self> {
        let folder = folders(run_folder);
        let mut keepers = SortedMap::new();
        if folder.is_dir() {
            let context = || format!("cannot read the folder {}", folder.display());
            for path in disk::entries(&folder).context(context)? {
                if let Some(name) = path.file_name().and_then(|name| name.to_str()) {
                    keepers.insert(name.to_owned(), ServiceKeeper::of(path.clone()));
                }
            }
        }
        Ok(Self { folder, keepers, starts: Starts::default() })
    }

    /// Takes over the list of wanted services, which start in the next turn; all others end. The
    /// interfaces are looked up now: the caller
    /// must call again whenever an interface may have come or gone.
    pub fn follow(&mut self, wanted: Vec<Service>, now: Instant) {
        for (name, keeper) in self.keepers.iter_mut() {
            if !wanted.iter().any(|service| service.name == *name) {
                keeper.is_known = false;
                keeper.follow(None);
            }
        }
        for service in wanted {
            let folder = self.folder.join(&service.name);
            let keeper = self.keepers.get_or_insert_with(service.name.clone(), || ServiceKeeper::of(folder));
            keeper.is_known = true;
            let demand = match &service.interface {
                None => Some((service, None)),
                Some(interface) => {
                    if_nametoindex(interface.as_str()).ok().map(|index| (service, Some(index)))
                }
            };
            keeper.follow(demand);
        }
        self.take_turns(false, now);
    }

    /// Adds the descriptors that have input when a service has written something.
    pub fn descriptors<'a>(&'a self, all: &mut Vec<BorrowedFd<'a>>) {
        for keeper in self.keepers.values() {
            keeper.descriptors(all);
        }
    }

    /// Returns the channel on which the process of the pages asks, if it runs.
    pub fn channel(&mut self) -> Option<&mut AnsweringEnd> {
        self.keepers.values_mut().find_map(ServiceKeeper::channel)
    }

    /// Returns the next request on that channel, once it is complete. Never waits.
    pub fn hear(&mut self, now: Instant) -> Option<PageRequest> {
        self.keepers.values_mut().find_map(|keeper| keeper.hear(now))
    }

    /// Returns the time of the next turn even if nothing happens before.
    pub fn deadline(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut next = None;
        for keeper in self.keepers.values() {
            next = earlier(next, keeper.deadline(now));
        }
        next
    }

    /// Carries out the work that is due, and starts all services that are due, side by side. Never
    /// waits. A service that is no longer wanted is forgotten once it has ended.
    pub fn turn(&mut self, now: Instant) {
        self.take_turns(true, now);
    }

    fn take_turns(&mut self, may_start: bool, now: Instant) {
        self.starts.may_start = may_start;
        self.keepers.retain(|name, keeper| {
            keeper.turn(&mut self.starts, now);
            let stays = keeper.is_known || keeper.has_process();
            if !stays && let Err(error) = fs::remove_dir_all(keeper.folder()) {
                log::warn!("cannot remove the files of {name}: {error}");
            }
            stays
        });
    }

    /// Returns a line for each reason for which wanted services do not run.
    pub fn failures(&self) -> Vec<String> {
        let mut failures = Vec::new();
        for (name, condition) in self.conditions() {
            match condition {
                ServiceCondition::Failed(why) => failures.push((name, why)),
                ServiceCondition::Starting => failures.push((name, "not started yet".to_owned())),
                ServiceCondition::Running | ServiceCondition::Waiting => {}
            }
        }
        do_not_run(&failures)
    }

    /// Returns the known services and their conditions.
    pub(super) fn conditions(&self) -> impl Iterator<Item = (&str, ServiceCondition)> {
        let known = self.keepers.iter().filter(|(_, keeper)| keeper.is_known);
        known.map(|(name, keeper)| (name.as_str(), keeper.condition()))
    }

    /// Ends all services, and waits for their ends. The files that they keep in their folders, such as
    /// leases, stay for the next agent.
    fn end_all(&mut self) {
        let give_up = after(Instant::now(), END_TIMEOUT);
        self.keepers.values_mut().for_each(|keeper| keeper.follow(None));
        loop {
            let now = Instant::now();
            self.keepers.values_mut().for_each(|keeper| keeper.turn(&mut self.starts, now));
            if now >= give_up || !self.keepers.values().any(ServiceKeeper::has_process) {
                return;
            }
            sleep(Duration::from_millis(10));
        }
    }

    /// Ends all services, and removes their folders.
    pub fn clear(&mut self) -> Result<()> {
        self.end_all();
        match fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).context(|| format!("cannot remove {}", self.folder.display()))
            }
            _ => Ok(()),
        }
    }
}

/// Ends the services with their supervisor.
impl Drop for Supervisor {
    fn drop(&mut self) {
        self.end_all();
    }
}
