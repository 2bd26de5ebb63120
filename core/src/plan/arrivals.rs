//! Packets from where they cannot come: guests under others' addresses, answers by another way than their questions went, and what
//! neighbours of the uplink send to addresses behind a portal or in a tunnel. Strict `rp_filter` drops much of that, but not every host has
//! it.
//!
//! They are dropped before they are routed and before addresses are translated, so that a forwarded port looks as it came.

use crate::base::net::{Cidr, Family, IfName, InterfaceAddress};
use crate::base::sorted::{SortedMap, SortedSet};
use crate::firewall::{
    Action::Drop,
    Condition::{
        self, ConnectionMarked, ConnectionNotMarked, Destination, Family as Of, Incoming, NotFrom,
        NotIncoming, NotReturning, NotSource, NotTo, Opening, Replying,
    },
    Interfaces, Networks, Places, Rule, Set, SetName,
};
use crate::plan::firewall::{disjoint, in_set, networks_in, rule};
use crate::plan::routing::sent_here;
use crate::plan::ways;
use crate::site::{Portal, Served, Site, Tunnel};
use crate::state::TUNNELED;
use std::net::{IpAddr, Ipv4Addr};

/// The set of interfaces whose devices enter a portal under addresses of networks that are there.
const CONFINED: &str = "confined";
/// The set of tunnels out of which anything may come, as far as WireGuard is concerned.
const EXITS: &str = "exits";
/// The set of interfaces that lead to all that portals guard: the tunnels, and this host itself.
pub(super) const INNER: &str = "inner";
/// The set of what only tunnels and this host reach, besides a LAN itself: this site's addresses in its tunnels, and portals' LANs.
const GUARDED: &str = "guarded";
/// The set of portals' LANs, where networks here may reach them.
const OPEN: &str = "open";
/// The set of what nobody reaches by the uplink though others may.
const FAR: &str = "far";
/// The set of networks that may reach those LANs by themselves.
const NEAR: &str = "near";

/// All that is dropped as it comes in.
pub(super) fn rules(site: &Site) -> Vec<Rule> {
    let rules = answers(site).into_iter().chain(guests(site)).chain(neighbours(site));
    rules.chain(strangers(site)).chain(peers(site)).collect()
}

/// The sets that those rules look at.
pub(super) fn sets(site: &Site) -> SortedMap<SetName, Set> {
    let mut sets = SortedMap::new();
    let inner = site.tunnels.keys().cloned().chain([sent_here()]).collect();
    let exits = exits(site).map(|(interface, _)| interface.clone()).collect();
    for (name, interfaces) in [(CONFINED, confined(site)), (EXITS, exits), (INNER, inner)] {
        sets.insert(SetName(name.to_owned()), Set::Interfaces(interfaces));
    }
    for (name, networks) in
        [(GUARDED, guarded(site)), (OPEN, open(site)), (FAR, far(site)), (NEAR, near(site))]
    {
        sets.insert(SetName(name.to_owned()), Set::Networks(Family::V4, networks));
    }
    for (kind, places) in
        [("lan", own_places(site)), ("ends", reached_ends(site)), ("peers", peers_places(site))]
    {
        sets.extend(
            by_length(&places)
                .into_iter()
                .map(|(length, places)| (of_length(kind, length), Set::Places(places))),
        );
    }
    sets
}

/// The sets of interfaces that lead nowhere but to what portals guard, and to their devices.
pub(super) fn inner_sets(site: &Site) -> impl Iterator<Item = &'static str> {
    [INNER].into_iter().chain((!confined(site).is_empty()).then_some(CONFINED))
}

/// Out of a tunnel come answers of connections that went in there, and those come nowhere else. Connections that went into one before
/// tunnels were told apart may be those of any.
fn answers(site: &Site) -> Vec<Rule> {
    if site.tunnels.is_empty() {
        return Vec::new();
    }
    let answers = [Replying, Of(Family::V4)];
    let tunnels = || in_set("tunnels");
    let strange = [Incoming(tunnels()), NotReturning(ways::pairs()), ConnectionNotMarked(ways::untold())];
    let astray = [ConnectionMarked(TUNNELED), NotIncoming(tunnels())];
    vec![
        rule(answers.iter().cloned().chain(strange), Drop),
        rule(answers.iter().cloned().chain(astray), Drop),
    ]
}

/// Guests have addresses of their own LAN, or none yet while they ask for one by DHCP. The kernel takes the latter to everybody's address
/// only (ip_route_input_slow in net/ipv4/route.c).
fn guests(site: &Site) -> Option<Rule> {
    let elsewhere = not_in("lan", &own_places(site), NotFrom);
    (!confined(site).is_empty())
        .then(|| rule([Incoming(in_set(CONFINED))].into_iter().chain(elsewhere), Drop))
}

/// Nobody on the uplink's wire sends to phones, nor to LANs that others may reach, unless that wire is a LAN which this site shares.
fn neighbours(site: &Site) -> Option<Rule> {
    let uplink = Incoming(Interfaces::One(site.uplink_interface()?.clone()));
    let is_there = |lan: &&Cidr| site.uplink_networks.iter().any(|network| network.overlaps(**lan));
    let shared = site.lan.iter().filter(|lan| lan.family() == Family::V4).filter(is_there);
    let others = shared.map(|lan| NotSource(Networks::One(*lan)));
    (!far(site).is_empty())
        .then(|| rule([uplink, Destination(networks_in(FAR))].into_iter().chain(others), Drop))
}

