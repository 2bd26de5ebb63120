//! The part of ip_network_table that boringtun uses: values of networks, and the value of the smallest
//! network that contains an address.
//!
//! The networks of each prefix length are a sorted list. A tunnel has networks of a few lengths, often of
//! one: a search in each list, the longest prefix first, takes about as long as a walk down a tree.

use std::net::IpAddr;

use ip_network::IpNetwork;

/// Values of networks.
#[derive(Debug, Clone)]
pub struct IpNetworkTable<T>(Vec<OfLength<T>>);

/// Values of the networks of one length, in the order of the addresses. The longest length comes first.
#[derive(Debug, Clone)]
struct OfLength<T> {
    length: u8,
    networks: Vec<(IpNetwork, T)>,
}

impl<T> IpNetworkTable<T> {
    /// Returns an empty table.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Sets the value of a network, and returns its old value.
    pub fn insert(&mut self, network: IpNetwork, value: T) -> Option<T> {
        let length = network.netmask();
        let at = self.0.partition_point(|list| list.length > length);
        if self.0.get(at).is_none_or(|list| list.length != length) {
            self.0.insert(at, OfLength { length, networks: Vec::new() });
        }
        let list = &mut self.0[at];
        match list.find(network) {
            Ok(at) => Some(std::mem::replace(&mut list.networks[at].1, value)),
            Err(at) => {
                list.networks.insert(at, (network, value));
                None
            }
        }
    }

    /// Returns the smallest network that contains an address, and its value.
    pub fn longest_match(&self, address: IpAddr) -> Option<(IpNetwork, &T)> {
        for list in &self.0 {
            // IPv4 has no networks of the lengths beyond 32.
            let Ok(network) = IpNetwork::new_truncate(address, list.length) else { continue };
            if let Ok(at) = list.find(network) {
                return Some((network, &list.networks[at].1));
            }
        }
        None
    }

    /// Returns the networks and their values.
    pub fn iter(&self) -> impl Iterator<Item = (IpNetwork, &T)> {
        self.0.iter().flat_map(|list| &list.networks).map(|(network, value)| (*network, value))
    }

    /// Removes the networks for which `keep` returns false.
    pub fn retain(&mut self, mut keep: impl FnMut(IpNetwork, &mut T) -> bool) {
        for list in &mut self.0 {
            list.networks.retain_mut(|(network, value)| keep(*network, value));
        }
        self.0.retain(|list| !list.networks.is_empty());
    }
}

impl<T> Default for IpNetworkTable<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> OfLength<T> {
    /// Returns the index of a network, or the index at which to insert it.
    fn find(&self, network: IpNetwork) -> Result<usize, usize> {
        self.networks.binary_search_by(|(known, _)| known.network_address().cmp(&network.network_address()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Networks that often contain each other.
    fn network() -> impl Strategy<Value = IpNetwork> {
        (address(), 0..=128_u8).prop_map(|(address, length)| {
            let longest = if address.is_ipv4() { 33 } else { 129 };
            IpNetwork::new_truncate(address, length % longest).unwrap()
        })
    }

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

    fn contains(network: IpNetwork, address: IpAddr) -> bool {
        match (network, address) {
            (IpNetwork::V4(network), IpAddr::V4(address)) => network.contains(address),
            (IpNetwork::V6(network), IpAddr::V6(address)) => network.contains(address),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn a_table_finds_the_smallest_network(
            networks in prop::collection::vec(network(), 0..40),
            addresses in prop::collection::vec(address(), 1..20),
            part in 1..5_usize,
        ) {
            let (mut table, mut list) = (IpNetworkTable::new(), Vec::<(IpNetwork, usize)>::new());
            for (value, network) in networks.into_iter().enumerate() {
                let known = list.iter().position(|(known, _)| *known == network).map(|at| list.remove(at).1);
                prop_assert_eq!(table.insert(network, value), known);
                list.push((network, value));
            }
            for _ in 0..2 {
                for address in &addresses {
                    let around = list.iter().filter(|(network, _)| contains(*network, *address));
                    let expected = around.max_by_key(|(network, _)| network.netmask());
                    prop_assert_eq!(
                        table.longest_match(*address),
                        expected.map(|(network, value)| (*network, value))
                    );
                }
                let mut all: Vec<_> = table.iter().map(|(network, value)| (network, *value)).collect();
                all.sort_unstable_by_key(|(_, value)| *value);
                prop_assert_eq!(&all, &list);
                table.retain(|_, value| !value.is_multiple_of(part));
                list.retain(|(_, value)| !value.is_multiple_of(part));
            }
        }
    }
}
