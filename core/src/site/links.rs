//! Who is linked to a site, and by which interface, port and table: all of it follows from ids.

use std::net::{IpAddr, SocketAddr};

use super::providers;
use super::{Endpoint, Exit, Known, Peer, Phone, SHARED_INTERFACE, TABLE_BASE, Tunnel};
use crate::base::keys;
use crate::base::net::{Cidr, Family, IfName, InterfaceAddress, PublicKey, Secret, Table};
use crate::base::sorted::{SortedMap, SortedSet};
use crate::config::model::{self, ExitRef, Host, Name, Network};
use crate::config::{phone_address, portal_addresses, site_network};
use crate::wgquick::Parsed;

/// Seconds between keepalives: keeps NAT mappings alive (30 s is the shortest UDP time-out in use, RFC 4787 § 4.3).
pub const KEEPALIVE: u16 = 25;

/// The host names that this site needs to dial its peers.
pub fn names_to_resolve<'a>(
    network: &'a Network,
    own: &'a str,
    providers: &'a SortedMap<Name, Parsed>,
) -> SortedSet<&'a str> {
    let sites = linked(network, own).filter_map(|(_, peer)| peer.endpoint.as_ref());
    let peers = providers.values().flat_map(|parsed| &parsed.config.peers);
    let providers = peers.filter_map(|peer| Some(&peer.endpoint.as_ref()?.host));
    let name = |host: &'a Host| match host {
        Host::Name(name) => Some(name.as_str()),
        Host::Address(_) => None,
    };
    sites.chain(providers).filter_map(name).collect()
}

/// Everything behind a site: its /24, portal LANs elsewhere in the subnet, and the networks it shares.
pub fn networks_of(network: &Network, name: &str) -> SortedSet<Cidr> {
    let site = &network.sites[name];
    let own = own_subnet(network, site.id);
    let elsewhere = portal_addresses(network, name)
        .into_values()
        .map(InterfaceAddress::network)
        .filter(|lan| !own.covers(*lan));
    elsewhere.chain([own]).chain(site.lan.iter().copied()).collect()
}

/// The address of the site `own` on all its tunnels.
pub fn address(network: &Network, own: &str) -> IpAddr {
    site_address(network, network.sites[own].id)
}

/// All tunnels of the site `own`, with who is at their other ends.
pub fn tunnels(network: &Network, own: &str, known: &Known) -> SortedMap<IfName, Tunnel> {
    let mine = &network.sites[own];
    let mut tunnels = SortedMap::new();
    for (name, peer) in linked(network, own) {
        let is_exit = mine.exits.contains(name);
        let (interface, table) = if is_exit {
            (exit_interface(name), Some(Table(TABLE_BASE + u32::from(peer.id))))
        } else {
            (shared_interface(), None)
        };
        tunnels
            .get_or_insert_with(interface, || Tunnel::new(arrival_port(mine, is_exit, peer), table))
            .peers
            .insert(name.clone(), peer_view(network, own, name, is_exit, known));
    }
    for (name, phone) in network.phones.iter().filter(|(_, phone)| phone.at == own) {
        tunnels
            .get_or_insert_with(shared_interface(), || Tunnel::new(mine.port, None))
            .phones
            .insert(name.clone(), phone_view(network, name, phone, known));
    }
    tunnels
}

/// An exit of the site `own`.
pub(super) fn exit_view(network: &Network, own: &str, exit: &ExitRef) -> Exit {
    match exit {
        ExitRef::Site(name) => Exit::Tunnel {
            name: name.clone(),
            interface: exit_interface(name),
            table: Table(TABLE_BASE + u32::from(network.sites[name].id)),
        },
        ExitRef::Provider(name) => Exit::Tunnel {
            name: name.clone(),
            interface: exit_interface(name),
            table: providers::table(&network.sites[own], name),
        },
        ExitRef::Direct => Exit::Direct,
    }
}

/// The address of the site with this id on all its tunnels.
pub(super) fn site_address(network: &Network, id: u8) -> IpAddr {
    own_subnet(network, id).nth(1).expect("a /24 has a first address")
}

/// Sites with a link to `own`: either one names the other.
fn linked<'a>(network: &'a Network, own: &'a str) -> impl Iterator<Item = (&'a Name, &'a model::Site)> {
    let mine: SortedSet<&Name> = names(&network.sites[own]).collect();
    network.sites.iter().filter(move |(name, peer)| {
        name.as_str() != own && (mine.contains(name) || names(peer).any(|n| n == own))
    })
}

fn names(site: &model::Site) -> impl Iterator<Item = &Name> {
    site.exits.iter().chain(&site.links)
}

fn own_subnet(network: &Network, id: u8) -> Cidr {
    site_network(network.subnet, id).expect("validated: the subnet holds every id's /24")
}

/// The dedicated interface of an exit.
pub(super) fn exit_interface(name: &str) -> IfName {
    format!("to-{name}").parse().expect("validated: site names have up to 12 letters")
}

/// The port of `site` on which the link to `peer`, which is one of its exits or not, arrives.
fn arrival_port(site: &model::Site, is_exit: bool, peer: &model::Site) -> u16 {
    if is_exit { site.port + u16::from(peer.id) } else { site.port }
}

fn shared_interface() -> IfName {
    SHARED_INTERFACE.parse().expect("a valid name")
}

fn phone_view(network: &Network, name: &Name, phone: &model::Phone, known: &Known) -> Phone {
    let exit = phone.exit.as_ref().map_or(Exit::Direct, |exit| exit_view(network, &phone.at, exit));
    let own_key = known.phone_keys.get(name).cloned();
    let address = phone_address(network, phone);
    let networks = SortedSet::from([Cidr::host(address)]);
    let peer = Peer {
        address,
        public_key: phone.public_key,
        preshared_key: own_key
            .or_else(|| preshared_key(known, network.sites[&phone.at].public_key, phone.public_key)),
        endpoint: None,
        allowed_ips: networks.clone(),
        networks,
        keepalive: 0,
        exits_here: exit == Exit::Direct,
    };
    Phone { peer, exit }
}

/// Where somebody is dialled.
pub(super) fn endpoint(host: &Host, port: u16, known: &Known) -> Endpoint {
    let address = match host {
        Host::Address(address) => Some(*address),
        Host::Name(name) => known.resolved.get(name).copied(),
    };
    Endpoint { host: host.clone(), port, address: address.map(|address| SocketAddr::new(address, port)) }
}

fn preshared_key(known: &Known, own: PublicKey, other: PublicKey) -> Option<Secret> {
    known.network_secret.map(|secret| keys::preshared_key(secret, own, other))
}

/// The site `name` as `own` sees it, which has it as an exit or not.
fn peer_view(network: &Network, own: &str, name: &str, is_exit: bool, known: &Known) -> Peer {
    let (mine, peer) = (&network.sites[own], &network.sites[name]);
    let exits_here = peer.exits.iter().any(|exit| exit == own);
    let port = arrival_port(peer, exits_here, mine);
    let endpoint = peer.endpoint.as_ref().map(|host| endpoint(host, port, known));
    let networks = networks_of(network, name);
    Peer {
        address: site_address(network, peer.id),
        public_key: peer.public_key,
        preshared_key: preshared_key(known, mine.public_key, peer.public_key),
        keepalive: if endpoint.is_some() { KEEPALIVE } else { 0 },
        endpoint,
        allowed_ips: if is_exit { [Family::V4.everything()].into() } else { networks.clone() },
        networks,
        exits_here,
    }
}
