//! Basic network types: networks, interface names, tables, marks, keys.
//!
//! The program parses these types where bytes enter and prints them where bytes leave; the code in between
//! handles no strings.

mod interface_name;
mod key;
mod mac;
mod special;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::base::sorted::SortedSet;

pub use interface_name::IfName;
pub use key::{PublicKey, Secret};
pub use mac::Mac;
pub use special::special_purpose;

/// IPv4 or IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4
    V4,
    /// IPv6
    V6,
}

impl Family {
    /// Returns the family of an address.
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    /// Returns the number of bits of an address: 32 or 128.
    pub fn bits(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }

    /// Returns the network of all addresses: `0.0.0.0/0` or `::/0`.
    pub fn everything(self) -> Cidr {
        match self {
            Self::V4 => Cidr { address: IpAddr::V4(Ipv4Addr::UNSPECIFIED), length: 0 },
            Self::V6 => Cidr { address: IpAddr::V6(Ipv6Addr::UNSPECIFIED), length: 0 },
        }
    }
}

/// Fault of a text that cannot be parsed: a sentence for a person, without the text itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid(pub String);

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Invalid {}

/// A network: an address with all host bits zero, and a prefix length. Aligned for the same reason as
/// [`IfName`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(align(4))]
pub struct Cidr {
    address: IpAddr,
    length: u8,
}

impl Cidr {
    /// Returns the network of `length` bits that contains `address`; `None` if `length` is too long for its
    /// family.
    pub fn new(address: IpAddr, length: u8) -> Option<Self> {
        let family = Family::of(address);
        (length <= family.bits())
            .then(|| Self { address: from_bits(family, to_bits(address) & mask(family, length)), length })
    }

    /// Returns the network of a single address: a /32 or a /128.
    pub fn host(address: IpAddr) -> Self {
        Self { address, length: Family::of(address).bits() }
    }

    /// Returns the first address of the network.
    pub fn address(self) -> IpAddr {
        self.address
    }

    /// Returns the prefix length in bits.
    pub fn length(self) -> u8 {
        self.length
    }

    /// Returns the address family of the network.
    pub fn family(self) -> Family {
        Family::of(self.address)
    }

    /// Returns the last address of the network.
    pub fn last(self) -> IpAddr {
        let family = self.family();
        from_bits(family, to_bits(self.address) | (mask(family, family.bits()) & !mask(family, self.length)))
    }

    /// Reports whether the network contains `address`.
    pub fn contains(self, address: IpAddr) -> bool {
        bits_in_common(self.address, address) >= Some(u32::from(self.length))
    }

    /// Reports whether the network contains all of `other`.
    pub fn covers(self, other: Self) -> bool {
        self.length <= other.length && self.contains(other.address)
    }

    /// Reports whether the two networks share an address.
    pub fn overlaps(self, other: Self) -> bool {
        bits_in_common(self.address, other.address) >= Some(u32::from(self.length.min(other.length)))
    }

    /// Returns the network of `length` bits that begins `offset` addresses after the first address, if it is
    /// inside this network.
    pub fn carve(self, offset: u128, length: u8) -> Option<Self> {
        let family = self.family();
        let base = to_bits(self.address).checked_add(offset)?;
        if family == Family::V4 && base > u128::from(u32::MAX) {
            return None;
        }
        Self::new(from_bits(family, base), length).filter(|inner| self.covers(*inner))
    }

    /// Returns the address number `offset` of this network, counted from zero, if it is inside.
    pub fn nth(self, offset: u128) -> Option<IpAddr> {
        self.carve(offset, self.family().bits()).map(Self::address)
    }
}

/// Returns the mask of a network: 255.255.255.192 for an IPv4 prefix of 26 bits.
pub fn netmask(family: Family, length: u8) -> IpAddr {
    from_bits(family, mask(family, length))
}

/// Reports whether the networks together contain all of IPv4, as `0.0.0.0/1` and `128.0.0.0/1` do.
pub fn are_all_ipv4(networks: &[Cidr]) -> bool {
    let in_order: SortedSet<Cidr> = networks.iter().copied().collect();
    // The first address that the networks so far do not contain.
    let mut missing = 0_u64;
    for network in &in_order {
        if let (IpAddr::V4(first), IpAddr::V4(last)) = (network.address, network.last())
            && u64::from(first.to_bits()) <= missing
        {
            missing = missing.max(u64::from(last.to_bits()) + 1);
        }
    }
    missing == 1 << 32
}

