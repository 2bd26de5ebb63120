//! The network file: from TOML to [`Network`], or to all its faults at once.
//!
//! Text → TOML tree → draft (what could be read, with its places) → checks across the file → network. A fault is
//! taken down and passed by, so that a person hears of all of them at once.

mod check;
mod draft;
pub(crate) mod fault;
mod lan;
pub mod model;
mod reader;
mod sections;
pub(crate) mod suggest;
mod syntax;
mod values;

use std::io;
use std::path::Path;

use crate::disk::{self, Source};
use crate::error::{Error, Errors};

pub use fault::Fault;
pub use lan::{phone_address, portal_addresses, site_network};
use model::Network;
pub(crate) use values::is_host_name;

/// Reads a network file. The faults come in the order of the file, and are never none.
pub fn parse(text: &str) -> Result<Network, Vec<Fault>> {
    let tree = syntax::read(text).map_err(|found| found.faults(text))?;
    let mut found = fault::Findings::default();
    let draft = sections::file(&reader::Section::root(&tree.root), &mut found);
    check::everything(&draft, &mut found);
    found.leave_out(&tree.broken);
    let faults = tree.faults.and(found).faults(text);
    if faults.is_empty() {
        Ok(draft.finish(text).expect("where no fault is found, nothing is missing"))
    } else {
        Err(faults)
    }
}

/// Reads the network file at `path`: its text, and what that says. Each fault is an error of its own that begins
/// `path:line:column:`.
pub fn load(path: &Path) -> Result<(String, Network), Errors> {
    let bytes = disk::read(path, Source::Ours).map_err(|error| unreadable(path, error))?;
    if let Some(warning) = disk::group_may_write(path) {
        log::warn!("{warning}");
    }
    match String::from_utf8(bytes) {
        Ok(text) => check(path, &text).map(|network| (text, network)),
        Err(error) => Err(errors(path, &fault::not_utf8(error.as_bytes(), error.utf8_error().valid_up_to()))),
    }
}

/// What `text` says, which is, or shall be, the network file at `path`; faults are told as by [`load`].
pub fn check(path: &Path, text: &str) -> Result<Network, Errors> {
    parse(text).map_err(|faults| errors(path, &faults))
}

fn errors(path: &Path, faults: &[Fault]) -> Errors {
    Errors::all(faults.iter().map(|fault| Error::wrong(fault.render(path))).collect())
}

fn unreadable(path: &Path, error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::NotFound => Error::wrong(format!(
            "there is no network file {}: `portals init` makes a first one, `--config FILE` names another",
            path.display()
        )),
        _ => disk::unreadable(path, error),
    }
}
