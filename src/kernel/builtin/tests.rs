//! Tunnels on loopback, with a pair of sockets in the place of each tun device: a packet is a datagram.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::num::NonZeroU16;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use defguard_boringtun::noise::{Tunn, TunnResult};
use defguard_boringtun::x25519;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use proptest::prelude::*;

use super::device::Device;
use super::offload_tests::{sample, split};
use super::split::HEADER;
use super::tunnel::{Room, Tunnel};
use crate::base::keys::{clamped, public_key};
use crate::base::net::{Family, PublicKey, Secret};
use crate::kernel::wireguard::PeerStatistics;
use crate::state::{Peer, Tunnel as Settings};
use crate::system::loopback;

/// A tunnel, and the host behind its interface.
struct Site {
    tunnel: Tunnel,
    host: UnixDatagram,
    settings: Settings,
}

static ROOM: Mutex<Room> = Mutex::new(Room::new());

fn room() -> MutexGuard<'static, Room> {
    ROOM.lock().unwrap_or_else(PoisonError::into_inner)
}

fn private(number: u8) -> Secret {
    clamped(&Secret::new([number; 32]))
}

fn public(number: u8) -> PublicKey {
    public_key(&private(number))
}

/// Address of a site inside the tunnels.
fn inner(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 99, 0, number)
}

/// A packet of IPv4 from one site to another, with a number in it.
fn packet(from: Ipv4Addr, to: Ipv4Addr, number: u8) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 24, 0, 0, 0, 0, 64, 17, 0, 0];
    packet.extend(from.octets());
    packet.extend(to.octets());
    packet.extend([number; 4]);
    packet
}

impl Site {
    /// A site with a tunnel to others, which it does not dial.
    fn new(number: u8, others: &[u8]) -> Self {
        Self::with(number, others, false, true)
    }

    /// A site on a kernel with these abilities.
    fn with(number: u8, others: &[u8], has_headers: bool, batches: bool) -> Self {
        loopback::bring_up();
        let (device, host) = UnixDatagram::pair().unwrap();
        device.set_nonblocking(true).unwrap();
        host.set_nonblocking(true).unwrap();
        let device = Device { file: File::from(OwnedFd::from(device)), has_headers };
        let mut tunnel = Tunnel::new(&"portals-test".parse().unwrap(), device, None);
        tunnel.batches = batches;
        let peer = |other: &u8| {
            let peer = Peer {
                preshared_key: Some(Secret::new([number ^ other; 32])),
                endpoint: None,
                keepalive: None,
                allowed_ips: [format!("{}/32", inner(*other)).parse().unwrap()].into(),
                alive: false,
            };
            (public(*other), peer)
        };
        let settings = Settings {
            private_key: Some(private(number)),
            peers: others.iter().map(peer).collect(),
            ..Settings::default()
        };
        let mut site = Self { tunnel, host, settings: Settings::default() };
        site.change(settings);
        site
    }

    fn change(&mut self, to: Settings) -> bool {
        let from = std::mem::replace(&mut self.settings, to);
        self.tunnel.change(&from, &self.settings).unwrap()
    }

    /// Changes the peer with this number.
    fn change_peer(&mut self, number: u8, change: impl FnOnce(&mut Peer)) {
        let mut to = self.settings.clone();
        change(to.peers.get_mut(&public(number)).unwrap());
        self.change(to);
    }

    fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.tunnel.sockets.as_ref().unwrap().port()).into()
    }

    fn peer(&self, number: u8) -> PeerStatistics {
        self.tunnel.read(SystemTime::now()).peers[&public(number)]
    }

    /// Sends a packet from the host into the tunnel.
    fn send(&mut self, packet: &[u8]) {
        self.host.send(packet).unwrap();
        self.tunnel.send(Instant::now(), &mut room());
    }

    /// Waits for messages from the network, and takes them.
    fn receive(&mut self) {
        let socket = self.tunnel.sockets.as_ref().unwrap().of(Family::V4).unwrap();
        let mut waits = [PollFd::new(std::os::fd::AsFd::as_fd(socket), PollFlags::POLLIN)];
        assert_eq!(poll(&mut waits, PollTimeout::from(60_000_u16)), Ok(1), "a message comes");
        self.tunnel.receive(Family::V4, Instant::now(), &mut room());
    }

    /// Packets that have come out of the tunnel.
    fn came(&self) -> Vec<Vec<u8>> {
        let mut piece = vec![0; 1 << 17];
        let next = || self.host.recv(&mut piece).ok().map(|length| piece[..length].to_vec());
        std::iter::from_fn(next).collect()
    }
}

/// Two sites with a session. The packet that began it has arrived.
fn with_session() -> (Site, Site) {
    session(Site::new(1, &[2, 3]), Site::new(2, &[1]))
}

