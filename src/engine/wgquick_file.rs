//! wg-quick files on disk.

use std::path::Path;

use crate::base::error::Errors;
use crate::system::disk::FileOrigin;
use crate::system::key_files::{read_bytes, read_secret_bytes};
use crate::wgquick::{Parsed, parse_at};

/// Reads the file at `path`, which only its owner may be able to read. Each fault becomes a separate error
/// that begins with `path:line:column:`.
pub fn load(path: &Path, source: FileOrigin) -> Result<Parsed, Errors> {
    parse_at(path, read_secret_bytes(path, source)?)
}

/// Reads the file at `path` as [`load`] does, for inspection only; the flag reports whether other users can
/// read the file.
pub fn look_at(path: &Path, source: FileOrigin) -> Result<(Parsed, bool), Errors> {
    let (bytes, is_open) = read_bytes(path, source)?.unzip();
    Ok((parse_at(path, bytes)?, is_open.unwrap_or_default()))
}
