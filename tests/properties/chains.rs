//! The way of a chain's traffic through all its sites.

use wg_portals::base::net::{Cidr, IfName, Table};
use wg_portals::base::sorted::SortedMap;
use wg_portals::config::model::{ExitRef, Name, Network};
use wg_portals::config::{
    chain_addresses, phone_address, phone_address6, portal_addresses, portal_addresses6,
};
use wg_portals::plan::plan;
use wg_portals::site::{Site, SitePeer};
use wg_portals::state::{RouteTarget, Rule, RuleAction, State};

/// Source that belongs to a chain.
pub(crate) struct ChainSource {
    pub network: Cidr,
    origin: Name,
    hops: Vec<Name>,
}

/// Returns all sources of a network that belong to chains.
pub(crate) fn sources(network: &Network) -> Vec<ChainSource> {
    let mut sources = Vec::new();
    let mut add = |source, origin: &Name, exit: &ExitRef| {
        if let ExitRef::Chain(hops) = exit {
            sources.push(ChainSource { network: source, origin: origin.clone(), hops: hops.clone() });
        }
    };
    let addresses = chain_addresses(network);
    for (name, site) in &network.sites {
        let lans = [portal_addresses(network, name), portal_addresses6(network, name)];
        for portal in &site.portals {
            for chain in &portal.exits {
                let own = addresses.get(&(name.clone(), chain.to_string()));
                own.into_iter().flatten().for_each(|address| add(Cidr::host(*address), name, chain));
            }
            let first = portal.exits.iter().find(|exit| matches!(exit, ExitRef::Chain(_)));
            for lan in lans.iter().filter_map(|of_family| of_family.get(&portal.name)) {
                if let Some(first) = first {
                    add(lan.network(), name, first);
                }
            }
        }
    }
    for phone in network.phones.values() {
        if let Some(exit) = &phone.exit {
            let own = [Some(phone_address(network, phone)), phone_address6(network, phone)];
            own.into_iter().flatten().for_each(|address| add(Cidr::host(address), &phone.at, exit));
        }
    }
    sources
}

/// Checks the way of all chains through all their sites.
pub(crate) fn all_lead_out(network: &Network, views: &SortedMap<&str, Site>) {
    let plans: SortedMap<&str, State> = views.iter().map(|(name, site)| (*name, plan(site))).collect();
    for ChainSource { network: source, origin, hops } in sources(network) {
        for (index, hop) in hops.iter().enumerate() {
            // The last hop may be a provider.
            let Some(site) = views.get(hop.as_str()) else { continue };
            let plan = &plans[hop.as_str()];
            let from = if index == 0 { &origin } else { &hops[index - 1] };
            let (interface, _, peer) =
                site.peers().find(|(_, name, _)| *name == from).expect("the previous hop is linked");
            assert_eq!(routed(plan, source), Some(interface), "{hop} answers {source} through {from}");
            assert_eq!(
                owner(site, interface, source),
                Some(peer.public_key),
                "{hop} hears {source} from {from}"
            );
            let next = hops.get(index + 1);
            let wanted = next.map(|next| format!("to-{next}").parse().unwrap());
            assert_eq!(led_to(plan, interface, source), wanted, "{hop} leads {source} on");
            assert!(next.is_some() || peer.exits_here, "{source} leaves at {hop}");
        }
    }
}

/// Interface of the narrowest route in the main table to a network.
fn routed(plan: &State, network: Cidr) -> Option<&IfName> {
    let covers = plan.routes.iter().filter(|route| {
        route.table == Table::MAIN && route.metric.is_none() && route.destination.covers(network)
    });
    match &covers.max_by_key(|route| route.destination.length())?.target {
        RouteTarget::Device { interface, .. } => Some(interface),
        RouteTarget::Unreachable => None,
    }
}

/// Key of the peer that WireGuard takes a network's packets from.
fn owner(site: &Site, interface: &IfName, network: Cidr) -> Option<wg_portals::base::net::PublicKey> {
    let length = |peer: &SitePeer| {
        let covering = peer.allowed_ips.iter().filter(|allowed| allowed.covers(network));
        covering.map(|allowed| allowed.length()).max()
    };
    let peers = site.tunnels[interface].ends().map(|(_, peer)| peer);
    let owners = peers.filter_map(|peer| Some((length(peer)?, peer.public_key)));
    owners.max_by_key(|(length, _)| *length).map(|(_, key)| key)
}

/// Interface of the default route in the table to which a site's policy rules lead a network; behind it, the
/// network must be refused.
fn led_to(plan: &State, incoming: &IfName, network: Cidr) -> Option<IfName> {
    let selects = |rule: &&Rule| {
        let selector = &rule.selector;
        selector.incoming.as_ref() == Some(incoming)
            && selector.from == Some(network)
            && selector.to.is_none()
    };
    let mut rules = plan.rules.iter().filter(selects);
    let RuleAction::Lookup(table) = rules.next()?.action else { panic!("refused at once") };
    assert_eq!(rules.next().expect("a refusal behind it").action, RuleAction::Unreachable);
    let leading = plan.routes.iter().find(|route| route.table == table && route.metric.is_none())?;
    match &leading.target {
        RouteTarget::Device { interface, .. } => Some(interface.clone()),
        RouteTarget::Unreachable => None,
    }
}
