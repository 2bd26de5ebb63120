//! Tests of the report of a search.

use super::*;
use crate::nat::packet::{Answer, Header, Kind, Message, Ping, Pong};
use crate::nat::search::{HelperView, LinkView, Outgoing};

const SELF: u8 = 1;
const MIKE: u8 = 2;
const OSLO: u8 = 3;
const PARIS: u8 = 4;

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn question_port(helper: u8) -> SocketAddr {
    SocketAddr::new([192, 0, 2, helper].into(), 52075)
}

/// Search of a link, with the packets that it has sent.
struct Play {
    search: Search,
    now: Instant,
    count: u8,
    sent: Vec<Outgoing>,
}

impl Play {
    /// Begins a search with this port mapping at the own router.
    fn new(mapping: Option<&str>) -> Self {
        let now = Instant::now();
        let helpers = [OSLO, PARIS].map(|id| HelperView {
            id,
            port: question_port(id),
            extra_port: Some(SocketAddr::new(question_port(id).ip(), 443)),
        });
        let link = LinkView {
            own: SELF,
            peer: MIKE,
            port: 51822,
            peer_port: 51821,
            endpoint: None,
            helpers: helpers.to_vec(),
            inside: Vec::new(),
        };
        let addresses = mapping.into_iter().chain(["192.168.1.2:51822"]).map(at).collect();
        Self { search: Search::begin(link, addresses, now), now, count: 0, sent: Vec::new() }
    }

    /// Lets the next round take place.
    fn turn(&mut self) {
        self.now = self.search.deadline().unwrap();
        let count = &mut self.count;
        self.sent.extend(self.search.turn(self.now, &mut || {
            *count += 1;
            [*count; 16]
        }));
    }

    fn receive(&mut self, from: SocketAddr, sender: u8, kind: Kind, message: &Message) {
        let header = Header { kind, from: sender, to: SELF, salt: [99; 16] };
        self.sent.extend(self.search.receive(from, &header, message, self.now, &mut || [98; 16]));
    }

    /// Returns the number of the last packet of a kind to an address.
    fn last(&self, kind: Kind, address: SocketAddr) -> Option<[u8; 8]> {
        let mut sent = self.sent.iter().rev().filter(|sent| sent.message.kind() == kind);
        sent.find(|sent| sent.to == address).and_then(|sent| sent.salt.first_chunk().copied())
    }

    /// Lets a helper answer the last question at a port.
    fn answer(&mut self, helper: u8, port: SocketAddr, told: &Answer) {
        let answer = Answer { question: self.last(Kind::Ask, port).unwrap(), ..told.clone() };
        self.receive(port, helper, Kind::Answer, &Message::Answer(answer));
    }

    /// Lets the peer answer the last ping to an address.
    fn pong(&mut self, address: SocketAddr, seen: &str) {
        let pong = Pong { ping: self.last(Kind::Ping, address).unwrap(), seen: at(seen) };
        self.receive(address, MIKE, Kind::Pong, &Message::Pong(pong));
    }

    fn report(&self) -> SearchReport {
        self.search.report(self.now)
    }
}

/// Returns an answer that tells nothing of the peer.
fn told(seen: &str) -> Answer {
    Answer {
        question: [0; 8],
        seen: at(seen),
        cookie: [7; 8],
        peer: None,
        relay_port: None,
        age: 0,
        peer_has_opened: false,
        is_registered: false,
        addresses: Vec::new(),
    }
}

/// Returns an answer that tells where the peer is.
fn known(peer: &str, addresses: &[&str]) -> Answer {
    let addresses = addresses.iter().map(|address| at(address)).collect();
    Answer { peer: Some(at(peer)), age: 3, addresses, ..told("203.0.113.9:51822") }
}

#[test]
fn questions_and_answers_are_counted() {
    let mut play = Play::new(None);
    play.turn();
    play.turn();
    let report = play.report();
    let [oslo, paris] = &report.helpers[..] else { panic!("{report:?}") };
    assert_eq!((oslo.id, oslo.port, oslo.extra_port, oslo.questions), (OSLO, 52075, Some(443), 2));
    assert_eq!((oslo.asked, oslo.answered, oslo.seen), (Some(Duration::ZERO), None, None));
    assert_eq!((paris.id, paris.relay), (PARIS, RelayReport::Unknown));
    assert!(report.is_searching && !report.pinged && report.chosen.is_none());

    play.answer(OSLO, question_port(OSLO), &told("203.0.113.9:51822"));
    assert!(!play.report().helpers[0].has_told, "the first answer brings the cookie");
    play.turn();
    play.answer(OSLO, question_port(OSLO), &known("198.51.100.7:51821", &[]));
    play.now += Duration::from_secs(2);
    let oslo = play.report().helpers.remove(0);
    let two = Some(Duration::from_secs(2));
    assert_eq!((oslo.asked, oslo.answered, oslo.seen), (two, two, Some(at("203.0.113.9:51822"))));
    assert_eq!(oslo.peer, Some((at("198.51.100.7:51821"), Duration::from_secs(5))));
    assert_eq!((oslo.has_told, oslo.relay), (true, RelayReport::Refused));
}

#[test]
fn what_a_helper_knew_is_kept() {
    let mut play = Play::new(None);
    play.turn();
    play.answer(OSLO, question_port(OSLO), &known("198.51.100.7:51821", &[]));
    play.turn();
    play.answer(OSLO, question_port(OSLO), &told("203.0.113.9:51822"));
    assert_eq!(play.report().helpers[0].peer.map(|(peer, _)| peer), Some(at("198.51.100.7:51821")));
}

