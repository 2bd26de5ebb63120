//! Operands of expressions: facts to load, registers and relations. NFT_* of linux/netfilter/nf_tables.h.

use nix::libc::{self, c_int};

use crate::base::net::Family;

/// Register for nearly everything.
pub(in super::super) const FIRST: u32 = libc::NFT_REG_1.cast_unsigned();
/// Register for the second half of a pair.
pub(in super::super) const SECOND: u32 = libc::NFT_REG_2.cast_unsigned();

/// Groups of facts: those about the packet, those about its connection, and the fields of its headers. The
/// number of a header (NFT_PAYLOAD_*_HEADER) counts from the third group.
pub(super) const META: u32 = 0;
pub(super) const CT: u32 = 1;
pub(super) const HEADERS: u32 = 2;

/// Fact that a rule loads. The number is that of the group, and in the lower byte the key of the group
/// (NFT_META_*, NFT_CT_*), or the offset of the field in its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(in super::super) enum Load {
    Mark = fact(META, libc::NFT_META_MARK),
    IncomingName = fact(META, libc::NFT_META_IIFNAME),
    OutgoingName = fact(META, libc::NFT_META_OIFNAME),
    IncomingType = fact(META, libc::NFT_META_IIFTYPE),
    Family = fact(META, libc::NFT_META_NFPROTO),
    Protocol = fact(META, libc::NFT_META_L4PROTO),
    State = fact(CT, libc::NFT_CT_STATE),
    Direction = fact(CT, libc::NFT_CT_DIRECTION),
    Status = fact(CT, libc::NFT_CT_STATUS),
    ConnectionMark = fact(CT, libc::NFT_CT_MARK),
    Source4 = field(libc::NFT_PAYLOAD_NETWORK_HEADER, 12),
    Destination4 = field(libc::NFT_PAYLOAD_NETWORK_HEADER, 16),
    Source6 = field(libc::NFT_PAYLOAD_NETWORK_HEADER, 8),
    Destination6 = field(libc::NFT_PAYLOAD_NETWORK_HEADER, 24),
    /// Sender's hardware address.
    Device = field(libc::NFT_PAYLOAD_LL_HEADER, 6),
    /// Source and destination port of TCP or UDP.
    Ports = field(libc::NFT_PAYLOAD_TRANSPORT_HEADER, 0),
    /// Destination port of TCP or UDP, which have it at the same offset.
    DestinationPort = field(libc::NFT_PAYLOAD_TRANSPORT_HEADER, 2),
    TcpFlags = field(libc::NFT_PAYLOAD_TRANSPORT_HEADER, 13),
}

impl Load {
    pub(super) const ALL: [Self; 18] = [
        Self::Mark,
        Self::IncomingName,
        Self::OutgoingName,
        Self::IncomingType,
        Self::Family,
        Self::Protocol,
        Self::State,
        Self::Direction,
        Self::Status,
        Self::ConnectionMark,
        Self::Source4,
        Self::Destination4,
        Self::Source6,
        Self::Destination6,
        Self::Device,
        Self::Ports,
        Self::DestinationPort,
        Self::TcpFlags,
    ];

    /// Source address.
    pub(in super::super) fn source(family: Family) -> Self {
        if family == Family::V4 { Self::Source4 } else { Self::Source6 }
    }

    /// Destination address.
    pub(in super::super) fn destination(family: Family) -> Self {
        if family == Family::V4 { Self::Destination4 } else { Self::Destination6 }
    }

    /// Returns the family of an address; `None` for any other fact.
    pub(in super::super) fn family(self) -> Option<Family> {
        match self {
            Self::Source4 | Self::Destination4 => Some(Family::V4),
            Self::Source6 | Self::Destination6 => Some(Family::V6),
            _ => None,
        }
    }
}

const fn fact(group: u32, key: c_int) -> u32 {
    group << 8 | key.cast_unsigned()
}

const fn field(header: c_int, offset: c_int) -> u32 {
    fact(HEADERS + header.cast_unsigned(), offset)
}

/// Relation of a comparison: NFT_CMP_*.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(in super::super) enum Relation {
    Equal = libc::NFT_CMP_EQ.cast_unsigned(),
    NotEqual = libc::NFT_CMP_NEQ.cast_unsigned(),
    AtMost = libc::NFT_CMP_LTE.cast_unsigned(),
    AtLeast = libc::NFT_CMP_GTE.cast_unsigned(),
}
