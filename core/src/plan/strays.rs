//! Packets of a portal's devices on a way that is not theirs. They are dropped, whether an agent runs or not:
//! - packets with the source of a device that come in on another interface: on one that was renamed, on a
//!   bridge that a portal's interface became a port of, or from a host that forges its source;
//! - answers out of a tunnel that would leave via the uplink, because the interface of the device is gone.

use crate::base::net::{Cidr, IfName};
use crate::base::sorted::SortedSet;
use crate::firewall::{
    Action::{Accept, Drop},
    Condition::{ConnectionMarked, FromOriginator, FromResponder, NotDestination, NotIncoming},
};
use crate::plan::classifier;
use crate::plan::sets::{
    Rules, Sets, TUNNELS, add, add_interfaces, add_networks, add_of, coming_in, families_of, from, in_set,
    leaving, networks_in, private, to_in,
};
use crate::site::{Entrance, Portal, Site};
use crate::state::TUNNELED;

/// Set of interfaces on which packets with a source of our own come in: tunnels, and portals' interfaces.
const SENDERS: &str = "senders";
/// Set of networks where portals' devices may be.
const HOMES: &str = "homes";
/// Set of networks that the uplinks lead to, apart from the internet. Devices may be there, too.
const OUTER: &str = "outer";

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
    add_networks(sets, site, HOMES, &homes(site));
    add_networks(sets, site, OUTER, &outer(site));
}

/// Adds the rules that drop answers out of a tunnel on their way to the uplink. While the interface of the
/// device is gone, the route to the internet is the only one left for an answer.
pub(super) fn answers(rules: &mut Rules, site: &Site) {
    let (homes, outer) = (homes(site), outer(site));
    for uplink in site.uplinks() {
        for family in site.carried() {
            let network = [coming_in(TUNNELS), leaving(uplink), classifier::to_network(family)];
            add(rules, network, Drop);
        }
        let with_outer = families_of(site, &outer);
        for family in families_of(site, &homes) {
            let device = [coming_in(TUNNELS), leaving(uplink), FromResponder, to_in(family, HOMES)];
            let inner = with_outer.contains(&family).then(|| NotDestination(networks_in(family, OUTER)));
            add_of(rules, &[&device, inner.as_slice()], Drop);
        }
    }
}

/// Returns the networks where devices may be whose portals do not have an interface of their own. Devices
/// that the file names by their hardware addresses may be on any network that is not the internet.
fn homes(site: &Site) -> Vec<Cidr> {
    let mut homes = Vec::new();
    for portal in &site.portals {
        match &portal.entrance {
            Entrance::From(sources) => homes.extend(sources),
            Entrance::Mac { .. } => homes.extend(private(site)),
            _ => {}
        }
    }
    homes
}

fn outer(site: &Site) -> Vec<Cidr> {
    let mut outer: Vec<Cidr> = site.host.uplink_networks.iter().copied().collect();
    for uplink in site.uplinks() {
        outer.extend(site.host.behind.get(uplink).into_iter().flatten());
    }
    outer
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
