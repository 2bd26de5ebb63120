//! Copies of the network file that a start after a power cut needs. They lie next to the network file:
//!
//! | file | content |
//! |---|---|
//! | `network.toml.confirmed` | the last network file that was in force for good; written when that changes |
//! | `network.toml.unconfirmed` | the network file that waits to be confirmed; only while it waits |
//! | `network.toml.undone` | the network file at the time when the last unconfirmed change was undone |

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::nothing_waits;
use crate::base::error::{Context as _, Result};
use crate::system::disk::{self, FileOrigin, cannot_write};
use crate::system::logging as log;

/// Mode of the copies: only their owner may read a network file.
const MODE: u32 = 0o600;

/// Network file and its copies on disk.
#[derive(Debug)]
pub(super) struct Copies {
    file: PathBuf,
}

/// Outcome of undoing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UndoOutcome {
    /// The network file is unchanged: no change was waiting to be confirmed.
    Nothing,
    /// The network file is the confirmed one again.
    Change,
    /// The network file is removed: none was ever confirmed.
    Everything,
}

impl Copies {
    /// Returns the copies of a network file.
    pub(super) fn of(file: &Path) -> Self {
        Self { file: file.to_owned() }
    }

    /// Keeps this text as the confirmed one. Writes only if the copy differs.
    pub(super) fn keep(&self, text: &str) -> Result<()> {
        let confirmed = self.confirmed();
        let keep = || {
            if disk::read_if_there(&confirmed, FileOrigin::Ours)?.as_deref() != Some(text) {
                disk::replace(&confirmed, text.as_bytes(), MODE)?;
            }
            disk::remove(&self.unconfirmed())
        };
        keep().context(|| format!("cannot keep a copy of the network file in {}", confirmed.display()))
    }

    /// Keeps this text as the one that waits to be confirmed.
    pub(super) fn begin(&self, text: &str) -> Result<()> {
        let unconfirmed = self.unconfirmed();
        disk::replace(&unconfirmed, text.as_bytes(), MODE).context(|| {
            let reason = cannot_write(&unconfirmed);
            format!("the change is not begun, because it could not be undone: {reason}")
        })
    }

    /// Forgets the text that waits to be confirmed, because it did not come into force.
    pub(super) fn give_up(&self) -> Result<()> {
        let unconfirmed = self.unconfirmed();
        disk::remove(&unconfirmed).context(|| format!("cannot remove {}", unconfirmed.display()))
    }

    /// Makes the waiting text the confirmed one.
    ///
    /// # Errors
    /// If none waits, or the copy cannot be renamed.
    pub(super) fn confirm(&self) -> Result<()> {
        if !self.is_unconfirmed() {
            return Err(nothing_waits());
        }
        let unconfirmed = self.unconfirmed();
        disk::rename(&unconfirmed, &self.confirmed())
            .context(|| format!("cannot keep {}", unconfirmed.display()))
    }

    /// Makes the confirmed text the network file, if another text waits to be confirmed, and logs it. May be
    /// cut short anywhere and called again.
    pub(super) fn undo(&self) -> Result<UndoOutcome> {
        let context = || format!("cannot go back to {}", self.confirmed().display());
        if !self.is_unconfirmed() {
            return Ok(UndoOutcome::Nothing);
        }
        let (file, undone) = (self.file.display(), self.copy_path("undone"));
        let confirmed = disk::read_if_there(&self.confirmed(), FileOrigin::Ours).context(context)?;
        self.put_back(confirmed.as_deref(), &undone).context(context)?;
        let undone = undone.display();
        Ok(if confirmed.is_some() {
            log::warn!(
                "the change was not confirmed: {file} is the version before it again; the undone version is \
                 in {undone}"
            );
            UndoOutcome::Change
        } else {
            log::warn!("the change was not confirmed, and no version was before it: {file} is {undone} now");
            UndoOutcome::Everything
        })
    }

    /// Undoes the text that waits to be confirmed. Returns the file in force: the network file or, if no file
    /// can be written next to it, the confirmed copy.
    pub(super) fn settle(&self) -> (UndoOutcome, PathBuf) {
        let error = match self.undo() {
            Ok(undone) => return (undone, self.file.clone()),
            Err(error) => error,
        };
        let confirmed = self.confirmed();
        if !confirmed.exists() {
            log::error!(
                "{error}; no version was confirmed before, so {} stays in force",
                self.file.display()
            );
            return (UndoOutcome::Nothing, self.file.clone());
        }
        log::error!("{error}; {} is in force until the network file can be written", confirmed.display());
        (UndoOutcome::Change, confirmed)
    }

    fn put_back(&self, confirmed: Option<&str>, undone: &Path) -> std::io::Result<()> {
        let current = disk::read_if_there(&self.file, FileOrigin::Ours)?;
        if current.is_some() && current.as_deref() != confirmed {
            disk::rename(&self.file, undone)?;
        }
        if let Some(text) = confirmed.filter(|text| current.as_deref() != Some(*text)) {
            let mode = fs::metadata(undone).map_or(MODE, |metadata| metadata.permissions().mode() & 0o777);
            disk::replace(&self.file, text.as_bytes(), mode)?;
        }
        // Last of all: until here, the next start would do everything again.
        disk::remove(&self.unconfirmed())
    }

    /// Reports whether a text waits to be confirmed.
    pub(super) fn is_unconfirmed(&self) -> bool {
        self.unconfirmed().exists()
    }

    /// Returns the path of the network file.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// Returns the path of the last network file that was in force for good.
    pub(super) fn confirmed(&self) -> PathBuf {
        self.copy_path("confirmed")
    }

    /// Returns the path of the network file that waits to be confirmed.
    pub(super) fn unconfirmed(&self) -> PathBuf {
        self.copy_path("unconfirmed")
    }

    fn copy_path(&self, extension: &str) -> PathBuf {
        self.file.with_added_extension(extension)
    }
}
