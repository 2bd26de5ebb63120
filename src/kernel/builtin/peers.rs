//! Peers of a tunnel, by key, by number and by address.

use std::net::IpAddr;

use super::networks::Networks;
use super::peer::Peer;
use crate::base::net::PublicKey;
use crate::base::random;
use crate::base::sorted::SortedMap;

/// Peers of a tunnel.
#[derive(Default)]
pub(super) struct Peers {
    by_key: SortedMap<PublicKey, Box<Peer>>,
    by_index: SortedMap<u32, PublicKey>,
    networks: Networks,
}

impl Peers {
    /// Returns a number that no peer has. It is random, so that it does not tell how many peers there are.
    pub(super) fn free_index(&self) -> u32 {
        loop {
            let index = u32::from(random::bits()) << 8 | u32::from(random::bits() & 0xff);
            if !self.by_index.contains_key(&index) {
                return index;
            }
        }
    }

    /// Adds a peer, or replaces the peer with this key.
    pub(super) fn insert(&mut self, key: PublicKey, peer: Box<Peer>) {
        self.by_key.insert(key, peer);
    }

    /// Removes a peer, if there is one with this key.
    pub(super) fn remove(&mut self, key: &PublicKey) -> Option<Box<Peer>> {
        self.by_key.remove(key)
    }

    /// Takes note of the numbers and networks of all peers, after changes.
    pub(super) fn index(&mut self) {
        self.by_index = self.by_key.iter().map(|(key, peer)| (peer.index, *key)).collect();
        self.networks = Networks::default();
        for (key, peer) in &self.by_key {
            self.networks.add(*key, &peer.settings.allowed_ips);
        }
    }

    /// Returns the key of the peer to which packets for an address go, and from which packets may have this
    /// address as their source.
    pub(super) fn owner(&self, address: IpAddr) -> Option<PublicKey> {
        self.networks.owner(address)
    }

    /// Returns the key of the peer with a number. In messages, the number stands in front of 8 bits that
    /// count sessions.
    pub(super) fn with_index(&self, in_message: u32) -> Option<PublicKey> {
        self.by_index.get(&(in_message >> 8)).copied()
    }

    /// Returns a peer by its key.
    pub(super) fn get_mut(&mut self, key: &PublicKey) -> Option<&mut Peer> {
        self.by_key.get_mut(key).map(|peer| &mut **peer)
    }

    /// Returns all peers.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&PublicKey, &Peer)> {
        self.by_key.iter().map(|(key, peer)| (key, &**peer))
    }

    /// Returns all peers for modification.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Peer> {
        self.by_key.values_mut().map(|peer| &mut **peer)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Instant;

    use proptest::prelude::*;

    use super::super::peer::Identity;
    use super::*;
    use crate::state;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// A change is the key of a peer, and its network, or none if the peer is removed.
        #[test]
        fn peers_are_found_by_their_numbers_and_networks(
            changes in prop::collection::vec((0..8_u8, prop::option::of(0..8_u8)), 0..24),
        ) {
            let identity = Identity::new(&[1; 32]);
            let (mut peers, mut model) = (Peers::default(), BTreeMap::new());
            for (number, network) in changes {
                let key = PublicKey([number; 32]);
                if let Some(third) = network {
                    let settings = state::Peer {
                        preshared_key: None,
                        endpoint: None,
                        keepalive: None,
                        allowed_ips: [format!("10.0.{third}.0/24").parse().unwrap()].into(),
                        alive: false,
                    };
                    let index = peers.free_index();
                    prop_assert!(index < 1 << 24 && model.values().all(|(_, known)| *known != index));
                    peers.insert(key, Peer::new(key, settings, index, &identity, Instant::now()));
                    model.insert(key, (third, index));
                } else {
                    prop_assert_eq!(peers.remove(&key).is_some(), model.remove(&key).is_some());
                }
                peers.index();
                prop_assert!(peers.iter().map(|(key, peer)| (key, &peer.index)).eq(
                    model.iter().map(|(key, (_, index))| (key, index))
                ));
                for (key, (_, index)) in &model {
                    for session in [0, 1, 255] {
                        prop_assert_eq!(peers.with_index(index << 8 | session), Some(*key));
                    }
                    prop_assert_eq!(peers.get_mut(key).map(|peer| peer.index), Some(*index));
                }
                for third in 0..8 {
                    // Of two peers with one network, the one with the larger key has it.
                    let owner = model.iter().rev().find(|(_, (network, _))| *network == third);
                    prop_assert_eq!(peers.owner([10, 0, third, 9].into()), owner.map(|(key, _)| *key));
                }
            }
        }
    }
}
