//! Pinholes in firewalls of other programs whose rules refuse unknown traffic. The pinholes let pass no more
//! than our own rules do: our rules check the same packets as well.

use crate::base::net::{Family, IfName};
use crate::base::sorted::SortedMap;
use crate::firewall::{
    Action::Accept,
    Chain,
    Condition::{Device, Established, Icmp, UdpPort},
    Devices, FirewallRule, Pinholes,
};
use crate::plan::sets::{add, coming, from, leaving, rule};
use crate::plan::{dns, relayed_links};
use crate::site::{Entrance, Exit, Portal, RESOLVER_PORT, Site, Vlan};

/// UDP port of a DHCP server (RFC 2131 § 4.1).
const DHCP_SERVER: u16 = 67;
/// UDP port of a DHCP server for IPv6 (RFC 8415 § 7.2).
const DHCP6_SERVER: u16 = 547;

/// Returns the pinholes for traffic to the host itself and for traffic that it forwards.
pub(super) fn plan(site: &Site) -> Pinholes {
    let mut pinholes = SortedMap::from([(Chain::Input, input(site)), (Chain::Forward, forward(site))]);
    pinholes.retain(|_, rules| !rules.is_empty());
    pinholes
}

/// Returns the pinholes for the tunnels' own packets, for traffic out of tunnels, and for requests of devices
/// on portals' LANs.
fn input(site: &Site) -> Vec<FirewallRule> {
    let mut rules = Vec::new();
    for tunnel in site.tunnels.values() {
        add(&mut rules, [UdpPort(tunnel.port, tunnel.port)], Accept);
    }
    rules.extend(relayed_links::input(site));
    rules.extend(from_tunnels(site));
    for portal in &site.portals {
        rules.extend(asked(portal));
    }
    rules
}

/// Returns the pinholes for DHCP and DNS, as far as the portal serves them.
fn asked(portal: &Portal) -> Vec<FirewallRule> {
    let Some(interface) = portal.entrance_interface() else { return Vec::new() };
    let mut asked = Vec::new();
    if portal.dhcp {
        asked.push(UdpPort(DHCP_SERVER, DHCP_SERVER));
    }
    if portal.address6.is_some() {
        // IPv6 needs ICMP for neighbour discovery and for router solicitations.
        asked.extend([UdpPort(DHCP6_SERVER, DHCP6_SERVER), Icmp(Family::V6)]);
    }
    if portal.resolver().next().is_some() {
        asked.extend(dns::at(RESOLVER_PORT));
    }
    asked.into_iter().map(|port| rule([coming(interface), port], Accept)).collect()
}

fn from_tunnels(site: &Site) -> Vec<FirewallRule> {
    site.tunnels.keys().map(|tunnel| rule([coming(tunnel)], Accept)).collect()
}

fn forward(site: &Site) -> Vec<FirewallRule> {
    // Our own rules decide on traffic out of a tunnel: to the uplink, to shared networks, and answers.
    let mut rules = from_tunnels(site);
    for tunnel in site.tunnels.keys() {
        add(&mut rules, [leaving(tunnel), Established], Accept);
    }
    for tunnel in site.tunnels.keys() {
        for lan in site.own_lans() {
            add(&mut rules, [from(lan), leaving(tunnel)], Accept);
        }
    }
    for portal in &site.portals {
        for exit in site.exit_interfaces(&portal.exit) {
            rules.extend(through_to(portal, exit));
        }
    }
    rules.extend(relayed_links::forward(site));
    rules
}

/// Returns the pinholes from a portal's entrance to an interface of its exit; for the way back as well, if
/// the exit is not a tunnel.
fn through_to(portal: &Portal, exit: &IfName) -> Vec<FirewallRule> {
    let is_direct = portal.exit == Exit::Direct;
    let mut rules = Vec::new();
    match &portal.entrance {
        Entrance::Interface(interface)
        | Entrance::Vlan(Vlan { interface, .. })
        | Entrance::Wifi { interface, .. } => {
            add(&mut rules, [coming(interface), leaving(exit)], Accept);
            if is_direct {
                add(&mut rules, [coming(exit), leaving(interface), Established], Accept);
            }
        }
        // Devices of an existing LAN use the uplink as before.
        Entrance::From(_) | Entrance::Mac { .. } if is_direct => {}
        Entrance::From(sources) => {
            for source in sources {
                add(&mut rules, [from(*source), leaving(exit)], Accept);
            }
        }
        Entrance::Mac { devices, .. } => {
            for mac in devices {
                add(&mut rules, [leaving(exit), Device(Devices::One(*mac))], Accept);
            }
        }
        Entrance::Own => {}
    }
    rules
}
