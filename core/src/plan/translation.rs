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
use crate::base::sorted::SortedSet;
use crate::firewall::{
    Action::{DestinationNat, DestinationPrefix, Drop, SourceNat, SourcePrefix},
    Condition::NotOutgoing,
};
use crate::plan::sets::{
    Rules, Sets, TUNNELS, add, add_members, coming_in, disjoint, from, from_in, in_set, leaving_in,
    of_family, to, to_in,
};
use crate::site::Site;

/// Set of networks here that no other site sees as they are.
const HIDDEN: &str = "hidden";
/// Set of networks that exist only in tunnels.
const APART: &str = "apart";

/// Adds the rules that translate destinations. Only the first packet of a connection meets them.
pub(super) fn prerouting(rules: &mut Rules, site: &Site) {
    for (here, seen_as) in in_use(site) {
        let action = alone(here).map_or(DestinationPrefix(here), DestinationNat);
        add(rules, [coming_in(TUNNELS), to(seen_as)], action);
    }
}

/// Adds the rules that translate sources. They follow the rules about providers, which know none of our
/// networks.
pub(super) fn postrouting(rules: &mut Rules, site: &Site) {
    for (here, seen_as) in in_use(site) {
        let action = alone(seen_as).map_or(SourcePrefix(seen_as), SourceNat);
        add(rules, [leaving_in(TUNNELS), from(here)], action);
    }
}

/// Adds the rules that drop packets out of a tunnel to a network as it is here.
pub(super) fn incoming(rules: &mut Rules, site: &Site) {
    for family in families_in(&hidden(site)) {
        add(rules, [to_in(family, HIDDEN), coming_in(TUNNELS)], Drop);
    }
}

/// Adds the rules that drop packets out of a tunnel from a network as it is here: the other end has missed
/// the translation of its own home. The answer would go to a computer of this home.
pub(super) fn untranslated(rules: &mut Rules, site: &Site) {
    for family in families_in(&hidden(site)) {
        add(rules, [coming_in(TUNNELS), from_in(family, HIDDEN)], Drop);
    }
}

/// Adds the rules that drop packets to translated networks, of this site and of others, that leave
/// elsewhere than into a tunnel. Such networks are nowhere else.
pub(super) fn leaving(rules: &mut Rules, site: &Site) {
    for family in families_in(&apart(site)) {
        add(rules, [to_in(family, APART), NotOutgoing(in_set(TUNNELS))], Drop);
    }
}

/// Adds the sets that the rules of this file look into.
pub(super) fn sets(sets: &mut Sets, site: &Site) {
    for (name, networks) in [(HIDDEN, hidden(site)), (APART, apart(site))] {
        for family in families_in(&networks) {
            let members = disjoint(family, networks.as_slice());
            add_members(sets, of_family(family, name), family, members);
        }
    }
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

/// Returns the families that some of these networks have.
fn families_in(networks: &SortedSet<Cidr>) -> Vec<Family> {
    let mut families = Vec::new();
    for network in networks {
        if !families.contains(&network.family()) {
            families.push(network.family());
        }
    }
    families
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
