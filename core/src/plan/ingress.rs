//! Packets that come in where no honest packet does: packets of guests with foreign source addresses, answers
//! that return another way than their connection went, and packets that neighbours of the uplink send to
//! addresses behind a portal or in a tunnel. Strict `rp_filter` drops most of them, but not every host has
//! it.
//!
//! The rules drop packets before routing and before address translation, so the rules see a packet to a
//! forwarded port as it came in.

use crate::base::net::{Cidr, Family, IfName, InterfaceAddress};
use crate::base::sorted::{SortedMap, SortedSet};
use crate::firewall::{
    Action::{Accept, Drop},
    Condition::{
        self, ConnectionMarked, ConnectionNotMarked, FromOriginator, FromResponder, NotDestination,
        NotIncoming, NotSource, Place, Way,
    },
    Networks, NetworksAtInterfaces, Pairing, Set, SetName,
};
use crate::plan::priorities::loopback;
use crate::plan::sets::{
    INNER, Rules, Sets, TUNNELS, add, add_interfaces, add_networks, add_of, add_set, carried, coming,
    coming_in, families_of, in_set, networks_in, of_family, to_in,
};
use crate::plan::{connection_marks, exempt, strays, translation};
use crate::site::{Portal, RouterAccess, Site, SiteTunnel};
use crate::state::TUNNELED;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Set of portals' interfaces whose devices have addresses of known networks.
const CONFINED: &str = "confined";
/// Set of tunnels whose allowed IPs let every source in.
const EXITS: &str = "exits";
/// Set of networks that only tunnels and this host reach, apart from the LAN itself: this site's addresses in
/// its tunnels, and portals' LANs.
const GUARDED: &str = "guarded";
/// Set of portals' LANs, on a site where other local networks may reach them.
const OPEN: &str = "open";
/// Set of networks that are closed to the uplink's neighbours, although other networks may reach them.
const FAR: &str = "far";
/// Set of interfaces that the rules on sources and on connections out of tunnels are about.
const WATCHED: &str = "watched";
/// Set of local networks that may reach the LANs in [`OPEN`].
const NEAR: &str = "near";

/// Adds the rules that drop forged packets as they come in.
pub(super) fn rules(rules: &mut Rules, site: &Site) {
    for part in [translation::incoming, answers] {
        part(rules, site);
    }
    let watched = watched(site);
    let elsewhere = NotIncoming(in_set(WATCHED));
    // Most packets of other devices and of the internet end here. A comparison with the network's subnet
    // takes less time than the rules on destinations.
    let mut are_all_inside = !watched.is_empty();
    for family in site.carried() {
        let subnet = site.subnets().find(|subnet| subnet.family() == family);
        let subnet = subnet.filter(|subnet| closed(site).iter().all(|to| is_inside(subnet, *to)));
        are_all_inside &= subnet.is_some();
        if let Some(subnet) = subnet.filter(|_| !watched.is_empty()) {
            add(rules, [NotDestination(Networks::One(subnet)), elsewhere.clone()], Accept);
        }
    }
    strangers(rules, site);
    if !are_all_inside && !watched.is_empty() {
        add(rules, [elsewhere], Accept);
    }
    for part in [other_answers, neighbours, guests, peers] {
        part(rules, site);
    }
}

/// Returns the destinations that the rules on destinations are about.
fn closed(site: &Site) -> Vec<Cidr> {
    [guarded(site), open(site), far(site)].concat()
}

/// Reports whether a network is in the subnet, or has another family.
fn is_inside(subnet: &Cidr, network: Cidr) -> bool {
    subnet.covers(network) || subnet.family() != network.family()
}

/// Returns the interfaces that the last rules are about.
fn watched(site: &Site) -> SortedSet<IfName> {
    let mut watched = confined(site);
    watched.extend(site.tunnels.keys().cloned());
    if !far(site).is_empty() {
        watched.extend(site.uplinks().cloned());
    }
    watched
}

