//! Policy rules and routes: which way what enters a portal goes.
//!
//! A portal's packets are told by where they come in (`iif`) or whom they are from, not by marks: the reverse-path check
//! of an answer makes the same lookup and comes to the same table, so strict `rp_filter` is content.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::base::net::{Cidr, Family, IfName, InterfaceAddress, Priority, Table};
use crate::base::sorted::SortedSet;
use crate::plan::{inbound, marks, ntp, phones};
use crate::site::{Entrance, Exit, Portal, Provider, Site, TABLE_BASE, Tunnel, Vlan, families};
use crate::state::{
    CLOSED_TABLE, LAST_METRIC, Reach, Route, Rule, RuleAction, Selector, TUNNEL_MARK, Target,
};

/// The tunnels' own packets skip everything of ours.
pub(super) const MARKED: Priority = Priority(110);
/// Destinations that a portal leaves alone skip everything of ours.
pub(super) const ALLOWED: Priority = Priority(111);
/// Single devices come before the whole interface that they are behind.
pub(super) const DEVICES: Priority = Priority(112);
/// Whole interfaces, and this router's own traffic.
pub(super) const ENTRANCES: Priority = Priority(113);
/// What is left of a portal whose tables have no answer is refused.
const CLOSED: Priority = Priority(118);
/// Where the others skip to. It looks in a table that stays empty, so the lookup goes on with the host's own rules; a jump to
/// `main` would end there, where UniFi has no default route.
pub(super) const END: Priority = Priority(119);

/// All rules of the site; none, if it has no portal that needs one.
pub(super) fn rules(site: &Site) -> SortedSet<Rule> {
    let portals = site.portals.iter().flat_map(|portal| portal_rules(site, portal));
    let mut rules: SortedSet<Rule> = portals
        .chain(answers(site))
        .chain(phones::rules(site))
        .chain(marks::probe_rules(site))
        .chain(inbound::rules(site))
        .collect();
    let skips: SortedSet<Family> =
        rules.iter().filter(|rule| rule.action == RuleAction::Goto(END)).map(|rule| rule.family).collect();
    rules.extend(skips.into_iter().map(|family| Rule {
        priority: END,
        family,
        selector: Selector::default(),
        action: RuleAction::Lookup(Table(TABLE_BASE)),
    }));
    rules
}

/// All routes of the site: to its peers in `main`, and each exit's table.
pub(super) fn routes(site: &Site) -> SortedSet<Route> {
    let to_peers = site.peers().flat_map(|(interface, _, peer)| {
        peer.networks.iter().flat_map(|network| {
            let source = (Family::of(site.address) == network.family()).then_some(site.address);
            [open(Table::MAIN, *network, interface, source), backstop(Table::MAIN, *network)]
        })
    });
    let exits = site.tunnels.iter().flat_map(|(interface, tunnel)| to_exit(site, interface, tunnel));
    to_peers.chain(exits).chain(own_closed(site)).collect()
}

/// The route that refuses this router's own traffic where its portal's exit does not take it.
fn own_closed(site: &Site) -> Option<Route> {
    let own = site.portals.iter().find(|portal| portal.entrance == Entrance::Own && portal.mark.is_none());
    own.filter(|portal| portal.exit != Exit::Direct)?;
    Some(backstop(CLOSED_TABLE, Family::V4.everything()))
}

/// To all that may be sent there; what else enters is refused.
fn to_exit(site: &Site, interface: &IfName, tunnel: &Tunnel) -> Vec<Route> {
    let Some(table) = tunnel.table else { return Vec::new() };
    let allowed: SortedSet<Cidr> = tunnel.ends().flat_map(|(_, peer)| &peer.allowed_ips).copied().collect();
    let sources = tunnel.provider.as_ref().map(Provider::sources).unwrap_or_default();
    let is_within = |network: &Cidr| allowed.iter().any(|allowed| allowed.covers(*network));
    let narrower: Vec<Cidr> = sources.keys().copied().filter(is_within).collect();
    let ways = allowed
        .iter()
        .copied()
        .chain(narrower)
        .map(|network| open(table, network, interface, Some(site.source_in(tunnel, network))));
    ways.chain([backstop(table, Family::V4.everything())]).collect()
}

/// The route into a tunnel.
fn open(table: Table, destination: Cidr, interface: &IfName, source: Option<IpAddr>) -> Route {
    // An exit's table has nothing to say of what is on a link: a gateway that the uplink gets would be found beyond the tunnel.
    let is_neighbour = table == Table::MAIN && destination.family() == Family::V4;
    let reach = if is_neighbour { Reach::Link } else { Reach::Beyond };
    let target = Target::Device { interface: interface.clone(), source, reach };
    Route { table, destination, target, metric: 0 }
}

