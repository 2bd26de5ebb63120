//! Traffic that enters a portal, and the ways open to it: to the portal's exit, and for devices to their own
//! LANs.

use std::net::IpAddr;
use std::slice;

use crate::base::net::{Cidr, Family, Mac};
use crate::base::sorted::SortedSet;
use crate::config::model::{Ports, Protocol};
use crate::firewall::{
    Action::{Accept, Reject},
    Condition::{self, Destination, Device, Family as Of, Source, TcpPort, UdpPort},
    Devices, Networks, Set, SetName,
};
use crate::plan::exempt;
use crate::plan::sets::{
    NETWORK, Rules, Sets, TUNNELS, add, add_members, add_networks, add_of, add_set, coming, disjoint,
    leaving, leaving_in, not_by_uplinks, of_family, to, to_in,
};
use crate::site::{Entrance, Exit, Portal, Site, Vlan, families};

/// Returns the condition on traffic of a family that comes in at a portal's entrance; `None` for the portal
/// of this host's own traffic, and for a family that no source of the portal has.
pub(super) fn condition(portal: &Portal, family: Family) -> Option<Condition> {
    match &portal.entrance {
        Entrance::Interface(interface)
        | Entrance::Vlan(Vlan { interface, .. })
        | Entrance::Wifi { interface, .. } => Some(coming(interface)),
        Entrance::From(sources) => {
            let has_some = sources.iter().any(|source| source.family() == family);
            has_some.then(|| Source(Networks::In(family, sources_of(family, portal))))
        }
        Entrance::Mac { .. } => Some(Device(Devices::In(members("mac", portal)))),
        Entrance::Own => None,
    }
}

/// Returns the conditions on traffic that comes in at a portal's entrance: one for each family of sources, or
/// one for all families.
pub(super) fn conditions(site: &Site, portal: &Portal) -> Vec<Condition> {
    let mut conditions = Vec::new();
    for family in site.carried() {
        conditions.extend(condition(portal, family).filter(|condition| !conditions.contains(condition)));
    }
    conditions
}

/// Returns the ports that enter, each as a condition; a single `None` means all ports.
pub(super) fn ports(portal: &Portal) -> Vec<Option<Condition>> {
    let condition = |ports: &Ports| match ports.protocol {
        Protocol::Tcp => TcpPort(ports.first, ports.last),
        Protocol::Udp => UdpPort(ports.first, ports.last),
    };
    or_all(portal.ports().iter().map(condition))
}

/// Returns the destinations that enter, each as a condition; a single `None` means all destinations.
pub(super) fn all_destinations(portal: &Portal) -> Vec<Option<Condition>> {
    or_all(portal.to.iter().copied().map(to))
}

/// Returns the destinations of a family that enter, each as a condition; a single `None` means all
/// destinations.
pub(super) fn destinations(portal: &Portal, family: Family) -> Vec<Option<Condition>> {
    let mut destinations = all_destinations(portal);
    let has_family = |to: &Condition| to.family() == Some(family);
    destinations.retain(|to| to.as_ref().is_none_or(has_family));
    destinations
}

fn or_all(some: impl Iterator<Item = Condition>) -> Vec<Option<Condition>> {
    let some: Vec<_> = some.map(Some).collect();
    if some.is_empty() { vec![None] } else { some }
}

/// Reports whether traffic of a family enters.
pub(super) fn enters(portal: &Portal, family: Family) -> bool {
    let has_source = match &portal.entrance {
        Entrance::From(sources) => sources.iter().any(|source| source.family() == family),
        _ => true,
    };
    has_source && (portal.to.is_empty() || portal.to.iter().any(|network| network.family() == family))
}

/// Adds the sets that identify traffic that enters, and the networks that stay reachable for it.
pub(super) fn sets(sets: &mut Sets, site: &Site) {
    for portal in &site.portals {
        if let Entrance::From(sources) = &portal.entrance {
            for family in site.carried() {
                let sources = disjoint(family, sources.as_slice());
                add_members(sets, sources_of(family, portal), family, sources);
            }
        }
        add_set(sets, members("mac", portal), Set::Devices(devices(site, portal)));
    }
    add_networks(sets, site, NETWORK, &exempt::of_network(site));
    for family in families(site) {
        add_members(sets, local_name(family), family, local(site, family));
    }
}

/// Adds the rules that one portal adds to those that all whole interfaces share.
pub(super) fn forward(rules: &mut Rules, site: &Site, portal: &Portal) {
    for family in site.carried() {
        let Some(entering) = condition(portal, family) else { continue };
        stay_reachable(rules, site, portal, &entering, family);
    }
    if portal.entrance_interface().is_some() && portal.takes_all() {
        return;
    }
    // Devices have more IPv6 addresses than those that the file names.
    let is_last = site.carries_ipv6();
    if !is_last {
        refuse_ipv6(rules, site, portal);
    }
    for entering in conditions(site, portal) {
        to_exit(rules, site, portal, &entering);
    }
    if is_last {
        refuse_ipv6(rules, site, portal);
    }
}

