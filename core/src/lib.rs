//! The pure part of `portals`: data in, data out, without a clock, a disk or a kernel.
//!
//! [`config`] reads the network file. [`site`] takes the view of one site from it. [`plan`] makes the wanted
//! [`state`] of that host. [`state::diff`] finds the steps from the observed state to the wanted one.

pub mod base;
pub mod config;
pub mod exchange;
pub mod firewall;
pub mod join;
pub mod map;
pub mod nat;
pub mod plan;
pub mod signed;
pub mod site;
pub mod state;
pub mod wgquick;
pub mod wifi;
