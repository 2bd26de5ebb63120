//! Packets that are split and merged, checked by checksums that are computed in another way.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::sync::{Mutex, PoisonError};

use proptest::prelude::*;

use super::device::Device;
use super::merge::Merge;
use super::split::{HEADER, Split};

/// A packet of TCP. The options are words without a meaning.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    pub(super) v6: bool,
    /// Type of service or traffic class, with the bits of ECN.
    class: u8,
    hops: u8,
    identification: u16,
    /// Flag "do not fragment" and the place of a fragment (RFC 791).
    fragment: u16,
    port: u16,
    sequence: u32,
    acknowledgement: u32,
    reserved: u8,
    flags: u8,
    window: u16,
    urgent: u16,
    options: Vec<u8>,
    pub(super) payload: Vec<u8>,
}

const ACK: u8 = 0x10;
const PUSH: u8 = 0x08;
const FIN: u8 = 0x01;
const CWR: u8 = 0x80;

pub(super) fn sample() -> Segment {
    Segment {
        v6: false,
        class: 0,
        hops: 64,
        identification: 65_534,
        fragment: 0x4000,
        port: 40_000,
        sequence: u32::MAX - 1000,
        acknowledgement: 7,
        reserved: 0,
        flags: ACK,
        window: 512,
        urgent: 0,
        options: vec![1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2],
        payload: (0..600_u16).map(|number| number.to_le_bytes()[0]).collect(),
    }
}

/// The ones' complement sum, word by word.
fn slow_sum(parts: &[&[u8]]) -> u16 {
    let mut sum = 0_u32;
    for part in parts {
        for pair in part.chunks(2) {
            sum += u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0));
            sum = (sum & 0xffff) + (sum >> 16);
        }
    }
    u16::try_from(sum).unwrap()
}

impl Segment {
    fn tcp(&self) -> usize {
        if self.v6 { 40 } else { 20 }
    }

    fn head(&self) -> usize {
        self.tcp() + 20 + self.options.len()
    }

    /// The packet, with the sum of the pseudo header in place of the checksum of TCP if that `is_missing`.
    pub(super) fn packet(&self, is_missing: bool) -> Vec<u8> {
        let words = u8::try_from(5 + self.options.len() / 4).unwrap();
        let mut tcp = [self.port, 443].map(u16::to_be_bytes).concat();
        tcp.extend([self.sequence, self.acknowledgement].map(u32::to_be_bytes).concat());
        tcp.extend([words << 4 | self.reserved, self.flags]);
        tcp.extend([self.window, 0, self.urgent].map(u16::to_be_bytes).concat());
        tcp.extend(&self.options);
        tcp.extend(&self.payload);
        let length = u16::try_from(tcp.len()).unwrap();
        let mut ip;
        let addresses: Vec<u8>;
        if self.v6 {
            addresses = (1..=32).collect();
            ip = vec![0x60 | self.class >> 4, self.class << 4, 0, 9];
            ip.extend(length.to_be_bytes());
            ip.extend([6, self.hops]);
            ip.extend(&addresses);
        } else {
            addresses = vec![10, 1, 2, 3, 192, 0, 2, 255];
            ip = vec![0x45, self.class];
            ip.extend([length + 20, self.identification, self.fragment].map(u16::to_be_bytes).concat());
            ip.extend([self.hops, 6, 0, 0]);
            ip.extend(&addresses);
            let sum = !slow_sum(&[&ip]);
            ip[10..12].copy_from_slice(&sum.to_be_bytes());
        }
        let pseudo: &[&[u8]] = &[&addresses, &[0, 6], &length.to_be_bytes()];
        let sum = if is_missing { slow_sum(pseudo) } else { !slow_sum(&[pseudo, &[&tcp]].concat()) };
        // 0 and its other form are equal. The kernel writes the latter where it completes a checksum.
        let sum = if sum == 0 && !is_missing { u16::MAX } else { sum };
        tcp[16..18].copy_from_slice(&sum.to_be_bytes());
        [ip, tcp].concat()
    }

