//! Addresses and numbers in bodies.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::MOST_ADDRESSES;

/// Length of an address with its port in bytes.
const ADDRESS: usize = 18;

/// Appends an address: an IPv6 address, or an IPv4 address mapped into IPv6 (RFC 4291 § 2.5.5.2), and a port.
/// No address is all zeros.
pub(super) fn put_address(body: &mut Vec<u8>, address: Option<SocketAddr>) {
    let (ip, port) = match address {
        None => (Ipv6Addr::UNSPECIFIED, 0),
        Some(SocketAddr::V4(v4)) => (v4.ip().to_ipv6_mapped(), v4.port()),
        Some(SocketAddr::V6(v6)) => (*v6.ip(), v6.port()),
    };
    body.extend(ip.octets());
    body.extend(port.to_be_bytes());
}

/// Appends the first of several addresses.
pub(super) fn put_addresses(body: &mut Vec<u8>, addresses: &[SocketAddr]) {
    for index in 0..MOST_ADDRESSES {
        put_address(body, addresses.get(index).copied());
    }
}

/// Returns an address, unless its place in the body is empty.
pub(super) fn given(address: SocketAddr) -> Option<SocketAddr> {
    Some(address).filter(|address| address.port() != 0)
}

/// Rest of a body.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl Reader<'_> {
    pub(super) fn take<const LENGTH: usize>(&mut self) -> Option<[u8; LENGTH]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    pub(super) fn number(&mut self) -> Option<u16> {
        self.take().map(u16::from_be_bytes)
    }

    /// Takes an address; its port is 0 if there is none.
    pub(super) fn address(&mut self) -> Option<SocketAddr> {
        let ip = IpAddr::from(self.take::<{ ADDRESS - 2 }>()?).to_canonical();
        Some(SocketAddr::new(ip, self.number()?))
    }

    pub(super) fn addresses(&mut self) -> Option<Vec<SocketAddr>> {
        let mut addresses = Vec::new();
        for _ in 0..MOST_ADDRESSES {
            addresses.extend(given(self.address()?));
        }
        Some(addresses)
    }
}
