//! Changes that commands make of the network file: one at a time, and never over one that somebody else has made meanwhile.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::base::error::{Context as _, Error, Result};
use crate::engine::journal::{Lock, lock_within};
use crate::system::disk;

/// The longest wait for other calls, each of which takes a moment.
const PATIENCE: Duration = Duration::from_mins(1);

/// A network file that no other command changes meanwhile.
pub struct Edit {
    file: PathBuf,
    _lock: Lock,
}

impl Edit {
    /// Waits until no other command changes this file. The lock is a file of its own that nobody else can open, and hold.
    pub fn begin(file: &Path) -> Result<Self> {
        // By whichever link it is called.
        let file = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
        let path = file.with_added_extension("lock");
        let lock = lock_within(&path, PATIENCE)?.ok_or_else(|| {
            Error::failed(format!(
                "another portals has been changing {} for more than {} seconds (it holds {}); look for it with: pgrep -a portals",
                file.display(),
                PATIENCE.as_secs(),
                path.display()
            ))
        })?;
        Ok(Self { file, _lock: lock })
    }

    /// Puts another text in the place of the one that was read.
    pub fn finish(self, read: &str, text: &str) -> Result<()> {
        disk::rewrite(&self.file, read.as_bytes(), text.as_bytes())
            .doing(|| format!("cannot write {}", self.file.display()))
    }
}
