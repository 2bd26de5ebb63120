//! Changes of a WireGuard interface, as the kernel reads them (linux/wireguard.h). Numbers are in the byte
//! order of the machine.
//!
//! `netlink_packet_wireguard` could write them, too, but from a vector for each list, in which keys would be
//! left behind.

use std::net::SocketAddr;

use nix::libc;

use super::constants::{allowed_ip, device, flags, peer};
use crate::base::net::{Cidr, Family, IfName, PublicKey};
use crate::kernel::attributes::AttributeWriter;
use crate::kernel::constant::of_16_bits;
use crate::state::tunnel_delta::{PeerDelta, TunnelDelta};

/// Number of allowed IPs in one peer attribute: an attribute is 64 kB at most, and one network takes up to 48
/// bytes.
const NETWORKS_AT_ONCE: usize = 1000;

/// Bytes of peers in one message, so that the attribute that holds them stays below 64 kB.
const PEER_BYTES_AT_ONCE: usize = 60_000;

/// Kind of the elements of a list, which have no kind of their own.
const ELEMENT: u16 = 0;

/// Returns the attribute that names an interface.
pub(super) fn named(name: &IfName) -> AttributeWriter {
    let mut message = AttributeWriter::default();
    message.text(device::IFNAME, name.as_str());
    message
}

/// Returns the messages that make a change: one, unless the change has thousands of networks.
pub(super) fn change(name: &IfName, delta: &TunnelDelta) -> Vec<AttributeWriter> {
    let mut message = named(name);
    if let Some(key) = delta.private_key.bytes() {
        message.bytes(device::PRIVATE_KEY, &key);
    }
    if let Some(port) = delta.port.number::<u16>() {
        message.bytes(device::LISTEN_PORT, &port.to_ne_bytes());
    }
    if let Some(mark) = delta.fwmark.number() {
        message.native_number(device::FWMARK, mark);
    }
    let mut messages = Vec::new();
    let mut list = AttributeWriter::default();
    for peer in peers(delta) {
        if list.written().len() + peer.written().len() > PEER_BYTES_AT_ONCE {
            message.nest(device::PEERS, |peers| peers.append(list.written()));
            messages.push(std::mem::replace(&mut message, named(name)));
            list = AttributeWriter::default();
        }
        list.append(peer.written());
    }
    if !list.written().is_empty() {
        message.nest(device::PEERS, |peers| peers.append(list.written()));
    }
    messages.push(message);
    messages
}

/// Returns the peers of a change. Removed peers come first: a network that moves from a removed peer to
/// another must not be taken away again.
fn peers(delta: &TunnelDelta) -> Vec<AttributeWriter> {
    let mut peers = Vec::new();
    for key in &delta.removed {
        peers.push(element(*key, flags::REMOVE_ME, &PeerDelta::default(), &[]));
    }
    for (key, peer) in &delta.added {
        put_peer(*key, 0, &PeerDelta::of_new(peer), &mut peers);
    }
    for (key, change) in &delta.changed {
        put_peer(*key, flags::UPDATE_ONLY, change, &mut peers);
    }
    peers
}

/// Adds one peer, once for each thousand of its networks.
fn put_peer(key: PublicKey, flags: u32, change: &PeerDelta, peers: &mut Vec<AttributeWriter>) {
    let Some(networks) = &change.allowed_ips else {
        peers.push(element(key, flags, change, &[]));
        return;
    };
    let networks: Vec<Cidr> = networks.iter().copied().collect();
    let (first, rest) = networks.split_at(networks.len().min(NETWORKS_AT_ONCE));
    peers.push(element(key, flags | flags::REPLACE_ALLOWEDIPS, change, first));
    for part in rest.chunks(NETWORKS_AT_ONCE) {
        peers.push(element(key, flags::UPDATE_ONLY, &PeerDelta::default(), part));
    }
}

