//! Packets, encoded and decoded.

use proptest::prelude::*;

use super::*;
use crate::signed::FileHash;

fn examples() -> [Message; 12] {
    let (v4, v6) = ("203.0.113.9:51822".parse().unwrap(), "[2001:db8::1]:51821".parse().unwrap());
    [
        Message::Ask(Ask {
            peer: 2,
            has_opened: true,
            relay_here: true,
            port: 51822,
            peer_port: 51821,
            cookie: [7; 8],
            addresses: vec![v4, v6, v4],
        }),
        Message::Answer(Answer {
            question: [1; 8],
            seen: v4,
            cookie: [7; 8],
            peer: Some(v6),
            relay_port: Some(52078),
            age: 600,
            peer_has_opened: true,
            is_registered: true,
            addresses: vec![v6],
        }),
        Message::Ping(Ping { port: 51822, peer_port: 51821 }),
        Message::Pong(Pong { ping: [3; 8], seen: v6 }),
        Message::Call(7),
        Message::Offer(Offer {
            head: FileHead { serial: 7, hash: FileHash([5; 16]), length: 4711 },
            is_signed: true,
            asks: true,
            answers: [3; 8],
        }),
        Message::Fetch(FetchPiece { hash: FileHash([5; 16]), offset: 4096 }),
        Message::Piece(Piece {
            place: FetchPiece { hash: FileHash([5; 16]), offset: 4096 },
            bytes: vec![b'#'; PIECE],
        }),
        Message::Echo(LONGEST_ECHO),
        Message::Echoed([3; 8]),
        Message::Trace(Trace {
            id: [4; 8],
            from: "10.77.1.66".parse().unwrap(),
            to: v6,
            is_udp: true,
            seconds: 30,
            offset: 1024,
        }),
        Message::Traced(Traced {
            question: [3; 8],
            state: TraceState::Done,
            length: LONGEST_TRACE,
            bytes: vec![b'#'; Traced::MOST],
        }),
    ]
}

#[test]
fn messages_are_decoded_as_encoded() {
    for message in examples() {
        let body = message.encode();
        assert_eq!(body.len(), message.kind().length() - HEADER - TAG);
        assert_eq!(Message::decode(message.kind(), &body), Some(message));
    }
}

#[test]
fn short_bodies_are_nothing() {
    for (message, fields) in examples().into_iter().zip([68, 111, 4, 26, 1, 37, 20, 21, 2, 8, 48, 11]) {
        let body = message.encode();
        for length in 0..fields {
            assert_eq!(Message::decode(message.kind(), &body[..length]), None, "{length} bytes");
        }
        assert!(Message::decode(message.kind(), &body[..fields]).is_some());
    }
}

#[test]
fn headers_are_decoded_as_encoded() {
    let header = Header { kind: Kind::Pong, from: 1, to: 250, salt: [9; 16] };
    let mut packet = header.encode().to_vec();
    assert_eq!(Header::decode(&packet), None, "a pong is longer");
    packet.resize(PING, 0);
    assert_eq!(Header::decode(&packet), Some(header));
    for (at, byte) in [(0, 1), (3, 0x32), (4, 0), (4, 6), (4, 1), (7, 1)] {
        let mut changed = packet.clone();
        changed[at] = byte;
        assert_eq!(Header::decode(&changed), None, "byte {at} is {byte}");
    }
    assert_eq!(Header::decode(&Header::hint().encode()), Some(Header::hint()));
}

#[test]
fn an_answer_is_not_longer_than_its_question() {
    assert_eq!(Kind::Ask.length(), Kind::Answer.length());
    assert_eq!(Kind::Ping.length(), Kind::Pong.length());
    // A packet of WireGuard that a hint answers has 32 bytes at least.
    assert!(Kind::Hint.length() < 32);
    assert_eq!(Kind::Offer.length(), PING);
}

#[test]
fn pieces_have_any_length_up_to_the_longest() {
    let place = FetchPiece { hash: FileHash([5; 16]), offset: 0 };
    let header = |length| {
        let mut packet = Header { kind: Kind::Piece, from: 1, to: 2, salt: [9; 16] }.encode().to_vec();
        packet.resize(length, 0);
        Header::decode(&packet)
    };
    assert!(header(LONGEST).is_some() && header(HEADER + TAG).is_some());
    assert_eq!(header(LONGEST + 1), None);
    for length in [1, 2, PIECE] {
        let piece = Message::Piece(Piece { place, bytes: vec![1; length] });
        assert_eq!(Message::decode(Kind::Piece, &piece.encode()), Some(piece));
    }
    for length in [0, PIECE + 1] {
        let body = Message::Piece(Piece { place, bytes: vec![1; length] }).encode();
        assert_eq!(Message::decode(Kind::Piece, &body), None, "{length} bytes");
    }
}

#[test]
fn echoes_have_any_length_that_a_tunnel_has_room_for() {
    let longest = usize::from(LONGEST_ECHO);
    for kind in [Kind::Echo, Kind::Echoed] {
        for (length, is_right) in [(PING - 1, false), (PING, true), (longest, true), (longest + 1, false)] {
            let mut packet = Header { kind, from: 1, to: 2, salt: [9; 16] }.encode().to_vec();
            packet.resize(length, 0);
            assert_eq!(Header::decode(&packet).is_some(), is_right, "{length} bytes");
        }
    }
}

