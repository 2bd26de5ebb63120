//! Packets that probe a path: an ICMP echo request, the first packet of a TCP connection, or a UDP packet.

use std::net::IpAddr;

use nix::libc;

use crate::base::net::Family;
use crate::kernel::attributes::address_bytes;
use crate::kernel::constant::of_8_bits;
use crate::kernel::echo::checksum;

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

impl Probe {
    /// Returns the whole packet (RFC 791 and RFC 8200, RFC 792 and RFC 4443, RFC 9293, RFC 768).
    pub fn packet(&self) -> Vec<u8> {
        let mut content = self.content();
        let [ones, twos] = [address_bytes(self.from), address_bytes(self.to)];
        let length = u16::try_from(content.len()).unwrap_or_default().to_be_bytes();
        // The same sum for both families: the words that differ are zeros. ICMP has none (RFC 792).
        let pseudo_header = [&ones[..], &twos, &length, &[0, self.protocol]].concat();
        self.fill_in(&mut content, if self.protocol == ICMP { &[] } else { &pseudo_header });
        let header = match Family::of(self.to) {
            Family::V4 => {
                let total = u16::try_from(20 + content.len()).unwrap_or_default().to_be_bytes();
                let fixed = [0x45, 0, total[0], total[1], 0, 1, 0x40, 0, 64, self.protocol, 0, 0];
                let mut header = [&fixed[..], &ones, &twos].concat();
                let sum = checksum(&header).to_be_bytes();
                header[10..12].copy_from_slice(&sum);
                header
            }
            Family::V6 => {
                [&[0x60, 0, 0, 0, length[0], length[1], self.protocol, 64], &ones[..], &twos].concat()
            }
        };
        [header, content].concat()
    }

    /// Returns the packet without its header, and without its checksum.
    fn content(&self) -> Vec<u8> {
        let [[a, b], [c, d]] = self.ports.map(u16::to_be_bytes);
        match self.protocol {
            ICMP => vec![8, 0, 0, 0, a, b, c, d],
            ICMPV6 => vec![128, 0, 0, 0, a, b, c, d],
            // SYN, a window of 64 kB, and the option for the segment size: 1460.
            TCP => {
                let fixed = [a, b, c, d, 0, 0, 0, 1, 0, 0, 0, 0, 0x60, 2, 0xff, 0xff, 0, 0, 0, 0];
                [&fixed[..], &[2, 4, 5, 0xb4]].concat()
            }
            _ => vec![a, b, c, d, 0, 8, 0, 0],
        }
    }

    /// Fills in the checksum of the content.
    fn fill_in(&self, content: &mut [u8], pseudo_header: &[u8]) {
        let place = match self.protocol {
            TCP => 16,
            UDP => 6,
            _ => 2,
        };
        let sum = match checksum(&[pseudo_header, content].concat()) {
            // A sum of 0 means that there is none.
            0 if self.protocol == UDP => u16::MAX,
            sum => sum,
        };
        content[place..place + 2].copy_from_slice(&sum.to_be_bytes());
    }
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
