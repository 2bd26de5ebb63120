//! Providers as exits: a tunnel each, by the file that came from there.

use std::net::{IpAddr, Ipv4Addr};

use super::links::{KEEPALIVE, endpoint, exit_interface};
use super::{Inputs, Peer, Provider, TABLE_BASE, Tunnel};
use crate::base::error::Error;
use crate::base::keys;
use crate::base::net::{Cidr, Family, IfName, InterfaceAddress, Table};
use crate::base::path::folder_of;
use crate::base::sorted::{SortedMap, SortedSet};
use crate::config::model::{self, FIRST_PROVIDER, Name, Site};
use crate::wgquick::{self, Interface, Parsed};

/// MTU of a tunnel whose file names none: that of wg-quick on an uplink of 1500 bytes.
const DEFAULT_MTU: u32 = 1420;

/// An address that nobody has (RFC 5737, TEST-NET-1): what is sent there through a tunnel keeps that awake, no more.
const NOBODY: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

impl Provider {
    /// Those networks of this end's addresses to which it sends from another address than the first, or from that and
    /// within such a network. So it would be with wg-quick: the kernel has a route to each network, from the first
    /// address that is in it, and sends from the first of all by every other.
    pub fn sources(&self) -> SortedMap<Cidr, IpAddr> {
        let mut sources = SortedMap::new();
        let is_network = |own: &&InterfaceAddress| Cidr::host(own.address) != own.network();
        for own in self.addresses.iter().filter(is_network) {
            sources.get_or_insert_with(own.network(), || own.address);
        }
        let is_first = |source: &IpAddr| self.addresses.first().is_some_and(|first| first.address == *source);
        if sources.values().all(is_first) { SortedMap::new() } else { sources }
    }

    /// The address that it sends from to these destinations; `None` where it has none at all.
    pub(super) fn source_to(&self, destinations: Cidr) -> Option<IpAddr> {
        let sources = self.sources();
        let closest = sources
            .iter()
            .filter(|(network, _)| network.covers(destinations))
            .max_by_key(|(network, _)| network.length());
        closest.map(|(_, source)| *source).or_else(|| self.addresses.first().map(|own| own.address))
    }
}

/// The table of an exit that is a provider: behind those of sites, in the order of names.
pub(super) fn table(site: &Site, name: &str) -> Table {
    Table(TABLE_BASE + number(site, name))
}

fn number(site: &Site, name: &str) -> u32 {
    let before = site.providers.keys().take_while(|other| other.as_str() < name).count();
    FIRST_PROVIDER + u32::try_from(before).expect("validated: each has a port")
}

/// The tunnels to the providers of a site, or what stands against them.
pub(super) fn tunnels(site: &Site, inputs: &Inputs) -> (SortedMap<IfName, Tunnel>, Vec<Error>) {
    let (mut tunnels, mut errors) = (SortedMap::new(), Vec::new());
    for (name, entry) in &site.providers {
        let Parsed { config, .. } = &inputs.providers[name];
        let tunnel = tunnel(site, name, entry, config, inputs);
        let lacking = lacking(&tunnel);
        let file = folder_of(inputs.file).join(&entry.config);
        errors.extend(lacking.map(|what| {
            Error::wrong(format!(
                "{}: {what}; portals are IPv4 and leave through what this file opens: get a complete one from the provider",
                file.display()
            ))
        }));
        tunnels.insert(exit_interface(name), tunnel);
    }
    (tunnels, errors)
}

/// What their files say that is left out.
pub(super) fn remarks(site: &Site, inputs: &Inputs) -> impl Iterator<Item = String> {
    site.providers.iter().flat_map(|(name, entry)| {
        let file = entry.config.display();
        inputs.providers[name]
            .remarks
            .iter()
            .map(move |remark| format!("{file}:{}: {}", remark.line, remark.message))
    })
}

/// What it cannot do without.
fn lacking(tunnel: &Tunnel) -> Option<&'static str> {
    let own = tunnel.provider.as_ref()?;
    if own.addresses.is_empty() {
        Some("`[Interface]` has no IPv4 `Address`")
    } else if !tunnel.peers.values().any(|peer| peer.endpoint.is_some()) {
        Some("no `[Peer]` has an `Endpoint`")
    } else if tunnel.peers.values().all(|peer| peer.allowed_ips.is_empty()) {
        Some("no `[Peer]` has IPv4 networks in `AllowedIPs`")
    } else {
        None
    }
}

fn tunnel(
    site: &Site,
    name: &str,
    entry: &model::Provider,
    config: &wgquick::Config,
    inputs: &Inputs,
) -> Tunnel {
    let Interface { private_key, addresses, dns, mtu, .. } = &config.interface;
    let dns: Vec<IpAddr> = dns.iter().copied().filter(IpAddr::is_ipv4).collect();
    let own = Provider {
        config: entry.config.clone(),
        private_key: keys::clamped(private_key.as_ref().expect("a file that was read has one")),
        addresses: addresses.iter().copied().filter(|own| own.address.is_ipv4()).collect(),
        mtu: mtu.unwrap_or(DEFAULT_MTU),
        dns,
    };
    let port = u32::from(site.port) + number(site, name);
    Tunnel {
        peers: peers(name, config, &own, inputs),
        provider: Some(own),
        ..Tunnel::new(u16::try_from(port).expect("validated: a port has 16 bits"), Some(table(site, name)))
    }
}

fn peers(name: &str, config: &wgquick::Config, own: &Provider, inputs: &Inputs) -> SortedMap<Name, Peer> {
    let mut taken = SortedSet::new();
    let mut peers = SortedMap::new();
    // Of two peers with the same network the last one has it, as with wg.
    for (index, peer) in config.peers.iter().enumerate().rev() {
        let allowed = peer.allowed_ips.iter().copied();
        let allowed_ips: SortedSet<Cidr> =
            allowed.filter(|network| network.family() == Family::V4 && taken.insert(*network)).collect();
        let peer = Peer {
            address: somewhere_behind(&allowed_ips, &own.dns),
            public_key: peer.public_key,
            preshared_key: peer.preshared_key.clone(),
            endpoint: peer
                .endpoint
                .as_ref()
                .map(|dialled| endpoint(&dialled.host, dialled.port, &inputs.known())),
            networks: SortedSet::new(),
            allowed_ips,
            // A tunnel that sleeps could not be told from one that is broken.
            keepalive: if peer.keepalive == 0 { KEEPALIVE } else { peer.keepalive },
            exits_here: false,
        };
        let name = if index == 0 { name.to_owned() } else { format!("{name}.{}", index + 1) };
        peers.insert(name, peer);
    }
    peers
}

/// Where something can be sent so that it goes through the tunnel to this peer.
fn somewhere_behind(allowed: &SortedSet<Cidr>, dns: &[IpAddr]) -> IpAddr {
    let is_there = |address: &IpAddr| allowed.iter().any(|network| network.contains(*address));
    let known = dns.iter().copied().chain([NOBODY]).find(is_there);
    known.or_else(|| allowed.iter().next().map(|network| network.last())).unwrap_or(NOBODY)
}
