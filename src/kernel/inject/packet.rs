//! Packets that probe a path: an ICMP echo request, the first packet of a TCP connection, or a UDP packet.

use std::net::IpAddr;

use nix::libc;

use crate::base::net::Family;
use crate::kernel::attributes::address_bytes;
use crate::kernel::checksum::checksum;
use crate::kernel::constant::of_8_bits;

/// Number of ICMP.
pub const ICMP: u8 = of_8_bits(libc::IPPROTO_ICMP);
/// Number of ICMPv6.
pub const ICMPV6: u8 = of_8_bits(libc::IPPROTO_ICMPV6);
/// Number of TCP.
pub const TCP: u8 = of_8_bits(libc::IPPROTO_TCP);
/// Number of UDP.
pub const UDP: u8 = of_8_bits(libc::IPPROTO_UDP);

/// Packet that probes a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    /// Source.
    pub from: IpAddr,
    /// Destination, of the same family.
    pub to: IpAddr,
    /// Number of the protocol (IPPROTO_*): ICMP of the family, TCP or UDP.
    pub protocol: u8,
    /// Source and destination port; for ICMP, identifier and sequence number.
    pub ports: [u16; 2],
}

/// Packet without its header: the protocol, the bytes, the place of the ports or of identifier and sequence
/// number, and the place of the checksum (RFC 792 and RFC 4443, RFC 9293, RFC 768). The one of TCP has the
/// flag SYN, a window of 64 kB, and the option for the segment size: 1460.
const CONTENTS: [(u8, &[u8], usize, usize); 4] = [
    (ICMP, &[8, 0, 0, 0, 0, 0, 0, 0], 4, 2),
    (ICMPV6, &[128, 0, 0, 0, 0, 0, 0, 0], 4, 2),
    (TCP, b"\0\0\0\0\0\0\0\x01\0\0\0\0\x60\x02\xff\xff\0\0\0\0\x02\x04\x05\xb4", 0, 16),
    (UDP, &[0, 0, 0, 0, 0, 8, 0, 0], 0, 6),
];

impl Probe {
    /// Returns the whole packet (RFC 791 and RFC 8200).
    pub fn packet(&self) -> Vec<u8> {
        let is_it = |(protocol, ..): &&(u8, _, _, _)| *protocol == self.protocol;
        let (_, content, ports, place) = CONTENTS.iter().find(is_it).unwrap_or(&CONTENTS[0]);
        let length = u8::try_from(content.len()).unwrap_or_default();
        let mut addresses = address_bytes(self.from);
        addresses.extend(address_bytes(self.to));
        let mut packet = match Family::of(self.to) {
            Family::V4 => vec![0x45, 0, 0, 20 + length, 0, 1, 0x40, 0, 64, self.protocol, 0, 0],
            Family::V6 => vec![0x60, 0, 0, 0, 0, length, self.protocol, 64],
        };
        packet.extend_from_slice(&addresses);
        if self.to.is_ipv4() {
            fill_in(&mut packet, 10, &[]);
        }
        let mut content = content.to_vec();
        content[*ports..ports + 4].copy_from_slice(self.ports.map(u16::to_be_bytes).as_flattened());
        // The same sum for both families: the words that differ are zeros. ICMP has none (RFC 792).
        addresses.extend([0, length, 0, self.protocol]);
        fill_in(&mut content, *place, if self.protocol == ICMP { &[] } else { &addresses });
        packet.extend(content);
        packet
    }
}

/// Fills in the checksum of some bytes, and of others in front of them.
fn fill_in(bytes: &mut [u8], place: usize, others: &[u8]) {
    let sum = match checksum(&[others, bytes].concat()) {
        // In UDP, a sum of 0 means that there is none. The two values are equal.
        0 => u16::MAX,
        sum => sum,
    };
    bytes[place..place + 2].copy_from_slice(&sum.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksums_of_all_kinds_are_right() {
        let v4 = [[192, 168, 1, 50], [1, 1, 1, 1]].map(IpAddr::from);
        let v6 = ["fd77::5", "2001:db8::1"].map(|text| text.parse::<IpAddr>().unwrap());
        for ([from, to], protocol) in [(v4, ICMP), (v4, TCP), (v4, UDP), (v6, ICMPV6), (v6, TCP), (v6, UDP)] {
            let packet = Probe { from, to, protocol, ports: [40000, 443] }.packet();
            let (header, content) = packet.split_at(if from.is_ipv4() { 20 } else { 40 });
            let length = u16::try_from(content.len()).unwrap().to_be_bytes();
            let pseudo_header =
                [&address_bytes(from)[..], &address_bytes(to), &length, &[0, protocol]].concat();
            let summed = if protocol == ICMP { Vec::new() } else { pseudo_header };
            assert_eq!(checksum(&[&summed, content].concat()), 0, "{protocol}");
            assert!(from.is_ipv6() || checksum(header) == 0);
        }
    }
}
