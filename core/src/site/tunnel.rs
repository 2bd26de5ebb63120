//! Tunnels of a site, and the peers at their other ends.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::path::PathBuf;

use super::Exit;
use crate::base::net::{Cidr, Family, IfName, InterfaceAddress, PublicKey, Secret, Table};
use crate::base::sorted::{SortedMap, SortedSet};
use crate::config::model::{EndpointHost, Name, RESOLVERS};

/// Seconds between keepalives. They keep NAT mappings alive: 30 s is the shortest UDP timeout in use (RFC
/// 4787 § 4.3).
pub const KEEPALIVE: NonZeroU16 = NonZeroU16::new(25).unwrap();

/// Tunnel interface with the peers at its other end.
#[derive(Debug, Clone)]
pub struct SiteTunnel {
    /// UDP port on which the tunnel listens, not 0.
    pub port: u16,
    /// Routing table of the exit; `None` for the shared interface.
    pub table: Option<Table>,
    /// Peers by name of the site, or of the exit that is a provider. Further peers of a provider have a
    /// number after the name.
    pub peers: SortedMap<Name, SitePeer>,
    /// Phones by name; only on the shared interface.
    pub phones: SortedMap<Name, SitePhone>,
    /// Settings from the provider's file, if the other end is a provider.
    pub provider: Option<ProviderSettings>,
    /// Largest packet in bytes that the path to the other end carries, if it was measured and is smaller than
    /// the MTU in the file.
    pub path_mtu: Option<u32>,
}

/// Settings of a tunnel from the file of a provider. Other tunnels have the settings of the site and its
/// network.
#[derive(Debug, Clone)]
pub struct ProviderSettings {
    /// Path of the file, relative to the network file's folder.
    pub config: PathBuf,
    /// Private key of this end.
    pub private_key: Secret,
    /// Addresses of this end with their networks, in the order of the file; one at least is IPv4.
    pub addresses: Vec<InterfaceAddress>,
    /// MTU in bytes.
    pub mtu: u32,
    /// Addresses of the resolvers to ask through the tunnel.
    pub dns: Vec<IpAddr>,
}

/// Peer: the other end of a link.
#[derive(Debug, Clone)]
pub struct SitePeer {
    /// Address of the peer on all its tunnels. A provider's own address is unknown: this one is some address
    /// behind it.
    pub address: IpAddr,
    /// Public key.
    pub public_key: PublicKey,
    /// Key derived from the network's secret, if there is one, or the key in a provider's file.
    pub preshared_key: Option<Secret>,
    /// Endpoint to dial; `None` if the peer dials this site.
    pub endpoint: Option<PeerEndpoint>,
    /// Networks behind the peer: tunnel address, portal LANs, shared networks.
    pub networks: SortedSet<Cidr>,
    /// Allowed IPs: networks that packets may come from, and that packets are sent to.
    pub allowed_ips: SortedSet<Cidr>,
    /// Seconds between keepalives; `None` = off.
    pub keepalive: Option<NonZeroU16>,
    /// Set if the peer uses this site as an exit.
    pub exits_here: bool,
}

/// Phone that dials this site.
#[derive(Debug, Clone)]
pub struct SitePhone {
    /// Link to the phone. Its only network is its own address.
    pub peer: SitePeer,
    /// Exit of the phone's traffic; traffic that leaves directly is treated like traffic of a guest from
    /// another site.
    pub exit: Exit,
}

/// Endpoint of a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerEndpoint {
    /// Host name or address, as written in the file.
    pub host: EndpointHost,
    /// UDP port, not 0.
    pub port: u16,
    /// Socket address; `None` until the name is resolved.
    pub address: Option<SocketAddr>,
}

impl SiteTunnel {
    /// Makes a tunnel without peers.
    pub(super) fn new(port: u16, table: Option<Table>) -> Self {
        Self {
            port,
            table,
            peers: SortedMap::new(),
            phones: SortedMap::new(),
            provider: None,
            path_mtu: None,
        }
    }

    /// Reports whether peers take packets of a family, phones aside.
    pub fn takes(&self, family: Family) -> bool {
        let mut allowed = self.peers.values().flat_map(|peer| &peer.allowed_ips);
        allowed.any(|network| network.family() == family)
    }

    /// Returns all peers at the other end, sites and phones.
    pub fn ends(&self) -> impl Iterator<Item = (&Name, &SitePeer)> {
        self.peers.iter().chain(self.phones.iter().map(|(name, phone)| (name, &phone.peer)))
    }
}

impl ProviderSettings {
    /// Returns the source address to each network of this end's addresses, unless all of them are the first
    /// address. They follow wg-quick: there, the kernel has a route to each network from the first address in
    /// it, and sends from the first address of all to every other destination.
    pub fn sources(&self) -> SortedMap<Cidr, IpAddr> {
        let mut sources = SortedMap::new();
        let is_network = |own: &&InterfaceAddress| Cidr::host(own.address) != own.network();
        for own in self.addresses.iter().filter(is_network) {
            sources.get_or_insert_with(own.network(), || own.address);
        }
        let is_first = |source: &IpAddr| self.first(Family::of(*source)) == Some(*source);
        if sources.values().all(is_first) { SortedMap::new() } else { sources }
    }

    /// Returns the first address of a family.
    pub fn first(&self, family: Family) -> Option<IpAddr> {
        self.addresses.iter().map(|own| own.address).find(|own| Family::of(*own) == family)
    }

    /// Returns the source address to these destinations; `None` if this end has no address of their family.
    pub(super) fn source_to(&self, destinations: Cidr) -> Option<IpAddr> {
        let sources = self.sources();
        let closest = sources
            .iter()
            .filter(|(network, _)| network.covers(destinations))
            .max_by_key(|(network, _)| network.length());
        closest.map(|(_, source)| *source).or_else(|| self.first(destinations.family()))
    }
}

impl PeerEndpoint {
    /// Makes the endpoint at a host, with the host's address if `resolved` has its name.
    pub(super) fn new(host: &EndpointHost, port: u16, resolved: &SortedMap<String, IpAddr>) -> Self {
        let address = match host {
            EndpointHost::Address(address) => Some(*address),
            EndpointHost::Name(name) => resolved.get(name).copied(),
        };
        Self { host: host.clone(), port, address: address.map(|address| SocketAddr::new(address, port)) }
    }

    /// Makes the endpoint at an address.
    pub fn at(address: SocketAddr) -> Self {
        Self { host: EndpointHost::Address(address.ip()), port: address.port(), address: Some(address) }
    }
}

/// Returns the resolvers to ask through an exit where the file names none. A provider's resolvers answer only
/// its own clients, so they are asked only through the tunnel to that provider.
pub(super) fn resolvers_at(exit: &Exit, tunnels: &SortedMap<IfName, SiteTunnel>) -> Vec<IpAddr> {
    let tunnel = exit.interface().and_then(|interface| tunnels.get(interface));
    let of_provider = tunnel.and_then(|tunnel| tunnel.provider.as_ref()).map(|provider| &provider.dns);
    of_provider.filter(|dns| !dns.is_empty()).cloned().unwrap_or_else(|| RESOLVERS.into())
}
