//! Networks behind a site that linked sites may reach.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::base::net::Cidr;

/// Network behind a site that linked sites may reach: an entry of `lan`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SharedNetwork {
    /// Network as it is at the site.
    pub network: Cidr,
    /// Network that all other sites and phones see in its place, with the same family and prefix length;
    /// `None` if they see the network as it is.
    pub seen_as: Option<Cidr>,
}

impl SharedNetwork {
    /// Returns the network that other sites and phones see.
    pub fn visible(self) -> Cidr {
        self.seen_as.unwrap_or(self.network)
    }

    /// Returns the network as it is at the site and the network in its place, if the two differ.
    pub fn translation(self) -> Option<(Cidr, Cidr)> {
        Some((self.network, self.seen_as?))
    }
}

impl fmt::Display for SharedNetwork {
    /// Writes the entry as in the network file: `192.168.1.0/24 as 10.78.1.0/24`. A single address has no
    /// length.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Written(self.network))?;
        self.seen_as.map_or(Ok(()), |seen_as| write!(f, " as {}", Written(seen_as)))
    }
}

/// Network as a person writes it.
struct Written(Cidr);

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.length() == self.0.family().bits() { self.0.address().fmt(f) } else { self.0.fmt(f) }
    }
}

/// Returns a network that other sites may see in place of a network of the site with this id: of the same
/// length, overlapping none of `taken`, and easy to recognise by the id: `10.78.2.0/24` for `192.168.1.0/24`
/// of site 2. `None` if all of 256 candidates are taken.
pub fn free_network(network: Cidr, id: u8, taken: &[Cidr]) -> Option<Cidr> {
    // Numbers from 78 on are above the usual `subnet`; the lower ones follow.
    for number in 0..=u8::MAX {
        if let Some(candidate) = Cidr::new(like(network, number.wrapping_add(78), id), network.length())
            && !taken.iter().any(|taken| taken.overlaps(candidate))
        {
            return Some(candidate);
        }
    }
    None
}

/// Returns an address in a candidate. Its last bits are those of `network`, so that a part of a /24 (or /64)
/// remains the same part.
fn like(network: Cidr, number: u8, id: u8) -> IpAddr {
    match network.address() {
        IpAddr::V6(address) => {
            let [.., a, b, c, d] = address.segments();
            Ipv6Addr::new(0xfd00, number.into(), 0, id.into(), a, b, c, d).into()
        }
        IpAddr::V4(address) => {
            let [.., last] = address.octets();
            Ipv4Addr::new(10, number, id, last).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn free(network: &str, id: u8, taken: &[&str]) -> Option<String> {
        let taken: Vec<Cidr> = taken.iter().map(|text| text.parse().unwrap()).collect();
        free_network(network.parse().unwrap(), id, &taken).map(|network| network.to_string())
    }

    #[test]
    fn a_suggestion_is_free_and_recognisable() {
        assert_eq!(free("192.168.1.0/24", 2, &["10.77.0.0/16"]).unwrap(), "10.78.2.0/24");
        assert_eq!(free("192.168.1.0/24", 2, &["10.78.0.0/16", "10.79.2.9/32"]).unwrap(), "10.80.2.0/24");
        assert_eq!(free("192.168.1.64/26", 1, &[]).unwrap(), "10.78.1.64/26");
        assert_eq!(free("192.168.1.5/32", 1, &[]).unwrap(), "10.78.1.5/32");
        assert_eq!(free("172.16.0.0/12", 1, &["10.77.0.0/16"]).unwrap(), "10.80.0.0/12");
        assert_eq!(free("fd01:2:3:4::/64", 3, &[]).unwrap(), "fd00:4e:0:3::/64");
        assert_eq!(free("192.168.1.0/24", 1, &["10.0.0.0/8"]), None);
    }

    #[test]
    fn entries_are_written_as_in_the_file() {
        let entry = |network: &str, seen_as: Option<&str>| {
            let seen_as = seen_as.map(|text| text.parse().unwrap());
            SharedNetwork { network: network.parse().unwrap(), seen_as }.to_string()
        };
        assert_eq!(entry("192.168.1.0/24", None), "192.168.1.0/24");
        assert_eq!(entry("192.168.1.5/32", Some("10.78.1.5/32")), "192.168.1.5 as 10.78.1.5");
    }
}
