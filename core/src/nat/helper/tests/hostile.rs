//! A helper among attackers, and among members that misbehave.

use super::*;
use crate::nat::packet::{ASK, HEADER, Ping};

/// Returns one of many addresses on the internet.
fn elsewhere(number: u16) -> SocketAddr {
    let [a, b] = number.to_be_bytes();
    SocketAddr::new([203, 0, a, b].into(), 40_000)
}

/// Returns the pairs of sites whose links are relayed.
fn pairs(place: &Place) -> Vec<Pair> {
    place.helper.relayed().into_iter().map(|(pair, _)| pair).collect()
}

/// Brings the link between sites 1 and 2 up at the relay.
fn relayed() -> (Place, Vec<(Pair, RelayedLink)>) {
    let mut place = Place::new();
    place.ask_twice(&site(1, 2), seen()[0], RELAY_PORT);
    place.ask_twice(&site(2, 1), seen()[1], RELAY_PORT);
    let relayed = place.helper.relayed();
    assert_eq!(relayed.len(), 1);
    (place, relayed)
}

#[test]
fn a_flood_of_foreign_packets_gets_few_hints_and_changes_nothing() {
    let (mut place, relayed) = relayed();
    let begin = place.now;
    let mut hints = 0;
    for number in 0..10_000 {
        place.now = begin + Duration::from_millis(u64::from(number));
        let reaction = place.receive(elsewhere(number), RELAY_PORT, &KEEPALIVE);
        assert!(!reaction.has_changed && reaction.call.is_none());
        if let Some(hint) = reaction.answer {
            assert!(hint.len() < KEEPALIVE.len());
            hints += 1;
        }
        for port in [PORT, EXTRA_PORT, 1, 65_535] {
            assert_eq!(place.receive(elsewhere(number), port, &KEEPALIVE), Reaction::default());
        }
    }
    assert_eq!(hints, 10 * 5, "five a second");
    assert_eq!(place.helper.relayed(), relayed);
    assert!(place.helper.hints.len() <= 2, "one time for each relay port");
}

#[test]
fn packets_that_are_not_sealed_for_this_helper_get_silence() {
    let (mut place, relayed) = relayed();
    let question = site(1, 2).question([0; 8], false);
    let mut foreign = vec![[&MAGIC[..], &[0; ASK - 4]].concat()];
    for (at, value) in [(4, 2), (5, 2), (5, 0), (6, 4), (7, 1), (8, 0), (HEADER, 0), (ASK - 1, 0)] {
        let mut changed = question.clone();
        changed[at] = value;
        foreign.push(changed);
    }
    // A packet between two other sites, an answer of this helper, and a ping with the right key.
    let pair = PairKey::derive(&secret(1), public_key(&secret(2))).unwrap();
    foreign.push(pair.seal(1, HELPER, [9; 16], &Message::Ping(Ping { port: 51822, peer_port: 51821 })));
    foreign.push(place.receive(seen()[0], PORT, &question).answer.unwrap());
    foreign.push(site(1, 2).key.seal(
        1,
        HELPER,
        [9; 16],
        &Message::Ping(Ping { port: 51822, peer_port: 51821 }),
    ));
    for packet in foreign {
        assert_eq!(place.receive(seen()[0], PORT, &packet), Reaction::default(), "{packet:?}");
        assert_eq!(place.receive(elsewhere(1), RELAY_PORT, &packet), Reaction::default(), "{packet:?}");
    }
    assert_eq!(place.helper.relayed(), relayed);
}

#[test]
fn a_question_that_is_repeated_from_elsewhere_tells_its_source_alone() {
    let (mut place, _) = relayed();
    let (first, _) = place.ask(&site(1, 2), seen()[0], PORT, [0; 8]).unwrap();
    let question = site(1, 2).question(first.cookie, true);
    assert!(place.receive(seen()[0], PORT, &question).answer.is_some());
    let relayed = place.helper.relayed();
    for number in 0..100 {
        for port in [PORT, RELAY_PORT, EXTRA_PORT] {
            let reaction = place.receive(elsewhere(number), port, &question);
            // A forged source gets no more bytes than the attacker has sent.
            let packet = reaction.answer.expect("an answer for the source");
            assert!(packet.len() <= question.len() && !reaction.has_changed && reaction.call.is_none());
            let header = Header::decode(&packet).unwrap();
            let Some(Message::Answer(answer)) = site(1, 2).key.open(&header, &packet) else {
                panic!("an answer")
            };
            assert_eq!((answer.seen, answer.peer, answer.relay_port), (elsewhere(number), None, None));
            assert_eq!((answer.addresses, answer.is_registered), (vec![], false));
        }
    }
    assert_eq!(place.helper.relayed(), relayed);
    let (answer, _) = place.ask_twice(&site(2, 1), seen()[1], PORT);
    assert_eq!(answer.peer, Some(seen()[0]), "the peer still learns the real address");
}