/// Returns one peer of the list.
fn element(PublicKey(key): PublicKey, flags: u32, change: &PeerDelta, networks: &[Cidr]) -> AttributeWriter {
    let mut list = AttributeWriter::default();
    list.nest(ELEMENT, |attributes| {
        attributes.bytes(peer::PUBLIC_KEY, &key);
        attributes.native_number(peer::FLAGS, flags);
        if let Some(key) = change.preshared_key.bytes() {
            attributes.bytes(peer::PRESHARED_KEY, &key);
        }
        if let Some(endpoint) = change.endpoint {
            attributes.bytes(peer::ENDPOINT, &socket_address(endpoint));
        }
        if let Some(seconds) = change.keepalive.number::<u16>() {
            attributes.bytes(peer::PERSISTENT_KEEPALIVE_INTERVAL, &seconds.to_ne_bytes());
        }
        if !networks.is_empty() {
            attributes.nest(peer::ALLOWEDIPS, |list| {
                for network in networks {
                    list.nest(ELEMENT, |attributes| put_network(*network, attributes));
                }
            });
        }
    });
    list
}

fn put_network(network: Cidr, attributes: &mut AttributeWriter) {
    let family = family_number(network.family());
    attributes.bytes(allowed_ip::FAMILY, &family.to_ne_bytes());
    attributes.address(allowed_ip::IPADDR, network.address());
    attributes.bytes(allowed_ip::CIDR_MASK, &[network.length()]);
}

/// Returns a `struct sockaddr_in` or `sockaddr_in6`, as `decode` reads them.
fn socket_address(address: SocketAddr) -> Vec<u8> {
    let mut bytes = family_number(Family::of(address.ip())).to_ne_bytes().to_vec();
    bytes.extend(address.port().to_be_bytes());
    match address {
        SocketAddr::V4(address) => {
            bytes.extend(address.ip().octets());
            bytes.extend([0; 8]);
        }
        SocketAddr::V6(address) => {
            bytes.extend([0; 4]);
            bytes.extend(address.ip().octets());
            bytes.extend(address.scope_id().to_ne_bytes());
        }
    }
    bytes
}

