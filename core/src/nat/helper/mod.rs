//! Decisions of a helper: where it has seen each site, and which links it relays.
//!
//! The state is bounded by the network file: one entry for each link between two other sites. An entry
//! changes only by a question of one of the two, from an address at which that site got the last answer.

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::packet::{Answer, Ask, Cookie, Header, Kind, MAGIC, Message};
use super::seal::{PairKey, mac};
use crate::base::sorted::SortedMap;

/// Age of a question at which its sender counts as gone.
const FORGOTTEN: Duration = Duration::from_mins(10);

/// Life of the secret from which cookies are made. A cookie is valid for one to two such times.
const SECRET_LIFE: Duration = Duration::from_mins(2);

/// Age of a site's last question from which on it does not seem to look for its peer.
const IDLE: Duration = Duration::from_secs(5);

/// Shortest time between two calls to a site on behalf of one peer.
const CALL_PAUSE: Duration = Duration::from_secs(1);

/// Shortest time between two hints from one port.
const HINT_PAUSE: Duration = Duration::from_millis(200);

/// Length of the shortest packet of WireGuard in bytes: a keepalive.
const SHORTEST_WIREGUARD: usize = 32;

/// Source of random bytes.
pub type Random<'a> = &'a mut dyn FnMut() -> [u8; 16];

/// Two sites with a link, in the order of their ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pair(pub u8, pub u8);

impl Pair {
    /// Returns the pair of two ids in any order.
    pub fn of(one: u8, other: u8) -> Self {
        Self(one.min(other), one.max(other))
    }
}

/// Link between two other sites, as the network file has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HelpedLink {
    /// Sites at its ends.
    pub pair: Pair,
    /// Ports of the link's tunnels at the two sites.
    pub ports: [u16; 2],
    /// Port at which this site relays the link; `None` if it does not.
    pub relay_port: Option<u16>,
    /// Set if this site relays IPv6 packets, too.
    pub relays_ipv6: bool,
}

/// Side of a relayed link, as this site sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RelaySide {
    /// Address from which the side sends.
    pub source: SocketAddr,
    /// Address of this site to which the side sends.
    pub local: SocketAddr,
}

/// Link that this site relays: packets from one side leave to the other, from this site's address that the
/// other side sends to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RelayedLink {
    /// Sides of the link, in the order of their ids.
    pub sides: [RelaySide; 2],
}

/// Packet that has come to one of this site's ports.
#[derive(Debug, Clone, Copy)]
pub struct Received<'a> {
    /// Sender.
    pub from: SocketAddr,
    /// Address of this site that the packet came to.
    pub to: SocketAddr,
    /// Payload.
    pub packet: &'a [u8],
}

/// Reaction to a packet.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Reaction {
    /// Packet for the sender.
    pub answer: Option<Vec<u8>>,
    /// Set if the relayed links are others than before. They must take effect after the answer has left: an
    /// answer that leaves later would be a connection of its own, which address translation never sees again.
    pub has_changed: bool,
    /// Call to a site that does not look for its peer, while the peer looks for it: the site may not know yet
    /// that the link is down. It goes the way of this site's own link to it.
    pub call: Option<Call>,
}

/// Call to a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// Id of the site to call.
    pub to: u8,
    /// Id of its peer, which looks for it.
    pub peer: u8,
}

/// Helper.
#[derive(Debug)]
pub struct Helper {
    id: u8,
    keys: SortedMap<u8, PairKey>,
    links: SortedMap<Pair, LinkState>,
    /// Present and former secret of cookies.
    secrets: [[u8; 16]; 2],
    /// Time of the present secret.
    since: Instant,
    /// Ports that have sent a hint lately, and its time.
    hints: Vec<(u16, Instant)>,
}

#[derive(Debug)]
struct LinkState {
    link: HelpedLink,
    sides: [Side; 2],
}

/// Knowledge about one end of a link.
#[derive(Debug, Default)]
struct Side {
    seen: Option<Seen>,
    relay: Option<RelaySide>,
    /// Time of the last call.
    called: Option<Instant>,
}

#[derive(Debug)]
struct Seen {
    address: SocketAddr,
    at: Instant,
    has_opened: bool,
    addresses: Vec<SocketAddr>,
}

impl Helper {
    /// Makes the helper at the site with this id. `secrets` are random.
    pub fn new(id: u8, secrets: [[u8; 16]; 2], now: Instant) -> Self {
        Self { id, keys: SortedMap::new(), links: SortedMap::new(), secrets, since: now, hints: Vec::new() }
    }

    /// Takes over the sites and links of a network file. Links that it no longer has are forgotten.
    pub fn follow(&mut self, keys: SortedMap<u8, PairKey>, links: Vec<HelpedLink>) {
        self.keys = keys;
        self.links.retain(|_, state| links.contains(&state.link));
        for link in links {
            self.links.get_or_insert_with(link.pair, || LinkState { link, sides: Default::default() });
        }
    }

