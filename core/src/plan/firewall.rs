//! The second layer: what must not pass is refused even while another program has flushed our rules and routes.
//! Also NAT at the exit, TCP segment sizes, and what may come out of a tunnel.

use std::cmp::Reverse;
use std::net::IpAddr;

use crate::base::net::{Cidr, Family, IfName, special_purpose};
use crate::base::sorted::{SortedMap, SortedSet};
use crate::firewall::{
    Action::{self, Accept, ClampMss, Drop, Masquerade, Reject, SendAs},
    Chain,
    Condition::{
        self, Destination, Established, Family as Of, Icmp, Incoming, NotMarked, NotOutgoing, NotSource,
        Opening, Outgoing, Path, Replying, Source, TcpSyn, UdpPort,
    },
    Firewall, Interfaces, Networks, Rule, Set, SetName,
};
use crate::plan::{
    arrivals, entering, inbound, marks, names, ntp, phones, router_access, routing, strays, ways,
};
use crate::site::{Entrance, Exit, Portal, Provider, Site};
use crate::state::TUNNEL_MARK;

/// The set of interfaces all of whose traffic enters a portal.
pub(super) const ENTRANCES: &str = "entrances";
/// The set of addresses of resolvers whose questions must not leave by the own uplink.
pub(super) const RESOLVERS: &str = "resolvers";
/// The set of addresses of this host where a resolver of its own may answer.
pub(super) const OWN: &str = "own";

/// UDP ports of DHCP, server and client (RFC 2131 § 4.1). It never crosses a tunnel.
const DHCP: Condition = UdpPort(67, 68);

/// Bytes of an IPv4 and a TCP header without options: what the MTU exceeds the segment size by.
const HEADERS: u32 = 40;

/// The whole table; `None` for a site without tunnels and portals.
pub(super) fn plan(site: &Site) -> Option<Firewall> {
    if site.tunnels.is_empty() && site.portals.is_empty() {
        return None;
    }
    let chains = [
        (Chain::Forward, forward(site)),
        (Chain::Input, input(site)),
        (Chain::Output, output(site)),
        (Chain::Mss, mss(site)),
        (Chain::Prerouting, names::prerouting(site)),
        (Chain::Postrouting, postrouting(site)),
        (Chain::Marks, [marks::incoming(site), arrivals::rules(site)].concat()),
        (Chain::OwnMarks, marks::outgoing(site).into_iter().chain(ntp::marks(site)).collect()),
        (Chain::Leaving, [ways::rules(site), marks::leaving(site)].concat()),
    ];
    let chains: SortedMap<Chain, Vec<Rule>> =
        chains.into_iter().filter(|(_, rules)| !rules.is_empty()).collect();
    let used: SortedSet<&SetName> =
        chains.values().flatten().flat_map(|rule| &rule.conditions).filter_map(Condition::set).collect();
    let sets = sets(site).into_iter().filter(|(name, _)| used.contains(name)).collect();
    Some(Firewall { sets, chains })
}

/// All sets that rules may look at, without empty ones: no rule looks at those.
fn sets(site: &Site) -> SortedMap<SetName, Set> {
    let mut sets = SortedMap::new();
    let mut add_interfaces = |name: &str, members: SortedSet<IfName>| {
        if !members.is_empty() {
            sets.insert(SetName(name.to_owned()), Set::Interfaces(members));
        }
    };
    add_interfaces("tunnels", site.tunnels.keys().cloned().collect());
    add_interfaces("providers", site.providers().cloned().collect());
    for (mtu, tunnels) in by_mtu(site) {
        add_interfaces(&mtu_set(mtu), tunnels);
    }
    add_interfaces(ENTRANCES, entrances(site));
    add_interfaces("guests", guest_tunnels(site));
    add_interfaces(strays::PARTLY, strays::partly(site));
    let paths = paths(site);
    if !paths.is_empty() {
        sets.insert(SetName("paths".to_owned()), Set::Paths(paths));
    }
    let mut add_networks = |name: &str, members: SortedSet<Cidr>| {
        if !members.is_empty() {
            sets.insert(SetName(name.to_owned()), Set::Networks(Family::V4, members));
        }
    };
    add_networks("inside", inside(site));
    add_networks("known", disjoint(Family::V4, site.lan.iter().copied().chain([site.subnet])));
    add_networks("private", private(site));
    add_networks(RESOLVERS, resolvers(site));
    add_networks(OWN, site.own.iter().copied().map(Cidr::host).collect());
    sets.extend(entering::sets(site));
    sets.extend(marks::sets(site));
    sets.extend(router_access::sets(site));
    sets.extend(inbound::sets(site));
    sets.extend(arrivals::sets(site));
    sets.extend(ways::sets(site));
    sets
}

