//! Packets as raw sockets get them, and control messages.

use std::net::{IpAddr, SocketAddr};

use super::TunnelPacket;
use super::raw::{checksum_of, decode};
use crate::base::net::Family;
use crate::nat::packet::MAGIC;

/// UDP packet from port 52075 to port 51820, with a payload that begins with the magic.
fn datagram() -> Vec<u8> {
    let payload = [&MAGIC[..], b"more"].concat();
    [&[0xcb, 0x6b, 0xca, 0x6c, 0, 16, 0, 0][..], &payload].concat()
}

fn expected(from: IpAddr) -> TunnelPacket {
    let packet = [&MAGIC[..], b"more"].concat();
    TunnelPacket { port: 51820, from: SocketAddr::new(from, 52075), packet }
}

#[test]
fn packets_are_decoded_behind_headers_of_any_length() {
    let (v4, v6) = ("192.0.2.12".parse().unwrap(), "2001:db8::12".parse().unwrap());
    assert_eq!(decode(Family::V6, v6, &datagram()), Some(expected(v6)));
    for words in 5..=15 {
        let mut packet = vec![0x40 | words; usize::from(words) * 4];
        packet.extend(datagram());
        assert_eq!(decode(Family::V4, v4, &packet), Some(expected(v4)));
    }
}

#[test]
fn packets_that_came_before_the_filter_are_dropped() {
    let from = "2001:db8::12".parse().unwrap();
    for length in 0..12 {
        assert_eq!(decode(Family::V6, from, &datagram()[..length]), None);
        assert_eq!(decode(Family::V4, from, &datagram()[..length]), None);
    }
    for at in 8..12 {
        let mut packet = datagram();
        packet[at] ^= 1;
        assert_eq!(decode(Family::V6, from, &packet), None);
    }
}

#[test]
fn the_checksum_is_as_rfc_768_says() {
    let [from, to] = ["192.0.2.1", "192.0.2.12"].map(|text| text.parse().unwrap());
    // c000 + 0201 + c000 + 020c + 0011 + 0010 (addresses, protocol, length), and the packet: cb6b + ca6c +
    // 0010 + b550 + 5431 + 6d6f + 7265 = 5036a, which folds to 036f.
    assert_eq!(checksum_of(from, to, &datagram()), !0x036f);
    // A last byte without a partner counts as the first of two.
    let odd = [&datagram()[..], &[1]].concat();
    assert_eq!(checksum_of(from, to, &odd), !(0x036f + 0x0100 + 1));
    // This packet has the checksum 0, which is sent as its other form.
    let mut zero = datagram();
    zero[6..8].copy_from_slice(&(!0x036f_u16).to_be_bytes());
    assert_eq!(checksum_of(from, to, &zero), u16::MAX);
}
