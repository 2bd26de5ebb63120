//! Policy rules: rtnetlink's rule messages.

use netlink_packet_core::NLM_F_CREATE;
use nix::libc;

use super::attributes::{native_number, text_before_zero};
use super::constant::of_8_bits;
use super::message::{Decode, Message};
use super::netlink::Socket;
use super::rtnetlink::{Request, RoutingHeader, address_of, short_table};
use crate::base::error::{Context, Result};
use crate::base::net::{Cidr, Family, IfName, Mark, Priority, Table};
use crate::site::facts::CatchAll;
use crate::state::{PRIORITIES, PROTOCOL, Rule, RuleAction, Selector};

/// Attributes of a rule (FRA_* of linux/fib_rules.h).
pub(crate) mod attribute {
    pub(crate) const DESTINATION: u16 = 1;
    pub(crate) const SOURCE: u16 = 2;
    /// Interface through which the packet came in (FRA_IIFNAME).
    pub(crate) const INCOMING: u16 = 3;
    pub(crate) const GOTO: u16 = 4;
    pub(crate) const PRIORITY: u16 = 6;
    pub(crate) const MARK: u16 = 10;
    pub(crate) const SUPPRESS_PREFIX_LENGTH: u16 = 14;
    pub(crate) const TABLE: u16 = 15;
    pub(crate) const MARK_MASK: u16 = 16;
    /// Number of the program that made the rule (FRA_PROTOCOL).
    pub(crate) const PROTOCOL: u16 = 21;
    /// Protocol of the packet (FRA_IP_PROTO).
    pub(crate) const IP_PROTOCOL: u16 = 22;
    pub(crate) const DESTINATION_PORTS: u16 = 24;
    pub(crate) const DESTINATION_PORT_MASK: u16 = 29;
}

/// Actions of a rule (FR_ACT_* of linux/fib_rules.h).
pub(crate) mod action {
    pub(crate) const LOOKUP: u8 = 1;
    pub(crate) const GOTO: u8 = 2;
    pub(crate) const BLACKHOLE: u8 = 6;
    pub(crate) const UNREACHABLE: u8 = 7;
    pub(crate) const PROHIBIT: u8 = 8;
}

/// Flag of a rule that selects the packets that do not meet its conditions (FIB_RULE_INVERT of
/// linux/fib_rules.h).
const INVERT: u32 = 2;

