//! Links between sites behind NAT: the packets by which two sites find each other, and the decisions on both
//! sides.
//!
//! A site with an `endpoint` is a *helper*: it tells other sites under which address it sees them, and under
//! which address it has seen the site that they look for. Questions leave from WireGuard's own ports, so the
//! addresses that the helper sees are the addresses of the tunnels. Two sites that know each other's
//! addresses send pings to them, which open the way through both NATs. Where that fails, the helper relays.

pub mod helper;
pub mod mapping;
pub mod packet;
pub mod seal;
pub mod search;
#[cfg(test)]
mod simulation;
pub mod words;

use std::net::{IpAddr, SocketAddr};

/// Distance from a helper's `port` to the port at which it answers questions.
pub const HELPER_OFFSET: u16 = 255;

/// Distance from a helper's `port` to its first relay port.
pub const RELAY_OFFSET: u16 = 256;

/// Number of relay ports of a helper. It is a prime number above the largest id, so that the sums of a site's
/// id and its peers' ids differ.
pub const RELAY_PORTS: u16 = 251;

/// Returns the port at which a helper with this `port` answers questions; `None` if there is no such port.
pub fn helper_port(port: u16) -> Option<u16> {
    port.checked_add(HELPER_OFFSET)
}

/// Returns the port at which a helper with this `port` relays the link between the sites with these ids;
/// `None` if there is no such port. A site has another relay port for each of its peers, so that its address
/// and the relay port tell the link.
pub fn relay_port(port: u16, one: u8, other: u8) -> Option<u16> {
    port.checked_add(RELAY_OFFSET)?.checked_add((u16::from(one) + u16::from(other)) % RELAY_PORTS)
}

/// Reports whether an address is one of a home's own network, or of a carrier's network behind its NAT
/// (RFC 1918, RFC 6598, RFC 4193).
pub fn is_home_address(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(ip) => ip.is_private() || ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64,
        IpAddr::V6(ip) => ip.is_unique_local(),
    }
}

/// Returns an address without its port. Never inlined: its bytes have no alignment, so a copy of them takes a
/// hundred bytes of code.
#[inline(never)]
pub fn ip_of(address: &SocketAddr) -> IpAddr {
    address.ip()
}

/// Reports whether two addresses differ in their ports at most.
#[inline(never)]
pub fn are_of_one_ip(one: &SocketAddr, other: &SocketAddr) -> bool {
    ip_of(one) == ip_of(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::sorted::SortedSet;

    #[test]
    fn a_site_has_another_relay_port_for_each_peer() {
        for site in [1, 2, 250] {
            let peers = (1..=250).filter(|peer| *peer != site);
            let ports: SortedSet<_> = peers.map(|peer| relay_port(51820, site, peer).unwrap()).collect();
            assert_eq!(ports.len(), 249);
        }
        assert_eq!(relay_port(51820, 1, 2), relay_port(51820, 2, 1), "both ends derive the same port");
    }

    #[test]
    fn ports_end_at_65535() {
        assert_eq!(helper_port(65_280), Some(65_535));
        assert_eq!(helper_port(65_281), None);
        assert_eq!(relay_port(65_277, 1, 1), Some(65_535));
        assert_eq!(relay_port(65_277, 1, 2), None);
    }
}
