//! Connection tracking: ctnetlink (linux/netfilter/nfnetlink_conntrack.h).
//!
//! A connection keeps the addresses that it was translated to when it began, whatever way its packets take later on; so those
//! of a portal are forgotten when it moves to another exit, and begin anew there.

use std::net::IpAddr;

use netlink_packet_core::{NLA_F_NESTED, NLM_F_ACK, NLM_F_REQUEST};
use nix::errno::Errno;

use super::attributes::{Attributes, address};
use super::nfnetlink::{Header, Message, Nfnetlink, Writer, messages};
use crate::base::error::{Context as _, Result};
use crate::base::net::{Cidr, Mark};
use crate::base::sorted::SortedSet;

/// NFNL_SUBSYS_CTNETLINK, and IPCTNL_MSG_CT_* in the lower byte.
const CONNTRACK: u16 = 1 << 8;
const NEW: u16 = CONNTRACK;
const GET: u16 = CONNTRACK | 1;
const DELETE: u16 = CONNTRACK | 2;

/// NFPROTO_IPV4
const IPV4: u8 = 2;

/// CTA_*
const ORIGINAL: u16 = 1;
const MARK: u16 = 8;
const ID: u16 = 12;
const ZONE: u16 = 18;

/// CTA_TUPLE_IP, and CTA_IP_V4_SRC in it.
const ADDRESSES: u16 = 1;
const SOURCE: u16 = 1;

/// Entries in one send, some 100 bytes each.
const AT_ONCE: usize = 500;

/// What tells connections.
#[derive(Debug, Default)]
pub struct Told {
    /// Those that were begun from one of these networks.
    pub by_source: SortedSet<Cidr>,
    /// Those that carry one of these marks.
    pub by_mark: SortedSet<Mark>,
}

/// Forgets the connections that are told so; how many there were. Where the kernel does not track connections, there are none.
pub fn forget(told: &Told) -> Result<usize> {
    let mut socket = Nfnetlink::open(IPV4).context(|| "cannot open a socket to netfilter".to_owned())?;
    let mut entries = Vec::new();
    let mut take = |piece: &[u8]| entries.extend(meant(told, piece));
    match socket.dump_in_pieces(GET, &mut take) {
        // What nfnetlink says to a subsystem that it does not know: nfnetlink_rcv_msg in net/netfilter/nfnetlink.c.
        Err(Errno::EINVAL | Errno::EOPNOTSUPP) => return Ok(0),
        listed => listed.context(|| "cannot list the tracked connections".to_owned())?,
    }
    for some in entries.chunks(AT_ONCE) {
        match socket.batch(&deletion(some)) {
            // One that has ended by itself meanwhile.
            Err(refusal) if refusal.errno != Errno::ENOENT => {
                return Err(refusal.errno).context(|| "cannot forget the connections of a portal".to_owned());
            }
            _ => {}
        }
    }
    Ok(entries.len())
}

/// What names an entry: some of its attributes, as they came.
type Entry = Vec<(u16, Vec<u8>)>;

pub(crate) fn meant(told: &Told, piece: &[u8]) -> Vec<Entry> {
    let by_source = |source: IpAddr| told.by_source.iter().any(|network| network.contains(source));
    let by_mark = |mark: u32| told.by_mark.iter().any(|known| mark & known.mask == known.value);
    let entries = messages(piece).filter(|message| message.kind == NEW).map(Message::attributes);
    let meant = entries
        .filter(|entry| source(*entry).is_some_and(by_source) || entry.number(MARK).is_some_and(by_mark));
    meant.map(name).collect()
}

fn source(entry: Attributes) -> Option<IpAddr> {
    address(entry.nested(ORIGINAL).nested(ADDRESSES).bytes(SOURCE)?)
}

/// The kernel finds an entry by its tuple and its zone; the number makes sure that it is not a younger one.
fn name(entry: Attributes) -> Entry {
    let names = entry.iter().filter(|(kind, _)| [ORIGINAL, ID, ZONE].contains(kind));
    names.map(|(kind, value)| (kind, value.to_vec())).collect()
}

fn deletion(entries: &[Entry]) -> Vec<u8> {
    let mut writer = Writer::default();
    for (entry, number) in entries.iter().zip(1_u32..) {
        let is_last = usize::try_from(number) == Ok(entries.len());
        let flags = NLM_F_REQUEST | if is_last { NLM_F_ACK } else { 0 };
        let header = Header { kind: DELETE, flags, sequence: number, family: IPV4, resource: 0 };
        writer.message(&header, |writer| {
            for (kind, value) in entry {
                writer.bytes(if *kind == ORIGINAL { kind | NLA_F_NESTED } else { *kind }, value);
            }
        });
    }
    writer.finish()
}
