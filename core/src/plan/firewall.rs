//! Second layer of protection: the firewall refuses traffic that must not pass, even while another program
//! has flushed our policy rules and routes. This file also has the rules for traffic that comes out of a
//! tunnel.

use std::slice;

use crate::base::net::{Cidr, Family, IfName};
use crate::base::sorted::SortedSet;
use crate::firewall::{
    Action::{Accept, Drop, Reject},
    Chain,
    Condition::{
        self, Established, Family as Of, FromOriginator, FromResponder, Icmp, InterfacePair, NotIncoming,
        NotMarked, NotOutgoing, Redirected, UdpPort,
    },
    Firewall, Set, SetName,
};
use crate::plan::sets::{
    ENTRANCES, INSIDE, OWN, PROVIDERS, Part, RESOLVERS, Rules, Sets, TUNNELS, add, add_interfaces,
    add_networks, add_of, add_set, coming, coming_in, compare_single, families_of, from, from_in, in_chains,
    in_set, leaving, leaving_in, private, resolvers, to, to_in,
};
use crate::plan::{
    chains, classifier, connection_marks, devices, dns, exempt, fastpath, home_names, inbound, ingress,
    marks, mss, nat, ntp, pages, phones, relayed_links, relays, router_access, strays, translation,
};
use crate::site::{Entrance, Exit, Portal, Site, SiteTunnel};
use crate::state::TUNNEL_MARK;

/// Set of the ways from interfaces all of whose traffic enters a portal, to the exits of those portals.
const PATHS: &str = "paths";
/// Set of the ways of packets that stay on a bridge with devices of portals.
const BRIDGED: &str = "bridged";
/// Set of tunnels all of whose peers use this site as an exit.
const GUESTS: &str = "guests";
/// Set of networks that are not the internet.
const PRIVATE: &str = "private";
/// Set of this site's addresses in its tunnels.
const ENDS: &str = "own-ends";

/// Adds the rules that drop DHCP among `crossing` packets: it never crosses a tunnel. There is one rule
/// for each family that the tunnels carry, on the UDP ports of server and client (RFC 2131 § 4.1, RFC 8415 §
/// 7.2).
fn dhcp(rules: &mut Rules, site: &Site, crossing: &Condition) {
    let ports = site.carried().map(|family| match family {
        Family::V4 => UdpPort(67, 68),
        Family::V6 => UdpPort(546, 547),
    });
    for ports in ports {
        add(rules, [ports, crossing.clone()], Drop);
    }
}

/// Parts of each chain, in the order in which packets meet them.
const CHAINS: &[(Chain, &[Part])] = &[
    (
        Chain::Forward,
        &[mss::rules, fastpath::rules, connection_marks::going_on, connection_marks::answers, forward],
    ),
    (Chain::Input, &[input]),
    (Chain::Output, &[output]),
    (Chain::RelayedTo, &[relayed_links::destinations]),
    (Chain::RelayedFrom, &[relayed_links::sources]),
    (Chain::Prerouting, &[dns::prerouting, pages::prerouting, translation::prerouting]),
    (Chain::Postrouting, &[chains::source_nat, nat::rules]),
    (Chain::Marks, &[marks::incoming, ingress::rules]),
    (Chain::OwnMarks, &[marks::outgoing, ntp::marks]),
    (Chain::Leaving, &[translation::leaving, marks::leaving, dhcp_leaving, connection_marks::rules]),
];

/// Functions that add the sets that rules may look into. Sets of this file that would be empty are left out:
/// no rule looks into those.
const SETS: &[fn(&mut Sets, &Site)] = &[
    interface_sets,
    network_sets,
    classifier::sets,
    devices::sets,
    marks::sets,
    chains::sets,
    relays::sets,
    router_access::sets,
    pages::sets,
    inbound::sets,
    ingress::sets,
    connection_marks::sets,
    translation::sets,
    phones::sets,
    strays::sets,
    home_names::sets,
    mss::sets,
];