/// Interfaces all of whose traffic enters a portal.
fn entrances(site: &Site) -> SortedSet<IfName> {
    let whole = |portal: &&Portal| portal.takes_all();
    site.portals.iter().filter(whole).filter_map(Portal::entrance_interface).cloned().collect()
}

/// Ways from such an interface to its exit.
fn paths(site: &Site) -> SortedSet<(IfName, IfName)> {
    let whole = |portal: &&Portal| portal.takes_all();
    let path = |portal: &Portal| {
        Some((portal.entrance_interface()?.clone(), exit_interface(site, &portal.exit)?.clone()))
    };
    site.portals.iter().filter(whole).filter_map(path).collect()
}

/// Where traffic leaves this host that leaves at an exit.
pub(super) fn exit_interface<'a>(site: &'a Site, exit: &'a Exit) -> Option<&'a IfName> {
    match exit {
        Exit::Tunnel { interface, .. } => Some(interface),
        Exit::Direct => site.uplink_interface(),
        Exit::Nowhere => None,
    }
}

/// Tunnels all of whose peers use this site as an exit.
fn guest_tunnels(site: &Site) -> SortedSet<IfName> {
    let all_exit_here = |tunnel: &crate::site::Tunnel| tunnel.ends().all(|(_, peer)| peer.exits_here);
    site.tunnels.iter().filter(|(_, tunnel)| all_exit_here(tunnel)).map(|(name, _)| name.clone()).collect()
}

/// Sources that leave by this site's uplink under its address.
fn inside(site: &Site) -> SortedSet<Cidr> {
    let of_guests =
        site.peers().filter(|(_, _, peer)| peer.exits_here).flat_map(|(_, _, peer)| peer.networks.clone());
    disjoint(Family::V4, of_guests.chain([site.subnet]))
}

/// What is no internet: a guest's traffic must not reach the exit's own computers, wherever they are.
fn private(site: &Site) -> SortedSet<Cidr> {
    disjoint(Family::V4, site.uplink_networks.iter().chain(&site.local).copied().chain(special_purpose()))
}

/// Addresses of resolvers whose questions must not leave by the own uplink.
pub(super) fn resolvers(site: &Site) -> SortedSet<Cidr> {
    let elsewhere = site.portals.iter().filter(|portal| portal.exit != Exit::Direct);
    elsewhere.filter_map(Portal::resolver).map(Cidr::host).collect()
}

/// The networks of one family in a list, without those that another one covers.
pub(super) fn disjoint(family: Family, networks: impl Iterator<Item = Cidr>) -> SortedSet<Cidr> {
    let mut all: SortedSet<Cidr> = networks.filter(|network| network.family() == family).collect();
    // In order of address and then of length, a network stands right behind the one that covers it and others like it.
    let mut last: Option<Cidr> = None;
    all.retain(|network| {
        let covered = last.is_some_and(|outer| outer.covers(*network));
        if !covered {
            last = Some(*network);
        }
        !covered
    });
    all
}

fn forward(site: &Site) -> Vec<Rule> {
    let mut rules = Vec::new();
    if !site.tunnels.is_empty() {
        rules.push(rule([Outgoing(tunnels()), DHCP], Drop));
        rules.push(rule([Incoming(tunnels()), DHCP], Drop));
    }
    rules.extend(inbound::forward(site));
    // Single devices come before the whole interface that they are behind.
    let (interfaces, devices): (Vec<&Portal>, Vec<&Portal>) =
        site.portals.iter().partition(|portal| portal.entrance_interface().is_some());
    rules.extend(devices.into_iter().chain(interfaces).flat_map(|portal| entering::forward(site, portal)));
    let entrances = in_set(ENTRANCES);
    if !self::entrances(site).is_empty() {
        rules.push(rule([Incoming(entrances.clone()), Of(Family::V6)], Reject));
        if !paths(site).is_empty() {
            rules.push(rule([Path(SetName("paths".to_owned()))], Accept));
        }
        rules.push(rule([Incoming(entrances)], Reject));
    }
    rules.extend(phones::forward(site));
    if !site.tunnels.is_empty() {
        rules.extend(tunnel_forward(site));
    }
    rules.extend(strays::forward(site));
    rules
}

