//! Reactions to packets of helpers and of the peer.

use std::net::SocketAddr;
use std::time::Instant;

use super::candidates::Origin;
use super::places::Use;
use super::{MANY_HOPS, MOST_HEARD, Outgoing, Path, Search, Stage, candidates};
use crate::nat::helper::Random;
use crate::nat::packet::{Answer, Message, Number, Pong};
use crate::nat::{are_of_one_ip, ip_of, is_home_address};

/// Age of the peer's last question in seconds, up to which the peer's NAT is open if the peer has opened it.
const OPEN: u16 = 30;

impl Search {
    /// Takes an answer of a helper.
    pub(super) fn take_answer(&mut self, from: SocketAddr, helper: u8, answer: &Answer, now: Instant) {
        let Some(before) = self.places.answered(from, helper, answer, now) else { return };
        let mut is_new = before.cookie != answer.cookie || answer.is_registered && !before.is_registered;
        let origin = Origin::Helper(helper);
        // A relay that knows both sites already passes their questions on, and does not answer them.
        if let Some(port) = answer.relay_port {
            let relay = SocketAddr::new(ip_of(&from), port);
            if self.places.at(relay).is_some() {
                self.add(relay, Path::Relayed(helper), false, origin);
            }
        }
        if answer.is_registered {
            self.add(from, Path::Relayed(helper), false, origin);
        }
        if before.purpose != Use::Relay
            && let Some(peer) = answer.peer
        {
            is_new |= self.add(peer, Path::Direct, true, origin);
            is_new |= self.take_opening(answer.peer_has_opened && answer.age <= OPEN);
            for address in &answer.addresses {
                let is_local = is_home_address(ip_of(address));
                // Both are behind the same NAT if both have its address.
                if !is_local || are_of_one_ip(&peer, &answer.seen) {
                    let path = if is_local { Path::Local } else { Path::Direct };
                    is_new |= self.add(*address, path, address.is_ipv6(), origin);
                }
                if candidates::is_mapping(*address) {
                    self.candidates.set_mapped(*address);
                }
            }
        }
        if is_new {
            self.hurry(now);
        }
    }

    /// Takes note that the peer's NAT is open. Reports whether that is new.
    fn take_opening(&mut self, is_open: bool) -> bool {
        let is_new = is_open && !self.peer_has_opened;
        self.peer_has_opened |= is_open;
        is_new
    }

    /// Answers a ping of the peer, and pings the address that it came from if that is new. Every ping has
    /// another number: a copy counts for nothing, because anyone who has seen a ping can send it again, with
    /// any source.
    pub(super) fn take_ping(
        &mut self,
        from: SocketAddr,
        ping: Number,
        now: Instant,
        outgoing: &mut Vec<Outgoing>,
        random: Random,
    ) {
        if self.heard.contains(&ping) {
            return;
        }
        self.heard.copy_within(1.., 0);
        self.heard[MOST_HEARD - 1] = ping;
        let message = Message::Pong(Pong { ping, seen: from });
        outgoing.push(Outgoing {
            to: from,
            receiver: self.link.peer,
            hops: MANY_HOPS,
            salt: random(),
            message,
        });
        self.take_opening(true);
        self.pinged = true;
        match (self.path_to(from), self.stage) {
            // The peer tries to leave the relay: both must try at the same time. The first round would ping
            // the relay: over a slow one, the attempts of both sites would follow each other without end.
            (Path::Relayed(_), Stage::Relayed(wait)) => {
                self.stage = Stage::Upgrading(1, wait);
                self.next = Some(now);
            }
            (_, Stage::Settled) | (Path::Relayed(_), Stage::Upgrading(..)) => {}
            (path, _) => {
                if self.add(from, path, false, Origin::Peer) {
                    self.ping(from, MANY_HOPS, now, outgoing, random);
                }
            }
        }
    }

    /// Chooses the best candidate that has answered, unless the path in use is as good.
    pub(super) fn choose(&mut self) {
        let Some(best) = self.candidates.best() else { return };
        if self.chosen.is_none_or(|(_, path)| best.path.rank() < path.rank()) {
            self.chosen = Some((best.address, best.path));
        }
    }
}
