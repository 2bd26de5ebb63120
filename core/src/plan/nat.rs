//! Source addresses of traffic that leaves: masqueraded at the uplink and into tunnels.

use std::cmp::Reverse;
use std::net::IpAddr;

use crate::base::net::{Cidr, Family, IfName};
use crate::base::sorted::SortedSet;
use crate::firewall::{
    Action::{Masquerade, SourceNat},
    Condition::{self, Destination, Family as Of, NotSource, Outgoing, Source},
    FirewallRule, Interfaces, Networks,
};
use crate::plan::sets::{INSIDE, PROVIDERS, disjoint, in_set, networks_in, rule, tunnels};
use crate::site::{ProviderSettings, Site};

/// Set of networks to which the other ends of tunnels know the way back.
pub(super) const KNOWN: &str = "known";

/// Returns the rules after routing.
pub(super) fn rules(site: &Site) -> Vec<FirewallRule> {
    let mut rules = Vec::new();
    if let Some(uplink) = site.uplink_interface() {
        let leaving = Outgoing(Interfaces::One(uplink.clone()));
        rules.push(rule([leaving, Source(networks_in(INSIDE))], Masquerade));
    }
    for (interface, tunnel) in &site.tunnels {
        rules.extend(tunnel.provider.iter().flat_map(|own| sources(interface, own)));
    }
    if site.providers().next().is_some() {
        rules.push(rule([Outgoing(in_set(PROVIDERS))], Masquerade));
    }
    if !site.tunnels.is_empty() {
        // The other end knows the way back only to the network's subnet and to the networks that we share.
        rules.push(rule([Outgoing(tunnels()), NotSource(networks_in(KNOWN))], Masquerade));
    }
    rules
}

/// Returns the members of the set [`KNOWN`].
pub(super) fn known(site: &Site) -> SortedSet<Cidr> {
    disjoint(Family::V4, site.lan.iter().copied().chain([site.subnet]))
}

/// Returns the members of the set [`INSIDE`].
pub(super) fn inside(site: &Site) -> SortedSet<Cidr> {
    let of_guests =
        site.peers().filter(|(_, _, peer)| peer.exits_here).flat_map(|(_, _, peer)| peer.networks.clone());
    disjoint(Family::V4, of_guests.chain([site.subnet]))
}

/// Returns the rules that choose the source address to a provider that gave this host several addresses.
/// Without these rules, the kernel would masquerade by the order in which it got the addresses.
fn sources(interface: &IfName, own: &ProviderSettings) -> Vec<FirewallRule> {
    let [first, _, ..] = own.addresses.as_slice() else { return Vec::new() };
    let send_as = |to: Condition, source| {
        let IpAddr::V4(source) = source else { return None };
        Some(rule([Outgoing(Interfaces::One(interface.clone())), to], SourceNat(source)))
    };
    let mut within = Vec::from_iter(own.sources());
    // The narrowest network comes first.
    within.sort_by_key(|(network, _)| Reverse(network.length()));
    let within = within.into_iter().map(|(network, source)| (Destination(Networks::One(network)), source));
    within.chain([(Of(Family::V4), first.address)]).filter_map(|(to, source)| send_as(to, source)).collect()
}
