//! Packets between sites behind NAT and helpers: as they come, and sealed by members that misbehave.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use crate::base::keys::public_key;
use crate::base::net::Secret;
use crate::nat::helper::{HelpedLink, Helper, Pair, Received};
use crate::nat::packet::{Ask, Header, Kind, Message};
use crate::nat::relay_port;
use crate::nat::seal::PairKey;
use crate::nat::search::{HelperView, LinkView, Outgoing, Search};

const HELPER: u8 = 3;
const PORT: u16 = 51820;
const QUESTIONS: u16 = PORT + 255;

/// Number of packets that one packet may cause: an answer, a pong, or the questions and pings of a round.
const MOST_PACKETS: usize = 64;

/// Bytes of a step: what to do, an address, the time that passes before, and a body.
const STEP: usize = 120;

static KEYS: LazyLock<[PairKey; 2]> = LazyLock::new(|| {
    let key = |site: u8| {
        let other = public_key(&Secret::new([site; 32]));
        PairKey::derive(&Secret::new([HELPER; 32]), other).expect("a key that gives a secret")
    };
    [key(1), key(2)]
});

/// Helper and a site that searches, in the hands of the fuzzer.
struct World {
    now: Instant,
    drawn: u8,
    helper: Helper,
    search: Search,
    /// Last packets that the search has sent.
    sent: Vec<Outgoing>,
    /// Last cookie of the helper.
    cookie: [u8; 8],
}

/// Feeds a helper and a search.
pub(super) fn play(bytes: &[u8]) {
    let mut world = World::new();
    for kind in Kind::ALL {
        if let Some(message) = Message::decode(kind, bytes) {
            assert_eq!(Message::decode(kind, &message.encode()), Some(message));
        }
    }
    for port in [QUESTIONS, relay_port(PORT, 1, 2).expect("a port"), 443] {
        world.helper_receives(SocketAddr::from(([203, 0, 113, 9], 4000)), port, bytes);
    }
    for step in bytes.chunks(STEP) {
        world.step(step);
    }
    assert!(world.helper.relayed().len() <= 1);
}

impl World {
    fn new() -> Self {
        let now = Instant::now();
        let mut helper = Helper::new(HELPER, [[1; 16], [2; 16]], now);
        let relay_port = relay_port(PORT, 1, 2);
        let link =
            HelpedLink { pair: Pair(1, 2), ports: [PORT + 2, PORT + 1], relay_port, relays_ipv6: true };
        helper.follow([(1, KEYS[0].clone()), (2, KEYS[1].clone())].into(), vec![link]);
        let at = |port| SocketAddr::from(([198, 51, 100, 3], port));
        let view = LinkView {
            own: 1,
            peer: 2,
            port: PORT + 2,
            peer_port: PORT + 1,
            endpoint: None,
            helpers: vec![HelperView { id: HELPER, port: at(QUESTIONS), extra_port: Some(at(443)) }],
            inside: vec!["10.77.0.0/16".parse().expect("a network")],
        };
        let search = Search::begin(view, Vec::new(), now);
        Self { now, drawn: 0, helper, search, sent: Vec::new(), cookie: [0; 8] }
    }

    fn step(&mut self, step: &[u8]) {
        let [what, place, wait, body @ ..] = step else { return };
        self.now += Duration::from_millis(u64::from(*wait) * u64::from(*wait));
        let from = address(*place, body);
        let kind = [Kind::Ask, Kind::Answer, Kind::Ping, Kind::Pong, Kind::Call][usize::from(what % 5)];
        match Message::decode(kind, body) {
            Some(Message::Ask(ask)) => self.ask(*what, from, ask),
            Some(message) => self.search_receives(*what, from, message),
            None if what % 2 == 0 => self.search.hint(from, self.now),
            None => self.search.settle(from, self.now),
        }
        let (now, drawn) = (self.now, &mut self.drawn);
        let sent = self.search.turn(now, &mut || draw(drawn));
        assert!(sent.len() <= MOST_PACKETS, "{} packets", sent.len());
        self.sent.extend(sent);
        self.sent.drain(..self.sent.len().saturating_sub(MOST_PACKETS));
    }

