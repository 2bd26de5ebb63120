//! Reports of the kernel about traced packets: NFTA_TRACE_* of linux/netfilter/nf_tables.h, written by
//! `nft_trace_notify` in net/netfilter/nf_tables_trace.c.

use std::net::IpAddr;

use nix::libc;

use super::super::call;
use super::hook_of;
use crate::kernel::attributes::{Attributes, address};
use crate::kernel::constant::of_8_bits;
use crate::kernel::netlink::Frame;
use crate::kernel::nfnetlink::{attributes, family_of};

const TABLE: u16 = 1;
const CHAIN: u16 = 2;
const RULE_HANDLE: u16 = 3;
const TYPE: u16 = 4;
const VERDICT: u16 = 5;
const ID: u16 = 6;
const NETWORK_HEADER: u16 = 8;
const TRANSPORT_HEADER: u16 = 9;
const INCOMING: u16 = 10;
const OUTGOING: u16 = 12;
const MARK: u16 = 14;
const POLICY: u16 = 16;

/// NFTA_VERDICT_CODE and NFTA_VERDICT_CHAIN.
const VERDICT_CODE: u16 = 1;
const VERDICT_CHAIN: u16 = 2;

/// Lower half of a verdict: NF_VERDICT_MASK. Newer kernels keep the reason of a drop in the upper half.
const VERDICT_MASK: u32 = 0xff;

/// Kind of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventKind {
    /// The packet met a rule, and goes on with the next one.
    Met,
    /// The packet goes on in another chain.
    Jump(String),
    /// The packet has passed the base chain.
    Accept,
    /// The packet was dropped.
    Drop,
    /// The packet goes back to the calling chain.
    Return,
    /// The packet was handed to a program, or to the kernel's own handling of the protocol.
    Taken,
}

/// Report about one packet: it met a rule, or the end of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceEvent {
    /// Number that all reports about a packet share. The kernel uses it again later.
    pub id: u32,
    /// Family of the table: NFPROTO_*.
    pub family: u8,
    /// Name of the table.
    pub table: String,
    /// Name of the chain.
    pub chain: String,
    /// Hook of the chain (NF_INET_* of linux/netfilter.h), if it is a base chain.
    pub hook: Option<u32>,
    /// Number of the rule; `None` at the end of a chain.
    pub rule: Option<u64>,
    /// Effect on the packet.
    pub kind: EventKind,
    /// Mark of the packet behind the rule.
    pub mark: u32,
    /// Number of the interface that the packet came in on.
    pub incoming: Option<u32>,
    /// Number of the interface that the packet goes out on.
    pub outgoing: Option<u32>,
    /// Source and destination. Only the first report from each base chain has it.
    pub addresses: Option<(IpAddr, IpAddr)>,
    /// First bytes of TCP, UDP or ICMP: ports, or type and code, checksum, identifier and sequence number.
    pub transport: Option<[u8; 8]>,
}

/// Decodes a report, with the listing of all chains; `None` for any other message. Never inlined: the parts
/// of the report would be moved one by one.
#[inline(never)]
pub(crate) fn decode(frame: &Frame, chains: &[u8]) -> Option<TraceEvent> {
    if frame.kind != call::TRACE {
        return None;
    }
    let attributes = attributes(frame.payload);
    let (table, chain) = (attributes.text(TABLE)?, attributes.text(CHAIN)?);
    let (id, report) = (attributes.number(ID)?, attributes.number(TYPE)?);
    let verdict = attributes.nested(VERDICT);
    let code = attributes.number(POLICY).or_else(|| verdict.number(VERDICT_CODE))?;
    let family = family_of(frame.payload)?;
    Some(TraceEvent {
        id,
        family,
        hook: hook_of(chains, family, table, chain),
        table: table.to_owned(),
        chain: chain.to_owned(),
        rule: attributes.bytes(RULE_HANDLE).and_then(|bytes| Some(u64::from_be_bytes(*bytes.as_array()?))),
        kind: kind(report, code, verdict),
        mark: attributes.number(MARK).unwrap_or_default(),
        incoming: attributes.number(INCOMING),
        outgoing: attributes.number(OUTGOING),
        addresses: attributes.bytes(NETWORK_HEADER).and_then(addresses),
        transport: attributes.bytes(TRANSPORT_HEADER).and_then(|bytes| bytes.first_chunk().copied()),
    })
}

fn kind(report: u32, code: u32, verdict: Attributes) -> EventKind {
    /// NFT_TRACETYPE_RETURN.
    const RETURN: u32 = 2;
    match code.cast_signed() {
        libc::NFT_JUMP | libc::NFT_GOTO => {
            EventKind::Jump(verdict.text(VERDICT_CHAIN).unwrap_or_default().to_owned())
        }
        libc::NFT_RETURN => EventKind::Return,
        libc::NFT_CONTINUE if report == RETURN => EventKind::Return,
        libc::NFT_CONTINUE => EventKind::Met,
        _ => match (code & VERDICT_MASK).cast_signed() {
            libc::NF_DROP => EventKind::Drop,
            libc::NF_ACCEPT => EventKind::Accept,
            _ => EventKind::Taken,
        },
    }
}

