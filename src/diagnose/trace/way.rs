//! The way of one packet through the hooks of netfilter, from the kernel's reports. Pure.

use std::net::IpAddr;

use crate::kernel::inject::{ICMP, ICMPV6};
use crate::kernel::nftables::trace::{ARRIVED, BaseChain, EventKind, LEFT, TRACE_TABLE, TraceEvent};

/// Names of the hooks, by number: NF_INET_* of linux/netfilter.h.
pub(super) const HOOKS: [&str; 5] = ["prerouting", "input", "forward", "output", "postrouting"];

/// Numbers of the hooks.
pub(super) const PREROUTING: usize = 0;
pub(super) const INPUT: usize = 1;
pub(super) const FORWARD: usize = 2;
pub(super) const OUTPUT: usize = 3;
pub(super) const POSTROUTING: usize = 4;

/// Way of a packet, as far as the kernel reported it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Way {
    /// Reports about the packet, in order.
    pub(super) events: Vec<TraceEvent>,
    /// Hook of each report.
    pub(super) hooks: Vec<usize>,
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

impl Way {
    /// Returns the way of the first packet of a flow in `events`.
    pub(super) fn of(mark: &PacketMark, events: &[TraceEvent], bases: &[BaseChain]) -> Self {
        let mut way = Self::default();
        let Some(first) = events.iter().position(|event| mark.is_of(event)) else { return way };
        let mut hook = 0;
        for event in events[first..].iter().filter(|event| event.id == events[first].id) {
            let is_base = |base: &&BaseChain| {
                (base.family, &base.table, &base.name) == (event.family, &event.table, &event.chain)
            };
            if let Some(base) = bases.iter().find(is_base) {
                hook = base.hook as usize;
            }
            way.events.push(event.clone());
            way.hooks.push(hook);
            // The kernel gives the number to other packets later.
            if way.is_over() {
                break;
            }
        }
        way
    }

    /// Reports whether the packet has left, has arrived, or was dropped by a chain.
    pub(super) fn is_over(&self) -> bool {
        self.has_left() || self.has_arrived() || self.drop().is_some()
    }

    /// Reports whether the packet left this host.
    pub(super) fn has_left(&self) -> bool {
        self.ends_in(LEFT)
    }

    /// Reports whether the packet arrived at this host.
    pub(super) fn has_arrived(&self) -> bool {
        self.ends_in(ARRIVED)
    }

    fn ends_in(&self, chain: &str) -> bool {
        self.events.last().is_some_and(|event| event.table == TRACE_TABLE && event.chain == chain)
    }

    /// Returns the report of the drop, with its hook.
    pub(super) fn drop(&self) -> Option<(&TraceEvent, usize)> {
        let (event, hook) = (self.events.last()?, *self.hooks.last()?);
        (event.kind == EventKind::Drop).then_some((event, hook))
    }

    /// Reports whether the packet came to a hook.
    pub(super) fn reached(&self, hook: usize) -> bool {
        self.hooks.contains(&hook)
    }

    /// Returns the hook in which the reports end although the packet was neither dropped by a chain nor gone
    /// on; `None` if they end behind a hook.
    pub(super) fn lost_in(&self) -> Option<usize> {
        let last = self.events.last().filter(|_| !self.is_over())?;
        let is_end =
            last.table == TRACE_TABLE && matches!(last.chain.as_str(), "entered" | "forwarded" | "sent");
        if is_end { None } else { self.hooks.last().copied() }
    }

    /// Returns the reports of a hook that say something: not those of the temporary table, and not those of
    /// leaving packets that only get a mark.
    pub(super) fn telling(&self, hook: usize) -> Vec<&TraceEvent> {
        let mut telling = Vec::new();
        for (event, of) in self.events.iter().zip(&self.hooks) {
            let says = match event.kind {
                EventKind::Return => false,
                EventKind::Drop => true,
                EventKind::Met => event.rule.is_some() && *of != POSTROUTING,
                _ => event.rule.is_some(),
            };
            if *of == hook && event.table != TRACE_TABLE && says {
                telling.push(event);
            }
        }
        telling
    }

    /// Returns the mark of the packet when its route was chosen.
    pub(super) fn mark(&self) -> u32 {
        let routed = |(_, hook): &(&TraceEvent, &usize)| matches!(**hook, PREROUTING | OUTPUT);
        let mut marks = self.events.iter().zip(&self.hooks).filter(routed);
        marks.next_back().map_or(0, |(event, _)| event.mark)
    }

    /// Returns the number of the interface that the packet goes out on.
    pub(super) fn outgoing(&self) -> Option<u32> {
        self.events.iter().rev().find_map(|event| event.outgoing)
    }

    /// Returns the number of the interface that the packet came in on.
    pub(super) fn incoming(&self) -> Option<u32> {
        self.events.iter().find_map(|event| event.incoming)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const INET: u8 = 1;

    pub(in super::super) fn bases() -> Vec<BaseChain> {
        let base = |table: &str, name: &str, hook| BaseChain {
            family: INET,
            table: table.to_owned(),
            name: name.to_owned(),
            hook,
            kind: "filter".to_owned(),
        };
        vec![
            base(TRACE_TABLE, "enters", 0),
            base(TRACE_TABLE, "entered", 0),
            base("portals", "marks", 0),
            base(TRACE_TABLE, "forwards", 2),
            base("fw4", "forward", 2),
            base(TRACE_TABLE, "forwarded", 2),
            base(TRACE_TABLE, LEFT, 4),
        ]
    }

    pub(in super::super) fn event(place: &str, kind: EventKind) -> TraceEvent {
        let (table, chain) = place.split_once(' ').unwrap();
        let is_policy = table == TRACE_TABLE;
        TraceEvent {
            id: 7,
            family: INET,
            table: table.to_owned(),
            chain: chain.to_owned(),
            rule: (!is_policy).then_some(3),
            is_policy,
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

    fn way(events: &[TraceEvent]) -> Way {
        Way::of(&mark(), events, &bases())
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
        assert_eq!(way.hooks, [0, 0, 0, 2, 2, 2]);
        let (dropped, hook) = way.drop().unwrap();
        assert_eq!((dropped.chain.as_str(), hook, way.lost_in()), ("zone", 2, None));
        assert_eq!(way.telling(2).len(), 2);
        assert!(!way.has_left() && way.is_over() && way.reached(2) && !way.reached(4));
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
