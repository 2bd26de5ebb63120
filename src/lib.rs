//! `portals`: traffic goes in at one site and comes out at another.
//!
//! One way through the house: a file comes in at the top, kernel calls leave at the bottom, and nothing flows
//! back up: [`config`] → [`site`] view → [`plan`] (pure) → [`state::diff`] against what is there (pure) →
//! [`engine::apply`], journalled → observe again.

// Files are read by `disk` alone.
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]
// Those of the standard library end the program where nobody reads: `output` does not.
#![cfg_attr(not(test), warn(clippy::print_stdout, clippy::print_stderr))]

// The strategies of the tests are shared with unit tests, which know the crate by its name there.
#[cfg(test)]
extern crate self as wg_portals;

pub use portals_core::{base, config, firewall, plan, site, state, wgquick, wifi};

pub mod agent;
pub mod cli;
pub mod commands;
pub mod control;
pub mod demo;
pub mod engine;
#[cfg(fuzzing)]
pub mod fuzzing;
pub mod interop;
pub mod kernel;
pub mod services;
pub mod system;