#[test]
fn several_ports_of_one_address_tell_of_a_symmetric_nat() {
    for (here, there, expected) in [
        (["203.0.113.9:1000", "203.0.113.9:1000"], ["198.51.100.7:1", "198.51.100.7:1"], (false, false)),
        (["203.0.113.9:1000", "203.0.113.9:1001"], ["198.51.100.7:1", "198.51.100.8:2"], (true, false)),
        (["203.0.113.9:1000", "203.0.113.8:1001"], ["198.51.100.7:1", "198.51.100.7:2"], (false, true)),
        (["203.0.113.9:1000", "[2001:db8::1]:1001"], ["[2001:db8::2]:1", "[2001:db8::2]:2"], (false, false)),
    ] {
        let mut play = Play::new(None);
        play.turn();
        for (index, helper) in [OSLO, PARIS].into_iter().enumerate() {
            let answer = Answer { seen: at(here[index]), ..known(there[index], &[]) };
            play.answer(helper, question_port(helper), &answer);
        }
        let report = play.report();
        assert_eq!(report.symmetric, expected, "{here:?} {there:?}");
        play.now += FRESH;
        assert!(!play.report().symmetric.1, "the peer may have moved since");
    }
}

#[test]
fn mappings_in_use_are_noticed() {
    let peer = at("198.51.100.7:51821");
    for (mapping, seen, further, expected) in [
        (None, "203.0.113.9:40000", &[][..], None),
        (None, "203.0.113.9:40000", &["192.168.7.2:51821", "[2001:db8::7]:51821"], None),
        (None, "203.0.113.9:40000", &["198.51.100.7:51821"], Some(MappedAt::Peer)),
        (Some("203.0.113.9:51822"), "203.0.113.9:40000", &[], None),
        (Some("203.0.113.9:51822"), "203.0.113.9:51822", &[], Some(MappedAt::Own)),
        (Some("203.0.113.9:51822"), "203.0.113.9:51822", &["198.51.100.7:51821"], Some(MappedAt::Own)),
        // The router maps another port than the one in use.
        (None, "203.0.113.9:40000", &["198.51.100.7:51999"], None),
    ] {
        let mut play = Play::new(mapping);
        play.turn();
        play.answer(OSLO, question_port(OSLO), &known("198.51.100.7:51821", further));
        play.turn();
        play.pong(peer, seen);
        let report = play.report();
        assert_eq!(report.chosen, Some((peer, Path::Direct)));
        assert_eq!(report.mapped, expected, "{mapping:?} {further:?}");
        play.search.settle(peer, play.now);
        let report = play.report();
        assert_eq!((report.mapped, report.is_searching), (expected, false));
    }
}

#[test]
fn a_relay_tells_its_state() {
    let relay_port = SocketAddr::new(question_port(OSLO).ip(), 52079);
    let relays = Answer { relay_port: Some(52079), ..told("203.0.113.9:51822") };
    let mut play = Play::new(None);
    play.turn();
    play.answer(OSLO, question_port(OSLO), &relays);
    assert_eq!(play.report().helpers[0].relay, RelayReport::Silent(52079));
    while play.last(Kind::Ask, relay_port).is_none() {
        play.turn();
    }
    play.answer(OSLO, relay_port, &Answer { is_registered: true, ..relays });
    assert_eq!(play.report().helpers[0].relay, RelayReport::Registered(52079));
    let tried = play.report().candidates;
    let expected = CandidateReport { address: relay_port, path: Path::Relayed(OSLO), has_answered: false };
    assert_eq!(tried, [expected]);
}

#[test]
fn the_second_port_alone_may_answer() {
    let extra = SocketAddr::new(question_port(OSLO).ip(), 443);
    let mut play = Play::new(None);
    while play.last(Kind::Ask, extra).is_none() {
        play.turn();
    }
    play.answer(OSLO, extra, &told("203.0.113.9:51822"));
    let oslo = play.report().helpers.remove(0);
    assert!(oslo.is_extra_only && oslo.seen == Some(at("203.0.113.9:51822")), "{oslo:?}");
}

#[test]
fn pings_of_the_peer_are_noticed() {
    let mut play = Play::new(None);
    play.turn();
    let ping = Message::Ping(Ping { port: 51821, peer_port: 51822 });
    play.receive(at("198.51.100.7:51821"), MIKE, Kind::Ping, &ping);
    assert!(play.report().pinged);
}

#[test]
fn copies_of_answers_and_pongs_count_for_nothing() {
    let mut play = Play::new(None);
    play.turn();
    play.answer(OSLO, question_port(OSLO), &known("198.51.100.7:51821", &[]));
    let before = play.report();
    // A copy, and answers of other helpers.
    for (from, sender) in [(OSLO, OSLO), (OSLO, PARIS), (PARIS, OSLO)] {
        play.answer(sender, question_port(from), &known("192.0.2.66:6666", &[]));
        assert_eq!(play.report(), before, "{from} {sender}");
    }
    play.turn();
    play.pong(at("198.51.100.7:51821"), "203.0.113.9:51822");
    let chosen = play.report().chosen;
    assert!(chosen.is_some());
    play.pong(at("198.51.100.7:51821"), "203.0.113.9:6666");
    assert_eq!((play.report().chosen, play.report().mapped), (chosen, None));
}

#[test]
fn addresses_on_the_other_side_of_tunnels_are_never_tried() {
    let mut play = Play::new(None);
    play.search.link.inside = vec!["10.77.0.0/16".parse().unwrap()];
    play.turn();
    let inside = ["10.77.2.1:51821", "127.0.0.1:51821", "224.0.0.1:51821", "198.51.100.7:0"];
    play.answer(OSLO, question_port(OSLO), &known("10.77.2.1:51821", &inside));
    assert_eq!(play.report().candidates, []);
}
