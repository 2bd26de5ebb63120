//! Pings of the peer, and copies of them.

use super::*;

/// Lets a copy of the peer's ping with this number arrive.
fn receive_copy(place: &mut Place, from: SocketAddr, number: u8) -> Vec<Outgoing> {
    let header = Header { kind: Kind::Ping, from: PEER, to: 1, salt: [number; 16] };
    let count = &mut place.count;
    place.search.receive(from, &header, &PING, place.now, &mut || drawn(count))
}

fn kinds(packets: &[Outgoing]) -> Vec<Kind> {
    packets.iter().map(|packet| packet.message.kind()).collect()
}

#[test]
fn a_copy_of_a_ping_counts_for_nothing() {
    let mut place = Place::new();
    let [real, forged] = ["192.0.2.2:40002", "198.51.100.99:7"].map(address);
    assert_eq!(kinds(&receive_copy(&mut place, real, 200)), [Kind::Pong, Kind::Ping]);
    for _ in 0..2 {
        assert_eq!(receive_copy(&mut place, forged, 200), []);
        assert_eq!(pinged(&place.turn()), [endpoint(), real].into());
        // The next search remembers the pings of this one.
        place.search.begin_anew(vec![], place.now);
        receive_copy(&mut place, real, 201);
    }
    // So does a link that is up.
    place.search.settle(real, place.now);
    assert_eq!(receive_copy(&mut place, forged, 200), []);
    // As many as a peer sends in some rounds are remembered.
    for number in 1..=64 {
        assert_eq!(kinds(&receive_copy(&mut place, real, number)), [Kind::Pong]);
    }
    for number in 1..=64 {
        assert_eq!(receive_copy(&mut place, forged, number), []);
    }
    assert_eq!(kinds(&receive_copy(&mut place, forged, 200)), [Kind::Pong]);
}

#[test]
fn an_address_that_is_known_is_pinged_once_a_round() {
    let mut place = Place::new();
    let packets = place.turn();
    let known = address("192.0.2.2:40002");
    place.answer(&packets, HONEST, &mut |answer| answer.peer = Some(known));
    for source in [known, endpoint()] {
        let packets = place.receive(source, PEER, &PING);
        assert_eq!(pinged(&packets), SortedSet::new(), "{source} gets the answer alone");
        assert_eq!(packets.len(), 1);
    }
    let new = elsewhere(1);
    assert_eq!([(); 2].map(|()| pinged(&place.receive(new, PEER, &PING)).len()), [1, 0]);
    assert_eq!(pinged(&place.turn()), [endpoint(), known, new].into());
}

#[test]
fn pings_from_many_addresses_cost_little() {
    let mut place = Place::new();
    let real = address("192.0.2.2:40002");
    let packets = place.turn();
    place.answer(&packets, HONEST, &mut |answer| answer.peer = Some(real));
    for number in 0..1000 {
        let packets = place.receive(elsewhere(number), PEER, &PING);
        assert!(packets.len() <= 2, "{packets:?}");
        assert!(packets.iter().all(|packet| packet.to == elsewhere(number)));
    }
    let pinged = pinged(&place.turn());
    assert!(pinged.len() <= 16 && pinged.contains(&real) && pinged.contains(&endpoint()), "{pinged:?}");
    assert_eq!(place.search.chosen(), None);
    // A link that is up answers, and sends nothing else.
    place.search.settle(real, place.now);
    for number in 0..1000 {
        assert_eq!(place.receive(elsewhere(number), PEER, &PING).len(), 1);
    }
    assert_eq!((place.search.deadline(), place.search.chosen()), (None, Some((real, Path::Direct))));
}
