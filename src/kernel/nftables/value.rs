//! Interface names and addresses in the form of registers and of keys of sets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use nix::libc;

use crate::base::net::{Family, IfName};
pub(super) use crate::kernel::attributes::address_bytes;

/// Length of an interface name in bytes: IFNAMSIZ.
pub(super) const NAME_LENGTH: u32 = 16;

/// Length of a hardware address in bytes.
pub(super) const MAC_LENGTH: u32 = libc::ETH_ALEN.cast_unsigned();

/// Returns the interface name in front of the zeros.
pub(super) fn unpadded_name(padded: &[u8]) -> Option<IfName> {
    let length = padded.iter().position(|byte| *byte == 0)?;
    std::str::from_utf8(&padded[..length]).ok()?.parse().ok()
}

/// Length of an address in bytes.
pub(super) fn address_length(family: Family) -> u32 {
    u32::from(family.bits() / 8)
}

/// Returns the address that begins with `prefix` and continues with zeros.
pub(super) fn address_from_prefix(family: Family, prefix: &[u8]) -> Option<IpAddr> {
    fn padded<const LENGTH: usize>(prefix: &[u8]) -> Option<[u8; LENGTH]> {
        let mut bytes = [0; LENGTH];
        bytes.get_mut(..prefix.len())?.copy_from_slice(prefix);
        Some(bytes)
    }
    match family {
        Family::V4 => padded(prefix).map(|bytes| IpAddr::V4(Ipv4Addr::from(bytes))),
        Family::V6 => padded(prefix).map(|bytes| IpAddr::V6(Ipv6Addr::from(bytes))),
    }
}

/// Returns the address with exactly these bytes.
pub(super) fn address_from_bytes(family: Family, bytes: &[u8]) -> Option<IpAddr> {
    address_from_prefix(family, bytes).filter(|_| bytes.len() == address_length(family) as usize)
}
