//! A tunnel: its tun device, its sockets and its peers.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::time::{Duration, Instant, SystemTime};

use defguard_boringtun::noise::handshake::parse_handshake_anon;
use defguard_boringtun::noise::{Packet, Tunn, TunnResult};

use super::peer::{Identity, Peer};
use super::peers::Peers;
use super::udp::Sockets;
use super::window::Window;
use crate::base::error::{Context as _, Result};
use crate::base::net::{Family, IfName, PublicKey, Secret};
use crate::kernel::wireguard::Reading;
use crate::state::tunnel_delta::{Change, TunnelDelta, delta};
use crate::state::{self, Tunnel as Settings};

/// Number of packets of a device or socket that pass before others have their turn.
pub(super) const AT_ONCE: usize = 64;

/// Largest number of handshakes that peers may begin with us in [`COUNTED`]. Each costs several
/// multiplications on the curve, of more than a millisecond on slow processors. The limit leaves time for
/// data.
const HANDSHAKES: u32 = 200;

/// Time for which handshakes are counted: a little more than the second for which the door counts them, which
/// begins anew only when its second is over.
const COUNTED: Duration = Duration::from_millis(1100);

/// Largest number of handshakes that we begin before packets have their turn.
const DIALLED_AT_ONCE: usize = 8;

/// Packets that wait for a session, at most (MAX_QUEUE_DEPTH in noise/mod.rs of boringtun).
const WAITING: usize = 256;

/// Private key of a tunnel that has none. Such a tunnel has no peers, so the key lets no packet in.
const NO_KEY: [u8; 32] = [1; 32];

/// Room for a packet, and for the message that it becomes: the largest UDP message, and what WireGuard adds.
pub(super) struct Room {
    packet: [u8; PACKET],
    message: [u8; PACKET + 64],
}

/// Length of the longest packet in bytes.
const PACKET: usize = 1 << 16;

impl Room {
    /// Returns empty room.
    #[allow(clippy::large_stack_arrays, reason = "the room is a static")]
    pub(super) const fn new() -> Self {
        Self { packet: [0; PACKET], message: [0; PACKET + 64] }
    }
}

/// A tunnel. Its interface disappears when the value is dropped.
pub(super) struct Tunnel {
    /// Name of its interface.
    pub(super) name: IfName,
    /// Device of its interface.
    pub(super) device: File,
    /// Sockets; `None` until the tunnel gets its first settings.
    pub(super) sockets: Option<Sockets>,
    /// Socket at which other programs see the settings.
    pub(super) window: Option<Window>,
    /// Set when the interface no longer works, because another program has deleted it.
    pub(super) is_lost: bool,
    identity: Box<Identity>,
    settings: Settings,
    peers: Peers,
    handshakes: u32,
    /// Time from which on handshakes are counted.
    counted_from: Instant,
}

impl Tunnel {
    /// Returns a tunnel without settings.
    pub(super) fn new(name: &IfName, device: File, window: Option<Window>) -> Self {
        Self {
            name: name.clone(),
            device,
            sockets: None,
            window,
            is_lost: false,
            identity: Box::new(Identity::new(&NO_KEY)),
            settings: Settings::default(),
            peers: Peers::default(),
            handshakes: 0,
            counted_from: Instant::now(),
        }
    }

    /// Reads the settings, and the statistics. `now` decides which sessions are still usable.
    pub(super) fn read(&self, now: SystemTime) -> Reading {
        let mut reading = Reading { tunnel: self.settings.clone(), ..Reading::default() };
        reading.tunnel.port = self.sockets.as_ref().and_then(|sockets| NonZeroU16::new(sockets.port()));
        for (key, peer) in self.peers.iter() {
            let statistics = peer.statistics(now);
            let mut settings = peer.settings.clone();
            settings.alive = statistics.alive(now);
            reading.tunnel.peers.insert(*key, settings);
            reading.peers.insert(*key, statistics);
        }
        reading
    }