fn session(mut one: Site, mut other: Site) -> (Site, Site) {
    let address = other.address();
    one.change_peer(2, |peer| peer.endpoint = Some(address));
    let first = packet(inner(1), inner(2), 0);
    let header = if one.tunnel.device.has_headers { &[0; HEADER][..] } else { &[] };
    one.send(&[header, &first].concat());
    other.receive();
    one.receive();
    other.receive();
    if other.came().is_empty() {
        // The keepalive came alone.
        other.receive();
    }
    (one, other)
}

#[test]
fn the_packet_that_begins_a_session_waits_for_it_and_both_directions_are_counted() {
    let (mut one, mut other) = (Site::new(1, &[2]), Site::new(2, &[1]));
    let address = other.address();
    one.change_peer(2, |peer| peer.endpoint = Some(address));
    for number in 0..3 {
        one.send(&packet(inner(1), inner(2), number));
    }
    assert_eq!(one.peer(2).sent, 148, "the first message of a handshake");
    other.receive();
    one.receive();
    let mut came = Vec::new();
    while came.len() < 3 {
        other.receive();
        came.extend(other.came());
    }
    assert_eq!(came, [0, 1, 2].map(|number| packet(inner(1), inner(2), number)));
    // In addition, a keepalive and three packets, each in an envelope of 32 bytes, of which 16 count when
    // they come.
    let counted = (one.peer(2).sent, other.peer(1).received);
    assert_eq!(counted, (148 + 4 * 32 + 3 * 24, 148 + 4 * 16 + 3 * 24));
    assert_eq!((one.peer(2).received, other.peer(1).sent), (92, 92), "the second message");
    assert_eq!(other.peer(1).endpoint, Some(one.address()));
    other.send(&packet(inner(2), inner(1), 9));
    one.receive();
    assert_eq!(one.came(), [packet(inner(2), inner(1), 9)]);
    assert!(one.peer(2).alive(SystemTime::now()) && other.peer(1).alive(SystemTime::now()));
}

#[test]
fn a_packet_from_an_address_of_another_peer_is_dropped() {
    let (mut one, mut other) = with_session();
    let third = Site::new(3, &[1]);
    other.change_peer(1, |peer| peer.allowed_ips = ["0.0.0.0/0".parse().unwrap()].into());
    for from in [inner(3), Ipv4Addr::new(192, 0, 2, 1), inner(2)] {
        other.send(&packet(from, inner(1), 7));
    }
    one.receive();
    while one.peer(2).received < other.peer(1).sent - 3 * 16 {
        one.receive();
    }
    assert_eq!(one.came(), [packet(inner(2), inner(1), 7)]);
    drop(third);
}

#[test]
fn a_peer_that_roams_is_followed() {
    let (mut one, mut other) = with_session();
    let before = one.address();
    let mut to = one.settings.clone();
    to.port = NonZeroU16::new(UdpSocket::bind("0.0.0.0:0").unwrap().local_addr().unwrap().port());
    assert!(one.change(to));
    assert_ne!(one.address(), before);
    one.send(&packet(inner(1), inner(2), 5));
    other.receive();
    assert_eq!(other.came(), [packet(inner(1), inner(2), 5)], "the session goes on");
    assert_eq!(other.peer(1).endpoint, Some(one.address()));
}

#[test]
fn only_a_peer_that_changes_in_more_than_networks_and_endpoint_begins_anew() {
    let (mut one, _other) = with_session();
    let is_alive = |site: &Site| site.peer(2).alive(SystemTime::now());
    one.change_peer(2, |peer| assert!(peer.allowed_ips.insert("10.98.0.0/16".parse().unwrap())));
    one.change_peer(3, |peer| peer.keepalive = NonZeroU16::new(9));
    let endpoint = one.peer(2).endpoint;
    let elsewhere = "127.0.0.9:9".parse().ok();
    one.change_peer(2, |peer| peer.endpoint = elsewhere);
    assert_eq!(one.peer(2).endpoint, elsewhere);
    one.change_peer(2, |peer| peer.endpoint = endpoint);
    assert!(is_alive(&one));
    one.change_peer(2, |peer| (peer.endpoint, peer.keepalive) = (None, NonZeroU16::new(25)));
    assert!(!is_alive(&one));
    assert_eq!(one.peer(2).endpoint, endpoint, "the address is still known");
}