    /// `struct virtio_net_hdr` of a large packet.
    pub(super) fn header(&self, size: usize) -> [u8; HEADER] {
        let mut header = [1, if self.v6 { 4 } else { 1 }, 0, 0, 0, 0, 0, 0, 16, 0];
        for (at, number) in [(2, self.head()), (4, size), (6, self.tcp()), (8, 16)] {
            header[at..at + 2].copy_from_slice(&u16::try_from(number).unwrap().to_ne_bytes());
        }
        header
    }

    /// The packets of which a large one consists.
    pub(super) fn pieces(&self, size: usize) -> Vec<Self> {
        let (count, mut sequence) = (self.payload.chunks(size).len(), self.sequence);
        let piece = |(number, payload): (usize, &[u8])| {
            let gone = if number + 1 < count { FIN | PUSH } else { 0 } | if number > 0 { CWR } else { 0 };
            let piece = Self {
                identification: self.identification.wrapping_add(u16::try_from(number).unwrap()),
                flags: self.flags & !gone,
                sequence,
                payload: payload.to_vec(),
                ..self.clone()
            };
            sequence = sequence.wrapping_add(u32::try_from(payload.len()).unwrap());
            piece
        };
        self.payload.chunks(size).enumerate().map(piece).collect()
    }
}

/// The packets into which a packet from the device is split.
pub(super) fn split(header: [u8; HEADER], packet: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut packet = packet.to_vec();
    let mut split = Split::new(header, &mut packet)?;
    let mut pieces = Vec::new();
    while let Some(piece) = split.next(&mut packet) {
        pieces.push(piece.to_vec());
    }
    Some(pieces)
}

/// Headers and packets as they come to the device.
fn merge(packets: &[Vec<u8>], has_headers: bool) -> Vec<(Vec<u8>, Vec<u8>)> {
    static MERGE: Mutex<Merge> = Mutex::new(Merge::new());
    let (device, host) = UnixDatagram::pair().unwrap();
    host.set_nonblocking(true).unwrap();
    let device = Device { file: OwnedFd::from(device).into(), has_headers };
    let mut merge = MERGE.lock().unwrap_or_else(PoisonError::into_inner);
    let (mut came, mut buffer) = (Vec::new(), vec![0; 1 << 17]);
    let mut take = || {
        while let Ok(length) = host.recv(&mut buffer) {
            let (header, packet) = buffer[..length].split_at(if has_headers { HEADER } else { 0 });
            came.push((header.to_vec(), packet.to_vec()));
        }
    };
    for packet in packets {
        merge.room()[..packet.len()].copy_from_slice(packet);
        merge.take(packet.len(), &device);
        take();
    }
    merge.flush(&device);
    take();
    came
}

