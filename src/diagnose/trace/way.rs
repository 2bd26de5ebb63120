//! The way of one packet through the hooks of netfilter, from the kernel's reports. Pure.

use std::net::IpAddr;

use crate::kernel::inject::{ICMP, ICMPV6};
use crate::kernel::nftables::trace::{ARRIVED, EventKind, LEFT, TRACE_TABLE, TraceEvent};

/// Names of the hooks, by number: NF_INET_* of linux/netfilter.h.
pub(super) const HOOKS: [&str; 5] = ["prerouting", "input", "forward", "output", "postrouting"];

/// Numbers of the hooks.
pub(super) const PREROUTING: usize = 0;
pub(super) const INPUT: usize = 1;
pub(super) const FORWARD: usize = 2;
pub(super) const OUTPUT: usize = 3;
pub(super) const POSTROUTING: usize = 4;

/// Way of a packet, as far as the kernel reported it.
#[derive(Debug, Default)]
pub(super) struct Way<'a> {
    /// Reports about the packet, in order, each with its hook.
    pub(super) events: Vec<(&'a TraceEvent, usize)>,
}

/// Properties that tell the packets of a flow from others.
#[derive(Debug, Clone)]
pub(super) struct PacketMark {
    /// Source and destination.
    pub(super) addresses: (IpAddr, IpAddr),
    /// Number of the protocol (IPPROTO_*).
    pub(super) protocol: u8,
    /// Source and destination port, or the identifier of ICMP; a `None` is not compared.
    pub(super) ports: [Option<u16>; 2],
}

impl PacketMark {
    /// Reports whether a report is about a packet of the flow.
    fn is_of(&self, event: &TraceEvent) -> bool {
        let numbers = event.transport.map(|transport| numbers(self.protocol, transport));
        let is_same = |index: usize| {
            self.ports[index].is_none_or(|port| numbers.is_none_or(|numbers| numbers[index] == port))
        };
        event.addresses == Some(self.addresses) && is_same(0) && is_same(1)
    }
}

/// Returns both ports from the first bytes of TCP or UDP, or the identifier of an echo request.
pub(super) fn numbers(protocol: u8, transport: [u8; 8]) -> [u16; 2] {
    let number = |index: usize| u16::from_be_bytes([transport[index], transport[index + 1]]);
    match protocol {
        ICMP | ICMPV6 => [number(4), 0],
        _ => [number(0), number(2)],
    }
}

impl<'a> Way<'a> {
    /// Returns the way of the first packet of a flow in `events`.
    pub(super) fn of(mark: &PacketMark, events: &'a [TraceEvent]) -> Self {
        let mut way = Self::default();
        let (mut id, mut hook) = (None, 0);
        for event in events {
            if id.is_none() && mark.is_of(event) {
                id = Some(event.id);
            }
            if id != Some(event.id) {
                continue;
            }
            hook = event.hook.map_or(hook, |hook| hook as usize);
            way.events.push((event, hook));
            // The kernel gives the number to other packets later.
            if way.is_over() {
                break;
            }
        }
        way
    }

    /// Reports whether the packet has left, has arrived, or was dropped by a chain.
    pub(super) fn is_over(&self) -> bool {
        self.ends_in(&[LEFT, ARRIVED]) || self.drop().is_some()
    }

    /// Reports whether the packet arrived at this host.
    pub(super) fn has_arrived(&self) -> bool {
        self.ends_in(&[ARRIVED])
    }

    /// Reports whether the last report is from one of these chains of the temporary table.
    fn ends_in(&self, chains: &[&str]) -> bool {
        self.events
            .last()
            .is_some_and(|(event, _)| event.table == TRACE_TABLE && chains.contains(&event.chain.as_str()))
    }

    /// Returns the hook in which a chain dropped the packet.
    pub(super) fn drop(&self) -> Option<usize> {
        let (event, hook) = self.events.last()?;
        (event.kind == EventKind::Drop).then_some(*hook)
    }

    /// Returns the hook that the packet came to last.
    pub(super) fn last_hook(&self) -> Option<usize> {
        self.events.last().map(|(_, hook)| *hook)
    }

    /// Reports whether the packet came to a hook.
    pub(super) fn reached(&self, hook: usize) -> bool {
        self.events.iter().any(|(_, of)| *of == hook)
    }

    /// Returns the hook in which the reports end although the packet was neither dropped by a chain nor gone
    /// on; `None` if they end behind a hook.
    pub(super) fn lost_in(&self) -> Option<usize> {
        let is_lost = !self.is_over() && !self.ends_in(&["entered", "forwarded", "sent"]);
        self.events.last().filter(|_| is_lost).map(|(_, hook)| *hook)
    }

