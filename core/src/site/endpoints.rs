//! Host names of the sites and providers that a site dials or asks.

use super::links::linked;
use super::nat;
use crate::base::sorted::{SortedMap, SortedSet};
use crate::config::model::{EndpointHost, Name, Network};
use crate::wgquick::Parsed;

/// Returns the host names that this site must resolve to dial its peers and providers, and to ask
/// helpers.
pub fn names_to_resolve<'a>(
    network: &'a Network,
    own: &'a str,
    providers: &'a SortedMap<Name, Parsed>,
) -> SortedSet<&'a str> {
    let mut hosts: Vec<&EndpointHost> =
        linked(network, own).into_iter().filter_map(|(_, peer)| peer.endpoint.as_ref()).collect();
    hosts.extend(nat::helpers_of(network, own).into_iter().filter_map(|(_, site)| site.endpoint.as_ref()));
    for peer in providers.values().flat_map(|parsed| &parsed.config.peers) {
        hosts.extend(peer.endpoint.as_ref().map(|endpoint| &endpoint.host));
    }
    let name = |host: &'a EndpointHost| match host {
        EndpointHost::Name(name) => Some(name.as_str()),
        EndpointHost::Address(_) => None,
    };
    hosts.into_iter().filter_map(name).collect()
}
