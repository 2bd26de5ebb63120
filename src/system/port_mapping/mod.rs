//! Port mappings at the home router: asked for, renewed, and given back. Never blocks: the caller polls.
//!
//! Nothing is sent unless this host's own address is private and a port is wanted. A router that does not
//! answer is asked again after an hour, or when the uplink comes back, leads to another router, or has
//! another address.

mod entry;
mod exchange;
mod record;
mod router;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::base::moment::{after, earlier, is_due};
use crate::base::net::Secret;
use crate::nat::ip_of;
use crate::nat::mapping::{self, Dialogue, Mapping, MappingState, Progress, Protocol, Subject, is_private};
use crate::system::logging as log;
use crate::system::wait::wait_for_input;
use entry::{Entry, LONG_WAIT};
use exchange::{Exchange, Heard};
pub use router::Router;

/// Name of the record in the folder of run-time files.
const RECORD: &str = "mappings";

/// Shortest wait before a renewal.
const SHORTEST: Duration = Duration::from_mins(1);

/// Longest lifetime that counts: a router that forgets a mapping does not tell.
const LONGEST: Duration = Duration::from_hours(2);

/// Longest wait for a router that takes back mappings when the network is taken down.
const GIVE_BACK_LIMIT: Duration = Duration::from_secs(3);

/// Number of messages to read before the caller's other work gets its turn.
const MESSAGES_PER_TURN: usize = 50;

/// Shortest time between two renewals because a public site sees another address.
const DOUBT_PAUSE: Duration = Duration::from_mins(1);

/// Mappings of this host's ports.
#[derive(Debug)]
pub struct PortMapping {
    record: PathBuf,
    router: Option<Router>,
    /// Set while the router is at the other end of the uplink.
    is_near: bool,
    entries: Vec<Entry>,
    talk: Option<Talk>,
    /// Protocol in which the router granted the last mapping.
    protocol: Protocol,
    has_changed: bool,
    /// Set if a public site sees another address than the router's: to true once the router has confirmed
    /// its address since.
    doubt: Option<bool>,
    /// Time of the last renewal after a doubt.
    doubted: Option<Instant>,
}

/// Dialogue with the router.
#[derive(Debug)]
struct Talk {
    dialogue: Dialogue,
    /// Question that waits for its answer; none if it could not be sent.
    exchange: Option<Exchange>,
    /// Time of the last question.
    asked: Instant,
}

impl PortMapping {
    /// Takes over the mappings that an earlier process has left in the record in this folder.
    pub fn open(folder: &Path) -> Self {
        let record = folder.join(RECORD);
        let (router, entries) = record::read(&record);
        Self {
            record,
            router,
            is_near: false,
            entries,
            talk: None,
            protocol: Protocol::Pcp,
            has_changed: false,
            doubt: None,
            doubted: None,
        }
    }

    /// Takes over the ports to map and the router. Mappings of other ports are given back. `key` is this
    /// site's private key, from which the nonces are derived.
    pub fn follow(&mut self, ports: &[u16], router: Option<Router>, key: &Secret, now: Instant) {
        self.meet(router, now);
        for entry in &mut self.entries {
            let is_wanted = ports.contains(&entry.port);
            if !is_wanted && (entry.is_wanted || entry.due.is_none()) {
                entry.leave(now);
            } else if is_wanted && !entry.is_wanted {
                // The router may have taken the mapping back already.
                let is_it =
                    |talk: &mut Talk| talk.dialogue.gives_back() && talk.dialogue.port() == entry.port;
                self.talk.take_if(is_it);
                entry.state = MappingState::Asked;
                entry.ask_at(now);
            }
            self.has_changed |= entry.is_wanted && !is_wanted;
            entry.is_wanted = is_wanted;
        }
        self.clean_up();
        for port in ports {
            if !self.entries.iter().any(|entry| entry.port == *port) {
                let mut entry = Entry::new(*port, mapping::nonce(key, *port));
                entry.is_wanted = true;
                entry.ask_at(now);
                self.entries.push(entry);
            }
        }
    }

    /// Takes over the router. Another router has no mapping of ours.
    fn meet(&mut self, router: Option<Router>, now: Instant) {
        let was_near = std::mem::replace(&mut self.is_near, router.is_some());
        if self.is_near && was_near && self.router == router {
            return;
        }
        self.talk = None;
        self.has_changed |= was_near || self.is_near;
        if self.is_near {
            if self.router != router {
                self.router = router;
                (self.doubt, self.doubted) = (None, None);
                for entry in &mut self.entries {
                    entry.lose();
                    entry.state = MappingState::Asked;
                }
                self.save();
            }
            self.protocol = Protocol::Pcp;
            self.entries.iter_mut().filter(|entry| entry.is_wanted).for_each(|entry| entry.ask_at(now));
        }
    }

