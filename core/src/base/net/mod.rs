//! The small types of the trade: networks, interface names, tables, marks, keys.
//!
//! They are parsed where bytes enter the program and printed where they leave it; between the two
//! nobody handles strings.

mod interface_name;
mod mac;
mod special;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use zeroize::Zeroize as _;

pub use interface_name::IfName;
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
    /// The family of an address.
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    /// Number of bits of an address: 32 or 128.
    pub fn bits(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }

    /// The network of all addresses: `0.0.0.0/0` or `::/0`.
    pub fn everything(self) -> Cidr {
        match self {
            Self::V4 => Cidr { address: IpAddr::V4(Ipv4Addr::UNSPECIFIED), length: 0 },
            Self::V6 => Cidr { address: IpAddr::V6(Ipv6Addr::UNSPECIFIED), length: 0 },
        }
    }
}

/// Why a text is not what it should be; a sentence for a person, without the text itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid(pub String);

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Invalid {}

/// A network: an address with all host bits zero, and a prefix length.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cidr {
    address: IpAddr,
    length: u8,
}

impl Cidr {
    /// The network of `length` bits that holds `address`; `None` if `length` is too long for its family.
    pub fn new(address: IpAddr, length: u8) -> Option<Self> {
        let family = Family::of(address);
        (length <= family.bits())
            .then(|| Self { address: from_bits(family, to_bits(address) & mask(family, length)), length })
    }

    /// The network of one address: a /32 or a /128.
    pub fn host(address: IpAddr) -> Self {
        Self { address, length: Family::of(address).bits() }
    }

    /// First address of the network.
    pub fn address(self) -> IpAddr {
        self.address
    }

    /// Prefix length in bits.
    pub fn length(self) -> u8 {
        self.length
    }

    /// IPv4 or IPv6.
    pub fn family(self) -> Family {
        Family::of(self.address)
    }

    /// Last address of the network.
    pub fn last(self) -> IpAddr {
        let family = self.family();
        from_bits(family, to_bits(self.address) | (mask(family, family.bits()) & !mask(family, self.length)))
    }

    /// Whether `address` is inside.
    pub fn contains(self, address: IpAddr) -> bool {
        bits_in_common(self.address, address) >= Some(u32::from(self.length))
    }

    /// Whether all of `other` is inside.
    pub fn covers(self, other: Self) -> bool {
        self.length <= other.length && self.contains(other.address)
    }

    /// Whether the two share an address.
    pub fn overlaps(self, other: Self) -> bool {
        bits_in_common(self.address, other.address) >= Some(u32::from(self.length.min(other.length)))
    }

    /// The network of `length` bits that begins `offset` addresses behind the first one, if it is
    /// inside this one.
    pub fn carve(self, offset: u128, length: u8) -> Option<Self> {
        let family = self.family();
        let base = to_bits(self.address).checked_add(offset)?;
        if family == Family::V4 && base > u128::from(u32::MAX) {
            return None;
        }
        Self::new(from_bits(family, base), length).filter(|inner| self.covers(*inner))
    }

    /// The `offset`-th address of this network, counted from zero, if it is inside.
    pub fn nth(self, offset: u128) -> Option<IpAddr> {
        self.carve(offset, self.family().bits()).map(Self::address)
    }
}

/// The mask of an IPv4 network: 255.255.255.192 for a length of 26 bits.
pub fn netmask(length: u8) -> Ipv4Addr {
    Ipv4Addr::from_bits(!u32::MAX.checked_shr(length.into()).unwrap_or(0))
}

/// Whether networks are all of IPv4 together, as `0.0.0.0/1` and `128.0.0.0/1` are.
pub fn are_all_ipv4(networks: &[Cidr]) -> bool {
    let mut networks: Vec<Cidr> =
        networks.iter().copied().filter(|network| network.family() == Family::V4).collect();
    networks.sort_unstable();
    // The first address that none of those so far has.
    let missing = networks.iter().try_fold(0, |missing, network| {
        (to_bits(network.address) <= missing).then(|| missing.max(to_bits(network.last()) + 1))
    });
    missing == Some(1 << 32)
}

/// How many bits two addresses begin with alike; `None` if they are not of one family. Counted in the family's own width:
/// the networks of a file are compared each with each.
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
        // `carve` checks that IPv4 arithmetic stays within 32 bits; everything else only clears or fills bits.
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

    /// Accepts `192.168.1.0/24` and a single address; refuses host bits, and says what the network would be.
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

/// An address of an interface, with the length of the network it is on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceAddress {
    /// The address itself.
    pub address: IpAddr,
    /// Prefix length in bits.
    pub length: u8,
}

impl InterfaceAddress {
    /// The network the address is on.
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

    /// Accepts `10.77.1.65/26`; without a length the address stands alone (/32, /128).
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
                .ok_or_else(|| Invalid(format!("needs a prefix length from 0 to {longest} behind the /")))?,
        };
        Ok(Self { address, length })
    }
}

/// Number of a routing table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Table(pub u32);

impl Table {
    /// The kernel's table `main` (RT_TABLE_MAIN in linux/rtnetlink.h).
    pub const MAIN: Self = Self(254);
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::MAIN { f.write_str("main") } else { self.0.fmt(f) }
    }
}

/// Preference of a policy rule: the kernel asks lower ones first. 0 (local) and 32766 (main) are its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority(pub u32);

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A firewall mark and the bits of it that count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark {
    /// The value under the mask.
    pub value: u32,
    /// The bits that are looked at.
    pub mask: u32,
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}/{:#x}", self.value, self.mask)
    }
}

/// A WireGuard public key (Curve25519), written in base64 as `wg` does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(pub [u8; 32]);

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64.encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PublicKey {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        decode_key(text).map(Self)
    }
}

/// A private or pre-shared key: compared, handed to the kernel, wiped when dropped, never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; 32]);

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl Secret {
    /// Takes the bytes of a key.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, for the kernel and for key arithmetic.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The base64 form, for a file of mode 0600.
    pub fn to_base64(&self) -> zeroize::Zeroizing<String> {
        zeroize::Zeroizing::new(BASE64.encode(self.0))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl FromStr for Secret {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        decode_key(text).map(Self)
    }
}

fn decode_key(text: &str) -> Result<[u8; 32], Invalid> {
    let bytes = zeroize::Zeroizing::new(BASE64.decode(text).map_err(|_| {
        Invalid("is not a key: 44 characters of base64 that end in `=`, as `wg pubkey` prints".to_owned())
    })?);
    bytes.as_slice().try_into().map_err(|_| {
        Invalid(format!("is {} bytes long; a key is 32 bytes, 44 characters of base64", bytes.len()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_all_of_ipv4_if_they_leave_out_no_address() {
        let all = |networks: &[&str]| {
            are_all_ipv4(&networks.iter().map(|text| text.parse().unwrap()).collect::<Vec<_>>())
        };
        assert!(all(&["0.0.0.0/0"]) && all(&["128.0.0.0/1", "::/0", "10.0.0.0/8", "0.0.0.0/1"]));
        assert!(all(&["0.0.0.0/2", "64.0.0.0/2", "128.0.0.0/2", "192.0.0.0/3", "224.0.0.0/3"]));
        assert!(!all(&[]) && !all(&["::/0"]) && !all(&["0.0.0.0/1", "128.0.0.0/2"]));
        assert!(!all(&["0.0.0.1/32", "0.0.0.2/31", "128.0.0.0/1"]));
    }
}
