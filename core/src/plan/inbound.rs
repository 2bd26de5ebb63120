//! Connections that come in by the uplink to a device behind a portal, as a port forwarding brings them: their answers go back there, and
//! not into the tunnel.
//!
//! Such a connection gets a mark when it comes in, addressed to this host: nobody on the uplink's wire can have one with a device by
//! routing alone. What the device sends in it, in the direction of answers, gets the mark as a packet and goes the host's own ways by it;
//! the firewall looks at the connection and the direction, so a mark from elsewhere opens nothing. Of TCP and UDP alone: an error in ICMP
//! is of a connection too, wherever it goes. Strict `rp_filter` looks from the device back to the uplink: with the mark, which
//! `src_valid_mark` has it see there.

use super::firewall::{disjoint, in_set, networks_in, rule};
use crate::base::net::{Cidr, Family, IfName, Mac};
use crate::base::sorted::{SortedMap, SortedSet};
use crate::firewall::{
    Action::{Accept, SetConnectionMark, SetMark},
    Condition::{
        self, ConnectionMarked, Destination, Device, Incoming, Marked, Opening, Outgoing, Replying, Source,
        TcpPort, UdpPort,
    },
    Devices, Interfaces, Rule as Filter, Set, SetName,
};
use crate::plan::routing::{END, MARKED};
use crate::site::{Answers, Entrance, Portal, Site};
use crate::state::{INBOUND, Rule, RuleAction, Selector};

/// The set of interfaces with such devices behind them.
const INTERFACES: &str = "inbound";
/// The set of addresses of such devices on a LAN that exists already.
const SOURCES: &str = "inbound-from";
/// The set of their hardware addresses.
const DEVICES: &str = "inbound-mac";
/// The set of addresses that they are asked for at: the uplink's.
const ASKED: &str = "inbound-to";

/// The interface with the mark in its reverse-path check.
pub(super) fn checked(site: &Site) -> Option<&IfName> {
    site.uplink_interface().filter(|_| !who(site).is_empty())
}

/// The policy rule that leads answers to the host's own ways.
pub(super) fn rules(site: &Site) -> Option<Rule> {
    checked(site)?;
    let selector = Selector { mark: Some(INBOUND), ..Selector::default() };
    Some(Rule { priority: MARKED, family: Family::V4, selector, action: RuleAction::Goto(END) })
}

/// Marks of what comes in.
pub(super) fn marks(site: &Site) -> Vec<Filter> {
    let Some(uplink) = checked(site).filter(|_| !asked(site).is_empty()) else { return Vec::new() };
    let incoming = || Incoming(Interfaces::One(uplink.clone()));
    let mut rules = Vec::new();
    for port in any_port() {
        let asked = Destination(networks_in(ASKED));
        rules.push(rule([incoming(), asked, Opening, port], SetMark(INBOUND)));
    }
    rules.push(rule([incoming(), Marked(INBOUND)], SetConnectionMark(INBOUND)));
    for who in who(site) {
        for port in any_port() {
            rules.push(rule([who.clone(), ConnectionMarked(INBOUND), Replying, port], SetMark(INBOUND)));
        }
    }
    rules
}

/// The way in, to what is a portal's own LAN, and the way back.
pub(super) fn forward(site: &Site) -> Vec<Filter> {
    let Some(uplink) = checked(site) else { return Vec::new() };
    let mut rules = Vec::new();
    if !interfaces(site).is_empty() {
        let way = [Incoming(Interfaces::One(uplink.clone())), Outgoing(in_set(INTERFACES))];
        rules.push(rule(way.into_iter().chain([ConnectionMarked(INBOUND)]), Accept));
    }
    for who in who(site) {
        for port in any_port() {
            let leaving = Outgoing(Interfaces::One(uplink.clone()));
            let answer = [who.clone(), leaving, ConnectionMarked(INBOUND), Replying, port];
            rules.push(rule(answer, Accept));
        }
    }
    rules
}

/// The sets that those look at.
pub(super) fn sets(site: &Site) -> SortedMap<SetName, Set> {
    let sets = [
        (INTERFACES, Set::Interfaces(interfaces(site))),
        (SOURCES, Set::Networks(Family::V4, sources(site))),
        (DEVICES, Set::Devices(devices(site))),
        (ASKED, Set::Networks(Family::V4, asked(site))),
    ];
    let sets = sets.into_iter().filter(|(_, set)| set.len() > 0);
    sets.map(|(name, set)| (SetName(name.to_owned()), set)).collect()
}

/// All TCP and UDP. From 1 on: iptables does not print a range that holds all.
fn any_port() -> [Condition; 2] {
    [TcpPort(1, u16::MAX), UdpPort(1, u16::MAX)]
}

/// Conditions that tell such devices, each in its way.
fn who(site: &Site) -> Vec<Condition> {
    let interfaces = (!interfaces(site).is_empty()).then(|| Incoming(in_set(INTERFACES)));
    let sources = (!sources(site).is_empty()).then(|| Source(networks_in(SOURCES)));
    let devices = (!devices(site).is_empty()).then(|| Device(Devices::In(SetName(DEVICES.to_owned()))));
    [interfaces, sources, devices].into_iter().flatten().collect()
}

fn answering(site: &Site) -> impl Iterator<Item = &Portal> {
    site.portals.iter().filter(|portal| portal.answers == Answers::ByUplink)
}

fn interfaces(site: &Site) -> SortedSet<IfName> {
    answering(site).filter_map(Portal::entrance_interface).cloned().collect()
}

fn sources(site: &Site) -> SortedSet<Cidr> {
    let sources = answering(site).filter_map(|portal| match &portal.entrance {
        Entrance::From(sources) => Some(sources),
        _ => None,
    });
    disjoint(Family::V4, sources.flatten().copied())
}

fn devices(site: &Site) -> SortedSet<Mac> {
    let devices = answering(site).filter_map(|portal| match &portal.entrance {
        Entrance::Mac(devices) => Some(devices),
        _ => None,
    });
    devices.flatten().copied().collect()
}

fn asked(site: &Site) -> SortedSet<Cidr> {
    let addresses = site.uplink.iter().flat_map(|uplink| &uplink.addresses);
    disjoint(Family::V4, addresses.map(|address| Cidr::host(address.address)))
}