    /// Returns the address and port outside of the router at which a port is reached.
    pub fn external(&self, port: u16) -> Option<SocketAddr> {
        let mut states = self.states().filter(|(its_port, _)| self.is_near && *its_port == port);
        match states.next() {
            Some((_, MappingState::Mapped(_, external))) => Some(external.into()),
            _ => None,
        }
    }

    /// Returns the state of each wanted port, if a router is there.
    pub fn states(&self) -> impl Iterator<Item = (u16, MappingState)> {
        let wanted = self.entries.iter().filter(|entry| self.is_near && entry.is_wanted);
        wanted.map(|entry| (entry.port, entry.state))
    }

    /// Reports whether an answer of [`Self::external`] has changed since the last call.
    pub fn take_change(&mut self) -> bool {
        std::mem::take(&mut self.has_changed)
    }

    /// Takes the address that a public site sees now. If it is not the router's, the router may have got a
    /// new one, so the mappings are renewed. If the router keeps to its address, it is behind a second NAT,
    /// and the mapping is worth nothing.
    pub fn doubt(&mut self, seen: SocketAddr, now: Instant) {
        let IpAddr::V4(seen) = ip_of(&seen).to_canonical() else { return };
        let own = self.states().find_map(|(_, state)| match state {
            MappingState::Mapped(_, external) => Some(*external.ip()),
            _ => None,
        });
        // A site in the same home sees a private address.
        let Some(own) = own.filter(|_| !is_private(seen)) else { return };
        if own == seen {
            self.doubt = None;
        } else if self.doubt.is_none() {
            // Two helpers may disagree for long.
            if self.doubted.is_some_and(|last| !is_due(Some(after(last, DOUBT_PAUSE)), now)) {
                return;
            }
            (self.doubt, self.doubted) = (Some(false), Some(now));
            let is_mapped =
                |entry: &&mut Entry| entry.is_wanted && matches!(entry.state, MappingState::Mapped(..));
            self.entries.iter_mut().filter(is_mapped).for_each(|entry| entry.ask_at(now));
        } else if self.doubt == Some(true) {
            self.meet_second_nat(own, Some(seen.into()), now);
        }
    }

    fn meet_second_nat(&mut self, own: Ipv4Addr, seen: Option<IpAddr>, now: Instant) {
        let state = MappingState::SecondNat(own, seen);
        self.doubt = None;
        let mut is_news = false;
        for entry in &mut self.entries {
            is_news |= std::mem::replace(&mut entry.state, state) != state;
            entry.leave(now);
        }
        self.has_changed |= is_news;
        if is_news {
            log::warn!("no port is mapped: {state}");
        }
    }