/// Returns the number of leading bits that two addresses share; `None` for different families. Computed in
/// the family's own width, for speed: the checks compare each network of a file with every other.
fn bits_in_common(one: IpAddr, other: IpAddr) -> Option<u32> {
    match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => Some((one.to_bits() ^ other.to_bits()).leading_zeros()),
        (IpAddr::V6(one), IpAddr::V6(other)) => Some((one.to_bits() ^ other.to_bits()).leading_zeros()),
        _ => None,
    }
}

fn to_bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

fn from_bits(family: Family, bits: u128) -> IpAddr {
    match family {
        // `carve` checks that IPv4 arithmetic stays within 32 bits; everything else only clears or fills
        // bits.
        Family::V4 => IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(bits).expect("32 bits"))),
        Family::V6 => IpAddr::V6(Ipv6Addr::from_bits(bits)),
    }
}

fn mask(family: Family, length: u8) -> u128 {
    let bits = u32::from(family.bits());
    let all = if bits == 128 { u128::MAX } else { (1 << bits) - 1 };
    let host_bits = bits - u32::from(length);
    if host_bits == 128 { 0 } else { all >> host_bits << host_bits }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

impl fmt::Debug for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Cidr {
    type Err = Invalid;

    /// Parses `192.168.1.0/24` or a single address; refuses host bits, and names the right network.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let InterfaceAddress { address, length } = text.parse()?;
        let network = Self::new(address, length).expect("the length was checked while parsing");
        if network.address == address {
            Ok(network)
        } else {
            Err(Invalid(format!("has host bits set; the network is {network}")))
        }
    }
}

/// Address of an interface, with the prefix length of its network. Aligned for the same reason as [`IfName`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(align(4))]
pub struct InterfaceAddress {
    /// The address itself.
    pub address: IpAddr,
    /// Prefix length in bits.
    pub length: u8,
}

impl InterfaceAddress {
    /// Returns the address alone, in a network of just this address (/32, /128).
    pub fn host(address: IpAddr) -> Self {
        Self { address, length: Family::of(address).bits() }
    }

    /// Returns the network that the address is in.
    pub fn network(self) -> Cidr {
        Cidr::new(self.address, self.length).expect("an interface address has a valid length")
    }
}

impl fmt::Display for InterfaceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

impl fmt::Debug for InterfaceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for InterfaceAddress {
    type Err = Invalid;

    /// Parses `10.77.1.65/26`; without a length, the network is the single address (/32, /128).
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr =
            address.parse().map_err(|_| Invalid("is not an IPv4 or IPv6 address".to_owned()))?;
        let longest = Family::of(address).bits();
        let length = match length {
            None => longest,
            Some(digits) => digits
                .parse()
                .ok()
                .filter(|length| *length <= longest && digits.bytes().all(|b| b.is_ascii_digit()))
                .ok_or_else(|| Invalid(format!("needs a prefix length from 0 to {longest} after the /")))?,
        };
        Ok(Self { address, length })
    }
}

/// Number of a routing table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Table(pub u32);

impl Table {
    /// Table `main` of the kernel (RT_TABLE_MAIN in linux/rtnetlink.h).
    pub const MAIN: Self = Self(254);
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Names of tables of the kernel, from number 253 (linux/rtnetlink.h).
        const NAMES: [&str; 3] = ["default", "main", "local"];
        let index = self.0.wrapping_sub(253) as usize;
        match NAMES.get(index) {
            Some(name) => f.write_str(name),
            None => self.0.fmt(f),
        }
    }
}

/// Priority of a policy rule: the kernel tries lower numbers first. 0 (local) and 32766 (main) are the
/// kernel's own rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority(pub u32);

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Firewall mark and its mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark {
    /// Value of the bits under the mask.
    pub value: u32,
    /// Bits that count in a comparison.
    pub mask: u32,
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}/{:#x}", self.value, self.mask)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_without_a_gap_contain_all_of_ipv4() {
        let all = |networks: &[&str]| {
            are_all_ipv4(&networks.iter().map(|text| text.parse().unwrap()).collect::<Vec<_>>())
        };
        assert!(all(&["0.0.0.0/0"]) && all(&["128.0.0.0/1", "::/0", "10.0.0.0/8", "0.0.0.0/1"]));
        assert!(all(&["0.0.0.0/2", "64.0.0.0/2", "128.0.0.0/2", "192.0.0.0/3", "224.0.0.0/3"]));
        assert!(!all(&[]) && !all(&["::/0"]) && !all(&["0.0.0.0/1", "128.0.0.0/2"]));
        assert!(!all(&["0.0.0.1/32", "0.0.0.2/31", "128.0.0.0/1"]));
    }
}
