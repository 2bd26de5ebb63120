//! Who is linked to a site, and by which interface, port and table: all of it follows from ids.

use std::net::{IpAddr, SocketAddr};

use super::{Endpoint, Exit, Inputs, Peer, Phone, SHARED_INTERFACE, TABLE_BASE, Tunnel};
use crate::config::model::{self, ExitRef, Host, Name, Network};
use crate::config::{phone_address, portal_addresses, site_network};
use crate::keys;
use crate::net::{Cidr, IfName, InterfaceAddress, PublicKey, Secret, Table};
use crate::sorted::{SortedMap, SortedSet};

/// The host names that this site needs to dial its peers.
pub fn names_to_resolve<'a>(network: &'a Network, own: &'a str) -> SortedSet<&'a str> {
    linked(network, own)
        .filter_map(|(_, peer)| match &peer.endpoint {
            Some(Host::Name(name)) => Some(name.as_str()),
            _ => None,
        })
        .collect()
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

/// All tunnels of the site `own`, with who is at their other ends.
pub(super) fn tunnels(network: &Network, own: &str, inputs: &Inputs) -> SortedMap<IfName, Tunnel> {
    let mine = &network.sites[own];
    let mut tunnels = SortedMap::new();
    for (name, peer) in linked(network, own) {
        let (interface, table) = if mine.exits.contains(name) {
            (exit_interface(name), Some(Table(TABLE_BASE + u32::from(peer.id))))
        } else {
            (shared_interface(), None)
        };
        let port = arrival_port(mine, name, peer.id);
        tunnels
            .get_or_insert_with(interface, || Tunnel::new(port, table))
            .peers
            .insert(name.clone(), peer_view(network, own, name, inputs));
    }
    for (name, phone) in network.phones.iter().filter(|(_, phone)| phone.at == own) {
        if let Some(phone) = phone_view(network, phone, inputs) {
            tunnels
                .get_or_insert_with(shared_interface(), || Tunnel::new(mine.port, None))
                .phones
                .insert(name.clone(), phone);
        }
    }
    tunnels
}

/// `None` for a kind that is not built.
pub(super) fn exit_view(network: &Network, exit: &ExitRef) -> Option<Exit> {
    match exit {
        ExitRef::Site(name) => Some(Exit::Site {
            name: name.clone(),
            interface: exit_interface(name),
            table: Table(TABLE_BASE + u32::from(network.sites[name].id)),
        }),
        ExitRef::Direct => Some(Exit::Direct),
        ExitRef::Provider(_) => None,
    }
}

/// The address of the site with this id on all its tunnels.
pub(super) fn site_address(network: &Network, id: u8) -> IpAddr {
    own_subnet(network, id).nth(1).expect("a /24 has a first address")
}

/// Sites with a link to `own`: either one names the other.
fn linked<'a>(network: &'a Network, own: &'a str) -> impl Iterator<Item = (&'a Name, &'a model::Site)> {
    let mine = &network.sites[own];
    network.sites.iter().filter(move |(name, peer)| {
        name.as_str() != own && (names(mine).any(|n| n == *name) || names(peer).any(|n| n == own))
    })
}

fn names(site: &model::Site) -> impl Iterator<Item = &Name> {
    site.exits.iter().chain(&site.links)
}

fn own_subnet(network: &Network, id: u8) -> Cidr {
    site_network(network.subnet, id).expect("validated: the subnet holds every id's /24")
}

/// The dedicated interface of an exit.
fn exit_interface(name: &str) -> IfName {
    format!("to-{name}").parse().expect("validated: site names have up to 12 letters")
}

/// The port of `site` on which the link to the site with `peer_id` arrives.
fn arrival_port(site: &model::Site, peer: &str, peer_id: u8) -> u16 {
    if site.exits.iter().any(|exit| exit == peer) { site.port + u16::from(peer_id) } else { site.port }
}

fn shared_interface() -> IfName {
    SHARED_INTERFACE.parse().expect("a valid name")
}

/// `None` where its exit is of a kind that is not built.
fn phone_view(network: &Network, phone: &model::Phone, inputs: &Inputs) -> Option<Phone> {
    let exit = match &phone.exit {
        Some(exit) => exit_view(network, exit)?,
        None => Exit::Direct,
    };
    let address = phone_address(network, phone);
    let peer = Peer {
        address,
        public_key: phone.public_key,
        preshared_key: preshared_key(inputs, phone.public_key),
        endpoint: None,
        networks: [Cidr::host(address)].into(),
        exits_here: exit == Exit::Direct,
    };
    Some(Phone { peer, exit })
}

fn preshared_key(inputs: &Inputs, other: PublicKey) -> Option<Secret> {
    inputs.network_secret.map(|secret| keys::preshared_key(secret, inputs.public_key, other))
}

fn peer_view(network: &Network, own: &str, name: &str, inputs: &Inputs) -> Peer {
    let (mine, peer) = (&network.sites[own], &network.sites[name]);
    let endpoint = peer.endpoint.as_ref().map(|host| {
        let port = arrival_port(peer, own, mine.id);
        let address = match host {
            Host::Address(address) => Some(*address),
            Host::Name(name) => inputs.resolved.get(name).copied(),
        };
        Endpoint { host: host.clone(), port, address: address.map(|address| SocketAddr::new(address, port)) }
    });
    Peer {
        address: site_address(network, peer.id),
        public_key: peer.public_key,
        preshared_key: preshared_key(inputs, peer.public_key),
        endpoint,
        networks: networks_of(network, name),
        exits_here: peer.exits.iter().any(|exit| exit == own),
    }
}
