//! Source addresses of traffic that leaves: masqueraded at the uplink and into tunnels.

use std::cmp::Reverse;

use crate::base::net::{Cidr, Family, IfName};
use crate::firewall::{
    Action::{Masquerade, SourceNat},
    Condition::{Destination, Family as Of, NotSource, Outgoing, Source},
    FirewallRule, Interfaces, Networks,
};
use crate::plan::sets::{INSIDE, PROVIDERS, in_set, networks_in, rule, tunnels};
use crate::plan::translation;
use crate::site::{ProviderSettings, Site};

/// Set of networks to which the other ends of tunnels know the way back.
pub(super) const KNOWN: &str = "known";

/// Returns the rules after routing.
pub(super) fn rules(site: &Site) -> Vec<FirewallRule> {
    let mut rules = Vec::new();
    for uplink in site.uplinks() {
        let leaving = Outgoing(Interfaces::One(uplink.clone()));
        let inside = |family| rule([leaving.clone(), Source(networks_in(family, INSIDE))], Masquerade);
        rules.extend(site.carried().map(inside));
    }
    for (interface, tunnel) in &site.tunnels {
        rules.extend(tunnel.provider.iter().flat_map(|own| sources(interface, own)));
    }
    if site.providers().next().is_some() {
        rules.push(rule([Outgoing(in_set(PROVIDERS))], Masquerade));
    }
    rules.extend(translation::postrouting(site));
    if !site.tunnels.is_empty() {
        // The other end knows the way back only to the network's subnet and to the networks that we share.
        let unknown = |family| rule([Outgoing(tunnels()), NotSource(networks_in(family, KNOWN))], Masquerade);
        rules.extend(site.carried().map(unknown));
    }
    rules
}

/// Returns the members of the set [`KNOWN`]. Sources in translated networks have their translation already.
pub(super) fn known(site: &Site) -> Vec<Cidr> {
    let as_they_are = site.lan.iter().filter(|lan| lan.seen_as.is_none()).map(|lan| lan.network);
    as_they_are.chain(site.subnets()).collect()
}

/// Returns the members of the set [`INSIDE`].
pub(super) fn inside(site: &Site) -> Vec<Cidr> {
    let of_guests =
        site.peers().filter(|(_, _, peer)| peer.exits_here).flat_map(|(_, _, peer)| peer.networks.clone());
    of_guests.chain(site.subnets()).collect()
}

/// Returns the rules that choose the source address to a provider that gave this host several addresses.
/// Without these rules, the kernel would masquerade by the order in which it got the addresses.
fn sources(interface: &IfName, own: &ProviderSettings) -> Vec<FirewallRule> {
    let send_as = |(to, source)| rule([Outgoing(Interfaces::One(interface.clone())), to], SourceNat(source));
    let mut within = Vec::from_iter(own.sources());
    // The narrowest network comes first.
    within.sort_by_key(|(network, _)| Reverse(network.length()));
    let within = within.into_iter().map(|(network, source)| (Destination(Networks::One(network)), source));
    let several = |family| own.addresses.iter().filter(|own| Family::of(own.address) == family).count() > 1;
    let families = [Family::V4, Family::V6].into_iter().filter(|family| several(*family));
    let first = families.filter_map(|family| Some((Of(family), own.first(family)?)));
    within.chain(first).map(send_as).collect()
}
