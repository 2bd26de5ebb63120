//! Search for a path of one link: questions to helpers, pings to every candidate, and the choice among the
//! candidates that answer.
//!
//! Both ends of a link run the same search. It begins when the link is down, and ends when the link is up. A
//! relayed link goes on looking for a direct path, less and less often.

mod answers;
mod candidates;
mod hints;
mod places;
mod report;
mod restart;
mod rounds;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::helper::Random;
use super::packet::{Header, Message, Number};
use super::{HELPER_OFFSET, are_of_one_ip, ip_of, is_home_address, relay_port};
use crate::base::moment::{after, earlier, is_due};
use crate::base::net::Cidr;
use candidates::{Candidates, Origin};
use hints::Relearning;
use places::{Places, Use};
pub use report::{CandidateReport, HelperReport, MappedAt, RelayReport, SearchReport};

/// Waits between rounds, each with the age of the search up to which it is in use: fast at first, because
/// both sites must try at the same time.
const WAITS: [(Duration, Duration); 4] = [
    (Duration::from_millis(500), Duration::from_millis(100)),
    (Duration::from_millis(1500), Duration::from_millis(300)),
    (Duration::from_secs(30), Duration::from_secs(1)),
    (Duration::from_mins(10), Duration::from_secs(3)),
];

/// Wait between all later rounds.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Wait between the rounds of an attempt to leave a relay.
const UPGRADE_WAIT: Duration = Duration::from_millis(300);

/// Wait after an answer that allows a better question.
const AT_ONCE: Duration = Duration::from_millis(20);

/// Time after which a link also asks for a relay: most direct paths are found before.
const RELAY_AFTER: Duration = Duration::from_millis(600);

/// Largest number of rounds ahead of their time between two rounds in time: a helper whose every answer is
/// another must not make this site send without a pause.
const MOST_EARLY: u8 = 4;

/// Waits before the attempts to leave a relay.
const FIRST_UPGRADE: Duration = Duration::from_secs(2);
const LAST_UPGRADE: Duration = Duration::from_mins(5);

/// Rounds of one attempt to leave a relay.
const UPGRADE_ROUNDS: u32 = 4;

/// Number of the peer's pings that are remembered.
const MOST_HEARD: usize = 64;

/// Number of hops of a ping that opens this site's own NAT and must not reach the peer's: a router that
/// answers an unexpected packet would close the way again.
const FEW_HOPS: u8 = 3;

/// Number of hops of all other packets.
const MANY_HOPS: u8 = 64;

/// Path of a link's packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    /// A path inside one home, or inside one carrier's network.
    Local,
    /// A path through the internet.
    Direct,
    /// A path through the helper with this id.
    Relayed(u8),
}

impl Path {
    /// Returns the place in the order of preference: the lowest number is the best path.
    fn rank(self) -> u8 {
        match self {
            Self::Local => 0,
            Self::Direct => 1,
            Self::Relayed(_) => 2,
        }
    }
}

/// Link, as the network file has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkView {
    /// Id of this site.
    pub own: u8,
    /// Id of the site at the other end.
    pub peer: u8,
    /// Port of the link's tunnel at this site.
    pub port: u16,
    /// Port of the link's tunnel at the peer.
    pub peer_port: u16,
    /// Endpoint of the peer in the network file, if the peer has one.
    pub endpoint: Option<SocketAddr>,
    /// Sites that can be asked.
    pub helpers: Vec<HelperView>,
    /// Networks in tunnels, whose addresses are never candidates.
    pub inside: Vec<Cidr>,
}

impl LinkView {
    /// Returns the helper whose relay port for this link is at an address.
    fn relay_at(&self, address: SocketAddr) -> Option<u8> {
        let is_relay = |asked: &SocketAddr| {
            let base = asked.port().checked_sub(HELPER_OFFSET);
            let port = base.and_then(|base| relay_port(base, self.own, self.peer));
            are_of_one_ip(asked, &address) && port == Some(address.port())
        };
        let helper = self.helpers.iter().find(|helper| is_relay(&helper.port));
        helper.map(|helper| helper.id)
    }
}

/// Helper, as the network file has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HelperView {
    /// Id of the site.
    pub id: u8,
    /// Port for questions, at the address of the site.
    pub port: SocketAddr,
    /// Second port for questions, at the address of the site.
    pub extra_port: Option<SocketAddr>,
}