/// To a portal's LAN it goes from that LAN, from tunnels, from this host and from what this site shares; where the file excepts networks
/// from portals, those answer. To an address in a tunnel it goes from tunnels, from this host, and from portals that reach all of it.
fn strangers(site: &Site) -> Vec<Rule> {
    let to = |set| [Destination(networks_in(set)), NotIncoming(in_set(INNER))];
    let mut rules = Vec::new();
    if !guarded(site).is_empty() {
        let lans = not_in("lan", &own_places(site), NotTo);
        let ends = not_in("ends", &reached_ends(site), NotTo);
        rules.push(rule(to(GUARDED).into_iter().chain(lans).chain(ends), Drop));
    }
    if !open(site).is_empty() {
        let elsewhere = not_in("lan", &own_places(site), NotTo);
        rules.push(rule(to(OPEN).into_iter().chain(elsewhere).chain([NotSource(networks_in(NEAR))]), Drop));
    }
    rules
}

/// Connections that come out of a tunnel which lets everything through are those of who is at its other end.
fn peers(site: &Site) -> Option<Rule> {
    let elsewhere = not_in("peers", &peers_places(site), NotFrom);
    let opening = [Opening, Incoming(in_set(EXITS))];
    exits(site).next().is_some().then(|| rule(opening.into_iter().chain(elsewhere), Drop))
}

/// Conditions that leave out all of these places.
fn not_in(
    kind: &str,
    places: &SortedSet<(IfName, Cidr)>,
    condition: fn(Places) -> Condition,
) -> Vec<Condition> {
    let lengths = by_length(places).into_iter().map(|(length, _)| length);
    lengths.map(|length| condition(Places { set: of_length(kind, length), length })).collect()
}

fn of_length(kind: &str, length: u8) -> SetName {
    SetName(format!("{kind}-{length}"))
}

fn by_length(places: &SortedSet<(IfName, Cidr)>) -> SortedMap<u8, SortedSet<(IfName, Ipv4Addr)>> {
    let mut groups = SortedMap::<u8, SortedSet<(IfName, Ipv4Addr)>>::new();
    for (interface, network) in places {
        if let IpAddr::V4(first) = network.address() {
            groups.get_or_default(network.length()).insert((interface.clone(), first));
        }
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

/// The networks of those interfaces, and the addresses of whoever has none yet.
fn own_places(site: &Site) -> SortedSet<(IfName, Cidr)> {
    let mut places = SortedSet::new();
    for (interface, portal) in entered_by_lans(site) {
        let own = portal.address.map(InterfaceAddress::network);
        let none = own.and_then(|own| Cidr::new(Ipv4Addr::UNSPECIFIED.into(), own.length()));
        let networks = own.into_iter().chain(none).chain(portal.behind.iter().copied());
        places.extend(networks.map(|network| (interface.clone(), network)));
    }
    places
}

fn lans(site: &Site) -> SortedSet<Cidr> {
    let networks = entered_by_lans(site).filter_map(|(_, portal)| Some(portal.address?.network()));
    disjoint(Family::V4, networks)
}

/// Networks that nobody else reaches: this site's addresses in its tunnels, and its portals' LANs, if nobody may.
fn guarded(site: &Site) -> SortedSet<Cidr> {
    let lans = if near(site).is_empty() { lans(site) } else { SortedSet::new() };
    disjoint(Family::V4, ends(site).chain(lans.iter().copied()))
}

/// This site's addresses in its tunnels.
fn ends(site: &Site) -> impl Iterator<Item = Cidr> {
    let ours = (!site.tunnels.is_empty()).then_some(site.address);
    let of_providers = site.tunnels.values().filter_map(|tunnel| tunnel.provider.as_ref());
    let of_providers = of_providers.flat_map(|provider| provider.addresses.iter().map(|own| own.address));
    ours.into_iter().chain(of_providers).map(Cidr::host)
}

/// This site's addresses in its tunnels, at the interfaces of portals whose devices reach all of this router.
fn reached_ends(site: &Site) -> SortedSet<(IfName, Cidr)> {
    let trusted = entered_by_lans(site).filter(|(_, portal)| portal.router == Served::All);
    trusted.flat_map(|(interface, _)| ends(site).map(|end| (interface.clone(), end))).collect()
}

/// The LANs of portals, if somebody else may reach them.
fn open(site: &Site) -> SortedSet<Cidr> {
    if near(site).is_empty() { SortedSet::new() } else { lans(site) }
}

/// Networks that others may reach, but nobody by the uplink.
fn far(site: &Site) -> SortedSet<Cidr> {
    let phones = site.phones().map(|(_, _, phone)| Cidr::host(phone.peer.address));
    disjoint(Family::V4, phones.chain(open(site).iter().copied()))
}

fn near(site: &Site) -> SortedSet<Cidr> {
    let excepted = site.portals.iter().flat_map(|portal| &portal.except);
    disjoint(Family::V4, site.lan.iter().chain(excepted).copied())
}

fn exits(site: &Site) -> impl Iterator<Item = (&IfName, &Tunnel)> {
    let is_exit = |(_, tunnel): &(&IfName, &Tunnel)| tunnel.table.is_some() && tunnel.provider.is_none();
    site.tunnels.iter().filter(is_exit)
}

fn peers_places(site: &Site) -> SortedSet<(IfName, Cidr)> {
    let of = |(interface, tunnel): (&IfName, &Tunnel)| -> Vec<(IfName, Cidr)> {
        let networks = tunnel.ends().flat_map(|(_, peer)| peer.networks.iter().copied());
        networks.map(|network| (interface.clone(), network)).collect()
    };
    exits(site).flat_map(of).collect()
}
