//! Search of site 1 for site 2, among attackers, and with a helper (site 3) that lies next to an honest one
//! (site 4).

mod pings;
mod restart;

use std::net::IpAddr;

use super::*;
use crate::base::sorted::SortedSet;
use crate::nat::packet::{Answer, Ask, Kind, Ping, Pong};

const LIAR: u8 = 3;
const HONEST: u8 = 4;
const PEER: u8 = 2;
const PORT: u16 = 52075;

/// Search, with the clock and the random numbers of the test.
struct Place {
    search: Search,
    now: Instant,
    count: u32,
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn helper(id: u8) -> SocketAddr {
    SocketAddr::new(IpAddr::from([198, 51, 100, id]), PORT)
}

/// Returns one of many addresses on the internet.
fn elsewhere(number: u32) -> SocketAddr {
    let [.., a, b, c] = number.to_be_bytes();
    SocketAddr::new(IpAddr::from([203, a, b, c]), 40_000)
}

fn own() -> SocketAddr {
    address("192.0.2.1:40001")
}

fn endpoint() -> SocketAddr {
    address("192.0.2.222:51820")
}

impl Place {
    fn new() -> Self {
        let now = Instant::now();
        let view = |id| HelperView { id, port: helper(id), extra_port: None };
        let link = LinkView {
            own: 1,
            peer: PEER,
            port: 51822,
            peer_port: 51821,
            endpoint: Some(endpoint()),
            helpers: vec![view(LIAR), view(HONEST)],
            inside: vec!["10.77.0.0/16".parse().unwrap(), "fd77::/16".parse().unwrap()],
        };
        Self { search: Search::begin(link, vec![], now), now, count: 0 }
    }

    /// Lets time pass up to the next round, and returns its packets.
    fn turn(&mut self) -> Vec<Outgoing> {
        self.now = self.search.deadline().expect("a search goes on").max(self.now);
        let count = &mut self.count;
        self.search.turn(self.now, &mut || drawn(count))
    }

    fn receive(&mut self, from: SocketAddr, id: u8, message: &Message) -> Vec<Outgoing> {
        self.count += 1;
        let header = Header { kind: message.kind(), from: id, to: 1, salt: drawn(&mut self.count) };
        let count = &mut self.count;
        self.search.receive(from, &header, message, self.now, &mut || drawn(count))
    }

    /// Answers all questions to one helper among these packets, with the changes of the caller.
    fn answer(&mut self, packets: &[Outgoing], id: u8, change: &mut dyn FnMut(&mut Answer)) {
        for packet in packets.iter().filter(|packet| packet.receiver == id) {
            let mut answer = answer_to(packet);
            change(&mut answer);
            assert_eq!(self.receive(packet.to, id, &Message::Answer(answer)), []);
        }
    }

