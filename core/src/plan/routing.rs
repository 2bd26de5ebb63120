//! Policy rules and routes: the way that traffic takes which enters a portal.
//!
//! The rules match a portal's packets by the interface where they come in (`iif`) or by their source, not by
//! marks: the reverse-path check of an answer does the same lookup and reaches the same table, so strict
//! `rp_filter` works.

use std::net::IpAddr;

use crate::base::net::{Cidr, Family, IfName, Table};
use crate::base::sorted::SortedSet;
use crate::plan::exempt::{self, link_scoped};
use crate::plan::priorities::{ALLOWED, DEVICES, END, ENTRANCES, MARKED, into, loopback, skip};
use crate::plan::{chains, inbound, marks, ntp, phones, relays, translation};
use crate::site::{
    Chain, Entrance, Exit, PortFilter, Portal, ProviderSettings, Site, SiteTunnel, TABLE_BASE, Vlan, families,
};
use crate::state::{
    CLOSED_TABLE, LAST_METRIC, Reach, Route, RouteTarget, Rule, RuleAction, Selector, TUNNEL_MARK,
};

/// Returns all policy rules of the site; none if no portal needs one.
pub(super) fn rules(site: &Site) -> SortedSet<Rule> {
    let mut all = Vec::new();
    answers(&mut all, site);
    for portal in &site.portals {
        portal_rules(&mut all, site, portal, &portal.exit);
    }
    for part in [phones::rules, chains::rules, relays::rules, marks::probe_rules, inbound::rules] {
        part(&mut all, site);
    }
    merge_exemptions(&mut all, site);
    let mut rules = SortedSet::from(all);
    for family in [Family::V4, Family::V6] {
        if rules.iter().any(|rule| rule.action == RuleAction::Goto(END) && rule.family == family) {
            let action = RuleAction::Lookup(Table(TABLE_BASE));
            rules.insert(Rule { priority: END, family, selector: Selector::default(), action });
        }
    }
    rules
}

/// Replaces the rules on destinations that are exempt from all portals of devices by rules for all sources:
/// each lookup goes through all rules. Where interfaces or this router itself enter portals, or packets out
/// of tunnels are led on, the destinations are not exempt for those. Nor is a network with a resolver that
/// marked packets are sent to: the resolver is beyond the exit, and a network here may have its address.
fn merge_exemptions(rules: &mut [Rule], site: &Site) {
    let is_probe = |rule: &Rule| site.agent.probes.iter().any(|probe| rule.selector.mark == Some(probe.mark));
    let leads = |rule: &&Rule| [DEVICES, ENTRANCES].contains(&rule.priority) && !is_probe(rule);
    if !rules.iter().filter(leads).all(|rule| rule.selector.incoming.is_none()) {
        return;
    }
    let mut common = exempt::of_all_devices(site);
    for portal in site.portals.iter().filter(|portal| portal.mark().is_some()) {
        common.retain(|network| !portal.resolvers.iter().any(|resolver| network.contains(*resolver)));
    }
    for rule in rules.iter_mut().filter(|rule| rule.priority == ALLOWED) {
        let Selector { incoming, to, .. } = &rule.selector;
        if incoming.is_none() && to.is_some_and(|to| common.contains(&to)) {
            rule.selector.from = None;
        }
    }
}

/// Returns all routes of the site: to its peers in `main`, and each exit's table.
pub(super) fn routes(site: &Site) -> SortedSet<Route> {
    let mut routes = SortedSet::new();
    for (interface, _, peer) in site.peers() {
        for network in &peer.networks {
            open(&mut routes, Table::MAIN, *network, interface, site.address(network.family()));
            backstop(&mut routes, Table::MAIN, *network);
        }
    }
    for (interface, tunnel) in &site.tunnels {
        to_exit(&mut routes, site, interface, tunnel);
    }
    for chain in &site.chains {
        into_chain(&mut routes, site, chain);
    }
    own_closed(&mut routes, site);
    // A packet that missed its translation must not follow the route to the internet.
    for network in translation::seen_networks(site) {
        backstop(&mut routes, Table::MAIN, network);
    }
    routes
}