/// Returns the whole table; `None` for a site without tunnels and portals that relays no links.
pub(super) fn plan(site: &Site) -> Option<Firewall> {
    if site.tunnels.is_empty() && site.portals.is_empty() && site.nat.relayed.is_empty() {
        return None;
    }
    let mut chains = in_chains(CHAINS, site);
    let mut sets = Sets::new();
    for part in SETS {
        part(&mut sets, site);
    }
    for (chain, rules) in chains.iter_mut() {
        // Warnings before a lock-out look for the set of visitors, and few packets go to this host itself.
        if *chain != Chain::Input {
            compare_single(rules, &sets);
        }
    }
    let used: SortedSet<&SetName> =
        chains.values().flatten().flat_map(|rule| &rule.conditions).filter_map(Condition::set).collect();
    sets.retain(|name, _| used.contains(name));
    Some(Firewall { sets, chains, flows: fastpath::devices(site) })
}

fn interface_sets(sets: &mut Sets, site: &Site) {
    add_interfaces(sets, TUNNELS, site.tunnels.keys().cloned().collect());
    add_interfaces(sets, PROVIDERS, site.providers().cloned().collect());
    add_interfaces(sets, ENTRANCES, entrances(site));
    add_interfaces(sets, GUESTS, guest_tunnels(site));
    add_set(sets, SetName(PATHS.to_owned()), Set::InterfacePairs(paths(site)));
    add_set(sets, SetName(BRIDGED.to_owned()), Set::InterfacePairs(bridged(site)));
}

fn network_sets(sets: &mut Sets, site: &Site) {
    add_networks(sets, site, INSIDE, &nat::inside(site));
    add_networks(sets, site, nat::KNOWN, &nat::known(site));
    add_networks(sets, site, PRIVATE, &private(site));
    add_networks(sets, site, RESOLVERS, &resolvers(site));
    let own: Vec<Cidr> = site.host.own_addresses.iter().copied().map(Cidr::host).collect();
    add_networks(sets, site, OWN, &own);
    add_networks(sets, site, ENDS, &ingress::ends(site));
}

fn entrances(site: &Site) -> SortedSet<IfName> {
    let whole = |portal: &&Portal| portal.takes_all();
    site.portals.iter().filter(whole).filter_map(Portal::entrance_interface).cloned().collect()
}

fn paths(site: &Site) -> SortedSet<(IfName, IfName)> {
    let mut paths = SortedSet::new();
    for portal in site.portals.iter().filter(|portal| portal.takes_all()) {
        let Some(entrance) = portal.entrance_interface() else { continue };
        for exit in site.exit_interfaces(&portal.exit) {
            paths.insert((entrance.clone(), exit.clone()));
        }
    }
    paths
}

/// Returns the ways of packets that come in on a bridge with devices of portals, and leave on it. They pass
/// the rules where the kernel filters bridged packets as it does routed ones
/// (`net.bridge.bridge-nf-call-iptables`). A bridge that is the uplink is left out, and so is one that could
/// be it while no uplink is known: packets to the internet would take such a way as well.
pub fn bridged(site: &Site) -> SortedSet<(IfName, IfName)> {
    let mut ways = SortedSet::new();
    let knows_uplink = site.uplinks().next().is_some();
    for (bridge, networks) in &site.host.bridges {
        let is_there = |source: &Cidr| networks.iter().any(|network| network.overlaps(*source));
        let has_devices = site.portals.iter().any(|portal| match &portal.entrance {
            Entrance::From(sources) => knows_uplink && sources.iter().any(is_there),
            Entrance::Mac { .. } => knows_uplink && !networks.is_empty(),
            entrance => entrance.interface() == Some(bridge),
        });
        let is_uplink =
            site.host.uplink6.as_ref() == Some(bridge) || site.uplinks().any(|uplink| uplink == bridge);
        if has_devices && !is_uplink {
            ways.insert((bridge.clone(), bridge.clone()));
        }
    }
    ways
}

fn guest_tunnels(site: &Site) -> SortedSet<IfName> {
    let all_exit_here = |tunnel: &SiteTunnel| tunnel.ends().all(|(_, peer)| peer.exits_here);
    site.tunnels.iter().filter(|(_, tunnel)| all_exit_here(tunnel)).map(|(name, _)| name.clone()).collect()
}

