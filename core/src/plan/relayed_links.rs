//! Links between two other sites that this site relays: packets from one side leave to the other side, from
//! the address of this site that the other side sends to.
//!
//! The kernel does it alone: the rules translate the addresses of the first packet of each side, and
//! connection tracking those of all later ones. The rules name both ends of each packet exactly, so they pass
//! nothing else. Our own chain for forwarded packets needs no rule: it lets such packets pass.

use std::net::SocketAddr;

use crate::base::net::{Cidr, Family};
use crate::firewall::xtables::{IptablesTable, IptablesTarget};
use crate::firewall::{
    Action::{self, Accept, DestinationNatTo, SourceNatTo},
    Chain,
    Condition::{self, Destination, Redirected, Source, UdpBetween, UdpPort},
    Networks,
};
use crate::nat::helper::{RelaySide, RelayedLink};
use crate::plan::sets::{Rules, add, from, to};
use crate::site::Site;
use crate::state::State;

/// Adds the rules that choose the destinations of relayed packets.
pub(super) fn destinations(rules: &mut Rules, site: &Site) {
    for RelayedLink { sides: [one, other] } in in_order(site) {
        for (side, far) in [(one, other), (other, one)] {
            add(rules, between(side.source, side.local), DestinationNatTo(far.source));
        }
    }
}

/// Adds the rules that choose the sources of relayed packets.
pub(super) fn sources(rules: &mut Rules, site: &Site) {
    for RelayedLink { sides: [one, other] } in in_order(site) {
        for (side, far) in [(one, other), (other, one)] {
            passing(rules, side, far, SourceNatTo(far.local));
        }
    }
}

/// Adds the pinholes for relayed packets.
pub(super) fn forward(rules: &mut Rules, site: &Site) {
    for RelayedLink { sides: [one, other] } in in_order(site) {
        passing(rules, one, other, Accept);
        passing(rules, other, one, Accept);
    }
}

/// Adds the pinholes for questions, and for packets to relay whose sender is unknown.
pub(super) fn input(rules: &mut Rules, site: &Site) {
    let Some(helper) = &site.nat.helper else { return };
    let mut ports = helper.relay_ports();
    ports.extend(helper.ports.iter().copied());
    let mut ranges: Vec<(u16, u16)> = Vec::new();
    for port in ports {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == port => *last = port,
            _ => ranges.push((port, port)),
        }
    }
    for (first, last) in ranges {
        add(rules, [UdpPort(first, last)], Accept);
    }
}

/// Returns the links that this site relays by the rules in the observed state, as far as its network file
/// still lets it relay them.
pub fn relayed_links(site: &Site, have: &State) -> Vec<RelayedLink> {
    let Some(helper) = &site.nat.helper else { return Vec::new() };
    let mut ways = Vec::new();
    for rule in have.firewall.iter().filter_map(|firewall| firewall.chains.get(&Chain::RelayedTo)).flatten() {
        ways.extend(way(&rule.conditions, rule.action));
    }
    for ((_, table), content) in have.iptables.values().flatten() {
        for line in content.chains.values().flatten().filter(|_| *table == IptablesTable::Nat) {
            if let IptablesTarget::Do(action) = line.target {
                ways.extend(way(&line.conditions, action));
            }
        }
    }
    let mut relayed = Vec::new();
    while let Some((one, source)) = ways.first().copied() {
        ways.remove(0);
        let is_back = |(side, to): &(RelaySide, SocketAddr)| side.source == source && *to == one.source;
        let Some(at) = ways.iter().position(is_back) else { continue };
        let link = RelayedLink { sides: [one, ways.remove(at).0] };
        if helper.may_relay(&link) && !relayed.contains(&link) {
            relayed.push(link);
        }
    }
    relayed
}

/// Returns the relayed links in the order of their rules: IPv4 first, because iptables keeps the families
/// apart. A packet's source and destination tell one link; IPv6 is relayed where the tunnels carry it,
/// because the host then forwards it.
fn in_order(site: &Site) -> Vec<RelayedLink> {
    let mut links = Vec::new();
    let mut taken = Vec::new();
    for family in site.carried() {
        for link in &site.nat.relayed {
            let sides = link.sides;
            let ends = sides.iter().flat_map(|side| [side.source, side.local]);
            let is_new = sides[0] != sides[1] && !sides.iter().any(|side| taken.contains(side));
            if is_new && ends.map(|end| Family::of(end.ip())).all(|of| of == family) {
                taken.extend(sides);
                links.push(*link);
            }
        }
    }
    links
}

/// Adds the rule for packets from one side, after the translation of their destination.
fn passing(rules: &mut Rules, side: RelaySide, far: RelaySide, action: Action) {
    let [source, ports, destination] = between(side.source, far.source);
    add(rules, [Redirected, source, ports, destination], action);
}

fn between(source: SocketAddr, destination: SocketAddr) -> [Condition; 3] {
    let ports = UdpBetween(source.port(), destination.port());
    [from(Cidr::host(source.ip())), ports, to(Cidr::host(destination.ip()))]
}

/// Returns the side whose packets a rule translates, and the address that the packets go to.
fn way(conditions: &[Condition], action: Action) -> Option<(RelaySide, SocketAddr)> {
    let DestinationNatTo(target) = action else { return None };
    let (mut source, mut ports, mut local) = (None, None, None);
    for condition in conditions {
        match condition {
            Source(Networks::One(network)) => source = Some(network.address()),
            UdpBetween(from, to) => ports = Some((*from, *to)),
            Destination(Networks::One(network)) => local = Some(network.address()),
            _ => return None,
        }
    }
    let (from, to) = ports?;
    let side = RelaySide { source: SocketAddr::new(source?, from), local: SocketAddr::new(local?, to) };
    Some((side, target))
}