/// Adds the route that refuses this router's own traffic which its portal's exit does not take.
fn own_closed(routes: &mut SortedSet<Route>, site: &Site) {
    let own = site.portals.iter().find(|portal| portal.entrance == Entrance::Own && portal.mark().is_none());
    if own.is_some_and(|portal| portal.exit != Exit::Direct) {
        backstop(routes, CLOSED_TABLE, Family::V4.everything());
    }
}

/// Adds the routes of an exit's table: to the networks that the tunnel takes, and a route that refuses
/// everything else.
fn to_exit(routes: &mut SortedSet<Route>, site: &Site, interface: &IfName, tunnel: &SiteTunnel) {
    let Some(table) = tunnel.table else { return };
    let mut allowed = SortedSet::new();
    for (_, peer) in tunnel.ends() {
        allowed.extend(peer.allowed_ips.iter().copied());
    }
    let sources = tunnel.provider.as_ref().map(ProviderSettings::sources).unwrap_or_default();
    let is_within = |network: &&Cidr| allowed.iter().any(|allowed| allowed.covers(**network));
    let mut networks = Vec::from_iter(&allowed);
    networks.extend(sources.keys().filter(is_within));
    for network in networks.into_iter().copied() {
        open(routes, table, network, interface, site.source_in(tunnel, network));
    }
    for family in site.carried() {
        backstop(routes, table, family.everything());
    }
}

/// Adds the routes of a chain's table. This router's own packets get the address of the chain.
fn into_chain(routes: &mut SortedSet<Route>, site: &Site, chain: &Chain) {
    for family in site.carried() {
        let source = chain.address(family).or_else(|| site.address(family));
        open(routes, chain.table, family.everything(), &chain.interface, source);
        backstop(routes, chain.table, family.everything());
    }
}

/// Adds the route into a tunnel.
fn open(
    routes: &mut SortedSet<Route>,
    table: Table,
    destination: Cidr,
    interface: &IfName,
    source: Option<IpAddr>,
) {
    // Destinations in an exit's table are not on a link: otherwise the kernel would find a new gateway of the
    // uplink in the tunnel.
    let is_neighbour = table == Table::MAIN && destination.family() == Family::V4;
    let reach = if is_neighbour { Reach::Link } else { Reach::Beyond };
    let target = RouteTarget::Device { interface: interface.clone(), source, reach };
    routes.insert(Route { table, destination, target, metric: None });
}

/// Adds the route of last resort, which refuses traffic that would fall through to the next rule while the
/// tunnel is gone.
fn backstop(routes: &mut SortedSet<Route>, table: Table, destination: Cidr) {
    let target = RouteTarget::Unreachable;
    routes.insert(Route { table, destination, target, metric: Some(LAST_METRIC) });
}

/// Adds the policy rules of one portal that lead to an exit.
pub(super) fn portal_rules(rules: &mut Vec<Rule>, site: &Site, portal: &Portal, exit: &Exit) {
    // The host's own rules lead to its uplink already, so a portal that leaves directly needs no rule.
    if *exit == Exit::Direct {
        return;
    }
    let table = exit.table();
    match (&portal.entrance, &portal.ports) {
        (Entrance::Mac { mark, .. }, _) | (_, Some(PortFilter { mark, .. })) => {
            marks::rules(rules, site, portal, *mark, exit);
        }
        (
            Entrance::Interface(interface)
            | Entrance::Vlan(Vlan { interface, .. })
            | Entrance::Wifi { interface, .. },
            None,
        ) => interface_rules(rules, site, portal, interface, table),
        (Entrance::From(sources), None) => device_rules(rules, site, portal, sources, table),
        (Entrance::Own, None) => own_rules(rules, site, portal, table),
    }
    for address in portal.resolver() {
        resolver_rules(rules, site, address, table);
    }
}

