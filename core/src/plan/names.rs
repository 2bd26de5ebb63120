//! Who answers the questions for names of a portal's LAN: the portal's resolver, which asks through the exit, or nobody. Those of the host
//! ask by the own uplink.

use std::net::IpAddr;

use super::entering;
use super::firewall::{ENTRANCES, OWN, RESOLVERS, in_set, networks_in, resolvers, rule};
use super::routing::sent_here;
use crate::base::net::{Cidr, Family};
use crate::config::model::{Ports, Protocol};
use crate::firewall::{
    Action::{Accept, Divert, Redirect, Reject},
    Condition::{self, Destination, Family as Of, Incoming, Source, TcpPort, UdpPort},
    Interfaces, Networks, Rule,
};
use crate::site::{Exit, Portal, RESOLVER_PORT, Site};

/// UDP and TCP port of a resolver (RFC 1035 § 4.2).
pub(super) const DNS: u16 = 53;

/// UDP and TCP to a port.
pub(super) fn at(port: u16) -> [Condition; 2] {
    [UdpPort(port, port), TcpPort(port, port)]
}

/// Questions of a portal's devices to this host, which would be answered by the own uplink: what they are told by, each in its way. None,
/// where questions do not enter.
pub(super) fn asking_here(site: &Site, portal: &Portal) -> Vec<Vec<Condition>> {
    let here = Destination(networks_in(OWN));
    let asking = if site.own.is_empty() { Vec::new() } else { asking(portal) };
    asking.into_iter().map(|[who, port]| vec![who, here.clone(), port]).collect()
}

/// Questions of a portal's devices, as far as they enter and do not leave directly.
fn asking(portal: &Portal) -> Vec<[Condition; 2]> {
    let enters = entering::has_devices(portal) && portal.to.is_empty() && portal.exit != Exit::Direct;
    let Some(who) = entering::condition(portal).filter(|_| enters) else { return Vec::new() };
    let protocols = [Protocol::Udp, Protocol::Tcp].into_iter().zip(at(DNS));
    let is_asked = |protocol| {
        let holds = |ports: &Ports| ports.protocol == protocol && (ports.first..=ports.last).contains(&DNS);
        portal.ports.is_empty() || portal.ports.iter().any(holds)
    };
    protocols.filter(|(protocol, _)| is_asked(*protocol)).map(|(_, port)| [who.clone(), port]).collect()
}

/// Has devices that ask this host ask a resolver beyond their exit instead.
fn diverted(site: &Site, portal: &Portal) -> Vec<Rule> {
    let resolver = portal.resolvers.iter().find_map(|resolver| match resolver {
        IpAddr::V4(address) => Some(*address),
        IpAddr::V6(_) => None,
    });
    let Some(resolver) = resolver else { return Vec::new() };
    asking_here(site, portal).into_iter().map(|conditions| rule(conditions, Divert(resolver))).collect()
}

/// What is asked at the address of a portal's resolver is for the resolver of the interface that it comes in on, be it there or not.
pub(super) fn prerouting(site: &Site) -> Vec<Rule> {
    let one = |address| Networks::One(Cidr::host(address));
    let direct = site
        .portals
        .iter()
        .filter(|portal| portal.exit == Exit::Direct)
        .filter_map(Portal::resolver)
        .map(one);
    let elsewhere = (!resolvers(site).is_empty()).then(|| networks_in(RESOLVERS));
    let redirected = |there: Networks| {
        at(DNS).map(|port| rule([Destination(there.clone()), port], Redirect(RESOLVER_PORT)))
    };
    let diverted = site.portals.iter().flat_map(|portal| diverted(site, portal));
    direct.chain(elsewhere).flat_map(redirected).chain(diverted).collect()
}

/// What is still for port 53 asks a resolver of the host's, at whatever address of it. Those that leave directly may, and so may this host
/// itself, whose address can be among those that enter.
pub(super) fn input(site: &Site) -> Vec<Rule> {
    let mut rules = of_interfaces(site);
    let devices: Vec<Rule> = site.portals.iter().flat_map(|portal| of_devices(site, portal)).collect();
    if !devices.is_empty() {
        rules.push(rule([Incoming(Interfaces::One(sent_here()))], Accept));
        rules.extend(devices);
    }
    rules
}

fn of_devices(site: &Site, portal: &Portal) -> Vec<Rule> {
    let mut rules = Vec::new();
    for [who, port] in asking(portal) {
        if let (Source(_), Some(device)) = (&who, entering::condition_of_ipv6(site, portal)) {
            rules.push(rule([device, Of(Family::V6), port.clone()], Reject));
        }
        rules.push(rule([who, port], Reject));
    }
    rules
}

fn of_interfaces(site: &Site) -> Vec<Rule> {
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