    /// Returns the descriptor to poll for input.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.talk.as_ref()?.exchange.as_ref()?.descriptor())
    }

    /// Returns the time at which to call [`Self::turn`] even without input.
    pub fn deadline(&self) -> Option<Instant> {
        let talk = self.talk.as_ref();
        let mut next = talk.map(|talk| talk.exchange.as_ref().map_or(talk.asked, Exchange::due));
        for entry in &self.entries {
            next = earlier(next, entry.end);
            if self.is_near && talk.is_none() {
                next = earlier(next, entry.due);
            }
        }
        next
    }

    /// Takes answers, and asks the questions that are due. Never waits.
    pub fn turn(&mut self, now: Instant) {
        self.end_mappings(now);
        for _ in 0..MESSAGES_PER_TURN {
            if self.talk.is_none() {
                self.talk = self.next_talk(now);
            }
            let (Some(talk), Some(router)) = (&mut self.talk, &self.router) else { return };
            let mut progress = match talk.hear(now) {
                Heard::Nothing => return,
                Heard::Message(bytes) => talk.dialogue.answer(&bytes),
                Heard::Silence => talk.dialogue.silence(),
            };
            // Foreign messages without an end must not prolong the wait.
            if progress == Progress::Foreign && talk.exchange.as_ref().is_some_and(|it| it.is_over(now)) {
                progress = talk.dialogue.silence();
            }
            match progress {
                Progress::Foreign => {}
                Progress::Asks => talk.ask(router, now),
                Progress::Granted(mapping) => self.granted(mapping, now),
                Progress::Over => self.over(now),
            }
        }
    }

    /// Forgets mappings that have ended without a renewal, and asks for them anew.
    fn end_mappings(&mut self, now: Instant) {
        let mut is_any = false;
        for entry in self.entries.iter_mut().filter(|entry| is_due(entry.end, now)) {
            entry.lose();
            entry.state = MappingState::Asked;
            entry.ask_at(now);
            is_any = true;
        }
        if is_any {
            self.has_changed = true;
            self.clean_up();
            self.save();
        }
    }

    /// Drops entries without a use.
    fn clean_up(&mut self) {
        let asked = self.talk.as_ref().map(|talk| talk.dialogue.port());
        let is_used = |entry: &Entry| entry.is_wanted || entry.mapping.is_some() || asked == Some(entry.port);
        self.entries.retain(is_used);
    }

    /// Begins a dialogue about the first port that is due.
    fn next_talk(&mut self, now: Instant) -> Option<Talk> {
        let router = self.router.as_ref().filter(|_| self.is_near)?;
        let entry = self.entries.iter_mut().find(|entry| is_due(entry.due, now))?;
        let subject =
            Subject { router: router.address, client: router.client, port: entry.port, nonce: entry.nonce };
        let dialogue = match entry.mapping {
            Some(mapping) if entry.is_leaving => Dialogue::give_back(subject, mapping),
            Some(mapping) => Dialogue::ask(subject, mapping.external, mapping.protocol),
            None => {
                Dialogue::ask(subject, SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, entry.port), self.protocol)
            }
        };
        let mut talk = Talk { dialogue, exchange: None, asked: now };
        talk.ask(router, now);
        Some(talk)
    }

    fn granted(&mut self, mapping: Mapping, now: Instant) {
        let Some(entry) = self.end_talk() else { return };
        let external = *mapping.external.ip();
        let is_new = entry.mapping.replace(mapping).is_none_or(|old| old.external != mapping.external);
        let lifetime = Duration::from_secs(mapping.lifetime.into()).clamp(SHORTEST * 2, LONGEST);
        (entry.end, entry.due) = (Some(after(now, lifetime)), Some(after(now, lifetime / 2)));
        let port = entry.port;
        if !entry.is_wanted {
            entry.leave(now);
        } else if is_private(external) {
            self.meet_second_nat(external, None, now);
        } else {
            let state = MappingState::Mapped(mapping.protocol, mapping.external);
            if std::mem::replace(&mut entry.state, state) != state {
                log::info!("UDP port {port}: {state}");
                self.has_changed = true;
            }
            self.protocol = mapping.protocol;
        }
        self.doubt = self.doubt.filter(|_| !is_new).map(|_| true);
        if is_new {
            self.save();
        }
    }

    /// Takes the end of a dialogue without a mapping.
    fn over(&mut self, now: Instant) {
        let Some(Talk { dialogue, .. }) = &self.talk else { return };
        let (gave_back, refusal) = (dialogue.gives_back(), dialogue.refusal());
        if !gave_back {
            // The router may no longer speak the protocol of the last mapping.
            self.protocol = Protocol::Pcp;
        }
        let Some(entry) = self.end_talk() else { return };
        if gave_back {
            entry.lose();
            entry.leave(now);
            self.clean_up();
            return self.save();
        }
        // A port that is not wanted any more is due already.
        if entry.is_leaving {
            return;
        }
        // The mapping may live on: a router that restarts does not answer.
        if let Some(end) = entry.end {
            entry.due = Some(after(now, ((end - now) / 2).max(SHORTEST)));
            return;
        }
        let had_mapping = entry.mapping.take().is_some();
        let port = entry.port;
        let state = refusal.map_or(MappingState::NoAnswer, MappingState::Refused);
        // A router that does not answer about one port does not answer about the others either.
        let is_meant = |entry: &&mut Entry| {
            entry.port == port || refusal.is_none() && entry.mapping.is_none() && entry.is_wanted
        };
        for entry in self.entries.iter_mut().filter(is_meant) {
            (entry.state, entry.due) = (state, Some(after(now, LONG_WAIT)));
        }
        self.clean_up();
        if had_mapping {
            self.save();
        }
    }

    /// Ends the dialogue, and returns the entry that it was about.
    fn end_talk(&mut self) -> Option<&mut Entry> {
        let port = self.talk.take()?.dialogue.port();
        self.entries.iter_mut().find(|entry| entry.port == port)
    }

    fn save(&self) {
        record::write(&self.record, self.router.as_ref(), &self.entries);
    }
}

impl Talk {
    fn ask(&mut self, router: &Router, now: Instant) {
        self.asked = now;
        self.exchange = Exchange::begin(self.dialogue.question(), router, now).ok();
    }

    fn hear(&mut self, now: Instant) -> Heard {
        self.exchange.as_mut().map_or(Heard::Silence, |exchange| exchange.hear(now))
    }
}

/// Gives back the mappings in the record in this folder. Waits for the router, but no longer than three
/// seconds.
pub fn give_back(folder: &Path) {
    let mut left = PortMapping::open(folder);
    let begin = Instant::now();
    left.is_near = left.router.is_some();
    left.entries.iter_mut().for_each(|entry| entry.leave(begin));
    while left.is_near && !left.entries.is_empty() && begin.elapsed() < GIVE_BACK_LIMIT {
        left.turn(Instant::now());
        // The loop looks again after any result, and the limit ends it.
        let next = earlier(left.deadline().or(Some(begin)), Some(after(begin, GIVE_BACK_LIMIT)));
        let _ = wait_for_input(left.descriptor().as_slice(), next);
    }
    if !left.entries.is_empty() {
        log::warn!(
            "the router did not take back all port mappings: they end by themselves, but permanent ones stay"
        );
        left.entries.clear();
        left.save();
    }
}
