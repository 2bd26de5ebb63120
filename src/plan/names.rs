//! Who answers the questions for names of a portal's LAN: the portal's resolver, which asks through the exit, or nobody. Those of the host
//! ask by the own uplink.

use super::firewall::rule;
use crate::firewall::{
    Action::{Redirect, Reject},
    Condition::{self, Destination, Incoming, TcpPort, UdpPort},
    Interfaces, Networks, Rule,
};
use crate::net::{Cidr, IfName};
use crate::site::{Exit, Portal, RESOLVER_PORT, Site};

/// UDP and TCP port of a resolver (RFC 1035 § 4.2).
const DNS: u16 = 53;

/// UDP and TCP to a port.
pub(super) fn at(port: u16) -> [Condition; 2] {
    [UdpPort(port, port), TcpPort(port, port)]
}

/// What is asked at a portal's own address is for its resolver, be it there or not.
pub(super) fn prerouting(site: &Site) -> Vec<Rule> {
    let redirected = |portal: &Portal| {
        let (interface, address) = (portal.entrance_interface()?, portal.resolver()?);
        let own = Destination(Networks::One(Cidr::host(address)));
        Some(at(DNS).map(|port| rule([coming(interface), own.clone(), port], Redirect(RESOLVER_PORT))))
    };
    site.portals.iter().filter_map(redirected).flatten().collect()
}

/// What is still for port 53 asks a resolver of the host's, at whatever address of it.
pub(super) fn input(site: &Site) -> Vec<Rule> {
    let elsewhere = site.portals.iter().filter(|portal| portal.takes_all() && portal.exit != Exit::Direct);
    let refused = |interface| at(DNS).map(|port| rule([coming(interface), port], Reject));
    elsewhere.filter_map(Portal::entrance_interface).flat_map(refused).collect()
}

fn coming(interface: &IfName) -> Condition {
    Incoming(Interfaces::One(interface.clone()))
}
