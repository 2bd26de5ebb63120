//! Starts what shall run, and ends what shall not.

use std::fs;
use std::io::ErrorKind;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::net::if_::if_nametoindex;

use super::keeper::Keeper;
use super::{Service, do_not_run, folders};
use crate::base::error::{Context as _, Result};
use crate::base::sorted::SortedMap;

/// How long all may take to end, those that have to be killed as well.
const PATIENCE: Duration = Duration::from_secs(5);

/// Keeps services running. Its owner calls [`turn`](Self::turn) when a child has ended, when a descriptor is readable, and when it is
/// time.
#[derive(Debug)]
pub struct Supervisor {
    folder: PathBuf,
    /// By name of the service.
    keepers: SortedMap<String, Keeper>,
}

/// Whether a service runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Condition {
    /// It does, or is about to.
    Running,
    /// It cannot, for this reason; it is tried again.
    Failed(String),
    /// Its interface is not there.
    Waiting,
}

impl Supervisor {
    /// The supervisor of the services below a folder, also of those that an agent which was killed has left behind. Its owner is the one
    /// agent of this machine.
    pub fn open(run_folder: &Path) -> Result<Self> {
        let folder = folders(run_folder);
        let mut keepers = SortedMap::new();
        if folder.is_dir() {
            let doing = || format!("cannot read the folder {}", folder.display());
            for entry in fs::read_dir(&folder).doing(doing)? {
                let path = entry.doing(doing)?.path();
                if let Some(name) = path.file_name().and_then(|name| name.to_str()) {
                    keepers.insert(name.to_owned(), Keeper::of(path.clone()));
                }
            }
        }
        Ok(Self { folder, keepers })
    }

    /// Has these services run, and no others. Interfaces are looked for now: to be called whenever one may have come or gone.
    pub fn follow(&mut self, wanted: Vec<Service>, now: Instant) {
        let names: Vec<&str> = wanted.iter().map(|service| service.name.as_str()).collect();
        for (_, keeper) in self.keepers.iter_mut().filter(|(name, _)| !names.contains(&name.as_str())) {
            keeper.is_known = false;
            keeper.follow(None);
        }
        for service in wanted {
            let folder = self.folder.join(&service.name);
            let keeper = self.keepers.get_or_insert_with(service.name.clone(), || Keeper::of(folder));
            keeper.is_known = true;
            let demand = match &service.interface {
                None => Some((service, None)),
                Some(interface) => {
                    if_nametoindex(interface.as_str()).ok().map(|index| (service, Some(index)))
                }
            };
            keeper.follow(demand);
        }
        self.turn(now);
    }

    /// Readable when a service has said something.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.keepers.values().filter_map(Keeper::descriptor)
    }

    /// When to take the next turn though nothing may have happened.
    pub fn deadline(&self) -> Option<Instant> {
        let now = Instant::now();
        self.keepers.values().filter_map(|keeper| keeper.deadline(now)).min()
    }

    /// Does what is due: never waits. What is not wanted any more is forgotten once it has ended.
    pub fn turn(&mut self, now: Instant) {
        self.keepers.retain(|name, keeper| {
            keeper.turn(now);
            let stays = keeper.is_known || keeper.has_process();
            if !stays && let Err(error) = fs::remove_dir_all(keeper.folder()) {
                log::warn!("cannot remove the files of {name}: {error}");
            }
            stays
        });
    }

    /// What does not run though it should, and why: a line for each reason.
    pub fn failures(&self) -> Vec<String> {
        do_not_run(self.tell().filter_map(|(name, condition)| match condition {
            Condition::Failed(why) => Some((name, why)),
            Condition::Running | Condition::Waiting => None,
        }))
    }

    /// The services and what has become of them.
    pub(super) fn tell(&self) -> impl Iterator<Item = (&str, Condition)> {
        let known = self.keepers.iter().filter(|(_, keeper)| keeper.is_known);
        known.map(|(name, keeper)| (name.as_str(), keeper.condition()))
    }

    /// Ends them all, and waits for that. What they keep in their folders, such as leases, is there for the next agent.
    fn end_all(&mut self) {
        let give_up = Instant::now() + PATIENCE;
        self.keepers.values_mut().for_each(|keeper| keeper.follow(None));
        loop {
            let now = Instant::now();
            self.keepers.values_mut().for_each(|keeper| keeper.turn(now));
            if now >= give_up || !self.keepers.values().any(Keeper::has_process) {
                return;
            }
            sleep(Duration::from_millis(10));
        }
    }

    /// Ends them all, and removes all that they keep.
    pub fn clear(&mut self) -> Result<()> {
        self.end_all();
        match fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).doing(|| format!("cannot remove {}", self.folder.display()))
            }
            _ => Ok(()),
        }
    }
}

/// They end with their supervisor.
impl Drop for Supervisor {
    fn drop(&mut self) {
        self.end_all();
    }
}
