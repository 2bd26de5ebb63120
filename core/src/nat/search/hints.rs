//! Reactions to hints of relays.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::places::Use;
use super::{AT_ONCE, Outgoing, Path, Search, Stage};
use crate::base::moment::after;
use crate::nat::helper::Random;

/// Largest number of questions after a hint: one for a cookie, one with it, and one for each of three losses.
const MOST_QUESTIONS: u8 = 5;

/// Wait between two of these questions.
const WAIT: Duration = Duration::from_millis(300);

/// Time for which each of these questions makes this site ignore further hints: anyone can send them, and
/// they must not cost more than one question a second.
const PRICE: Duration = Duration::from_secs(1);

/// Questions to a relay that does not know this site's address any more.
#[derive(Debug, Clone, Copy)]
pub(super) struct Relearning {
    relay: SocketAddr,
    /// Time of the next question.
    pub(super) next: Instant,
    left: u8,
}

impl Relearning {
    /// Brings the next question forward.
    pub(super) fn hurry(&mut self, now: Instant) {
        self.next = self.next.min(after(now, AT_ONCE));
    }
}

impl Search {
    /// Reacts to a hint that the relay at an address does not know this site. Anyone can send hints.
    pub fn hint(&mut self, from: SocketAddr, now: Instant) {
        let is_in_use = matches!(self.chosen, Some((address, Path::Relayed(_))) if address == from);
        // A relay that has begun anew sends hints to links that are down: WireGuard still tries there.
        let is_wanted = is_in_use || matches!(self.stage, Stage::Searching(_));
        if !is_wanted || self.deaf_until.is_some_and(|until| now < until) {
            return;
        }
        if let Some(place) = self.places.at(from).filter(|place| place.purpose != Use::Usual) {
            place.is_registered = false;
            self.relearning = Some(Relearning { relay: from, next: now, left: MOST_QUESTIONS });
        }
    }

    /// Asks the relay from which a hint came, until it knows this site.
    pub(super) fn relearn(&mut self, now: Instant, outgoing: &mut Vec<Outgoing>, random: Random) {
        let Some(due) = self.relearning.take_if(|relearning| now >= relearning.next) else { return };
        let place = self.places.at(due.relay).filter(|place| !place.is_registered).copied();
        let (Some(place), Some(left)) = (place, due.left.checked_sub(1)) else { return };
        self.relearning = Some(Relearning { next: after(now, WAIT), left, ..due });
        self.deaf_until = Some(after(self.deaf_until.map_or(now, |until| until.max(now)), PRICE));
        self.ask(&place, place.purpose == Use::Extra, now, outgoing, random);
    }
}