/// Each end may have a kernel that knows large packets, large messages, both or none.
#[test]
fn data_passes_between_kernels_of_all_abilities() {
    let size = 1300;
    let mut large = sample();
    // A pair of sockets has room for ten packets.
    large.payload = (0..3000_u32).flat_map(u32::to_le_bytes).take(8 * size - 100).collect();
    for abilities in 0..32 {
        let is = |bit: u8| abilities & 1 << bit != 0;
        large.v6 = is(4);
        let (mut one, mut other) =
            session(Site::with(1, &[2], is(0), is(1)), Site::with(2, &[1], is(2), is(3)));
        for (site, peer) in [(&mut one, 2), (&mut other, 1)] {
            let all = ["0.0.0.0/0", "::/0"].map(|network| network.parse().unwrap());
            site.change_peer(peer, |peer| peer.allowed_ips = all.into());
        }
        let pieces: Vec<_> = large.pieces(size).iter().map(|piece| piece.packet(false)).collect();
        if is(0) {
            one.send(&[&large.header(size)[..], &large.packet(true)].concat());
        } else {
            for piece in &pieces {
                one.send(piece);
            }
        }
        let (mut came, mut length) = (Vec::new(), 0);
        while length < large.payload.len() {
            other.receive();
            let head = large.packet(true).len() - large.payload.len() + if is(2) { HEADER } else { 0 };
            let now = other.came();
            length += now.iter().map(|packet| packet.len() - head).sum::<usize>();
            came.extend(now);
        }
        if is(2) {
            let split = came.iter().flat_map(|came| {
                let (header, packet) = came.split_first_chunk().unwrap();
                split(*header, packet).unwrap()
            });
            assert_eq!(split.collect::<Vec<_>>(), pieces, "{abilities:b}");
        } else {
            assert_eq!(came, pieces, "{abilities:b}");
        }
    }
}

#[test]
fn a_flood_of_handshakes_gets_cookies_and_data_still_passes() {
    let (mut one, mut other) = with_session();
    let attacker = UdpSocket::bind("127.0.0.1:0").unwrap();
    attacker.set_nonblocking(true).unwrap();
    let key = x25519::StaticSecret::from([77; 32]);
    let mut protocol = Tunn::new(key, x25519::PublicKey::from(public(1).0), None, None, 7, None);
    let (mut room, mut answers) = ([0; 200], 0);
    for number in 0..6 {
        for _ in 0..60 {
            let TunnResult::WriteToNetwork(message) = protocol.format_handshake_initiation(&mut room, true)
            else {
                panic!("a message")
            };
            attacker.send_to(message, one.address()).unwrap();
        }
        other.send(&packet(inner(2), inner(1), number));
        one.receive();
        let came = one.came();
        assert_eq!(came, [packet(inner(2), inner(1), number)], "61 messages have their turn at once");
        while let Ok(length) = attacker.recv(&mut room) {
            assert_eq!((room[0], length), (3, 64), "a cookie");
            answers += 1;
        }
    }
    // The flood may last longer than the second in which handshakes are counted.
    assert!(answers > 0);
}

#[test]
fn a_flood_of_empty_messages_leaves_room_for_other_work() {
    let mut one = Site::new(1, &[2]);
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    for _ in 0..200 {
        stranger.send_to(b"", one.address()).unwrap();
    }
    one.receive();
    let socket = one.tunnel.sockets.as_ref().unwrap().of(Family::V4).unwrap();
    assert_eq!(socket.recv(&mut [0]).unwrap(), 0, "a turn ends before all of them are read");
}

#[test]
fn a_handshake_of_an_unknown_peer_gets_no_answer() {
    let mut one = Site::new(1, &[2]);
    let mut stranger = Site::new(4, &[1]);
    let address = one.address();
    stranger.change_peer(1, |peer| peer.endpoint = Some(address));
    stranger.send(&packet(inner(4), inner(1), 0));
    one.receive();
    let mut other = Site::new(2, &[1]);
    other.change_peer(1, |peer| peer.endpoint = Some(address));
    other.send(&packet(inner(2), inner(1), 0));
    one.receive();
    other.receive();
    assert!(other.peer(1).alive(SystemTime::now()) && !stranger.peer(1).alive(SystemTime::now()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Messages and packets of all kinds, for a tunnel with a session.
    #[test]
    fn nonsense_does_no_harm(nonsense in prop::collection::vec(nonsense(), 1..60)) {
        let (mut one, mut other) = with_session();
        let attacker = UdpSocket::bind("127.0.0.1:0").unwrap();
        for bytes in &nonsense {
            attacker.send_to(bytes, one.address()).unwrap();
            one.receive();
            one.send(bytes);
        }
        prop_assert_eq!(one.came().len(), 0);
        other.send(&packet(inner(2), inner(1), 1));
        one.receive();
        prop_assert_eq!(one.came(), [packet(inner(2), inner(1), 1)]);
    }
}

/// Bytes that look like a message or a packet: the type and the length of one, or not.
fn nonsense() -> impl Strategy<Value = Vec<u8>> {
    let kind = prop_oneof![0..5_u8, Just(0x45), Just(0x60), any::<u8>()];
    let length = prop_oneof![Just(148_usize), Just(92), Just(64), Just(32), 0..300_usize];
    (kind, length, any::<u8>(), any::<[u8; 8]>()).prop_map(|(kind, length, fill, head)| {
        let mut bytes = vec![fill; length];
        for (byte, head) in bytes.iter_mut().skip(4).zip(head) {
            *byte = head;
        }
        for (byte, head) in bytes.iter_mut().zip([kind, 0, 0, 0]) {
            *byte = head;
        }
        bytes
    })
}
