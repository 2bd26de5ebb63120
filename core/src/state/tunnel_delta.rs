//! Difference between two tunnels: the changes that WireGuard needs, so that all other sessions survive.

use std::net::SocketAddr;
use std::num::{NonZeroU16, NonZeroU32};

use crate::base::net::{Cidr, PublicKey, Secret};
use crate::base::sorted::{SortedMap, SortedSet};
use crate::state::{Peer, Tunnel};

/// Difference between two settings of a tunnel. All other settings stay.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct TunnelDelta {
    /// Private key; [`Change::Clear`] if the interface is about to be removed.
    pub private_key: Change<Secret>,
    /// UDP port. WireGuard opens a new socket for a new port.
    pub port: Change<NonZeroU16>,
    /// Mark of the tunnel's own packets.
    pub fwmark: Change<NonZeroU32>,
    /// Peers to remove.
    pub removed: SortedSet<PublicKey>,
    /// New peers.
    pub added: SortedMap<PublicKey, Peer>,
    /// Peers that stay, with the settings that differ.
    pub changed: SortedMap<PublicKey, PeerDelta>,
}

/// Change of a peer.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct PeerDelta {
    /// Pre-shared key; WireGuard uses it from the next handshake on.
    pub preshared_key: Change<Secret>,
    /// New endpoint. WireGuard can replace an endpoint, but cannot remove it.
    pub endpoint: Option<SocketAddr>,
    /// Seconds between keepalives.
    pub keepalive: Change<NonZeroU16>,
    /// New allowed IPs, which replace all former ones.
    pub allowed_ips: Option<SortedSet<Cidr>>,
}

/// Change of a setting that may be absent.
#[derive(Debug, Default, PartialEq, Eq)]
pub enum Change<T> {
    /// The setting stays.
    #[default]
    Keep,
    /// The setting gets this value.
    Set(T),
    /// The setting becomes absent.
    Clear,
}

impl<T: Clone + PartialEq> Change<T> {
    fn between(from: Option<&T>, to: Option<&T>) -> Self {
        if from == to { Self::Keep } else { to.cloned().into() }
    }
}

impl<T> From<Option<T>> for Change<T> {
    /// Returns the change that leads to this setting from any other.
    fn from(to: Option<T>) -> Self {
        to.map_or(Self::Clear, Self::Set)
    }
}

impl Change<Secret> {
    /// Returns the bytes to send; `None` if there is nothing to send. WireGuard takes all zeros for "no key".
    pub fn bytes(&self) -> Option<[u8; 32]> {
        match self {
            Self::Keep => None,
            Self::Set(key) => Some(*key.bytes()),
            Self::Clear => Some([0; 32]),
        }
    }
}

impl<T: Copy> Change<T> {
    /// Returns the number to send; `None` if there is nothing to send. WireGuard takes 0 for an absent
    /// setting.
    pub fn number<N: From<T> + Default>(&self) -> Option<N> {
        match self {
            Self::Keep => None,
            Self::Set(value) => Some((*value).into()),
            Self::Clear => Some(N::default()),
        }
    }
}

/// Returns the difference between two settings of a tunnel.
pub fn delta(from: &Tunnel, to: &Tunnel) -> TunnelDelta {
    let mut delta = TunnelDelta {
        private_key: Change::between(from.private_key.as_ref(), to.private_key.as_ref()),
        port: Change::between(from.port.as_ref(), to.port.as_ref()),
        fwmark: Change::between(from.fwmark.as_ref(), to.fwmark.as_ref()),
        ..TunnelDelta::default()
    };
    for key in from.peers.keys() {
        if !to.peers.contains_key(key) {
            delta.removed.insert(*key);
        }
    }
    for (key, peer) in &to.peers {
        let Some(before) = from.peers.get(key) else {
            delta.added.insert(*key, peer.clone());
            continue;
        };
        let change = peer_delta(before, peer);
        if change != PeerDelta::default() {
            delta.changed.insert(*key, change);
        }
    }
    delta
}

impl PeerDelta {
    /// Returns the change that gives a new peer its settings.
    pub fn of_new(peer: &Peer) -> Self {
        Self {
            preshared_key: Change::between(None, peer.preshared_key.as_ref()),
            endpoint: peer.endpoint,
            keepalive: Change::between(None, peer.keepalive.as_ref()),
            allowed_ips: Some(peer.allowed_ips.clone()),
        }
    }
}

fn peer_delta(from: &Peer, to: &Peer) -> PeerDelta {
    PeerDelta {
        preshared_key: Change::between(from.preshared_key.as_ref(), to.preshared_key.as_ref()),
        endpoint: to.endpoint.filter(|_| from.endpoint != to.endpoint),
        keepalive: Change::between(from.keepalive.as_ref(), to.keepalive.as_ref()),
        allowed_ips: (from.allowed_ips != to.allowed_ips).then(|| to.allowed_ips.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(network: &str) -> Peer {
        Peer {
            preshared_key: None,
            endpoint: Some("192.0.2.1:51820".parse().unwrap()),
            keepalive: NonZeroU16::new(25),
            allowed_ips: SortedSet::from([network.parse().unwrap()]),
            alive: false,
        }
    }

    fn tunnel() -> Tunnel {
        let peers = [(1, "10.0.1.0/24"), (2, "10.0.2.0/24")];
        Tunnel {
            private_key: Some(Secret::new([7; 32])),
            port: NonZeroU16::new(51820),
            fwmark: NonZeroU32::new(1),
            peers: peers.map(|(n, network)| (PublicKey([n; 32]), peer(network))).into(),
        }
    }

    #[test]
    fn equal_settings_have_no_difference() {
        let mut other = tunnel();
        other.peers.get_mut(&PublicKey([1; 32])).unwrap().alive = true;
        assert_eq!(delta(&tunnel(), &other), TunnelDelta::default());
    }

    #[test]
    fn only_the_peer_that_differs_changes() {
        let mut to = tunnel();
        to.peers.get_mut(&PublicKey([2; 32])).unwrap().keepalive = None;
        let change = PeerDelta { keepalive: Change::Clear, ..PeerDelta::default() };
        let expected =
            TunnelDelta { changed: [(PublicKey([2; 32]), change)].into(), ..TunnelDelta::default() };
        assert_eq!(delta(&tunnel(), &to), expected);
    }

    #[test]
    fn an_endpoint_is_never_removed() {
        let mut to = tunnel();
        to.peers.get_mut(&PublicKey([2; 32])).unwrap().endpoint = None;
        assert_eq!(delta(&tunnel(), &to), TunnelDelta::default());
    }

    #[test]
    fn the_difference_to_an_empty_tunnel_holds_everything() {
        let there = delta(&Tunnel::default(), &tunnel());
        assert_eq!(there.added, tunnel().peers);
        assert_eq!((there.port.number(), there.fwmark.number()), (Some(51820_u16), Some(1_u32)));
        let back = delta(&tunnel(), &Tunnel::default());
        assert_eq!(back.removed.len(), 2);
        assert_eq!(back.private_key.bytes(), Some([0; 32]));
    }
}