/// Adds the sets that the rules of this file look into.
pub(super) fn sets(sets: &mut Sets, site: &Site) {
    let mut inner: SortedSet<IfName> = site.tunnels.keys().cloned().collect();
    inner.insert(loopback());
    let exits = exits(site).map(|(interface, _)| interface.clone()).collect();
    for (name, interfaces) in
        [(CONFINED, confined(site)), (EXITS, exits), (INNER, inner), (WATCHED, watched(site))]
    {
        add_interfaces(sets, name, interfaces);
    }
    for (name, networks) in
        [(GUARDED, guarded(site)), (OPEN, open(site)), (FAR, far(site)), (NEAR, near(site))]
    {
        add_networks(sets, site, name, &networks);
    }
    for (kind, places) in [
        ("lan", own_places(site)),
        ("link", link_places(site)),
        ("ends", reached_ends(site)),
        ("peers", peers_places(site)),
    ] {
        for family in site.carried() {
            for (length, places) in by_length(&places, family) {
                add_set(sets, of_length(kind, family, length), Set::NetworksAtInterfaces(family, places));
            }
        }
    }
}

/// Returns the names of the sets of interfaces that lead only to networks that portals guard, and to portals'
/// devices.
pub(super) fn inner_sets(site: &Site) -> &'static [&'static str] {
    if confined(site).is_empty() { &[INNER] } else { &[INNER, CONFINED] }
}

/// Adds the rules on answers of connections that went into a tunnel: an answer comes out of that tunnel, and
/// nowhere else. None of the rules that follow is about such an answer: they are about connections that come
/// out of a tunnel, and about packets that come in elsewhere.
fn answers(rules: &mut Rules, site: &Site) {
    if site.tunnels.is_empty() {
        return;
    }
    let answers = [FromResponder, ConnectionMarked(TUNNELED)];
    add_of(rules, &[&answers, &[Way(Pairing::COMING, connection_marks::pairs())]], Accept);
    known(rules, site);
    add_of(rules, &[&answers, carried(site).as_slice(), &[NotIncoming(in_set(TUNNELS))]], Drop);
}

/// Adds the rules on other packets of such connections. None of the rules that follow is about a packet from
/// a guest with a source of its own: its destination has led into a tunnel before, so no rule guards it. The
/// source of any other packet is not one of ours.
fn known(rules: &mut Rules, site: &Site) {
    let known = [ConnectionMarked(TUNNELED), FromOriginator];
    for family in site.carried() {
        for place in in_places("lan", &own_places(site), family, Pairing::COMING) {
            add_of(rules, &[&known, &[place]], Accept);
        }
    }
    strays::known(rules, site);
}

/// Adds the rule on all other answers that come out of a tunnel. A connection that is older than the marks
/// that tell the tunnels apart may belong to any tunnel.
fn other_answers(rules: &mut Rules, site: &Site) {
    if site.tunnels.is_empty() {
        return;
    }
    let strange = [
        coming_in(TUNNELS),
        Way(Pairing::STRAY, connection_marks::pairs()),
        ConnectionNotMarked(connection_marks::untold()),
    ];
    add_of(rules, &[&[FromResponder], carried(site).as_slice(), &strange], Drop);
}

/// Adds the rules on sources of guests: an address of their own LAN, or none yet while they ask for one by
/// DHCP. The kernel accepts packets without a source address only to the broadcast address
/// (`ip_route_input_slow` in net/ipv4/route.c). In IPv6, guests have link-local addresses as well.
fn guests(rules: &mut Rules, site: &Site) {
    if confined(site).is_empty() {
        return;
    }
    for family in site.carried() {
        let mut places = in_places("lan", &own_places(site), family, Pairing::COMING);
        places.append(&mut in_places("link", &link_places(site), family, Pairing::COMING));
        for place in places {
            add(rules, [place], Accept);
        }
        // Guests without a LAN of that family have no address that could be theirs.
        add(rules, [Condition::Family(family), coming_in(CONFINED)], Drop);
    }
}

