//! A tunnel: its tun device, its sockets and its peers.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::time::{Duration, Instant, SystemTime};

use defguard_boringtun::noise::handshake::parse_handshake_anon;
use defguard_boringtun::noise::{Packet, Tunn, TunnResult};

use super::device::Device;
use super::inbox::Inbox;
use super::merge::Merge;
use super::outbox::Outbox;
use super::peer::{BEGINNING, Identity, Peer};
use super::peers::Peers;
use super::split::Split;
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

/// Room for the packets and messages of a turn.
pub(super) struct Room {
    /// Packet from the device, behind room for a header. The largest is 64 kB long.
    packet: [u8; 1 << 17],
    inbox: Inbox,
    outbox: Outbox,
    merge: Merge,
}

impl Room {
    /// Returns empty room. All its bytes are zeros.
    #[allow(clippy::large_stack_arrays, reason = "the room is a static")]
    pub(super) const fn new() -> Self {
        let (inbox, outbox, merge) = (Inbox::new(), Outbox::new(), Merge::new());
        Self { packet: [0; _], inbox, outbox, merge }
    }
}

/// A tunnel. Its interface disappears when the value is dropped.
pub(super) struct Tunnel {
    /// Name of its interface.
    pub(super) name: IfName,
    /// Device of its interface.
    pub(super) device: Device,
    /// Set if the kernel may split and merge messages.
    pub(super) batches: bool,
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
    pub(super) fn new(name: &IfName, device: Device, window: Option<Window>) -> Self {
        Self {
            name: name.clone(),
            device,
            batches: true,
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
                let sockets = Sockets::open(port, to.fwmark, self.batches).context(|| {
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
        let Some(sockets) = &mut self.sockets else { return Some(false) };
        let outbox = &mut room.outbox;
        let (mut goes_on, mut dialled) = (false, 0);
        for peer in self.peers.iter_mut() {
            if !peer.has_timers() {
                continue;
            }
            dialled += usize::from(look(peer, &self.identity, now, outbox, sockets) == BEGINNING);
            if dialled == DIALLED_AT_ONCE {
                break;
            }
            goes_on |= peer.has_timers();
        }
        outbox.flush(sockets);
        (dialled < DIALLED_AT_ONCE).then_some(goes_on)
    }

    /// Takes packets from the interface to the network.
    pub(super) fn send(&mut self, now: Instant, room: &mut Room) {
        let Room { packet, outbox, .. } = room;
        let mut passed = 0;
        while passed < AT_ONCE {
            match self.device.read(packet) {
                Ok(Some((mut split, packet))) => passed += self.send_packets(&mut split, packet, now, outbox),
                Ok(None) => {}
                Err(error) => {
                    // EBADFD, for example: another program has deleted the interface.
                    self.is_lost |= !is_passing(&error);
                    break;
                }
            }
            passed += 1;
        }
        if let Some(sockets) = &mut self.sockets {
            outbox.flush(sockets);
        }
    }

    /// Sends the packets of which one from the interface consists, and returns their number.
    fn send_packets(
        &mut self,
        split: &mut Split,
        packet: &mut [u8],
        now: Instant,
        outbox: &mut Outbox,
    ) -> usize {
        let owner = Tunn::dst_address(packet).and_then(|address| self.peers.owner(address));
        let Some(peer) = owner.and_then(|key| self.peers.get_mut(&key)) else { return 0 };
        let (Some(sockets), Some(endpoint)) = (&mut self.sockets, peer.settings.endpoint) else { return 0 };
        look(peer, &self.identity, now, outbox, sockets);
        let mut number = 0;
        while let Some(packet) = split.next(packet) {
            if let Some(length) = peer.encrypt(packet, outbox.room()) {
                outbox.push(length, endpoint, sockets);
            }
            number += 1;
        }
        number
    }

    /// Takes messages from the network.
    pub(super) fn receive(&mut self, family: Family, now: Instant, room: &mut Room) {
        if now.saturating_duration_since(self.counted_from) >= COUNTED {
            (self.handshakes, self.counted_from) = (0, now);
            self.identity.door.reset_count();
        }
        let Room { inbox, outbox, merge, .. } = room;
        let mut passed = 0;
        while passed < AT_ONCE {
            let Some(socket) = self.sockets.as_ref().and_then(|sockets| sockets.of(family)) else { return };
            let (number, is_last) = inbox.receive(socket);
            for at in 0..number {
                // An empty message counts, too.
                passed += 1;
                let Some((from, messages, size)) = inbox.get(at) else { continue };
                for (index, message) in messages.chunks(size).enumerate() {
                    self.receive_message(message, from, now, outbox, merge);
                    passed += usize::from(index > 0);
                }
            }
            if is_last {
                break;
            }
        }
        merge.flush(&self.device);
        if let Some(sockets) = &mut self.sockets {
            outbox.flush(sockets);
        }
    }

    fn receive_message(
        &mut self,
        message: &[u8],
        from: SocketAddr,
        now: Instant,
        outbox: &mut Outbox,
        merge: &mut Merge,
    ) {
        let Some(sockets) = &mut self.sockets else { return };
        let packet = match self.identity.door.verify_packet(Some(from.ip()), message, merge.room()) {
            Ok(packet) => packet,
            Err(TunnResult::WriteToNetwork(cookie)) => return outbox.copy(cookie, from, sockets),
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
        look(peer, &self.identity, now, outbox, sockets);
        let (length, source) = match peer.take(message, from, merge.room()) {
            TunnResult::Err(_) => return,
            TunnResult::Done => (0, None),
            TunnResult::WriteToNetwork(answer) => {
                outbox.copy(answer, from, sockets);
                (0, None)
            }
            TunnResult::WriteToTunnelV4(packet, source) => (packet.len(), Some(source.into())),
            TunnResult::WriteToTunnelV6(packet, source) => (packet.len(), Some(source.into())),
        };
        // A cookie is no proof that the peer is at this address.
        if !matches!(packet, Packet::PacketCookieReply(_)) {
            peer.settings.endpoint = Some(from);
        }
        let ends_wait = matches!(packet, Packet::HandshakeResponse(_) | Packet::PacketData(_));
        if source.and_then(|source| self.peers.owner(source)) == Some(key) {
            merge.take(length, &self.device);
        }
        if ends_wait {
            self.send_waiting(&key, from, outbox);
        }
    }

    /// Sends the packets that waited for the session of a peer.
    fn send_waiting(&mut self, key: &PublicKey, to: SocketAddr, outbox: &mut Outbox) {
        let (Some(peer), Some(sockets)) = (self.peers.get_mut(key), &mut self.sockets) else { return };
        for _ in 0..WAITING {
            let Some(length) = peer.next_waiting(outbox.room()) else { return };
            outbox.push(length, to, sockets);
        }
    }
}

/// Looks at the timers of a peer, and sends the message that is due. Returns its length, or 0.
fn look(
    peer: &mut Peer,
    identity: &Identity,
    now: Instant,
    outbox: &mut Outbox,
    sockets: &mut Sockets,
) -> usize {
    let Some(length) = peer.look(identity, now, outbox.room()) else { return 0 };
    if let Some(endpoint) = peer.settings.endpoint {
        outbox.push(length, endpoint, sockets);
    }
    length
}

/// Reports whether the device may work again after this error.
fn is_passing(error: &io::Error) -> bool {
    // A packet that the kernel cannot describe in a header (EINVAL) is gone.
    let passing =
        [ErrorKind::WouldBlock, ErrorKind::Interrupted, ErrorKind::OutOfMemory, ErrorKind::InvalidInput];
    passing.contains(&error.kind())
}
