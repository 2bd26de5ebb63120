//! Types of messages of nf_tables: NFT_MSG_* with NFNL_SUBSYS_NFTABLES in the upper byte
//! (linux/netfilter/nf_tables.h).

use nix::libc::{self, c_int};

use crate::kernel::constant::of_8_bits;
use crate::kernel::nfnetlink::kind;

/// Number of nf_tables among the subsystems of nfnetlink.
pub(super) const NFTABLES: c_int = libc::NFNL_SUBSYS_NFTABLES;

/// Family of tables for IPv4 and IPv6.
pub(super) const INET: u8 = of_8_bits(libc::NFPROTO_INET);

/// Attribute that names the table in every message of nf_tables.
pub(super) const TABLE_NAME: u16 = 1;

pub(super) const NEW_TABLE: u16 = kind(NFTABLES, libc::NFT_MSG_NEWTABLE);
pub(super) const GET_TABLE: u16 = kind(NFTABLES, libc::NFT_MSG_GETTABLE);
pub(super) const DELETE_TABLE: u16 = kind(NFTABLES, libc::NFT_MSG_DELTABLE);
pub(super) const NEW_CHAIN: u16 = kind(NFTABLES, libc::NFT_MSG_NEWCHAIN);
pub(super) const GET_CHAIN: u16 = kind(NFTABLES, libc::NFT_MSG_GETCHAIN);
pub(super) const DELETE_CHAIN: u16 = kind(NFTABLES, libc::NFT_MSG_DELCHAIN);
pub(super) const NEW_RULE: u16 = kind(NFTABLES, libc::NFT_MSG_NEWRULE);
pub(super) const GET_RULE: u16 = kind(NFTABLES, libc::NFT_MSG_GETRULE);
pub(super) const DELETE_RULE: u16 = kind(NFTABLES, libc::NFT_MSG_DELRULE);
pub(super) const NEW_SET: u16 = kind(NFTABLES, libc::NFT_MSG_NEWSET);
pub(super) const GET_SET: u16 = kind(NFTABLES, libc::NFT_MSG_GETSET);
pub(super) const DELETE_SET: u16 = kind(NFTABLES, libc::NFT_MSG_DELSET);
pub(super) const NEW_ELEMENT: u16 = kind(NFTABLES, libc::NFT_MSG_NEWSETELEM);
pub(super) const GET_ELEMENT: u16 = kind(NFTABLES, libc::NFT_MSG_GETSETELEM);
pub(super) const DELETE_ELEMENT: u16 = kind(NFTABLES, libc::NFT_MSG_DELSETELEM);
// Not in libc: NFT_MSG_NEWFLOWTABLE and the next two.
pub(super) const NEW_FLOWTABLE: u16 = kind(NFTABLES, 22);
pub(super) const GET_FLOWTABLE: u16 = kind(NFTABLES, 23);
pub(super) const DELETE_FLOWTABLE: u16 = kind(NFTABLES, 24);
pub(super) const GET_GENERATION: u16 = kind(NFTABLES, libc::NFT_MSG_GETGEN);
pub(super) const TRACE: u16 = kind(NFTABLES, libc::NFT_MSG_TRACE);
pub(in crate::kernel) const NEW_GENERATION: u16 = kind(NFTABLES, libc::NFT_MSG_NEWGEN);
