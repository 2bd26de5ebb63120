//! Addresses of chains of exits.

use std::net::IpAddr;

use super::lan::{site_network, site_network6};
use super::model::{ExitRef, Name, Network};
use crate::base::net::{Cidr, InterfaceAddress};
use crate::base::sorted::{SortedMap, SortedSet};

/// Returns the addresses of the chains that portals use, by site and by text of the chain: the addresses of
/// the /24 number 0 of `subnet`, which belongs to no site, in the order of sites and texts; and with IPv6,
/// those of the /56 number 0 of `subnet6`. Traffic takes such an address at the site where it enters, if it
/// cannot keep an address that tells the chain.
pub fn chain_addresses(network: &Network) -> SortedMap<(Name, String), Vec<IpAddr>> {
    let lans = network.sites.values().flat_map(|site| &site.portals).filter_map(|portal| portal.address);
    let lans: Vec<Cidr> = lans.map(InterfaceAddress::network).collect();
    let of_site = |name: &Name| -> Vec<(Name, String)> {
        let exits = network.sites[name].portals.iter().flat_map(|portal| &portal.exits);
        let chains = exits.filter(|exit| matches!(exit, ExitRef::Chain(_)));
        chains.map(|chain| (name.clone(), chain.to_string())).collect()
    };
    let chains: SortedSet<(Name, String)> = network.sites.keys().flat_map(of_site).collect();
    let first6 = network.subnet6.and_then(|subnet6| site_network6(subnet6.network, 0));
    let addresses = free_addresses(network.subnet, &lans).zip(1..).map(|(address, number)| {
        [Some(address), first6.and_then(|first| first.nth(number))].into_iter().flatten().collect()
    });
    chains.into_iter().zip(addresses).collect()
}

/// Returns the addresses that chains may have: those of the first /24 of `subnet`, except the networks in
/// `taken`.
pub(super) fn free_addresses(subnet: Cidr, taken: &[Cidr]) -> impl Iterator<Item = IpAddr> {
    let first = site_network(subnet, 0);
    let addresses = (1..255).filter_map(move |number| first?.nth(number));
    addresses.filter(move |address| !taken.iter().any(|network| network.contains(*address)))
}
