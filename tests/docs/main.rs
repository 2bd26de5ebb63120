//! Commands in the documentation: the program knows each command line of portals, and real shells run the
//! blocks of commands, on machines in namespaces.

#[allow(dead_code, reason = "the end-to-end scenarios also upgrade machines")]
#[path = "../support/firmware.rs"]
mod firmware;
mod lines;
#[path = "../namespace/mod.rs"]
mod namespace;
mod pages;
mod parsed;
mod remote;
#[allow(dead_code, reason = "the end-to-end scenarios also have limits of their own")]
#[path = "../support/shells.rs"]
mod shells;
mod shown;
mod stage;
mod stories;
mod unrun;

use std::path::PathBuf;

/// The program under test.
fn program() -> PathBuf {
    env!("CARGO_BIN_EXE_portals").into()
}
