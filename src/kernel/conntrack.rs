//! Connection tracking: ctnetlink (linux/netfilter/nfnetlink_conntrack.h).
//!
//! A connection keeps the addresses that it was translated to when it began, even if its packets take another
//! path later. When a portal moves to another exit, its connections are forgotten, and begin again there. The
//! same holds for packets of a link that this site begins to relay.

use std::net::{IpAddr, SocketAddr};

use netlink_packet_core::NLA_F_NESTED;
use nix::errno::Errno;
use nix::libc;

use super::attributes::{AttributeWriter, Attributes, address};
use super::constant::of_8_bits;
use super::message::Message;
use super::netlink::{Frame, Refusal};
use super::nfnetlink::{Nfnetlink, attributes, family_of, is_unknown_subsystem, kind, request};
use crate::base::error::{Context as _, Result};
use crate::base::net::{Cidr, Mark};
use crate::base::sorted::SortedSet;

/// Messages of connection tracking: IPCTNL_MSG_CT_NEW, _GET and _DELETE.
const NEW: u16 = kind(libc::NFNL_SUBSYS_CTNETLINK, 0);
const GET: u16 = kind(libc::NFNL_SUBSYS_CTNETLINK, 1);
const DELETE: u16 = kind(libc::NFNL_SUBSYS_CTNETLINK, 2);

const ALL_FAMILIES: u8 = of_8_bits(libc::NFPROTO_UNSPEC);

/// Attributes of a connection: CTA_TUPLE_ORIG, CTA_TUPLE_REPLY, CTA_STATUS, CTA_MARK, CTA_ID and CTA_ZONE.
const ORIGINAL: u16 = 1;
const REPLY: u16 = 2;
const STATUS: u16 = 3;
const MARK: u16 = 8;
const ID: u16 = 12;
const ZONE: u16 = 18;

/// CTA_TUPLE_PROTO; and CTA_PROTO_NUM, CTA_PROTO_SRC_PORT and CTA_PROTO_DST_PORT in it.
const PROTOCOL: u16 = 2;
const PROTOCOL_NUMBER: u16 = 1;
const SOURCE_PORT: u16 = 2;
const DESTINATION_PORT: u16 = 3;

/// CTA_PROTO_ICMP_ID and CTA_PROTO_ICMPV6_ID in it.
const ECHO: u16 = 4;
const ECHO6: u16 = 7;

const UDP: u8 = of_8_bits(libc::IPPROTO_UDP);

/// CTA_TUPLE_IP; and CTA_IP_V4_SRC and CTA_IP_V4_DST in it, and the distance to those of IPv6.
const ADDRESSES: u16 = 1;
const SOURCE: u16 = 1;
const DESTINATION: u16 = 2;
const TO_IPV6: u16 = 2;

/// Properties by which connections are chosen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConnectionFilter {
    /// Networks that the connections came from.
    pub by_source: SortedSet<Cidr>,
    /// Marks that the connections carry.
    pub by_mark: SortedSet<Mark>,
    /// Addresses that answer connections which stay, whatever their source and their mark.
    pub spared: SortedSet<IpAddr>,
    /// Addresses from which packets of the connections come in one of their directions, and the UDP ports to
    /// which these packets go.
    pub by_path: Vec<(SocketAddr, u16)>,
    /// Translations that the connections should have, and do not have.
    pub by_lack: LackingTranslations,
}

/// Networks between which connections are translated. A connection that began without the translation keeps
/// its addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LackingTranslations {
    /// Sources that are translated in connections to `far`.
    pub sources: SortedSet<Cidr>,
    /// Networks to which sources are translated.
    pub far: SortedSet<Cidr>,
    /// Destinations that are always translated.
    pub destinations: SortedSet<Cidr>,
}

impl LackingTranslations {
    /// Reports whether a connection with these addresses, of its first packet and of the answers, lacks a
    /// translation.
    fn chooses(&self, (source, destination): Ends, (answering, answered): Ends) -> bool {
        let is_in =
            |networks: &SortedSet<Cidr>, address| networks.iter().any(|network| network.contains(address));
        let of_source =
            || source == answered && is_in(&self.sources, source) && is_in(&self.far, destination);
        (destination == answering && is_in(&self.destinations, destination)) || of_source()
    }
}

/// Source and destination.
type Ends = (IpAddr, IpAddr);

/// Forgets the chosen connections, and returns their number. Where the kernel does not track connections,
/// there are none.
pub fn forget(filter: &ConnectionFilter) -> Result<usize> {
    let mut socket = Nfnetlink::open(ALL_FAMILIES)?;
    let mut deletions = Vec::new();
    match socket.dump_each(GET, &mut |frame| deletions.extend(deletion(filter, &frame))) {
        Err(refusal) if is_unknown_subsystem(refusal.errno) => return Ok(0),
        listed => listed.context(cannot_list)?,
    }
    let count = deletions.len();
    for verdict in socket.batch(deletions) {
        match verdict {
            // The connection ended by itself before it was forgotten.
            Err(Refusal { errno: Errno::ENOENT, .. }) => {}
            verdict => verdict.context(|| "cannot forget connections".to_owned())?,
        }
    }
    Ok(count)
}

/// Connection that the kernel tracks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// Source of the answers.
    pub answering: IpAddr,
    /// Destination of the answers.
    pub answered: IpAddr,
    /// Set if an answer has come.
    pub has_answer: bool,
    /// Mark of the connection.
    pub mark: u32,
}