/// Out of a tunnel: answers, what `lan` shares, and for guests the internet; nothing else.
fn tunnel_forward(site: &Site) -> Vec<Rule> {
    let leaving = site.uplink_interface().map(|uplink| Outgoing(Interfaces::One(uplink.clone())));
    // While a portal's interface is gone, the way to the internet is the only one that is left for answers to those behind it.
    let stray = leaving
        .iter()
        .map(|leaving| rule([Incoming(tunnels()), leaving.clone(), entering::to_network()], Drop));
    let mut rules: Vec<Rule> = stray.chain(from_tunnels(site)).collect();
    if let Some(leaving) = leaving {
        let guests = guest_tunnels(site);
        let mut accept = |coming: Vec<Condition>| {
            let private = Destination(networks_in("private"));
            rules.push(rule(coming.iter().cloned().chain([leaving.clone(), private]), Reject));
            rules.push(rule(coming.into_iter().chain([leaving.clone()]), Accept));
        };
        if !guests.is_empty() {
            accept(vec![Incoming(in_set("guests"))]);
        }
        // On an interface shared with peers that are linked for access only, a guest is told by its source, which
        // WireGuard's allowed IPs vouch for.
        for (interface, _, peer) in
            site.peers().filter(|(interface, _, peer)| peer.exits_here && !guests.contains(interface))
        {
            for network in &peer.networks {
                accept(vec![Incoming(Interfaces::One(interface.clone())), Source(Networks::One(*network))]);
            }
        }
    }
    rules.extend(refuse_the_rest());
    rules
}

fn input(site: &Site) -> Vec<Rule> {
    let mut rules = names::input(site);
    rules.extend(router_access::input(site));
    if site.tunnels.is_empty() {
        return rules;
    }
    rules.push(rule([Incoming(tunnels()), DHCP], Drop));
    rules.extend(from_tunnels(site));
    // Pings of the tunnel address tell whether a link works.
    rules.push(rule([Incoming(tunnels()), Icmp(Family::V4)], Accept));
    rules.extend(refuse_the_rest());
    rules
}

/// Our sites are told that they were refused. The internet is not: the answer to a straggler of a portal's connection would leave by the
/// own uplink, and give this site's address away.
fn refuse_the_rest() -> [Rule; 2] {
    [rule([Incoming(tunnels()), Source(networks_in("inside"))], Reject), rule([Incoming(tunnels())], Drop)]
}

/// What both this host and its computers take from a tunnel.
fn from_tunnels(site: &Site) -> Vec<Rule> {
    let shared =
        site.lan.iter().map(|lan| rule([Incoming(tunnels()), Destination(Networks::One(*lan))], Accept));
    let answers = rule([Incoming(tunnels()), Replying, Established], Accept);
    // A provider is a stranger: whatever else comes from there is not for us.
    let strangers = site.providers().next().map(|_| rule([Incoming(in_set("providers"))], Drop));
    [answers].into_iter().chain(strangers).chain(shared).collect()
}

fn output(site: &Site) -> Vec<Rule> {
    let mut rules = Vec::new();
    if !site.tunnels.is_empty() {
        rules.push(rule([Outgoing(tunnels()), DHCP], Drop));
    }
    if !resolvers(site).is_empty() {
        // In the portals' own LANs a server of DHCP speaks first, too.
        let elsewhere = arrivals::inner_sets(site).map(|set| NotOutgoing(in_set(set)));
        rules.push(rule(elsewhere.chain([Source(networks_in(RESOLVERS)), Opening]), Reject));
    }
    let own =
        site.portals.iter().find(|portal| portal.entrance == Entrance::Own && portal.exit != Exit::Direct);
    rules.extend(own.into_iter().flat_map(|portal| own_output(site, portal)));
    rules
}

/// Connections that this router opens must leave by a tunnel, whatever became of the policy rules and
/// whatever uplink there is; answers to those who reached us elsewhere may go back there.
fn own_output(site: &Site, portal: &Portal) -> Vec<Rule> {
    let kept: SortedSet<Cidr> = routing::own_elsewhere(site, portal).collect();
    let mut rules: Vec<Rule> =
        arrivals::inner_sets(site).map(|set| rule([Outgoing(in_set(set))], Accept)).collect();
    rules.push(rule([DHCP], Accept));
    rules.extend(kept.into_iter().map(|network| rule([Destination(Networks::One(network))], Accept)));
    rules.extend(ntp::passes(site));
    // What got a mark is routed once more, which this hook does not see: the last one does.
    let opening: Vec<Condition> =
        [Opening, NotMarked(TUNNEL_MARK)].into_iter().chain(portal.mark.map(NotMarked)).collect();
    for destination in entering::destinations(portal) {
        let to = |port| opening.iter().cloned().chain(destination.clone()).chain(port);
        rules.extend(entering::ports(portal).into_iter().map(|port| rule(to(port), Reject)));
    }
    rules
}