    /// Returns the reports of a hook that say something: not those of the temporary table, and not those of
    /// leaving packets that only get a mark.
    pub(super) fn telling(&self, hook: usize) -> Vec<&'a TraceEvent> {
        let mut telling = Vec::new();
        for (event, of) in &self.events {
            let says = match event.kind {
                EventKind::Return => false,
                EventKind::Drop => true,
                EventKind::Met => event.rule.is_some() && hook != POSTROUTING,
                _ => event.rule.is_some(),
            };
            if *of == hook && event.table != TRACE_TABLE && says {
                telling.push(*event);
            }
        }
        telling
    }

    /// Returns the mark of the packet when its route was chosen.
    pub(super) fn mark(&self) -> u32 {
        let mut mark = 0;
        for (event, hook) in &self.events {
            if matches!(*hook, PREROUTING | OUTPUT) {
                mark = event.mark;
            }
        }
        mark
    }

    /// Returns the number of the interface that the packet goes out on.
    pub(super) fn outgoing(&self) -> Option<u32> {
        self.events.iter().rev().find_map(|(event, _)| event.outgoing)
    }

    /// Returns the number of the interface that the packet came in on.
    pub(super) fn incoming(&self) -> Option<u32> {
        self.events.iter().find_map(|(event, _)| event.incoming)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const INET: u8 = 1;

    /// Base chains with their hooks.
    const BASES: [(&str, u32); 7] = [
        ("portals-trace enters", 0),
        ("portals-trace entered", 0),
        ("portals marks", 0),
        ("portals-trace forwards", 2),
        ("fw4 forward", 2),
        ("portals-trace forwarded", 2),
        ("portals-trace left", 4),
    ];

    pub(in super::super) fn event(place: &str, kind: EventKind) -> TraceEvent {
        let (table, chain) = place.split_once(' ').unwrap();
        let is_policy = table == TRACE_TABLE;
        TraceEvent {
            id: 7,
            family: INET,
            table: table.to_owned(),
            chain: chain.to_owned(),
            hook: BASES.iter().find(|(base, _)| *base == place).map(|(_, hook)| *hook),
            rule: (!is_policy).then_some(3),
            kind,
            mark: if table == "portals" { 0x8100_0000 } else { 0 },
            incoming: Some(2),
            outgoing: None,
            addresses: Some(ends()),
            transport: Some([8, 0, 1, 2, 0x12, 0x34, 0, 1]),
        }
    }

    pub(in super::super) fn ends() -> (IpAddr, IpAddr) {
        ([192, 168, 1, 50].into(), [1, 1, 1, 1].into())
    }

    fn mark() -> PacketMark {
        PacketMark { addresses: ends(), protocol: ICMP, ports: [Some(0x1234), None] }
    }

    fn way(events: &[TraceEvent]) -> Way<'_> {
        Way::of(&mark(), events)
    }

    #[test]
    fn a_packet_is_followed_through_chains_to_its_drop() {
        let jump = EventKind::Jump("zone".to_owned());
        let events = [
            event("portals-trace enters", EventKind::Accept),
            event("portals marks", EventKind::Met),
            TraceEvent { id: 8, ..event("fw4 forward", EventKind::Drop) },
            event("portals-trace entered", EventKind::Accept),
            event("portals-trace forwards", EventKind::Accept),
            event("fw4 forward", jump),
            event("fw4 zone", EventKind::Drop),
            event("portals-trace enters", EventKind::Accept),
        ];
        let way = way(&events);
        assert_eq!(way.events.iter().map(|(_, hook)| *hook).collect::<Vec<_>>(), [0, 0, 0, 2, 2, 2]);
        let (dropped, _) = way.events.last().unwrap();
        assert_eq!((dropped.chain.as_str(), way.drop(), way.lost_in()), ("zone", Some(2), None));
        assert_eq!(way.telling(2).len(), 2);
        assert!(!way.ends_in(&[LEFT]) && way.is_over() && way.reached(2) && !way.reached(4));
    }

    #[test]
    fn a_packet_that_vanishes_inside_a_hook_is_lost_there() {
        let inside = [
            event("portals-trace enters", EventKind::Accept),
            event("portals-trace entered", EventKind::Accept),
            event("portals-trace forwards", EventKind::Accept),
        ];
        assert_eq!(way(&inside).lost_in(), Some(2));
        assert_eq!(way(&inside[..2]).lost_in(), None, "at the routing decision");
        assert_eq!(way(&inside[..1]).lost_in(), Some(0));
    }

    #[test]
    fn packets_of_other_flows_are_told_apart() {
        let passes = |change: &dyn Fn(&mut TraceEvent)| {
            let mut event = event("portals-trace enters", EventKind::Accept);
            change(&mut event);
            !way(&[event]).events.is_empty()
        };
        assert!(passes(&|_| ()));
        assert!(!passes(&|event| event.transport = Some([8, 0, 1, 2, 0x12, 0x35, 0, 1])));
        assert!(!passes(&|event| event.addresses = Some((ends().1, ends().0))));
        assert!(!passes(&|event| event.addresses = None));
    }

    #[test]
    fn the_mark_is_that_of_the_routing_decision() {
        let events =
            [event("portals marks", EventKind::Met), event("portals-trace forwards", EventKind::Accept)];
        assert_eq!(way(&events).mark(), 0x8100_0000);
    }
}