fn family_number(family: Family) -> u16 {
    match family {
        Family::V4 => of_16_bits(libc::AF_INET),
        Family::V6 => of_16_bits(libc::AF_INET6),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::num::{NonZeroU16, NonZeroU32};

    use netlink_packet_core::Emitable as _;
    use netlink_packet_wireguard::{
        WireguardAddressFamily, WireguardAllowedIp, WireguardAllowedIpAttr, WireguardAttribute,
        WireguardPeer, WireguardPeerAttribute as Attribute, WireguardPeerFlags as Flags,
    };

    use super::*;
    use crate::base::net::Secret;
    use crate::kernel::message::GENERIC_HEADER;
    use crate::kernel::wireguard::{Reading, decode};
    use crate::state::tunnel_delta::delta;
    use crate::state::{Peer, Tunnel};

    fn peer(number: u8, networks: usize) -> Peer {
        let network = |n| Cidr::host(Ipv4Addr::from_bits(0x0a00_0000 + u32::try_from(n).unwrap()).into());
        Peer {
            preshared_key: (number % 2 == 1).then(|| Secret::new([number; 32])),
            endpoint: Some(format!("[2001:db8::{number}]:51820").parse().unwrap()),
            keepalive: NonZeroU16::new(25),
            allowed_ips: (0..networks).map(network).chain(["fd00::/64".parse().unwrap()]).collect(),
            alive: false,
        }
    }

    fn tunnel(peers: &[(u8, usize)]) -> Tunnel {
        Tunnel {
            private_key: Some(Secret::new([8; 32])),
            port: NonZeroU16::new(51820),
            fwmark: NonZeroU32::new(1 << 28),
            peers: peers
                .iter()
                .map(|(number, networks)| (PublicKey([*number; 32]), peer(*number, *networks)))
                .collect(),
        }
    }

    /// Returns the tunnel that the kernel would show after these messages, if it stored them unchanged.
    fn keep(messages: &[AttributeWriter]) -> Tunnel {
        let mut reading = Reading::default();
        for message in messages {
            decode::take_device(&mut reading, &[&[0; GENERIC_HEADER], message.written()].concat());
        }
        reading.tunnel
    }

    fn encoded(from: &Tunnel, to: &Tunnel) -> Vec<AttributeWriter> {
        change(&"to-paris".parse().unwrap(), &delta(from, to))
    }

    /// Returns the attributes as the library writes them.
    fn emitted(attributes: &[WireguardAttribute]) -> Vec<u8> {
        let mut bytes = vec![0; attributes.buffer_len()];
        attributes.emit(&mut bytes);
        bytes
    }

    #[test]
    fn what_is_sent_is_what_is_read() {
        let wanted = tunnel(&[(1, 1), (2, 3)]);
        let messages = encoded(&Tunnel::default(), &wanted);
        assert_eq!(messages.len(), 1);
        assert_eq!(keep(&messages), wanted);
    }

    #[test]
    fn thousands_of_networks_go_in_messages_that_fit() {
        let wanted = tunnel(&[(1, 5_000), (2, 700), (3, 1)]);
        let messages = encoded(&Tunnel::default(), &wanted);
        assert!(messages.len() > 1);
        assert!(messages.iter().all(|attributes| attributes.written().len() < 1 << 16));
        assert_eq!(keep(&messages), wanted);
    }

    #[test]
    fn a_change_is_written_as_by_the_library() {
        let (mut from, mut to) = (tunnel(&[(1, 1), (9, 0)]), tunnel(&[(1, 1), (2, 1), (3, 0)]));
        from.private_key = None;
        from.port = None;
        to.fwmark = None;
        to.peers.get_mut(&PublicKey([1; 32])).unwrap().keepalive = None;
        to.peers.get_mut(&PublicKey([3; 32])).unwrap().endpoint = Some("192.0.2.3:7".parse().unwrap());
        let network = |text: &str| {
            let network: Cidr = text.parse().unwrap();
            let family = match network.family() {
                Family::V4 => WireguardAddressFamily::Ipv4,
                Family::V6 => WireguardAddressFamily::Ipv6,
            };
            WireguardAllowedIp(vec![
                WireguardAllowedIpAttr::Family(family),
                WireguardAllowedIpAttr::IpAddr(network.address()),
                WireguardAllowedIpAttr::Cidr(network.length()),
            ])
        };
        let new = |key: [u8; 32], behind: Vec<Attribute>| {
            let front = [Attribute::PublicKey(key), Attribute::Flags(Flags::ReplaceAllowedIps)];
            WireguardPeer([front.to_vec(), behind].concat())
        };
        let peers = vec![
            WireguardPeer(vec![Attribute::PublicKey([9; 32]), Attribute::Flags(Flags::RemoveMe)]),
            new(
                [2; 32],
                vec![
                    Attribute::Endpoint("[2001:db8::2]:51820".parse().unwrap()),
                    Attribute::PersistentKeepalive(25),
                    Attribute::AllowedIps(vec![network("10.0.0.0"), network("fd00::/64")]),
                ],
            ),
            new(
                [3; 32],
                vec![
                    Attribute::PresharedKey([3; 32]),
                    Attribute::Endpoint("192.0.2.3:7".parse().unwrap()),
                    Attribute::PersistentKeepalive(25),
                    Attribute::AllowedIps(vec![network("fd00::/64")]),
                ],
            ),
            WireguardPeer(vec![
                Attribute::PublicKey([1; 32]),
                Attribute::Flags(Flags::UpdateOnly),
                Attribute::PersistentKeepalive(0),
            ]),
        ];
        let expected = [
            WireguardAttribute::IfName("to-paris".to_owned()),
            WireguardAttribute::PrivateKey([8; 32]),
            WireguardAttribute::ListenPort(51820),
            WireguardAttribute::Fwmark(0),
            WireguardAttribute::Peers(peers),
        ];
        let messages = encoded(&from, &to);
        assert_eq!(messages.len(), 1);
        assert_eq!(messages[0].written(), emitted(&expected));
    }

    #[test]
    fn only_the_peer_that_changes_is_named() {
        let (from, mut to) = (tunnel(&[(1, 1), (2, 1)]), tunnel(&[(1, 1), (2, 1)]));
        to.peers.get_mut(&PublicKey([2; 32])).unwrap().keepalive = None;
        let expected = WireguardPeer(vec![
            Attribute::PublicKey([2; 32]),
            Attribute::Flags(Flags::UpdateOnly),
            Attribute::PersistentKeepalive(0),
        ]);
        let name = WireguardAttribute::IfName("to-paris".to_owned());
        let messages = encoded(&from, &to);
        assert_eq!(messages.len(), 1);
        assert_eq!(messages[0].written(), emitted(&[name, WireguardAttribute::Peers(vec![expected])]));
    }
}
