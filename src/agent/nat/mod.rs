//! Links behind NAT: searches for their paths, and the helper for other sites' searches.

mod answers;
mod check;
mod exchange;
mod helper;
mod keys;
mod link;
mod links;
mod record;
#[cfg(test)]
mod tests;

pub(super) use exchange::StagedKey;
pub(super) use helper::HelperPorts;
pub(super) use keys::random;
pub(super) use links::LinkPaths;
