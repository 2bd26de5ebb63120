//! Network file on disk.

use std::io;
use std::path::Path;

use crate::base::error::{Error, Errors};
use crate::config::{self, model::Network};
use crate::system::disk::{self, FileOrigin};
use crate::system::logging as log;

/// Reads the network file at `path`; returns its text and the network. Each fault becomes a separate error
/// that begins with `path:line:column:`.
pub fn load(path: &Path) -> Result<(String, Box<Network>), Errors> {
    load_from(path, FileOrigin::Ours)
}

/// Reads the network file at `path` as [`load`] does, after the checks that `origin` requires.
pub fn load_from(path: &Path, origin: FileOrigin) -> Result<(String, Box<Network>), Errors> {
    let bytes = read(path, origin)?;
    if let Some(warning) = disk::group_may_write(path) {
        log::warn!("{warning}");
    }
    parse(path, bytes)
}

/// Reads the network file at `path` as [`load`] does, for inspection only. Adds a note if a group may write
/// the file.
pub fn look_at(path: &Path, notes: &mut Vec<Error>) -> Result<(String, Box<Network>), Errors> {
    let bytes = read(path, FileOrigin::Named)?;
    notes.extend(disk::group_may_write(path).map(Error::wrong));
    parse(path, bytes)
}

fn read(path: &Path, origin: FileOrigin) -> Result<Vec<u8>, Error> {
    disk::read(path, origin).map_err(|error| unreadable(path, error))
}

fn parse(path: &Path, bytes: Vec<u8>) -> Result<(String, Box<Network>), Errors> {
    match String::from_utf8(bytes) {
        Ok(text) => config::check(path, &text).map(|network| (text, network)),
        Err(error) => Err(config::not_utf8(path, error.as_bytes(), error.utf8_error().valid_up_to())),
    }
}

fn unreadable(path: &Path, error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::NotFound => Error::wrong(format!(
            "there is no network file {}: create one with `portals init`, or name another with \
             `--config FILE`",
            path.display()
        )),
        _ => disk::unreadable(path, error),
    }
}
