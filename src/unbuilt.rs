//! What the network file may say, but this version does not do yet: refused by name, never ignored.

use std::path::Path;

use crate::config::model::{Network, Position};
use crate::error::Error;

/// Everything that is not built yet.
pub(crate) fn refusals(file: &Path, network: &Network) -> Vec<Error> {
    let subnet6 = network.subnet6.as_ref().map(|subnet6| subnet6.position);
    let refuse = |position| refusal(file, position, "IPv6 through portals (`subnet6`)");
    subnet6.map(refuse).into_iter().collect()
}

fn refusal(file: &Path, Position { line, column }: Position, what: &str) -> Error {
    let file = file.display();
    Error::wrong(format!("{file}:{line}:{column}: {what} is not built yet; take it out of the file"))
}
