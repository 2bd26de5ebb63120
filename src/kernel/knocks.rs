//! Handshakes that come to the ports of tunnels, by a raw socket for UDP (raw(7)) next to the WireGuard that
//! has these ports. WireGuard itself does not tell of handshakes that it refuses.

use std::net::SocketAddr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::Instant;

use defguard_boringtun::noise::handshake::parse_handshake_anon;
use defguard_boringtun::noise::{Packet, Tunn};
use defguard_boringtun::x25519::{self, StaticSecret};
use nix::errno::Errno;

use super::datagram::{open_raw_udp, receive_raw_udp};
use super::sockets::TunnelPacket;
use crate::base::moment::has_come;
use crate::base::net::{PublicKey, Secret};
use crate::base::sorted::SortedSet;
use crate::system::wait::wait_for_input;

/// Handshake that has come to a port of a tunnel.
#[derive(Debug)]
pub struct Knock {
    /// Sender.
    pub from: SocketAddr,
    /// Key of the sender; `None` if the handshake is for another key than this site's.
    pub key: Option<PublicKey>,
}

/// Socket that hears handshakes.
pub struct Knocks {
    socket: OwnedFd,
    private: StaticSecret,
    public: x25519::PublicKey,
}

impl Knocks {
    /// Begins to listen for handshakes with the owner of this key.
    pub fn listen(private: &Secret) -> Result<Self, Errno> {
        let private = StaticSecret::from(*private.bytes());
        let public = x25519::PublicKey::from(&private);
        Ok(Self { socket: open_raw_udp()?, private, public })
    }

    /// Waits for the next handshake at one of these ports; `None` if none comes in time.
    pub fn next(&self, ports: &SortedSet<u16>, until: Instant) -> Option<Knock> {
        while !has_come(until) {
            let Some(TunnelPacket { port, from, packet }) = receive_raw_udp(&self.socket) else {
                wait_for_input(&[self.socket.as_fd()], Some(until)).ok()?;
                continue;
            };
            if ports.contains(&port)
                && let Ok(Packet::HandshakeInit(handshake)) = Tunn::parse_incoming_packet(&packet)
            {
                let key = parse_handshake_anon(&self.private, &self.public, &handshake).ok();
                return Some(Knock { from, key: key.map(|half| PublicKey(half.peer_static_public)) });
            }
        }
        None
    }
}