    /// Changes the settings that differ. Returns true if there are new sockets.
    ///
    /// # Errors
    /// If the tunnel cannot have its port, or its mark. Then nothing changes.
    pub(super) fn change(&mut self, from: &Settings, to: &Settings) -> Result<bool> {
        let delta = delta(from, to);
        let opened = self.change_sockets(&delta, to)?;
        self.settings.fwmark = to.fwmark;
        if delta.private_key != Change::Keep {
            self.settings.private_key.clone_from(&to.private_key);
            *self.identity = Identity::new(to.private_key.as_ref().map_or(&NO_KEY, Secret::bytes));
            for peer in self.peers.iter_mut() {
                peer.renew(&self.identity);
            }
        }
        self.change_peers(&delta, to);
        Ok(opened)
    }

    fn change_sockets(&mut self, delta: &TunnelDelta, to: &Settings) -> Result<bool> {
        let name = &self.name;
        match &self.sockets {
            Some(sockets) if delta.port == Change::Keep => {
                if delta.fwmark != Change::Keep {
                    sockets.mark(to.fwmark).context(|| format!("cannot mark the packets of {name}"))?;
                }
                Ok(false)
            }
            _ => {
                let port = to.port.map_or(0, NonZeroU16::get);
                let sockets = Sockets::open(port, to.fwmark).context(|| {
                    format!(
                        "cannot let {name} listen on UDP port {port} (`ss -ulpn` shows which program does)"
                    )
                })?;
                self.sockets = Some(sockets);
                Ok(true)
            }
        }
    }

    /// Changes the peers that differ. New networks and another endpoint leave a session alone, as in the
    /// kernel's WireGuard. A peer that differs in more, or has no session, begins anew, and so dials at once
    /// where it should.
    fn change_peers(&mut self, delta: &TunnelDelta, to: &Settings) {
        for key in &delta.removed {
            self.peers.remove(key);
        }
        for (key, change) in &delta.changed {
            let begins_anew = change.preshared_key != Change::Keep || change.keepalive != Change::Keep;
            match self.peers.get_mut(key) {
                Some(peer) if !begins_anew && (change.endpoint.is_none() || peer.has_session()) => {
                    peer.settings.endpoint = change.endpoint.or(peer.settings.endpoint);
                    peer.settings.allowed_ips = to.peers[key].allowed_ips.clone();
                }
                _ => self.insert(*key, &to.peers[key]),
            }
        }
        for (key, peer) in &delta.added {
            self.insert(*key, peer);
        }
        self.peers.index();
    }

    fn insert(&mut self, key: PublicKey, settings: &state::Peer) {
        let mut settings = settings.clone();
        if let Some(former) = self.peers.remove(&key) {
            // The address at which the peer was last heard is better than none.
            settings.endpoint = settings.endpoint.or(former.settings.endpoint);
        }
        let peer = Peer::new(key, settings, self.peers.free_index(), &self.identity, Instant::now());
        self.peers.insert(key, peer);
    }

    /// Dials the peers that are wanted and do not answer, at the present time of the clock.
    pub(super) fn begin_anew(&mut self, now: SystemTime) {
        for peer in self.peers.iter_mut() {
            if peer.is_wanted() && !peer.statistics(now).alive(now) {
                peer.redial(&self.identity);
            }
        }
    }

    /// Looks at the timers of the peers for which that is due. Returns `Some(true)` if there are timers that
    /// go on, and `None` if packets should have their turn before the other peers.
    pub(super) fn look(&mut self, now: Instant, room: &mut Room) -> Option<bool> {
        let Some(sockets) = &self.sockets else { return Some(false) };
        let (mut goes_on, mut dialled) = (false, 0);
        for peer in self.peers.iter_mut() {
            if !peer.has_timers() {
                continue;
            }
            if let (Some(message), Some(endpoint)) =
                (peer.look(&self.identity, now, &mut room.message), peer.settings.endpoint)
            {
                sockets.send(message, endpoint);
                dialled += usize::from(message[0] == 1);
                if dialled == DIALLED_AT_ONCE {
                    return None;
                }
            }
            goes_on |= peer.has_timers();
        }
        Some(goes_on)
    }

    /// Takes packets from the interface to the network.
    pub(super) fn send(&mut self, now: Instant, room: &mut Room) {
        for _ in 0..AT_ONCE {
            match self.device.read(&mut room.packet) {
                Ok(length) => self.send_packet(length, now, room),
                Err(error) => {
                    // EBADFD, for example: another program has deleted the interface.
                    self.is_lost |= !is_passing(&error);
                    return;
                }
            }
        }
    }

