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
        // All links to the file share one lock.
        let file = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
        let path = file.with_added_extension("lock");
        let lock = lock_within(&path, LOCK_TIMEOUT)?.ok_or_else(|| {
            Error::failed(format!(
                "another portals process has been changing {} for more than {} seconds (it holds {}); \
                 find it with: pgrep -a portals",
                file.display(),
                LOCK_TIMEOUT.as_secs(),
                path.display()
            ))
        })?;
        Ok(Self { file, _lock: lock })
    }

    /// Replaces the text `read` of the file with `text`; fails if the file no longer contains `read`.
    pub fn finish(self, read: &str, text: &str) -> Result<()> {
        disk::rewrite(&self.file, read.as_bytes(), text.as_bytes()).context(|| cannot_write(&self.file))
    }
}
