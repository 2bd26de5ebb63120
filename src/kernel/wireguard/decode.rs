//! The kernel's answers about a WireGuard interface, read in place: linux/wireguard.h. Numbers are in the
//! machine's byte order.
//!
//! `netlink_packet_wireguard` could read them, too, but with a vector for each list, and with keys left
//! behind in them.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::num::{NonZeroU16, NonZeroU32};
use std::time::{Duration, SystemTime};

use super::Reading;
use super::constants::{allowed_ip, device, peer};
use crate::base::net::{Cidr, PublicKey, Secret};
use crate::base::sorted::SortedSet;
use crate::kernel::attributes::{self, Attributes};
use crate::kernel::generic;
use crate::state::Peer;

/// Adds one message about an interface: the first message has the settings, and each message has some of the
/// peers.
pub(crate) fn take_device(reading: &mut Reading, payload: &[u8]) {
    for (kind, value) in generic::attributes(payload).iter() {
        match kind {
            device::PRIVATE_KEY => reading.tunnel.private_key = secret(value),
            device::LISTEN_PORT => reading.tunnel.port = short(value),
            device::FWMARK => {
                reading.tunnel.fwmark =
                    bytes(value).and_then(|bytes| NonZeroU32::new(u32::from_ne_bytes(bytes)));
            }
            device::PEERS => {
                for peer in Attributes::of(value).elements() {
                    take_peer(reading, peer);
                }
            }
            _ => {}
        }
    }
}

/// Adds a peer, or a part of one: a peer with many networks comes in several parts, the first of which has
/// everything else.
fn take_peer(reading: &mut Reading, attributes: Attributes) {
    let Some(key) = attributes.bytes(peer::PUBLIC_KEY).and_then(bytes).map(PublicKey) else { return };
    let peer = reading.tunnel.peers.get_or_insert_with(key, without_settings);
    let statistics = reading.peers.get_or_default(key);
    for (kind, value) in attributes.iter() {
        match kind {
            peer::PRESHARED_KEY => peer.preshared_key = secret(value),
            peer::ENDPOINT => {
                peer.endpoint = endpoint(value);
                statistics.endpoint = peer.endpoint;
            }
            peer::PERSISTENT_KEEPALIVE_INTERVAL => peer.keepalive = short(value),
            peer::LAST_HANDSHAKE_TIME => statistics.handshake = moment(value),
            peer::RX_BYTES => statistics.received = bytes(value).map_or(0, u64::from_ne_bytes),
            peer::TX_BYTES => statistics.sent = bytes(value).map_or(0, u64::from_ne_bytes),
            peer::ALLOWEDIPS => {
                peer.allowed_ips.extend(Attributes::of(value).elements().filter_map(network));
            }
            _ => {}
        }
    }
}

/// Returns a peer without any settings.
pub(crate) fn without_settings() -> Peer {
    Peer { preshared_key: None, endpoint: None, keepalive: None, allowed_ips: SortedSet::new(), alive: false }
}

fn network(attributes: Attributes) -> Option<Cidr> {
    let [length] = *attributes.bytes(allowed_ip::CIDR_MASK)? else { return None };
    Cidr::new(attributes::address(attributes.bytes(allowed_ip::IPADDR)?)?, length)
}

/// Reads a `struct sockaddr_in` (16 bytes) or `sockaddr_in6` (28 bytes): family, port, then the address
/// behind 0 or 4 bytes of flow label, and IPv6's scope. Ports and addresses are in the network's byte order.
fn endpoint(value: &[u8]) -> Option<SocketAddr> {
    let port = u16::from_be_bytes(bytes(value.get(2..)?)?);
    match value.len() {
        16 => Some(SocketAddr::new(IpAddr::from(bytes::<4>(&value[4..])?), port)),
        28 => {
            let scope = u32::from_ne_bytes(bytes(&value[24..])?);
            Some(SocketAddrV6::new(bytes::<16>(&value[8..])?.into(), port, 0, scope).into())
        }
        _ => None,
    }
}

/// Reads a number of 16 bits; 0 means that the setting is absent.
fn short(value: &[u8]) -> Option<NonZeroU16> {
    NonZeroU16::new(u16::from_ne_bytes(bytes(value)?))
}

/// Reads a key; all zeros mean that there is no key.
fn secret(value: &[u8]) -> Option<Secret> {
    bytes(value).filter(|bytes| *bytes != [0; 32]).map(Secret::new)
}

/// Reads a time since 1970, `struct __kernel_timespec`: seconds and nanoseconds of 64 bits each. Zero
/// means never.
fn moment(value: &[u8]) -> Option<SystemTime> {
    let seconds = i64::from_ne_bytes(bytes(value)?);
    let nanoseconds = i64::from_ne_bytes(bytes(value.get(8..)?)?);
    let since = Duration::new(u64::try_from(seconds).ok()?, u32::try_from(nanoseconds).ok()?);
    SystemTime::UNIX_EPOCH.checked_add(since).filter(|_| !since.is_zero())
}

/// Returns the first bytes of a value.
fn bytes<const LENGTH: usize>(value: &[u8]) -> Option<[u8; LENGTH]> {
    value.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_beyond_all_time_is_none() {
        let told = |seconds: i64, nanoseconds: i64| {
            moment(&[seconds.to_ne_bytes(), nanoseconds.to_ne_bytes()].concat())
        };
        assert_eq!(told(0, 0), None);
        assert_eq!(told(1, 0), Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1)));
        assert_eq!(told(i64::MAX, i64::from(u32::MAX)), None);
        assert_eq!(told(-1, 0), None);
    }
}
