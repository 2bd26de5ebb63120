//! Packets of one round.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::places::{Place, Use};
use super::{FEW_HOPS, MANY_HOPS, Outgoing, Path, RELAY_AFTER, Search};
use crate::nat::helper::Random;
use crate::nat::packet::{Ask, Message, Number, Ping};

/// Time that a port of a helper gets for an answer before the helper's second port is asked as well.
const EXTRA_AFTER: Duration = Duration::from_secs(1);

/// A question is repeated at a relay that knows this site after so many rounds: the relay may have begun
/// anew.
const ASK_RELAY_AGAIN: u32 = 5;

impl Search {
    /// Asks the helpers for the peer's addresses.
    pub(super) fn ask_for_peer(&mut self, now: Instant, outgoing: &mut Vec<Outgoing>, random: Random) {
        for place in self.places.list.clone() {
            let relay_here =
                place.purpose == Use::Extra && self.wants_relay(now) && !self.relays_elsewhere(&place, now);
            let is_asked = match place.purpose {
                Use::Usual => true,
                Use::Extra => place.seen.is_some() || self.is_deaf(&place, now),
                Use::Relay => false,
            };
            if is_asked {
                self.ask(&place, relay_here, now, outgoing, random);
            }
        }
    }

    /// Asks for a relay at the ports that helpers have told.
    pub(super) fn ask_for_relay(
        &mut self,
        round: u32,
        now: Instant,
        outgoing: &mut Vec<Outgoing>,
        random: Random,
    ) {
        if !self.wants_relay(now) {
            return;
        }
        for place in self.places.list.clone() {
            if place.purpose == Use::Relay && (!place.is_registered || round.is_multiple_of(ASK_RELAY_AGAIN))
            {
                self.ask(&place, false, now, outgoing, random);
            }
        }
    }

    /// Pings all candidates. Relays are pinged while the link is down, and the relay in use once in an
    /// attempt to leave it, so that the peer begins its own attempt.
    pub(super) fn ping_all(
        &mut self,
        is_first: bool,
        now: Instant,
        outgoing: &mut Vec<Outgoing>,
        random: Random,
    ) {
        let is_relayed = self.is_relayed();
        for candidate in self.candidates.list.clone() {
            let is_in_use = self.chosen.is_some_and(|(address, _)| address == candidate.address);
            if matches!(candidate.path, Path::Relayed(_)) && is_relayed && !(is_first && is_in_use) {
                continue;
            }
            let hops = if candidate.is_guarded && !self.peer_has_opened { FEW_HOPS } else { MANY_HOPS };
            self.has_opened |= candidate.is_guarded;
            self.ping(candidate.address, hops, now, outgoing, random);
        }
    }

    pub(super) fn ping(
        &mut self,
        to: SocketAddr,
        hops: u8,
        now: Instant,
        outgoing: &mut Vec<Outgoing>,
        random: Random,
    ) {
        let message = Message::Ping(Ping { port: self.link.port, peer_port: self.link.peer_port });
        let salt = random();
        self.candidates.pinged(number(salt), to, now);
        outgoing.push(Outgoing { to, receiver: self.link.peer, hops, salt, message });
    }

    pub(super) fn ask(
        &mut self,
        place: &Place,
        relay_here: bool,
        now: Instant,
        outgoing: &mut Vec<Outgoing>,
        random: Random,
    ) {
        let message = Message::Ask(Ask {
            peer: self.link.peer,
            has_opened: self.has_opened,
            relay_here,
            port: self.link.port,
            peer_port: self.link.peer_port,
            cookie: place.cookie,
            addresses: self.addresses.clone(),
        });
        let salt = random();
        self.places.asked(number(salt), place.address, now);
        outgoing.push(Outgoing { to: place.address, receiver: place.helper, hops: MANY_HOPS, salt, message });
    }

    /// Reports whether the link needs a relay.
    fn wants_relay(&self, now: Instant) -> bool {
        self.chosen.is_none() && now.duration_since(self.began) >= RELAY_AFTER
    }

    /// Reports whether the usual port of a helper has not answered in time.
    fn is_deaf(&self, extra: &Place, now: Instant) -> bool {
        let mut usual = self
            .places
            .list
            .iter()
            .filter(|place| place.purpose == Use::Usual && place.helper == extra.helper);
        usual.all(|place| place.seen.is_none() && now.duration_since(place.since) >= EXTRA_AFTER)
    }

    /// Reports whether the relay port of a helper answers, or still has time to.
    fn relays_elsewhere(&self, extra: &Place, now: Instant) -> bool {
        let mut relays = self
            .places
            .list
            .iter()
            .filter(|place| place.purpose == Use::Relay && place.helper == extra.helper);
        relays.any(|place| place.seen.is_some() || now.duration_since(place.since) < EXTRA_AFTER)
    }
}

/// Returns the number of the packet with this salt.
fn number(salt: [u8; 16]) -> Number {
    *salt.first_chunk().expect("a salt is longer")
}
