//! Policy rules: rtnetlink's rule messages.

use netlink_packet_core::{DefaultNla, NLM_F_CREATE, NLM_F_EXCL, Parseable as _};
use netlink_packet_route::IpProtocol;
use netlink_packet_route::route::{RouteHeader, RouteProtocol};
use netlink_packet_route::rule::{
    RuleAction as Verb, RuleAttribute, RuleFlags, RuleHeader, RuleMessage, RulePortRange,
};
use nix::libc;

use super::message::{Decode, Message};
use super::netlink::Socket;
use super::route;
use crate::base::error::{Context, Result};
use crate::base::net::{Cidr, Family, Mark, Priority, Table};
use crate::site::facts::CatchAll;
use crate::state::{PRIORITIES, PROTOCOL, Rule, RuleAction, Selector};

/// Attribute that shows the mask of a port, which netlink-packet-route does not know (FRA_DPORT_MASK of
/// linux/fib_rules.h).
const PORT_MASK: u16 = 29;

/// Mask of a port that is compared whole.
const WHOLE_PORT: [u8; 2] = [0xff; 2];

/// Mask of a mark that is compared whole.
const WHOLE_MARK: u32 = u32::MAX;

/// Value of FRA_SUPPRESS_PREFIXLEN for "suppresses nothing", which the kernel always shows.
const NOTHING: u32 = u32::MAX;

/// Lists our rules, IPv4 and IPv6: those with our priorities that have our protocol number.
pub fn list(socket: &mut Socket) -> Result<Vec<Rule>> {
    let mut rules = Vec::new();
    for family in [Family::V4, Family::V6] {
        rules.extend(dump::<Rule>(socket, family)?);
    }
    Ok(rules)
}

fn dump<T: Decode>(socket: &mut Socket, family: Family) -> Result<Vec<T>> {
    let mut message = RuleMessage::default();
    message.header.family = route::family(family);
    let dump = socket.dump::<T>(Message::new(libc::RTM_GETRULE, &message));
    dump.context(|| "cannot list the policy rules".to_owned())
}

/// Lists the rules for IPv4 without a selector between the kernel's own first rule and our rules.
pub fn in_front(socket: &mut Socket) -> Result<Vec<CatchAll>> {
    let rules = dump::<CatchAll>(socket, Family::V4)?;
    Ok(rules.into_iter().filter(|rule| (1..*PRIORITIES.start()).contains(&rule.priority.0)).collect())
}

impl Decode for CatchAll {
    /// Returns `None` for a rule with a selector, and for a rule that only looks for some routes.
    fn decode(payload: &[u8]) -> Option<Self> {
        let RuleMessage { header, attributes, .. } = RuleMessage::parse(payload).ok()?;
        let has_selector = [header.dst_len, header.src_len, header.tos] != [0; 3]
            || header.flags.contains(RuleFlags::Invert);
        if has_selector || header.action != Verb::ToTable || route::family_of(header.family)? != Family::V4 {
            return None;
        }
        let (mut priority, mut table) = (0, u32::from(header.table));
        for attribute in attributes {
            match attribute {
                RuleAttribute::Priority(number) => priority = number,
                RuleAttribute::Table(number) => table = number,
                RuleAttribute::Protocol(_) | RuleAttribute::SuppressPrefixLen(NOTHING) => {}
                _ => return None,
            }
        }
        Some(Self { priority: Priority(priority), table: Table(table) })
    }
}

impl Decode for Rule {
    /// Returns `None` for a rule that is not ours, and for a rule with an attribute that no rule of ours
    /// has.
    fn decode(payload: &[u8]) -> Option<Self> {
        let RuleMessage { header, attributes, .. } = RuleMessage::parse(payload).ok()?;
        if header.tos != 0 || header.flags.contains(RuleFlags::Invert) {
            return None;
        }
        let mut found = RuleContent { table: header.table.into(), ..RuleContent::default() };
        for attribute in attributes {
            found.take(attribute, &header)?;
        }
        let action = match header.action {
            Verb::ToTable => RuleAction::Lookup(Table(found.table)),
            Verb::Goto => RuleAction::Goto(Priority(found.goto?)),
            Verb::Unreachable => RuleAction::Unreachable,
            _ => return None,
        };
        let mut selector = found.selector;
        // No rule of ours has one of the two without the other.
        if found.is_udp != selector.udp_port.is_some() {
            return None;
        }
        selector.mark = found.mark.map(|value| Mark { value, mask: found.mask.unwrap_or(WHOLE_MARK) });
        let family = route::family_of(header.family)?;
        let ours = PRIORITIES.contains(&found.priority);
        ours.then_some(Self { priority: Priority(found.priority), family, selector, action })
    }
}

