//! Translation of addresses, to and from attributes: NFTA_NAT_* and NFT_NAT_* of
//! linux/netfilter/nf_tables.h.

use nix::libc;

use super::{Expression, Register};
use crate::base::net::Family;
use crate::kernel::attributes::{AttributeWriter, Attributes};

const TYPE: u16 = 1;
const FAMILY: u16 = 2;
const ADDRESS: u16 = 3;
const LAST_ADDRESS: u16 = 4;
const PORT: u16 = 5;
const LAST_PORT: u16 = 6;
const FLAGS: u16 = 7;

/// NF_NAT_RANGE_MAP_IPS, _PROTO_SPECIFIED and _NETMAP of linux/netfilter/nf_nat.h. The kernel adds the first
/// to every rule with an address.
const MAPS_ADDRESSES: u32 = 1;
const MAPS_PORTS: u32 = 1 << 1;
const MAPS_NETWORKS: u32 = 1 << 6;

/// End of a connection whose address is translated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum End {
    Source = libc::NFT_NAT_SNAT.cast_unsigned(),
    Destination = libc::NFT_NAT_DNAT.cast_unsigned(),
}

/// Encodes the translation to the loaded address.
pub(super) fn encode_address(writer: &mut AttributeWriter, end: End, family: Family) {
    writer.number(TYPE, end as u32);
    writer.number(FAMILY, number(family));
    writer.number(ADDRESS, Register::First as u32);
}

/// Encodes the translation to the loaded address, and to the port in the second register.
pub(super) fn encode_port(writer: &mut AttributeWriter, end: End, family: Family) {
    encode_address(writer, end, family);
    writer.number(PORT, Register::Second as u32);
    writer.number(FLAGS, MAPS_PORTS);
}

/// Encodes the translation to the network from the first to the second of the loaded addresses.
pub(super) fn encode_prefix(writer: &mut AttributeWriter, end: End, family: Family) {
    encode_address(writer, end, family);
    writer.number(LAST_ADDRESS, Register::Second as u32);
    writer.number(FLAGS, MAPS_NETWORKS);
}

/// Decodes a translation. The kernel shows one address or port as a range from it to itself.
pub(super) fn decode(data: Attributes) -> Option<Expression> {
    const FIRST: Option<u32> = Some(Register::First as u32);
    const SECOND: Option<u32> = Some(Register::Second as u32);
    let of = data.number(FAMILY).filter(|_| data.number(ADDRESS) == FIRST)?;
    let family = [Family::V4, Family::V6].into_iter().find(|family| number(*family) == of)?;
    let kind = data.number(TYPE)?;
    let end = [End::Source, End::Destination].into_iter().find(|end| *end as u32 == kind)?;
    let last = data.number(LAST_ADDRESS).or(FIRST);
    let port = data.number(PORT);
    let flags = data.number(FLAGS).unwrap_or(0) & !MAPS_ADDRESSES;
    if port.is_some() && (port != SECOND || data.number(LAST_PORT).or(SECOND) != SECOND) {
        return None;
    }
    let is = |wanted: (u32, Option<u32>, Option<u32>)| (flags, last, port) == wanted;
    let source = end == End::Source;
    if is((0, FIRST, None)) {
        Some(if source { Expression::SourceNat(family) } else { Expression::DestinationNat(family) })
    } else if is((MAPS_PORTS, FIRST, SECOND)) {
        Some(if source { Expression::SourceNatTo(family) } else { Expression::DestinationNatTo(family) })
    } else if is((MAPS_NETWORKS, SECOND, None)) {
        Some(if source { Expression::SourcePrefix(family) } else { Expression::DestinationPrefix(family) })
    } else {
        None
    }
}

/// Number of a family: NFPROTO_IPV4 or NFPROTO_IPV6.
fn number(family: Family) -> u32 {
    match family {
        Family::V4 => libc::NFPROTO_IPV4.cast_unsigned(),
        Family::V6 => libc::NFPROTO_IPV6.cast_unsigned(),
    }
}