/// Returns source and destination of an IPv4 or IPv6 header. Never inlined, like [`decode`].
#[inline(never)]
fn addresses(header: &[u8]) -> Option<(IpAddr, IpAddr)> {
    let (from, to) = match header.first()? >> 4 {
        4 => header.get(12..20)?.split_at(4),
        6 => header.get(8..40)?.split_at(16),
        _ => return None,
    };
    Some((address(from)?, address(to)?))
}

/// NFPROTO_* of tables for IPv4, IPv6 and both, with the words of nft.
pub(super) const FAMILIES: [(u8, &str); 3] = [
    (of_8_bits(libc::NFPROTO_IPV4), "ip"),
    (of_8_bits(libc::NFPROTO_IPV6), "ip6"),
    (of_8_bits(libc::NFPROTO_INET), "inet"),
];

impl TraceEvent {
    /// Returns the words by which nft names the chain: `inet`, `fw4` and `forward`.
    pub fn place(&self) -> [&str; 3] {
        let family = FAMILIES.iter().find(|(number, _)| *number == self.family).map_or("", |(_, word)| word);
        [family, &self.table, &self.chain]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::attributes::AttributeWriter;
    use crate::kernel::netlink::frames;

    /// A report as the kernel writes it, with its header of netlink.
    fn report(body: &dyn Fn(&mut AttributeWriter)) -> Vec<u8> {
        let mut writer = AttributeWriter::behind(&[of_8_bits(libc::NFPROTO_INET), 0, 0, 0]);
        writer.number(ID, 0x1234_5678);
        writer.text(TABLE, "fw4");
        writer.text(CHAIN, "forward");
        body(&mut writer);
        let payload = writer.finish();
        let length = u32::try_from(16 + payload.len()).unwrap();
        let mut bytes = length.to_ne_bytes().to_vec();
        bytes.extend(call::TRACE.to_ne_bytes());
        bytes.extend([0; 10]);
        [bytes, payload].concat()
    }

    fn dropped() -> Vec<u8> {
        report(&|writer| {
            writer.number(TYPE, 3);
            writer.bytes(RULE_HANDLE, &7_u64.to_be_bytes());
            // SKB_DROP_REASON_NETFILTER_DROP in the upper half.
            writer.nest(VERDICT, |writer| writer.number(VERDICT_CODE, 0x0008_0000));
            writer.number(INCOMING, 3);
            writer.number(OUTGOING, 2);
            let header = [0x45, 0, 0, 28, 0, 1, 0, 0, 64, 1, 0, 0, 192, 168, 1, 50, 1, 1, 1, 1];
            writer.bytes(NETWORK_HEADER, &header);
            writer.bytes(TRANSPORT_HEADER, &[8, 0, 1, 2, 3, 4, 5, 6]);
            writer.number(MARK, 0x8100_0000);
        })
    }

    #[test]
    fn a_drop_by_a_rule_is_decoded() {
        let bytes = dropped();
        let event = decode(&frames(&bytes).next().unwrap(), &[]).unwrap();
        assert_eq!(event.place(), ["inet", "fw4", "forward"]);
        assert_eq!((event.id, event.rule, event.kind.clone()), (0x1234_5678, Some(7), EventKind::Drop));
        assert_eq!((event.incoming, event.outgoing, event.mark), (Some(3), Some(2), 0x8100_0000));
        let addresses = event.addresses.unwrap();
        assert_eq!(addresses, ([192, 168, 1, 50].into(), [1, 1, 1, 1].into()));
        assert_eq!(event.transport, Some([8, 0, 1, 2, 3, 4, 5, 6]));
    }

    #[test]
    fn policies_jumps_and_returns_are_told_apart() {
        let kind_of = |report: &[u8]| decode(&frames(report).next().unwrap(), &[]).map(|event| event.kind);
        let verdict = |kind: u32, code: i32| {
            report(&|writer| {
                writer.number(TYPE, kind);
                writer.nest(VERDICT, |writer| {
                    writer.number(VERDICT_CODE, code.cast_unsigned());
                    writer.text(VERDICT_CHAIN, "zone");
                });
            })
        };
        assert_eq!(kind_of(&verdict(3, libc::NFT_JUMP)), Some(EventKind::Jump("zone".to_owned())));
        assert_eq!(kind_of(&verdict(3, libc::NFT_CONTINUE)), Some(EventKind::Met));
        assert_eq!(kind_of(&verdict(2, libc::NFT_CONTINUE)), Some(EventKind::Return));
        assert_eq!(kind_of(&verdict(3, libc::NF_ACCEPT)), Some(EventKind::Accept));
        let policy = report(&|writer| {
            writer.number(TYPE, 1);
            writer.number(POLICY, 0);
        });
        assert_eq!(kind_of(&policy), Some(EventKind::Drop));
        assert_eq!(kind_of(&report(&|writer| writer.number(TYPE, 3))), None, "without a verdict");
    }

    #[test]
    fn hostile_bytes_are_no_fault() {
        let bytes = dropped();
        for length in 0..bytes.len() {
            let mut cut = bytes[..length].to_vec();
            if let Some(place) = cut.first_chunk_mut::<4>() {
                *place = u32::try_from(length).unwrap().to_ne_bytes();
            }
            let _ = frames(&cut).next().and_then(|frame| decode(&frame, &[]));
        }
        for place in 16..bytes.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut changed = bytes.clone();
                changed[place] = value;
                let _ = frames(&changed).next().and_then(|frame| decode(&frame, &[]));
            }
        }
    }
}