#[test]
fn traces_have_any_length_up_to_the_longest_and_a_state_that_is_known() {
    for length in [0, 1, Traced::MOST] {
        let state = TraceState::Failed;
        let traced = Traced { question: [1; 8], state, length: 9, bytes: vec![1; length] };
        let mut body = Message::Traced(traced.clone()).encode();
        assert_eq!(Message::decode(Kind::Traced, &body), Some(Message::Traced(traced)));
        body[8] += 1;
        assert_eq!(Message::decode(Kind::Traced, &body), None, "no state");
    }
    let bytes = vec![1; Traced::MOST + 1];
    let traced = Traced { question: [1; 8], state: TraceState::Runs, length: 9, bytes };
    assert_eq!(Message::decode(Kind::Traced, &Message::Traced(traced).encode()), None);
}

/// Returns an address that a packet can hold: no IPv4 address in the form of IPv6, and a port.
fn address() -> impl Strategy<Value = SocketAddr> {
    (any::<std::net::IpAddr>(), 1..=u16::MAX).prop_map(|(ip, port)| SocketAddr::new(ip.to_canonical(), port))
}

fn addresses() -> impl Strategy<Value = Vec<SocketAddr>> {
    proptest::collection::vec(address(), 0..=MOST_ADDRESSES)
}

fn ask() -> impl Strategy<Value = Message> {
    let ports = any::<[u16; 2]>();
    (any::<u8>(), any::<[bool; 2]>(), ports, any::<Cookie>(), addresses()).prop_map(
        |(peer, [has_opened, relay_here], [port, peer_port], cookie, addresses)| {
            Message::Ask(Ask { peer, has_opened, relay_here, port, peer_port, cookie, addresses })
        },
    )
}

fn answer() -> impl Strategy<Value = Message> {
    let peer = proptest::option::of(address());
    let relay_port = proptest::option::of(1..=u16::MAX);
    let flags = any::<[bool; 2]>();
    (any::<(Number, Cookie)>(), address(), peer, relay_port, any::<u16>(), flags, addresses()).prop_map(
        |(numbers, seen, peer, relay_port, age, [peer_has_opened, is_registered], addresses)| {
            let (question, cookie) = numbers;
            let answer = Answer {
                question,
                seen,
                cookie,
                peer,
                relay_port,
                age,
                peer_has_opened,
                is_registered,
                addresses,
            };
            Message::Answer(answer)
        },
    )
}

fn message() -> impl Strategy<Value = Message> {
    prop_oneof![
        ask(),
        answer(),
        any::<[u16; 2]>().prop_map(|[port, peer_port]| Message::Ping(Ping { port, peer_port })),
        (any::<Number>(), address()).prop_map(|(ping, seen)| Message::Pong(Pong { ping, seen })),
        any::<u8>().prop_map(Message::Call),
        (any::<(u64, [u8; 16], u32)>(), any::<[bool; 2]>(), any::<Number>()).prop_map(
            |((serial, hash, length), [asks, is_signed], answers)| {
                let head = FileHead { serial, hash: FileHash(hash), length };
                Message::Offer(Offer { head, is_signed, asks, answers })
            }
        ),
        any::<([u8; 16], u32)>()
            .prop_map(|(hash, offset)| Message::Fetch(FetchPiece { hash: FileHash(hash), offset })),
        any::<u16>().prop_map(Message::Echo),
        any::<Number>().prop_map(Message::Echoed),
        (any::<(Number, bool, u8, u16)>(), address(), address()).prop_map(
            |((id, is_udp, seconds, offset), from, to)| {
                Message::Trace(Trace { id, from: from.ip(), to, is_udp, seconds, offset })
            }
        ),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_message_is_decoded_as_encoded(message in message()) {
        let body = message.encode();
        prop_assert_eq!(body.len(), message.kind().length() - HEADER - TAG);
        prop_assert_eq!(Message::decode(message.kind(), &body), Some(message));
    }

    #[test]
    fn any_body_that_can_be_decoded_means_the_same_again(
        number in 0_u8..16,
        body in proptest::collection::vec(any::<u8>(), 0..ASK),
    ) {
        let header = Header::decode(&padded(number)).map(|header| header.kind);
        if let Some(message) = header.and_then(|kind| Message::decode(kind, &body)) {
            prop_assert_eq!(Message::decode(message.kind(), &message.encode()), Some(message));
        }
    }
}

/// Returns a packet of the kind with this number, of the right length if there is one.
fn padded(number: u8) -> Vec<u8> {
    let known = Kind::ALL.into_iter().find(|kind| kind.number() == number);
    let mut packet = vec![0; known.map_or(HEADER, Kind::length)];
    packet[..5].copy_from_slice(&[MAGIC[0], MAGIC[1], MAGIC[2], MAGIC[3], number]);
    packet
}

#[test]
fn too_many_addresses_are_cut_off() {
    let [Message::Ask(ask), ..] = examples() else { panic!("a question") };
    let first = ask.addresses.clone();
    let many = Ask { addresses: [&first[..], &first].concat(), ..ask.clone() };
    let body = Message::Ask(many).encode();
    assert_eq!(Message::decode(Kind::Ask, &body), Some(Message::Ask(ask)));
}

#[test]
fn no_packet_begins_like_one_of_wireguard() {
    // A message type from 1 to 4, and three zeros.
    assert!(MAGIC[0] > 4 && MAGIC[1..] != [0; 3]);
}