fn segment() -> impl Strategy<Value = Segment> {
    let head = (any::<bool>(), any::<u8>(), any::<u8>(), any::<u16>(), any::<bool>(), any::<u16>());
    let numbers = (any::<u32>(), any::<u32>(), any::<u16>());
    let rest = (prop::collection::vec(any::<[u8; 4]>(), 0..10), 1..64_000_usize, any::<u8>(), any::<bool>());
    (head, numbers, rest).prop_map(
        |((v6, class, hops, identification, is_whole, port), (sequence, acknowledgement, window), rest)| {
            let (options, length, fill, push) = rest;
            Segment {
                v6,
                class,
                hops,
                identification,
                fragment: if is_whole { 0x4000 } else { 0 },
                port,
                sequence,
                acknowledgement,
                reserved: 0,
                flags: ACK | if push { PUSH } else { 0 },
                window,
                urgent: 0,
                options: options.concat(),
                payload: (0..length).map(|at| at.to_le_bytes()[0] ^ fill).collect(),
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Split, all packets are those that the sender would have sent; merged again, all is as it was.
    #[test]
    fn merging_is_the_inverse_of_splitting(segment in segment(), size in 500..9000_usize) {
        let (header, whole) = (segment.header(size), segment.packet(true));
        let pieces = split(header, &whole).unwrap();
        let expected: Vec<_> = segment.pieces(size).iter().map(|piece| piece.packet(false)).collect();
        prop_assert_eq!(&pieces, &expected);
        let alone = pieces.iter().map(|piece| (Vec::new(), piece.clone()));
        prop_assert_eq!(merge(&pieces, false), alone.collect::<Vec<_>>());
        let merged = merge(&pieces, true);
        if pieces.len() == 1 {
            prop_assert_eq!(merged, [(vec![0; HEADER], expected[0].clone())]);
        } else {
            prop_assert_eq!(merged, [(header.to_vec(), whole)]);
        }
    }

    /// All that the kernel, or a guest of a virtual machine behind it, may write into a header.
    #[test]
    fn a_hostile_header_does_no_harm(
        segment in segment(),
        size in 0..2000_usize,
        change in (0..HEADER, any::<u8>()),
        other in (0..80_usize, any::<u8>()),
        cut in 0..200_usize,
    ) {
        let (mut header, mut packet) = (segment.header(size), segment.packet(true));
        header[change.0] = change.1;
        if let Some(byte) = packet.get_mut(other.0) {
            *byte = other.1;
        }
        packet.truncate(packet.len().saturating_sub(cut));
        for piece in split(header, &packet).unwrap_or_default() {
            prop_assert!(piece.len() <= packet.len());
        }
        packet.truncate(cut);
        let _ = split(header, &packet);
    }

    #[test]
    fn nonsense_is_written_as_it_came(packets in prop::collection::vec(nonsense(), 1..20)) {
        let alone = packets.iter().map(|packet| (vec![0; HEADER], packet.clone()));
        prop_assert_eq!(merge(&packets, true), alone.collect::<Vec<_>>());
    }
}

fn nonsense() -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![Just(0x45), Just(0x60), any::<u8>()];
    (first, prop::collection::vec(prop_oneof![Just(6_u8), Just(0), any::<u8>()], 0..100)).prop_map(
        |(first, mut bytes)| {
            bytes.insert(0, first);
            bytes
        },
    )
}

#[test]
fn flags_of_the_begin_and_of_the_end_stay_there() {
    for v6 in [false, true] {
        let segment = Segment { v6, flags: ACK | FIN | PUSH | CWR, ..sample() };
        let pieces = split(segment.header(250), &segment.packet(true)).unwrap();
        let expected: Vec<_> = segment.pieces(250).iter().map(|piece| piece.packet(false)).collect();
        assert_eq!(pieces, expected);
        let flags: Vec<_> = pieces.iter().map(|piece| piece[segment.tcp() + 13]).collect();
        assert_eq!(flags, [ACK | CWR, ACK, ACK | FIN | PUSH]);
    }
}

/// The second of three packets, changed so that the path or the receiver would see a difference.
#[test]
fn packets_that_differ_are_not_merged() {
    type Change = fn(&mut Segment);
    let both: [(&str, Change); 13] = [
        ("a port", |next| next.port += 1),
        ("the class", |next| next.class = 8),
        ("a congestion", |next| next.class = 3),
        ("the hops", |next| next.hops = 63),
        ("the sequence", |next| next.sequence = next.sequence.wrapping_add(1)),
        ("a repetition", |next| next.sequence = sample().sequence),
        ("the acknowledgement", |next| next.acknowledgement = 8),
        ("the window", |next| next.window = 511),
        ("a longer payload", |next| next.payload.push(0)),
        ("an option", |next| next.options[7] = 2),
        ("fewer options", |next| next.options.truncate(8)),
        ("a reserved bit", |next| next.reserved = 1),
        ("the urgent pointer", |next| next.urgent = 1),
    ];
    let of_v4: [(&str, Change); 3] = [
        ("an identification", |next| (next.fragment, next.identification) = (0, 9)),
        ("may be fragmented", |next| next.fragment = 0),
        ("a fragment", |next| next.fragment = 0x2000),
    ];
    let of_flags: [(&str, Change); 6] = [
        ("FIN", |next| next.flags |= 0x01),
        ("SYN", |next| next.flags |= 0x02),
        ("RST", |next| next.flags |= 0x04),
        ("URG", |next| next.flags |= 0x20),
        ("ECE", |next| next.flags |= 0x40),
        ("CWR", |next| next.flags |= 0x80),
    ];
    for v6 in [false, true] {
        let of_family = if v6 { &[][..] } else { &of_v4 };
        for (what, change) in [&both[..], of_family, &of_flags].concat() {
            let mut pieces = Segment { v6, ..sample() }.pieces(200);
            change(&mut pieces[1]);
            let packets: Vec<_> = pieces[..2].iter().map(|piece| piece.packet(false)).collect();
            let alone = packets.iter().map(|packet| (vec![0; HEADER], packet.clone()));
            assert_eq!(merge(&packets, true), alone.collect::<Vec<_>>(), "{what}, IPv6: {v6}");
        }
    }
}

#[test]
fn a_packet_with_a_wrong_checksum_is_not_merged() {
    for (v6, at) in [(false, 56), (true, 76), (false, 10)] {
        for broken in 0..3 {
            let pieces = Segment { v6, ..sample() }.pieces(200);
            let mut packets: Vec<_> = pieces.iter().map(|piece| piece.packet(false)).collect();
            packets[broken][at] ^= 1;
            let came = merge(&packets, true);
            assert!(came.contains(&(vec![0; HEADER], packets[broken].clone())), "{broken} {at}");
        }
    }
}

#[test]
fn a_shorter_packet_or_one_that_is_pushed_is_the_last() {
    let lengths = |change: fn(&mut Vec<Segment>)| {
        let mut pieces = Segment { payload: vec![7; 1200], ..sample() }.pieces(200);
        change(&mut pieces);
        let packets: Vec<_> = pieces.iter().map(|piece| piece.packet(false)).collect();
        merge(&packets, true).iter().map(|(_, packet)| packet.len() - pieces[0].head()).collect::<Vec<_>>()
    };
    assert_eq!(lengths(|_| {}), [1200]);
    assert_eq!(lengths(|pieces| pieces[2].flags |= PUSH), [600, 600]);
    assert_eq!(lengths(|pieces| pieces[0].flags |= PUSH), [200, 1000]);
    assert_eq!(lengths(|pieces| pieces[1].payload.truncate(199)), [399, 800]);
    assert_eq!(lengths(|pieces| pieces[3].payload.clear()), [600, 0, 400]);
}

#[test]
fn merged_packets_fit_into_one() {
    let segment = Segment { payload: vec![7; 1000], ..sample() };
    let packets: Vec<_> = (0..200_u32)
        .map(|number| Segment {
            sequence: segment.sequence.wrapping_add(1000 * number),
            identification: segment.identification.wrapping_add(u16::try_from(number).unwrap()),
            ..segment.clone()
        })
        .map(|piece| piece.packet(false))
        .collect();
    let came = merge(&packets, true);
    let total: usize = came.iter().map(|(_, packet)| packet.len() - segment.head()).sum();
    assert_eq!(total, 200_000);
    assert_eq!(came.iter().map(|(_, packet)| packet.len()).max(), Some(65_000 + segment.head()));
    assert_eq!(came.len(), 4);
}

#[test]
fn a_missing_checksum_is_filled_in() {
    for length in [0, 1, 5, 100] {
        let udp = [&[1, 2, 0, 53, 0, 8, 0, 0][..], &vec![9; length]].concat();
        let mut packet = [vec![0x45; 20], udp].concat();
        // A sum of the pseudo header.
        packet[26..28].copy_from_slice(&[0xab, 0xcd]);
        let mut header = [0; HEADER];
        header[0] = 1;
        header[6..8].copy_from_slice(&20_u16.to_ne_bytes());
        header[8..10].copy_from_slice(&6_u16.to_ne_bytes());
        let [piece] = &*split(header, &packet).unwrap() else { panic!("one packet") };
        let expected = !slow_sum(&[&packet[20..]]);
        assert_eq!(piece[26..28], expected.to_be_bytes());
        // Such that the sum is 0, which would mean that there is none.
        let mut packet = packet.clone();
        packet[26..28].copy_from_slice(&[0, 0]);
        let rest = !slow_sum(&[&packet[20..]]);
        packet[26..28].copy_from_slice(&rest.to_be_bytes());
        let [piece] = &*split(header, &packet).unwrap() else { panic!("one packet") };
        assert_eq!(piece[26..28], [0xff, 0xff]);
        for place in [200_u16, 65_535] {
            header[8..10].copy_from_slice(&place.to_ne_bytes());
            assert_eq!(split(header, &packet), None);
        }
        header[8..10].copy_from_slice(&6_u16.to_ne_bytes());
    }
}
