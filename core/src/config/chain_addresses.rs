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
    let (mut lans, mut chains) = (Vec::new(), SortedSet::new());
    for (name, site) in &network.sites {
        for portal in &site.portals {
            lans.extend(portal.address.map(InterfaceAddress::network));
            for exit in &portal.exits {
                if matches!(exit, ExitRef::Chain(_)) {
                    chains.insert((name.clone(), exit.to_string()));
                }
            }
        }
    }
    let first6 = network.subnet6.and_then(|subnet6| site_network6(subnet6.network, 0));
    let mut addresses = SortedMap::new();
    for ((chain, address), number) in chains.into_iter().zip(free_addresses(network.subnet, &lans)).zip(1..) {
        let mut own = vec![address];
        own.extend(first6.and_then(|first| first.nth(number)));
        addresses.insert(chain, own);
    }
    addresses
}

/// Returns the addresses that chains may have: those of the first /24 of `subnet`, except the networks in
/// `taken`.
pub(super) fn free_addresses(subnet: Cidr, taken: &[Cidr]) -> Vec<IpAddr> {
    let Some(first) = site_network(subnet, 0) else { return Vec::new() };
    let mut free = Vec::new();
    for number in 1..255_u8 {
        if let Some(address) = first.nth(number.into())
            && !taken.iter().any(|network| network.contains(address))
        {
            free.push(address);
        }
    }
    free
}
