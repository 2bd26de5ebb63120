//! Chains that begin here: the routing tables that lead into them, and the source addresses by which the next
//! sites recognise their traffic.
//!
//! Traffic of a portal's LAN keeps its source in the first chain of the portal's list. All other traffic of a
//! portal takes the address of the chain that the portal uses now.

use std::net::IpAddr;
use std::slice;

use crate::base::net::{Cidr, Family, IfName, InterfaceAddress};
use crate::base::sorted::SortedSet;
use crate::firewall::{
    Action::SourceNat,
    Condition::{self, Family as Of, Icmp, Marked, NotDestination},
    Networks,
};
use crate::plan::priorities::{CHAINS, into, loopback};
use crate::plan::sets::{OWN, Rules, Sets, add, add_members, add_of, disjoint, from, from_in, leaving, to};
use crate::plan::{classifier, exempt, marks, nat};
use crate::site::{Chain, Entrance, Portal, Site};
use crate::state::{Rule, Selector};

/// Adds the policy rules that lead packets from the addresses of chains into their chains, and the
/// reverse-path checks of the answers as well: without them, the check of an answer from the last hop would
/// expect it on the link to that site, or on the uplink.
pub(super) fn rules(rules: &mut Vec<Rule>, site: &Site) {
    for chain in &site.chains {
        for own in &chain.addresses {
            let from = Some(Cidr::host(*own));
            let sent = Selector { incoming: Some(loopback()), from, ..Selector::default() };
            into(rules, site, &[], &sent, CHAINS, Some(chain.table));
        }
    }
}

/// Adds the rules that choose the source addresses of traffic into chains, and of traffic of LANs that
/// leaves another way than their chains. They come before the rules for other traffic into tunnels.
pub(super) fn source_nat(rules: &mut Rules, site: &Site) {
    for portal in &site.portals {
        for family in site.carried() {
            match site.chain(&portal.exit) {
                Some(chain) => into_chain(rules, site, portal, chain, family),
                None => first_hop_alone(rules, site, portal, family),
            }
            later_hops_alone(rules, site, portal, family);
        }
    }
    // The addresses of chains are on the interface, too, so the kernel might masquerade as one of them.
    let interfaces: SortedSet<&IfName> = site.chain_addresses().map(|(interface, _)| interface).collect();
    for interface in interfaces {
        for family in site.carried() {
            let strange = [leaving(interface), nat::unknown(site, family)];
            send_as(rules, site.address(family), &strange);
        }
    }
}

/// Adds the sets that the rules of this file look into, apart from those of other files.
pub(super) fn sets(sets: &mut Sets, site: &Site) {
    let unmarked = site.portals.iter().filter(|portal| {
        portal.mark().is_none() && portal.address.is_none() && site.chain(&portal.exit).is_some()
    });
    for portal in unmarked {
        for family in site.carried() {
            let exempt = disjoint(family, exempt(site, portal).as_slice());
            add_members(sets, marks::exempt_set(portal, family), family, exempt);
        }
    }
}

/// Adds the rules for traffic of a portal into the chain that it uses.
fn into_chain(rules: &mut Rules, site: &Site, portal: &Portal, chain: &Chain, family: Family) {
    let out = leaving(&chain.interface);
    let address = chain.address(family);
    if portal.address.is_some() {
        let (address, sources) = sources_of_lan(site, portal, chain, family);
        for network in sources {
            send_as(rules, address, &[out.clone(), from(network)]);
        }
        return;
    }
    if let Some(mark) = portal.mark() {
        send_as(rules, address, &[out, Of(family), Marked(mark)]);
        return;
    }
    let exempt = disjoint(family, exempt(site, portal).as_slice());
    let exempt =
        (!exempt.is_empty()).then(|| NotDestination(Networks::In(family, marks::exempt_set(portal, family))));
    let sources = match &portal.entrance {
        Entrance::Own => own_sources(site, family),
        _ => classifier::condition(portal, family).into_iter().collect(),
    };
    if portal.entrance == Entrance::Own {
        probes(rules, site, &chain.interface, family);
    }
    for source in sources {
        for there in classifier::destinations(portal, family) {
            let parts =
                [slice::from_ref(&out), exempt.as_slice(), slice::from_ref(&source), there.as_slice()];
            send_as(rules, address, &parts.concat());
        }
    }
}

