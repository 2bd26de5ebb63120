//! Fast path: a flowtable, by which the kernel forwards the packets of known connections through portals as
//! they arrive, before routing and all rules.
//!
//! A flow ends in its tunnel or at the devices, never on an uplink, whatever happens to rules and routes
//! meanwhile:
//! - The rule lets in only connections that our rules let into a tunnel, by a packet that leaves into that
//!   tunnel; the way of answers is the interface that this packet came in on, which is no uplink.
//! - The kernel ends the flows of an interface that goes down or disappears, and each flow whose route is not
//!   current any more: the next packet meets all rules. For IPv6, Linux before 6.9 does not count a changed
//!   policy rule as a change of routes.
//! - Each change of our table makes the flowtable again, without flows, in the same transaction.

use crate::base::net::IfName;
use crate::base::sorted::SortedSet;
use crate::firewall::{
    Action::Offload,
    Condition::{ConnectionMarked, FromOriginator, NotIncoming, Way},
    Interfaces, Pairing,
};
use crate::plan::connection_marks::pairs;
use crate::plan::sets::{Rules, add};
use crate::site::{Entrance, Site};
use crate::state::TUNNELED;

/// Returns the devices of the flowtable: the interfaces where packets of portals arrive, and all tunnels to
/// exits; `None` if there is no fast path here.
pub(super) fn devices(site: &Site) -> Option<SortedSet<IfName>> {
    if !site.guard.fastpath || site.tunnels.is_empty() {
        return None;
    }
    let mut devices = SortedSet::new();
    for (name, tunnel) in &site.tunnels {
        if tunnel.table.is_some() {
            devices.insert(name.clone());
        }
    }
    for portal in site.portals.iter().filter(|portal| portal.is_here) {
        devices.extend(portal.entrance_interface().cloned());
        for (name, networks) in &site.host.behind {
            let enters = match &portal.entrance {
                Entrance::From(sources) => {
                    sources.iter().any(|source| networks.iter().any(|network| network.overlaps(*source)))
                }
                entrance => matches!(entrance, Entrance::Mac { .. }),
            };
            if enters && !site.tunnels.contains_key(name) {
                devices.insert(name.clone());
            }
        }
    }
    for uplink in site.uplinks() {
        devices.remove(uplink);
    }
    Some(devices)
}

/// Adds the rule that lets connections into the flowtable.
pub(super) fn rules(rules: &mut Rules, site: &Site) {
    if devices(site).is_none() {
        return;
    }
    let mut conditions = vec![ConnectionMarked(TUNNELED), FromOriginator, Way(Pairing::LEAVING, pairs())];
    for uplink in site.uplinks() {
        conditions.push(NotIncoming(Interfaces::One(uplink.clone())));
    }
    add(rules, conditions, Offload);
}
