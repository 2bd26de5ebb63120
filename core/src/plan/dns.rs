//! DNS queries of portals' devices. Only the portal's resolver answers them, because it asks through the
//! exit; the host's own resolvers ask via the site's uplink.

use std::net::IpAddr;

use crate::base::net::{Cidr, Family};
use crate::config::model::{Ports, Protocol};
use crate::firewall::{
    Action::{Accept, DestinationNat, Redirect, Reject},
    Condition::{self, Destination, Family as Of, Incoming, Source, TcpPort, UdpPort},
    FirewallRule, Interfaces, Networks,
};
use crate::plan::classifier;
use crate::plan::priorities::loopback;
use crate::plan::sets::{ENTRANCES, OWN, RESOLVERS, families_of, in_set, networks_in, resolvers, rule};
use crate::site::{Exit, Portal, RESOLVER_PORT, Site};

/// UDP and TCP port of a resolver (RFC 1035 § 4.2).
pub(super) const DNS: u16 = 53;

/// Returns conditions on UDP and on TCP to a port.
pub(super) fn at(port: u16) -> [Condition; 2] {
    [UdpPort(port, port), TcpPort(port, port)]
}

/// Returns the conditions on queries from a portal's devices to this host, which would be answered via the
/// site's own uplink. Empty if queries do not enter the portal.
pub(super) fn asking_here(site: &Site, portal: &Portal) -> Vec<Vec<Condition>> {
    let here = Destination(networks_in(Family::V4, OWN));
    let asking = if site.host.own_addresses.is_empty() { Vec::new() } else { asking(portal) };
    asking.into_iter().map(|[who, port]| vec![who, here.clone(), port]).collect()
}

/// Returns the conditions on queries from a portal's devices, if queries enter and do not leave directly.
fn asking(portal: &Portal) -> Vec<[Condition; 2]> {
    let enters = classifier::has_devices(portal) && portal.to.is_empty() && portal.exit != Exit::Direct;
    let Some(who) = classifier::condition(portal, Family::V4).filter(|_| enters) else { return Vec::new() };
    let protocols = [Protocol::Udp, Protocol::Tcp].into_iter().zip(at(DNS));
    let is_asked = |protocol| {
        let holds = |ports: &Ports| ports.protocol == protocol && (ports.first..=ports.last).contains(&DNS);
        portal.ports().is_empty() || portal.ports().iter().any(holds)
    };
    protocols.filter(|(protocol, _)| is_asked(*protocol)).map(|(_, port)| [who.clone(), port]).collect()
}

/// Returns the rules that send queries of devices to this host to a resolver beyond their exit instead.
fn redirected_to_resolver(site: &Site, portal: &Portal) -> Vec<FirewallRule> {
    let resolver = portal.resolvers.iter().copied().find(IpAddr::is_ipv4);
    let Some(resolver) = resolver else { return Vec::new() };
    asking_here(site, portal)
        .into_iter()
        .map(|conditions| rule(conditions, DestinationNat(resolver)))
        .collect()
}

/// Returns the rules that redirect queries to the address of a portal's resolver to that resolver's own port,
/// even while it does not run.
pub(super) fn prerouting(site: &Site) -> Vec<FirewallRule> {
    let one = |address| Networks::One(Cidr::host(address));
    let direct =
        site.portals.iter().filter(|portal| portal.exit == Exit::Direct).flat_map(Portal::resolver).map(one);
    let families = families_of(site, &resolvers(site)).into_iter();
    let elsewhere = families.map(|family| networks_in(family, RESOLVERS));
    let redirected = |there: Networks| {
        at(DNS).map(|port| rule([Destination(there.clone()), port], Redirect(RESOLVER_PORT)))
    };
    let diverted = site.portals.iter().flat_map(|portal| redirected_to_resolver(site, portal));
    direct.chain(elsewhere).flat_map(redirected).chain(diverted).collect()
}

/// Returns the rules on queries that were not redirected, and so go to a resolver of the host at port 53 of
/// any of its addresses. Devices that leave directly may ask it, and so may this host itself, whose address
/// can be among the sources that enter.
pub(super) fn input(site: &Site) -> Vec<FirewallRule> {
    let mut rules = of_interfaces(site);
    let devices: Vec<FirewallRule> =
        site.portals.iter().flat_map(|portal| of_devices(site, portal)).collect();
    if !devices.is_empty() {
        rules.push(rule([Incoming(Interfaces::One(loopback()))], Accept));
        rules.extend(devices);
    }
    rules
}

fn of_devices(site: &Site, portal: &Portal) -> Vec<FirewallRule> {
    let mut rules = Vec::new();
    for [who, port] in asking(portal) {
        if let (Source(_), Some(device)) = (&who, classifier::condition_of_ipv6(site, portal)) {
            rules.push(rule([device, Of(Family::V6), port.clone()], Reject));
        }
        rules.push(rule([who, port], Reject));
    }
    rules
}

fn of_interfaces(site: &Site) -> Vec<FirewallRule> {
    let whole = || {
        let whole = site.portals.iter().filter(|portal| portal.takes_all());
        whole.filter_map(|portal| Some((portal.entrance_interface()?, portal.exit == Exit::Direct)))
    };
    if whole().all(|(_, direct)| direct) {
        return Vec::new();
    }
    let direct = whole().filter(|(_, direct)| *direct);
    let direct = direct.map(|(interface, _)| (Interfaces::One(interface.clone()), Accept));
    let all = direct.chain([(in_set(ENTRANCES), Reject)]);
    all.flat_map(|(interfaces, action)| {
        at(DNS).map(|port| rule([Incoming(interfaces.clone()), port], action))
    })
    .collect()
}