    /// Returns the relayed links, with the sites at their ends.
    pub fn relayed(&self) -> Vec<(Pair, RelayedLink)> {
        let mut relayed = Vec::new();
        for (pair, state) in &self.links {
            if let Some(link) = state.relayed() {
                relayed.push((*pair, link));
            }
        }
        relayed
    }

    /// Takes over the relayed links of a former run. Links that the file does not relay are left out.
    pub fn resume(&mut self, relayed: &[(Pair, RelayedLink)]) {
        for (pair, link) in relayed {
            if let Some(state) = self.links.get_mut(pair).filter(|state| state.link.relay_port.is_some()) {
                for (side, relay) in state.sides.iter_mut().zip(link.sides) {
                    side.relay = Some(relay);
                }
            }
        }
    }

    /// Forgets a relayed link, which nobody uses any more. Its sites ask again when they need it.
    pub fn end(&mut self, link: &RelayedLink) {
        for state in self.links.values_mut().filter(|state| state.relayed().as_ref() == Some(link)) {
            state.sides = Default::default();
        }
    }

    /// Reacts to a packet. Packets that no other site can have sent get no answer.
    pub fn receive(&mut self, received: Received, now: Instant, random: Random) -> Reaction {
        if !received.packet.starts_with(&MAGIC) {
            return Reaction { answer: self.hint(&received, now), ..Reaction::default() };
        }
        self.answer(&received, now, random).unwrap_or_default()
    }

    /// Returns a hint for a site whose packets this site should relay, and whose address it does not know.
    fn hint(&mut self, Received { from, to, packet }: &Received, now: Instant) -> Option<Vec<u8>> {
        let relays_at = |state: &&LinkState| {
            state.link.relay_port == Some(to.port())
                || state.relays().any(|side| side.local.port() == to.port())
        };
        // A known side has no reason to ask again: its packet has come before the other side was known, or
        // has waited in the queue since. The few hints are for the other side.
        let is_known =
            |state: &&LinkState| state.relays().any(|side| side.source == *from && side.local == *to);
        self.hints.retain(|(_, last)| now.duration_since(*last) < HINT_PAUSE);
        let due = !self.hints.iter().any(|(port, _)| *port == to.port());
        if packet.len() < SHORTEST_WIREGUARD
            || !due
            || !self.links.values().any(|state| relays_at(&state))
            || self.links.values().any(|state| is_known(&state))
        {
            return None;
        }
        self.hints.push((to.port(), now));
        Some(Header::hint().encode().to_vec())
    }

    fn answer(&mut self, received: &Received, now: Instant, random: Random) -> Option<Reaction> {
        let header = Header::decode(received.packet)
            .filter(|header| header.kind == Kind::Ask && header.to == self.id)?;
        let key = self.keys.get(&header.from)?.clone();
        let Some(Message::Ask(ask)) = key.open(&header, received.packet) else { return None };
        if self.is_relayed(received) {
            return None;
        }
        self.renew_secret(now, random);
        let sender = (received.from, header.from, received.to.port());
        let is_proven = self.secrets.iter().any(|secret| cookie(secret, sender) == ask.cookie);
        let mut answer = Answer {
            question: header.number(),
            seen: received.from,
            cookie: cookie(&self.secrets[0], sender),
            peer: None,
            relay_port: None,
            age: 0,
            peer_has_opened: false,
            is_registered: false,
            addresses: Vec::new(),
        };
        let (mut has_changed, mut call) = (false, None);
        if is_proven {
            let claims_relay = ask.relay_here && !self.is_taken(header.from, &ask, received);
            let state = self.links.get_mut(&Pair::of(header.from, ask.peer))?;
            has_changed = state.register(&header, &ask, received, claims_relay, now)?;
            state.tell(&mut answer, header.from, received, now);
            call = state.call(ask.peer, now).then_some(Call { to: ask.peer, peer: header.from });
            self.release(Pair::of(header.from, ask.peer), received);
        }
        let answer = key.seal(self.id, header.from, random(), &Message::Answer(answer));
        Some(Reaction { answer: Some(answer), has_changed, call })
    }

    /// Reports whether a question comes from a side of a relayed link, at the port that it sends to. The
    /// question has waited in the queue since before the link was relayed. An answer would be a connection of
    /// its own, and the kernel would not relay packets of that side any more, whichever link the question is
    /// about.
    fn is_relayed(&self, received: &Received) -> bool {
        let is_it = |side: &RelaySide| side.source == received.from && side.local == received.to;
        let has_it = |link: RelayedLink| link.sides.iter().any(is_it);
        self.links.values().any(|state| state.relayed().is_some_and(has_it))
    }

