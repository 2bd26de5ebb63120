//! Allowed IPs: which peer a packet goes to, and which peer it may come from.

use std::net::IpAddr;

use crate::base::net::{Cidr, PublicKey};
use crate::base::sorted::{SortedMap, SortedSet};

/// Peers by their networks.
///
/// An address is looked up once for each prefix length, the longest first. The networks of a tunnel have a
/// few lengths, often one: this takes about as long as a walk down a tree.
#[derive(Debug, Default)]
pub(super) struct Networks {
    owners: SortedMap<Cidr, PublicKey>,
    /// Prefix lengths of these networks, the longest first.
    lengths: Vec<u8>,
}

impl Networks {
    /// Adds the networks of a peer. A network that belonged to another peer changes its owner.
    pub(super) fn add(&mut self, peer: PublicKey, networks: &SortedSet<Cidr>) {
        for network in networks {
            self.owners.insert(*network, peer);
            let length = network.length();
            let at = self.lengths.partition_point(|longer| *longer > length);
            if self.lengths.get(at) != Some(&length) {
                self.lengths.insert(at, length);
            }
        }
    }

    /// Returns the peer with the smallest network that contains an address.
    pub(super) fn owner(&self, address: IpAddr) -> Option<PublicKey> {
        for length in &self.lengths {
            // IPv4 has no networks of the lengths beyond 32.
            let Some(network) = Cidr::new(address, *length) else { continue };
            if let Some(owner) = self.owners.get(&network) {
                return Some(*owner);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn address() -> impl Strategy<Value = IpAddr> {
        let byte = || prop_oneof![Just(0_u8), Just(1), Just(128), Just(255)];
        prop_oneof![
            [byte(), byte(), byte(), byte()].prop_map(IpAddr::from),
            [byte(), byte()].prop_map(|[first, last]| {
                let mut bytes = [0; 16];
                (bytes[0], bytes[15]) = (first, last);
                IpAddr::from(bytes)
            }),
        ]
    }

    /// Networks that often contain each other.
    fn network() -> impl Strategy<Value = Cidr> {
        (address(), 0..=128_u8).prop_map(|(address, length)| {
            let longest = if address.is_ipv4() { 33 } else { 129 };
            Cidr::new(address, length % longest).unwrap()
        })
    }

    proptest! {
        #[test]
        fn an_address_belongs_to_the_last_owner_of_its_smallest_network(
            peers in prop::collection::vec(prop::collection::vec(network(), 0..12), 0..8),
            addresses in prop::collection::vec(address(), 1..20),
        ) {
            let (mut networks, mut list) = (Networks::default(), Vec::new());
            for (number, of_peer) in peers.into_iter().enumerate() {
                let key = PublicKey([u8::try_from(number).unwrap(); 32]);
                networks.add(key, &of_peer.iter().copied().collect());
                list.extend(of_peer.into_iter().map(|network| (network, key)));
            }
            for address in addresses {
                let around = list.iter().filter(|(network, _)| network.contains(address));
                // Of equal lengths, `max_by_key` returns the last one.
                let expected = around.max_by_key(|(network, _)| network.length()).map(|(_, key)| *key);
                prop_assert_eq!(networks.owner(address), expected);
            }
        }
    }
}
