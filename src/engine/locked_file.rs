//! Changes of the network file by commands: one at a time, and never over a change from elsewhere.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::base::error::{Context as _, Error, Errors, Result};
use crate::base::net::Secret;
use crate::base::path::folder_of;
use crate::config::model::Network;
use crate::config::{self, edit};
use crate::engine::journal::{Lock, lock_within};
use crate::engine::{admin_key, network_file};
use crate::signed;
use crate::system::disk::{self, cannot_write};

/// Longest wait for other commands, each of which takes only a moment.
const LOCK_TIMEOUT: Duration = Duration::from_mins(1);

/// A network file that is locked against changes by other commands.
#[derive(Debug)]
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

/// Signature of a file that was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signing {
    /// The admin key is here, and has signed the file.
    Signed,
    /// The network has no admin key.
    NoAdmins,
    /// The admin key is kept elsewhere: the file waits for its signature.
    KeyElsewhere,
}

/// Changes the text of the network file, raises its serial above `at_least` and its own, and signs it with
/// the admin key next to it.
pub fn change(
    file: &Path,
    at_least: u64,
    change: &mut dyn FnMut(&str, &Network) -> Result<String, Errors>,
) -> Result<(Box<Network>, Signing), Errors> {
    let key = admin_key::load(&folder_of(file))?;
    change_with(file, at_least, key.as_ref(), change)
}

/// Changes the network file as [`change`] does, and signs it with this admin key, if the changed file lists
/// the key.
pub fn change_with(
    file: &Path,
    at_least: u64,
    key: Option<&Secret>,
    change: &mut dyn FnMut(&str, &Network) -> Result<String, Errors>,
) -> Result<(Box<Network>, Signing), Errors> {
    // Reports the faults of the file before it waits for another process that edits the file.
    network_file::load(file)?;
    let locked = LockedNetworkFile::begin(file)?;
    let (text, network) = network_file::load(file)?;
    let new = change(&text, &network)?;
    let (new, network, signing) = sealed(file, &new, network.serial.max(at_least), key)?;
    locked.finish(&text, &new)?;
    Ok((network, signing))
}

/// Gives a changed text of the network file at `file` the serial after `serial`, and signs it with this admin
/// key, if the text lists the key. A network without admin keys needs neither.
pub fn sealed(
    file: &Path,
    text: &str,
    serial: u64,
    key: Option<&Secret>,
) -> Result<(String, Box<Network>, Signing), Errors> {
    let network = config::check(file, text)?;
    if network.admins.is_empty() {
        return Ok((text.to_owned(), network, Signing::NoAdmins));
    }
    let mut text = edit::set(text, &["network"], "serial", &(serial + 1).to_string())?;
    let mut signing = Signing::KeyElsewhere;
    if let Some(key) = key.filter(|key| network.admins.contains(&signed::admin_public(key))) {
        text = signed::sign(&text, key);
        signing = Signing::Signed;
    }
    let network = config::check(file, &text)?;
    Ok((text, network, signing))
}

/// Returns the file that a path leads to: all links to the file share one lock.
fn target_of(file: &Path) -> PathBuf {
    fs::canonicalize(file).unwrap_or_else(|_| file.to_owned())
}

fn lock_of(file: &Path) -> PathBuf {
    target_of(file).with_added_extension("lock")
}
