//! Small internet of plain data, in which two sites behind NAT search for each other with the help of a
//! third.
//!
//! ```text
//! site 1 ─ NATs ─ internet ─ NATs ─ site 2
//!                    │
//!                 site 3, the helper
//! ```

mod nat;
mod tests;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::helper::{HelpedLink, Helper, Pair, Received, RelayedLink};
use super::packet::Header;
use super::seal::PairKey;
use super::search::{HelperView, LinkView, Outgoing, Path, Search};
use super::{helper_port, relay_port};
use crate::base::keys::public_key;
use crate::base::net::Secret;
use nat::{Kind, Nat};

/// Time on the way through the internet.
const DELAY: Duration = Duration::from_millis(10);

/// Time until new rules of the relay are in force.
const RULES: Duration = Duration::from_millis(50);

/// Routers on the internet, between the outermost NATs.
const CORE: u8 = 2;

const HELPER: u8 = 3;
const PORT: u16 = 51820;
const EXTRA_PORT: u16 = 443;

/// First message of a handshake, and its answer.
const INITIATION: [u8; 148] = [1; 148];
const RESPONSE: [u8; 92] = [2; 92];

/// Event at a time.
#[derive(Debug, Clone)]
enum Event {
    Arrival {
        from: SocketAddr,
        to: SocketAddr,
        hops: u8,
        packet: Vec<u8>,
    },
    /// A round of a site is due.
    Turn(u8),
    /// The relay has new rules.
    Rules(Vec<RelayedLink>),
}

/// Site that searches.
struct Home {
    address: SocketAddr,
    /// NATs from the inside to the outside.
    nats: Vec<Nat>,
    search: Search,
    keys: BTreeMap<u8, PairKey>,
    /// Endpoint of the tunnel, and the time of its last handshake.
    endpoint: Option<SocketAddr>,
    up: Option<Instant>,
}

struct Internet {
    now: Instant,
    events: BTreeMap<(Instant, u32), Event>,
    count: u32,
    homes: [Home; 2],
    /// Set if both sites are in one home.
    together: bool,
    helper: Helper,
    relayed: Vec<RelayedLink>,
    /// Time on the way from the relay to a site.
    relay_delay: Duration,
    /// Packets that sites have sent, WireGuard's aside.
    sent: usize,
}

fn secret(id: u8) -> Secret {
    Secret::new([id; 32])
}

fn key(own: u8, other: u8) -> PairKey {
    PairKey::derive(&secret(own), public_key(&secret(other))).unwrap()
}

fn helper_address() -> IpAddr {
    "198.51.100.3".parse().unwrap()
}

impl Internet {
    /// Puts each site behind NATs of these kinds, the innermost first. `together`: site 2 is in the home of
    /// site 1.
    fn new(kinds: [&[Kind]; 2], together: bool, relays: bool) -> Self {
        let now = Instant::now();
        let home = |id: u8| {
            let place = if together { 1 } else { id };
            let address = SocketAddr::new(IpAddr::from([172, 16, place, id + 1]), PORT + u16::from(3 - id));
            let kinds = kinds[usize::from(place - 1)];
            let outside = |index: usize| match kinds.len() - index {
                1 => [198, 51, 100, place],
                _ => [100, 64, place, 2],
            };
            let nats =
                kinds.iter().enumerate().map(|(index, kind)| Nat::new(*kind, IpAddr::from(outside(index))));
            let link = LinkView {
                own: id,
                peer: 3 - id,
                port: address.port(),
                peer_port: PORT + u16::from(id),
                endpoint: None,
                helpers: vec![HelperView {
                    id: HELPER,
                    port: SocketAddr::new(helper_address(), helper_port(PORT).unwrap()),
                    extra_port: Some(SocketAddr::new(helper_address(), EXTRA_PORT)),
                }],
                inside: vec!["10.77.0.0/16".parse().unwrap()],
            };
            Home {
                address,
                nats: nats.collect(),
                search: Search::begin(link, vec![address], now),
                keys: [HELPER, 3 - id].map(|other| (other, key(id, other))).into(),
                endpoint: None,
                up: None,
            }
        };
        let mut helper = Helper::new(HELPER, [[1; 16], [2; 16]], now);
        let relay_port = relay_port(PORT, 1, 2).filter(|_| relays);
        let link =
            HelpedLink { pair: Pair(1, 2), ports: [PORT + 2, PORT + 1], relay_port, relays_ipv6: false };
        helper.follow([1, 2].map(|id| (id, key(HELPER, id))).into(), vec![link]);
        let homes = [home(1), home(2)];
        let mut internet = Self {
            now,
            events: BTreeMap::new(),
            count: 0,
            homes,
            together,
            helper,
            relayed: Vec::new(),
            relay_delay: DELAY,
            sent: 0,
        };
        internet.after(Duration::ZERO, Event::Turn(1));
        // The second site begins a moment later.
        internet.after(Duration::from_millis(130), Event::Turn(2));
        internet
    }

    fn after(&mut self, wait: Duration, event: Event) {
        self.count += 1;
        self.events.insert((self.now + wait, self.count), event);
    }

    /// Plays until both tunnels are up, or for a limit. Returns the time it took.
    fn play_until_up(&mut self, limit: Duration) -> Option<Duration> {
        self.play(limit, |internet| internet.homes.iter().all(|home| home.up.is_some()))
    }

