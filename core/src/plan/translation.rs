//! Networks of this site that other sites and phones see as other networks, because they have the same
//! network themselves.
//!
//! Each site translates its own networks only: destinations as packets come out of a tunnel, before routing,
//! and sources as packets go into a tunnel, after routing. All other rules therefore see the network as it is
//! here, apart from those that look at packets before the translation.
//!
//! A packet to a network as it is here is meant for another home with the same network. Two chains stop it,
//! and each does so while another program has flushed the other one. Policy rules cannot: the reverse-path
//! check of a computer's answer looks up the same addresses in the same direction, without a mark.

use std::net::IpAddr;

use crate::base::net::{Cidr, Family};
use crate::base::sorted::{SortedMap, SortedSet};
use crate::firewall::{
    Action::{DestinationNat, DestinationPrefix, Drop, SourceNat, SourcePrefix},
    Condition::{Destination, NotOutgoing, Source},
    FirewallRule, Networks, Set, SetName,
};
use crate::plan::sets::{TUNNELS, add, coming_in, disjoint, from, in_set, leaving_in, to};
use crate::site::Site;

/// Sets of networks here that no other site sees as they are, by family.
const HIDDEN: [(Family, &str); 2] = [(Family::V4, "hidden"), (Family::V6, "hidden6")];
/// Sets of networks that exist only in tunnels.
const APART: [(Family, &str); 2] = [(Family::V4, "apart"), (Family::V6, "apart6")];

/// Returns the rules that translate destinations. Only the first packet of a connection meets them.
pub(super) fn prerouting(site: &Site) -> Vec<FirewallRule> {
    let mut rules = Vec::new();
    for (here, seen_as) in in_use(site) {
        let action = alone(here).map_or(DestinationPrefix(here), DestinationNat);
        add(&mut rules, [coming_in(TUNNELS), to(seen_as)], action);
    }
    rules
}

/// Returns the rules that translate sources. They follow the rules about providers, which know none of our
/// networks.
pub(super) fn postrouting(site: &Site) -> Vec<FirewallRule> {
    let mut rules = Vec::new();
    for (here, seen_as) in in_use(site) {
        let action = alone(seen_as).map_or(SourcePrefix(seen_as), SourceNat);
        add(&mut rules, [leaving_in(TUNNELS), from(here)], action);
    }
    rules
}

/// Returns the rules that drop packets out of a tunnel to a network as it is here.
pub(super) fn incoming(site: &Site) -> Vec<FirewallRule> {
    let mut rules = Vec::new();
    for (family, name, _) in by_family(HIDDEN, &hidden(site)) {
        add(&mut rules, [coming_in(TUNNELS), Destination(Networks::In(family, name))], Drop);
    }
    rules
}

/// Returns the rules that drop packets out of a tunnel from a network as it is here: the other end has missed
/// the translation of its own home. The answer would go to a computer of this home.
pub(super) fn untranslated(site: &Site) -> Vec<FirewallRule> {
    let mut rules = Vec::new();
    for (family, name, _) in by_family(HIDDEN, &hidden(site)) {
        add(&mut rules, [coming_in(TUNNELS), Source(Networks::In(family, name))], Drop);
    }
    rules
}

/// Returns the rules that drop packets to translated networks, of this site and of others, that leave
/// elsewhere than into a tunnel. Such networks are nowhere else.
pub(super) fn leaving(site: &Site) -> Vec<FirewallRule> {
    let mut rules = Vec::new();
    for (family, name, _) in by_family(APART, &apart(site)) {
        add(&mut rules, [NotOutgoing(in_set(TUNNELS)), Destination(Networks::In(family, name))], Drop);
    }
    rules
}

/// Returns the sets that the rules of this file look into.
pub(super) fn sets(site: &Site) -> SortedMap<SetName, Set> {
    let mut sets = SortedMap::new();
    for (names, networks) in [(HIDDEN, hidden(site)), (APART, apart(site))] {
        for (family, name, members) in by_family(names, &networks) {
            sets.insert(name, Set::Networks(family, members));
        }
    }
    sets
}

/// Returns the networks here that no other site sees as they are.
fn hidden(site: &Site) -> SortedSet<Cidr> {
    in_use(site).into_iter().map(|(here, _)| here).collect()
}

/// Returns the networks that exist only in tunnels: this site and linked sites have others in their place.
fn apart(site: &Site) -> SortedSet<Cidr> {
    let mut apart: SortedSet<Cidr> = seen_networks(site).collect();
    if !site.tunnels.is_empty() {
        apart.extend(site.translated_elsewhere.iter().copied());
    }
    apart
}

/// Returns the networks of each family that has some, with the name of their set.
fn by_family(
    names: [(Family, &'static str); 2],
    networks: &SortedSet<Cidr>,
) -> Vec<(Family, SetName, SortedSet<Cidr>)> {
    let mut sets = Vec::new();
    for (family, name) in names {
        let members = disjoint(family, networks.iter().copied());
        if !members.is_empty() {
            sets.push((family, SetName(name.to_owned()), members));
        }
    }
    sets
}

/// Returns the networks that other sites see and that no interface of this host has. Only the translation
/// leads packets to them elsewhere.
pub(super) fn seen_networks(site: &Site) -> impl Iterator<Item = Cidr> {
    in_use(site).into_iter().map(|(_, seen_as)| seen_as)
}

/// Returns the networks as they are here, each with the network in its place; none without tunnels.
fn in_use(site: &Site) -> Vec<(Cidr, Cidr)> {
    let is_carried = |family: Family| site.carried().any(|carried| carried == family);
    let carried = site.translations().filter(|(here, _)| is_carried(here.family()));
    if site.tunnels.is_empty() { Vec::new() } else { carried.collect() }
}

/// Returns the address of a network that is a single one. Kernels before 5.8 translate it, too.
fn alone(network: Cidr) -> Option<IpAddr> {
    let address = network.address();
    (network == Cidr::host(address)).then_some(address)
}
