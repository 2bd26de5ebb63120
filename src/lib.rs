//! `portals`: traffic goes in at one site and comes out at another.
//!
//! Data flows in one direction: [`config`] → [`site`] view → [`plan`] (pure) → [`state::diff`] against the
//! observed state (pure) → [`engine::apply`], with a journal → observe again. ARCHITECTURE.md describes the
//! modules.

// Only `disk` reads files.
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]
// The macros of the standard library panic if the reader of the output is gone; `cli::output` does not.
#![cfg_attr(not(test), warn(clippy::print_stdout, clippy::print_stderr))]

// Unit tests share the strategies of the integration tests, which call this crate by its name.
#[cfg(test)]
extern crate self as wg_portals;

pub use portals_core::{
    base, config, exchange, firewall, join, map, nat, plan, signed, site, state, wgquick, wifi,
};

pub mod agent;
pub mod cli;
pub mod commands;
pub mod control;
pub mod demo;
pub mod diagnose;
pub mod engine;
#[cfg(fuzzing)]
pub mod fuzzing;
pub mod interop;
pub mod kernel;
pub mod services;
pub mod system;
pub mod web;
