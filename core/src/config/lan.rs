//! Where the LANs of portals are: a site's /24 is cut into /26s, of which the first is the site's own.

use std::net::IpAddr;

use super::model::{Name, Network, Phone};
use crate::base::net::{Cidr, InterfaceAddress};
use crate::base::sorted::SortedMap;

/// Prefix length of a LAN that gets its address by itself.
const LENGTH: u8 = 26;
/// Addresses of one such LAN.
const SIZE: u128 = 1 << (32 - LENGTH);
/// Addresses of a site.
const SITE_SIZE: u128 = 256;

/// The /24 of the site with that id, if `subnet` holds it: `.1` is the site, then come its phones, from `.64` on the
/// LANs of its portals.
pub fn site_network(subnet: Cidr, id: u8) -> Option<Cidr> {
    subnet.carve(u128::from(id) * SITE_SIZE, 24)
}

/// The address of a phone: that of the site it dials, and its id.
pub fn phone_address(network: &Network, phone: &Phone) -> IpAddr {
    let site = site_network(network.subnet, network.sites[&phone.at].id);
    site.and_then(|site| site.nth(1 + u128::from(phone.id)))
        .expect("validated: the subnet holds every site's /24")
}

/// The first quarter of a site's /24: the site itself, and its phones.
pub(super) fn own_part(site_network: Cidr) -> Option<Cidr> {
    site_network.carve(0, LENGTH)
}

/// The addresses of all portals at `site` that are LANs: what the file says, else the first host of the next /26 that
/// is free, in the order of the file. Empty if there is no such site.
pub fn portal_addresses(network: &Network, site: &str) -> SortedMap<Name, InterfaceAddress> {
    let Some(site) = network.sites.get(site) else { return SortedMap::new() };
    let lans = || site.portals.iter().filter(|portal| portal.entrance.has_lan());
    let taken: Vec<Cidr> = lans().filter_map(|lan| lan.address).map(InterfaceAddress::network).collect();
    let mut free =
        site_network(network.subnet, site.id).map(|network| free_lans(network, &taken)).into_iter().flatten();
    lans().filter_map(|lan| Some((lan.name.clone(), lan.address.or_else(|| free.next())?))).collect()
}

/// The first host of each /26 of a site's /24 that is neither its own part nor taken.
pub(super) fn free_lans(site_network: Cidr, taken: &[Cidr]) -> impl Iterator<Item = InterfaceAddress> {
    let quarters = (1..4).filter_map(move |quarter| site_network.carve(quarter * SIZE, LENGTH));
    quarters
        .filter(|lan| !taken.iter().any(|other| other.overlaps(*lan)))
        .filter_map(|lan| Some(InterfaceAddress { address: lan.nth(1)?, length: LENGTH }))
}
