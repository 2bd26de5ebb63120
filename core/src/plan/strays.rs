//! Packets with the source of a portal's device that come in on another interface: on one that was renamed,
//! on a bridge that a portal's interface became a port of, or from a host that forges its source. They are
//! dropped, whether an agent runs or not.

use crate::base::net::IfName;
use crate::base::sorted::SortedSet;
use crate::firewall::Action::{Accept, Drop};
use crate::plan::sets::{Rules, add, coming_in, from};
use crate::site::{Portal, Site};

/// Set of interfaces of portals that only some of the traffic enters.
pub(super) const PARTLY: &str = "partly";

/// Returns the members of the set [`PARTLY`]: the host routes the rest of their traffic as usual.
pub(super) fn partly(site: &Site) -> SortedSet<IfName> {
    let partly = site.portals.iter().filter(|portal| !portal.takes_all());
    partly.filter_map(Portal::entrance_interface).cloned().collect()
}

/// Adds the rules at the end of the chain, after traffic out of tunnels and from interfaces that enter as
/// a whole.
pub(super) fn forward(rules: &mut Rules, site: &Site) {
    if !partly(site).is_empty() {
        add(rules, [coming_in(PARTLY)], Accept);
    }
    for subnet in site.subnets() {
        add(rules, [from(subnet)], Drop);
    }
}