    /// Asks the helper, about the right link and with its last cookie if the fuzzer wants that.
    fn ask(&mut self, what: u8, from: SocketAddr, mut ask: Ask) {
        let id = 1 + what % 2;
        if what & 0x10 != 0 {
            ask.peer = 3 - id;
            (ask.port, ask.peer_port) = (PORT + u16::from(ask.peer), PORT + u16::from(id));
        }
        if what & 0x20 != 0 {
            ask.cookie = self.cookie;
        }
        let port = if what & 0x40 != 0 { QUESTIONS } else { relay_port(PORT, 1, 2).expect("a port") };
        let key = &KEYS[usize::from(id - 1)];
        let packet = key.seal(id, HELPER, draw(&mut self.drawn), &Message::Ask(ask));
        if let Some(answer) = self.helper_receives(from, port, &packet) {
            let header = Header::decode(&answer).expect("an answer");
            let Some(Message::Answer(answer)) = key.open(&header, &answer) else { panic!("no answer") };
            self.cookie = answer.cookie;
        }
    }

    fn helper_receives(&mut self, from: SocketAddr, port: u16, packet: &[u8]) -> Option<Vec<u8>> {
        let (to, drawn) = (SocketAddr::from(([198, 51, 100, 3], port)), &mut self.drawn);
        let reaction = self.helper.receive(Received { from, to, packet }, self.now, &mut || draw(drawn));
        assert!(reaction.answer.as_ref().is_none_or(|answer| answer.len() <= packet.len()));
        reaction.answer
    }

    /// Hands a message to the search, as the answer to one of its packets if the fuzzer wants that.
    fn search_receives(&mut self, what: u8, mut from: SocketAddr, mut message: Message) {
        let mut id = if matches!(message, Message::Answer(_)) { HELPER } else { 2 };
        let sent = self.sent.get(usize::from(what >> 5)).filter(|_| what & 0x10 != 0);
        if let Some(sent) = sent {
            let number = *sent.salt.first_chunk().expect("a salt is longer");
            (from, id) = (sent.to, sent.receiver);
            match &mut message {
                Message::Answer(answer) => answer.question = number,
                Message::Pong(pong) => pong.ping = number,
                _ => {}
            }
        }
        let header = Header { kind: message.kind(), from: id, to: 1, salt: draw(&mut self.drawn) };
        let (now, drawn) = (self.now, &mut self.drawn);
        let sent = self.search.receive(from, &header, &message, now, &mut || draw(drawn));
        assert!(sent.len() <= 2, "{} packets for one", sent.len());
        let _ = (self.search.report(now), self.search.deadline());
        if let Some((chosen, _)) = self.search.chosen() {
            assert!(chosen.port() != 0, "{chosen}");
        }
    }
}

/// Returns an address: of the helper, or one from the bytes of a body.
fn address(place: u8, body: &[u8]) -> SocketAddr {
    let port = u16::from(place) * 257;
    match place % 4 {
        0 => SocketAddr::from(([198, 51, 100, 3], QUESTIONS)),
        1 => SocketAddr::from(([198, 51, 100, 3], relay_port(PORT, 1, 2).expect("a port"))),
        2 => SocketAddr::from(([203, 0, 113, place], port)),
        _ => {
            let ip = body.first_chunk::<16>().copied().map_or(Ipv6Addr::LOCALHOST, Ipv6Addr::from);
            SocketAddr::new(IpAddr::V6(ip).to_canonical(), port)
        }
    }
}

fn draw(drawn: &mut u8) -> [u8; 16] {
    *drawn = drawn.wrapping_add(1);
    [*drawn; 16]
}