/// Packet to send from the port of the link's tunnel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Destination.
    pub to: SocketAddr,
    /// Id of the site there.
    pub receiver: u8,
    /// Number of hops after which the packet is dropped.
    pub hops: u8,
    /// Random bytes for the header.
    pub salt: [u8; 16],
    /// Content.
    pub message: Message,
}

/// Stage of a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The link is down: this many rounds are over.
    Searching(u32),
    /// The link is up and direct: nothing is sent.
    Settled,
    /// The link is relayed; the next attempt to leave the relay follows after this wait.
    Relayed(Duration),
    /// The link is relayed, and an attempt to leave the relay is under way: this many rounds are over.
    Upgrading(u32, Duration),
}

/// Search for a path of one link.
#[derive(Debug)]
pub struct Search {
    link: LinkView,
    /// Further addresses of this site.
    addresses: Vec<SocketAddr>,
    stage: Stage,
    began: Instant,
    next: Option<Instant>,
    /// Time of the next round of a search unless an answer brings it forward, and the number of rounds ahead
    /// of that time.
    in_time: Instant,
    early: u8,
    places: Places,
    candidates: Candidates,
    /// Set if this site has sent pings to an address that a helper told.
    has_opened: bool,
    peer_has_opened: bool,
    /// Set if a ping of the peer has come through.
    pinged: bool,
    /// Numbers of the peer's last pings, oldest first.
    heard: [Number; MOST_HEARD],
    /// Address in use, and its path.
    chosen: Option<(SocketAddr, Path)>,
    /// Address that has answered a ping, and at which the link did not come up, and the time of that.
    refused: Option<(SocketAddr, Instant)>,
    /// Questions to a relay that must be told of this site's new address.
    relearning: Option<Relearning>,
    /// Time until which hints are ignored.
    deaf_until: Option<Instant>,
}

impl Search {
    /// Begins a search for a link that is down.
    pub fn begin(link: LinkView, addresses: Vec<SocketAddr>, now: Instant) -> Self {
        let mut search = Self {
            places: Places::of(&link.helpers, now),
            link,
            addresses,
            stage: Stage::Searching(0),
            began: now,
            next: Some(now),
            in_time: now,
            early: 0,
            candidates: Candidates::default(),
            has_opened: false,
            peer_has_opened: false,
            pinged: false,
            heard: [Number::default(); MOST_HEARD],
            chosen: None,
            refused: None,
            relearning: None,
            deaf_until: None,
        };
        if let Some(endpoint) = search.link.endpoint {
            search.add(endpoint, Path::Direct, false, Origin::File);
        }
        search
    }

    /// Returns the link.
    pub fn link(&self) -> &LinkView {
        &self.link
    }

    /// Returns the address to use for the peer, and its path, once a ping has been answered there.
    pub fn chosen(&self) -> Option<(SocketAddr, Path)> {
        self.chosen
    }

    /// Returns the time at which the search began.
    pub fn began(&self) -> Instant {
        self.began
    }

    /// Returns the time of the next round.
    pub fn deadline(&self) -> Option<Instant> {
        let relearning = self.relearning.map(|relearning| relearning.next);
        earlier(self.next, relearning)
    }

    /// Takes note that the tunnel works, with the peer at this address: WireGuard may have heard it first.
    pub fn settle(&mut self, endpoint: SocketAddr, now: Instant) {
        if let Some(helper) = self.link.relay_at(endpoint) {
            self.places.add(helper, endpoint, Use::Relay, now);
        }
        let path = self.path_to(endpoint);
        (self.chosen, self.refused) = (Some((endpoint, path)), None);
        if !matches!(path, Path::Relayed(_)) {
            self.stage = Stage::Settled;
            (self.next, self.relearning) = (None, None);
        } else if !self.is_relayed() {
            self.rest_at_relay(FIRST_UPGRADE, now);
        }
    }

