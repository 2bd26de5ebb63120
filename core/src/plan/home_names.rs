//! Questions of linked sites for the names in this home.

use crate::base::net::{Cidr, Family};
use crate::base::sorted::SortedSet;
use crate::firewall::{
    Action::Accept,
    Condition::{Destination, Incoming, Source},
    FirewallRule, Networks, Set, SetName,
};
use crate::plan::dns;
use crate::plan::sets::{disjoint, networks_in, rule, tunnels};
use crate::site::{RESOLVER_PORT, Site};

/// Set of the networks from which resolvers of linked sites ask.
const ASKERS: &str = "askers";

/// Returns the rules that let resolvers of linked sites ask at this site's address in the tunnels.
pub(super) fn input(site: &Site) -> Vec<FirewallRule> {
    if askers(site).is_empty() {
        return Vec::new();
    }
    let asked = Destination(Networks::One(Cidr::host(site.address)));
    let ask = |port| [Incoming(tunnels()), Source(networks_in(Family::V4, ASKERS)), asked.clone(), port];
    dns::at(RESOLVER_PORT).map(|port| rule(ask(port), Accept)).into()
}

/// Returns the set that those rules look into.
pub(super) fn sets(site: &Site) -> Option<(SetName, Set)> {
    let askers = askers(site);
    (!askers.is_empty()).then(|| (SetName(ASKERS.to_owned()), Set::Networks(Family::V4, askers)))
}

/// Returns the networks of linked sites inside the network's subnet, which hold the LANs of their portals.
fn askers(site: &Site) -> SortedSet<Cidr> {
    let sites = site.tunnels.values().flat_map(|tunnel| tunnel.peers.values());
    let networks = sites.flat_map(|peer| peer.networks.iter().copied());
    let asked = site.names.resolver.is_some();
    disjoint(Family::V4, networks.filter(|network| asked && site.subnet.covers(*network)))
}
