//! Settings of the network file that this version does not support yet: refused by name, never ignored.

use std::path::Path;

use crate::base::error::Error;
use crate::config::model::{Network, Position};

/// Returns the error for a setting in `file` that is not supported yet.
pub(crate) fn refusal(file: &Path, network: &Network) -> Option<Error> {
    let Position { line, column } = network.subnet6.as_ref()?.position;
    let file = file.display();
    Some(Error::wrong(format!(
        "{file}:{line}:{column}: IPv6 through portals (`subnet6`) is not supported yet: take `subnet6` out \
         of the file"
    )))
}
