//! `portals`: traffic goes in at one site and comes out at another.
//!
//! One way through the house: a file comes in at the top, kernel calls leave at the bottom, and nothing flows back up:
//! [`config`] → site view → plan (pure) → [`diff`] against what is there (pure) → apply → observe again.

// Test helpers are shared with tests/, where the crate has this name.
#[cfg(test)]
extern crate self as wg_portals;

pub mod config;
pub mod diff;
pub mod error;
pub mod firewall;
pub mod firewall_edit;
pub mod firewall_text;
pub mod kernel;
pub mod net;
pub mod state;
