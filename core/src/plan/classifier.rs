//! Traffic that enters a portal, and the ways open to it: to the portal's exit, and for devices to their own
//! LANs.

use std::net::IpAddr;

use crate::base::net::{Cidr, Family, Mac};
use crate::base::sorted::{SortedMap, SortedSet};
use crate::config::model::{Ports, Protocol};
use crate::firewall::{
    Action::{Accept, Reject},
    Condition::{
        self, Destination, Device, Family as Of, Incoming, NotOutgoing, Outgoing, Source, TcpPort, UdpPort,
    },
    Devices, FirewallRule, Interfaces, Networks, Set, SetName,
};
use crate::plan::exempt;
use crate::plan::sets::{NETWORK, disjoint, rule, tunnels};
use crate::site::{Entrance, Exit, Portal, Site, Vlan, families};

/// Returns the condition on traffic that comes in at a portal's entrance; `None` for the portal of this
/// host's own traffic.
pub(super) fn condition(portal: &Portal) -> Option<Condition> {
    match &portal.entrance {
        Entrance::Interface(interface)
        | Entrance::Vlan(Vlan { interface, .. })
        | Entrance::Wifi { interface, .. } => Some(Incoming(Interfaces::One(interface.clone()))),
        Entrance::From(_) => Some(Source(Networks::In(Family::V4, members("from", portal)))),
        Entrance::Mac { .. } => Some(Device(Devices::In(members("mac", portal)))),
        Entrance::Own => None,
    }
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
pub(super) fn destinations(portal: &Portal) -> Vec<Option<Condition>> {
    or_all(portal.to.iter().map(|network| Destination(Networks::One(*network))))
}

fn or_all(some: impl Iterator<Item = Condition>) -> Vec<Option<Condition>> {
    let some: Vec<_> = some.map(Some).collect();
    if some.is_empty() { vec![None] } else { some }
}

/// Reports whether IPv6 enters as well. A portal refuses it, because no exit has IPv6.
pub(super) fn takes_ipv6(portal: &Portal) -> bool {
    portal.to.is_empty() && !matches!(portal.entrance, Entrance::From(_))
}

/// Returns the sets that identify traffic that enters, and the networks that stay reachable for it.
pub(super) fn sets(site: &Site) -> SortedMap<SetName, Set> {
    let mut sets = SortedMap::new();
    for portal in &site.portals {
        if let Entrance::From(sources) = &portal.entrance {
            let sources = disjoint(Family::V4, sources.iter().copied());
            sets.insert(members("from", portal), Set::Networks(Family::V4, sources));
        }
        let devices = devices(site, portal);
        if !devices.is_empty() {
            sets.insert(members("mac", portal), Set::Devices(devices));
        }
    }
    let network = disjoint(Family::V4, exempt::of_network(site));
    sets.insert(SetName(NETWORK.to_owned()), Set::Networks(Family::V4, network));
    for family in families(site) {
        let local = local(site, family);
        if !local.is_empty() {
            sets.insert(local_name(family), Set::Networks(family, local));
        }
    }
    sets
}

/// Returns the rules that one portal adds to those that all whole interfaces share.
pub(super) fn forward(site: &Site, portal: &Portal) -> Vec<FirewallRule> {
    let Some(entering) = condition(portal) else { return Vec::new() };
    let mut rules = Vec::new();
    if has_devices(portal) && !local(site, Family::V4).is_empty() {
        rules.push(allow_local(site, &entering, Family::V4));
    }
    if has_devices(portal) && !site.tunnels.is_empty() {
        // Only into tunnels: traffic to a part of the subnet that no peer has would leave via the uplink.
        rules.push(rule([entering.clone(), to_network(), Outgoing(tunnels())], Accept));
    }
    for network in &portal.except {
        rules.push(rule([entering.clone(), Destination(Networks::One(*network))], Accept));
    }
    if portal.entrance_interface().is_some() && portal.takes_all() {
        return rules;
    }
    rules.extend(refuse_ipv6(site, portal));
    for port in ports(portal) {
        for destination in destinations(portal) {
            let parts = [Some(entering.clone()), destination, port.clone()];
            let matching: Vec<Condition> = parts.into_iter().flatten().collect();
            if let Some(exit) = site.exit_interface(&portal.exit) {
                let leaving = Outgoing(Interfaces::One(exit.clone()));
                rules.push(rule(matching.iter().cloned().chain([leaving]), Accept));
            }
            rules.push(rule(matching, Reject));
        }
    }
    rules
}

/// Returns the condition on IPv6 that comes in at a portal's entrance, if there is one. A device that the
/// file names by its IPv4 address is recognised by its hardware address.
pub(super) fn condition_of_ipv6(site: &Site, portal: &Portal) -> Option<Condition> {
    match portal.entrance_interface() {
        Some(interface) => Some(Incoming(Interfaces::One(interface.clone()))),
        _ if devices(site, portal).is_empty() => None,
        _ => Some(Device(Devices::In(members("mac", portal)))),
    }
}

/// Returns the rules that refuse IPv6 which enters.
fn refuse_ipv6(site: &Site, portal: &Portal) -> Vec<FirewallRule> {
    let Some(entering) = condition_of_ipv6(site, portal) else { return Vec::new() };
    let ignores_ipv6 = portal.exit == Exit::Direct || !portal.to.is_empty();
    if ignores_ipv6 || !site.host.ipv6 {
        return Vec::new();
    }
    let mut rules = Vec::new();
    if has_devices(portal) && !local(site, Family::V6).is_empty() {
        rules.push(allow_local(site, &entering, Family::V6));
    }
    for port in ports(portal) {
        let ipv6 = [Some(entering.clone()), Some(Of(Family::V6)), port];
        rules.push(rule(ipv6.into_iter().flatten(), Reject));
    }
    rules
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

/// Returns the rule that lets devices reach the local networks, but never via the uplink, where the route
/// leads while the local link is down.
fn allow_local(site: &Site, entering: &Condition, family: Family) -> FirewallRule {
    let local = Destination(Networks::In(family, local_name(family)));
    let elsewhere = site.uplink_interface().map(|uplink| NotOutgoing(Interfaces::One(uplink.clone())));
    rule([entering.clone(), local].into_iter().chain(elsewhere), Accept)
}

/// Returns the condition on traffic to our sites and phones.
pub(super) fn to_network() -> Condition {
    Destination(Networks::In(Family::V4, SetName(NETWORK.to_owned())))
}

fn local(site: &Site, family: Family) -> SortedSet<Cidr> {
    disjoint(family, site.host.local_networks.iter().copied())
}

fn local_name(family: Family) -> SetName {
    SetName(if family == Family::V4 { "local" } else { "local6" }.to_owned())
}

fn members(kind: &str, portal: &Portal) -> SetName {
    SetName(format!("{kind}-{}", portal.name))
}
