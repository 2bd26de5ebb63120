//! Operands of expressions: keys to load, registers, relations and header fields. NFT_* of
//! linux/netfilter/nf_tables.h.

use crate::base::net::Family;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Register {
    First = 1,
    Second = 2,
}

impl Register {
    pub(super) const ALL: [Self; 2] = [Self::First, Self::Second];
}

/// Fact about a packet: NFT_META_*.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Meta {
    Mark = 3,
    IncomingName = 6,
    OutgoingName = 7,
    IncomingType = 8,
    Family = 15,
    Protocol = 16,
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
pub(in super::super) enum Ct {
    State = 0,
    Direction = 1,
    Mark = 3,
}

impl Ct {
    pub(super) const ALL: [Self; 3] = [Self::State, Self::Direction, Self::Mark];
}

/// Relation of a comparison: NFT_CMP_*.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Relation {
    Equal = 0,
    NotEqual = 1,
    AtMost = 3,
    AtLeast = 5,
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
    /// Destination port of TCP or UDP, which have it at the same offset.
    DestinationPort,
    TcpFlags,
}

impl Field {
    pub(super) const ALL: [Self; 7] = [
        Self::Source(Family::V4),
        Self::Source(Family::V6),
        Self::Destination(Family::V4),
        Self::Destination(Family::V6),
        Self::Device,
        Self::DestinationPort,
        Self::TcpFlags,
    ];

    /// Returns the header (NFT_PAYLOAD_*_HEADER) and the offset of the field in it, in bytes.
    pub(super) fn place(self) -> (u32, u32) {
        const LINK_HEADER: u32 = 0;
        const NETWORK_HEADER: u32 = 1;
        const TRANSPORT_HEADER: u32 = 2;
        match self {
            Self::Source(Family::V4) => (NETWORK_HEADER, 12),
            Self::Destination(Family::V4) => (NETWORK_HEADER, 16),
            Self::Source(Family::V6) => (NETWORK_HEADER, 8),
            Self::Destination(Family::V6) => (NETWORK_HEADER, 24),
            Self::Device => (LINK_HEADER, 6),
            Self::DestinationPort => (TRANSPORT_HEADER, 2),
            Self::TcpFlags => (TRANSPORT_HEADER, 13),
        }
    }
}
