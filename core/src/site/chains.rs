//! Chains of exits: traffic that goes through one or more sites before it leaves at the last one.
//!
//! The source address tells the chain that a packet belongs to, so no site needs a mark or an interface for
//! chains. Each source belongs to one chain: the LAN of a portal to the first chain of its list, the address
//! of a phone to the phone's exit. All other traffic into a chain takes an address that belongs to this chain
//! of this site ([`chain_addresses`]). WireGuard's allowed IPs vouch for the source at each hop.

use std::net::IpAddr;
use std::vec;

use super::ids::{chain_table, exit_interface, provider_table, shared_interface, site_address, site_table};
use super::{Exit, Portal, Site};
use crate::base::net::{Cidr, Family, IfName, Table};
use crate::base::sorted::{SortedMap, SortedSet};
use crate::config::model::{ExitRef, Name, Network, SiteConfig};
use crate::config::{chain_addresses, phone_address, phone_address6, portal_addresses, portal_addresses6};

/// Chain of exits that begins at this site.
#[derive(Debug, Clone)]
pub struct Chain {
    /// Text of the chain in the network file.
    pub name: Name,
    /// Names of the sites on the way, and of the place where traffic leaves; at least two.
    pub hops: Vec<Name>,
    /// Interface of the tunnel to the first hop.
    pub interface: IfName,
    /// Routing table that leads into the chain. Its number is different from the table of the first hop, so
    /// that policy rules show which of the two a portal uses.
    pub table: Table,
    /// Addresses of traffic that cannot keep an address of its own, one of each family that the tunnels
    /// carry; empty if only phones use the chain.
    pub addresses: Vec<IpAddr>,
    /// Address of the last site of the chain, which answers pings.
    pub farthest: IpAddr,
    /// Address on the internet to ping through the chain as well.
    pub beyond: Option<IpAddr>,
}

/// Traffic of another site's chain that goes on from here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relay {
    /// Source of the traffic.
    pub source: Cidr,
    /// Name of the site that the traffic comes from.
    pub from: Name,
    /// Interface of the tunnel that the traffic comes out of.
    pub incoming: IfName,
    /// Name of the next hop.
    pub to: Name,
    /// Interface of the tunnel to the next hop.
    pub outgoing: IfName,
    /// Routing table that leads to the next hop.
    pub table: Table,
}

/// Traffic of another site's chain that comes to this site.
pub(super) struct Passing {
    source: Cidr,
    from: Name,
    /// Next hop; `None` if the traffic leaves here.
    to: Option<Name>,
}

impl Chain {
    /// Returns the address of traffic of a family that cannot keep an address of its own.
    pub fn address(&self, family: Family) -> Option<IpAddr> {
        self.addresses.iter().copied().find(|own| Family::of(*own) == family)
    }
}

impl Site {
    /// Returns the chain that an exit is, if it is one.
    pub fn chain(&self, exit: &Exit) -> Option<&Chain> {
        self.chains.iter().find(|chain| exit.table() == Some(chain.table))
    }

    /// Returns the chain in which traffic from the portal's own LAN keeps its source: the first chain of the
    /// portal's list.
    pub fn chain_of_lan(&self, portal: &Portal) -> Option<&Chain> {
        portal.address?;
        portal.exits.iter().find_map(|exit| self.chain(exit))
    }

    /// Returns the addresses that this site has for chains, with the interfaces of the first hops.
    pub fn chain_addresses(&self) -> vec::IntoIter<(&IfName, IpAddr)> {
        let mut addresses = Vec::new();
        for chain in &self.chains {
            for own in &chain.addresses {
                addresses.push((&chain.interface, *own));
            }
        }
        addresses.into_iter()
    }
}

/// Returns the exit that a chain of the site `own` is.
pub(super) fn exit(network: &Network, own: &str, chain: &ExitRef) -> Exit {
    let name = chain.to_string();
    let used = used_at(network, own);
    let number = used.keys().position(|other| *other == name).expect("a portal or phone of the site uses it");
    let interface = exit_interface(&used[&name][0]);
    Exit::Tunnel { name, interface, table: chain_table(number) }
}

/// Returns the chains that begin at the site `own`, in the order of their names. `ipv6` tells whether the
/// tunnels carry IPv6.
pub(super) fn chains(network: &Network, own: &str, ipv6: bool) -> Vec<Chain> {
    let addresses = chain_addresses(network);
    let mut chains = Vec::new();
    for (number, (name, hops)) in used_at(network, own).into_iter().enumerate() {
        let mut addresses = addresses.get(&(own.to_owned(), name.clone())).cloned().unwrap_or_default();
        addresses.retain(|own| ipv6 || own.is_ipv4());
        // A provider need not answer, so the site before it does.
        let farthest = hops.iter().rev().find_map(|hop| network.sites.get(hop));
        let farthest = farthest.expect("validated: a chain goes through sites");
        chains.push(Chain {
            interface: exit_interface(&hops[0]),
            table: chain_table(number),
            addresses,
            farthest: site_address(network, farthest.id),
            beyond: network.probe,
            hops: hops.clone(),
            name,
        });
    }
    chains
}