    fn play(&mut self, limit: Duration, is_over: impl Fn(&Self) -> bool) -> Option<Duration> {
        let begin = self.now;
        while let Some(entry) = self.events.first_entry() {
            if entry.key().0 > begin + limit {
                self.now = begin + limit;
                return None;
            }
            let ((at, _), event) = entry.remove_entry();
            self.now = at;
            match event {
                Event::Arrival { from, to, hops, packet } => self.arrive(from, to, hops, &packet),
                Event::Turn(id) => self.turn(id),
                Event::Rules(relayed) => self.relayed = relayed,
            }
            if is_over(self) {
                return Some(self.now - begin);
            }
        }
        None
    }

    fn home(&mut self, id: u8) -> &mut Home {
        &mut self.homes[usize::from(id - 1)]
    }

    fn turn(&mut self, id: u8) {
        let (now, mut count) = (self.now, self.count);
        let home = self.home(id);
        let outgoing = home.search.turn(now, &mut || drawn(&mut count));
        self.count = count;
        self.send(id, outgoing);
    }

    fn send(&mut self, id: u8, outgoing: Vec<Outgoing>) {
        self.sent += outgoing.len();
        for Outgoing { to, receiver, hops, salt, message } in outgoing {
            let packet = self.home(id).keys[&receiver].seal(id, receiver, salt, &message);
            self.leave(id, to, hops, packet);
        }
        if let Some(deadline) = self.home(id).search.deadline() {
            let wait = deadline.saturating_duration_since(self.now);
            self.after(wait, Event::Turn(id));
        }
        let home = self.home(id);
        if let Some((chosen, _)) = home.search.chosen()
            && home.endpoint != Some(chosen)
        {
            home.endpoint = Some(chosen);
            self.leave(id, chosen, 64, INITIATION.to_vec());
        }
    }

    /// Sends a packet out of a site.
    fn leave(&mut self, id: u8, to: SocketAddr, hops: u8, packet: Vec<u8>) {
        let (own, other) = (self.home(id).address, self.home(3 - id).address);
        if to == other && self.together {
            return self.after(Duration::from_millis(1), Event::Arrival { from: own, to, hops, packet });
        }
        let (mut from, mut left) = (own, hops);
        // The internet has no way to a home's own addresses.
        if self.homes.iter().any(|home| home.address.ip() == to.ip()) {
            return;
        }
        let router = if self.together { 1 } else { id };
        for nat in &mut self.home(router).nats {
            let Some(outside) = nat.out(from, to) else { return };
            from = outside;
            left -= 1;
        }
        if left > CORE {
            self.after(DELAY, Event::Arrival { from, to, hops: left - CORE, packet });
        }
    }

    fn arrive(&mut self, from: SocketAddr, to: SocketAddr, hops: u8, packet: &[u8]) {
        if to.ip() == helper_address() {
            return self.arrive_at_helper(from, to, packet);
        }
        for id in [1, 2] {
            let home = self.home(id);
            if home.address == to {
                return self.receive(id, from, packet);
            }
            if home.nats.last().is_some_and(|nat| nat.outside() == to.ip()) {
                let (mut inside, mut hops) = (to, hops);
                for nat in home.nats.iter_mut().rev() {
                    hops -= 1;
                    let Some(next) = nat.into(from, inside.port()).filter(|_| hops > 0) else { return };
                    inside = next;
                }
                // Both sites may be behind the same NAT.
                let receiver = if self.home(id).address == inside { id } else { 3 - id };
                return self.receive(receiver, from, packet);
            }
        }
    }

    fn arrive_at_helper(&mut self, from: SocketAddr, to: SocketAddr, packet: &[u8]) {
        for link in self.relayed.clone() {
            for (side, other) in [(0, 1), (1, 0)] {
                if link.sides[side].source == from && link.sides[side].local == to {
                    let (to, from) = (link.sides[other].source, link.sides[other].local);
                    let packet = packet.to_vec();
                    let arrival = Event::Arrival { from, to, hops: 60, packet };
                    return self.after(self.relay_delay, arrival);
                }
            }
        }
        let now = self.now;
        let mut count = self.count;
        let reaction = self.helper.receive(Received { from, to, packet }, now, &mut || drawn(&mut count));
        self.count = count;
        if let Some(answer) = reaction.answer {
            self.after(DELAY, Event::Arrival { from: to, to: from, hops: 60, packet: answer });
        }
        if reaction.has_changed {
            let relayed = self.helper.relayed().into_iter().map(|(_, link)| link).collect();
            self.after(RULES, Event::Rules(relayed));
        }
    }

    fn receive(&mut self, id: u8, from: SocketAddr, packet: &[u8]) {
        let now = self.now;
        let home = self.home(id);
        if packet == INITIATION || packet == RESPONSE {
            home.endpoint = Some(from);
            home.up.get_or_insert(now);
            home.search.settle(from, now);
            if packet == INITIATION {
                self.leave(id, from, 64, RESPONSE.to_vec());
            }
            return;
        }
        let Some(header) = Header::decode(packet) else { return };
        if header == Header::hint() {
            home.search.hint(from, now);
            return self.send(id, Vec::new());
        }
        let Some(message) = home.keys.get(&header.from).and_then(|key| key.open(&header, packet)) else {
            return;
        };
        let mut count = self.count;
        let outgoing = self.home(id).search.receive(from, &header, &message, now, &mut || drawn(&mut count));
        self.count = count;
        self.send(id, outgoing);
    }

    /// Returns the paths of both sites.
    fn paths(&self) -> [Option<Path>; 2] {
        [0, 1].map(|index| self.homes[index].search.chosen().map(|(_, path)| path))
    }
}

/// Returns a salt that was not used before.
fn drawn(count: &mut u32) -> [u8; 16] {
    *count += 1;
    let mut salt = [0; 16];
    salt[..4].copy_from_slice(&count.to_be_bytes());
    salt
}
