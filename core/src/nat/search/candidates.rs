//! Addresses at which the peer may be reached, and their pings.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::Path;
use crate::base::net::Cidr;
use crate::nat::packet::{Number, Pong};
use crate::nat::{ip_of, is_home_address};

/// Largest number of candidates: the peer's addresses from each helper, and the sources of its pings.
const MOST: usize = 16;

/// Largest number of pings without an answer that are remembered.
const MOST_PINGS: usize = 64;

/// Origin of a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// The network file.
    File,
    /// The helper with this id.
    Helper(u8),
    /// A ping of the peer. An attacker can repeat it from many addresses.
    Peer,
}

/// Address at which the peer may be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) address: SocketAddr,
    pub(super) path: Path,
    origin: Origin,
    /// Set if a NAT may stand before the address, which lets nothing in before the peer has sent something.
    pub(super) is_guarded: bool,
    /// Time from a ping to its answer.
    pub(super) delay: Option<Duration>,
    /// Address of this site as the peer sees it there.
    pub(super) seen: Option<SocketAddr>,
    /// Set if the peer's router maps the address to the peer.
    pub(super) is_mapped: bool,
}

/// Candidates of a link.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    pub(super) list: Vec<Candidate>,
    /// Pings without an answer, oldest first.
    pub(super) pings: Vec<(Number, SocketAddr, Instant)>,
}

impl Candidates {
    /// Adds a candidate, unless it is known. Reports whether it is new.
    pub(super) fn add(&mut self, address: SocketAddr, path: Path, is_guarded: bool, origin: Origin) -> bool {
        if self.list.iter().any(|known| known.address == address) || !self.make_room(origin) {
            return false;
        }
        self.list.push(Candidate {
            address,
            path,
            origin,
            is_guarded,
            delay: None,
            seen: None,
            is_mapped: false,
        });
        true
    }

    /// Forgets a candidate of a full list: the oldest one without an answer, of the origin that has most of
    /// them. So no helper and no attacker can keep addresses from other origins out, and an address that the
    /// peer had long ago makes room for its present one. Reports whether there is room.
    fn make_room(&mut self, origin: Origin) -> bool {
        if self.list.len() < MOST {
            return true;
        }
        let (mut most, mut chosen) = ((0, false), None);
        for candidate in self.list.iter().filter(|candidate| candidate.delay.is_none()) {
            let number = (self.silent_of(candidate.origin), candidate.origin == origin);
            if number >= most {
                (most, chosen) = (number, Some(candidate.origin));
            }
        }
        let is_it = |candidate: &Candidate| candidate.delay.is_none() && Some(candidate.origin) == chosen;
        let oldest = self.list.iter().position(is_it);
        oldest.map(|at| self.list.remove(at)).is_some()
    }

    /// Returns the number of candidates of an origin without an answer.
    fn silent_of(&self, origin: Origin) -> usize {
        self.list.iter().filter(|known| known.origin == origin && known.delay.is_none()).count()
    }

    /// Takes note that the peer's router maps an address to the peer.
    pub(super) fn set_mapped(&mut self, address: SocketAddr) {
        if let Some(candidate) = self.list.iter_mut().find(|candidate| candidate.address == address) {
            candidate.is_mapped = true;
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Candidate> {
        self.list.iter()
    }

    /// Takes note of a ping.
    pub(super) fn pinged(&mut self, number: Number, address: SocketAddr, now: Instant) {
        if self.pings.len() == MOST_PINGS {
            self.pings.remove(0);
        }
        self.pings.push((number, address, now));
    }

    /// Takes the answer to a ping. Answers to other pings than ours count for nothing, and so do answers from
    /// elsewhere: the pinged address may have passed the ping on.
    pub(super) fn answered(&mut self, from: SocketAddr, pong: &Pong, now: Instant) {
        let is_it = |(ping, to, _): &(Number, SocketAddr, Instant)| *ping == pong.ping && *to == from;
        let Some(at) = self.pings.iter().position(is_it) else { return };
        let (_, address, sent) = self.pings.remove(at);
        if let Some(candidate) = self.list.iter_mut().find(|candidate| candidate.address == address) {
            candidate.delay.get_or_insert(now.duration_since(sent));
            candidate.seen = Some(pong.seen);
        }
    }

    /// Returns the best candidate that has answered.
    pub(super) fn best(&self) -> Option<&Candidate> {
        let mut best: Option<&Candidate> = None;
        for candidate in self.list.iter().filter(|candidate| candidate.delay.is_some()) {
            let rank = candidate.path.rank();
            if best.is_none_or(|best| {
                rank < best.path.rank() || rank == best.path.rank() && candidate.delay < best.delay
            }) {
                best = Some(candidate);
            }
        }
        best
    }
}

/// Reports whether a packet to an address can reach another host, and not by one of our own tunnels. `inside`
/// holds the networks in tunnels.
pub(super) fn is_plausible(address: SocketAddr, inside: &[Cidr]) -> bool {
    let ip = ip_of(&address);
    let is_unicast = match ip {
        IpAddr::V4(ip) => {
            !ip.is_unspecified() && !ip.is_multicast() && !ip.is_broadcast() && !ip.is_link_local()
        }
        IpAddr::V6(ip) => !ip.is_unspecified() && !ip.is_multicast() && !ip.is_unicast_link_local(),
    };
    address.port() != 0
        && is_unicast
        && !ip.is_loopback()
        && !inside.iter().any(|network| network.contains(ip))
}

/// Reports whether a further address of a site, as sites tell it to helpers, is a port mapping of its router:
/// sites tell no other public IPv4 address.
pub(super) fn is_mapping(address: SocketAddr) -> bool {
    address.is_ipv4() && !is_home_address(ip_of(&address))
}
