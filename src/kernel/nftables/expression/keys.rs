//! Operands of expressions: keys to load, registers, relations and header fields. NFT_* of
//! linux/netfilter/nf_tables.h.

use nix::libc;

use crate::base::net::Family;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(in super::super) enum Register {
    First = libc::NFT_REG_1.cast_unsigned(),
    Second = libc::NFT_REG_2.cast_unsigned(),
}

impl Register {
    pub(super) const ALL: [Self; 2] = [Self::First, Self::Second];
}

/// Fact about a packet: NFT_META_*.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(in super::super) enum Meta {
    Mark = libc::NFT_META_MARK.cast_unsigned(),
    IncomingName = libc::NFT_META_IIFNAME.cast_unsigned(),
    OutgoingName = libc::NFT_META_OIFNAME.cast_unsigned(),
    IncomingType = libc::NFT_META_IIFTYPE.cast_unsigned(),
    Family = libc::NFT_META_NFPROTO.cast_unsigned(),
    Protocol = libc::NFT_META_L4PROTO.cast_unsigned(),
}

impl Meta {
    pub(super) const ALL: [Self; 6] = [
        Self::Mark,
        Self::IncomingName,
        Self::OutgoingName,
        Self::IncomingType,
        Self::Family,
        Self::Protocol,
    ];
}

/// Fact about a connection: NFT_CT_*.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(in super::super) enum Ct {
    State = libc::NFT_CT_STATE.cast_unsigned(),
    Direction = libc::NFT_CT_DIRECTION.cast_unsigned(),
    Status = libc::NFT_CT_STATUS.cast_unsigned(),
    Mark = libc::NFT_CT_MARK.cast_unsigned(),
}

impl Ct {
    pub(super) const ALL: [Self; 4] = [Self::State, Self::Direction, Self::Status, Self::Mark];
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

impl Relation {
    pub(super) const ALL: [Self; 4] = [Self::Equal, Self::NotEqual, Self::AtMost, Self::AtLeast];
}

/// Field of a packet's headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Field {
    Source(Family),
    Destination(Family),
    Device,
    /// Source and destination port of TCP or UDP.
    Ports,
    /// Destination port of TCP or UDP, which have it at the same offset.
    DestinationPort,
    TcpFlags,
}

impl Field {
    pub(super) const ALL: [Self; 8] = [
        Self::Source(Family::V4),
        Self::Source(Family::V6),
        Self::Destination(Family::V4),
        Self::Destination(Family::V6),
        Self::Device,
        Self::Ports,
        Self::DestinationPort,
        Self::TcpFlags,
    ];

    /// Returns the header (NFT_PAYLOAD_*_HEADER) and the offset of the field in it, in bytes.
    pub(super) fn place(self) -> (u32, u32) {
        const LINK_HEADER: u32 = libc::NFT_PAYLOAD_LL_HEADER.cast_unsigned();
        const NETWORK_HEADER: u32 = libc::NFT_PAYLOAD_NETWORK_HEADER.cast_unsigned();
        const TRANSPORT_HEADER: u32 = libc::NFT_PAYLOAD_TRANSPORT_HEADER.cast_unsigned();
        match self {
            Self::Source(Family::V4) => (NETWORK_HEADER, 12),
            Self::Destination(Family::V4) => (NETWORK_HEADER, 16),
            Self::Source(Family::V6) => (NETWORK_HEADER, 8),
            Self::Destination(Family::V6) => (NETWORK_HEADER, 24),
            Self::Device => (LINK_HEADER, 6),
            Self::Ports => (TRANSPORT_HEADER, 0),
            Self::DestinationPort => (TRANSPORT_HEADER, 2),
            Self::TcpFlags => (TRANSPORT_HEADER, 13),
        }
    }
}
