//! DNS queries of portals' devices. Only the portal's resolver answers them, because it asks through the
//! exit; the host's own resolvers ask via the site's uplink.

use std::net::IpAddr;

use crate::base::net::{Cidr, Family};
use crate::config::model::{Ports, Protocol};
use crate::firewall::{
    Action::{self, Accept, DestinationNat, Redirect, Reject},
    Condition::{self, Destination, Family as Of, Source, TcpPort, UdpPort},
    Networks,
};
use crate::plan::priorities::loopback;
use crate::plan::sets::{
    ENTRANCES, OWN, RESOLVERS, Rules, add, coming, coming_in, families_of, networks_in, resolvers, to_in,
};
use crate::plan::{classifier, devices};
use crate::site::{Entrance, Exit, Portal, RESOLVER_PORT, Site};

/// UDP and TCP port of a resolver (RFC 1035 § 4.2).
pub(super) const DNS: u16 = 53;

/// Returns conditions on UDP and on TCP to a port.
pub(super) fn at(port: u16) -> [Condition; 2] {
    [UdpPort(port, port), TcpPort(port, port)]
}

/// Returns the conditions on queries from a portal's devices to this host, which would be answered via the
/// site's own uplink. Empty if queries do not enter the portal.
pub(super) fn asking_here(site: &Site, portal: &Portal) -> Vec<Vec<Condition>> {
    let here = to_in(Family::V4, OWN);
    let asking = if site.host.own_addresses.is_empty() { Vec::new() } else { asking(portal) };
    asking.into_iter().map(|[who, port]| vec![port, here.clone(), who]).collect()
}

/// Returns the conditions on queries from a portal's devices, if queries enter and do not leave directly.
fn asking(portal: &Portal) -> Vec<[Condition; 2]> {
    let enters = classifier::has_devices(portal) && portal.to.is_empty() && portal.exit != Exit::Direct;
    let Some(who) = classifier::condition(portal, Family::V4).filter(|_| enters) else { return Vec::new() };
    let mut asking = Vec::new();
    for (protocol, port) in [(Protocol::Udp, UdpPort(DNS, DNS)), (Protocol::Tcp, TcpPort(DNS, DNS))] {
        if takes_queries(portal, protocol) {
            asking.push([who.clone(), port]);
        }
    }
    asking
}

/// Reports whether the ports of a portal let queries in by a protocol.
fn takes_queries(portal: &Portal, protocol: Protocol) -> bool {
    let holds = |ports: &Ports| ports.protocol == protocol && (ports.first..=ports.last).contains(&DNS);
    portal.ports().is_empty() || portal.ports().iter().any(holds)
}

/// Returns the key of the file that keeps the queries of a portal's devices out of it, so that they leave via
/// the site's own uplink; `None` if they go through the exit.
pub fn kept_out_by(portal: &Portal) -> Option<&'static str> {
    if portal.exit == Exit::Direct || portal.entrance == Entrance::Own || portal.resolver().len() != 0 {
        None
    } else if !portal.to.is_empty() {
        Some("to")
    } else {
        (!takes_queries(portal, Protocol::Udp)).then_some("ports")
    }
}

/// Adds the rules for queries that meet a condition, one rule for each protocol.
fn queries(rules: &mut Rules, which: &Condition, action: Action) {
    for port in at(DNS) {
        add(rules, [port, which.clone()], action);
    }
}

/// Adds the rules that send queries of devices to this host to a resolver beyond their exit instead.
fn redirected_to_resolver(rules: &mut Rules, site: &Site, portal: &Portal) {
    let Some(resolver) = portal.resolvers.iter().copied().find(IpAddr::is_ipv4) else { return };
    for asking in asking_here(site, portal) {
        add(rules, asking, DestinationNat(resolver));
    }
}

/// Adds the rules that redirect queries to the address of a portal's resolver to that resolver's own port,
/// even while it does not run.
pub(super) fn prerouting(rules: &mut Rules, site: &Site) {
    let mut redirected = |there: Networks| queries(rules, &Destination(there), Redirect(RESOLVER_PORT));
    for portal in site.portals.iter().filter(|portal| portal.exit == Exit::Direct) {
        for address in portal.resolver() {
            redirected(Networks::One(Cidr::host(address)));
        }
    }
    for family in families_of(site, &resolvers(site)) {
        redirected(networks_in(family, RESOLVERS));
    }
    for portal in &site.portals {
        redirected_to_resolver(rules, site, portal);
    }
}

/// Adds the rules on queries that were not redirected, and so go to a resolver of the host at port 53 of
/// any of its addresses. Devices that leave directly may ask it, and so may this host itself, whose address
/// can be among the sources that enter.
pub(super) fn input(rules: &mut Rules, site: &Site) {
    of_interfaces(rules, site);
    let mut devices = Vec::new();
    for who in devices::entering(site, Family::V4) {
        queries(&mut devices, &who, Reject);
    }
    if let Some(who) = devices::named_by_ipv4(site) {
        for port in at(DNS) {
            add(&mut devices, [Of(Family::V6), port, who.clone()], Reject);
        }
    }
    let together = devices::places(site);
    for (place, portal) in site.portals.iter().enumerate() {
        if !together.contains(&place) {
            of_devices(&mut devices, site, portal);
        }
    }
    if !devices.is_empty() {
        add(rules, [coming(&loopback())], Accept);
        rules.extend(devices);
    }
}

fn of_devices(rules: &mut Rules, site: &Site, portal: &Portal) {
    for [who, port] in asking(portal) {
        if let (Source(_), Some(device)) = (&who, classifier::condition_of_ipv6(site, portal)) {
            add(rules, [Of(Family::V6), port.clone(), device], Reject);
        }
        add(rules, [port, who], Reject);
    }
}

fn of_interfaces(rules: &mut Rules, site: &Site) {
    let (start, mut all_direct) = (rules.len(), true);
    for portal in site.portals.iter().filter(|portal| portal.takes_all()) {
        let Some(interface) = portal.entrance_interface() else { continue };
        if portal.exit == Exit::Direct {
            queries(rules, &coming(interface), Accept);
        } else {
            all_direct = false;
        }
    }
    if all_direct {
        rules.truncate(start);
    } else {
        queries(rules, &coming_in(ENTRANCES), Reject);
    }
}