    /// Reports whether this site relays another link from the address of a question, at the same port: a
    /// packet from there cannot tell the two links apart.
    fn is_taken(&self, from: u8, ask: &Ask, received: &Received) -> bool {
        let own = Pair::of(from, ask.peer);
        let is_it = |side: RelaySide| side.source == received.from && side.local.port() == received.to.port();
        self.links.values().any(|state| state.link.pair != own && state.relays().any(is_it))
    }

    /// Forgets the source of a question at the relay port of a link as a source of other links at this port,
    /// which wait for their other side: a NAT has given the address to another site, which has proven that
    /// packets reach it there.
    fn release(&mut self, own: Pair, received: &Received) {
        let relay = Some(RelaySide { source: received.from, local: received.to });
        if self.links.get(&own).and_then(|state| state.link.relay_port) != Some(received.to.port()) {
            return;
        }
        for state in self.links.values_mut().filter(|state| state.link.pair != own) {
            for side in state.sides.iter_mut().filter(|side| side.relay == relay) {
                side.relay = None;
            }
        }
    }

    fn renew_secret(&mut self, now: Instant, random: Random) {
        if now.duration_since(self.since) >= SECRET_LIFE {
            self.secrets = [random(), self.secrets[0]];
            self.since = now;
        }
    }
}

impl LinkState {
    fn relays(&self) -> impl Iterator<Item = RelaySide> {
        self.sides.iter().filter_map(|side| side.relay)
    }

    /// Returns the relayed link, if both sides have asked for it, by addresses of one family.
    fn relayed(&self) -> Option<RelayedLink> {
        let [Side { relay: Some(one), .. }, Side { relay: Some(other), .. }] = self.sides else {
            return None;
        };
        (one.source.is_ipv4() == other.source.is_ipv4()).then_some(RelayedLink { sides: [one, other] })
    }

    /// Returns the port at which this site relays the link for a side with this address.
    fn relay_port(&self, from: SocketAddr) -> Option<u16> {
        self.link.relay_port.filter(|_| from.is_ipv4() || self.link.relays_ipv6)
    }

    /// Takes note of a question. Reports whether the relayed link is another than before; `None` if the
    /// question gets no answer.
    fn register(
        &mut self,
        header: &Header,
        ask: &Ask,
        received: &Received,
        claims_relay: bool,
        now: Instant,
    ) -> Option<bool> {
        let index = usize::from(header.from == self.link.pair.1);
        if [ask.port, ask.peer_port] != [self.link.ports[index], self.link.ports[1 - index]] {
            return None;
        }
        let before = self.relayed();
        let is_at_relay_port = self.link.relay_port == Some(received.to.port());
        let relay = RelaySide { source: received.from, local: received.to };
        if self.relay_port(received.from).is_some() && (is_at_relay_port || claims_relay) {
            self.sides[index].relay = Some(relay);
        }
        if !is_at_relay_port {
            self.sides[index].seen = Some(Seen {
                address: received.from,
                at: now,
                has_opened: ask.has_opened,
                addresses: ask.addresses.clone(),
            });
        }
        let after = self.relayed();
        Some(after.is_some() && after != before)
    }

    /// Reports whether a side of the link is to be called now: it does not look for its peer.
    fn call(&mut self, id: u8, now: Instant) -> bool {
        let side = &mut self.sides[usize::from(id == self.link.pair.1)];
        let is_young = |at: Instant, age| now.duration_since(at) < age;
        let is_searching = side.seen.as_ref().is_some_and(|seen| is_young(seen.at, IDLE));
        let is_due = !is_searching && side.called.is_none_or(|at| !is_young(at, CALL_PAUSE));
        if is_due {
            side.called = Some(now);
        }
        is_due
    }

    /// Adds to an answer what this site knows of the peer.
    fn tell(&self, answer: &mut Answer, from: u8, received: &Received, now: Instant) {
        let index = usize::from(from == self.link.pair.1);
        let relay = RelaySide { source: received.from, local: received.to };
        answer.relay_port = self.relay_port(received.from);
        answer.is_registered = self.sides[index].relay == Some(relay);
        if let Some(seen) = &self.sides[1 - index].seen
            && let age = now.duration_since(seen.at)
            && age < FORGOTTEN
        {
            answer.peer = Some(seen.address);
            answer.age = u16::try_from(age.as_secs()).expect("it is not forgotten");
            answer.peer_has_opened = seen.has_opened;
            answer.addresses.clone_from(&seen.addresses);
        }
    }
}

/// Returns the cookie of a sender: its address, its id, and the port at which it asks.
fn cookie(secret: &[u8; 16], (from, id, port): (SocketAddr, u8, u16)) -> Cookie {
    let mut key = [0; 32];
    key[..16].copy_from_slice(secret);
    let text = format!("{from} {id} {port}");
    *mac(&key, text.as_bytes()).first_chunk().expect("a longer hash")
}
