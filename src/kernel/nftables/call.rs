//! Types of messages of nf_tables: NFT_MSG_* with NFNL_SUBSYS_NFTABLES in the upper byte
//! (linux/netfilter/nf_tables.h).

/// NFNL_SUBSYS_NFTABLES.
pub(super) const NFTABLES: u16 = 10;

/// NFPROTO_INET.
pub(super) const INET: u8 = 1;

/// Attribute that names the table in every message of nf_tables.
pub(super) const TABLE_NAME: u16 = 1;

pub(super) const NEW_TABLE: u16 = NFTABLES << 8;
pub(super) const GET_TABLE: u16 = NFTABLES << 8 | 0x1;
pub(super) const DELETE_TABLE: u16 = NFTABLES << 8 | 0x2;
pub(super) const NEW_CHAIN: u16 = NFTABLES << 8 | 0x3;
pub(super) const GET_CHAIN: u16 = NFTABLES << 8 | 0x4;
pub(super) const DELETE_CHAIN: u16 = NFTABLES << 8 | 0x5;
pub(super) const NEW_RULE: u16 = NFTABLES << 8 | 0x6;
pub(super) const GET_RULE: u16 = NFTABLES << 8 | 0x7;
pub(super) const DELETE_RULE: u16 = NFTABLES << 8 | 0x8;
pub(super) const NEW_SET: u16 = NFTABLES << 8 | 0x9;
pub(super) const GET_SET: u16 = NFTABLES << 8 | 0xa;
pub(super) const DELETE_SET: u16 = NFTABLES << 8 | 0xb;
pub(super) const NEW_ELEMENT: u16 = NFTABLES << 8 | 0xc;
pub(super) const GET_ELEMENT: u16 = NFTABLES << 8 | 0xd;
pub(super) const DELETE_ELEMENT: u16 = NFTABLES << 8 | 0xe;
pub(super) const GET_GENERATION: u16 = NFTABLES << 8 | 0x10;
