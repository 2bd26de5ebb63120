//! IPv4 networks that are not part of the internet: IANA's registry of special-purpose addresses (RFC 6890,
//! as of RFC 9637), except the few that are globally reachable.

use std::net::{IpAddr, Ipv4Addr};

use super::Cidr;

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

/// Returns the IPv4 networks that are not globally reachable, in order and without overlaps.
pub fn special_purpose() -> impl Iterator<Item = Cidr> {
    let network =
        |(address, length)| Cidr::new(IpAddr::V4(Ipv4Addr::from(address)), length).expect("a valid length");
    SPECIAL.into_iter().map(network)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_whole_and_apart() {
        let networks: Vec<Cidr> = special_purpose().collect();
        for (network, (address, _)) in networks.iter().zip(SPECIAL) {
            assert_eq!(network.address(), IpAddr::from(address), "has no host bits");
        }
        for (one, other) in networks.iter().zip(&networks[1..]) {
            assert!(one < other && !one.overlaps(*other), "{one} and {other}");
        }
    }

    #[test]
    fn globally_reachable_addresses_are_not_special() {
        let is_special = |text: &str| {
            let address: IpAddr = text.parse().unwrap();
            special_purpose().any(|network| network.contains(address))
        };
        for text in ["9.9.9.9", "100.63.255.255", "100.128.0.0", "192.0.1.1", "192.175.48.10", "198.20.0.0"] {
            assert!(!is_special(text), "{text}");
        }
        for text in
            ["0.0.0.0", "100.64.0.0", "100.127.255.255", "192.0.0.9", "198.19.255.255", "255.255.255.255"]
        {
            assert!(is_special(text), "{text}");
        }
    }
}
