//! Ports of helpers, and the questions that are asked there.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::HelperView;
use crate::nat::packet::{Answer, Cookie, Number};
use crate::nat::{are_of_one_ip, ip_of};

/// Largest number of questions without an answer that are remembered.
const MOST_QUESTIONS: usize = 64;

/// Use of a helper's port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// Port for questions that follows from the ids.
    Usual,
    /// Second port for questions, for networks that let few ports out.
    Extra,
    /// Port at which the helper relays the link.
    Relay,
}

/// Port of a helper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) helper: u8,
    pub(super) address: SocketAddr,
    pub(super) purpose: Use,
    /// Time of the first question.
    pub(super) since: Instant,
    pub(super) cookie: Cookie,
    /// Address of this site as the helper sees it at this port; `None` if the helper has not answered.
    pub(super) seen: Option<SocketAddr>,
    /// Set if the helper relays from that address at this port.
    pub(super) is_registered: bool,
    /// Number of questions, and the time of the last one.
    pub(super) asked: (u32, Option<Instant>),
    /// Number of answers, and the time of the last one.
    pub(super) answered: (u32, Option<Instant>),
    /// Address of the peer as the helper sees it, and the time of the peer's last question there.
    pub(super) peer: Option<(SocketAddr, Instant)>,
}

/// Ports of helpers.
#[derive(Debug, Default)]
pub(super) struct Places {
    pub(super) list: Vec<Place>,
    /// Questions without an answer, oldest first.
    pub(super) questions: Vec<(Number, SocketAddr)>,
}

impl Places {
    /// Makes the list of the ports for questions.
    pub(super) fn of(helpers: &[HelperView], now: Instant) -> Self {
        let mut places = Self::default();
        for helper in helpers {
            places.add(helper.id, helper.port, Use::Usual, now);
            if let Some(address) = helper.extra_port {
                places.add(helper.id, address, Use::Extra, now);
            }
        }
        places
    }

    /// Adds a port, unless it is known.
    pub(super) fn add(&mut self, helper: u8, address: SocketAddr, purpose: Use, now: Instant) {
        if !self.list.iter().any(|place| place.address == address) {
            let (cookie, seen) = (Cookie::default(), None);
            self.list.push(Place {
                helper,
                address,
                purpose,
                since: now,
                cookie,
                seen,
                is_registered: false,
                asked: (0, None),
                answered: (0, None),
                peer: None,
            });
        }
    }

    /// Adds a relay port that a helper has told: one at each of its addresses, because the port follows from
    /// the network file.
    fn add_relay(&mut self, helper: u8, address: SocketAddr, now: Instant) {
        let is_it = |place: &Place| {
            place.purpose == Use::Relay && place.helper == helper && are_of_one_ip(&place.address, &address)
        };
        if !self.list.iter().any(is_it) {
            self.add(helper, address, Use::Relay, now);
        }
    }

    /// Takes note of a question.
    pub(super) fn asked(&mut self, number: Number, address: SocketAddr, now: Instant) {
        if let Some(place) = self.at(address) {
            place.asked = (place.asked.0.saturating_add(1), Some(now));
        }
        if self.questions.len() == MOST_QUESTIONS {
            self.questions.remove(0);
        }
        self.questions.push((number, address));
    }

    /// Takes an answer. Returns the port that it came from, as it was before, and adds the helper's relay
    /// port. Answers to other questions than ours count for nothing.
    pub(super) fn answered(
        &mut self,
        from: SocketAddr,
        helper: u8,
        answer: &Answer,
        now: Instant,
    ) -> Option<Place> {
        let at = self.questions.iter().position(|asked| *asked == (answer.question, from))?;
        self.questions.remove(at);
        let place = self.list.iter_mut().find(|place| place.address == from && place.helper == helper)?;
        let before = *place;
        place.cookie = answer.cookie;
        place.seen = Some(answer.seen);
        place.is_registered = answer.is_registered;
        place.answered = (place.answered.0.saturating_add(1), Some(now));
        let heard = now.checked_sub(Duration::from_secs(answer.age.into())).unwrap_or(now);
        place.peer = answer.peer.map(|peer| (peer, heard)).or(place.peer);
        if let Some(port) = answer.relay_port {
            self.add_relay(helper, SocketAddr::new(ip_of(&from), port), now);
        }
        Some(before)
    }

    /// Returns the place at an address.
    pub(super) fn at(&mut self, address: SocketAddr) -> Option<&mut Place> {
        self.list.iter_mut().find(|place| place.address == address)
    }
}
