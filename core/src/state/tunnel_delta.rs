//! What to send to WireGuard so that one tunnel becomes another, and no session is touched that need not be.

use std::net::SocketAddr;

use crate::base::net::{Cidr, PublicKey, Secret};
use crate::base::sorted::{SortedMap, SortedSet};
use crate::state::{Peer, Tunnel};

/// The difference between two settings of a tunnel: only what is named here changes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct TunnelDelta {
    /// The new key; [`KeyChange::Clear`] when the interface is about to go.
    pub private_key: KeyChange,
    /// The new port; changing it moves the socket.
    pub port: Option<u16>,
    /// The new mark; 0 = none.
    pub fwmark: Option<u32>,
    /// Peers that go.
    pub removed: SortedSet<PublicKey>,
    /// Peers that come.
    pub added: SortedMap<PublicKey, Peer>,
    /// Peers that stay and differ.
    pub changed: SortedMap<PublicKey, PeerDelta>,
}

/// What changes about a peer that stays.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct PeerDelta {
    /// Its pre-shared key; counts from the next handshake on.
    pub preshared_key: KeyChange,
    /// Where it is dialled from now on. An endpoint cannot be taken away, only replaced.
    pub endpoint: Option<SocketAddr>,
    /// Seconds; 0 = off.
    pub keepalive: Option<u16>,
    /// All of them, in place of those it had.
    pub allowed_ips: Option<SortedSet<Cidr>>,
}

/// What happens to a key.
#[derive(Debug, Default, PartialEq, Eq)]
pub enum KeyChange {
    /// Nothing.
    #[default]
    Keep,
    /// It becomes this one.
    Set(Secret),
    /// It is taken away.
    Clear,
}

impl KeyChange {
    fn between(from: Option<&Secret>, to: Option<&Secret>) -> Self {
        match to {
            _ if from == to => Self::Keep,
            Some(key) => Self::Set(key.clone()),
            None => Self::Clear,
        }
    }

    /// The bytes to send, if anything is to be sent: WireGuard takes all zeros for "no key".
    pub fn bytes(&self) -> Option<[u8; 32]> {
        match self {
            Self::Keep => None,
            Self::Set(key) => Some(*key.bytes()),
            Self::Clear => Some([0; 32]),
        }
    }
}

/// What leads from one setting to the other.
pub fn delta(from: &Tunnel, to: &Tunnel) -> TunnelDelta {
    let stays = |(key, peer): (&PublicKey, &Peer)| {
        let before = from.peers.get(key)?;
        let change = peer_delta(before, peer);
        (change != PeerDelta::default()).then_some((*key, change))
    };
    TunnelDelta {
        private_key: KeyChange::between(from.private_key.as_ref(), to.private_key.as_ref()),
        port: changed(&from.port, &to.port),
        fwmark: changed(&from.fwmark, &to.fwmark),
        removed: from.peers.keys().filter(|key| !to.peers.contains_key(key)).copied().collect(),
        added: to
            .peers
            .iter()
            .filter(|(key, _)| !from.peers.contains_key(key))
            .map(|(key, peer)| (*key, peer.clone()))
            .collect(),
        changed: to.peers.iter().filter_map(stays).collect(),
    }
}

impl PeerDelta {
    /// All that a new peer has.
    pub fn of_new(peer: &Peer) -> Self {
        let preshared_key = KeyChange::between(None, peer.preshared_key.as_ref());
        let (keepalive, allowed_ips) =
            (Some(peer.keepalive).filter(|seconds| *seconds > 0), peer.allowed_ips.clone());
        Self { preshared_key, endpoint: peer.endpoint, keepalive, allowed_ips: Some(allowed_ips) }
    }
}

fn peer_delta(from: &Peer, to: &Peer) -> PeerDelta {
    PeerDelta {
        preshared_key: KeyChange::between(from.preshared_key.as_ref(), to.preshared_key.as_ref()),
        endpoint: to.endpoint.filter(|_| from.endpoint != to.endpoint),
        keepalive: changed(&from.keepalive, &to.keepalive),
        allowed_ips: changed(&from.allowed_ips, &to.allowed_ips),
    }
}

fn changed<T: PartialEq + Clone>(from: &T, to: &T) -> Option<T> {
    (from != to).then(|| to.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(network: &str) -> Peer {
        Peer {
            preshared_key: None,
            endpoint: Some("192.0.2.1:51820".parse().unwrap()),
            keepalive: 25,
            allowed_ips: SortedSet::from([network.parse().unwrap()]),
            alive: false,
        }
    }

    fn tunnel() -> Tunnel {
        let peers = [(1, "10.0.1.0/24"), (2, "10.0.2.0/24")];
        Tunnel {
            private_key: Some(Secret::new([7; 32])),
            port: 51820,
            fwmark: 1,
            peers: peers.map(|(n, network)| (PublicKey([n; 32]), peer(network))).into(),
        }
    }

    #[test]
    fn nothing_changes_nothing() {
        let mut other = tunnel();
        other.peers.get_mut(&PublicKey([1; 32])).unwrap().alive = true;
        assert_eq!(delta(&tunnel(), &other), TunnelDelta::default());
    }

    #[test]
    fn one_peer_is_changed_and_the_other_left_alone() {
        let mut to = tunnel();
        to.peers.get_mut(&PublicKey([2; 32])).unwrap().keepalive = 0;
        let change = PeerDelta { keepalive: Some(0), ..PeerDelta::default() };
        let expected =
            TunnelDelta { changed: [(PublicKey([2; 32]), change)].into(), ..TunnelDelta::default() };
        assert_eq!(delta(&tunnel(), &to), expected);
    }

    #[test]
    fn an_endpoint_is_not_taken_away() {
        let mut to = tunnel();
        to.peers.get_mut(&PublicKey([2; 32])).unwrap().endpoint = None;
        assert_eq!(delta(&tunnel(), &to), TunnelDelta::default());
    }

    #[test]
    fn from_nothing_and_back() {
        let there = delta(&Tunnel::default(), &tunnel());
        assert_eq!(there.added, tunnel().peers);
        assert_eq!((there.port, there.fwmark), (Some(51820), Some(1)));
        let back = delta(&tunnel(), &Tunnel::default());
        assert_eq!(back.removed.len(), 2);
        assert_eq!(back.private_key.bytes(), Some([0; 32]));
    }
}