/// Returns the sources of a portal's LAN that take another address in a chain, with that address. In the
/// first chain of the portal's list, the LAN itself keeps its sources, and other networks at the portal's
/// interface take this host's address there, which belongs to the chain as well.
fn sources_of_lan(
    site: &Site,
    portal: &Portal,
    chain: &Chain,
    family: Family,
) -> (Option<IpAddr>, SortedSet<Cidr>) {
    let lan = lan(portal, family);
    let mut sources: Vec<Cidr> = portal.behind.iter().copied().collect();
    sources.retain(|behind| lan.is_none_or(|lan| *behind != lan.network()));
    let keeps = site.chain_of_lan(portal).is_some_and(|first| first.table == chain.table);
    match lan {
        Some(lan) if keeps => (Some(lan.address), disjoint(family, &sources)),
        _ => {
            sources.extend(lan.map(InterfaceAddress::network));
            (chain.address(family), disjoint(family, &sources))
        }
    }
}

fn lan(portal: &Portal, family: Family) -> Option<InterfaceAddress> {
    portal.addresses().find(|lan| Family::of(lan.address) == family)
}

/// Returns the sources of this router's own packets: its address in the tunnels, and its other addresses.
fn own_sources(site: &Site, family: Family) -> Vec<Condition> {
    let has_others = site.host.own_addresses.iter().any(|own| Family::of(*own) == family);
    let mut sources = Vec::from_iter(site.address(family).map(|own| from(Cidr::host(own))));
    if has_others {
        sources.push(from_in(family, OWN));
    }
    sources
}

/// Adds the rules that exempt probes of the first hop as an exit from the rules for this router's traffic.
fn probes(rules: &mut Rules, site: &Site, interface: &IfName, family: Family) {
    let Some(own) = site.address(family) else { return };
    for probe in site.agent.probes.iter().filter(|probe| probe.interface == *interface) {
        if Family::of(probe.target) == family {
            let [from, to] = [from(Cidr::host(own)), to(Cidr::host(probe.target))];
            add(rules, [leaving(interface), from, to, Icmp(family)], SourceNat(own));
        }
    }
}

/// Adds the rule for the LAN of a portal that leaves at the first hop of its chain: that site would send
/// the LAN's traffic on.
fn first_hop_alone(rules: &mut Rules, site: &Site, portal: &Portal, family: Family) {
    let (Some(lan), Some(chain)) = (lan(portal, family), site.chain_of_lan(portal)) else { return };
    if portal.exit.interface() == Some(&chain.interface) {
        send_as(rules, site.address(family), &[leaving(&chain.interface), from(lan.network())]);
    }
}

/// Adds the rules for the LAN of a portal into the links to later hops of its chain: those sites expect
/// the LAN's traffic from the hop before them.
fn later_hops_alone(rules: &mut Rules, site: &Site, portal: &Portal, family: Family) {
    let (Some(lan), Some(chain)) = (lan(portal, family), site.chain_of_lan(portal)) else {
        return;
    };
    let of_lan = from(lan.network());
    let address = site.address(family);
    for (interface, tunnel) in site.tunnels.iter().filter(|(_, tunnel)| tunnel.provider.is_none()) {
        for peer in chain.hops[1..].iter().filter_map(|hop| tunnel.peers.get(hop)) {
            let out = [leaving(interface), of_lan.clone()];
            if tunnel.table.is_some() {
                send_as(rules, address, &out);
                continue;
            }
            let networks = disjoint(family, peer.networks.as_slice());
            for network in networks {
                send_as(rules, address, &[out.as_slice(), &[to(network)]].concat());
            }
        }
    }
}

/// Adds the rule that gives traffic this source address, if there is one.
fn send_as(rules: &mut Rules, address: Option<IpAddr>, conditions: &[Condition]) {
    if let Some(address) = address {
        add_of(rules, &[conditions], SourceNat(address));
    }
}

/// Returns the destinations that do not enter a portal without a LAN.
fn exempt(site: &Site, portal: &Portal) -> SortedSet<Cidr> {
    match portal.entrance {
        Entrance::Own => exempt::for_router(site, portal),
        _ => exempt::for_devices(site, portal),
    }
}