/// Content of a rule's attributes.
#[derive(Default)]
struct RuleContent {
    priority: u32,
    table: u32,
    goto: Option<u32>,
    mark: Option<u32>,
    mask: Option<u32>,
    is_udp: bool,
    selector: Selector,
}

impl RuleContent {
    /// Adds one attribute; `None` if the attribute makes the rule one that is not ours.
    fn take(&mut self, attribute: RuleAttribute, header: &RuleHeader) -> Option<()> {
        match attribute {
            RuleAttribute::Priority(number) => self.priority = number,
            RuleAttribute::Table(number) => self.table = number,
            RuleAttribute::Goto(priority) => self.goto = Some(priority),
            RuleAttribute::FwMark(value) => self.mark = Some(value),
            RuleAttribute::FwMask(mask) => self.mask = Some(mask),
            RuleAttribute::Iifname(name) => self.selector.incoming = Some(name.parse().ok()?),
            RuleAttribute::Source(address) => self.selector.from = Some(Cidr::new(address, header.src_len)?),
            RuleAttribute::Destination(address) => {
                self.selector.to = Some(Cidr::new(address, header.dst_len)?);
            }
            RuleAttribute::IpProtocol(IpProtocol::Udp) => self.is_udp = true,
            RuleAttribute::DestinationPortRange(RulePortRange { start, end }) if start == end => {
                self.selector.udp_port = Some(start);
            }
            // Kernels since 6.15 show the mask with every port.
            RuleAttribute::Other(other) if other == DefaultNla::new(PORT_MASK, WHOLE_PORT.to_vec()) => {}
            // Kernels before 4.17 do not know the protocol, and do not show it: there only the
            // priority distinguishes our rules.
            RuleAttribute::Protocol(protocol) if u8::from(protocol) == PROTOCOL => {}
            RuleAttribute::SuppressPrefixLen(NOTHING) => {}
            // The rule is another program's, or has an attribute that no rule of ours has.
            _ => return None,
        }
        Some(())
    }
}

/// Returns the request that adds a rule.
pub fn add(rule: &Rule) -> Message {
    Message::new(libc::RTM_NEWRULE, &encode(rule)).with_flags(NLM_F_CREATE | NLM_F_EXCL)
}

/// Returns the request that removes a rule: the first of its priority that has all the selectors of this one.
pub fn remove(rule: &Rule) -> Message {
    Message::new(libc::RTM_DELRULE, &encode(rule))
}

fn encode(rule: &Rule) -> RuleMessage {
    let mut message = RuleMessage::default();
    let Selector { incoming, from, to, mark, udp_port } = &rule.selector;
    message.header.family = route::family(rule.family);
    message.header.src_len = from.map_or(0, Cidr::length);
    message.header.dst_len = to.map_or(0, Cidr::length);
    let attributes = &mut message.attributes;
    attributes.push(RuleAttribute::Priority(rule.priority.0));
    attributes.push(RuleAttribute::Protocol(RouteProtocol::from(PROTOCOL)));
    attributes.extend(incoming.as_ref().map(|name| RuleAttribute::Iifname(name.to_string())));
    attributes.extend(from.map(|network| RuleAttribute::Source(network.address())));
    attributes.extend(to.map(|network| RuleAttribute::Destination(network.address())));
    attributes.extend(
        mark.iter().flat_map(|mark| [RuleAttribute::FwMark(mark.value), RuleAttribute::FwMask(mark.mask)]),
    );
    attributes.extend(udp_port.iter().flat_map(|port| {
        let range = RulePortRange { start: *port, end: *port };
        [RuleAttribute::IpProtocol(IpProtocol::Udp), RuleAttribute::DestinationPortRange(range)]
    }));
    match rule.action {
        RuleAction::Lookup(table) => {
            message.header.action = Verb::ToTable;
            message.header.table = u8::try_from(table.0).unwrap_or(RouteHeader::RT_TABLE_UNSPEC);
            attributes.push(RuleAttribute::Table(table.0));
        }
        RuleAction::Goto(priority) => {
            message.header.action = Verb::Goto;
            attributes.push(RuleAttribute::Goto(priority.0));
        }
        RuleAction::Unreachable => message.header.action = Verb::Unreachable,
    }
    message
}
