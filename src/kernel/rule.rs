//! Policy rules: rtnetlink's rule messages.

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NetlinkMessage};
use netlink_packet_route::IpProtocol;
use netlink_packet_route::route::{RouteHeader, RouteProtocol};
use netlink_packet_route::rule::{RuleAction as Verb, RuleAttribute, RuleMessage, RulePortRange};
use nix::libc;

use super::attributes::{self, Attributes, native_number, text_before_zero};
use super::message::{Decode, Message};
use super::netlink::{Socket, request};
use super::route;
use crate::base::error::{Context, Result};
use crate::base::net::{Cidr, Family, Mark, Priority, Table};
use crate::site::facts::CatchAll;
use crate::state::{PRIORITIES, PROTOCOL, Rule, RuleAction, Selector};

/// Bytes in front of a rule's attributes: `struct fib_rule_hdr` of linux/fib_rules.h, with the flags at 8.
const HEADER: usize = 12;

/// FIB_RULE_INVERT
const INVERTED: u32 = 2;

/// FRA_* of linux/fib_rules.h, less the prefix.
mod kind {
    pub(super) const DST: u16 = 1;
    pub(super) const SRC: u16 = 2;
    pub(super) const IIFNAME: u16 = 3;
    pub(super) const GOTO: u16 = 4;
    pub(super) const PRIORITY: u16 = 6;
    pub(super) const FWMARK: u16 = 10;
    pub(super) const SUPPRESS_PREFIXLEN: u16 = 14;
    pub(super) const TABLE: u16 = 15;
    pub(super) const FWMASK: u16 = 16;
    pub(super) const PROTOCOL: u16 = 21;
    pub(super) const IP_PROTO: u16 = 22;
    pub(super) const DPORT_RANGE: u16 = 24;
    pub(super) const DPORT_MASK: u16 = 29;
}

/// IPPROTO_UDP
const UDP: u8 = 17;

/// The mask of a mark that is compared whole.
const WHOLE: u32 = u32::MAX;

/// Our rules, IPv4 and IPv6: in our band of priorities and of our protocol number.
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

/// Lists rules for IPv4 without a selector between the kernel's own first rule and ours.
pub fn in_front(socket: &mut Socket) -> Result<Vec<CatchAll>> {
    let rules = dump::<CatchAll>(socket, Family::V4)?;
    Ok(rules.into_iter().filter(|rule| (1..*PRIORITIES.start()).contains(&rule.priority.0)).collect())
}

/// `None` for a rule that asks for anything, and for one that only looks for some routes.
impl Decode for CatchAll {
    fn decode(payload: &[u8]) -> Option<Self> {
        let (header, attributes) = payload.split_at_checked(HEADER)?;
        let [family, to_length, from_length, service, table, _, _, verb] = *header.first_chunk()?;
        let asks =
            [to_length, from_length, service] != [0; 3] || native_number(&header[8..])? & INVERTED != 0;
        if asks || Verb::from(verb) != Verb::ToTable {
            return None;
        }
        let (mut priority, mut table) = (0, u32::from(table));
        for (attribute, value) in Attributes::of(attributes).iter() {
            match attribute {
                kind::PRIORITY => priority = native_number(value)?,
                kind::TABLE => table = native_number(value)?,
                kind::PROTOCOL => {}
                kind::SUPPRESS_PREFIXLEN if native_number(value)? == u32::MAX => {}
                _ => return None,
            }
        }
        let is_ipv4 = route::read_family(family)? == Family::V4;
        is_ipv4.then_some(Self { priority: Priority(priority), table: Table(table) })
    }
}

/// `None` for a rule that is not ours, as well as for one that says what no rule of ours can say.
impl Decode for Rule {
    fn decode(payload: &[u8]) -> Option<Self> {
        let (header, attributes) = payload.split_at_checked(HEADER)?;
        let [family, to_length, from_length, service, table, _, _, verb] = *header.first_chunk()?;
        if service != 0 || native_number(&header[8..])? & INVERTED != 0 {
            return None;
        }
        let mut found = Found { table: u32::from(table), ..Found::default() };
        for (attribute, value) in Attributes::of(attributes).iter() {
            found.take(attribute, value, from_length, to_length)?;
        }
        let action = match Verb::from(verb) {
            Verb::ToTable => RuleAction::Lookup(Table(found.table)),
            Verb::Goto => RuleAction::Goto(Priority(found.goto?)),
            Verb::Unreachable => RuleAction::Unreachable,
            _ => return None,
        };
        let mut selector = found.selector;
        // One without the other is none of ours.
        if found.is_udp != selector.udp_port.is_some() {
            return None;
        }
        selector.mark = found.mark.map(|value| Mark { value, mask: found.mask.unwrap_or(WHOLE) });
        let family = route::read_family(family)?;
        let ours = PRIORITIES.contains(&found.priority);
        ours.then_some(Self { priority: Priority(found.priority), family, selector, action })
    }
}

/// What the attributes of a rule say.
#[derive(Default)]
struct Found {
    priority: u32,
    table: u32,
    goto: Option<u32>,
    mark: Option<u32>,
    mask: Option<u32>,
    is_udp: bool,
    selector: Selector,
}

impl Found {
    /// Takes in one attribute; `None` if it makes the rule one that is not ours.
    fn take(&mut self, attribute: u16, value: &[u8], from_length: u8, to_length: u8) -> Option<()> {
        let network = |length| Cidr::new(attributes::address(value)?, length);
        match attribute {
            kind::PRIORITY => self.priority = native_number(value)?,
            kind::TABLE => self.table = native_number(value)?,
            kind::GOTO => self.goto = Some(native_number(value)?),
            kind::FWMARK => self.mark = Some(native_number(value)?),
            kind::FWMASK => self.mask = Some(native_number(value)?),
            kind::IIFNAME => self.selector.incoming = Some(text_before_zero(value).parse().ok()?),
            kind::SRC => self.selector.from = Some(network(from_length)?),
            kind::DST => self.selector.to = Some(network(to_length)?),
            kind::IP_PROTO if value == [UDP] => self.is_udp = true,
            kind::DPORT_RANGE => self.selector.udp_port = Some(one_port(value)?),
            // Kernels since 6.15 show it with every port.
            kind::DPORT_MASK if value == [0xff; 2] => {}
            // Kernels before 4.17 do not know the attribute, and do not show it: there the band alone tells.
            kind::PROTOCOL if value == [PROTOCOL] => {}
            // The kernel shows it always; this value stands for "suppresses nothing".
            kind::SUPPRESS_PREFIXLEN if native_number(value)? == u32::MAX => {}
            // Somebody else's, or something that no rule of ours has.
            _ => return None,
        }
        Some(())
    }
}

/// A `struct fib_rule_port_range` that holds one port: first and last.
fn one_port(value: &[u8]) -> Option<u16> {
    let [first @ .., a, b] = *value.first_chunk::<4>()?;
    (first == [a, b]).then_some(u16::from_ne_bytes(first))
}

/// Adds a rule.
pub fn add(rule: &Rule) -> NetlinkMessage<Message> {
    request(Message::new(libc::RTM_NEWRULE, &encode(rule)), NLM_F_CREATE | NLM_F_EXCL)
}

/// Removes a rule: the first one of its priority that has all that this one says.
pub fn remove(rule: &Rule) -> NetlinkMessage<Message> {
    request(Message::new(libc::RTM_DELRULE, &encode(rule)), 0)
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