/// Adds the rules on neighbours of the uplink: they do not reach phones, nor LANs that other local
/// networks may reach. An uplink's network that this site shares as a LAN is exempt.
fn neighbours(rules: &mut Rules, site: &Site) {
    let is_there = |lan: &Cidr| site.host.uplink_networks.iter().any(|network| network.overlaps(*lan));
    for uplink in site.uplinks() {
        for family in families_of(site, &far(site)) {
            let mut conditions = vec![coming(uplink), to_in(family, FAR)];
            for lan in site.own_lans().filter(|lan| lan.family() == family && is_there(lan)) {
                conditions.push(NotSource(Networks::One(lan)));
            }
            add(rules, conditions, Drop);
        }
    }
}

/// Adds the rules on destinations. A portal's LAN is reached from that LAN, from tunnels, from this host,
/// and from networks that this site shares or excepts from portals, so that those can answer. An address in a
/// tunnel is reached from tunnels, from this host, and from portals whose devices reach all of this router.
fn strangers(rules: &mut Rules, site: &Site) {
    let to = |family, set| [to_in(family, set), NotIncoming(in_set(INNER))];
    for family in families_of(site, &guarded(site)) {
        let lans = in_places("lan", &own_places(site), family, Pairing::STRANGE);
        let ends = in_places("ends", &reached_ends(site), family, Pairing::STRANGE);
        add_of(rules, &[&to(family, GUARDED), &lans, &ends], Drop);
    }
    let near = families_of(site, &near(site));
    for family in families_of(site, &open(site)) {
        let elsewhere = in_places("lan", &own_places(site), family, Pairing::STRANGE);
        let others = near.contains(&family).then(|| NotSource(networks_in(family, NEAR)));
        add_of(rules, &[&to(family, OPEN), &elsewhere, others.as_slice()], Drop);
    }
}

/// Adds the rules on connections that come out of a tunnel to an exit: their sources are networks of the
/// site at the other end. A provider has no such network: a packet from there can only be an answer.
fn peers(rules: &mut Rules, site: &Site) {
    if exits(site).next().is_none() {
        return;
    }
    for family in site.carried() {
        let elsewhere = in_places("peers", &peers_places(site), family, Pairing::STRAY);
        let of_family = elsewhere.is_empty().then_some(Condition::Family(family));
        let opening = [FromOriginator, coming_in(EXITS)];
        add_of(rules, &[&opening, of_family.as_slice(), &elsewhere], Drop);
    }
}

/// Returns one condition on the given interfaces and networks for each prefix length.
fn in_places(
    kind: &str,
    places: &SortedSet<(IfName, Cidr)>,
    family: Family,
    pairing: Pairing,
) -> Vec<Condition> {
    let lengths = by_length(places, family).into_iter().map(|(length, _)| length);
    let places = |length| NetworksAtInterfaces { family, set: of_length(kind, family, length), length };
    lengths.map(|length| Place(pairing, places(length))).collect()
}

/// Returns the name of the set with the networks of this prefix length.
pub(super) fn of_length(kind: &str, family: Family, length: u8) -> SetName {
    SetName(format!("{}-{length}", of_family(family, kind)))
}

/// Returns the networks of a family at interfaces, by their prefix length.
pub(super) fn by_length(
    places: &SortedSet<(IfName, Cidr)>,
    family: Family,
) -> SortedMap<u8, SortedSet<(IfName, IpAddr)>> {
    let mut groups = SortedMap::<u8, SortedSet<(IfName, IpAddr)>>::new();
    for (interface, network) in places.iter().filter(|(_, network)| network.family() == family) {
        groups.get_or_default(network.length()).insert((interface.clone(), network.address()));
    }
    groups
}

fn entered_by_lans(site: &Site) -> impl Iterator<Item = (&IfName, &Portal)> {
    let with_lan = |portal: &&Portal| portal.address.is_some();
    site.portals.iter().filter(with_lan).filter_map(|portal| Some((portal.entrance_interface()?, portal)))
}

fn confined(site: &Site) -> SortedSet<IfName> {
    entered_by_lans(site).map(|(interface, _)| interface.clone()).collect()
}

