//! Providers as exits: one tunnel for each, configured by the file that the provider handed out.

use std::net::{IpAddr, Ipv4Addr};

use super::ids::{exit_interface, provider_port, provider_table};
use super::{Inputs, KEEPALIVE, PeerEndpoint, ProviderSettings, SitePeer, SiteTunnel};
use crate::base::error::Error;
use crate::base::keys;
use crate::base::net::{Cidr, Family, IfName};
use crate::base::path::folder_of;
use crate::base::sorted::{SortedMap, SortedSet};
use crate::config::model::{self, Name, SiteConfig};
use crate::wgquick::{self, InterfaceSection, Parsed};

/// MTU in bytes of a tunnel whose file names none: the one that wg-quick chooses on an uplink of 1500 bytes.
const DEFAULT_MTU: u32 = 1420;

/// Address that no host has (RFC 5737, TEST-NET-1): packets sent there through a tunnel keep the tunnel
/// awake, and do nothing else.
const UNUSED_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// Adds the tunnels to the providers of a site, and the errors in their files.
pub(super) fn add_tunnels(
    tunnels: &mut SortedMap<IfName, SiteTunnel>,
    site: &SiteConfig,
    inputs: &Inputs,
    errors: &mut Vec<Error>,
) {
    for (name, entry) in &site.providers {
        let Parsed { config, .. } = &inputs.providers[name];
        let tunnel = tunnel(site, name, entry, config, inputs);
        if let Some(complaint) = lacking(&tunnel) {
            errors.push(Error::wrong(format!(
                "{}: {complaint}; portals need IPv4 and leave through the tunnel that this file describes: \
                 get a complete file from the provider",
                folder_of(inputs.file).join(&entry.config).display()
            )));
        }
        tunnels.insert(exit_interface(name), tunnel);
    }
}

/// Adds the remarks on settings in the providers' files that are ignored.
pub(super) fn remarks(notes: &mut Vec<String>, site: &SiteConfig, inputs: &Inputs) {
    for (name, entry) in &site.providers {
        let file = entry.config.display();
        for remark in &inputs.providers[name].remarks {
            notes.push(format!("{file}:{}: {}", remark.line, remark.message));
        }
    }
}

/// Returns the complaint about a setting that the tunnel needs and that its file lacks.
fn lacking(tunnel: &SiteTunnel) -> Option<&'static str> {
    let own = tunnel.provider.as_ref()?;
    if own.first(Family::V4).is_none() {
        Some("`[Interface]` has no IPv4 `Address`")
    } else if !tunnel.peers.values().any(|peer| peer.endpoint.is_some()) {
        Some("no `[Peer]` has an `Endpoint`")
    } else if !tunnel
        .peers
        .values()
        .flat_map(|peer| &peer.allowed_ips)
        .any(|network| network.family() == Family::V4)
    {
        Some("no `[Peer]` has IPv4 networks in `AllowedIPs`")
    } else {
        None
    }
}

fn tunnel(
    site: &SiteConfig,
    name: &str,
    entry: &model::ProviderConfig,
    config: &wgquick::WgQuickFile,
    inputs: &Inputs,
) -> SiteTunnel {
    let InterfaceSection { private_key, addresses, mtu, .. } = &config.interface;
    let own = ProviderSettings {
        config: entry.config.clone(),
        private_key: keys::clamped(private_key.as_ref().expect("a file that was read has one")),
        addresses: addresses.clone(),
        mtu: mtu.unwrap_or(DEFAULT_MTU),
        dns: config.interface.resolvers(),
    };
    SiteTunnel {
        peers: peers(name, config, &own, inputs),
        provider: Some(own),
        ..SiteTunnel::new(provider_port(site, name), Some(provider_table(site, name)))
    }
}

fn peers(
    name: &str,
    config: &wgquick::WgQuickFile,
    own: &ProviderSettings,
    inputs: &Inputs,
) -> SortedMap<Name, SitePeer> {
    let mut taken = SortedSet::new();
    let mut peers = SortedMap::new();
    // If two peers have the same network, the last one gets it, as with `wg`.
    for (index, peer) in config.peers.iter().enumerate().rev() {
        let allowed = peer.allowed_ips.iter().copied();
        let allowed_ips: SortedSet<Cidr> = allowed
            .filter(|network| own.first(network.family()).is_some() && taken.insert(*network))
            .collect();
        let peer = SitePeer {
            address: somewhere_behind(&allowed_ips, &own.dns),
            public_key: peer.public_key,
            preshared_key: peer.preshared_key.clone(),
            endpoint: peer
                .endpoint
                .as_ref()
                .map(|dialled| PeerEndpoint::new(&dialled.host, dialled.port, inputs.resolved)),
            networks: SortedSet::new(),
            allowed_ips,
            // Without keepalives, an idle tunnel looks the same as a broken one.
            keepalive: peer.keepalive.or(Some(KEEPALIVE)),
            exits_here: false,
        };
        let name = if index == 0 { name.to_owned() } else { format!("{name}.{}", index + 1) };
        peers.insert(name, peer);
    }
    peers
}

/// Returns an address whose packets go through the tunnel to this peer.
fn somewhere_behind(allowed: &SortedSet<Cidr>, dns: &[IpAddr]) -> IpAddr {
    let is_there = |address: &IpAddr| allowed.iter().any(|network| network.contains(*address));
    let resolvers = dns.iter().copied().filter(IpAddr::is_ipv4);
    let known = resolvers.chain([UNUSED_ADDRESS]).find(is_there);
    let first = allowed.iter().find(|network| network.family() == Family::V4);
    known.or_else(|| first.map(|network| network.last())).unwrap_or(UNUSED_ADDRESS)
}
