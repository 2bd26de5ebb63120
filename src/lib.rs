//! `portals`: traffic goes in at one site and comes out at another.
//!
//! One way through the house: a file comes in at the top, kernel calls leave at the bottom, and nothing flows back up:
//! [`config`] → [`site`] view → [`plan`] (pure) → [`diff`] against what is there (pure) → [`apply`], journalled → observe again.

// Files are read by `disk` alone.
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]
// Those of the standard library end the program where nobody reads: `output` does not.
#![cfg_attr(not(test), warn(clippy::print_stdout, clippy::print_stderr))]

// The strategies of the tests are shared with unit tests, which know the crate by its name there.
#[cfg(test)]
extern crate self as wg_portals;

pub mod agent;
pub mod apply;
pub mod cli;
pub mod clock;
pub mod closing;
pub mod commands;
pub mod commands_text;
pub mod config;
pub mod control;
pub mod converge;
pub mod demo;
pub mod describe;
pub mod diff;
pub mod disk;
pub mod edit;
pub mod error;
pub mod export;
pub mod firewall;
pub mod firewall_choice;
pub mod firewall_edit;
pub mod firewall_text;
#[cfg(fuzzing)]
pub mod fuzzing;

pub mod host;
pub mod import;
pub mod journal;
pub mod json;
pub mod kernel;
pub mod keys;
pub mod load;
pub mod logging;
pub mod neighbours;
pub mod net;
pub mod notify;
pub mod output;
pub mod packages;
pub mod phone;
pub mod plan;
pub mod platform;
pub mod qr;
pub mod random;
pub mod resolver;
pub mod services;
pub mod site;
pub mod sorted;
pub mod state;
pub mod status;
pub mod style;
pub mod trial;
pub mod tunnel_delta;
mod unbuilt;
pub mod wgquick;
pub mod wifi;
pub mod xtables;
