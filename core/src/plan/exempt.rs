//! Destinations that are exempt from portals: devices and this router reach them as if there were no portal.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::base::net::{Cidr, Family, InterfaceAddress};
use crate::base::sorted::SortedSet;
use crate::site::{Portal, Site};

/// Returns the destinations that are exempt from a portal of devices: their own LANs, our sites and phones,
/// which may contact them, and the networks that the file excepts.
pub(super) fn for_devices(site: &Site, portal: &Portal) -> SortedSet<Cidr> {
    let mut exempt = of_all_devices(site);
    exempt.extend(&portal.except);
    exempt.into_iter().collect()
}

/// Returns the destinations that are exempt from every portal of devices.
pub(super) fn of_all_devices(site: &Site) -> Vec<Cidr> {
    let mut exempt = of_network(site);
    exempt.extend(&site.host.local_networks);
    // This router looks up the way of its neighbour solicitations, too, whose sources can be in a network
    // that enters. IPv4 has no such packets.
    if site.carries_ipv6() {
        exempt.extend(link_scoped().iter().filter(|network| network.family() == Family::V6));
    }
    exempt
}

/// Returns the destinations of this router's own traffic that never enter its portal. The LANs of portals are
/// among them: under strict `rp_filter`, hosts there would get no answer otherwise, not even to an ARP
/// request for the router.
pub(super) fn for_router(site: &Site, portal: &Portal) -> SortedSet<Cidr> {
    let mut exempt = for_router_elsewhere(site, portal);
    for portal in &site.portals {
        exempt.extend(portal.addresses().map(InterfaceAddress::network));
    }
    exempt.into_iter().collect()
}

/// Returns the exempt destinations of this router's own traffic that are not behind portals: local networks,
/// peers, the networks that the file excepts, and destinations that never leave a link.
pub(super) fn for_router_elsewhere(site: &Site, portal: &Portal) -> Vec<Cidr> {
    let mut exempt = of_peers(site);
    exempt.extend(&site.host.local_networks);
    exempt.extend(link_scoped());
    exempt.extend(&portal.except);
    exempt
}

/// Returns the network's own subnets, and the networks outside it that sites share.
pub(super) fn of_network(site: &Site) -> Vec<Cidr> {
    let (mut networks, subnets) = (of_peers(site), site.subnets());
    networks.retain(|network| !subnets.as_slice().iter().any(|subnet| subnet.covers(*network)));
    networks.extend(subnets);
    networks
}

fn of_peers(site: &Site) -> Vec<Cidr> {
    let mut networks = Vec::new();
    for (_, _, peer) in site.peers() {
        networks.extend(&peer.networks);
    }
    networks
}

/// Returns the destinations that no router forwards: multicast, limited broadcast, link-local.
pub(super) fn link_scoped() -> [Cidr; 5] {
    let v4 = |a, b, length| Cidr::new(IpAddr::V4(Ipv4Addr::new(a, b, 0, 0)), length).expect("a valid length");
    [v4(224, 0, 4), Cidr::host(Ipv4Addr::BROADCAST.into()), v4(169, 254, 16), link_local(), v6(0xff00, 8)]
}

/// Returns the network of IPv6's link-local addresses.
pub(super) fn link_local() -> Cidr {
    v6(0xfe80, 10)
}

fn v6(first: u16, length: u8) -> Cidr {
    Cidr::new(IpAddr::V6(Ipv6Addr::new(first, 0, 0, 0, 0, 0, 0, 0)), length).expect("a valid length")
}