/// Returns the connection of packets between two addresses, with these ports, or this identifier of ICMP in
/// place of the first port; a `None` is not compared. The result is `None` if the first packet was dropped
/// before it left, or if the kernel tracks no connections: the kernel remembers a connection when its first
/// packet leaves, or arrives.
pub fn find(between: &(IpAddr, IpAddr), protocol: u8, ports: [Option<u16>; 2]) -> Result<Option<Connection>> {
    let mut socket = Nfnetlink::open(ALL_FAMILIES)?;
    let mut found = None::<Connection>;
    let listed = socket.dump_each(GET, &mut |frame| {
        let entry = attributes(frame.payload);
        let numbers = entry.nested(ORIGINAL).nested(PROTOCOL);
        let first = [SOURCE_PORT, ECHO, ECHO6].iter().find_map(|kind| numbers.bytes(*kind));
        let is_it = ends(entry, ORIGINAL).as_ref() == Some(between)
            && numbers.bytes(PROTOCOL_NUMBER) == Some(&[protocol])
            && ports[0].is_none_or(|port| is_port(first, port))
            && ports[1].is_none_or(|port| is_port(numbers.bytes(DESTINATION_PORT), port));
        // Of several connections, one with an answer counts.
        if is_it && found.as_ref().is_none_or(|found| !found.has_answer) {
            found = connection(&frame);
        }
    });
    match listed {
        Err(refusal) if is_unknown_subsystem(refusal.errno) => Ok(None),
        listed => listed.context(cannot_list).map(|()| found),
    }
}

fn cannot_list() -> String {
    "cannot list the tracked connections".to_owned()
}

/// Decodes a connection. Never inlined: its parts would be moved one by one.
#[inline(never)]
pub(crate) fn connection(frame: &Frame) -> Option<Connection> {
    /// IPS_SEEN_REPLY of linux/netfilter/nf_conntrack_common.h.
    const HAS_ANSWER: u32 = 2;
    let entry = attributes(frame.payload);
    let (answering, answered) = ends(entry, REPLY)?;
    Some(Connection {
        answering,
        answered,
        has_answer: entry.number(STATUS)? & HAS_ANSWER != 0,
        mark: entry.number(MARK).unwrap_or_default(),
    })
}

/// Returns the request that forgets the connection in a message, if the connection is chosen.
pub(crate) fn deletion(filter: &ConnectionFilter, frame: &Frame) -> Option<Message> {
    let entry = attributes(frame.payload);
    let (original, reply, mark) = (ends(entry, ORIGINAL)?, ends(entry, REPLY), entry.number(MARK));
    let is_marked = |known: &Mark| mark.is_some_and(|mark| mark & known.mask == known.value);
    // A connection that an answer of this host began has the path in its replies.
    let is_path = |path| is_on(path, entry, ORIGINAL) || is_on(path, entry, REPLY);
    let has_moved = filter.by_source.iter().any(|network| network.contains(original.0))
        || filter.by_mark.iter().any(is_marked);
    let is_chosen = has_moved && !reply.is_some_and(|(answering, _)| filter.spared.contains(&answering))
        || filter.by_path.iter().any(is_path)
        || reply.is_some_and(|reply| filter.by_lack.chooses(original, reply));
    let family = family_of(frame.payload).filter(|_| frame.kind == NEW && is_chosen)?;
    Some(request(DELETE, 0, family, &|writer| write_name(entry, writer)))
}

fn ends(entry: Attributes, direction: u16) -> Option<Ends> {
    let addresses = entry.nested(direction).nested(ADDRESSES);
    let end = |kind| address(addresses.bytes(kind).or_else(|| addresses.bytes(kind + TO_IPV6))?);
    Some((end(SOURCE)?, end(DESTINATION)?))
}

/// Reports whether packets of a UDP connection in a direction come from the address and port of a path, and
/// go to its port.
fn is_on((from, to): &(SocketAddr, u16), entry: Attributes, direction: u16) -> bool {
    let numbers = entry.nested(direction).nested(PROTOCOL);
    numbers.bytes(PROTOCOL_NUMBER) == Some(&[UDP])
        && is_port(numbers.bytes(SOURCE_PORT), from.port())
        && is_port(numbers.bytes(DESTINATION_PORT), *to)
        && ends(entry, direction).is_some_and(|(source, _)| source == from.ip())
}

fn is_port(value: Option<&[u8]>, port: u16) -> bool {
    value == Some(&port.to_be_bytes())
}

/// Writes the attributes that name a connection. The kernel finds it by its tuple and its zone; the number
/// makes sure that it is not a younger connection.
fn write_name(entry: Attributes, writer: &mut AttributeWriter) {
    for (kind, value) in entry.iter() {
        match kind {
            ORIGINAL => writer.bytes(ORIGINAL | NLA_F_NESTED, value),
            ID | ZONE => writer.bytes(kind, value),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_connections_without_their_translation_are_chosen() {
        let networks = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        let lacking = LackingTranslations {
            sources: networks(&["192.168.1.0/24"]),
            far: networks(&["10.77.2.0/24", "10.78.2.0/24"]),
            destinations: networks(&["10.78.1.0/24"]),
        };
        let chooses = |source: &str, destination: &str, answering: &str, answered: &str| {
            let [original, reply] = [[source, destination], [answering, answered]]
                .map(|[one, other]| (one.parse().unwrap(), other.parse().unwrap()));
            lacking.chooses(original, reply)
        };
        let (home, far, seen) = ("192.168.1.50", "10.78.2.50", "10.78.1.50");
        assert!(chooses(home, far, far, home));
        assert!(!chooses(home, far, far, seen), "translated");
        assert!(!chooses(home, far, far, "10.77.1.1"), "masqueraded");
        assert!(!chooses(home, "192.0.2.7", "192.0.2.7", home), "not into a tunnel");
        assert!(chooses(far, seen, seen, far));
        assert!(!chooses(far, seen, home, far), "translated");
    }
}
