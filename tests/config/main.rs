//! The network file: what is read from good ones, and what a person is told about broken ones.

mod broken;
mod mutated;
mod valid;

/// A small network that is right: the broken ones are edits of it.
const BASE: &str = include_str!("base.toml");
