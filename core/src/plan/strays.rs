//! Packets with the source of a portal's device that come in on another interface: on one that was renamed,
//! on a bridge that a portal's interface became a port of, or from a host that forges its source. They are
//! dropped, whether an agent runs or not.

use crate::base::net::IfName;
use crate::base::sorted::SortedSet;
use crate::firewall::{
    Action::{Accept, Drop},
    Condition::{ConnectionMarked, FromOriginator, NotIncoming},
};
use crate::plan::sets::{Rules, Sets, add, add_interfaces, add_of, from, in_set};
use crate::site::{Portal, Site};
use crate::state::TUNNELED;

/// Set of interfaces on which packets with a source of our own come in: tunnels, and portals' interfaces.
const SENDERS: &str = "senders";

/// Adds the rules for connections that went into a tunnel, as packets come in: the first rules for forwarded
/// packets let such connections go on, and a forged packet must not reach the connection of a device.
pub(super) fn known(rules: &mut Rules, site: &Site) {
    for subnet in site.subnets() {
        let stray = [ConnectionMarked(TUNNELED), FromOriginator, from(subnet), NotIncoming(in_set(SENDERS))];
        add(rules, stray, Drop);
    }
}

/// Adds the sets that the rules of this file look into.
pub(super) fn sets(sets: &mut Sets, site: &Site) {
    add_interfaces(sets, SENDERS, senders(site));
}

/// Adds the rules behind those for traffic of single devices. All rules that follow are about traffic from
/// portals' interfaces and out of tunnels: most packets that concern no portal end here.
pub(super) fn forward(rules: &mut Rules, site: &Site) {
    let elsewhere = (!senders(site).is_empty()).then(|| NotIncoming(in_set(SENDERS)));
    for subnet in site.subnets() {
        add_of(rules, &[&[from(subnet)], elsewhere.as_slice()], Drop);
    }
    if site.portals.iter().any(|portal| portal.entrance_interface().is_some()) {
        add(rules, [NotIncoming(in_set(SENDERS))], Accept);
    }
}

fn senders(site: &Site) -> SortedSet<IfName> {
    let mut senders: SortedSet<IfName> = site.tunnels.keys().cloned().collect();
    senders.extend(site.portals.iter().filter_map(Portal::entrance_interface).cloned());
    senders
}
