//! Fast path: a flowtable, by which the kernel forwards the packets of known connections through portals as
//! they arrive, before routing and all rules.
//!
//! A flow ends in its tunnel or at the devices, never on an uplink, whatever happens to rules and routes
//! meanwhile:
//! - The rule lets in only connections that our rules let into a tunnel and that were answered, by a packet
//!   that leaves into that tunnel; the way of answers is the interface that this packet came in on, which is
//!   no uplink.
//! - It lets in IPv4 only: since Linux 5.19, the kernel prefers this interface for IPv6 answers but does not
//!   insist on it, and takes the uplink where the route to the device has gone (`nft_flow_route` in
//!   net/netfilter/nft_flow_offload.c).
//! - The kernel ends the flows of an interface that goes down or disappears, and each flow whose route is not
//!   current any more: the next packet meets all rules.
//! - Each change of our table makes the flowtable again, without flows, in the same transaction.

use crate::base::net::Family::V4;
use crate::base::net::IfName;
use crate::base::sorted::SortedSet;
use crate::firewall::{
    Action::Offload,
    Condition::{ConnectionMarked, Established, Family as Of, FromOriginator, NotIncoming, Way},
    Interfaces, Pairing,
};
use crate::plan::connection_marks::pairs;
use crate::plan::sets::{Rules, add};
use crate::site::{Entrance, Site};
use crate::state::TUNNELED;

/// Largest number of devices of a flowtable (NFT_NETDEVICE_MAX in net/netfilter/nf_tables_api.c).
const MOST_DEVICES: usize = 256;

/// Returns the devices of the flowtable: the interfaces where packets of portals arrive, and all tunnels to
/// exits; `None` if there is no fast path here, or if there are too many devices.
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
    for portal in site.portals.iter().filter(|portal| portal.has_wire()) {
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
    (devices.len() <= MOST_DEVICES).then_some(devices)
}

/// Adds the rule that lets connections into the flowtable.
pub(super) fn rules(rules: &mut Rules, site: &Site) {
    if devices(site).is_none() {
        return;
    }
    let mut conditions =
        vec![Of(V4), ConnectionMarked(TUNNELED), FromOriginator, Established, Way(Pairing::LEAVING, pairs())];
    for uplink in site.uplinks() {
        conditions.push(NotIncoming(Interfaces::One(uplink.clone())));
    }
    add(rules, conditions, Offload);
}
