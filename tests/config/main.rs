//! The network file: the content of valid files, and the messages about broken ones.

mod broken;
mod chains;
mod mutated;
mod valid;

/// A small valid network: the broken ones are edits of it.
const BASE: &str = include_str!("base.toml");
