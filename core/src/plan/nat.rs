//! Source addresses of traffic that leaves: masqueraded at the uplink and into tunnels.

use crate::base::net::{Cidr, Family, IfName};
use crate::firewall::{
    Action::{Masquerade, SourceNat},
    Condition::{self, Family as Of, NotSource},
    Networks,
};
use crate::plan::sets::{
    INSIDE, PROVIDERS, Rules, TUNNELS, add, disjoint, from_in, leaving, leaving_in, networks_in, to,
};
use crate::plan::translation;
use crate::site::{ProviderSettings, Site};

/// Set of networks to which the other ends of tunnels know the way back.
pub(super) const KNOWN: &str = "known";

/// Adds the rules after routing.
pub(super) fn rules(rules: &mut Rules, site: &Site) {
    for uplink in site.uplinks() {
        for family in site.carried() {
            add(rules, [leaving(uplink), from_in(family, INSIDE)], Masquerade);
        }
    }
    for (interface, tunnel) in &site.tunnels {
        if let Some(own) = &tunnel.provider {
            sources(rules, interface, own);
        }
    }
    if site.providers().next().is_some() {
        add(rules, [leaving_in(PROVIDERS)], Masquerade);
    }
    translation::postrouting(rules, site);
    if !site.tunnels.is_empty() {
        // The other end knows the way back only to the network's subnet and to the networks that we share.
        for family in site.carried() {
            add(rules, [unknown(site, family), leaving_in(TUNNELS)], Masquerade);
        }
    }
}

/// Returns the condition on sources to which the other ends of tunnels do not know the way back. A comparison
/// with one network takes less time than a look into a set.
pub(super) fn unknown(site: &Site, family: Family) -> Condition {
    NotSource(match disjoint(family, &known(site)).as_slice() {
        [only] => Networks::One(*only),
        _ => networks_in(family, KNOWN),
    })
}

/// Returns the members of the set [`KNOWN`]. Sources in translated networks have their translation already.
pub(super) fn known(site: &Site) -> Vec<Cidr> {
    let as_they_are = site.lan.iter().filter(|lan| lan.seen_as.is_none());
    let mut known: Vec<Cidr> = as_they_are.map(|lan| lan.network).collect();
    known.extend(site.subnets());
    known
}

/// Returns the members of the set [`INSIDE`].
pub(super) fn inside(site: &Site) -> Vec<Cidr> {
    let mut inside = Vec::new();
    for (_, _, peer) in site.peers().filter(|(_, _, peer)| peer.exits_here) {
        inside.extend(&peer.networks);
    }
    inside.extend(site.subnets());
    inside
}

/// Adds the rules that choose the source address to a provider that gave this host several addresses.
/// Without these rules, the kernel would masquerade by the order in which it got the addresses.
fn sources(rules: &mut Rules, interface: &IfName, own: &ProviderSettings) {
    let within = own.sources();
    // The narrowest network comes first.
    for length in (0..=Family::V6.bits()).rev() {
        for (network, source) in within.iter().filter(|(network, _)| network.length() == length) {
            add(rules, [leaving(interface), to(*network)], SourceNat(*source));
        }
    }
    for family in [Family::V4, Family::V6] {
        let of_family = own.addresses.iter().filter(|own| Family::of(own.address) == family);
        if let Some(first) = own.first(family).filter(|_| of_family.count() > 1) {
            add(rules, [leaving(interface), Of(family)], SourceNat(first));
        }
    }
}
