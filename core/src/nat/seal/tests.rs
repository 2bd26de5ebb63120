//! Sealed packets.

use proptest::prelude::*;

use super::*;
use crate::base::keys::public_key;
use crate::nat::packet::{Ask, Cookie, Kind, PING, Ping};

const PACKET: Message = Message::Ping(Ping { port: 51822, peer_port: 51821 });

fn keys() -> [PairKey; 2] {
    let (one, other) = (Secret::new([1; 32]), Secret::new([2; 32]));
    [(&one, &other), (&other, &one)].map(|(own, peer)| PairKey::derive(own, public_key(peer)).unwrap())
}

fn opened(key: &PairKey, packet: &[u8]) -> Option<Message> {
    key.open(&Header::decode(packet)?, packet)
}

#[test]
fn both_ends_have_the_same_key() {
    let [one, other] = keys();
    let packet = one.seal(1, 2, [5; 16], &PACKET);
    assert_eq!(packet.len(), PACKET.kind().length());
    assert_eq!(opened(&other, &packet), Some(PACKET));
    assert_eq!(opened(&one, &packet), Some(PACKET));
}

#[test]
fn any_changed_bit_makes_a_packet_nothing() {
    let [one, other] = keys();
    let packet = one.seal(1, 2, [5; 16], &PACKET);
    for bit in 0..packet.len() * 8 {
        let mut changed = packet.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(opened(&other, &changed), None, "bit {bit}");
    }
}

#[test]
fn the_length_of_an_echo_is_not_sealed() {
    let [one, other] = keys();
    let echo = Message::Echo(700);
    let mut packet = one.seal(1, 2, [5; 16], &echo);
    packet.resize(1000, 7);
    assert_eq!(opened(&other, &packet), Some(echo.clone()));
    packet.truncate(PING - 1);
    let header = Header { kind: Kind::Echo, from: 1, to: 2, salt: [5; 16] };
    assert_eq!(other.open(&header, &packet), None);
    let mut packet = one.seal(1, 2, [5; 16], &PACKET);
    packet.push(0);
    assert_eq!(opened(&other, &packet), None, "a ping has its length");
}

#[test]
fn other_pairs_cannot_read_it() {
    let [one, _] = keys();
    let stranger = PairKey::derive(&Secret::new([3; 32]), public_key(&Secret::new([2; 32]))).unwrap();
    assert_eq!(opened(&stranger, &one.seal(1, 2, [5; 16], &PACKET)), None);
}

#[test]
fn a_public_key_without_a_secret_is_refused() {
    assert!(PairKey::derive(&Secret::new([1; 32]), PublicKey([0; 32])).is_none());
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

#[test]
fn packets_have_the_same_bytes_in_every_version() {
    // The bytes were made by another program: BLAKE2s of Python's hashlib; X25519, ChaCha20 and Poly1305 as
    // the RFCs describe them. Sites of different versions must understand each other: a change of these bytes
    // needs another magic.
    let [one, other] = keys();
    let ping = "b55054310301020005050505050505050505050505050505f17a0b8163a4f9e6cb5de759812f09b2070da8e3\
                84d3f41a1732c9f23ed38bafbc98b60bb77b1ab7661a9c79564648311ec5f13ab6e20b50";
    assert_eq!(hex(&one.seal(1, 2, [5; 16], &PACKET)), ping);
    let ask = Message::Ask(Ask {
        peer: 2,
        has_opened: true,
        relay_here: true,
        port: 51822,
        peer_port: 51821,
        cookie: [7; 8],
        addresses: ["203.0.113.9:51822", "[2001:db8::1]:51821"].map(|text| text.parse().unwrap()).into(),
    });
    let salt = *b"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f";
    let bytes = "b550543101010300000102030405060708090a0b0c0d0e0f57e9513dec49776fb06a0403a34b9b4dcc523b1d\
                 87084ec8b3ba27ea6450eb005b57d7915ac66cb36678bf491b1a2c966f0c9dc712d5634b99996ba928b1e286\
                 71833cbc88debe3fd32996a9c4f911cda6c47970ecc86e947ab665a7e3cc12fb8b7d6b7990ed5ae1d36339b5\
                 fc441c992dcb29b15fa4e14658557f2a96451e43";
    assert_eq!(hex(&other.seal(1, 3, salt, &ask)), bytes);
}

#[test]
fn packets_of_the_wrong_length_are_nothing() {
    let [one, other] = keys();
    let packet = one.seal(1, 2, [5; 16], &PACKET);
    let header = Header::decode(&packet).unwrap();
    for length in 0..packet.len() {
        assert_eq!(other.open(&header, &packet[..length]), None, "{length} bytes");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn only_the_packet_itself_is_authentic(
        kind in 0_usize..3,
        salt in any::<[u8; 16]>(),
        cookie in any::<Cookie>(),
        place in any::<proptest::sample::Index>(),
        difference in 1..=u8::MAX,
    ) {
        let (port, peer_port, addresses) = (51822, 51821, vec![]);
        let ask = Ask { peer: 2, has_opened: true, relay_here: true, port, peer_port, cookie, addresses };
        let message = [PACKET, Message::Ask(ask), Message::Call(9)][kind].clone();
        let [one, other] = keys();
        let mut packet = one.seal(1, 2, salt, &message);
        prop_assert_eq!(opened(&other, &packet), Some(message));
        let at = place.index(packet.len());
        packet[at] ^= difference;
        prop_assert_eq!(opened(&other, &packet), None, "byte {} is another", at);
    }

    #[test]
    fn a_packet_of_noise_is_nothing(noise in proptest::collection::vec(any::<u8>(), HEADER..200)) {
        let [one, _] = keys();
        let header = Header { kind: Kind::Ask, from: 1, to: 2, salt: [0; 16] };
        prop_assert_eq!(one.open(&header, &noise), None);
    }
}