    /// Brings the link up at the relay of the liar.
    fn relayed() -> (Self, SocketAddr) {
        let mut place = Self::new();
        let relay = SocketAddr::new(helper(LIAR).ip(), relay_port(PORT - HELPER_OFFSET, 1, PEER).unwrap());
        let packets = place.turn();
        place.answer(&packets, LIAR, &mut |answer| answer.relay_port = Some(relay.port()));
        place.search.settle(relay, place.now);
        (place, relay)
    }
}

fn drawn(count: &mut u32) -> [u8; 16] {
    *count += 1;
    let mut salt = [0; 16];
    salt[..4].copy_from_slice(&count.to_be_bytes());
    salt
}

fn answer_to(question: &Outgoing) -> Answer {
    Answer {
        question: *question.salt.first_chunk().unwrap(),
        seen: own(),
        cookie: [1; 8],
        peer: None,
        relay_port: None,
        age: 0,
        peer_has_opened: false,
        is_registered: false,
        addresses: vec![],
    }
}

fn pong_to(ping: &Outgoing) -> Message {
    Message::Pong(Pong { ping: *ping.salt.first_chunk().unwrap(), seen: own() })
}

fn pinged(packets: &[Outgoing]) -> SortedSet<SocketAddr> {
    packets.iter().filter(|packet| packet.message.kind() == Kind::Ping).map(|packet| packet.to).collect()
}

fn questions(packets: &[Outgoing]) -> Vec<&Ask> {
    packets
        .iter()
        .filter_map(|packet| if let Message::Ask(ask) = &packet.message { Some(ask) } else { None })
        .collect()
}

const PING: Message = Message::Ping(Ping { port: 51821, peer_port: 51822 });

#[test]
fn only_the_peers_own_answer_from_the_pinged_address_makes_a_choice() {
    let mut place = Place::new();
    let packets = place.turn();
    let pong = pong_to(packets.iter().find(|packet| packet.to == endpoint()).unwrap());
    // From a helper, from another address, and to a ping that was never sent.
    place.receive(endpoint(), LIAR, &pong);
    place.receive(elsewhere(1), PEER, &pong);
    place.receive(endpoint(), PEER, &Message::Pong(Pong { ping: [0xff; 8], seen: own() }));
    assert_eq!(place.search.chosen(), None);
    place.receive(endpoint(), PEER, &pong);
    assert_eq!(place.search.chosen(), Some((endpoint(), Path::Direct)));
}

#[test]
fn a_helper_cannot_choose_for_a_site() {
    let mut place = Place::new();
    for number in 0..1000_u16 {
        let packets = place.turn();
        place.answer(&packets, LIAR, &mut |answer| {
            answer.cookie = [number.to_be_bytes(); 4].concat().try_into().unwrap();
            answer.peer = Some(elsewhere(number.into()));
            answer.relay_port = Some(number + 1);
            (answer.is_registered, answer.peer_has_opened) = (true, true);
            answer.addresses = (1..=3).map(|more| elsewhere(u32::from(number) + more * 1000)).collect();
        });
        // It answers each ping itself, and passes pings to other addresses on to the peer.
        for ping in packets.iter().filter(|packet| packet.message.kind() == Kind::Ping) {
            place.receive(ping.to, LIAR, &pong_to(ping));
            if ping.to != helper(LIAR) {
                place.receive(helper(LIAR), PEER, &pong_to(ping));
            }
        }
    }
    assert_eq!(place.search.chosen(), None);
}

#[test]
fn addresses_that_are_no_other_host_are_never_pinged() {
    let mut place = Place::new();
    let nowhere = [
        "10.77.2.1:51820",
        "[fd77:1::1]:51820",
        "127.0.0.1:51820",
        "[::1]:51820",
        "0.0.0.0:51820",
        "[::]:51820",
        "255.255.255.255:51820",
        "224.0.0.1:51820",
        "[ff02::1]:51820",
        "169.254.1.1:51820",
        "[fe80::1]:51820",
        "203.0.113.9:0",
    ];
    for text in nowhere {
        let packets = place.turn();
        place.answer(&packets, LIAR, &mut |answer| {
            answer.peer = Some(address(text));
            answer.addresses = vec![address(text)];
            answer.seen = address(text);
        });
        let pinged = pinged(&place.receive(address(text), PEER, &PING));
        assert_eq!(pinged, SortedSet::new(), "{text}");
    }
    assert_eq!(pinged(&place.turn()), [endpoint()].into());
}

#[test]
fn addresses_of_a_home_are_pinged_only_from_behind_the_same_nat() {
    let mut place = Place::new();
    let local = address("192.168.1.9:51821");
    for (peer, is_pinged) in [("192.0.2.2:40002", false), ("192.0.2.1:40002", true)] {
        let packets = place.turn();
        place.answer(&packets, HONEST, &mut |answer| {
            answer.peer = Some(address(peer));
            answer.addresses = vec![local];
        });
        assert_eq!(pinged(&place.turn()).contains(&local), is_pinged, "{peer}");
    }
}

#[test]
fn a_helper_that_tells_many_addresses_keeps_no_other_out() {
    let mut place = Place::new();
    let real = address("192.0.2.2:40002");
    for number in 0..1000 {
        let packets = place.turn();
        place.answer(&packets, LIAR, &mut |answer| {
            answer.peer = Some(elsewhere(number));
            answer.addresses = (1..=3).map(|more| elsewhere(number + more * 1000)).collect();
        });
        place.answer(&packets, HONEST, &mut |answer| answer.peer = Some(real));
        let pinged = pinged(&place.turn());
        assert!(pinged.len() <= 16, "{pinged:?}");
        assert!(pinged.contains(&real) && pinged.contains(&endpoint()), "{pinged:?}");
    }
}

#[test]
fn the_addresses_of_many_days_make_room_for_the_last() {
    let mut place = Place::new();
    for number in 0..100 {
        let packets = place.turn();
        place.answer(&packets, HONEST, &mut |answer| answer.peer = Some(elsewhere(number)));
        assert!(pinged(&place.turn()).contains(&elsewhere(number)), "number {number}");
    }
}

#[test]
fn a_helper_whose_every_answer_is_another_does_not_set_the_pace() {
    let mut place = Place::new();
    let begin = place.now;
    let (mut number, mut by_minute) = (0_u32, [0; 10]);
    while place.now < begin + Duration::from_mins(10) {
        let packets = place.turn();
        let minute = place.now.duration_since(begin).as_secs() / 60;
        if let Some(sent) = usize::try_from(minute).ok().and_then(|minute| by_minute.get_mut(minute)) {
            *sent += packets.len();
        }
        place.answer(&packets, LIAR, &mut |answer| {
            number += 1;
            answer.cookie = [number.to_be_bytes(); 2].concat().try_into().unwrap();
            answer.peer = Some(elsewhere(number));
            answer.addresses = (1..=3).map(|more| elsewhere(number + more * 100_000)).collect();
        });
    }
    // A round is 16 pings and 2 questions. From the second minute on there are 20 rounds a minute in time,
    // and four ahead of time after each.
    let limit = 20 * 5 * 18 + 18;
    assert!(by_minute[1..].iter().all(|sent| *sent <= limit), "{by_minute:?}");
    assert!(by_minute[0] <= 60 * 5 * 18, "{by_minute:?}");
}

#[test]
fn a_helper_has_one_relay_port_at_each_of_its_addresses() {
    let mut place = Place::new();
    for port in 1..1000 {
        let packets = place.turn();
        place.answer(&packets, LIAR, &mut |answer| answer.relay_port = Some(port));
    }
    let asked: SortedSet<SocketAddr> = place
        .turn()
        .iter()
        .filter(|packet| packet.message.kind() == Kind::Ask)
        .map(|packet| packet.to)
        .collect();
    let expected = [helper(LIAR), helper(HONEST), SocketAddr::new(helper(LIAR).ip(), 1)];
    assert_eq!(asked, expected.into());
}

#[test]
fn an_answer_counts_once_and_from_the_helper_that_was_asked() {
    let mut place = Place::new();
    let packets = place.turn();
    let question = packets.iter().find(|packet| packet.receiver == HONEST).unwrap();
    let answer = |number| Answer { peer: Some(elsewhere(number)), ..answer_to(question) };
    // From another address, from another helper, to a question that was never asked.
    place.receive(helper(LIAR), HONEST, &Message::Answer(answer(1)));
    place.receive(helper(HONEST), PEER, &Message::Answer(answer(2)));
    let packets = place.turn();
    assert_eq!(pinged(&packets), [endpoint()].into());
    let question = packets.iter().find(|packet| packet.receiver == HONEST).unwrap();
    let answer = |number| Answer { peer: Some(elsewhere(number)), ..answer_to(question) };
    place.receive(helper(HONEST), HONEST, &Message::Answer(Answer { question: [0xff; 8], ..answer(3) }));
    place.receive(helper(HONEST), HONEST, &Message::Answer(answer(4)));
    place.receive(helper(HONEST), HONEST, &Message::Answer(answer(5)));
    assert_eq!(pinged(&place.turn()), [endpoint(), elsewhere(4)].into());
}

#[test]
fn forged_hints_cost_one_question_a_second() {
    let (mut place, relay) = Place::relayed();
    let begin = place.now;
    let (mut asked, mut others) = (vec![], 0);
    // A hint each 10 ms, for a minute. The relay does not answer, because it knows this site.
    for tick in 0..6000 {
        place.now = begin + Duration::from_millis(10) * tick;
        place.search.hint(relay, place.now);
        place.search.hint(helper(LIAR), place.now);
        place.search.hint(elsewhere(7), place.now);
        let count = &mut place.count;
        let packets = place.search.turn(place.now, &mut || drawn(count));
        let at_relay =
            packets.iter().filter(|packet| packet.to == relay && packet.message.kind() == Kind::Ask);
        asked.extend(at_relay.map(|_| place.now));
        others += questions(&packets).len() + pinged(&packets).len();
    }
    assert!((40..=65).contains(&asked.len()), "{} questions", asked.len());
    // Attempts to leave the relay go on as if there were no hints: after 2, 4, 8 and 16 s, of four rounds
    // each.
    let rounds = 4 * 4;
    assert!(others - asked.len() <= rounds * 4, "{others}");
    assert_eq!(place.search.chosen(), Some((relay, Path::Relayed(LIAR))));

    // A direct link ignores hints.
    place.search.settle(elsewhere(1), place.now);
    place.search.hint(relay, place.now + Duration::from_hours(1));
    place.search.hint(elsewhere(1), place.now + Duration::from_hours(1));
    assert_eq!(place.search.deadline(), None);
}

#[test]
fn a_hint_makes_a_site_ask_until_the_relay_knows_it() {
    let (mut place, relay) = Place::relayed();
    place.now += Duration::from_secs(1);
    place.search.hint(relay, place.now);
    let hinted = place.now;
    // The first question is lost. The second has no cookie of the new address yet.
    let lost = place.turn();
    assert_eq!((lost.len(), lost[0].to, place.now), (1, relay, hinted));
    let second = place.turn();
    assert_eq!((second.len(), second[0].to), (1, relay));
    place.answer(&second, LIAR, &mut |answer| answer.cookie = [9; 8]);
    let third = place.turn();
    assert_eq!(questions(&third)[0].cookie, [9; 8]);
    assert_eq!(place.now, hinted + Duration::from_millis(320), "at once");
    place.answer(&third, LIAR, &mut |answer| (answer.cookie, answer.is_registered) = ([9; 8], true));
    // Then the attempts to leave the relay go on.
    assert!(place.turn().is_empty(), "it is known");
    assert!(questions(&place.turn()).len() == 2, "both helpers are asked");
    assert_eq!(place.now, hinted + Duration::from_secs(1));
}

#[test]
fn a_flood_leaves_little_behind() {
    let mut place = Place::new();
    for number in 0..5000 {
        let packets = place.turn();
        if number % 3 == 0 {
            place.answer(&packets, LIAR, &mut |answer| answer.peer = Some(elsewhere(number)));
        }
        place.receive(elsewhere(number), PEER, &PING);
        place.search.hint(elsewhere(number), place.now);
    }
    let Candidates { list, pings } = &place.search.candidates;
    let (candidates, pings) = (list.len(), pings.len());
    assert!(candidates <= 16 && pings <= 64, "{candidates} candidates, {pings} pings");
    let Places { list, questions } = &place.search.places;
    let (places, questions) = (list.len(), questions.len());
    assert!(places <= 4 && questions <= 64, "{places} ports, {questions} questions");
}