/// The one behind it, which refuses what would fall through while the tunnel is gone.
fn backstop(table: Table, destination: Cidr) -> Route {
    Route { table, destination, target: Target::Unreachable, metric: LAST_METRIC }
}

/// The rules of one portal: those that lead to its exit, and those around them.
pub(super) fn portal_rules(site: &Site, portal: &Portal) -> Vec<Rule> {
    // The host's own rules already lead to its uplink: to match nothing is the surest way there.
    if portal.exit == Exit::Direct {
        return Vec::new();
    }
    let table = portal.exit.table();
    let mut rules = match (portal.mark, &portal.entrance) {
        (Some(mark), _) => marks::rules(site, portal, mark),
        (
            None,
            Entrance::Interface(interface)
            | Entrance::Vlan(Vlan { interface, .. })
            | Entrance::Wifi { interface, .. },
        ) => interface_rules(site, portal, interface, table),
        (None, Entrance::From(sources)) => device_rules(site, portal, sources, table),
        (None, Entrance::Own) => own_rules(site, portal, table),
        // Devices always have a mark.
        (None, Entrance::Mac(_)) => Vec::new(),
    };
    rules.extend(portal.resolver().into_iter().flat_map(|address| resolver_rules(address, table)));
    rules
}

/// What the portal's resolver asks goes to its exit, wherever else the portal's devices may go.
fn resolver_rules(address: IpAddr, table: Option<Table>) -> Vec<Rule> {
    into(&[], &sent_from(Cidr::host(address)), DEVICES, table)
}

/// What resolvers send to our LANs and our peers is an answer to those who asked, and stays. They are all within the subnet.
fn answers(site: &Site) -> impl Iterator<Item = Rule> {
    let asks = site.portals.iter().any(|portal| portal.exit != Exit::Direct && portal.resolver().is_some());
    let kept = site.local.iter().copied().chain(of_network(site)).chain(link_scoped());
    let kept = kept.filter(move |network| asks && network.family() == Family::V4);
    kept.map(|network| skip(&sent_from(site.subnet), network))
}

/// What this host sends from there.
fn sent_from(from: Cidr) -> Selector {
    Selector { incoming: Some(sent_here()), from: Some(from), ..Selector::default() }
}

fn interface_rules(site: &Site, portal: &Portal, interface: &IfName, table: Option<Table>) -> Vec<Rule> {
    let entering = Selector { incoming: Some(interface.clone()), ..Selector::default() };
    let mut rules: Vec<Rule> = portal.except.iter().map(|network| skip(&entering, *network)).collect();
    rules.extend(into(&portal.to, &entering, ENTRANCES, table));
    if site.ipv6 && portal.to.is_empty() {
        rules.push(closed(Family::V6, entering));
    }
    rules
}

/// Devices keep what they reach by themselves: without these rules even the router's answers to them would go into the tunnel.
fn device_rules(site: &Site, portal: &Portal, sources: &SortedSet<Cidr>, table: Option<Table>) -> Vec<Rule> {
    let mut rules = Vec::new();
    for source in sources {
        let entering = Selector { from: Some(*source), ..Selector::default() };
        let kept =
            device_kept(site, portal).into_iter().filter(|network| network.family() == source.family());
        rules.extend(kept.map(|network| skip(&entering, network)));
        rules.extend(into(&portal.to, &entering, DEVICES, table));
    }
    rules
}

/// Where devices go by themselves: to their own LANs, to our sites and phones, who may ask them, and where the file says.
pub(super) fn device_kept(site: &Site, portal: &Portal) -> SortedSet<Cidr> {
    site.local.iter().chain(&portal.except).copied().chain(of_network(site)).collect()
}

/// The network's own subnet, and what its sites share besides.
pub(super) fn of_network(site: &Site) -> impl Iterator<Item = Cidr> {
    let networks = site.peers().flat_map(|(_, _, peer)| peer.networks.iter().copied());
    [site.subnet].into_iter().chain(networks.filter(|network| !site.subnet.covers(*network)))
}

