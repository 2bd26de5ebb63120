//! Packets with the source of a portal's device that come in elsewhere: by an interface that got another name, by a bridge that a portal's
//! interface became a port of, or from a liar. They go nowhere, whether an agent runs or not.

use super::firewall::{in_set, rule};
use crate::base::net::IfName;
use crate::base::sorted::SortedSet;
use crate::firewall::{
    Action::{Accept, Drop},
    Condition::{Incoming, Source},
    Networks, Rule,
};
use crate::site::{Portal, Site};

/// The set of interfaces that only some traffic enters portals by.
pub(super) const PARTLY: &str = "partly";

/// Interfaces that only some traffic enters portals by: the rest goes where the host sends it.
pub(super) fn partly(site: &Site) -> SortedSet<IfName> {
    let partly = site.portals.iter().filter(|portal| !portal.takes_all());
    partly.filter_map(Portal::entrance_interface).cloned().collect()
}

/// The end of the chain: what comes out of tunnels, or in by interfaces that enter as a whole, has been decided on.
pub(super) fn forward(site: &Site) -> Vec<Rule> {
    let rest = (!partly(site).is_empty()).then(|| rule([Incoming(in_set(PARTLY))], Accept));
    let strays = rule([Source(Networks::One(site.subnet))], Drop);
    rest.into_iter().chain([strays]).collect()
}