/// Adds the rules that lead all queries of the portal's resolver to the exit, also those to destinations
/// that the portal exempts.
fn resolver_rules(rules: &mut Vec<Rule>, site: &Site, address: IpAddr, table: Option<Table>) {
    into(rules, site, &[], &sent_from(Cidr::host(address)), DEVICES, table);
}

/// Adds the rules that exempt packets of resolvers to our LANs and peers: they answer the clients there.
/// All resolvers have addresses in the network's subnets.
fn answers(rules: &mut Vec<Rule>, site: &Site) {
    if !site.portals.iter().any(|portal| portal.exit != Exit::Direct && portal.resolver().next().is_some()) {
        return;
    }
    let mut exempt = exempt::of_network(site);
    exempt.extend(&site.host.local_networks);
    exempt.extend(link_scoped());
    for subnet in site.subnets() {
        for network in exempt.iter().filter(|network| network.family() == subnet.family()) {
            rules.push(skip(&sent_from(subnet), *network));
        }
    }
}

/// Returns the selector of packets that this host sends from an address.
fn sent_from(from: Cidr) -> Selector {
    Selector { incoming: Some(loopback()), from: Some(from), ..Selector::default() }
}

fn interface_rules(
    rules: &mut Vec<Rule>,
    site: &Site,
    portal: &Portal,
    interface: &IfName,
    table: Option<Table>,
) {
    let entering = Selector { incoming: Some(interface.clone()), ..Selector::default() };
    for network in &portal.except {
        rules.push(skip(&entering, *network));
    }
    into(rules, site, &portal.to, &entering, ENTRANCES, table);
}

/// Adds the rules of a portal of devices. Without the exempt destinations, even the router's answers to
/// the devices would go into the tunnel.
fn device_rules(
    rules: &mut Vec<Rule>,
    site: &Site,
    portal: &Portal,
    sources: &SortedSet<Cidr>,
    table: Option<Table>,
) {
    let exempt = exempt::for_devices(site, portal);
    for source in sources {
        let entering = Selector { from: Some(*source), ..Selector::default() };
        for network in &exempt {
            if network.family() == source.family() {
                rules.push(skip(&entering, *network));
            }
        }
        into(rules, site, &portal.to, &entering, DEVICES, table);
    }
}

/// Adds the rules of the portal of this router's own traffic. `iif lo` matches packets that this host
/// sends, and the reverse-path check of packets addressed to it. Exempt are the tunnels' own packets, answers
/// to hosts that reached this router at the uplink's address, local networks, peers, and destinations that
/// never leave a link.
fn own_rules(rules: &mut Vec<Rule>, site: &Site, portal: &Portal, table: Option<Table>) {
    let own = Selector { incoming: Some(loopback()), ..Selector::default() };
    for family in families(site) {
        let marked = Selector { mark: Some(TUNNEL_MARK), ..Selector::default() };
        rules.push(Rule { priority: MARKED, family, selector: marked, action: RuleAction::Goto(END) });
    }
    let speaks = |network: &Cidr| site.host.ipv6 || network.family() == Family::V4;
    for address in site.host.uplink.iter().flat_map(|uplink| &uplink.addresses) {
        let source = Cidr::host(address.address);
        if speaks(&source) && !is_link_local(address.address) {
            rules.push(Rule {
                priority: ALLOWED,
                family: source.family(),
                selector: Selector { from: Some(source), ..own.clone() },
                action: RuleAction::Goto(END),
            });
        }
    }
    for network in exempt::for_router(site, portal).iter().filter(|network| speaks(network)) {
        rules.push(skip(&own, *network));
    }
    ntp::rules(rules, site);
    into(rules, site, &portal.to, &own, ENTRANCES, table);
}

fn is_link_local(address: IpAddr) -> bool {
    link_scoped().iter().any(|network| network.contains(address))
}