const UDP: u8 = of_8_bits(libc::IPPROTO_UDP);

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
    let filter = RoutingHeader { family: Some(family), ..RoutingHeader::default() };
    let dump = socket.dump::<T>(filter.request().message(libc::RTM_GETRULE));
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
        let (header, attributes) = RoutingHeader::split(payload)?;
        let has_selector = [header.destination_length, header.source_length, header.tos] != [0; 3]
            || header.flags & INVERT != 0;
        if has_selector || header.kind != action::LOOKUP || header.family? != Family::V4 {
            return None;
        }
        let (mut priority, mut table) = (0, u32::from(header.table));
        for (attribute, value) in attributes.iter() {
            match attribute {
                attribute::PRIORITY => priority = native_number(value)?,
                attribute::TABLE => table = native_number(value)?,
                attribute::PROTOCOL => {}
                attribute::SUPPRESS_PREFIX_LENGTH if native_number(value)? == NOTHING => {}
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
        let (header, attributes) = RoutingHeader::split(payload)?;
        let family = header.family?;
        if header.tos != 0 || header.flags & INVERT != 0 {
            return None;
        }
        let mut found = RuleContent { table: header.table.into(), ..RuleContent::default() };
        for (attribute, value) in attributes.iter() {
            found.take(attribute, value, &header)?;
        }
        let action = match header.kind {
            action::LOOKUP => RuleAction::Lookup(Table(found.table)),
            action::GOTO => RuleAction::Goto(Priority(found.goto?)),
            action::UNREACHABLE => RuleAction::Unreachable,
            _ => return None,
        };
        let mut selector = found.selector;
        // No rule of ours has one of the two without the other.
        if found.is_udp != selector.udp_port.is_some() {
            return None;
        }
        selector.mark = found.mark.map(|value| Mark { value, mask: found.mask.unwrap_or(WHOLE_MARK) });
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
    fn take(&mut self, attribute: u16, value: &[u8], header: &RoutingHeader) -> Option<()> {
        let network = |length: u8| Cidr::new(address_of(header.family?, value)?, length);
        match attribute {
            attribute::PRIORITY => self.priority = native_number(value)?,
            attribute::TABLE => self.table = native_number(value)?,
            attribute::GOTO => self.goto = Some(native_number(value)?),
            attribute::MARK => self.mark = Some(native_number(value)?),
            attribute::MARK_MASK => self.mask = Some(native_number(value)?),
            attribute::INCOMING => self.selector.incoming = Some(text_before_zero(value).parse().ok()?),
            attribute::SOURCE => self.selector.from = Some(network(header.source_length)?),
            attribute::DESTINATION => self.selector.to = Some(network(header.destination_length)?),
            attribute::IP_PROTOCOL if value == [UDP] => self.is_udp = true,
            attribute::DESTINATION_PORTS => self.selector.udp_port = Some(only_port(value)?),
            // Kernels since 6.15 show the mask with every port.
            attribute::DESTINATION_PORT_MASK if value == WHOLE_PORT => {}
            // Kernels before 4.17 do not know the protocol, and do not show it: there only the
            // priority distinguishes our rules.
            attribute::PROTOCOL if value == [PROTOCOL] => {}
            attribute::SUPPRESS_PREFIX_LENGTH if native_number(value)? == NOTHING => {}
            // The rule is another program's, or has an attribute that no rule of ours has.
            _ => return None,
        }
        Some(())
    }
}

/// Returns the port of a range that has only one.
fn only_port(range: &[u8]) -> Option<u16> {
    let (first, last) = range.split_at_checked(size_of::<u16>())?;
    (first == last).then(|| first.as_array().copied().map(u16::from_ne_bytes)).flatten()
}

/// Returns the request that adds a rule.
pub fn add(rule: &Rule) -> Message {
    // With NLM_F_EXCL, the kernel takes a rule for the same as one that has more selectors (`rule_exists` in
    // net/core/fib_rules.c). The plan adds a rule once.
    encode(rule).message(libc::RTM_NEWRULE).with_flags(NLM_F_CREATE)
}

/// Returns the request that removes a rule: the first of its priority that has all the selectors of this one.
pub fn remove(rule: &Rule) -> Message {
    encode(rule).message(libc::RTM_DELRULE)
}

fn encode(rule: &Rule) -> Request {
    let Selector { incoming, from, to, mark, udp_port } = &rule.selector;
    let (kind, table, goto) = match rule.action {
        RuleAction::Lookup(table) => (action::LOOKUP, Some(table), None),
        RuleAction::Goto(priority) => (action::GOTO, None, Some(priority)),
        RuleAction::Unreachable => (action::UNREACHABLE, None, None),
    };
    let header = RoutingHeader {
        family: Some(rule.family),
        destination_length: to.map_or(0, Cidr::length),
        source_length: from.map_or(0, Cidr::length),
        table: table.map_or(libc::RT_TABLE_UNSPEC, short_table),
        kind,
        ..RoutingHeader::default()
    };
    header
        .request()
        .with_number(attribute::PRIORITY, rule.priority.0)
        .with_byte(attribute::PROTOCOL, PROTOCOL)
        .with_text(attribute::INCOMING, incoming.as_ref().map(IfName::as_str))
        .with_address(attribute::SOURCE, from.map(Cidr::address))
        .with_address(attribute::DESTINATION, to.map(Cidr::address))
        .with_number(attribute::MARK, mark.map(|mark| mark.value))
        .with_number(attribute::MARK_MASK, mark.map(|mark| mark.mask))
        .with_byte(attribute::IP_PROTOCOL, udp_port.map(|_| UDP))
        .with_port(attribute::DESTINATION_PORTS, *udp_port)
        .with_number(attribute::TABLE, table.map(|table| table.0))
        .with_number(attribute::GOTO, goto.map(|priority| priority.0))
}
