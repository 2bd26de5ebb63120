//! Packets on their way to the device: those of one TCP connection that follow each other become one, by the
//! rules of `inet_gro_receive` and `tcp_gro_receive` in the kernel. Splitting it again yields the same
//! packets.

use super::device::Device;
use super::split::{HEADER, NEEDS_CHECKSUM, PUSH, TCP_CHECKSUM, TCP4, TCP6, put, put_length};
use crate::kernel::checksum::{fold, sum};

/// Length of the longest packet in bytes.
const LONGEST: usize = u16::MAX as usize;

/// Places that must be equal in packets to be merged: in IP, all but lengths, identification and checksum; in
/// TCP, ports, acknowledgement, length of the header and window. The urgent pointer and the options follow.
const EQUAL_IN_IPV4: &[(usize, usize)] = &[(0, 2), (6, 10), (12, 24), (28, 33), (34, 36)];
const EQUAL_IN_IPV6: &[(usize, usize)] = &[(0, 4), (6, 44), (48, 53), (54, 56)];

/// Room for a packet to which others are added, and behind it for the next packet.
pub(super) struct Merge {
    bytes: [u8; 2 * (HEADER + LONGEST + 1)],
    /// End of the packet that waits for others; 0 if there is none.
    end: usize,
    /// Shape of the first packet in it.
    first: Shape,
    /// Number of packets in it.
    number: usize,
    /// Set if no packet may follow.
    is_over: bool,
}

/// Places in a packet with data of TCP.
#[derive(Clone, Copy)]
struct Shape {
    tcp: usize,
    head: usize,
    payload: usize,
}

impl Merge {
    /// Returns empty room.
    #[allow(clippy::large_stack_arrays, reason = "the room is a static")]
    pub(super) const fn new() -> Self {
        let first = Shape { tcp: 0, head: 0, payload: 0 };
        Self { bytes: [0; _], end: 0, first, number: 0, is_over: false }
    }

    /// Returns room for the next packet.
    pub(super) fn room(&mut self) -> &mut [u8] {
        &mut self.bytes[self.end + HEADER..]
    }

    /// Takes the packet of that length in the room: it joins the packet that waits, or waits itself, or goes
    /// to the device.
    pub(super) fn take(&mut self, length: usize, device: &Device) {
        let begin = self.end + HEADER;
        let shape = if device.has_headers { Shape::of(&self.bytes[begin..][..length]) } else { None };
        if let Some(shape) = shape
            && self.end > 0
            && self.fits(shape, length)
        {
            let push = self.bytes[begin + shape.tcp + 13] & PUSH;
            self.bytes[HEADER + shape.tcp + 13] |= push;
            self.bytes.copy_within(begin + shape.head..begin + length, self.end);
            self.end += shape.payload;
            self.number += 1;
            self.is_over = push != 0 || shape.payload < self.first.payload;
            return;
        }
        self.flush(device);
        match shape {
            Some(shape) if self.bytes[begin + shape.tcp + 13] & PUSH == 0 => {
                self.bytes.copy_within(begin..begin + length, HEADER);
                (self.end, self.first, self.number, self.is_over) = (HEADER + length, shape, 1, false);
            }
            _ => device.write([0; HEADER], &mut self.bytes[begin - HEADER..begin + length]),
        }
    }

    /// Reports whether the packet in the room continues the packet that waits.
    fn fits(&self, shape: Shape, length: usize) -> bool {
        let (waiting, next) = self.bytes.split_at(self.end);
        let (waiting, next) = (&waiting[HEADER..], &next[HEADER..][..length]);
        let Shape { tcp, head, payload } = self.first;
        let equal = if tcp == 20 { EQUAL_IN_IPV4 } else { EQUAL_IN_IPV6 };
        let number = |packet: &[u8]| packet[tcp + 4..].first_chunk().copied().map_or(0, u32::from_be_bytes);
        let is_next = || {
            let gone = u32::try_from(waiting.len() - head).unwrap_or_default();
            number(next) == number(waiting).wrapping_add(gone)
        };
        !self.is_over
            && (shape.tcp, shape.head) == (tcp, head)
            && shape.payload <= payload
            && waiting.len() + shape.payload <= LONGEST
            && equal
                .iter()
                .chain([&(tcp + 18, head)])
                .all(|(begin, end)| waiting.get(*begin..*end) == next.get(*begin..*end))
            && (tcp == 40 || counts(waiting, next, self.number))
            && is_next()
            && (self.number > 1 || is_sound(waiting, tcp))
            && is_sound(next, tcp)
    }

    /// Sends the packet that waits to the device.
    pub(super) fn flush(&mut self, device: &Device) {
        let end = std::mem::take(&mut self.end);
        if end == 0 {
            return;
        }
        let (mut header, room) = ([0; HEADER], &mut self.bytes[..end]);
        if self.number > 1 {
            let Shape { tcp, head, payload } = self.first;
            let packet = &mut room[HEADER..];
            put_length(packet, tcp);
            let sum = fold(pseudo_sum(packet, tcp));
            put(packet, tcp + usize::from(TCP_CHECKSUM), sum.into());
            (header[0], header[1]) = (NEEDS_CHECKSUM, if tcp == 20 { TCP4 } else { TCP6 });
            for (at, number) in [(2, head), (4, payload), (6, tcp), (8, TCP_CHECKSUM.into())] {
                let [low, high, ..] = number.to_le_bytes();
                header[at..at + 2].copy_from_slice(&u16::from_le_bytes([low, high]).to_ne_bytes());
            }
        }
        device.write(header, room);
    }
}

impl Shape {
    /// Returns the shape of a packet that may be merged: data of TCP with no flag but ACK and PSH, neither a
    /// fragment nor with options of IP.
    fn of(packet: &[u8]) -> Option<Self> {
        let tcp = match packet {
            [0x45, _, _, _, _, _, fragment, 0, _, 6, ..] if fragment & 0xbf == 0 => 20,
            [first, _, _, _, _, _, 6, ..] if first >> 4 == 6 => 40,
            _ => return None,
        };
        let [offset, flags] = *packet.get(tcp + 12..)?.first_chunk()?;
        let head = tcp + usize::from(offset >> 4) * 4;
        let payload = packet.len().checked_sub(head).filter(|payload| *payload > 0)?;
        let is_plain = offset << 4 == 0 && head >= tcp + 20 && flags & !PUSH == 0x10;
        (is_plain && (tcp == 40 || sum(&packet[..tcp]) == u16::MAX)).then_some(Self { tcp, head, payload })
    }
}

/// Reports whether packet number `number` may follow by its identification, which counts up, unless the
/// packets are never fragmented (RFC 6864).
fn counts(waiting: &[u8], next: &[u8], number: usize) -> bool {
    let identification = |packet: &[u8]| usize::from(u16::from_be_bytes([packet[4], packet[5]]));
    next[6] & 0x40 != 0 || (identification(waiting) + number) & 0xffff == identification(next)
}

/// Reports whether the checksum of TCP is right. A merged packet would get another one, and hide the fault.
fn is_sound(packet: &[u8], tcp: usize) -> bool {
    fold(pseudo_sum(packet, tcp) + usize::from(sum(&packet[tcp..]))) == u16::MAX
}

/// Returns the sum of the pseudo header (RFC 9293 § 3.1, RFC 8200 § 8.1).
fn pseudo_sum(packet: &[u8], tcp: usize) -> usize {
    let addresses = if tcp == 20 { 12..20 } else { 8..40 };
    usize::from(sum(&packet[addresses])) + 6 + packet.len() - tcp
}