fn forward(rules: &mut Rules, site: &Site) {
    if !bridged(site).is_empty() {
        add(rules, [InterfacePair(SetName(BRIDGED.to_owned()))], Accept);
    }
    inbound::forward(rules, site);
    // Single devices come before the whole interface that they are behind.
    let together = devices::places(site);
    for (place, portal) in site.portals.iter().enumerate() {
        if place == together.start && !together.is_empty() {
            devices::forward(rules, site);
        } else if classifier::has_devices(portal) && !together.contains(&place) {
            classifier::forward(rules, site, portal);
        }
    }
    strays::forward(rules, site);
    for portal in site.portals.iter().filter(|portal| portal.entrance_interface().is_some()) {
        classifier::forward(rules, site, portal);
    }
    if !entrances(site).is_empty() {
        if !site.carries_ipv6() {
            add(rules, [Of(Family::V6), coming_in(ENTRANCES)], Reject);
        }
        if !paths(site).is_empty() {
            add(rules, [InterfacePair(SetName(PATHS.to_owned()))], Accept);
        }
        add(rules, [coming_in(ENTRANCES)], Reject);
    }
    if !site.tunnels.is_empty() {
        // All rules that follow are about packets out of tunnels. Most packets do not come from there.
        add(rules, [NotIncoming(in_set(TUNNELS))], Accept);
        dhcp(rules, site, &coming_in(TUNNELS));
        phones::forward(rules, site);
        relays::forward(rules, site);
        tunnel_forward(rules, site);
    }
}

/// Adds the rules for forwarded traffic that comes out of a tunnel. Accepted are answers, traffic to
/// networks that `lan` shares, and traffic of guests to the internet.
fn tunnel_forward(rules: &mut Rules, site: &Site) {
    strays::answers(rules, site);
    from_tunnels(rules, site);
    for uplink in site.uplinks() {
        to_internet(rules, site, &leaving(uplink));
    }
    refuse_the_rest(rules, site);
}

/// Adds the rules for traffic of guests, which leaves to the internet but not to the exit's own computers.
fn to_internet(rules: &mut Rules, site: &Site, leaving: &Condition) {
    let guests = guest_tunnels(site);
    let mut accept = |guest: Vec<Condition>, families: &[Family]| {
        for family in families {
            let private = to_in(*family, PRIVATE);
            add_of(rules, &[&guest, &[leaving.clone(), private]], Reject);
        }
        add_of(rules, &[&guest, slice::from_ref(leaving)], Accept);
    };
    if !guests.is_empty() {
        accept(vec![coming_in(GUESTS)], &site.carried().collect::<Vec<_>>());
    }
    // On an interface shared with peers that are linked for access only, the source identifies a guest.
    // WireGuard's allowed IPs vouch for the source.
    for (interface, _, peer) in
        site.peers().filter(|(interface, _, peer)| peer.exits_here && !guests.contains(interface))
    {
        for network in &peer.networks {
            accept(vec![coming(interface), from(*network)], &[network.family()]);
        }
    }
}

fn input(rules: &mut Rules, site: &Site) {
    // Neighbours of an uplink whose network this site shares may reach the LANs of portals.
    pages::input(rules, site);
    // The tunnels' own packets come in on the uplink.
    let is_early = leads_to_no_devices(site);
    if is_early {
        through_uplinks(rules, site);
    }
    dns::input(rules, site);
    router_access::input(rules, site);
    if site.tunnels.is_empty() {
        return;
    }
    if !is_early {
        through_uplinks(rules, site);
    }
    dhcp(rules, site, &coming_in(TUNNELS));
    from_tunnels(rules, site);
    // Pings of the tunnel address tell whether a link works.
    for family in site.carried() {
        add(rules, [coming_in(TUNNELS), Icmp(family)], Accept);
    }
    home_names::input(rules, site);
    exchanged(rules, site);
    refuse_the_rest(rules, site);
}

fn through_uplinks(rules: &mut Rules, site: &Site) {
    for uplink in site.uplinks() {
        add(rules, [coming(uplink)], Accept);
    }
}

/// Reports whether no device of a portal can send packets that come in on an uplink. Devices that the file
/// names may be anywhere, also behind another router on the uplink's link.
fn leads_to_no_devices(site: &Site) -> bool {
    let is_apart = |portal: &Portal| {
        let entrance = portal.entrance_interface();
        !classifier::has_devices(portal) && site.uplinks().all(|uplink| entrance != Some(uplink))
    };
    site.portals.iter().all(is_apart)
}

