//! Access of portals' devices to this router itself. Unless the file opens the router to a portal, its
//! devices reach only DHCP, DNS, ping and the page of their portal.

use std::slice;

use crate::base::net::{Cidr, Family, IfName, Mac};
use crate::base::sorted::SortedSet;
use crate::firewall::{
    Action::{Accept, Reject},
    Condition::{
        self, Device, Established, Family as Of, FromOriginator, Icmp, NotDestination, Source, UdpPort,
    },
    Devices, Set, SetName,
};
use crate::plan::classifier;
use crate::plan::dns::{self, DNS};
use crate::plan::priorities::loopback;
use crate::plan::sets::{
    Rules, Sets, add, add_interfaces, add_members, add_networks, add_of, add_set, coming, coming_in, from_in,
    networks_in, of_family,
};
use crate::site::{Entrance, Portal, RESOLVER_PORT, RouterAccess, Site};

/// Set of interfaces of visitors: devices that do not reach all of this router.
pub(super) const VISITORS: &str = "visitors";
/// Set of addresses of visitors on an existing LAN.
const VISITING: &str = "visiting";
/// Set of hardware addresses of visitors on an existing LAN.
const VISITING_MAC: &str = "visiting-mac";
/// Set of hardware addresses of visitors that the file names by their IPv4 addresses.
const VISITING6: &str = "visiting6-mac";
/// Set of addresses at which this host answers pings of visitors.
const VISITED: &str = "visited";

/// Ports of DHCP servers (RFC 2131 § 4.1, RFC 8415 § 7.2).
const DHCP: [(Family, u16); 2] = [(Family::V4, 67), (Family::V6, 547)];

/// Adds the rules for traffic to this host.
pub(super) fn input(rules: &mut Rules, site: &Site) {
    let device = |set: &str| Device(Devices::In(SetName(set.to_owned())));
    if !interfaces(site).is_empty() {
        let elsewhere = NotDestination(networks_in(Family::V4, VISITED));
        access(rules, site, &coming_in(VISITORS), None, Some(elsewhere));
    }
    let mut of_devices = Vec::new();
    for family in site.carried() {
        if sources(site).iter().any(|source| source.family() == family) {
            access(&mut of_devices, site, &from_in(family, VISITING), Some(family), None);
        }
    }
    if !devices(site, is_by_mac).is_empty() {
        access(&mut of_devices, site, &device(VISITING_MAC), None, None);
    }
    // A device that the file names by an IPv4 address may have IPv6 addresses as well.
    if !devices(site, is_by_address).is_empty() {
        access(&mut of_devices, site, &device(VISITING6), Some(Family::V6), None);
    }
    if !of_devices.is_empty() {
        // The devices' addresses can include this host's own address.
        add(rules, [coming(&loopback())], Accept);
    }
    rules.extend(of_devices);
}

/// Adds the sets that the rules of this file look into.
pub(super) fn sets(sets: &mut Sets, site: &Site) {
    let addresses = visitors(site).filter(|portal| portal.entrance_interface().is_some());
    let addresses = addresses.filter_map(|portal| Some(Cidr::host(portal.address?.address))).collect();
    add_interfaces(sets, VISITORS, interfaces(site));
    add_members(sets, of_family(Family::V4, VISITED), Family::V4, addresses);
    for (name, devices) in
        [(VISITING_MAC, devices(site, is_by_mac)), (VISITING6, devices(site, is_by_address))]
    {
        add_set(sets, SetName(name.to_owned()), Set::Devices(devices));
    }
    add_networks(sets, site, VISITING, &sources(site));
}

/// Adds the rules for the services that `who` reaches on this host, in `only` one family or in both, and
/// the rules that refuse the rest, also in connections that were opened before.
fn access(
    rules: &mut Rules,
    site: &Site,
    who: &Condition,
    only: Option<Family>,
    not_pinged: Option<Condition>,
) {
    let speaks =
        |family: Family| only.is_none_or(|only| only == family) && (family == Family::V4 || site.host.ipv6);
    // A source address implies the family.
    let of = only.filter(|_| !matches!(who, Source(_))).map(Of);
    let who = slice::from_ref(who);
    let of_family = [who, of.as_slice()].concat();
    let mut served = Vec::new();
    for (_, port) in DHCP.into_iter().filter(|(family, _)| speaks(*family)) {
        served.push(UdpPort(port, port));
    }
    served.extend(dns::at(DNS));
    served.extend(dns::at(RESOLVER_PORT));
    for port in served {
        add_of(rules, &[&[port], &of_family], Accept);
    }
    if let Some(elsewhere) = not_pinged {
        add_of(rules, &[&[Icmp(Family::V4), FromOriginator], &of_family, &[elsewhere]], Reject);
    }
    // IPv6 needs ICMP for neighbour discovery.
    for family in [Family::V4, Family::V6].into_iter().filter(|family| speaks(*family)) {
        add_of(rules, &[&[Icmp(family)], who], Accept);
    }
    add_of(rules, &[&[FromOriginator], &of_family], Reject);
    add_of(rules, &[&[Established], &of_family], Accept);
    add(rules, of_family, Reject);
}

/// Returns the portals whose devices do not reach all of this router.
pub(super) fn visitors(site: &Site) -> impl Iterator<Item = &Portal> {
    site.portals.iter().filter(|portal| portal.router == RouterAccess::Basics)
}

fn interfaces(site: &Site) -> SortedSet<IfName> {
    visitors(site).filter_map(Portal::entrance_interface).cloned().collect()
}

fn sources(site: &Site) -> Vec<Cidr> {
    let mut all = Vec::new();
    for portal in visitors(site) {
        if let Entrance::From(sources) = &portal.entrance {
            all.extend(sources);
        }
    }
    all
}

fn devices(site: &Site, matches: fn(&Entrance) -> bool) -> SortedSet<Mac> {
    let mut all = SortedSet::new();
    for portal in visitors(site).filter(|portal| matches(&portal.entrance)) {
        all.extend(classifier::devices(site, portal));
    }
    all
}

fn is_by_mac(entrance: &Entrance) -> bool {
    matches!(entrance, Entrance::Mac { .. })
}

fn is_by_address(entrance: &Entrance) -> bool {
    matches!(entrance, Entrance::From(_))
}