    fn send_packet(&mut self, length: usize, now: Instant, room: &mut Room) {
        let (packet, message) = (&room.packet[..length], &mut room.message);
        let owner = Tunn::dst_address(packet).and_then(|address| self.peers.owner(address));
        let Some(peer) = owner.and_then(|key| self.peers.get_mut(&key)) else { return };
        let (Some(sockets), Some(endpoint)) = (&self.sockets, peer.settings.endpoint) else { return };
        if let Some(message) = peer.look(&self.identity, now, message) {
            sockets.send(message, endpoint);
        }
        if let Some(message) = peer.encrypt(packet, message) {
            sockets.send(message, endpoint);
        }
    }

    /// Takes messages from the network.
    pub(super) fn receive(&mut self, family: Family, now: Instant, room: &mut Room) {
        if now.saturating_duration_since(self.counted_from) >= COUNTED {
            (self.handshakes, self.counted_from) = (0, now);
            self.identity.door.reset_count();
        }
        for _ in 0..AT_ONCE {
            let Some(socket) = self.sockets.as_ref().and_then(|sockets| sockets.of(family)) else { return };
            match socket.recv_from(&mut room.packet) {
                Ok((length, from)) => self.receive_message(length, from, now, room),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // An error of an earlier message. The kernel reports it once.
                Err(_) => {}
            }
        }
    }

    fn receive_message(&mut self, length: usize, from: SocketAddr, now: Instant, room: &mut Room) {
        let (message, answer) = (&room.packet[..length], &mut room.message);
        let Some(sockets) = &self.sockets else { return };
        let packet = match self.identity.door.verify_packet(Some(from.ip()), message, answer) {
            Ok(packet) => packet,
            Err(TunnResult::WriteToNetwork(cookie)) => return sockets.send(cookie, from),
            Err(_) => return,
        };
        let key = match &packet {
            Packet::HandshakeInit(_) if self.handshakes == HANDSHAKES => return,
            Packet::HandshakeInit(beginning) => {
                self.handshakes += 1;
                let identity = &self.identity;
                parse_handshake_anon(&identity.private, &identity.public, beginning)
                    .ok()
                    .map(|sender| PublicKey(sender.peer_static_public))
            }
            Packet::HandshakeResponse(response) => self.peers.with_index(response.receiver_idx),
            Packet::PacketCookieReply(cookie) => self.peers.with_index(cookie.receiver_idx),
            Packet::PacketData(data) => self.peers.with_index(data.receiver_idx),
        };
        let Some((key, peer)) = key.and_then(|key| Some((key, self.peers.get_mut(&key)?))) else { return };
        if let (Some(message), Some(endpoint)) =
            (peer.look(&self.identity, now, answer), peer.settings.endpoint)
        {
            sockets.send(message, endpoint);
        }
        let (packet_for_host, source) = match peer.take(message, from, answer) {
            TunnResult::Err(_) => return,
            TunnResult::Done => (None, None),
            TunnResult::WriteToNetwork(answer) => {
                sockets.send(answer, from);
                (None, None)
            }
            TunnResult::WriteToTunnelV4(packet, source) => (Some(packet), Some(source.into())),
            TunnResult::WriteToTunnelV6(packet, source) => (Some(packet), Some(source.into())),
        };
        // A cookie is no proof that the peer is at this address.
        if !matches!(packet, Packet::PacketCookieReply(_)) {
            peer.settings.endpoint = Some(from);
        }
        let ends_wait = matches!(packet, Packet::HandshakeResponse(_) | Packet::PacketData(_));
        if let Some(packet) = packet_for_host
            && source.and_then(|source| self.peers.owner(source)) == Some(key)
        {
            // The interface may be down (EIO), or the host may have no memory: the packet is lost.
            let _ = self.device.write(packet);
        }
        if ends_wait {
            self.send_waiting(&key, from, &mut room.message);
        }
    }

    /// Sends the packets that waited for the session of a peer.
    fn send_waiting(&mut self, key: &PublicKey, to: SocketAddr, room: &mut [u8]) {
        let (Some(peer), Some(sockets)) = (self.peers.get_mut(key), &self.sockets) else { return };
        for _ in 0..WAITING {
            let Some(message) = peer.next_waiting(room) else { return };
            sockets.send(message, to);
        }
    }
}

/// Reports whether the device may work again after this error.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted | ErrorKind::OutOfMemory)
}
