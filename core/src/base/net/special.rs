//! Networks that are not part of the internet: IANA's registries of special-purpose addresses (RFC 6890, as
//! of RFC 9780), except the few networks that are globally reachable.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Cidr, Family};

/// Every network of <https://www.iana.org/assignments/iana-ipv4-special-registry/> without "True" in its
/// column "Globally Reachable"; networks inside a listed network are left out.
///
/// The list contains all of 192.0.0.0/24. The registry marks 192.0.0.9 and 192.0.0.10 as global, because any
/// host may send to them, but these are anycast addresses that lead to the nearest server: a server that
/// opens ports of the exit's own router (RFC 7723), or relays through it (RFC 8155).
const SPECIAL: [([u8; 4], u8); 14] = [
    ([0, 0, 0, 0], 8),       // "this network" (RFC 791)
    ([10, 0, 0, 0], 8),      // private use (RFC 1918)
    ([100, 64, 0, 0], 10),   // shared by providers' address translation (RFC 6598)
    ([127, 0, 0, 0], 8),     // loopback (RFC 1122)
    ([169, 254, 0, 0], 16),  // link-local (RFC 3927)
    ([172, 16, 0, 0], 12),   // private use (RFC 1918)
    ([192, 0, 0, 0], 24),    // protocol assignments (RFC 6890)
    ([192, 0, 2, 0], 24),    // documentation (RFC 5737)
    ([192, 88, 99, 0], 24),  // 6to4 relays, deprecated (RFC 7526)
    ([192, 168, 0, 0], 16),  // private use (RFC 1918)
    ([198, 18, 0, 0], 15),   // benchmarking (RFC 2544)
    ([198, 51, 100, 0], 24), // documentation (RFC 5737)
    ([203, 0, 113, 0], 24),  // documentation (RFC 5737)
    ([240, 0, 0, 0], 4),     // reserved, and limited broadcast (RFC 1112, RFC 8190)
];

/// Every network of <https://www.iana.org/assignments/iana-ipv6-special-registry/> without "True" in its
/// column "Globally Reachable", and multicast; networks inside a listed network are left out. Listed are the
/// first 64 bits of each network.
///
/// The list contains all of 2001::/23, of which the registry marks a few parts as global: anycast addresses
/// as in IPv4, identifiers that no router knows, and the servers for reverse lookups of private addresses.
const SPECIAL6: [(u64, u8); 12] = [
    (0, 80),                     // unspecified, loopback, IPv4-compatible and IPv4-mapped (RFC 4291)
    (0x0064_ff9b_0001_0000, 48), // local translation between IPv4 and IPv6 (RFC 8215)
    (0x0100_0000_0000_0000, 63), // discard, and dummy (RFC 6666, RFC 9780)
    (0x2001_0000_0000_0000, 23), // protocol assignments (RFC 2928)
    (0x2001_0db8_0000_0000, 32), // documentation (RFC 3849)
    (0x2002_0000_0000_0000, 16), // 6to4, deprecated (RFC 7526)
    (0x3fff_0000_0000_0000, 20), // documentation (RFC 9637)
    (0x5f00_0000_0000_0000, 16), // segment identifiers (RFC 9602)
    (0xfc00_0000_0000_0000, 7),  // unique local (RFC 4193)
    (0xfe80_0000_0000_0000, 10), // link-local (RFC 4291)
    (0xfec0_0000_0000_0000, 10), // site-local, deprecated (RFC 3879)
    (0xff00_0000_0000_0000, 8),  // multicast (RFC 4291)
];

/// Returns the networks of one family that are not globally reachable, in order and without overlaps.
pub fn special_purpose(family: Family) -> Vec<Cidr> {
    let network = |address: IpAddr, length| Cidr::new(address, length).expect("a valid length");
    match family {
        Family::V4 => {
            SPECIAL.map(|(address, length)| network(Ipv4Addr::from(address).into(), length)).to_vec()
        }
        Family::V6 => SPECIAL6
            .map(|(first, length)| network(Ipv6Addr::from_bits(u128::from(first) << 64).into(), length))
            .to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_whole_and_apart() {
        for (network, (address, _)) in special_purpose(Family::V4).iter().zip(SPECIAL) {
            assert_eq!(network.address(), IpAddr::from(address), "has no host bits");
        }
        for (network, (first, _)) in special_purpose(Family::V6).iter().zip(SPECIAL6) {
            let first = Ipv6Addr::from_bits(u128::from(first) << 64);
            assert_eq!(network.address(), IpAddr::from(first), "has no host bits");
        }
        for networks in [Family::V4, Family::V6].map(special_purpose) {
            for (one, other) in networks.iter().zip(&networks[1..]) {
                assert!(one < other && !one.overlaps(*other), "{one} and {other}");
            }
        }
    }

    #[test]
    fn globally_reachable_addresses_are_not_special() {
        let is_special = |text: &str| {
            let address: IpAddr = text.parse().unwrap();
            special_purpose(Family::of(address)).iter().any(|network| network.contains(address))
        };
        for text in ["9.9.9.9", "100.63.255.255", "100.128.0.0", "192.0.1.1", "192.175.48.10", "198.20.0.0"] {
            assert!(!is_special(text), "{text}");
        }
        for text in ["2620:fe::fe", "2620:4f:8000::1", "64:ff9b::808:808", "2001:200::", "2a00::1", "3ffe::1"]
        {
            assert!(!is_special(text), "{text}");
        }
        for text in ["::", "::1", "::ffff:9.9.9.9", "2001:db8::1", "fd77::1", "fe80::1", "ff02::1", "100::1"]
        {
            assert!(is_special(text), "{text}");
        }
        for text in
            ["0.0.0.0", "100.64.0.0", "100.127.255.255", "192.0.0.9", "198.19.255.255", "255.255.255.255"]
        {
            assert!(is_special(text), "{text}");
        }
    }
}
