//! Packets as the kernel hands them over for offload: without their checksum, and large ones of TCP, which
//! become packets as long as the path takes (`skb_segment` and `tcp_gso_segment` in the kernel do the same).

use std::ops::Range;

use crate::kernel::checksum::{checksum, fold};

/// Length of `struct virtio_net_hdr` in bytes (linux/virtio_net.h). Its numbers have the order of this
/// machine.
pub(crate) const HEADER: usize = 10;

/// Flag of `struct virtio_net_hdr`: the checksum is missing (VIRTIO_NET_HDR_F_NEEDS_CSUM). Its place holds
/// the sum of the pseudo header.
pub(super) const NEEDS_CHECKSUM: u8 = 1;
/// Kinds of large packets (VIRTIO_NET_HDR_GSO_*): none, TCP over IPv4, TCP over IPv6.
const SINGLE: u8 = 0;
pub(super) const TCP4: u8 = 1;
pub(super) const TCP6: u8 = 4;

/// Place of the checksum in a header of TCP.
pub(super) const TCP_CHECKSUM: u8 = 16;

/// Flags of TCP (RFC 9293): the last of a large packet's packets has those of its end, and the first has that
/// of its begin.
pub(super) const FIN: u8 = 0x01;
pub(super) const PUSH: u8 = 0x08;
pub(super) const CWR: u8 = 0x80;

/// Length of the longest headers of a large packet in bytes. IPv6 may have more, but no program sends them.
const LONGEST_HEAD: usize = 192;

/// The way to split a packet.
pub(crate) struct Split {
    /// Headers of IP and TCP.
    head: [u8; LONGEST_HEAD],
    /// Length of these headers; 0 for a packet that stays whole.
    head_length: usize,
    /// Place of the header of TCP.
    tcp: usize,
    /// Length of the payload of each packet, except the last.
    size: usize,
    /// Payload that is left.
    left: Range<usize>,
    /// Number of packets so far.
    number: usize,
}

impl Split {
    /// Returns the way to split a packet, and completes its checksum if it stays whole. Returns `None` if the
    /// header makes no sense.
    pub(crate) fn new(header: [u8; HEADER], packet: &mut [u8]) -> Option<Self> {
        let number = |at: usize| usize::from(u16::from_ne_bytes([header[at], header[at + 1]]));
        let (size, start, offset) = (number(4), number(6), number(8));
        let (needs_checksum, kind) = (header[0] & NEEDS_CHECKSUM != 0, header[1]);
        let mut split = Self {
            head: [0; LONGEST_HEAD],
            head_length: 0,
            tcp: start,
            size: packet.len(),
            left: 0..packet.len(),
            number: 0,
        };
        if kind == SINGLE {
            if needs_checksum {
                complete(packet, start, offset)?;
            }
            return Some(split);
        }
        let &[first, .., protocol] = packet.first_chunk::<10>()?;
        let is_whole = match (kind, first >> 4) {
            (TCP4, 4) => {
                let head = usize::from(first & 0xf) * 4;
                start == head && protocol == 6 && word(packet, 2) == packet.len()
            }
            (TCP6, 6) => start >= 40 && word(packet, 4) + 40 == packet.len(),
            _ => false,
        };
        let head = start + usize::from(packet.get(start + 12)? >> 4) * 4;
        let fits = start >= 20 && head >= start + 20 && head <= LONGEST_HEAD && head < packet.len();
        if !(is_whole && fits && needs_checksum && offset == usize::from(TCP_CHECKSUM) && size > 0) {
            return None;
        }
        split.head[..head].copy_from_slice(&packet[..head]);
        (split.head_length, split.size, split.left.start) = (head, size, head);
        Some(split)
    }

    /// Returns the next packet. Its headers are written over the end of the packet before it.
    pub(crate) fn next<'a>(&mut self, packet: &'a mut [u8]) -> Option<&'a [u8]> {
        let Range { start, end } = self.left;
        if start == end {
            return None;
        }
        self.left.start = start.saturating_add(self.size).min(end);
        let piece = packet.get_mut(start - self.head_length..self.left.start)?;
        if self.head_length > 0 {
            self.write_head(piece, end - self.head_length);
        }
        self.number += 1;
        Some(piece)
    }

    /// Writes the headers of a packet. `whole` is the length of the payload of all.
    fn write_head(&self, packet: &mut [u8], whole: usize) {
        let (head, tcp, length) = (&self.head[..self.head_length], self.tcp, packet.len());
        packet[..head.len()].copy_from_slice(head);
        if head[0] >> 4 == 4 {
            put(packet, 4, word(head, 4) + self.number);
        }
        put_length(packet, tcp);
        let gone = self.number * self.size;
        let sequence = (word(head, tcp + 4) << 16 | word(head, tcp + 6)).wrapping_add(gone);
        put(packet, tcp + 4, sequence >> 16);
        put(packet, tcp + 6, sequence);
        if self.number > 0 {
            packet[tcp + 13] &= !CWR;
        }
        if gone + length - head.len() < whole {
            packet[tcp + 13] &= !(FIN | PUSH);
        }
        // The length of the large packet is part of the sum, and makes room for that of this one.
        let (sum_place, of_whole) = (tcp + usize::from(TCP_CHECKSUM), head.len() - tcp + whole);
        let sum = word(head, sum_place) + usize::from(!fold(of_whole)) + length - tcp;
        put(packet, sum_place, fold(sum).into());
        let _ = complete(packet, tcp, TCP_CHECKSUM.into());
    }
}

fn word(bytes: &[u8], at: usize) -> usize {
    usize::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]))
}

/// Writes the lower 16 bits of a number.
pub(super) fn put(bytes: &mut [u8], at: usize, number: usize) {
    let [low, high, ..] = number.to_le_bytes();
    (bytes[at], bytes[at + 1]) = (high, low);
}

/// Writes the length of a packet of IP into its header of that length, and the checksum of the header.
pub(super) fn put_length(packet: &mut [u8], head: usize) {
    let length = packet.len();
    if packet[0] >> 4 == 6 {
        return put(packet, 4, length - 40);
    }
    put(packet, 2, length);
    put(packet, 10, 0);
    let sum = checksum(&packet[..head]);
    put(packet, 10, sum.into());
}

/// Completes a checksum, whose place holds a sum already. It covers all bytes from `start` on.
fn complete(packet: &mut [u8], start: usize, offset: usize) -> Option<()> {
    let covered = packet.get_mut(start..)?;
    covered.get(offset..offset + 2)?;
    // In UDP, a sum of 0 means that there is none. Elsewhere the two values are equal (`skb_checksum_help`).
    let sum = match checksum(covered) {
        0 => u16::MAX,
        sum => sum,
    };
    put(covered, offset, sum.into());
    Some(())
}