/// Returns the hops of all chains that portals and phones of the site `own` use, by name.
fn used_at<'a>(network: &'a Network, own: &'a str) -> SortedMap<Name, &'a Vec<Name>> {
    let portals = &network.sites[own].portals;
    let mut exits: Vec<&ExitRef> = Vec::new();
    for portal in portals {
        exits.extend(&portal.exits);
    }
    for phone in network.phones.values().filter(|phone| phone.at == own) {
        exits.extend(&phone.exit);
    }
    exits.into_iter().filter_map(|exit| Some((exit.to_string(), hops(exit)?))).collect()
}

fn hops(exit: &ExitRef) -> Option<&Vec<Name>> {
    match exit {
        ExitRef::Chain(hops) => Some(hops),
        ExitRef::Site(_) | ExitRef::Provider(_) | ExitRef::Direct => None,
    }
}

/// Returns the traffic of all other sites' chains that comes to the site `own`.
pub(super) fn passing(network: &Network, own: &str) -> Vec<Passing> {
    let mut passing = Vec::new();
    for (source, origin, hops) in sources(network) {
        let Some(place) = hops.iter().position(|hop| hop == own) else { continue };
        let from = if place == 0 { origin } else { &hops[place - 1] };
        passing.push(Passing { source, from: from.clone(), to: hops.get(place + 1).cloned() });
    }
    passing
}

/// Returns the sources of all chains of the network, each with the site where it enters and the hops.
fn sources(network: &Network) -> Vec<(Cidr, &Name, &Vec<Name>)> {
    let mut sources = Vec::new();
    let addresses = chain_addresses(network);
    for (name, site) in &network.sites {
        let used = used_at(network, name);
        for ((_, chain), own) in addresses.iter().filter(|((site, _), _)| site == name) {
            sources.extend(own.iter().map(|address| (Cidr::host(*address), name, used[chain])));
        }
        sources.extend(lans(network, name, site).into_iter().map(|(lan, hops)| (lan, name, hops)));
    }
    for phone in network.phones.values() {
        let Some(hops) = phone.exit.as_ref().and_then(hops) else { continue };
        sources.push((Cidr::host(phone_address(network, phone)), &phone.at, hops));
        if let Some(address) = phone_address6(network, phone) {
            sources.push((Cidr::host(address), &phone.at, hops));
        }
    }
    sources
}

/// Returns the LANs of a site's portals that have a chain among their exits, with the hops of the first one.
fn lans<'a>(network: &Network, name: &str, site: &'a SiteConfig) -> Vec<(Cidr, &'a Vec<Name>)> {
    let addresses = [portal_addresses(network, name), portal_addresses6(network, name)];
    let mut lans = Vec::new();
    for portal in &site.portals {
        let Some(hops) = portal.exits.iter().find_map(hops) else { continue };
        for of_family in &addresses {
            lans.extend(of_family.get(&portal.name).map(|address| (address.network(), hops)));
        }
    }
    lans
}

/// Returns the networks behind a peer: its own ones, and the sources of chains that come from there. A source
/// that comes from another peer is not among them.
pub(super) fn networks_behind(peer: &str, own: SortedSet<Cidr>, passing: &[Passing]) -> SortedSet<Cidr> {
    let mut networks = own;
    for elsewhere in passing.iter().filter(|one| one.from != peer) {
        networks.remove(&elsewhere.source);
    }
    let mut further = Vec::new();
    for here in passing.iter().filter(|one| one.from == peer) {
        if !networks.iter().any(|network| network.covers(here.source)) {
            further.push(here.source);
        }
    }
    networks.extend(further);
    networks
}

/// Returns the traffic of other sites' chains that goes on from the site `own`, in the order of its sources.
/// `ipv6` tells whether the tunnels carry IPv6.
pub fn relays(network: &Network, own: &str, ipv6: bool) -> Vec<Relay> {
    let entry = &network.sites[own];
    let mut relays = SortedMap::new();
    for one in passing(network, own) {
        let Some(to) = one.to else { continue };
        if !ipv6 && one.source.family() == Family::V6 {
            continue;
        }
        let table = match network.sites.get(&to) {
            Some(next) => site_table(next.id),
            None => provider_table(entry, &to),
        };
        let incoming =
            if entry.exits.contains(&one.from) { exit_interface(&one.from) } else { shared_interface() };
        let outgoing = exit_interface(&to);
        // Each source belongs to one chain.
        let relay = Relay { source: one.source, from: one.from, incoming, to, outgoing, table };
        relays.insert(relay.source, relay);
    }
    relays.into_values().collect()
}
