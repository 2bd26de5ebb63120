//! Questions of linked sites for the names in this home.

use crate::base::net::{Cidr, Family};
use crate::base::sorted::SortedSet;
use crate::firewall::Action::Accept;
use crate::plan::dns;
use crate::plan::sets::{
    Rules, Sets, TUNNELS, add_members, add_of, coming_in, disjoint, from_in, of_family, to,
};
use crate::site::{RESOLVER_PORT, Site};

/// Set of the networks from which resolvers of linked sites ask.
const ASKERS: &str = "askers";

/// Adds the rules that let resolvers of linked sites ask at this site's address in the tunnels.
pub(super) fn input(rules: &mut Rules, site: &Site) {
    if askers(site).is_empty() {
        return;
    }
    let asking = [coming_in(TUNNELS), from_in(Family::V4, ASKERS), to(Cidr::host(site.address))];
    for port in dns::at(RESOLVER_PORT) {
        add_of(rules, &[&asking, &[port]], Accept);
    }
}

/// Adds the set that those rules look into, if it has members.
pub(super) fn sets(sets: &mut Sets, site: &Site) {
    add_members(sets, of_family(Family::V4, ASKERS), Family::V4, askers(site));
}

/// Returns the networks of linked sites inside the network's subnet, which hold the LANs of their portals.
fn askers(site: &Site) -> SortedSet<Cidr> {
    if site.names.resolver.is_none() {
        return SortedSet::new();
    }
    let mut networks: Vec<Cidr> = Vec::new();
    for tunnel in site.tunnels.values() {
        for peer in tunnel.peers.values() {
            networks.extend(&peer.networks);
        }
    }
    networks.retain(|network| site.subnet.covers(*network));
    disjoint(Family::V4, &networks)
}