/// Returns the networks at the interfaces of portals with LANs.
fn own_places(site: &Site) -> SortedSet<(IfName, Cidr)> {
    let mut places = SortedSet::new();
    for (interface, portal) in entered_by_lans(site) {
        let own = portal.addresses().map(InterfaceAddress::network);
        let mut networks: Vec<Cidr> = own.collect();
        networks.extend(&portal.behind);
        places.extend(networks.into_iter().map(|network| (interface.clone(), network)));
    }
    places
}

/// Returns the sources of packets that no router forwards, at the interfaces of portals with LANs: sources
/// with which devices ask for an address, and look for routers and neighbours.
fn link_places(site: &Site) -> SortedSet<(IfName, Cidr)> {
    let mut places = SortedSet::new();
    for (interface, portal) in entered_by_lans(site) {
        places.insert((interface.clone(), Cidr::host(Ipv4Addr::UNSPECIFIED.into())));
        if portal.address6.is_some() {
            for source in [Cidr::host(Ipv6Addr::UNSPECIFIED.into()), exempt::link_local()] {
                places.insert((interface.clone(), source));
            }
        }
    }
    places
}

fn lans(site: &Site) -> Vec<Cidr> {
    let mut lans = Vec::new();
    for (_, portal) in entered_by_lans(site) {
        lans.extend(portal.addresses().map(InterfaceAddress::network));
    }
    lans
}

/// Returns the networks that no other network reaches: this site's addresses in its tunnels, and its portals'
/// LANs unless they are open.
fn guarded(site: &Site) -> Vec<Cidr> {
    let mut guarded = ends(site);
    if near(site).is_empty() {
        guarded.extend(lans(site));
    }
    guarded
}

/// Returns this site's addresses in its tunnels.
pub(super) fn ends(site: &Site) -> Vec<Cidr> {
    let mut ends = Vec::new();
    if !site.tunnels.is_empty() {
        ends.extend(site.addresses());
    }
    for provider in site.tunnels.values().filter_map(|tunnel| tunnel.provider.as_ref()) {
        ends.extend(provider.addresses.iter().map(|own| own.address));
    }
    for chain in &site.chains {
        ends.extend(&chain.addresses);
    }
    ends.into_iter().map(Cidr::host).collect()
}

/// Returns this site's addresses in its tunnels, at the interfaces of portals whose devices reach all of this
/// router.
fn reached_ends(site: &Site) -> SortedSet<(IfName, Cidr)> {
    let mut places = SortedSet::new();
    for (interface, _) in entered_by_lans(site).filter(|(_, portal)| portal.router == RouterAccess::All) {
        for end in ends(site) {
            places.insert((interface.clone(), end));
        }
    }
    places
}

/// Returns the LANs of portals, if other local networks may reach them.
fn open(site: &Site) -> Vec<Cidr> {
    if near(site).is_empty() { Vec::new() } else { lans(site) }
}

/// Returns the networks that other networks may reach, but not the uplink's neighbours.
fn far(site: &Site) -> Vec<Cidr> {
    let mut far = Vec::new();
    for (_, _, phone) in site.phones() {
        far.extend(&phone.peer.networks);
    }
    far.extend(open(site));
    far
}

fn near(site: &Site) -> Vec<Cidr> {
    let mut near: Vec<Cidr> = site.own_lans().collect();
    for portal in &site.portals {
        near.extend(&portal.except);
    }
    near
}

fn exits(site: &Site) -> impl Iterator<Item = (&IfName, &SiteTunnel)> {
    site.tunnels.iter().filter(|(_, tunnel)| tunnel.table.is_some())
}

fn peers_places(site: &Site) -> SortedSet<(IfName, Cidr)> {
    let mut places = SortedSet::new();
    for (interface, tunnel) in exits(site).filter(|(_, tunnel)| tunnel.provider.is_none()) {
        for (_, peer) in tunnel.ends() {
            places.extend(peer.networks.iter().map(|network| (interface.clone(), *network)));
        }
    }
    places
}
