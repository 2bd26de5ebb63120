//! Pinholes in firewalls of other programs whose rules refuse unknown traffic. The pinholes let pass no more
//! than our own rules do: our rules check the same packets as well.

use crate::base::net::{Cidr, Family, IfName};
use crate::firewall::{
    Action::Accept,
    Chain,
    Condition::{Device, Established, Icmp, TcpPort, UdpPort},
    Devices, Pinholes,
};
use crate::plan::sets::{Rules, add, coming, from, in_chains, leaving, to};
use crate::plan::{dns, relayed_links};
use crate::site::{Entrance, Exit, PAGE_PORT, Portal, RESOLVER_PORT, Site, Vlan};

/// UDP port of a DHCP server (RFC 2131 § 4.1).
const DHCP_SERVER: u16 = 67;
/// UDP port of a DHCP server for IPv6 (RFC 8415 § 7.2).
const DHCP6_SERVER: u16 = 547;

/// Returns the pinholes for traffic to the host itself and for traffic that it forwards.
pub(super) fn plan(site: &Site) -> Pinholes {
    in_chains(&[(Chain::Input, &[input]), (Chain::Forward, &[forward])], site)
}

/// Adds the pinholes for the tunnels' own packets, for traffic out of tunnels, and for requests of devices
/// on portals' LANs.
fn input(rules: &mut Rules, site: &Site) {
    for tunnel in site.tunnels.values() {
        add(rules, [UdpPort(tunnel.port, tunnel.port)], Accept);
    }
    relayed_links::input(rules, site);
    from_tunnels(rules, site);
    for portal in &site.portals {
        asked(rules, portal);
    }
}

/// Adds the pinholes for DHCP, DNS and the page, as far as the portal serves them.
fn asked(rules: &mut Rules, portal: &Portal) {
    let Some(interface) = portal.entrance_interface() else { return };
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
    for port in asked {
        add(rules, [coming(interface), port], Accept);
    }
    if let Some(page) = portal.address.filter(|_| portal.page) {
        let port = TcpPort(PAGE_PORT, PAGE_PORT);
        add(rules, [coming(interface), to(Cidr::host(page.address)), port], Accept);
    }
}

fn from_tunnels(rules: &mut Rules, site: &Site) {
    for tunnel in site.tunnels.keys() {
        add(rules, [coming(tunnel)], Accept);
    }
}

fn forward(rules: &mut Rules, site: &Site) {
    // Our own rules decide on traffic out of a tunnel: to the uplink, to shared networks, and answers.
    from_tunnels(rules, site);
    for tunnel in site.tunnels.keys() {
        add(rules, [leaving(tunnel), Established], Accept);
    }
    for tunnel in site.tunnels.keys() {
        for lan in site.own_lans() {
            add(rules, [from(lan), leaving(tunnel)], Accept);
        }
    }
    for portal in &site.portals {
        for exit in site.exit_interfaces(&portal.exit) {
            through_to(rules, portal, exit);
        }
    }
    relayed_links::forward(rules, site);
}

/// Adds the pinholes from a portal's entrance to an interface of its exit; for the way back as well, if
/// the exit is not a tunnel.
fn through_to(rules: &mut Rules, portal: &Portal, exit: &IfName) {
    let is_direct = portal.exit == Exit::Direct;
    match &portal.entrance {
        Entrance::Interface(interface)
        | Entrance::Vlan(Vlan { interface, .. })
        | Entrance::Wifi { interface, .. } => {
            add(rules, [coming(interface), leaving(exit)], Accept);
            if is_direct {
                add(rules, [coming(exit), leaving(interface), Established], Accept);
            }
        }
        // Devices of an existing LAN use the uplink as before.
        Entrance::From(_) | Entrance::Mac { .. } if is_direct => {}
        Entrance::From(sources) => {
            for source in sources {
                add(rules, [from(*source), leaving(exit)], Accept);
            }
        }
        Entrance::Mac { devices, .. } => {
            for mac in devices {
                add(rules, [leaving(exit), Device(Devices::One(*mac))], Accept);
            }
        }
        Entrance::Own => {}
    }
}
