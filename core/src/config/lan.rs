//! Addresses of the portals' LANs. The /24 of a site has four /26s; the first /26 belongs to the site itself
//! and its phones. The IPv6 /56 of a site has 256 /64s; the first /64 belongs to the site itself and its
//! phones.

use std::net::IpAddr;

use super::model::{Name, Network, PhoneConfig};
use crate::base::net::{Cidr, InterfaceAddress};
use crate::base::sorted::SortedMap;

/// Prefix length of a LAN without an `address` in the file.
const LENGTH: u8 = 26;
/// Number of addresses in such a LAN.
const SIZE: u128 = 1 << (32 - LENGTH);
/// Number of addresses of a site.
const SITE_SIZE: u128 = 256;

/// Returns the /24 of the site with that id, if `subnet` holds it. `.1` is the site; its phones follow; the
/// LANs of its portals start at `.64`.
pub fn site_network(subnet: Cidr, id: u8) -> Option<Cidr> {
    subnet.carve(u128::from(id) * SITE_SIZE, 24)
}

/// Returns the address of a phone: the address of the site that it dials, plus the phone's id.
pub fn phone_address(network: &Network, phone: &PhoneConfig) -> IpAddr {
    let site = site_network(network.subnet, network.sites[&phone.at].id);
    site.and_then(|site| site.nth(1 + u128::from(phone.id)))
        .expect("validated: the subnet holds every site's /24")
}

/// Returns the IPv6 /56 of the site with that id, if `subnet6` holds it. `::1` is the site; its phones
/// follow; the LANs of its portals are its /64s from the second on.
pub fn site_network6(subnet6: Cidr, id: u8) -> Option<Cidr> {
    subnet6.carve(u128::from(id) << 72, 56)
}

/// Returns the IPv6 address of a phone, if the network has IPv6: the address of the site that it dials, plus
/// the phone's id.
pub fn phone_address6(network: &Network, phone: &PhoneConfig) -> Option<IpAddr> {
    let site = site_network6(network.subnet6?.network, network.sites[&phone.at].id)?;
    site.nth(1 + u128::from(phone.id))
}

/// Returns the first quarter of a site's /24, which holds the site itself and its phones.
pub(super) fn own_part(site_network: Cidr) -> Option<Cidr> {
    site_network.carve(0, LENGTH)
}

/// Returns the addresses of all portals at `site` that have a LAN: the `address` in the file, or else the
/// first host of the next free /26, in the order of the file. Empty if there is no such site.
pub fn portal_addresses(network: &Network, site: &str) -> SortedMap<Name, InterfaceAddress> {
    let Some(site) = network.sites.get(site) else { return SortedMap::new() };
    let lans = || site.portals.iter().filter(|portal| portal.entrance.has_lan());
    let taken: Vec<Cidr> = lans().filter_map(|lan| lan.address).map(InterfaceAddress::network).collect();
    let own = site_network(network.subnet, site.id);
    let mut free = own.map_or_else(Vec::new, |own| free_lans(own, &taken)).into_iter();
    lans().filter_map(|lan| Some((lan.name.clone(), lan.address.or_else(|| free.next())?))).collect()
}

/// Returns the IPv6 addresses of all portals at `site` that have a LAN: the first host of the next /64, in
/// the order of the file. Empty if there is no such site, or if the network has no IPv6.
pub fn portal_addresses6(network: &Network, site: &str) -> SortedMap<Name, InterfaceAddress> {
    let own = network.sites.get(site).and_then(|site| site_network6(network.subnet6?.network, site.id));
    let (Some(site), Some(own)) = (network.sites.get(site), own) else { return SortedMap::new() };
    let lans = site.portals.iter().filter(|portal| portal.entrance.has_lan());
    let first =
        |number: u128| Some(InterfaceAddress { address: own.carve(number << 64, 64)?.nth(1)?, length: 64 });
    lans.zip(1..).filter_map(|(lan, number)| Some((lan.name.clone(), first(number)?))).collect()
}

/// Returns the first host of each free /26 in a site's /24. The site's own /26 and the networks in `taken`
/// are not free.
pub(super) fn free_lans(site_network: Cidr, taken: &[Cidr]) -> Vec<InterfaceAddress> {
    let mut free = Vec::new();
    for lan in (1..4).filter_map(|quarter| site_network.carve(quarter * SIZE, LENGTH)) {
        if !taken.iter().any(|other| other.overlaps(lan)) {
            free.extend(lan.nth(1).map(|address| InterfaceAddress { address, length: LENGTH }));
        }
    }
    free
}