/// Both ways, on both sites, whatever is done to ICMP: one direction only leaves big uploads hanging.
fn mss(site: &Site) -> Vec<Rule> {
    if site.tunnels.is_empty() {
        return Vec::new();
    }
    let groups = by_mtu(site);
    let clamps = |(mtu, interfaces): (u32, Interfaces)| {
        let largest = u16::try_from(mtu - HEADERS).expect("validated: an MTU has 16 bits");
        let clamp = |direction| rule([direction, Of(Family::V4), TcpSyn], ClampMss(largest));
        [clamp(Outgoing(interfaces.clone())), clamp(Incoming(interfaces))]
    };
    match groups.keys().copied().collect::<Vec<_>>().as_slice() {
        [mtu] => clamps((*mtu, tunnels())).into(),
        several => several.iter().flat_map(|mtu| clamps((*mtu, in_set(&mtu_set(*mtu))))).collect(),
    }
}

/// The tunnels by what fits into them.
fn by_mtu(site: &Site) -> SortedMap<u32, SortedSet<IfName>> {
    let mut groups = SortedMap::<u32, SortedSet<IfName>>::new();
    for (interface, tunnel) in &site.tunnels {
        groups.get_or_default(site.mtu_of(tunnel)).insert(interface.clone());
    }
    groups
}

fn mtu_set(mtu: u32) -> String {
    format!("mtu-{mtu}")
}

fn postrouting(site: &Site) -> Vec<Rule> {
    let mut rules = Vec::new();
    if let Some(uplink) = site.uplink_interface() {
        let leaving = Outgoing(Interfaces::One(uplink.clone()));
        rules.push(rule([leaving, Source(networks_in("inside"))], Masquerade));
    }
    for (interface, tunnel) in &site.tunnels {
        rules.extend(tunnel.provider.iter().flat_map(|own| sources(interface, own)));
    }
    if site.providers().next().is_some() {
        rules.push(rule([Outgoing(in_set("providers"))], Masquerade));
    }
    if !site.tunnels.is_empty() {
        // The other end knows the way back only to the network's subnet and to what we share.
        rules.push(rule([Outgoing(tunnels()), NotSource(networks_in("known"))], Masquerade));
    }
    rules
}

/// Who this host sends as to a provider that gave it several addresses: left to itself, the kernel would masquerade by
/// the order in which it got them.
fn sources(interface: &IfName, own: &Provider) -> Vec<Rule> {
    let [first, _, ..] = own.addresses.as_slice() else { return Vec::new() };
    let send_as = |to: Condition, source| {
        let IpAddr::V4(source) = source else { return None };
        Some(rule([Outgoing(Interfaces::One(interface.clone())), to], SendAs(source)))
    };
    let mut within = Vec::from_iter(own.sources());
    // The narrowest first.
    within.sort_by_key(|(network, _)| Reverse(network.length()));
    let within = within.into_iter().map(|(network, source)| (Destination(Networks::One(network)), source));
    within.chain([(Of(Family::V4), first.address)]).filter_map(|(to, source)| send_as(to, source)).collect()
}

pub(super) fn rule(conditions: impl IntoIterator<Item = Condition>, action: Action) -> Rule {
    in_order(conditions.into_iter().collect(), action)
}

/// Sorting is a kilobyte of code, which each kind of list would have for itself.
fn in_order(mut conditions: Vec<Condition>, action: Action) -> Rule {
    // A device is asked for last.
    conditions.sort_by_key(|condition| matches!(condition, Condition::Device(_)));
    Rule { conditions, action }
}

fn tunnels() -> Interfaces {
    in_set("tunnels")
}

pub(super) fn in_set(name: &str) -> Interfaces {
    Interfaces::In(SetName(name.to_owned()))
}

pub(super) fn networks_in(name: &str) -> Networks {
    Networks::In(Family::V4, SetName(name.to_owned()))
}
