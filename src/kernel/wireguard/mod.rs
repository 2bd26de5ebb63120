//! The kernel's WireGuard: its generic netlink family (linux/wireguard.h).

mod constants;
pub(crate) mod decode;
mod encode;

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use nix::errno::Errno;

use super::attributes::AttributeWriter;
use super::generic;
use super::message::Message;
use super::netlink::{Refusal, Socket, protocols};
use crate::base::error::{Context, Error, Result};
use crate::base::net::{IfName, PublicKey};
use crate::base::sorted::SortedMap;
use crate::state::Tunnel;
use crate::state::tunnel_delta::TunnelDelta;
use constants::command;

/// Time for which a session can be used after its handshake (REJECT_AFTER_TIME in WireGuard's paper, § 6.1).
const SESSION: Duration = Duration::from_mins(3);

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
        let question = self.message(command::GET_DEVICE, encode::named(name));
        let mut reading = Reading::default();
        let mut take = |payload: Option<&[u8]>| match payload {
            Some(payload) => decode::take_device(&mut reading, payload),
            None => reading = Reading::default(),
        };
        self.socket
            .gather(question, &mut take)
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
            for part in encode::change(name, delta) {
                owners.push(index);
                messages.push(self.message(command::SET_DEVICE, part));
            }
        }
        let mut results: Vec<Result<()>> = changes.iter().map(|_| Ok(())).collect();
        for (index, verdict) in owners.into_iter().zip(self.socket.batch(messages)) {
            if let Err(refusal) = verdict {
                results[index] = Err(explain(changes[index].0, refusal));
            }
        }
        results
    }

    fn message(&self, command: u8, attributes: AttributeWriter) -> Message {
        Message::generic(self.family, command, &attributes.finish())
    }
}

fn explain(name: &IfName, refusal: Refusal) -> Error {
    let hint = match refusal.errno {
        Errno::EADDRINUSE => " (another program has its UDP port; `ss -ulpn` shows which)",
        _ => "",
    };
    Error::failed(format!("cannot change the WireGuard settings of {name}{hint}")).because(refusal)
}

#[cfg(test)]
mod tests {
    use super::*;

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
