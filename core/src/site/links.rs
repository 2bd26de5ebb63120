//! Links of a site: the tunnels to its peers and phones.

use std::net::IpAddr;

use super::chains::{self, Passing};
use super::ids::{
    exit_interface, shared_interface, site_address, site_port, site_subnet, site_subnet6, site_table,
};
use super::{Exit, KEEPALIVE, PeerEndpoint, PeerKnowledge, SitePeer, SitePhone, SiteTunnel, portals};
use crate::base::keys;
use crate::base::net::{Cidr, Family, IfName, InterfaceAddress, PublicKey, Secret};
use crate::base::sorted::{SortedMap, SortedSet};
use crate::config::model::{self, Name, Network};
use crate::config::{phone_address, phone_address6, portal_addresses};

/// Returns all networks behind a site: its /24, portal LANs elsewhere in the subnet, and the networks that it
/// shares.
pub fn networks_of(network: &Network, name: &str) -> SortedSet<Cidr> {
    let site = &network.sites[name];
    let own = site_subnet(network, site.id);
    let mut networks = vec![own];
    networks.extend(site_subnet6(network, site.id));
    networks.extend(site.lan.iter().map(|lan| lan.visible()));
    let lans = portal_addresses(network, name).into_values().map(InterfaceAddress::network);
    networks.extend(lans.filter(|lan| !own.covers(*lan)));
    networks.into_iter().collect()
}

/// Returns the networks that the sites with a link to `own` share, by site, as `own` sees them.
pub(super) fn lans_of_peers(network: &Network, own: &str) -> SortedMap<Name, SortedSet<Cidr>> {
    let mut lans = SortedMap::new();
    for (name, peer) in linked(network, own) {
        if !peer.lan.is_empty() {
            lans.insert(name.clone(), peer.lan.iter().map(|lan| lan.visible()).collect());
        }
    }
    lans
}

/// Returns the networks that stand for others at the sites with a link to `own`.
pub(super) fn translated_by_peers(network: &Network, own: &str) -> SortedSet<Cidr> {
    let mut translated = SortedSet::new();
    for (_, peer) in linked(network, own) {
        translated.extend(peer.lan.iter().filter_map(|lan| lan.seen_as));
    }
    translated
}

/// Returns the address of the site `own` on all its tunnels.
pub fn address(network: &Network, own: &str) -> IpAddr {
    site_address(network, network.sites[own].id)
}

/// Returns the tunnels of the site `own` to its peers and phones, but not to its providers.
pub fn tunnels(network: &Network, own: &str, known: &PeerKnowledge) -> SortedMap<IfName, SiteTunnel> {
    let mine = &network.sites[own];
    let mut tunnels = SortedMap::new();
    let passing = chains::passing(network, own);
    for (name, peer) in linked(network, own) {
        let is_exit = mine.exits.contains(name);
        let (interface, table) = if is_exit {
            (exit_interface(name), Some(site_table(peer.id)))
        } else {
            (shared_interface(), None)
        };
        tunnels
            .get_or_insert_with(interface, || SiteTunnel::new(site_port(mine, is_exit, peer), table))
            .peers
            .insert(name.clone(), peer_view(network, own, name, is_exit, &passing, known));
    }
    for (name, phone) in network.phones.iter().filter(|(_, phone)| phone.at == own) {
        tunnels
            .get_or_insert_with(shared_interface(), || SiteTunnel::new(mine.port, None))
            .phones
            .insert(name.clone(), phone_view(network, name, phone, known));
    }
    tunnels
}

/// Returns the sites with a link to `own`: one of the two names the other.
pub fn linked<'a>(network: &'a Network, own: &str) -> Vec<(&'a Name, &'a model::SiteConfig)> {
    let mine = &network.sites[own];
    let named: SortedSet<&Name> = mine.exits.iter().chain(&mine.links).collect();
    let mut linked = Vec::new();
    for (name, peer) in &network.sites {
        if name != own
            && (named.contains(name) || peer.exits.iter().chain(&peer.links).any(|name| name == own))
        {
            linked.push((name, peer));
        }
    }
    linked
}

/// Returns the ends of all links of the network, in the order of their names; of each link, the end with the
/// lower id comes first.
pub(super) fn all_links(network: &Network) -> SortedSet<(&Name, &Name)> {
    let mut links = Vec::new();
    for (name, site) in &network.sites {
        for other in site.exits.iter().chain(&site.links) {
            if let Some(peer) = network.sites.get(other) {
                links.push(if site.id < peer.id { (name, other) } else { (other, name) });
            }
        }
    }
    links.into_iter().collect()
}

fn phone_view(
    network: &Network,
    name: &Name,
    phone: &model::PhoneConfig,
    known: &PeerKnowledge,
) -> SitePhone {
    let exit = phone.exit.as_ref().map_or(Exit::Direct, |exit| portals::exit(network, &phone.at, exit));
    let own_key = known.phone_keys.get(name).cloned();
    let address = phone_address(network, phone);
    let networks: SortedSet<Cidr> =
        [Some(address), phone_address6(network, phone)].into_iter().flatten().map(Cidr::host).collect();
    let peer = SitePeer {
        address,
        public_key: phone.public_key,
        preshared_key: own_key
            .or_else(|| preshared_key(known, network.sites[&phone.at].public_key, phone.public_key)),
        endpoint: None,
        allowed_ips: networks.clone(),
        networks,
        keepalive: None,
        exits_here: exit == Exit::Direct,
    };
    SitePhone { peer, exit }
}

fn preshared_key(known: &PeerKnowledge, own: PublicKey, other: PublicKey) -> Option<Secret> {
    known.network_secret.map(|secret| keys::preshared_key(secret, own, other))
}

/// Returns all destinations that an exit takes.
fn everything(network: &Network) -> SortedSet<Cidr> {
    let families = [Some(Family::V4), network.subnet6.map(|_| Family::V6)];
    families.into_iter().flatten().map(Family::everything).collect()
}

/// Returns the site `name` as a peer of `own`, which uses it as an exit or not.
fn peer_view(
    network: &Network,
    own: &str,
    name: &str,
    is_exit: bool,
    passing: &[Passing],
    known: &PeerKnowledge,
) -> SitePeer {
    let (mine, peer) = (&network.sites[own], &network.sites[name]);
    let exits_here = peer.exits.iter().any(|exit| exit == own);
    let port = site_port(peer, exits_here, mine);
    let endpoint = peer.endpoint.as_ref().map(|host| PeerEndpoint::new(host, port, known.resolved));
    let networks = chains::networks_behind(name, networks_of(network, name), passing);
    SitePeer {
        address: site_address(network, peer.id),
        public_key: peer.public_key,
        preshared_key: preshared_key(known, mine.public_key, peer.public_key),
        // Two sites behind NAT both keep the way open.
        keepalive: (endpoint.is_some() || mine.endpoint.is_none()).then_some(KEEPALIVE),
        endpoint,
        allowed_ips: if is_exit { everything(network) } else { networks.clone() },
        networks,
        exits_here,
    }
}