/// `iif lo` is what this host sends, and the reverse-path check of what is addressed to it. Kept out: the tunnels' own packets;
/// answers to those who reached us by the uplink's address; our LANs, our peers, and what never leaves a link.
fn own_rules(site: &Site, portal: &Portal, table: Option<Table>) -> Vec<Rule> {
    let sent_here = Selector { incoming: Some(sent_here()), ..Selector::default() };
    let mut rules = Vec::new();
    for family in families(site) {
        let marked = Selector { mark: Some(TUNNEL_MARK), ..Selector::default() };
        rules.push(Rule { priority: MARKED, family, selector: marked, action: RuleAction::Goto(END) });
    }
    let speaks = |network: &Cidr| site.ipv6 || network.family() == Family::V4;
    for address in site.uplink.iter().flat_map(|uplink| &uplink.addresses) {
        let own = Cidr::host(address.address);
        if speaks(&own) && !is_link_local(address.address) {
            rules.push(Rule {
                priority: ALLOWED,
                family: own.family(),
                selector: Selector { from: Some(own), ..sent_here.clone() },
                action: RuleAction::Goto(END),
            });
        }
    }
    rules.extend(own_kept(site, portal).into_iter().filter(speaks).map(|network| skip(&sent_here, network)));
    rules.extend(ntp::rules(site));
    rules.extend(into(&portal.to, &sent_here, ENTRANCES, table));
    if site.ipv6 && portal.to.is_empty() {
        rules.push(closed(Family::V6, sent_here));
    }
    rules
}

/// What policy rules say is the interface that this router's own traffic comes in on.
pub(super) fn sent_here() -> IfName {
    "lo".parse().expect("a valid name")
}

/// Destinations of this router's own traffic that never enter its portal. The LANs of portals are among them, or under strict `rp_filter`
/// nobody there would get an answer: not even to who asks for the router's hardware address.
pub(super) fn own_kept(site: &Site, portal: &Portal) -> SortedSet<Cidr> {
    own_elsewhere(site, portal).chain(portal_lans(site)).collect()
}

/// Kept networks that are not behind portals.
pub(super) fn own_elsewhere(site: &Site, portal: &Portal) -> impl Iterator<Item = Cidr> {
    kept(site).chain(portal.except.iter().copied())
}

/// The LANs that portals bring with them.
pub(super) fn portal_lans(site: &Site) -> impl Iterator<Item = Cidr> {
    site.portals.iter().filter_map(|portal| portal.address).map(InterfaceAddress::network)
}

/// Where none of this router's own traffic needs an exit to go: our LANs, our peers, and what never leaves a link.
fn kept(site: &Site) -> impl Iterator<Item = Cidr> {
    let peers = site.peers().flat_map(|(_, _, peer)| peer.networks.iter().copied());
    site.local.iter().copied().chain(peers).chain(link_scoped())
}

/// Destinations that no router passes on: multicast, limited broadcast, link-local.
pub(super) fn link_scoped() -> [Cidr; 5] {
    let v4 = |a, b, length| Cidr::new(IpAddr::V4(Ipv4Addr::new(a, b, 0, 0)), length).expect("a valid length");
    let v6 = |first, length| {
        Cidr::new(IpAddr::V6(Ipv6Addr::new(first, 0, 0, 0, 0, 0, 0, 0)), length).expect("a valid length")
    };
    [v4(224, 0, 4), Cidr::host(Ipv4Addr::BROADCAST.into()), v4(169, 254, 16), v6(0xfe80, 10), v6(0xff00, 8)]
}

fn is_link_local(address: IpAddr) -> bool {
    link_scoped().iter().any(|network| network.contains(address))
}

/// The rules that lead into the exit's table, if there is an exit, and the ones that close behind them.
pub(super) fn into(to: &[Cidr], entering: &Selector, priority: Priority, table: Option<Table>) -> Vec<Rule> {
    let destinations: Vec<Option<Cidr>> =
        if to.is_empty() { vec![None] } else { to.iter().copied().map(Some).collect() };
    let both = |to| {
        let selector = Selector { to, ..entering.clone() };
        let lookup = table.map(|table| Rule {
            priority,
            family: Family::V4,
            selector: selector.clone(),
            action: RuleAction::Lookup(table),
        });
        lookup.into_iter().chain([closed(Family::V4, selector)])
    };
    destinations.into_iter().flat_map(both).collect()
}

pub(super) fn skip(entering: &Selector, network: Cidr) -> Rule {
    Rule {
        priority: ALLOWED,
        family: network.family(),
        selector: Selector { to: Some(network), ..entering.clone() },
        action: RuleAction::Goto(END),
    }
}

pub(super) fn closed(family: Family, selector: Selector) -> Rule {
    // The kernel asks these rules for the next hop of a new route, too: a table can leave that to the host's own, a refusal cannot.
    let Selector { incoming, from, mark, .. } = &selector;
    let is_asked = family == Family::V4 && from.is_none() && mark.is_none() && *incoming == Some(sent_here());
    let action = if is_asked { RuleAction::Lookup(CLOSED_TABLE) } else { RuleAction::Unreachable };
    Rule { priority: CLOSED, family, selector, action }
}
