//! The network file: from TOML to [`Network`], or to all its faults at once.
//!
//! Text → TOML tree → draft (every readable value, with its place) → checks across the file → network. The
//! reader records each fault and goes on, so that a person sees all faults at once.

mod chain;
mod chain_addresses;
mod check;
mod draft;
pub mod edit;
pub(crate) mod fault;
mod lan;
pub mod model;
mod reader;
mod scalars;
mod sections;
mod shared_networks;
pub mod suggest;
mod syntax;
mod values;

use std::path::Path;

use crate::base::error::{Error, Errors};

pub use chain_addresses::chain_addresses;
pub use fault::Fault;
pub use lan::{
    phone_address, phone_address6, portal_addresses, portal_addresses6, site_network, site_network6,
};
use model::{EndpointHost, Name, Network};
use reader::ValueFault;
pub(crate) use values::is_host_name;

/// Reads the text of a network file. The error holds at least one fault; the faults are in the order of the
/// file.
pub fn parse(text: &str) -> Result<Network, Vec<Fault>> {
    let tree = syntax::read(text).map_err(|found| found.faults(text))?;
    let mut found = fault::Findings::default();
    let draft = sections::file(&reader::Section::root(&tree.root), &mut found);
    check::everything(&draft, &mut found);
    found.leave_out(&tree.broken);
    let faults = tree.faults.and(found).faults(text);
    if faults.is_empty() { Ok(draft.finish(text)) } else { Err(faults) }
}

/// Returns the network that `text` describes. `text` is the present or future content of the file at `path`.
/// Each fault is a separate error that begins with `path:line:column:`. The network is on the heap: callers
/// pass it on.
pub fn check(path: &Path, text: &str) -> Result<Box<Network>, Errors> {
    parse(text).map(Box::new).map_err(|faults| errors(path, &faults))
}

/// Returns the error for a file that is not UTF-8.
pub fn not_utf8(path: &Path, bytes: &[u8], valid_up_to: usize) -> Errors {
    errors(path, &fault::not_utf8(bytes, valid_up_to))
}

/// Returns a text that can be the name of a site.
pub fn site_name(text: &str) -> Option<Name> {
    values::name(text, values::LONGEST_NAME).ok()
}

/// Checks the name of a `kind` of object, such as a phone. The error says how to write it.
pub fn check_name(kind: &str, text: &str) -> Result<(), Error> {
    let Err(fault) = values::name(text, values::LONGEST_NAME) else { return Ok(()) };
    let ValueFault::Value(words) = fault else { return Ok(()) };
    Err(Error::wrong(
        ["the name of a ", kind, " ", words.message(), ", not `", text, "`: ", words.help()].concat(),
    ))
}

/// Returns a text that can be the name of a network.
pub fn network_name(text: &str) -> Option<Name> {
    values::name(text, values::LONGEST_NETWORK_NAME).ok()
}

/// Returns the host of an `endpoint`, if the text is one.
pub fn endpoint_host(text: &str) -> Option<EndpointHost> {
    values::host(text).ok()
}

fn errors(path: &Path, faults: &[Fault]) -> Errors {
    Errors::all(faults.iter().map(|fault| fault.error(path)).collect())
}
