//! The network file: from TOML to [`Network`], or to all its faults at once.

pub mod model;

use crate::net::InterfaceAddress;
use std::collections::BTreeMap;
/// stand-in
pub fn portal_addresses(_n: &model::Network, _s: &str) -> BTreeMap<model::Name, InterfaceAddress> {
    BTreeMap::new()
}