#[test]
fn a_cookie_is_good_for_its_address_its_site_and_its_port() {
    let mut place = Place::new();
    let (first, _) = place.ask(&site(1, 2), seen()[0], PORT, [0; 8]).unwrap();
    let other_port = SocketAddr::new(seen()[0].ip(), 1);
    for (site, from, port) in [
        (site(1, 2), seen()[1], PORT),
        (site(1, 2), other_port, PORT),
        (site(2, 1), seen()[0], PORT),
        (site(1, 2), seen()[0], RELAY_PORT),
    ] {
        let (answer, _) = place.ask(&site, from, port, first.cookie).unwrap();
        assert_eq!(answer.relay_port, None, "{from} at {port}");
    }
    assert!(place.ask(&site(1, 2), seen()[0], PORT, first.cookie).unwrap().0.relay_port.is_some());
    for number in 0..100 {
        let (answer, _) = place.ask(&site(1, 2), seen()[0], PORT, [number; 8]).unwrap();
        assert_eq!(answer.relay_port, None, "a guess");
    }
}

#[test]
fn a_member_learns_and_changes_nothing_about_the_links_of_others() {
    let (mut place, relayed) = relayed();
    place.ask_twice(&site(1, 2), seen()[0], PORT);
    let from = address("203.0.113.4:40004");
    let (first, _) = place.ask(&site(4, 1), from, PORT, [0; 8]).unwrap();
    // Site 4 has a link to site 1 alone. It asks for each other link, in its own name and in others' names.
    let ids = || (0..8).chain(250..=u8::MAX);
    for id in ids() {
        for peer in ids() {
            if (id, peer) == (4, 1) || id == HELPER {
                continue;
            }
            let question = Site { id, peer, ..site(4, 1) }.question(first.cookie, true);
            assert_eq!(place.receive(from, PORT, &question), Reaction::default(), "{id} about {peer}");
        }
    }
    // It has a link to site 1, and learns what site 1 has told about that link: nothing.
    let (answer, _) = place.ask_twice(&site(4, 1), from, PORT);
    assert_eq!((answer.peer, answer.addresses), (None, vec![]));
    // At the relay port of another link it takes no place.
    let (answer, _) = place.ask_twice(&site(4, 1), from, RELAY_PORT);
    assert!(!answer.is_registered);
    assert_eq!(place.helper.relayed(), relayed);
}

#[test]
fn a_member_that_asks_from_many_addresses_has_the_last_one() {
    let (mut place, _) = relayed();
    for number in 0..100 {
        place.ask_twice(&site(1, 2), elsewhere(number), RELAY_PORT);
        place.ask_twice(&site(1, 2), elsewhere(number), PORT);
    }
    let side = |source| RelaySide { source, local: here(RELAY_PORT) };
    assert_eq!(
        place.helper.relayed(),
        [(Pair(1, 2), RelayedLink { sides: [side(elsewhere(99)), side(seen()[1])] })]
    );
    assert_eq!(place.ask_twice(&site(2, 1), seen()[1], PORT).0.peer, Some(elsewhere(99)));
    assert_eq!(place.helper.links.len(), 2, "as many as in the file");
}

#[test]
fn a_source_that_a_nat_gives_to_another_site_leaves_the_link_that_waits() {
    let mut place = Place::new();
    // Both links have the same relay port: the sums of the ids are equal.
    let keys =
        [1, 2, 4, 5].map(|id| (id, PairKey::derive(&secret(HELPER), public_key(&secret(id))).unwrap()));
    let other = HelpedLink { relay_port: Some(RELAY_PORT), ..link(4, 5) };
    place.helper.follow(keys.into(), vec![link(1, 2), other]);
    place.ask_twice(&site(1, 2), seen()[0], RELAY_PORT);
    let (answer, has_changed) = place.ask_twice(&site(4, 5), seen()[0], RELAY_PORT);
    assert_eq!((answer.is_registered, has_changed), (true, false));
    // No two links ever have the same source at the same port.
    place.ask_twice(&site(2, 1), seen()[1], RELAY_PORT);
    assert_eq!(pairs(&place), []);
    place.ask_twice(&site(5, 4), elsewhere(5), RELAY_PORT);
    assert_eq!(pairs(&place), [Pair(4, 5)]);
    place.ask_twice(&site(1, 2), elsewhere(1), RELAY_PORT);
    assert_eq!(pairs(&place), [Pair(1, 2), Pair(4, 5)]);
    // An answer to a source of a relayed link would spoil the relay.
    assert_eq!(place.ask(&site(5, 4), elsewhere(1), RELAY_PORT, [0; 8]), None);
}

#[test]
fn a_question_about_another_link_does_not_spoil_a_relay() {
    let mut place = Place::new();
    place.ask_twice(&site(1, 2), seen()[0], EXTRA_PORT);
    let (first, _) = place.ask(&site(1, 4), seen()[0], EXTRA_PORT, [0; 8]).expect("it is not relayed yet");
    place.ask_twice(&site(2, 1), seen()[1], RELAY_PORT);
    let relayed = place.helper.relayed();
    assert_eq!(relayed.len(), 1);
    // The questions have waited in the queue since before the link was relayed.
    for cookie in [[0; 8], first.cookie] {
        assert_eq!(place.ask(&site(1, 4), seen()[0], EXTRA_PORT, cookie), None);
    }
    assert_eq!(place.helper.relayed(), relayed);
    // At other ports, and from other addresses, the site gets answers.
    place.ask_twice(&site(1, 4), seen()[0], PORT);
    place.ask_twice(&site(1, 4), elsewhere(1), EXTRA_PORT);
}
