//! A helper (site 3) between two sites (1 and 2), and a site that is linked to neither (4).

mod hostile;

use super::*;
use crate::base::keys::public_key;
use crate::base::net::Secret;

const HELPER: u8 = 3;
const PORT: u16 = 52075;
const RELAY_PORT: u16 = 52079;
/// Second port for questions.
const EXTRA_PORT: u16 = 443;

/// Helper, with the clock and the random numbers of the test.
struct Place {
    helper: Helper,
    now: Instant,
    drawn: u8,
}

/// Site that asks.
#[derive(Clone)]
struct Site {
    id: u8,
    peer: u8,
    ports: [u16; 2],
    key: PairKey,
}

fn secret(id: u8) -> Secret {
    Secret::new([id; 32])
}

fn site(id: u8, peer: u8) -> Site {
    let key = PairKey::derive(&secret(id), public_key(&secret(HELPER))).unwrap();
    Site { id, peer, ports: [51820 + u16::from(peer), 51820 + u16::from(id)], key }
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn here(port: u16) -> SocketAddr {
    SocketAddr::new("198.51.100.3".parse().unwrap(), port)
}

impl Place {
    fn new() -> Self {
        let now = Instant::now();
        let mut helper = Helper::new(HELPER, [[1; 16], [2; 16]], now);
        let keys =
            [1, 2, 4].map(|id| (id, PairKey::derive(&secret(HELPER), public_key(&secret(id))).unwrap()));
        helper.follow(
            keys.into(),
            vec![link(1, 2), HelpedLink { relay_port: Some(RELAY_PORT + 2), ..link(1, 4) }],
        );
        Self { helper, now, drawn: 0 }
    }

    fn receive(&mut self, from: SocketAddr, port: u16, packet: &[u8]) -> Reaction {
        let random = &mut || {
            self.drawn = self.drawn.wrapping_add(1);
            [self.drawn; 16]
        };
        self.helper.receive(Received { from, to: here(port), packet }, self.now, random)
    }

    /// Sends a question, and returns its answer.
    fn ask(&mut self, site: &Site, from: SocketAddr, port: u16, cookie: Cookie) -> Option<(Answer, bool)> {
        let packet = site.question(cookie, port == EXTRA_PORT);
        let reaction = self.receive(from, port, &packet);
        let answer = reaction.answer?;
        assert_eq!(answer.len(), packet.len(), "an answer is as long as the question");
        let header = Header::decode(&answer)?;
        let Some(Message::Answer(answer)) = site.key.open(&header, &answer) else { panic!("an answer") };
        assert_eq!(answer.question, [9; 8]);
        Some((answer, reaction.has_changed))
    }

    /// Asks twice: the second question has the cookie from the first answer.
    fn ask_twice(&mut self, site: &Site, from: SocketAddr, port: u16) -> (Answer, bool) {
        let (first, _) = self.ask(site, from, port, [0; 8]).unwrap();
        self.ask(site, from, port, first.cookie).unwrap()
    }
}

impl Site {
    fn question(&self, cookie: Cookie, relay_here: bool) -> Vec<u8> {
        let [port, peer_port] = self.ports;
        let ask = Ask {
            peer: self.peer,
            has_opened: false,
            relay_here,
            port,
            peer_port,
            cookie,
            addresses: vec![address("192.168.1.2:51820")],
        };
        self.key.seal(self.id, HELPER, [9; 16], &Message::Ask(ask))
    }
}

fn link(one: u8, other: u8) -> HelpedLink {
    HelpedLink {
        pair: Pair::of(one, other),
        ports: [51820 + u16::from(other), 51820 + u16::from(one)],
        relay_port: Some(RELAY_PORT),
        relays_ipv6: true,
    }
}

/// Addresses of sites 1 and 2 as the helper's usual port and its relay port see them.
fn seen() -> [SocketAddr; 2] {
    ["203.0.113.1:40001", "203.0.113.2:40002"].map(address)
}

/// Packet of WireGuard: a keepalive.
const KEEPALIVE: [u8; 32] = [4; 32];

#[test]
fn a_first_question_tells_the_address_alone() {
    let mut place = Place::new();
    place.ask_twice(&site(2, 1), seen()[1], PORT);
    let (answer, _) = place.ask(&site(1, 2), seen()[0], PORT, [0; 8]).unwrap();
    assert_eq!(answer.seen, seen()[0]);
    assert_eq!((answer.peer, answer.relay_port, answer.addresses), (None, None, vec![]));
}

#[test]
fn a_question_with_a_cookie_tells_of_the_peer() {
    let mut place = Place::new();
    place.ask_twice(&site(2, 1), seen()[1], PORT);
    place.now += Duration::from_secs(7);
    let (answer, has_changed) = place.ask_twice(&site(1, 2), seen()[0], PORT);
    assert_eq!((answer.peer, answer.age), (Some(seen()[1]), 7));
    assert_eq!(answer.addresses, [address("192.168.1.2:51820")]);
    assert_eq!((answer.relay_port, answer.is_registered, has_changed), (Some(RELAY_PORT), false, false));
    place.now += FORGOTTEN;
    assert_eq!(place.ask_twice(&site(1, 2), seen()[0], PORT).0.peer, None, "it has not asked for long");
}

#[test]
fn a_replayed_question_registers_nothing() {
    let mut place = Place::new();
    let (first, _) = place.ask(&site(2, 1), seen()[1], PORT, [0; 8]).unwrap();
    let elsewhere = address("203.0.113.66:40002");
    let (replayed, _) = place.ask(&site(2, 1), elsewhere, PORT, first.cookie).unwrap();
    assert_eq!(replayed.relay_port, None, "the cookie belongs to another address");
    assert_eq!(place.ask_twice(&site(1, 2), seen()[0], PORT).0.peer, None);
    // Nor does a cookie of another port, or an old one.
    assert_eq!(place.ask(&site(2, 1), seen()[1], RELAY_PORT, first.cookie).unwrap().0.relay_port, None);
    for _ in 0..3 {
        place.now += SECRET_LIFE;
        place.ask(&site(1, 2), seen()[0], PORT, [0; 8]).unwrap();
    }
    assert_eq!(place.ask(&site(2, 1), seen()[1], PORT, first.cookie).unwrap().0.relay_port, None);
}

#[test]
fn questions_about_links_that_the_file_does_not_have_get_no_answer() {
    let mut place = Place::new();
    let from = address("203.0.113.4:40004");
    // Site 4 has no link to site 2, and site 5 is not in the file. Without a cookie, a member learns its own
    // address alone.
    let (first, _) = place.ask(&site(4, 2), from, PORT, [0; 8]).unwrap();
    assert_eq!(place.ask(&site(4, 2), from, PORT, first.cookie), None);
    assert_eq!(place.ask(&site(5, 1), from, PORT, [0; 8]), None);
    // The ports are part of the link.
    let other_port = Site { ports: [51820, 51821], ..site(1, 2) };
    let (first, _) = place.ask(&other_port, from, PORT, [0; 8]).unwrap();
    assert_eq!(place.ask(&other_port, from, PORT, first.cookie), None);
    // A site cannot ask in the name of another one.
    let forged = Site { id: 1, ..site(4, 2) };
    assert_eq!(place.ask(&forged, from, PORT, [0; 8]), None);
}

#[test]
fn a_link_is_relayed_once_both_sides_have_asked_for_it() {
    let mut place = Place::new();
    let (answer, has_changed) = place.ask_twice(&site(1, 2), seen()[0], RELAY_PORT);
    assert_eq!((answer.is_registered, has_changed), (true, false));
    assert_eq!(place.helper.relayed(), []);
    let (answer, has_changed) = place.ask_twice(&site(2, 1), seen()[1], RELAY_PORT);
    assert_eq!((answer.is_registered, has_changed), (true, true));
    let side = |source| RelaySide { source, local: here(RELAY_PORT) };
    assert_eq!(place.helper.relayed(), [(Pair(1, 2), RelayedLink { sides: seen().map(side) })]);

    // A question from a side that is known has waited in the queue: an answer would spoil the relay.
    let late = site(1, 2).question(cookie(&place.helper.secrets[0], (seen()[0], 1, RELAY_PORT)), false);
    assert_eq!(place.receive(seen()[0], RELAY_PORT, &late), Reaction::default());

    // A side whose address has changed takes over its place.
    let moved = address("203.0.113.1:40009");
    assert!(place.ask_twice(&site(1, 2), moved, RELAY_PORT).1);
    let moved = RelayedLink { sides: [side(moved), side(seen()[1])] };
    assert_eq!(place.helper.relayed(), [(Pair(1, 2), moved)]);

    place.helper.end(&moved);
    assert_eq!(place.helper.relayed(), []);
    place.helper.resume(&[(Pair(1, 2), moved), (Pair(2, 4), moved)]);
    assert_eq!(
        place.helper.relayed(),
        [(Pair(1, 2), moved)],
        "a link that the file does not have is left out"
    );
    place.helper.follow(SortedMap::new(), vec![HelpedLink { relay_port: None, ..link(1, 2) }]);
    assert_eq!(place.helper.relayed(), [], "the file no longer relays it");
}

#[test]
fn families_are_not_mixed() {
    let mut place = Place::new();
    place.ask_twice(&site(1, 2), seen()[0], RELAY_PORT);
    assert!(!place.ask_twice(&site(2, 1), address("[2001:db8::2]:40002"), RELAY_PORT).1);
    assert_eq!(place.helper.relayed(), []);
}

#[test]
fn ipv6_is_relayed_where_it_is_forwarded() {
    let sources = ["[2001:db8::1]:40001", "[2001:db8::2]:40002"].map(address);
    for relays_ipv6 in [true, false] {
        let mut place = Place::new();
        let keys = place.helper.keys.clone();
        place.helper.follow(keys, vec![HelpedLink { relays_ipv6, ..link(1, 2) }]);
        for (id, source) in [(1, sources[0]), (2, sources[1])] {
            let (answer, _) = place.ask_twice(&site(id, 3 - id), source, RELAY_PORT);
            assert_eq!(answer.is_registered, relays_ipv6);
            // A site asks for the relay only if it can have it.
            assert_eq!(answer.relay_port, relays_ipv6.then_some(RELAY_PORT));
        }
        assert_eq!(place.helper.relayed().len(), usize::from(relays_ipv6));
    }
}

#[test]
fn a_port_for_questions_relays_one_link_of_a_source() {
    let mut place = Place::new();
    assert!(place.ask_twice(&site(1, 2), seen()[0], EXTRA_PORT).0.is_registered);
    assert!(!place.ask_twice(&site(1, 4), seen()[0], EXTRA_PORT).0.is_registered, "the address has a link");
    assert!(place.ask_twice(&site(2, 1), seen()[1], RELAY_PORT).1, "the sides may use different ports");
}

#[test]
fn packets_of_unknown_senders_get_few_hints() {
    let mut place = Place::new();
    let hint = Some(Header::hint().encode().to_vec());
    let hinted = |place: &mut Place, from, port| place.receive(from, port, &KEEPALIVE).answer;
    assert_eq!(hinted(&mut place, seen()[0], RELAY_PORT), hint);
    assert_eq!(hinted(&mut place, seen()[0], RELAY_PORT), None, "not twice in a moment");
    assert_eq!(hinted(&mut place, seen()[0], RELAY_PORT + 2), hint, "each port by itself");
    place.now += HINT_PAUSE;
    assert_eq!(
        place.receive(seen()[0], RELAY_PORT, &KEEPALIVE[..31]).answer,
        None,
        "shorter than WireGuard's"
    );
    assert_eq!(hinted(&mut place, seen()[0], PORT), None, "nothing is relayed there");
    place.ask_twice(&site(1, 2), seen()[0], RELAY_PORT);
    assert_eq!(hinted(&mut place, seen()[0], RELAY_PORT), None, "it is known by now");
    assert_eq!(hinted(&mut place, seen()[1], RELAY_PORT), hint, "the other side gets the hint");
    place.now += HINT_PAUSE;
    place.ask_twice(&site(2, 1), seen()[1], RELAY_PORT);
    assert_eq!(hinted(&mut place, seen()[0], RELAY_PORT), None, "it is still known");
    assert_eq!(hinted(&mut place, address("203.0.113.1:40009"), RELAY_PORT), hint);
}

#[test]
fn no_bytes_make_it_panic_or_answer_at_length() {
    let mut place = Place::new();
    let question = site(1, 2).question([0; 8], false);
    for length in 0..question.len() {
        assert_eq!(place.receive(seen()[0], PORT, &question[..length]), Reaction::default());
    }
    for kind in 0..=u8::MAX {
        let mut packet = question.clone();
        packet[4] = kind;
        let answer = place.receive(seen()[0], PORT, &packet).answer;
        assert_eq!(answer.is_some(), kind == 1, "kind {kind}");
    }
}

#[test]
fn a_site_that_does_not_look_for_its_peer_is_called() {
    let mut place = Place::new();
    let first = place.ask(&site(1, 2), seen()[0], PORT, [0; 8]).unwrap().0;
    let question = site(1, 2).question(first.cookie, false);
    let mut call = |after| {
        place.now += Duration::from_millis(after);
        place.receive(seen()[0], PORT, &question).call
    };
    let expected = Some(Call { to: 2, peer: 1 });
    assert_eq!([0, 500, 499, 1].map(&mut call), [expected, None, None, expected], "at most once a second");
    place.ask_twice(&site(2, 1), seen()[1], PORT);
    let mut call = |after| {
        place.now += Duration::from_millis(after);
        place.receive(seen()[0], PORT, &question).call
    };
    assert_eq!([4900, 99, 1].map(&mut call), [None, None, expected], "site 2 has asked, and stopped asking");
}
