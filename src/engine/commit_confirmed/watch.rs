//! Watch over a change that waits to be confirmed, held by the process that will undo it where no agent runs.

use std::fs::{self, File};
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use crate::base::error::{Context as _, Result};
use crate::base::moment::after;
use crate::system::disk::{self, FileOrigin};
use crate::system::wait::wait_for_input;

/// Lock on the copy that waits to be confirmed, and notifications about it.
#[derive(Debug)]
pub struct CopyWatch {
    path: PathBuf,
    file: Flock<File>,
    changes: Inotify,
}

impl CopyWatch {
    /// Locks the copy, so that other processes know that this one will undo the change.
    pub(super) fn open(path: PathBuf) -> Result<Self> {
        let context = || format!("cannot watch over {}", path.display());
        let changes = Inotify::init(InitFlags::IN_CLOEXEC).context(context)?;
        let events = AddWatchFlags::IN_MOVE_SELF | AddWatchFlags::IN_ATTRIB;
        changes.add_watch(&path, events).context(context)?;
        let file = disk::open(&path, FileOrigin::Ours).context(context)?;
        let file = Flock::lock(file, FlockArg::LockExclusiveNonblock)
            .map_err(|(_, errno)| errno)
            .context(context)?;
        Ok(Self { path, file, changes })
    }

    /// Waits for `time`, or until another process confirms, undoes or replaces the change. Reports whether
    /// the change still waits to be confirmed.
    pub fn wait(&self, time: Duration) -> Result<bool> {
        let until = after(Instant::now(), time);
        while self.is_there() {
            if until <= Instant::now() {
                return Ok(true);
            }
            if wait_for_input(&[self.changes.as_fd()], Some(until))?.contains(&true) {
                drop(self.changes.read_events());
            }
        }
        Ok(false)
    }

    /// Reports whether the copy is still the locked file; no other file gets its inode number while it is
    /// open.
    pub fn is_there(&self) -> bool {
        let number = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
        let locked = self.file.metadata().map(number);
        matches!((locked, fs::metadata(&self.path).map(number)), (Ok(locked), Ok(there)) if locked == there)
    }
}

/// Reports whether a process watches over the copy, and will undo the change.
pub(super) fn is_watched(path: &Path) -> bool {
    let Ok(file) = disk::open(path, FileOrigin::Ours) else { return false };
    matches!(Flock::lock(file, FlockArg::LockSharedNonblock), Err((_, Errno::EWOULDBLOCK)))
}
