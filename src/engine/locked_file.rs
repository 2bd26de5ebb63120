//! Changes of the network file by commands: one at a time, and never over a change from elsewhere.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::base::error::{Context as _, Error, Result};
use crate::engine::journal::{Lock, lock_within};
use crate::system::disk::{self, cannot_write};

/// Longest wait for other commands, each of which takes only a moment.
const LOCK_TIMEOUT: Duration = Duration::from_mins(1);

/// A network file that is locked against changes by other commands.
pub struct LockedNetworkFile {
    file: PathBuf,
    _lock: Lock,
}

impl LockedNetworkFile {
    /// Waits until no other command changes this file. The lock is a separate file, which no other user can
    /// open and hold.
    pub fn begin(file: &Path) -> Result<Self> {
        Self::begin_within(file, LOCK_TIMEOUT)?.ok_or_else(|| {
            let path = lock_of(file);
            Error::failed(format!(
                "another portals process has been changing {} for more than {} seconds (it holds {}); \
                 find it with: pgrep -a portals",
                file.display(),
                LOCK_TIMEOUT.as_secs(),
                path.display()
            ))
        })
    }

    /// Locks this file, unless a command changes it at present.
    pub fn begin_now(file: &Path) -> Result<Option<Self>> {
        Self::begin_within(file, Duration::ZERO)
    }

    fn begin_within(file: &Path, time: Duration) -> Result<Option<Self>> {
        let lock = lock_within(&lock_of(file), time)?;
        Ok(lock.map(|lock| Self { file: target_of(file), _lock: lock }))
    }

    /// Replaces the text `read` of the file with `text`; fails if the file no longer contains `read`.
    pub fn finish(self, read: &str, text: &str) -> Result<()> {
        disk::rewrite(&self.file, read.as_bytes(), text.as_bytes()).context(|| cannot_write(&self.file))
    }
}

/// Returns the file that a path leads to: all links to the file share one lock.
fn target_of(file: &Path) -> PathBuf {
    fs::canonicalize(file).unwrap_or_else(|_| file.to_owned())
}

fn lock_of(file: &Path) -> PathBuf {
    target_of(file).with_added_extension("lock")
}
