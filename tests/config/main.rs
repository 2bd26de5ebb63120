//! The network file: the content of valid files, the messages about broken ones, and the schema for editors.

mod broken;
mod chains;
#[path = "../support/generated.rs"]
mod generated;
mod mutated;
mod schema;
mod valid;

/// A small valid network: the broken ones are edits of it.
const BASE: &str = include_str!("base.toml");