/// Adds the rule that lets linked sites exchange the network file with this one, and ask it questions.
fn exchanged(rules: &mut Rules, site: &Site) {
    if let Some(exchange) = &site.exchange {
        let port = UdpPort(exchange.port, exchange.port);
        add(rules, [coming_in(TUNNELS), to(Cidr::host(site.address)), port], Accept);
    }
}

/// Adds the last rules for traffic out of a tunnel. Our sites are told about the refusal, but the internet
/// is not: the answer to a late packet of a portal's connection would leave via the site's own uplink, and
/// reveal the site's address.
fn refuse_the_rest(rules: &mut Rules, site: &Site) {
    for family in site.carried() {
        add(rules, [coming_in(TUNNELS), from_in(family, INSIDE)], Reject);
    }
    add(rules, [coming_in(TUNNELS)], Drop);
}

/// Adds the rules for traffic out of a tunnel that both this host and the computers behind it accept.
fn from_tunnels(rules: &mut Rules, site: &Site) {
    add(rules, [coming_in(TUNNELS), FromResponder, Established], Accept);
    if site.providers().next().is_some() {
        // A provider is a stranger: apart from answers, no traffic from there is for us.
        add(rules, [coming_in(PROVIDERS)], Drop);
    }
    translation::untranslated(rules, site);
    for lan in &site.lan {
        // Traffic to a translated network must have come through the translation.
        let translated = lan.seen_as.map(|_| Redirected);
        add_of(rules, &[&[coming_in(TUNNELS), to(lan.network)], translated.as_slice()], Accept);
    }
}

/// Adds the rules that keep DHCP out of tunnels.
fn dhcp_leaving(rules: &mut Rules, site: &Site) {
    if !site.tunnels.is_empty() {
        dhcp(rules, site, &leaving_in(TUNNELS));
    }
}

fn output(rules: &mut Rules, site: &Site) {
    let elsewhere: Vec<_> = ingress::inner_sets(site).iter().map(|set| NotOutgoing(in_set(set))).collect();
    // Without its route into the tunnel, even an answer to a peer would leave via the uplink. A packet with
    // the mark got its source before its last route.
    for family in families_of(site, &ingress::ends(site)) {
        let from_tunnels = [NotMarked(TUNNEL_MARK), from_in(family, ENDS)];
        add_of(rules, &[&from_tunnels, &elsewhere], Drop);
    }
    for family in families_of(site, &resolvers(site)) {
        // Portals' own LANs are exempt too: there, a DHCP server sends the first packet of a connection.
        let asking = [from_in(family, RESOLVERS), FromOriginator];
        add_of(rules, &[&asking, &elsewhere], Reject);
    }
    let own =
        site.portals.iter().find(|portal| portal.entrance == Entrance::Own && portal.exit != Exit::Direct);
    if let Some(portal) = own {
        own_output(rules, site, portal);
    }
}

/// Adds the rules for connections that this router opens: they must leave via a tunnel, even without the
/// policy rules and on any uplink. Answers to hosts that reached this router another way may return that
/// way.
fn own_output(rules: &mut Rules, site: &Site, portal: &Portal) {
    let exempt: SortedSet<Cidr> = exempt::for_router_elsewhere(site, portal).into_iter().collect();
    for set in ingress::inner_sets(site) {
        add(rules, [leaving_in(set)], Accept);
    }
    add(rules, [UdpPort(67, 68)], Accept);
    for network in exempt {
        add(rules, [to(network)], Accept);
    }
    ntp::passes(rules, site);
    // Packets that got a mark are routed once more. This hook does not see their new route, but the last hook
    // does.
    let opening = [FromOriginator, NotMarked(TUNNEL_MARK)];
    let unmarked = portal.mark().map(NotMarked);
    for destination in classifier::all_destinations(portal) {
        for port in classifier::ports(portal) {
            let parts = [&opening, unmarked.as_slice(), destination.as_slice(), port.as_slice()];
            add_of(rules, &parts, Reject);
        }
    }
}