    /// Returns the packets that are due.
    pub fn turn(&mut self, now: Instant, random: Random) -> Vec<Outgoing> {
        let mut outgoing = Vec::new();
        self.relearn(now, &mut outgoing, random);
        if !is_due(self.next, now) {
            return outgoing;
        }
        match self.stage {
            Stage::Searching(round) => {
                self.ask_for_peer(now, &mut outgoing, random);
                self.ask_for_relay(round, now, &mut outgoing, random);
                let had_opened = self.has_opened;
                self.ping_all(round == 0, now, &mut outgoing, random);
                self.stage = Stage::Searching(round.saturating_add(1));
                self.wait_for_round(now);
                if self.has_opened != had_opened {
                    // The peer waits for the word that this site's NAT is open.
                    self.next = Some(after(now, AT_ONCE));
                }
            }
            Stage::Relayed(wait) => self.upgrade(0, wait, now, &mut outgoing, random),
            Stage::Upgrading(round, wait) => self.upgrade(round, wait, now, &mut outgoing, random),
            Stage::Settled => self.next = None,
        }
        outgoing
    }

    /// Sets the time of the next round of a search. A round ahead of its time does not move it.
    fn wait_for_round(&mut self, now: Instant) {
        if is_due(Some(self.in_time), now) {
            let age = now.duration_since(self.began);
            let wait = WAITS.iter().find(|(until, _)| age < *until).map_or(LONGEST_WAIT, |(_, wait)| *wait);
            (self.in_time, self.early) = (after(now, wait), 0);
        }
        self.next = Some(self.in_time);
    }

    /// Tries to leave the relay.
    fn upgrade(
        &mut self,
        round: u32,
        wait: Duration,
        now: Instant,
        outgoing: &mut Vec<Outgoing>,
        random: Random,
    ) {
        self.ask_for_peer(now, outgoing, random);
        self.ping_all(round == 0, now, outgoing, random);
        if round + 1 < UPGRADE_ROUNDS {
            self.stage = Stage::Upgrading(round + 1, wait);
            self.next = Some(after(now, UPGRADE_WAIT));
        } else {
            self.rest_at_relay((wait * 2).min(LAST_UPGRADE), now);
        }
    }

    /// Reacts to an authentic packet. Returns the packets to send.
    pub fn receive(
        &mut self,
        from: SocketAddr,
        header: &Header,
        message: &Message,
        now: Instant,
        random: Random,
    ) -> Vec<Outgoing> {
        let mut outgoing = Vec::new();
        match message {
            Message::Answer(answer) => self.take_answer(from, header.from, answer, now),
            Message::Ping(_) if header.from == self.link.peer => {
                self.take_ping(from, header.number(), now, &mut outgoing, random);
            }
            Message::Pong(pong) if header.from == self.link.peer => {
                self.candidates.answered(from, pong, now);
                self.choose();
            }
            _ => {}
        }
        outgoing
    }

    /// Returns the addresses at which helpers see this site.
    pub fn seen(&self) -> impl Iterator<Item = SocketAddr> {
        self.places.list.iter().filter_map(|place| place.seen)
    }

    /// Takes over further addresses of this site.
    pub fn set_addresses(&mut self, addresses: Vec<SocketAddr>) {
        self.addresses = addresses;
    }

    /// Reports whether the link is up at a relay.
    fn is_relayed(&self) -> bool {
        matches!(self.stage, Stage::Relayed(_) | Stage::Upgrading(..))
    }

    fn rest_at_relay(&mut self, wait: Duration, now: Instant) {
        self.stage = Stage::Relayed(wait);
        self.next = Some(after(now, wait));
    }

    /// Brings the next round forward, as far as rounds may be early.
    fn hurry(&mut self, now: Instant) {
        if let Some(relearning) = &mut self.relearning {
            relearning.hurry(now);
        }
        let soon = after(now, AT_ONCE);
        let Some(next) = self.next.as_mut().filter(|next| **next > soon) else { return };
        match self.stage {
            Stage::Searching(_) if self.early < MOST_EARLY => {
                self.early += 1;
                *next = soon;
            }
            // The number of rounds is limited.
            Stage::Upgrading(..) => *next = soon,
            _ => {}
        }
    }

    /// Returns the path to an address: only helpers relay.
    fn path_to(&mut self, address: SocketAddr) -> Path {
        match self.places.at(address) {
            Some(place) => Path::Relayed(place.helper),
            None if is_home_address(ip_of(&address)) => Path::Local,
            None => Path::Direct,
        }
    }

    fn add(&mut self, address: SocketAddr, path: Path, is_guarded: bool, origin: Origin) -> bool {
        candidates::is_plausible(address, &self.link.inside)
            && self.candidates.add(address, path, is_guarded, origin)
    }
}
