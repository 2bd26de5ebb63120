//! The kernel's WireGuard: its generic netlink family (linux/wireguard.h).

pub(crate) mod decode;

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime};

use netlink_packet_core::Emitable;
use netlink_packet_wireguard::{
    WireguardAddressFamily, WireguardAllowedIp, WireguardAllowedIpAttr, WireguardAttribute, WireguardCmd,
    WireguardPeer, WireguardPeerAttribute as Attribute, WireguardPeerFlags as Flags,
};
use nix::errno::Errno;

use super::generic;
use super::message::Message;
use super::netlink::{Refusal, Socket, protocols};
use crate::base::error::{Context, Error, Result};
use crate::base::net::{Cidr, IfName, PublicKey};
use crate::base::sorted::SortedMap;
use crate::state::Tunnel;
use crate::state::tunnel_delta::{Change, PeerDelta, TunnelDelta};

/// Time for which a session can be used after its handshake (REJECT_AFTER_TIME in WireGuard's paper, § 6.1).
const SESSION: Duration = Duration::from_mins(3);

/// Number of allowed IPs in one peer attribute: an attribute is 64 kB at most, and one network takes up to 48
/// bytes.
const NETWORKS_AT_ONCE: usize = 1000;

/// Bytes of peers in one message, so that the attribute that holds them stays below 64 kB.
const PEER_BYTES_AT_ONCE: usize = 60_000;

/// Settings of a tunnel, and the statistics of its peers.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Settings of the tunnel.
    pub tunnel: Tunnel,
    /// Statistics of each peer.
    pub peers: SortedMap<PublicKey, PeerStatistics>,
}

/// Statistics of a peer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PeerStatistics {
    /// Address from which the peer was last heard, or at which it is dialled.
    pub endpoint: Option<SocketAddr>,
    /// Time at which the last handshake was completed.
    pub handshake: Option<SystemTime>,
    /// Bytes received from the peer, WireGuard's own included.
    pub received: u64,
    /// Bytes sent to the peer, WireGuard's own included.
    pub sent: u64,
}

impl PeerStatistics {
    /// Reports whether the peer has a session that can be used at `now`.
    pub fn alive(&self, now: SystemTime) -> bool {
        self.age(now).is_some_and(|age| age <= SESSION)
    }

    /// Returns the age of the last handshake; `None` if no handshake is known.
    pub fn age(&self, now: SystemTime) -> Option<Duration> {
        match now.duration_since(self.handshake?) {
            Ok(age) => Some(age),
            // If the clock was set back a little, the handshake was just now. If it was set back by more, the
            // age is unknown: a handshake that seems recent would seem recent for years. The next
            // handshake settles it.
            Err(error) => (error.duration() <= SESSION).then_some(Duration::ZERO),
        }
    }
}

/// A socket to the kernel's WireGuard.
pub struct WireGuard {
    socket: Socket,
    family: u16,
}

impl WireGuard {
    /// Opens a socket to the kernel's WireGuard; `None` if this kernel has no WireGuard.
    pub fn find() -> Result<Option<Self>> {
        let mut socket = Socket::open(protocols::NETLINK_GENERIC)?;
        let family = generic::find_family(&mut socket, "wireguard")
            .context(|| "cannot look for the kernel's WireGuard".to_owned())?;
        Ok(family.map(|family| Self { socket, family }))
    }

    /// Reads an interface. `now` decides which sessions are still usable.
    pub fn read(&mut self, name: &IfName, now: SystemTime) -> Result<Reading> {
        let question = self.message(WireguardCmd::GetDevice, &[named(name)]);
        let mut reading = self
            .socket
            .gather(question, decode::take_device)
            .context(|| format!("cannot read the WireGuard settings of {name}"))?;
        for (key, peer) in reading.tunnel.peers.iter_mut() {
            peer.alive = reading.peers.get(key).is_some_and(|statistics| statistics.alive(now));
        }
        Ok(reading)
    }

    /// Changes interfaces, all in one batch. Returns one result for each interface.
    pub fn change(&mut self, changes: &[(&IfName, TunnelDelta)]) -> Vec<Result<()>> {
        let mut messages = Vec::new();
        let mut owners = Vec::new();
        for (index, (name, delta)) in changes.iter().enumerate() {
            let parts = encode(name, delta);
            owners.extend(std::iter::repeat_n(index, parts.len()));
            let message = |part: &Vec<_>| self.message(WireguardCmd::SetDevice, part);
            messages.extend(parts.iter().map(message));
        }
        let mut results: Vec<Result<()>> = changes.iter().map(|_| Ok(())).collect();
        for (index, verdict) in owners.into_iter().zip(self.socket.batch(messages)) {
            if let Err(refusal) = verdict {
                results[index] = Err(explain(changes[index].0, refusal));
            }
        }
        results
    }

    fn message(&self, command: WireguardCmd, attributes: &[WireguardAttribute]) -> Message {
        Message::generic(self.family, command.into(), &attributes)
    }
}

fn explain(name: &IfName, refusal: Refusal) -> Error {
    let hint = match refusal.errno {
        Errno::EADDRINUSE => " (another program has its UDP port; `ss -ulpn` shows which)",
        _ => "",
    };
    Error::failed(format!("cannot change the WireGuard settings of {name}{hint}")).because(refusal)
}

fn named(name: &IfName) -> WireguardAttribute {
    WireguardAttribute::IfName(name.to_string())
}

