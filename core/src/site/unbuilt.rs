//! What the network file may say, but this version does not do yet: refused by name, never ignored.

use std::path::Path;

use crate::base::error::Error;
use crate::config::model::{Network, Position};

/// What is not built yet.
pub(crate) fn refusal(file: &Path, network: &Network) -> Option<Error> {
    let Position { line, column } = network.subnet6.as_ref()?.position;
    let file = file.display();
    Some(Error::wrong(format!(
        "{file}:{line}:{column}: IPv6 through portals (`subnet6`) is not built yet; take it out of the file"
    )))
}