/// Adds the rules for destinations of a family that do not enter.
fn stay_reachable(rules: &mut Rules, site: &Site, portal: &Portal, entering: &Condition, family: Family) {
    if has_devices(portal) {
        exempt_networks(rules, site, entering, family);
    }
    excepted(rules, portal, family);
}

/// Adds the rules that let devices reach the local networks and our sites.
pub(super) fn exempt_networks(rules: &mut Rules, site: &Site, entering: &Condition, family: Family) {
    allow_local(rules, site, entering, family);
    if !site.tunnels.is_empty() {
        // Only into tunnels: traffic to a part of the subnet that no peer has would leave via the uplink.
        add(rules, [entering.clone(), to_network(family), leaving_in(TUNNELS)], Accept);
    }
}

/// Adds the rules for the destinations of a family that the file excepts from a portal.
pub(super) fn excepted(rules: &mut Rules, portal: &Portal, family: Family) {
    let Some(entering) = condition(portal, family) else { return };
    for network in portal.except.iter().filter(|network| network.family() == family) {
        add(rules, [entering.clone(), to(*network)], Accept);
    }
}

/// Adds the rules that let entering traffic leave only at the exit.
fn to_exit(rules: &mut Rules, site: &Site, portal: &Portal, entering: &Condition) {
    let destinations = match entering.family() {
        Some(family) => destinations(portal, family),
        None => all_destinations(portal),
    };
    for port in ports(portal) {
        for destination in &destinations {
            let matching = [slice::from_ref(entering), destination.as_slice(), port.as_slice()].concat();
            for exit in site.exit_interfaces(&portal.exit) {
                add_of(rules, &[&matching, &[leaving(exit)]], Accept);
            }
            add(rules, matching, Reject);
        }
    }
}

/// Returns the condition on IPv6 that comes in at a portal's entrance, if there is one. A device that the
/// file names by its IPv4 address is recognised by its hardware address.
pub(super) fn condition_of_ipv6(site: &Site, portal: &Portal) -> Option<Condition> {
    match portal.entrance_interface() {
        Some(interface) => Some(coming(interface)),
        _ if devices(site, portal).is_empty() => None,
        _ => Some(Device(Devices::In(members("mac", portal)))),
    }
}

/// Adds the rules that refuse IPv6 which enters, but which no exit takes. Where the tunnels carry IPv6,
/// that is only IPv6 of devices that the file names by their IPv4 addresses.
fn refuse_ipv6(rules: &mut Rules, site: &Site, portal: &Portal) {
    let Some(entering) = condition_of_ipv6(site, portal) else { return };
    let goes_through = site.carries_ipv6() && !matches!(portal.entrance, Entrance::From(_));
    let ignores_ipv6 = portal.exit == Exit::Direct || !portal.to.is_empty() || goes_through;
    if ignores_ipv6 || !site.host.ipv6 {
        return;
    }
    if has_devices(portal) {
        allow_local(rules, site, &entering, Family::V6);
    }
    for port in ports(portal) {
        let ipv6 = [Of(Family::V6), entering.clone()];
        add_of(rules, &[&ipv6, port.as_slice()], Reject);
    }
}

/// Reports whether single devices of an existing LAN enter.
pub(super) fn has_devices(portal: &Portal) -> bool {
    matches!(portal.entrance, Entrance::From(_) | Entrance::Mac { .. })
}

/// Returns the hardware addresses of the devices that enter, as far as they are known.
pub(super) fn devices(site: &Site, portal: &Portal) -> SortedSet<Mac> {
    match &portal.entrance {
        Entrance::Mac { devices, .. } => devices.clone(),
        Entrance::From(sources) => {
            let enters = |address: IpAddr| sources.iter().any(|source| source.contains(address));
            let known = site.host.neighbours.iter().filter(|(address, _)| enters(**address));
            known.map(|(_, mac)| *mac).collect()
        }
        _ => SortedSet::new(),
    }
}

/// Adds the rule that lets devices reach the local networks, but never via the uplink, where the route
/// leads while the local link is down.
pub(super) fn allow_local(rules: &mut Rules, site: &Site, entering: &Condition, family: Family) {
    if local(site, family).is_empty() {
        return;
    }
    let local = Destination(Networks::In(family, local_name(family)));
    add_of(rules, &[&[entering.clone(), local], &not_by_uplinks(site)], Accept);
}

/// Returns the condition on traffic of a family to our sites and phones.
pub(super) fn to_network(family: Family) -> Condition {
    to_in(family, NETWORK)
}

fn local(site: &Site, family: Family) -> SortedSet<Cidr> {
    disjoint(family, site.host.local_networks.as_slice())
}

fn local_name(family: Family) -> SetName {
    of_family(family, "local")
}

fn sources_of(family: Family, portal: &Portal) -> SetName {
    members(&of_family(family, "from").0, portal)
}

fn members(kind: &str, portal: &Portal) -> SetName {
    SetName(format!("{kind}-{}", portal.name))
}
