//! Pinholes in firewalls of other programs whose rules refuse unknown traffic. The pinholes let pass no more
//! than our own rules do: our rules check the same packets as well.

use crate::base::net::{Family, IfName};
use crate::base::sorted::SortedMap;
use crate::firewall::{
    Action::Accept,
    Chain,
    Condition::{self, Established, Icmp, Incoming, Outgoing, Source, UdpPort},
    Devices, FirewallRule, Interfaces, Networks, Pinholes,
};
use crate::plan::dns;
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
    let ports = site.tunnels.values().map(|tunnel| rule([UdpPort(tunnel.port, tunnel.port)]));
    let tunnels = site.tunnels.keys().map(|tunnel| rule([coming(tunnel)]));
    ports.chain(tunnels).chain(site.portals.iter().flat_map(asked)).collect()
}

/// Returns the pinholes for DHCP and DNS, as far as the portal serves them.
fn asked(portal: &Portal) -> Vec<FirewallRule> {
    let Some(interface) = portal.entrance_interface() else { return Vec::new() };
    let dhcp = portal.dhcp.then_some(UdpPort(DHCP_SERVER, DHCP_SERVER));
    // IPv6 needs ICMP for neighbour discovery and for router solicitations.
    let ipv6 = portal.address6.map(|_| [UdpPort(DHCP6_SERVER, DHCP6_SERVER), Icmp(Family::V6)]);
    let dns = portal.resolver().next().map(|_| dns::at(RESOLVER_PORT));
    let asked = dhcp.into_iter().chain(ipv6.into_iter().flatten()).chain(dns.into_iter().flatten());
    asked.map(|port| rule([coming(interface), port])).collect()
}

fn forward(site: &Site) -> Vec<FirewallRule> {
    // Our own rules decide on traffic out of a tunnel: to the uplink, to shared networks, and answers.
    let from_tunnels = site.tunnels.keys().map(|tunnel| rule([coming(tunnel)]));
    let answers = site.tunnels.keys().map(|tunnel| rule([leaving(tunnel), Established]));
    let shared = site.tunnels.keys().flat_map(|tunnel| {
        site.own_lans().map(move |lan| rule([Source(Networks::One(lan)), leaving(tunnel)]))
    });
    let portals = site.portals.iter().flat_map(|portal| through(site, portal));
    from_tunnels.chain(answers).chain(shared).chain(portals).collect()
}

/// Returns the pinholes from a portal's entrance to its exit; for the way back as well, if the exit is not a
/// tunnel.
fn through(site: &Site, portal: &Portal) -> Vec<FirewallRule> {
    let ways = |exit| through_to(portal, exit);
    site.exit_interfaces(&portal.exit).flat_map(ways).collect()
}

/// Returns the pinholes from a portal's entrance to an interface.
fn through_to(portal: &Portal, exit: &IfName) -> Vec<FirewallRule> {
    let is_direct = portal.exit == Exit::Direct;
    match &portal.entrance {
        Entrance::Interface(interface)
        | Entrance::Vlan(Vlan { interface, .. })
        | Entrance::Wifi { interface, .. } => {
            let back = is_direct.then(|| rule([coming(exit), leaving(interface), Established]));
            [rule([coming(interface), leaving(exit)])].into_iter().chain(back).collect()
        }
        // Devices of an existing LAN use the uplink as before.
        Entrance::From(_) | Entrance::Mac { .. } if is_direct => Vec::new(),
        Entrance::From(sources) => {
            sources.iter().map(|source| rule([Source(Networks::One(*source)), leaving(exit)])).collect()
        }
        Entrance::Mac { devices, .. } => {
            let device = |mac| rule([leaving(exit), Condition::Device(Devices::One(mac))]);
            devices.iter().copied().map(device).collect()
        }
        Entrance::Own => Vec::new(),
    }
}

fn coming(interface: &IfName) -> Condition {
    Incoming(Interfaces::One(interface.clone()))
}

fn leaving(interface: &IfName) -> Condition {
    Outgoing(Interfaces::One(interface.clone()))
}

fn rule(conditions: impl IntoIterator<Item = Condition>) -> FirewallRule {
    FirewallRule { conditions: conditions.into_iter().collect(), action: Accept }
}