/// Returns the messages that make a change: one, unless the change has thousands of networks.
fn encode(name: &IfName, delta: &TunnelDelta) -> Vec<Vec<WireguardAttribute>> {
    let mut messages = vec![vec![named(name)]];
    let device = &mut messages[0];
    device.extend(delta.private_key.bytes().map(WireguardAttribute::PrivateKey));
    device.extend(delta.port.number().map(WireguardAttribute::ListenPort));
    device.extend(delta.fwmark.number().map(WireguardAttribute::Fwmark));
    for (index, peers) in pack(encode_peers(delta)).into_iter().enumerate() {
        if index > 0 {
            messages.push(vec![named(name)]);
        }
        messages[index].push(WireguardAttribute::Peers(peers));
    }
    messages
}

/// Divides peers into groups that each fit into one message.
fn pack(peers: Vec<WireguardPeer>) -> Vec<Vec<WireguardPeer>> {
    let mut groups: Vec<Vec<WireguardPeer>> = Vec::new();
    let mut bytes = PEER_BYTES_AT_ONCE;
    for peer in peers {
        let length = peer.buffer_len();
        if bytes + length > PEER_BYTES_AT_ONCE {
            groups.push(Vec::new());
            bytes = 0;
        }
        bytes += length;
        groups.last_mut().expect("the first peer begins a group").push(peer);
    }
    groups
}

/// Returns the peers of a change. Removed peers come first: a network that moves from a removed peer to
/// another must not be taken away again.
fn encode_peers(delta: &TunnelDelta) -> Vec<WireguardPeer> {
    let mut peers: Vec<_> = delta.removed.iter().map(|key| keyed(*key, Flags::RemoveMe)).collect();
    for (key, peer) in &delta.added {
        let change = PeerDelta {
            preshared_key: peer.preshared_key.clone().map(Change::Set).unwrap_or_default(),
            endpoint: peer.endpoint,
            keepalive: peer.keepalive.into(),
            allowed_ips: Some(peer.allowed_ips.clone()),
        };
        peers.extend(encode_peer(*key, &change, Flags::empty()));
    }
    for (key, change) in &delta.changed {
        peers.extend(encode_peer(*key, change, Flags::UpdateOnly));
    }
    peers
}

/// Returns one peer, once for each thousand of its networks.
fn encode_peer(key: PublicKey, change: &PeerDelta, flags: Flags) -> Vec<WireguardPeer> {
    let replace = if change.allowed_ips.is_some() { Flags::ReplaceAllowedIps } else { Flags::empty() };
    let mut peers = vec![keyed(key, flags | replace)];
    let attributes = &mut peers[0].0;
    attributes.extend(change.preshared_key.bytes().map(Attribute::PresharedKey));
    attributes.extend(change.endpoint.map(Attribute::Endpoint));
    attributes.extend(change.keepalive.number().map(Attribute::PersistentKeepalive));
    let networks: Vec<_> =
        change.allowed_ips.iter().flatten().map(|network| encode_network(*network)).collect();
    for (index, part) in networks.chunks(NETWORKS_AT_ONCE).enumerate() {
        if index > 0 {
            peers.push(keyed(key, Flags::UpdateOnly));
        }
        peers[index].0.push(Attribute::AllowedIps(part.to_vec()));
    }
    peers
}

fn keyed(PublicKey(key): PublicKey, flags: Flags) -> WireguardPeer {
    WireguardPeer(vec![Attribute::PublicKey(key), Attribute::Flags(flags)])
}

fn encode_network(network: Cidr) -> WireguardAllowedIp {
    let family = match network.address() {
        IpAddr::V4(_) => WireguardAddressFamily::Ipv4,
        IpAddr::V6(_) => WireguardAddressFamily::Ipv6,
    };
    WireguardAllowedIp(vec![
        WireguardAllowedIpAttr::Family(family),
        WireguardAllowedIpAttr::IpAddr(network.address()),
        WireguardAllowedIpAttr::Cidr(network.length()),
    ])
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::num::{NonZeroU16, NonZeroU32};

    use super::*;
    use crate::base::net::Secret;
    use crate::kernel::message::GENERIC_HEADER;
    use crate::state::Peer;
    use crate::state::tunnel_delta::delta;

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
    fn keep(messages: &[Vec<WireguardAttribute>]) -> Tunnel {
        let mut reading = Reading::default();
        for message in messages {
            let mut payload = vec![0; GENERIC_HEADER + message.as_slice().buffer_len()];
            message.as_slice().emit(&mut payload[GENERIC_HEADER..]);
            decode::take_device(&mut reading, &payload);
        }
        reading.tunnel
    }

    fn encoded(from: &Tunnel, to: &Tunnel) -> Vec<Vec<WireguardAttribute>> {
        encode(&"to-paris".parse().unwrap(), &delta(from, to))
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
        assert!(messages.iter().all(|attributes| attributes.as_slice().buffer_len() < 1 << 16));
        assert_eq!(keep(&messages), wanted);
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
        assert_eq!(encoded(&from, &to), [[name, WireguardAttribute::Peers(vec![expected])]]);
    }

    #[test]
    fn a_peer_is_alive_for_three_minutes() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_hours(1);
        let alive = |age: u64| {
            let handshake = Some(now - Duration::from_secs(age));
            PeerStatistics { handshake, ..PeerStatistics::default() }.alive(now)
        };
        assert!(alive(0) && alive(180) && !alive(181));
        assert!(!PeerStatistics::default().alive(now));
    }

    #[test]
    fn a_clock_that_was_set_back_keeps_nobody_alive() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_hours(1);
        let age = |ahead: u64| {
            let handshake = Some(now + Duration::from_secs(ahead));
            PeerStatistics { handshake, ..PeerStatistics::default() }.age(now)
        };
        assert_eq!(age(5), Some(Duration::ZERO));
        assert_eq!(age(10 * 365 * 86_400), None);
    }
}
